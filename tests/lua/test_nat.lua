-- SPDX-License-Identifier: MIT
-- nat, of a host: the process outside of the run's network, its link and its end. Suite vm's test_nat has what a guest sees of it.

-- What listens on this machine; read before the run leaves the machine's network.
local function listening()
    local file <close> = assert(io.open("/proc/net/tcp"))
    return file:read("a")
end

local port
repeat port = math.random(20000, 60000) until not listening():find((":%04X "):format(port), 1, true)

-- A server of files at its loopback, which ends with this run: its input is a pipe from here.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") .. "data"
local server = assert(io.popen(("busybox httpd -f -p 127.0.0.1:%d -h %s & read _; kill $!"):format(port, folder), "w"))
eventually(20, function() return listening():find((":%04X 00000000:0000 0A"):format(port), 1, true) end, { every = "5ms" })

local h = host("h")
do
    local ok, why = pcall(boot)
    local made, problem = pcall(nat, h)
    if made then h.nics[1].link:remove() end
    why = not ok and why or not made and problem
    if why and (why:find("namespaces", 1, true) or why:find("/dev/net/tun", 1, true)) then skip(why) end
    if why then error(why, 0) end
end

-- What the server says, by way of the link.
local function fetch(out)
    return h:run(("busybox nc -w 5 %s %d"):format(out.gateway, port), { stdin = "GET /three.cch HTTP/1.0\r\n\r\n" }).stdout
end

test("it has a route, a nameserver, and what listens at this machine's loopback", function()
    local out = nat(h, { delay = "5ms" })
    check.equal({ out.gateway, out.nameserver, h:ip(out) }, { "100.64.1.2", "100.64.1.3", "100.64.1.1" })
    check.match(h:succeed("busybox ip route"), "default via 100%.64%.1%.2 dev eth0")
    check.equal(h:succeed("cat /etc/resolv.conf"), "nameserver 100.64.1.3\n")
    check.match(fetch(out), "oslo%-gw%.example%.net")
    check.is_true(out:stats().ab.delivered > 2)
    out:remove()
    check.equal({ #h.nics, (h:succeed("busybox ip route")) }, { 0, "" })
end)

test("without the loopback, nothing answers there", function()
    local out = nat(h, { host_loopback = false })
    check.equal(fetch(out), "")
    out:remove()
end)

test("a link that cannot come is not there; options are checked", function()
    check.raises(function() nat(h, { subnet = "100.70.0.0/30" }) end, "test_nat%.lua:%d+: nat: subnet .* is too small")
    check.raises(function() nat(h, { host_lopback = true }) end, -- no check
        'test_nat%.lua:%d+: nat: unknown option "host_lopback"')
    check.raises(function() nat(h, 5) end, "test_nat%.lua:%d+: nat: want nat%(node, options%)")
    check.equal(#h.nics, 0)
end)

test("a simulated node may have it, and it may be left to the end", function()
    local r = responder("r")
    check.equal(r:ip(nat(r, { host_loopback = false })), "100.64.3.1")
    server:close()
end)
