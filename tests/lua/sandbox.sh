#!/bin/sh
# SPDX-License-Identifier: MIT
# What test_sandbox.lua tries, as this user and, when that is root, as an ordinary one; whether it left anything; and what
# --allow-host gives back. QEMUNET names the program.
here=$(cd "$(dirname "$0")" && pwd)
# Not in /tmp, which hosts have one of their own over.
folder=$(mktemp -d "$PWD/sandbox.XXXXXX")
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

result() { # result STATUS WHAT
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        echo "ok - $2"
    else
        failed=$((failed + 1))
        echo "not ok - $2"
        sed 's/^/# /' "$folder/out"
    fi
}

# The files of one run, in a folder of its own: modules beside the tests, and what is outside the run's folder.
prepare() {
    rm -rf "$folder/work" "$folder/outside"
    mkdir -p "$folder/work/mods" "$folder/outside/w"
    cp "$here/test_sandbox.lua" "$here/test_allowed.lua" "$folder/work/"
    cd "$folder/work" || exit 1
    echo 'n = (n or 0) + 1; return { vm = vm, two = require "two", times = n }' >mods/one.lua
    sed -i 's/n = (n or 0) + 1/n = (rawget(_G, "n") or 0) + 1/' mods/one.lua
    mkdir two && echo 'return { "two" }' >two/init.lua
    echo 'return { require "circle2" }' >circle1.lua
    echo 'return { require "circle1" }' >circle2.lua
    echo 'return )' >wrong.lua
    echo 'of the current directory' >beside.txt
    echo there >"$folder/outside/there"
}

listing() {
    find "$folder/outside" "$folder/work" -path "$folder/work/runs" -prune -o -printf '%M %p\n' | sort
}

# try WHO COMMAND... - with what runs it as that user.
try() {
    who=$1
    shift
    listing >"$folder/before"
    "$@" "$QEMUNET" test test_sandbox.lua >"$folder/out" 2>&1
    result $? "no attempt succeeds, as $who"
    listing | diff "$folder/before" - >"$folder/out"
    result $? "nothing is left, as $who"
}

export QEMUNET_TEST_OUTSIDE="$folder/outside" QEMUNET_TEST_PID=$$
prepare
try "$(id -un)" env
"$QEMUNET" test --allow-host test_allowed.lua >"$folder/out" 2>&1
result $? "with --allow-host all is Lua's own"
[ -e "$folder/outside/allowed1" ] && [ -e "$folder/outside/allowed2" ]
result $? "and files are written anywhere"

# as_nobody COMMAND... - with a /dev/net/tun as on most systems, open to all, for it alone.
as_nobody() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -t tmpfs tun /mnt && mknod -m 666 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun &&
        exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- "$@"' sh "$@"
}

if [ "$(id -u)" = 0 ]; then
    prepare
    cp "$QEMUNET" "$folder/qemunet"
    QEMUNET=$folder/qemunet
    mkdir "$folder/home"
    chmod 755 "$folder" "$folder/qemunet"
    chown -R 65534:65534 "$folder/work" "$folder/outside" "$folder/home"
    if as_nobody test -r "$folder/work/wrong.lua" 2>/dev/null; then
        try nobody as_nobody env HOME="$folder/home" XDG_CACHE_HOME="$folder/home"
    fi
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
