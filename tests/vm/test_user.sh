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

# In a user namespace of its own, whose limit holds for this run alone. Without capabilities there.
denied='echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
if [ $allowed = 0 ]; then
    as_user unshare -Ur sh -c "$denied" sh "$folder/qemunet" run "$folder/pair.lua" --accel tcg --param port="$port"
    [ "$status" = 0 ]
    result $? "where user namespaces are denied, the experiment passes too"
    says err 'no private network namespace: this host allows no user namespaces \(.*\); set it with: sysctl user.max_user_namespaces='
    result $? "and the setting that denies them is named"
else
    skip "where user namespaces are denied by a setting" "this host denies them to begin with"
fi
finish
