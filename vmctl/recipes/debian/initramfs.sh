#!/bin/sh
# SPDX-License-Identifier: MIT
# The first program of a Debian guest: finds the disk with the shared root, lays an overlay in memory over it, and starts
# its init: the system's own, or ours, which runs nothing but the shells that take commands.
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
modprobe -a virtio_pci virtio_blk erofs overlay virtio_console virtio_net virtio_rng pvpanic_pci

root=''
for disk in /sys/block/vd*; do
    serial=''
    [ ! -r "$disk/serial" ] || read -r serial <"$disk/serial"
    [ "$serial" != qn.root ] || root=/dev/${disk##*/}
done
mount -t erofs -o ro "$root" /lower || {
    echo "qemunet: no disk with the root of the image" >/dev/console
    exit 1
}
mount -t tmpfs -o mode=755 tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /new
mount --move /dev /new/dev
if [ -e /new/usr/lib/qemunet/system ]; then
    mount --move /proc /new/proc
    mount --move /sys /new/sys
    exec switch_root /new /sbin/init
fi
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
mount -t tmpfs tmpfs /new/dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
mount --move /proc /new/proc
mount --move /sys /new/sys
exec switch_root /new /usr/lib/qemunet/init
