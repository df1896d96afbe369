#!/bin/sh
# The containerised entry: build the image (docker and podman keep what has not changed), then run a command in it.
# docker, podman or buildah does it, whichever is there and has an engine; CONTAINER=podman chooses one.
#
#   docker/dev.sh                       make demo; runs/ is kept outside the container
#   docker/dev.sh make test             the tests
#   GPU=1 docker/dev.sh wellposed doctor --gpu    on an NVIDIA GPU, handed in by the NVIDIA container toolkit
#   BUILD_OPTIONS="..." docker/dev.sh   what the build needs besides, as --network or --volume
set -eu
cd "$(dirname "$0")/.."

fail() { echo "$*" >&2; exit 1; }
works() { case $1 in docker) docker info >/dev/null 2>&1 ;; *) command -v "$1" >/dev/null ;; esac; }

if [ -z "${CONTAINER:-}" ]; then
    for CONTAINER in docker podman buildah none; do if [ "$CONTAINER" = none ] || works "$CONTAINER"; then break; fi; done
fi
[ "$CONTAINER" != none ] || fail "neither docker with an engine nor podman nor buildah is here; without them, \`make demo\` does the same."
works "$CONTAINER" || fail "$CONTAINER does not work here."

if [ "${GPU:-0}" = 1 ]; then image=wellposed:cuda extras=dev,cuda; else image=wellposed extras=dev; fi
case "$CONTAINER,${GPU:-0}" in
    docker,1) gpus="--gpus all" ;;
    podman,1) gpus="--device nvidia.com/gpu=all" ;;
    buildah,1) fail "buildah cannot hand in a GPU; install docker or podman, and the NVIDIA container toolkit." ;;
    *) gpus= ;;
esac

mkdir -p runs
# shellcheck disable=SC2086  (a list of options)
"$CONTAINER" build -q ${BUILD_OPTIONS:-} -f docker/Dockerfile -t "$image" --build-arg "EXTRAS=$extras" . >/dev/null
[ $# -gt 0 ] || set -- make demo
if [ "$CONTAINER" = buildah ]; then
    working=$(buildah from "$image")
    trap 'buildah rm "$working" >/dev/null' EXIT
    buildah run -v "$PWD/runs:/wellposed/runs" "$working" -- "$@"
    exit
fi
[ -t 0 ] && terminal=-it || terminal=
# shellcheck disable=SC2086  (empty options must vanish)
exec "$CONTAINER" run --rm $terminal $gpus -v "$PWD/runs:/wellposed/runs" "$image" "$@"
