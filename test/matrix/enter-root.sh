#!/bin/sh
# Runs a program as the first process of a machine whose `/` is ROOT: with processes, mounts, /run and /tmp of its own,
# all of which end with it. To be started by `unshare --mount --pid --fork --propagation private`.
set -eu
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
exec chroot . "$@"
