#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the tiny guest: build.sh SOURCES OUT [ARCH]
#   SOURCES  folder with foreign.sh, init.sh, portshell.sh, inittab, modules
#   OUT      existing empty folder; gets vmlinuz, initrd.gz, version
#   ARCH     the guest's architecture as dpkg calls it; without it, this machine's
# The kernel is the distribution's cloud kernel, downloaded with apt-get and unpacked, not installed.
# Needs no root. Says on standard error what it does and what is missing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
sources=$1 out=$2
work=$out/work
mkdir "$work"
# shellcheck source=vmctl/tiny/foreign.sh
. "$sources/foreign.sh"

fail() {
    echo "tiny image: $*" >&2
    exit 1
}

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || fail "$1 is missing; install the package $2"
}

need apt-get apt
need dpkg-deb dpkg
need depmod kmod
need cpio cpio
need busybox busybox-static

native=$(dpkg --print-architecture)
arch=${3:-$native}
case $arch in
amd64) meta=linux-image-cloud-amd64 console=ttyS0 ;;
arm64) meta=linux-image-cloud-arm64 console=ttyAMA0 ;;
*) fail "no cloud kernel known for $arch" ;;
esac

# The meta package names the kernel of the day as its only versioned dependency.
kernel_package() {
    apt-cache depends "$meta" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

fetch() { # fetch PACKAGE FOLDER - download it, and unpack it into the folder
    echo "tiny image: downloading $1" >&2
    (cd "$work" && apt-get -q download "$1" >apt.log 2>&1) || {
        cat "$work/apt.log" >&2
        fail "apt-get could not download $1; run 'apt-get update' as root and try again"
    }
    dpkg-deb -x "$work/$1"_*.deb "$2"
}

fetch_kernel() {
    package=$(kernel_package)
    [ -n "$package" ] || fail "apt knows no $meta; run 'apt-get update' as root and try again"
    fetch "$package" "$work/kernel"
}

# Sets busybox: the guest's. Its applets are those of this machine's, which can be asked.
find_busybox() {
    busybox=$(command -v busybox)
    busybox ls / >/dev/null || fail "busybox does not run"
    if [ "$arch" != "$native" ]; then
        fetch busybox-static "$work/busybox"
        for busybox in "$work"/busybox/bin/busybox "$work"/busybox/usr/bin/busybox; do
            [ ! -e "$busybox" ] || return 0
        done
        fail "the package busybox-static holds no busybox"
    elif ldd "$busybox" >/dev/null 2>&1; then
        fail "$busybox is not static; install the package busybox-static"
    fi
}

# From Debian 13 on, the package holds /usr/lib/modules.
modules_folder() {
    for folder in "$work"/kernel/lib/modules/* "$work"/kernel/usr/lib/modules/*; do
        [ -d "$folder/kernel" ] && echo "$folder" && return
    done
    fail "the kernel package holds no modules"
}

# Copies a module and what it depends on, unpacked: busybox's modprobe reads plain files fastest.
copy_module() {
    modprobe -d "$depmod_root" -S "$version" --show-depends "$1" 2>/dev/null |
        sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r file; do
        target=$root/lib/modules/$version/$(basename "$file" | sed 's/\.ko\..*/.ko/')
        [ -e "$target" ] && continue
        case $file in
        *.xz) xz -dc "$file" >"$target" ;;
        *.zst) zstd -qdc "$file" >"$target" ;;
        *.gz) gzip -dc "$file" >"$target" ;;
        *) cp "$file" "$target" ;;
        esac
    done
}

[ "$arch" = "$native" ] || use_apt_for "$arch" "$work/apt"
fetch_kernel
find_busybox
modules=$(modules_folder)
version=$(basename "$modules")
depmod_root=${modules%/lib/modules/*}
depmod -b "$depmod_root" "$version"

root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/etc" "$root/dev" "$root/proc" "$root/sys" "$root/run" \
    "$root/tmp" "$root/root" "$root/home" "$root/var/log" "$root/mnt" "$root/lib/modules/$version"
ln -s ../run "$root/var/run"
ln -s ../tmp "$root/var/tmp"
chmod 1777 "$root/tmp"

cp "$busybox" "$root/bin/busybox"
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
# No services to stop: go down at once instead of busybox init's two seconds of signals.
for verb in poweroff reboot halt; do
    printf '#!/bin/sh\nsync\nexec busybox %s -f\n' $verb >"$root/sbin/$verb"
    chmod 755 "$root/sbin/$verb"
done

install -m 755 "$sources/init.sh" "$root/etc/rc"
install -m 755 "$sources/portshell.sh" "$root/sbin/portshell"
sed "s/^ttyS0:/$console:/" "$sources/inittab" >"$root/etc/inittab"
printf 'root::0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'root::19000:0:99999:7:::\n' >"$root/etc/shadow"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'export PATH=/sbin:/bin HOME=/root\n' >"$root/etc/profile"

sed -e 's/#.*//' -e 's/^+//' "$sources/modules" | while read -r module; do
    [ -n "$module" ] && copy_module "$module"
done
cp "$modules"/modules.builtin "$modules"/modules.order "$root/lib/modules/$version/" 2>/dev/null || true
depmod -b "$root" "$version" 2>/dev/null

(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -9n >"$out/initrd.gz"
cp "$work"/kernel/boot/vmlinuz-* "$out/vmlinuz"
echo "$version" >"$out/version"
rm -rf "$work"
