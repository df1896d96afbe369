#!/bin/sh
# The containerised entry: build the image (what has not changed is cached), then run a command in it (default: make demo).
#
#   docker/dev.sh                       the demonstration; runs/ is kept outside the container
#   docker/dev.sh make test             the tests
#   GPU=1 docker/dev.sh wellposed doctor    on an NVIDIA GPU
set -eu
cd "$(dirname "$0")/.."
command -v docker >/dev/null || { echo "docker is not installed; without it, \`make demo\` does the same." >&2; exit 1; }
if [ "${GPU:-0}" = 1 ]; then image=wellposed:cuda extras=dev,cuda gpus="--gpus all"; else image=wellposed extras=dev gpus=; fi
docker build -q -f docker/Dockerfile -t "$image" --build-arg "EXTRAS=$extras" .
mkdir -p runs
[ $# -gt 0 ] || set -- make demo
[ -t 0 ] && terminal=-it || terminal=
# shellcheck disable=SC2086  (empty options must vanish)
exec docker run --rm $terminal $gpus -v "$PWD/runs:/wellposed/runs" "$image" "$@"
