#!/bin/sh
# SPDX-License-Identifier: MIT
# As an ordinary user: with a network namespace of its own where the host allows one, and without.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

if [ "$(id -u)" != 0 ]; then
    skip "as an ordinary user" "the other tests do, already: this one is not run by root"
    finish
fi

# What the user needs, in reach and its own.
cp "$QEMUNET" "$folder/qemunet"
chmod 755 "$folder" "$folder/qemunet"
own_cache "$folder/cache"
mkdir "$folder/work"
chown -R 65534:65534 "$folder/cache" "$folder/work"
script pair <<'END'
local a, b = vm("a", { mem = "128M" }), vm("b", { mem = "128M" })
link(a, b, { delay = "5ms" })
boot()
local ms = a:succeed("ping -c 3 b"):match("min/avg/max = ([%d.]+)/")
check.is_true(tonumber(ms) >= 10)
local out = nat(a)
check.equal(a:succeed(("echo you | nc %s %s"):format(out.gateway, param("port"))), "hello you\n")
END
loopback_server

# as_user COMMAND... - with nothing of root's.
as_user() {
    (cd "$folder/work" && setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- env -i PATH="$PATH" \
        HOME="$folder/work" XDG_CACHE_HOME="$folder/cache" NO_COLOR=1 UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" \
        ASAN_OPTIONS="${ASAN_OPTIONS:-}" "$@") >"$folder/out" 2>"$folder/err"
    status=$?
}

as_user sh -c 'id -u; ls /root'
[ "$(cat out)" = 65534 ] && [ $status != 0 ]
result $? "the user is an ordinary one"

as_user unshare -Un true
allowed=$status
as_user "$folder/qemunet" run "$folder/pair.lua" --accel tcg --param port="$port"
[ "$status" = 0 ]
result $? "an experiment with a link passes"
grep -q '"verdict": "passed"' work/runs/*/result.json
result $? "it leaves its result in the user's folder"
if [ $allowed = 0 ]; then
    ! says err namespace
    result $? "it has a network namespace of its own"
else
    says err 'this host allows no user namespaces \(.*\)'
    result $? "it says why it has no network namespace of its own"
fi

# A /dev/net/tun as on most systems, open to all, and not so: for the processes of this command alone.
with_tun() { # with_tun MODE COMMAND...
    mode=$1
    shift
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -t tmpfs tun /mnt && mknod -m "$0" /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun &&
        exec "$@"' "$mode" "$@"
}
# as_user_with_tun MODE COMMAND...
as_user_with_tun() {
    mode=$1
    shift
    (cd "$folder/work" && with_tun "$mode" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- env -i \
        PATH="$PATH" HOME="$folder/work" XDG_CACHE_HOME="$folder/cache" NO_COLOR=1 QEMUNET_CHECK_LEAKS=1 \
        UBSAN_OPTIONS="${UBSAN_OPTIONS:-}" ASAN_OPTIONS="${ASAN_OPTIONS:-}" "$@") >"$folder/out" 2>"$folder/err"
    status=$?
}
script hosts <<'END'
local list = hosts(3, "h%d")
lan(list, { delay = "5ms" })
boot()
local ms = list[1]:succeed("busybox ping -c 2 h3"):match("min/avg/max = ([%d.]+)/")
check.is_true(tonumber(ms) >= 10)
check.equal(list[2]:run("id -u; hostname; kill -9 $$").stdout, "0\nh2\n")
list[2]:reboot()
check.equal(list[2]:succeed("grep -c h3 /etc/hosts"), "1\n")
check.is_true(list[1]:ok("busybox ping -c 1 -W 10 h2"))
END

if [ $allowed = 0 ] && with_tun 666 true 2>/dev/null; then
    as_user_with_tun 666 "$folder/qemunet" run "$folder/hosts.lua"
    [ "$status" = 0 ] && ! says err namespace
    result $? "hosts need no root"
    as_user_with_tun 600 "$folder/qemunet" run "$folder/hosts.lua"
    [ "$status" = 3 ] && says err 'hosts\.lua:2: host h1: cannot add the interface eth0: .*as root: chmod 666 /dev/net/tun'
    result $? "where /dev/net/tun is closed to users: status 3, and what to do"
else
    skip "hosts as an ordinary user" "this machine allows no user namespaces, or no device of its own in one"
fi

# In a user namespace of its own, whose limit holds for this run alone. Without capabilities there.
denied='echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
if [ $allowed = 0 ]; then
    as_user unshare -Ur sh -c "$denied" sh "$folder/qemunet" run "$folder/pair.lua" --accel tcg --param port="$port"
    [ "$status" = 0 ]
    result $? "where user namespaces are denied, the experiment passes too"
    says err 'no private network namespace: this host allows no user namespaces \(.*\); set it with: sysctl user.max_user_namespaces='
    result $? "and the setting that denies them is named"
    as_user unshare -Ur sh -c "$denied" sh "$folder/qemunet" run "$folder/hosts.lua"
    [ "$status" = 3 ] && says err 'host h1: cannot have a network: this host allows no user namespaces .*sysctl user'
    result $? "hosts are not possible there: status 3, and the setting is named"
else
    skip "where user namespaces are denied by a setting" "this host denies them to begin with"
fi
finish
