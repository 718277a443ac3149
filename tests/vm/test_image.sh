#!/bin/sh
# SPDX-License-Identifier: MIT
# Images of Debian packages: built once, found again, listed, removed; two machines of one; what cannot be built.
# shellcheck disable=SC1091,SC2016,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list; a script's own $
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache"

# image ARGS... - the command; status, out and err are kept.
image() {
    "$QEMUNET" image "$@" >"$folder/out" 2>"$folder/err"
    status=$?
}

image build x
[ $status = 2 ] && says err 'image build x: what is it made of'
result $? "an image is made of something"
image build x --packages "jq no-such-package-1 no-such-package-2"
[ $status = 3 ] && says err 'no such package.*no-such-package-1' 'no-such-package-2' && ! says err 'such package.* jq'
result $? "a package that is not there is named"
image remove nothing
[ $status = 2 ] && says err 'unknown image nothing'
result $? "an image that is not there cannot be removed"
PATH=$folder/bin image build tiny
[ $status = 0 ]
result $? "the tiny image is found without any tool"

if ! command -v mmdebstrap >/dev/null || ! command -v mkfs.erofs >/dev/null; then
    skip "images of packages" "mmdebstrap or mkfs.erofs is not installed"
    finish
fi

echo "from here" >"$folder/added"
script pair <<'END'
local tools = image { "tools", packages = { "jq" }, run = "echo $(id -u) >/etc/made; useradd -m someone", setup = { "echo set >/tmp/set" },
    add = { ["/etc/added/it"] = "added" } }
local a, b = vm("a", { image = tools }), vm("b", { image = "tools", append = "randmaps" })
link(a, b, { delay = "5ms" })
boot()
test("what it was made of is there", function()
    check.equal(a:succeed("cat /etc/made /etc/added/it /tmp/set"), "0\nfrom here\nset\n")
    check.equal(a:succeed("jq -r .x", { stdin = '{"x": "y"}' }), "y\n")
    check.equal(a:succeed("ls -a / | grep -c qn; stat -c %U:%a /root /tmp"), "0\nroot:700\nroot:1777\n")
end)
test("it is a system like others", function()
    check.equal(a:succeed("hostname; readlink /proc/self/exe; echo $HOME"), "a\n/usr/bin/readlink\n/root\n")
    check.equal(a:succeed("bash -c 'echo ${BASH_VERSION:+bash}'"), "bash\n")
    check.equal(a:succeed("id -un", { user = "someone" }), "someone\n")
    check.match(a:succeed("ping -c 2 b"), "bytes from b ")
    check.is_true(a:ok("modprobe wireguard && lsmod | grep -q wireguard"))
    check.is_true(a:ok("test -c /dev/ptmx && mountpoint /dev/pts && ip -br link show lo | grep -q LOOPBACK,UP"))
    check.near(tonumber((a:succeed("date +%s"))), os.time(), 5)
end)
test("what one writes, the other does not see, and addresses are random where asked for", function()
    a:succeed("echo mine >/usr/bin/mine; echo 10.9.9.9 other >>/etc/hosts")
    check.is_true(not b:ok("ls /usr/bin/mine") and not b:ok("grep other /etc/hosts"))
    check.equal(a:succeed("cat /proc/sys/kernel/randomize_va_space"), "0\n")
    check.equal(b:succeed("cat /proc/sys/kernel/randomize_va_space"), "2\n")
end)
test("it powers itself off", function() check.equal(a:shutdown(), true) end)
END
"$QEMUNET" test pair.lua --accel tcg >out 2>err
status=$?
[ $status = 0 ]
result $? "two machines of a declared image"
says err 'building the image tools' 'image: installing 1 packages'
result $? "who waits for it is told"

# Nothing is built again for the same contents under another name.
image build other --packages jq --run 'echo $(id -u) >/etc/made; useradd -m someone' --add added:/etc/added/it
[ $status = 0 ] && says out '^other: kernel' && ! says err 'building'
result $? "what is there is not built again"
image list
says out '^other .*jq' '^tiny '
result $? "the list has its name and packages"
script named <<'END'
check.equal(vm("c", { image = "other" }).image.name, "other")
check.raises(function() vm("d", { image = "othre" }) end, 'unknown image "othre" %(known: tiny, other%), and no file of that name; did you mean "other"%?')
END
run named.lua
[ $status = 0 ]
result $? "scripts find it by its name"
image remove other
[ $status = 0 ] && says out '^removed .*/debian-' && [ -z "$(ls -d cache/qemunet/debian-*[0-9a-f] cache/qemunet/names/* 2>/dev/null)" ]
result $? "it is removed"

# A build that is ended leaves nothing.
"$QEMUNET" image build other --packages jq >out 2>err &
pid=$!
started="$started $pid"
wait_for 60 grep -q 'installing' err
stop INT
[ $status = 130 ] && [ -z "$(ls -d cache/qemunet/debian-*[0-9a-f] cache/qemunet/debian-*.tmp 2>/dev/null)" ]
result $? "an interrupted build leaves no image"
finish
