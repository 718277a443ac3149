-- SPDX-License-Identifier: MIT
-- Virtual machines and hosts on the same links.

local h, other = host("h"), host("other")
local v = vm("v", { mem = "96M" })
local cable = link(h, v, { delay = "10ms" })
local sw = lan { v, other, h }
boot()

-- What ping measured at least, in ms.
local function ping(from, to)
    return tonumber(from:succeed("busybox ping -c 3 -W 10 " .. to):match("min/avg/max = ([%d.]+)/"))
end

test("each reaches the other, by name, over the link between them", function()
    check.is_true(ping(h, "v") >= 20)
    check.is_true(ping(v, "h") >= 20)
    check.equal({ h:ip(cable), v:ip(cable), h:ip(sw) ~= nil }, { "10.0.0.1", "10.0.0.2", true })
    check.is_true(ping(h, v:ip(sw)) < 1000)
    check.is_true(ping(other, v:ip(sw)) > 0)
end)

test("a connection between them carries every byte", function()
    local sum = h:succeed("head -c 1000000 /dev/urandom >/dev/shm/qn-mixed; md5sum </dev/shm/qn-mixed")
    local server = v:spawn("nc -l -p 5000 | md5sum", { timeout = 60 })
    v:wait_port(5000, 20)
    h:succeed("busybox nc v 5000 </dev/shm/qn-mixed; rm /dev/shm/qn-mixed", { timeout = 60 })
    check.equal(server:wait(60).stdout, sum)
end)

test("a cut is seen at both ends", function()
    cable:down()
    h:wait_until("grep -q 0 /sys/class/net/eth0/carrier", 10)
    v:wait_until("grep -q 0 /sys/class/net/eth0/carrier", 10)
    cable:up()
    v:wait_until("grep -q 1 /sys/class/net/eth0/carrier", 10)
    check.is_true(ping(h, "v") >= 20)
end)

test("sync starts commands on both kinds", function()
    local results = sync { [h] = "hostname", [v] = "hostname" }
    check.equal({ results[h].stdout, results[v].stdout }, { "h\n", "v\n" })
end)
