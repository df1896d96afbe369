#!/bin/sh
# Pin every package with its checksums into lock/*.txt, for every platform and every Python from 3.11 on. What is
# locked stays as it is unless pyproject.toml asks for something else, or it is named here to be raised.
#
#   scripts/lock.sh [all | PACKAGE...]
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
uv="$work/venv/bin/uv"

compile() {
    "$uv" pip compile -q --universal --python-version 3.11 --fork-strategy fewest --only-binary :all: \
        --generate-hashes --no-annotate --no-header "$@"
}
names() { sed -n 's/^\([a-z0-9-]*\)==.*/\1/p' "$@"; }
without() { sed 's/^/--no-emit-package /'; }

# NAME HEADING OPTIONS: write lock/NAME.txt. A pipe would hide uv's exit code, hence the file. uv's own comments only
# list what other locks hold.
lock() {
    name=$1 heading=$2
    shift 2
    compile "$@" > "$work/part.txt"
    awk -v heading="# $heading. Made by \`make lock\`; do not edit by hand." \
        'BEGIN { print heading } !/^#/ { print }' "$work/part.txt" > "lock/$name.txt"
}

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --disable-pip-version-check -q --require-hashes --no-deps --only-binary :all: -r lock/tool.txt
"$work/venv/bin/python" > "$work/build.txt" -c \
    'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'

# One resolution over everything, so that no two locks disagree. uv keeps to what its output file holds before.
for package in "$@"; do
    shift
    if [ "$package" = all ]; then set -- "$@" --upgrade; else set -- "$@" --upgrade-package "$package"; fi
done
find lock -name '*.txt' ! -name tool.txt ! -name torch-cpu.txt -exec cat {} + > "$work/all.txt"
compile "$@" --all-extras -o "$work/all.txt" pyproject.toml "$work/build.txt" > /dev/null

# Each lock holds what its extra adds to dev. PyTorch stands apart, with the libraries from NVIDIA that its build in the
# registry needs: setup.sh takes lock/torch-cpu.txt instead where it can. That one is in PyTorch's own index only, and
# written by hand.
set -- -c "$work/all.txt" pyproject.toml
torch=$(names "$work/all.txt" | grep -E '^(torch$|cuda|nvidia|triton)')
# shellcheck disable=SC2046  (lists of options)
{
    lock tool "What \`make lock\` runs" --group lock
    lock dev "What wellposed, its tests, its book and its build need" "$@" "$work/build.txt" \
        $(printf -- '--extra %s ' dev book export notebook parquet)
    for extra in cuda hub ogbench panda ray search wandb; do
        lock $extra "What the extra $extra adds to dev" "$@" --extra $extra $(names lock/dev.txt | without)
    done
    lock peers "What the extra peers adds to dev" "$@" --extra peers $({ names lock/dev.txt; echo "$torch"; } | without)
    lock torch-cuda "PyTorch as the registry has it, with what only this build needs" "$@" \
        --extra peers $(names lock/dev.txt lock/peers.txt | without)
}

# A file is there for every Python and every machine that is said to work; nothing is installed.
for python in 3.11 3.12 3.13; do
    for machine in x86_64 aarch64; do
        for name in dev cuda; do
            "$uv" pip install -q --dry-run --no-deps --require-hashes --only-binary :all: --target "$work/none" \
                --python-version $python --python-platform $machine-manylinux_2_35 -r lock/$name.txt
        done
    done
done
