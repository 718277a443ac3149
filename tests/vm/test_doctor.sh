#!/bin/sh
# SPDX-License-Identifier: MIT
# qemunet doctor: what it says against what is so.
# shellcheck disable=SC1091,SC2154,SC2181 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1
mkdir empty

# doctor ARGS... - its status, out and err are kept; no boot takes it more than a minute.
doctor() {
    (cd empty && timeout 60 "$QEMUNET" doctor "$@") >out 2>err
    status=$?
}

# finds STATUS NAME [PATTERN] - whether it has that finding; its text, of all lines, on one.
finds() {
    awk '/^[a-z]+ / { print line; line = "" } /^$/ { exit }
        { sub(/^ +(-> )?/, " "); line = line $0 } END { print line }' out |
        sed 's/  */ /g' | grep -qE "^$1 $2 .*${3:-}"
}

# Lines that are too long, but for paths and commands, which are not broken.
too_long() { grep -E '^.{81}' out | grep -vE '^ *[^ ]*$'; }

doctor
[ "$status" = 0 ] && says out '^experiments can run' && ! says out '^missing'
result $? "all that machines need is here"
version=$(qemu-system-x86_64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
finds ok QEMU "$version:" && finds ok 'guest image' 'kernel [0-9]' && finds ok machine 'took commands after' && finds ok nat
result $? "QEMU, the image, a machine, a link, and nat were tried"
if finds ok KVM; then verdict=y; else verdict=n; fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qemunet
kept=$(cat "$cache/kvm-$(cat /proc/sys/kernel/random/boot_id)"-* 2>/dev/null)
if [ $verdict = y ]; then under=KVM; else under=TCG; fi
[ "${kept:-n}" = $verdict ] && finds ok machine $under
result $? "KVM is said to work if a guest under it has shown that"
grep -qF "$cache, " out && [ -z "$(too_long)" ] && [ -z "$(ls -A empty)" ] && [ ! -s err ]
result $? "its lines fit a terminal, and it leaves nothing behind"

# Without QEMU, with an old one, and without a place for the cache; nothing is booted any more.
mkdir bin old
ln -s /usr/bin/* bin/
rm -f bin/qemu-system-*
printf '#!/bin/sh\necho "QEMU emulator version 6.2.0"\n' >old/qemu-system-x86_64
chmod 755 old/qemu-system-x86_64
before=$PATH
PATH=$folder/bin
doctor
[ "$status" = 3 ] && says out '^experiments cannot run: 1 essential thing missing' &&
    finds missing QEMU 'not installed.*apt-get install qemu-system-x86' &&
    finds warning 'QEMU aarch64' qemu-system-arm && ! finds ok machine
result $? "without QEMU: status 3, and the package"
PATH=$folder/old:$folder/bin
doctor
[ "$status" = 3 ] && finds missing QEMU '6.2.0 is too old'
result $? "with a QEMU that is too old: status 3"
(HOME=/proc/none XDG_CACHE_HOME='' && export HOME XDG_CACHE_HOME && doctor && exit "$status")
[ $? = 3 ] && finds missing 'cache folder' 'cannot be written to.*XDG_CACHE_HOME' && says out ' 2 essential things missing'
result $? "without a place for the cache: status 3, and what to set"
doctor --json
[ "$status" = 3 ] && python3 -c 'import json, sys
said = json.load(sys.stdin)
found = {one["name"]: one["status"] for one in said["findings"]}
sys.exit(said["can_run"] or found["QEMU"] != "missing" or found["memory"] != "ok")' <out
result $? "the same as JSON"
PATH=$before
doctor surplus
[ "$status" = 2 ]
result $? "an argument is wrong usage"

if [ "$(id -u)" != 0 ]; then
    skip "as an ordinary user" "the tests above did"
    finish
fi
# As an ordinary user, without QEMU: the rest is what differs.
cp "$QEMUNET" qemunet
mkdir cache
chown 65534:65534 cache
chmod 755 "$folder" qemunet
user="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- env -i PATH=$folder/bin HOME=/
    XDG_CACHE_HOME=$folder/cache USER=somebody"
as_user() { # as_user COMMAND...
    # shellcheck disable=SC2086 # a word each
    $user "$@" >out 2>err
    status=$?
}
as_user unshare -Un true
allowed=$status
as_user "$folder/qemunet" doctor
if [ $allowed = 0 ]; then finds ok namespaces; else finds warning namespaces 'allows no user namespaces'; fi
result $? "what it says of user namespaces is what unshare finds"
if setpriv --reuid 65534 --regid 65534 --clear-groups sh -c ': <>/dev/kvm' 2>/dev/null; then
    skip "a closed /dev/kvm" "it is open to all"
else
    finds warning KVM '(Permission denied.*sudo usermod -aG kvm somebody|No such file.*firmware)'
    result $? "a /dev/kvm that does not open, and what to do"
fi

# A /dev/net/tun open to all, and not so: for the processes of this command alone.
with_tun() { # with_tun MODE COMMAND...
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -t tmpfs tun /mnt && mknod -m "$0" /mnt/tun c 10 200 &&
        mount --bind /mnt/tun /dev/net/tun && exec "$@"' "$@"
}
if [ $allowed = 0 ] && with_tun 666 true 2>/dev/null; then
    # shellcheck disable=SC2086 # a word each
    with_tun 666 $user "$folder/qemunet" doctor >out 2>err
    finds ok /dev/net/tun
    result $? "a /dev/net/tun that is open to all"
    # shellcheck disable=SC2086
    with_tun 600 $user "$folder/qemunet" doctor >out 2>err
    finds warning /dev/net/tun 'Permission denied.*sudo chmod 666 /dev/net/tun'
    result $? "one that is closed, and what to do"
    # shellcheck disable=SC2016 # for that shell
    denied='echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    as_user unshare -Ur sh -c "$denied" sh "$folder/qemunet" doctor
    finds warning namespaces 'sysctl user.max_user_namespaces=' && finds warning /dev/net/tun
    result $? "where user namespaces are denied, the setting is named"
else
    skip "/dev/net/tun and user namespaces" "this machine allows no user namespaces, or no device of its own in one"
fi
finish
