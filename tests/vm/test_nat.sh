#!/bin/sh
# SPDX-License-Identifier: MIT
# nat: a machine reaches what listens on this machine, through it alone.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

loopback_server

script nat <<'END'
local a = vm("a")
local other = responder("other")
local server = param("port")

local function says(to) return (a:run(("echo you | nc -w 5 %s %s"):format(to, server)).stdout) end

test("without it, this machine's network is unreachable", function()
    boot()
    check.equal(says("100.64.0.2"), "")
    check.equal(a:succeed("ip route"), "")
end)

local out
test("with it, also while the machine runs, what listens here answers", function()
    out = nat(a, { delay = "20ms" })
    check.equal({ out.gateway, out.nameserver, a:ip(out) }, { "100.64.0.2", "100.64.0.3", "100.64.0.1" })
    check.match(a:succeed("ip route"), "default via 100.64.0.2 dev " .. a:ifname(out))
    check.equal(a:succeed("cat /etc/resolv.conf"), "nameserver 100.64.0.3\n")
    check.equal(says(out.gateway), "hello you\n")
end)

test("it is a link as others", function()
    local ms = a:succeed("ping -c 1 -W 10 " .. out.gateway):match("time=([%d.]+)")
    check.is_true(tonumber(ms) >= 40)
    check.is_true(out:stats().ab.delivered > 5)
    local seen = out:on("tcp dst port " .. server, { count = 1 }, function(pkt) return pkt end)
    says(out.gateway)
    check.equal(seen:wait(10).dir, "ab")
    out:set { ab = { loss = 1 } }
    check.equal(says(out.gateway), "")
    out:set { loss = 0 }
    a:wait_until(("echo you | nc -w 5 %s %s | grep -q hello"):format(out.gateway, server), 20)
end)

test("a node that others cannot reach by it is not named to them by it", function()
    local l = link(a, other)
    check.match(a:succeed("cat /etc/hosts"), other:ip(l) .. " other")
    l:remove()
end)

test("it goes, and another has a subnet of its own; without the host's loopback", function()
    out:remove()
    check.equal(says("100.64.0.2"), "")
    out = nat(a, { host_loopback = false })
    check.equal(a:ip(out), "100.64.1.1")
    check.equal(says(out.gateway), "")
    check.raises(function() nat(a, { host_lopback = true }) end, "nat%.lua:%d+: nat: unknown option .host_lopback.")
    check.raises(function() nat(a, { subnet = "100.70.0.0/30" }) end, "is too small")
    check.raises(function() nat "nobody" end, "nat%.lua:%d+: nat: the first argument is not a node")
    check.equal(#a.nics, 1)
end)

test("the process behind it may die", function()
    print("ready")
    eventually(20, function() return not a:ok("ping -c 1 -W 1 " .. out.gateway) end)
    out:remove()
    out = nat(a)
    check.equal(says(out.gateway), "hello you\n")
end)
END

# grandchildren PID - the numbers of its children's children: of its children, QEMU has none.
grandchildren() {
    tr ' ' '\n' <"/proc/$1/task/$1/children" | while read -r child; do
        [ -z "$child" ] || cat "/proc/$child/task/$child/children"
    done
}

start nat.lua --param port="$port"
wait_for 120 is_ready
# shellcheck disable=SC2046 # a number a word
kill -KILL $(grandchildren "$pid")
wait "$pid"
status=$?
[ $status = 0 ]
result $? "a machine with nat, and without"
says err 'nat: the process behind link a--nat-2 has ended: nothing passes there any more'
result $? "the death of the process behind it is told"

finish
