#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a Debian system with cloud-init, as of the vendor's cloud images, and a daemon of its own: cloud_image.sh OUT
#   OUT  folder to be made; gets disk.img (ext4), kernel and initrd
# With cloud-init=disabled on its kernel's command line it is a vendor's disk to log in to: root, password "secret".
set -eu
out=$1
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$out"
root=$out/root
# shellcheck disable=SC2016 # for the shell of the hooks
mmdebstrap --quiet --variant=minbase \
    --include=cloud-init,systemd-sysv,udev,dbus,kmod,iproute2,iputils-ping,procps,locales,openssh-server \
    --include=linux-image-cloud-amd64 \
    --customize-hook='echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
    --customize-hook='echo root:secret | chroot "$1" chpasswd' \
    --customize-hook='systemctl --root="$1" enable systemd-networkd systemd-networkd-wait-online' \
    bookworm "$root"
cp "$root"/boot/vmlinuz-* "$out/kernel"
cp "$root"/boot/initrd.img-* "$out/initrd"
mkfs.ext4 -q -d "$root" "$out/disk.new" 1500M
rm -rf "$root"
mv "$out/disk.new" "$out/disk.img"
