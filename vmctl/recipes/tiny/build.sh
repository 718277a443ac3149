#!/bin/sh
# SPDX-License-Identifier: MIT
# The tiny guest: all of it is an initramfs with busybox.
set -eu
sources=$1 out=$2 arch=$3
# shellcheck source=vmctl/recipes/common.sh
. "$sources/common.sh"

fetch_kernel
root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/dev" "$root/proc" "$root/sys" "$root/run" \
    "$root/tmp" "$root/root" "$root/home" "$root/var/log" "$root/mnt"
ln -s ../run "$root/var/run"
ln -s ../tmp "$root/var/tmp"
chmod 1777 "$root/tmp"

copy_busybox "$root/bin"
for applet in $(busybox --list-full); do
    target=$root/bin/${applet##*/}
    case $applet in
    *busybox) continue ;;
    */poweroff | */reboot | */halt) continue ;;
    esac
    ln -sf busybox "$target"
done
ln -s ../bin/busybox "$root/sbin/init"
ln -s sbin/init "$root/init" # what the kernel starts from an initramfs
ln -s ../bin/busybox "$root/sbin/modprobe" # the kernel's own on-demand loading asks for this path
add_power_off "$root/sbin" busybox

install -m 755 "$sources/tiny/init.sh" "$root/etc/rc"
install -m 755 "$sources/portshell.sh" "$root/sbin/portshell"
sed "s/^ttyS0:/$console:/" "$sources/tiny/inittab" >"$root/etc/inittab"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'root::19000:0:99999:7:::\n' >"$root/etc/shadow"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'export PATH=/sbin:/bin HOME=/root\n' >"$root/etc/profile"

copy_modules "$sources/tiny/modules" "$root"
finish "$root"
