# SPDX-License-Identifier: MIT
# What the recipes of guest images share. A recipe is run as: NAME/build.sh SOURCES OUT
#   SOURCES  folder with the files of this one, and what the image is made of
#   OUT      existing empty folder; gets vmlinuz, initrd.gz, version
# It sets sources and out, and sources this file.
# The kernel is the distribution's cloud kernel, downloaded with apt-get and unpacked, not installed.
# Needs no root. Says on standard error what it does and what is missing.
# shellcheck shell=sh disable=SC2154 # its variables are the recipe's
set -eu
umask 022
work=$out/work
mkdir "$work"
PATH=$PATH:/usr/sbin:/sbin

# The host shows these lines to who waits.
say() {
    echo "image: $*" >&2
}

fail() {
    say "$@"
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

case $(dpkg --print-architecture) in
amd64) meta=linux-image-cloud-amd64 ;;
*) fail "no cloud kernel known for $(dpkg --print-architecture)" ;;
esac

# The meta package names the kernel of the day as its only versioned dependency.
kernel_package() {
    apt-cache depends "$meta" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# From Debian 13 on, the package holds /usr/lib/modules.
modules_folder() {
    for folder in "$work"/kernel/lib/modules/* "$work"/kernel/usr/lib/modules/*; do
        [ -d "$folder/kernel" ] && echo "$folder" && return
    done
    fail "the kernel package holds no modules"
}

# Sets version, modules (their folder) and modules_root, the folder that holds lib/modules.
fetch_kernel() {
    package=$(kernel_package)
    [ -n "$package" ] || fail "apt knows no $meta; run 'apt-get update' as root and try again"
    say "downloading $package"
    (cd "$work" && apt-get -q download "$package" >apt.log 2>&1) || {
        cat "$work/apt.log" >&2
        fail "apt-get could not download $package; run 'apt-get update' as root and try again"
    }
    dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
    modules=$(modules_folder)
    version=$(basename "$modules")
    modules_root=${modules%/lib/modules/*}
    depmod -b "$modules_root" "$version"
}

# copy_module NAME ROOT - and what it depends on, unpacked: busybox's modprobe reads plain files fastest.
copy_module() {
    modprobe -d "$modules_root" -S "$version" --show-depends "$1" 2>/dev/null |
        sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r file; do
        target=$2/lib/modules/$version/$(basename "$file" | sed 's/\.ko\..*/.ko/')
        [ -e "$target" ] && continue
        case $file in
        *.xz) xz -dc "$file" >"$target" ;;
        *.zst) zstd -qdc "$file" >"$target" ;;
        *.gz) gzip -dc "$file" >"$target" ;;
        *) cp "$file" "$target" ;;
        esac
    done
}

# copy_modules LIST ROOT - those that the file names, one a line.
copy_modules() {
    mkdir -p "$2/lib/modules/$version"
    sed -e 's/#.*//' -e 's/^+//' "$1" | while read -r module; do
        [ -z "$module" ] || copy_module "$module" "$2"
    done
    cp "$modules"/modules.builtin "$modules"/modules.order "$2/lib/modules/$version/" 2>/dev/null || true
    depmod -b "$2" "$version" 2>/dev/null
}

# copy_busybox FOLDER
copy_busybox() {
    cp "$(command -v busybox)" "$1/busybox"
    "$1/busybox" ls / >/dev/null || fail "busybox does not run"
    if ldd "$1/busybox" >/dev/null 2>&1; then
        fail "$(command -v busybox) is not static; install the package busybox-static"
    fi
}

# add_power_off FOLDER BUSYBOX - go down at once: without services, there is nothing to wait for.
add_power_off() {
    for verb in poweroff reboot halt; do
        printf '#!/bin/sh\nsync\nexec %s %s -f\n' "$2" $verb >"$1/$verb"
        chmod 755 "$1/$verb"
    done
}

# finish ROOT - the initramfs of this folder, and what else is known by now.
finish() {
    (cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -9n >"$out/initrd.gz"
    cp "$work"/kernel/boot/vmlinuz-* "$out/vmlinuz"
    echo "$version" >"$out/version"
    rm -rf "$work"
}
