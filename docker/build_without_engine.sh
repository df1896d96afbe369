#!/bin/sh
# Build and run docker/Dockerfile where there is no container engine, and no image can be fetched: Debian's debootstrap
# makes the base image, Debian's buildah does the rest. As root, on Debian:
#
#   apt-get install -y --no-install-recommends buildah debootstrap
#   docker/build_without_engine.sh               make demo; its report lies in runs/ outside of the container
#   docker/build_without_engine.sh make test     another command
set -eu
cd "$(dirname "$0")/.."
for tool in buildah debootstrap; do
    command -v $tool >/dev/null || { echo "there is no $tool here: apt-get install -y buildah debootstrap" >&2; exit 1; }
done
# Neither namespaces nor overlays, which a container that this runs in may lack.
export CONTAINER=buildah BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs

base=$(sed -n 's/^FROM //p' docker/Dockerfile)
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    echo "making the image $base from Debian's packages"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    debootstrap --variant=minbase --include=python3,python3-venv,make,git,ca-certificates bookworm "$work/root" >/dev/null
    empty=$(buildah from scratch)
    buildah add -q "$empty" "$work/root" / >/dev/null
    buildah commit -q "$empty" "$base" >/dev/null
    buildah rm "$empty" >/dev/null
fi
docker/dev.sh "$@"
