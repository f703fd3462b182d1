#!/usr/bin/env bash
# Becomes a program of an image, as a container runtime would start it in its strictest way. Run it by `unshare --mount --pid --fork --kill-child`:
# contain.sh ROOT UID PROGRAM ... The program is process 1, sees only ROOT, can write nowhere (there is no tmpfs), and may do nothing that root may.
set -euo pipefail
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755,size=64k tmpfs "$root/dev"
for device in null zero random urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,ro "$root/dev"
mount -o remount,bind,ro "$root"
cd /
# The change of user would otherwise undo that it is killed when unshare is.
exec chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \
    --pdeathsig keep -- "$@"
