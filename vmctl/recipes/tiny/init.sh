#!/bin/sh
# SPDX-License-Identifier: MIT
# The tiny guest's /etc/rc, run once by busybox init: mount, load the drivers of the machine, go.
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /sys/fs/cgroup
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
modprobe -a virtio_pci virtio_console virtio_net virtio_blk virtio_rng pvpanic_pci
ip link set lo up
