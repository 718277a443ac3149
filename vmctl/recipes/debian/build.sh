#!/bin/sh
# SPDX-License-Identifier: MIT
# A Debian system of chosen packages: a read-only root that all machines share, and an initramfs that lays an overlay over it.
# SOURCES holds what it is made of:
#   packages  their names, one a line
#   run       a shell script, or a program with #!, that is run in the system as root; may be missing
#   add       lines in pairs: a path in the system, and the path here of what becomes it
# OUT gets root.erofs and packages too, and init: "system" when the system's own init is to be booted.
# Packages come from this machine's own apt sources, as its package lists have them.
set -eu
sources=$1 out=$2 arch=$3
# shellcheck source=vmctl/recipes/common.sh
. "$sources/common.sh"

# With what a user expects to find: ip, ping, ps, modprobe, and the names of protocols and services.
base='iproute2 iputils-ping procps kmod netbase'
left_out='^([.]qn|(proc|sys|dev|var/cache/apt|var/lib/apt/lists)/.*)$'
erofs_options='-zlz4hc -x2147483647'
places='/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources'

need mmdebstrap mmdebstrap
need mkfs.erofs erofs-utils

# Whether apt can install it, under its own name or as something that another package provides.
check_packages() {
    unknown=$(sed 's/[=/].*//' "$sources/packages" | xargs apt-cache showpkg 2>/dev/null | awk '
        FNR == NR { wanted[$1] = 1; next }
        /^Package: / { name = $2; part = "" }
        /^[A-Z][A-Za-z ]*: *$/ { part = $1; next }
        NF && (part == "Versions:" || part == "Reverse") { known[name] = 1 }
        END { for (name in wanted) if (!(name in known)) print name }
    ' "$work/names" -)
    [ -z "$unknown" ] || {
        ! apt-cache show --no-all-versions apt >/dev/null 2>&1 &&
            fail "apt knows no packages at all; run 'apt-get update' as root and try again"
        # shellcheck disable=SC2086 # a name a word
        fail "no such package in this machine's apt sources:" $unknown \
            "(if it should be there: run 'apt-get update' as root and try again)"
    }
}

# As root, or with a range of user IDs in a namespace, or with a library that pretends.
find_mode() {
    mode=root
    [ "$(id -u)" != 0 ] || return 0
    mode=unshare
    ! command -v newuidmap >/dev/null || ! unshare --user --map-auto --map-root-user true 2>/dev/null || return 0
    mode=fakechroot
    ! command -v fakechroot >/dev/null || ! command -v fakeroot >/dev/null || return 0
    fail "as an ordinary user, this needs the package uidmap and a range of user IDs (as root: usermod" \
        "--add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)), or the packages fakechroot and fakeroot"
}

# What becomes part of the system: ours, in $work/ours; the user's, in $work/added.
lay_ours() {
    ours=$work/ours lib=$work/ours/usr/lib/qemunet
    mkdir -p "$lib" "$ours/usr/lib/modules" "$ours/etc/systemd/system"
    copy_busybox "$lib"
    install -m 755 "$sources/portshell.sh" "$lib/portshell"
    cp -R "$modules" "$ours/usr/lib/modules/$version"
    rm -f "$ours/usr/lib/modules/$version/build" "$ours/usr/lib/modules/$version/source"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$ours/etc/hosts"
    echo debian >"$ours/etc/hostname"
    : >"$ours/etc/resolv.conf"
    tar -C "$ours" --owner=0 --group=0 --numeric-owner -cf "$work/ours.tar" .
}

lay_added() {
    mkdir "$work/added"
    [ ! -e "$sources/add" ] || while IFS= read -r guest && IFS= read -r host; do
        target=$work/added/${guest#/}
        say "adding $host as $guest"
        if [ -d "$host" ]; then
            mkdir -p "$target"
            cp -a "$host/." "$target/"
        else
            mkdir -p "${target%/*}"
            cp -aH "$host" "$target"
        fi
    done <"$sources/add"
    tar -C "$work/added" --owner=0 --group=0 --numeric-owner -cf "$work/added.tar" .
}

make_initramfs() {
    root=$work/root
    mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/sbin" "$root/lower" "$root/rw" "$root/new"
    copy_busybox "$root/bin"
    for applet in sh ip mount mkdir modprobe switch_root; do ln -s busybox "$root/bin/$applet"; done
    ln -s ../bin/busybox "$root/sbin/modprobe"
    install -m 755 "$sources/debian/initramfs.sh" "$root/init"
    copy_modules "$sources/debian/modules" "$root"
}

# The library that pretends to change the root puts the folder's name before a link's absolute target.
# shellcheck disable=SC2016 # $1 is the hook's
mend_links='find "$1" -xdev -type l -lname "$1/*" | while IFS= read -r link; do
    target=$(readlink "$link")
    ln -sfn "${target#"$1"}" "$link"
done'

# Each hook is a shell's text, with the system's folder as $1; an upload is done by mmdebstrap as the user.
# Extended attributes stay with their files: those to be shared would be looked for in /proc as well.
make_root() {
    say "installing $(grep -c . "$sources/packages") packages and what they need"
    cp "$sources/debian/inside.sh" "$work/inside.sh"
    cp "$sources/run" "$work/run" 2>/dev/null || : >"$work/run"
    cd "$work"
    # shellcheck disable=SC2016,SC2046,SC2086 # $1 is the hook's; a pattern, and what is left of it, a word
    mmdebstrap --quiet --mode=$mode --variant=apt --skip=update --format=null \
        --include="$(echo $base | tr ' ' ,),$(paste -sd, "$sources/packages")" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/examples/*' \
        $(proxies) \
        --setup-hook='cp /var/lib/apt/lists/*_* "$1/var/lib/apt/lists/"' \
        --customize-hook='mkdir -m 700 "$1/.qn"' \
        --customize-hook='upload ours.tar /.qn/ours.tar' \
        --customize-hook='upload added.tar /.qn/added.tar' \
        --customize-hook='upload run /.qn/run' \
        --customize-hook='upload inside.sh /.qn/inside.sh' \
        --customize-hook='chroot "$1" sh /.qn/inside.sh' \
        --customize-hook="$mend_links" \
        --customize-hook="cd \"\$1\" && mkfs.erofs $erofs_options --exclude-regex='$left_out' .qn/root . >/dev/null" \
        --customize-hook='download /.qn/root root.erofs' \
        --customize-hook='download /.qn/init init' \
        '' /dev/null $(existing $places) >&2 &
    making=$!
    trap 'kill $making; wait $making; exit 143' TERM INT
    wait $making || fail "mmdebstrap could not make the system"
    trap - TERM INT
    cd "$OLDPWD"
}

existing() {
    for file in "$@"; do [ ! -s "$file" ] || echo "$file"; done
}

proxies() {
    apt-config dump 2>/dev/null | sed -n 's/^\(Acquire::https\?::Proxy\) "\([^" ]\{1,\}\)";$/--aptopt=\1\\"\2\\"/p'
}

sed 's/[=/].*//' "$sources/packages" >"$work/names"
check_packages
find_mode
fetch_kernel
lay_ours
lay_added
make_root
make_initramfs
mv "$work/root.erofs" "$work/init" "$out/"
cp "$sources/packages" "$out/"
finish "$root"
