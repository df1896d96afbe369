#!/bin/sh
# Run a command with the network cut off: the proof that what is installed needs nothing from outside any more.
#
#   scripts/offline.sh COMMAND...          for example: scripts/offline.sh make demo
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

say() { printf '\033[1m[offline]\033[0m %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

# A namespace of its own has no way out, not even to this machine. The script calls itself once more inside of it.
if [ "${1:-}" != --inside ]; then
    [ $# -gt 0 ] || fail "name the command to run, for example: scripts/offline.sh make demo"
    command -v unshare >/dev/null || fail "there is no unshare here to cut off the network with; it is part of util-linux"
    if [ "$(id -u)" = 0 ]; then cut="unshare --net"; else cut="unshare --map-root-user --net"; fi
    $cut true 2>/dev/null ||
        fail "this kernel refuses a network namespace ($cut), so nothing was proved; as root, or outside a container, it may not"
    exec $cut scripts/offline.sh --inside "$@"
fi
shift

# An address that is kept for documentation. Without a network, trying it fails at once for want of a route; with one, it
# fails in another way, or not.
"$PYTHON" -c '
import errno, socket, sys
try:
    socket.create_connection(("192.0.2.1", 80), timeout=3)
    sys.exit(1)
except OSError as error:
    print("connecting to 192.0.2.1:", error)
    sys.exit(error.errno != errno.ENETUNREACH)
' || fail "there is a network still, so nothing was proved"
say "no network; running: $*"
"$@"
say "done without a network: $*"
