#!/bin/sh
# Set up the environment that `make` uses: a virtual environment with exactly the files whose checksums are in lock/,
# and libraries that draw without a screen. Does nothing if both are there already.
#
#   PYTHON=python3 VENV=.venv scripts/setup.sh EXTRAS      EXTRAS: dev, or dev with what has a lock of its own: dev,panda
set -eu
PATH=$PATH:/usr/sbin:/sbin  # where Debian keeps ldconfig, and not on everybody's path
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3} VENV=${VENV:-.venv} EXTRAS=${1:-dev}

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# Drawing needs a software OpenGL. Nothing else does, so a machine that may not install it goes on without video.
libraries_present() { ldconfig -p | grep -q libOSMesa && ldconfig -p | grep -q libEGL.so.1 && ldconfig -p | grep -q libGL.so.1; }
install_libraries() {
    line="apt-get install -y libosmesa6 libegl1 libgl1"
    if ! command -v apt-get >/dev/null; then sudo=; line=; elif [ "$(id -u)" = 0 ]; then sudo=
    elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo=; line=; fi
    if [ -n "$line" ]; then
        say "installing software rendering: $line"
        # The index first: on a fresh machine there is none.
        if $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo $line -qq >/dev/null; then return; fi
    fi
    say "software rendering is missing, so there will be no video. To have one, run:"
    say "    sudo apt-get install -y libosmesa6 libegl1 libgl1"
}
libraries_present || install_libraries

command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON here; install Python 3.11 or newer, or name one: make PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "wellposed needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V 2>&1). Name another: make PYTHON=python3.12 ..."

# dev holds what every other lock only adds to.
choices="which can be dev alone or with some of cuda, hub, ogbench, panda, peers, ray, search, wandb: dev,panda"
case $EXTRAS, in dev,*) ;; *) fail "EXTRAS is $EXTRAS, $choices" ;; esac
locks=
for extra in $(echo "$EXTRAS" | tr , ' '); do
    [ -f "lock/$extra.txt" ] || fail "there is no lock/$extra.txt for EXTRAS=$EXTRAS, $choices"
    locks="$locks -r lock/$extra.txt"
done

fingerprint() { { echo "$EXTRAS"; "$PYTHON" -V; pwd; cat pyproject.toml lock/*.txt; } | sha256sum | cut -d' ' -f1; }
stamp="$VENV/.wellposed-setup"
if [ -f "$stamp" ] && [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then exit 0; fi

if [ ! -x "$VENV/bin/pip" ] || [ "$("$VENV/bin/python" -V 2>&1)" != "$("$PYTHON" -V)" ]; then
    say "creating $VENV with $("$PYTHON" -V)"
    "$PYTHON" -m venv --clear "$VENV" ||
        fail "could not create $VENV; on Debian and Ubuntu: sudo apt-get install -y python3-venv"
fi

# Files that a lock lists, and nothing else: no package brings in another, and none is built from source.
# A pipe would hide pip's exit code, hence the file.
failed="$VENV/.wellposed-failed"
pip() { "$VENV/bin/pip" --disable-pip-version-check "$@"; }
install() {
    touch "$failed"
    { pip install --progress-bar off --no-deps "$@" 2>&1 && rm "$failed"; } |
        grep -E '^ *(Downloading|Successfully installed|ERROR|error|Expected|Got)|^    .* from ' || true
    [ ! -e "$failed" ] || fail "the installation failed, see above; run make again to go on from there"
}
locked() { install --require-hashes --only-binary :all: "$@"; }
rm -f "$stamp"
say "installing the packages of$(echo "$locks" | sed 's/ -r / /g') into $VENV (a few hundred megabytes, a minute or two)"
# shellcheck disable=SC2086  (a list of options)
locked $locks
# PyTorch's CPU build is two hundred megabytes instead of gigabytes, but only where pip is configured to find it.
case $EXTRAS, in *,peers,*)
    pip install -q --no-deps --require-hashes --only-binary :all: -r lock/torch-cpu.txt 2>/dev/null ||
        locked -r lock/torch-cuda.txt ;;
esac
# What builds wellposed is there by now, so nothing is fetched.
install --no-index --no-build-isolation -e .
pip check || fail "the locks do not fit together, see above; make them anew with: make lock"
fingerprint > "$stamp"
say "done"
