-- SPDX-License-Identifier: MIT
-- Links, switches and hubs between three machines. A delay or a rate has a lower bound that always holds; upper bounds
-- here only tell a sane value from a wrong one on a busy machine.

package.path = debug.getinfo(1, "S").source:match("^@(.*)vm/") .. "lua/?.lua;" .. package.path
local pcapng = require "pcapng"

-- So many that c has one PCI slot left.
local fillers = {}
for _ = 1, 22 do fillers[#fillers + 1], fillers[#fillers + 2] = "-device", "pci-testdev" end

local a, b, c = vm("a"), vm("b"), vm("c", { qemu = fillers })
local delayed = link(a, b, { delay = "20ms" })
local skewed = link(b, c, { ab = { delay = "30ms" }, ba = { delay = "5ms" }, mtu = 1400 })
local bare = link(a, c, { ip = false })
local office = lan({ a, b, c }, { subnet = "10.77.0.0/24" })
local bus = hub("bus", { subnet = "10.78.0.0/24" })
for _, node in ipairs { a, b, c } do bus:connect(node) end
boot()

-- What `n` pings of `size` bytes measured, in ms; the ping before them asks for the address.
local function ping_times(from, to, n, size)
    from:succeed("ping -c 1 -W 10 " .. to)
    local times = {}
    local out = from:succeed(("ping -c %d -i 0.02 -s %d %s"):format(n, size or 56, to))
    for ms in out:gmatch("time=([%d.]+) ms") do times[#times + 1] = tonumber(ms) end
    check.equal(#times, n, "answers")
    return times
end

local function smallest(times) return math.min(table.unpack(times)) end

local function answers(from, to) return from:ok("ping -c 1 -W 10 " .. to) end

-- Whether nothing comes within the time in which it usually does.
local function is_silent(from, to) return not from:ok("ping -c 1 -W 1 " .. to) end

local function wait_carrier(node, cable, value)
    node:wait_until(('[ "$(cat /sys/class/net/%s/carrier)" = %d ]'):format(node:ifname(cable), value), 20)
end

-- What nodes are given ------------------------------------------------------------------------------------------------

test("addresses and interfaces are where the language says", function()
    check.equal({ a:ip(delayed), b:ip(delayed) }, { "10.0.0.1", "10.0.0.2" })
    check.equal({ b:ip(skewed), c:ip(skewed) }, { "10.0.1.1", "10.0.1.2" })
    check.equal({ a:ip(office), b:ip(office), c:ip(office) }, { "10.77.0.1", "10.77.0.2", "10.77.0.3" })
    check.equal({ a:ip(1), a:ip() }, { "10.0.0.1", "10.0.0.1" })
    check.is_nil(a:ip(bare))
    for _, node in ipairs { a, b, c } do
        for i, nic in ipairs(node.nics) do
            local shown = node:succeed("ip addr show dev " .. node:ifname(i))
            check.match(shown, nic.mac)
            if nic.ip then check.match(shown, "inet " .. nic.ip:gsub("%.", "%%.") .. "/24 ") end
        end
    end
end)

test("names resolve to an address on a common link", function()
    local names = a:succeed("cat /etc/hosts; hostname")
    check.match(names, "\n10%.0%.0%.2 b\n")
    check.match(names, "\n127%.0%.1%.1 a\n")
    check.match(names, "\n10%.77%.0%.3 c\n")
    check.match(names, "\na\n$")
    for _, from in ipairs { a, b, c } do
        for _, to in ipairs { "a", "b", "c" } do from:succeed("ping -c 1 -W 10 " .. to) end
    end
end)

test("ip=false leaves the interface to the user", function()
    check.is_true(not a:ok(("ip addr show dev %s | grep -q 'inet '"):format(a:ifname(bare))))
    a:succeed(("ip addr add 192.168.9.1/24 dev %s"):format(a:ifname(bare)))
    c:succeed(("ip addr add 192.168.9.2/24 dev %s"):format(c:ifname(bare)))
    a:wait_until("ping -c 1 -W 1 192.168.9.2", 20)
end)

test("mtu is the interfaces' too", function()
    for _, node in ipairs { b, c } do
        check.equal(node:succeed(("cat /sys/class/net/%s/mtu"):format(node:ifname(skewed))), "1400\n")
    end
    ping_times(b, c:ip(skewed), 2, 3000)
    check.equal(skewed:stats().ab.mtu_drops, 0)
end)

-- What a link does ----------------------------------------------------------------------------------------------------

test("delay is one-way, in each direction", function()
    local least = smallest(ping_times(a, b:ip(delayed), 10))
    check.is_true(least >= 40, "early: " .. least)
    check.less(least, 80, "round trip over 2 x 20 ms")
    least = smallest(ping_times(c, b:ip(skewed), 10))
    check.is_true(least >= 35, "early: " .. least)
    check.less(least, 75, "round trip over 30 + 5 ms")
end)

test("set changes what it names and keeps the rest", function()
    delayed:set { delay = "60ms" }
    check.is_true(smallest(ping_times(a, b:ip(delayed), 3)) >= 120)
    delayed.ab:set { delay = 0 }
    local least = smallest(ping_times(a, b:ip(delayed), 10))
    check.is_true(least >= 60 and least < 110, "one way: " .. least)
    delayed:set { loss = 0 }
    check.is_true(smallest(ping_times(a, b:ip(delayed), 3)) >= 60)
    delayed:set { delay = 0 }
    check.less(smallest(ping_times(a, b:ip(delayed), 10)), 30)
    check.raises(function() delayed:set { delya = 1 } end, 'test_network%.lua:%d+: set: unknown option "delya"') -- no check
end)

test("loss=1 lets nothing pass, in the direction that it is set for", function()
    local before = delayed:stats()
    delayed.ab:set { loss = 1 }
    check.is_true(is_silent(a, b:ip(delayed)))
    local after = delayed:stats()
    check.is_true(after.ab.lost > before.ab.lost)
    check.equal({ after.ab.delivered, after.ba.lost }, { before.ab.delivered, before.ba.lost })
    delayed:set { ab = { loss = 0 }, ba = { loss = "100%" } }
    check.is_true(is_silent(a, b:ip(delayed)))
    check.is_true(delayed:stats().ab.delivered > before.ab.delivered)
    delayed:set { loss = 0 }
    a:wait_until("ping -c 1 -W 1 " .. b:ip(delayed), 20)
end)

test("stats count each frame once", function()
    local before = delayed:stats()
    ping_times(a, b:ip(delayed), 10)
    local after = delayed:stats()
    for _, way in ipairs { "ab", "ba" } do
        local sent, bytes = after[way].sent - before[way].sent, after[way].bytes - before[way].bytes
        check.is_true(sent >= 11 and sent < 30, way .. " sent " .. sent)
        check.is_true(bytes >= 11 * 98, way .. " bytes " .. bytes)
        check.equal(after[way].sent, after[way].delivered + after[way].lost + after[way].down_drops, way)
    end
end)

test("rate: bytes take their time, and arrive whole", function()
    delayed:set { rate = "1mbit" }
    b:succeed("rm -f /tmp/got; ip neigh | grep -q . || true")
    local receiver = b:spawn("nc -l -p 5000 >/tmp/got")
    b:wait_port(5000, 20)
    a:succeed("head -c 125000 /dev/urandom >/tmp/data")
    local begin = now()
    a:succeed(("nc %s 5000 </tmp/data"):format(b:ip(delayed)))
    check.is_true(receiver:wait(60).ok)
    check.is_true(now() - begin >= 1, "125 kB at 1 Mbit/s in " .. now() - begin)
    check.less(now() - begin, 10)
    check.equal(b:succeed("md5sum </tmp/got"), a:succeed("md5sum </tmp/data"))
    delayed:set { rate = "1gbit" }
end)

test("queue: what finds no place is dropped and counted", function()
    delayed.ab:set { rate = "100kbit", queue = 2 }
    local before = delayed:stats()
    a:run(("ping -c 20 -i 0.005 -s 1000 -W 2 %s"):format(b:ip(delayed)))
    check.is_true(delayed:stats().ab.queue_drops > before.ab.queue_drops)
    check.equal(delayed:stats().ba.queue_drops, 0)
    delayed.ab:set { rate = "1gbit", queue = 1000 }
end)

test("down and up: both ends lose their carrier and get it back", function()
    check.is_true(answers(a, b:ip(delayed)))
    local pulling = go(delayed.down, delayed)
    sleep(0)
    pulling:cancel() -- half-way, which is all the way
    check.equal({ delayed.is_up, tostring(delayed) }, { false, "link a--b (down)" })
    for _, node in ipairs { a, b } do wait_carrier(node, delayed, 0) end
    check.is_true(is_silent(a, b:ip(delayed)))
    delayed:down()
    delayed:up()
    for _, node in ipairs { a, b } do wait_carrier(node, delayed, 1) end
    a:wait_until("ping -c 1 -W 1 " .. b:ip(delayed), 20)
    wait_carrier(a, bare, 1)
end)

test("down: what is on its way is lost", function()
    delayed:set { delay = "30s" }
    local ping = a:spawn("ping -c 1 -W 3 " .. b:ip(delayed))
    eventually(20, function() return delayed:stats().ab.in_flight > 0 end, { every = "5ms" })
    delayed:down()
    check.equal(delayed:stats().ab.in_flight, 0)
    check.is_true(delayed:stats().ab.down_drops > 0)
    ping:kill()
    delayed:set { delay = 0 }
    delayed:up()
end)

test("a guest drops what was corrupted; a duplicate is seen as one", function()
    answers(a, b:ip(delayed)) -- asks for the address
    delayed.ab:set { corrupt = 1 }
    local before = delayed.ab:stats()
    check.is_true(is_silent(a, b:ip(delayed)))
    check.is_true(delayed.ab:stats().delivered > before.delivered)
    delayed.ab:set { corrupt = 0, duplicate = 1 }
    check.match(a:succeed("ping -c 3 -i 0.1 " .. b:ip(delayed)), "DUP!")
    delayed.ab:set { duplicate = 0 }
end)

-- Switches, hubs, routers ---------------------------------------------------------------------------------------------

-- How many bytes the node's cable brought it while fn ran.
local function heard(cable, fn)
    local before = cable:stats().ba.bytes
    fn()
    return cable:stats().ba.bytes - before
end
test("a switch sends a frame where its station is", function()
    ping_times(a, "10.77.0.3", 1)
    check.equal(#office.links, 3)
    check.less(heard(office.links[3], function() ping_times(a, "10.77.0.2", 10, 1000) end), 5000)
    check.is_true(heard(office.links[2], function() ping_times(a, "10.77.0.2", 10, 1000) end) >= 10000)
end)

test("a hub sends a frame everywhere", function()
    check.is_true(heard(bus.links[3], function() ping_times(a, "10.78.0.2", 10, 1000) end) >= 20000)
end)

test("a switch's cable can be cut alone", function()
    office.links[1]:down()
    wait_carrier(a, office, 0)
    check.is_true(is_silent(b, "10.77.0.1"))
    check.is_true(answers(b, "10.77.0.3"))
    office.links[1]:up()
    b:wait_until("ping -c 1 -W 1 10.77.0.1", 20)
end)

test("forwarding between links, by the guest", function()
    b:succeed("echo 1 >/proc/sys/net/ipv4/ip_forward")
    a:succeed("ip route add 10.0.1.0/24 via " .. b:ip(delayed))
    c:succeed("ip route add 10.0.0.0/24 via " .. b:ip(skewed))
    check.is_true(smallest(ping_times(a, c:ip(skewed), 3)) >= 35)
    local p = partition({ a }, { c })
    check.is_true(is_silent(a, c:ip(skewed)))
    check.is_true(answers(a, b:ip(delayed)))
    p:heal()
end)

-- Single packets ------------------------------------------------------------------------------------------------------

test("a trigger delays one packet, and a capture tells of it", function()
    local cap = delayed:capture("pings.pcapng")
    local h = delayed:on("icmp and icmp[0] == 8", { hold = true, nth = 2 }, function() return { delay = "150ms" } end)
    local out = a:succeed("ping -c 3 -i 0.3 " .. b:ip(delayed))
    local times = {}
    for ms in out:gmatch("time=([%d.]+) ms") do times[#times + 1] = tonumber(ms) end
    check.is_true(times[2] >= 150 and math.min(times[1], times[3]) < 150, table.concat(times, " "))
    check.equal(h.count, 1)
    cap:stop()
    local held, dirs = {}, { ab = 0, ba = 0 }
    for _, p in ipairs(pcapng.read(cap.path).packets) do
        local is_ping = p.data:byte(13) == 8 and p.data:byte(24) == 1
        if is_ping then dirs[p.dir] = dirs[p.dir] + 1 end
        if p.comment and p.comment:find("held") then held[#held + 1] = p.comment end
    end
    check.equal({ dirs, #held }, { { ab = 3, ba = 3 }, 1 })
    check.match(held[1], "^held by a trigger, delayed by a trigger, entered %d+%.%d+ ms before$")
end)

test("a trigger changes a packet's bytes, and the guest takes it", function()
    local h = delayed:on("tcp dst port 5001", { hold = true }, function(pkt)
        local at = pkt.data:find("hello", 1, true)
        return at and { data = pkt:replace(at, "jello") } or "pass"
    end)
    local receiver = b:spawn("nc -l -p 5001")
    b:wait_port(5001, 20)
    a:succeed(("echo hello, b | nc %s 5001"):format(b:ip(delayed)))
    check.equal(receiver:wait(20).stdout, "jello, b\n")
    h:cancel()
end)

test("a partition: its sides do not hear each other, though all is plugged in", function()
    local p = partition({ a }, { b, c })
    check.is_true(is_silent(a, "10.77.0.2"))
    check.is_true(is_silent(b, a:ip(delayed)))
    check.is_true(answers(b, "10.77.0.3"))
    p:heal()
    a:wait_until("ping -c 1 -W 1 10.77.0.2", 20)
end)

test("a source's packets pass a guest that routes, and are what a kernel takes for UDP", function()
    local function taken() -- by no socket, since none listens; nor refused
        local counts = c:succeed("grep Udp: /proc/net/snmp | tail -n 1")
        local none, wrong, checksum = counts:match("^Udp: %d+ (%d+) (%d+) %d+ %d+ %d+ (%d+)")
        check.equal({ wrong, checksum }, { "0", "0" })
        return tonumber(none)
    end
    local before = taken()
    local s = source(a, { rate = "800kbit", size = 200, count = 50, to = c:ip(skewed), gateway = b, deliver = true, start = true })
    eventually(20, function() return s:report().received == 50 end)
    eventually(20, function() return taken() == before + 50 end)
    check.is_true(s:report().delay.min >= 0.030)
    check.equal(s:report().lost, 0)
end)

-- Links that come and go ----------------------------------------------------------------------------------------------

-- The names of a node's network interfaces, but for lo.
local function interfaces(node)
    local names = {}
    for name in node:succeed("ls /sys/class/net"):gmatch("%S+") do
        if name ~= "lo" then names[#names + 1] = name end
    end
    return names
end
test("links come to machines that run and go, and traffic elsewhere loses nothing", function()
    local booted = a:succeed("cat /proc/sys/kernel/random/boot_id")
    local before, n = interfaces(a), #a.nics
    local steady = a:spawn("ping -i 0.02 " .. b:ip(office))
    steady:expect("seq=1", 20)
    local live = link(a, c, { delay = "5ms", mtu = 1400 })
    check.equal({ #a.nics, a:ifname(live), #interfaces(a) }, { n + 1, "eth" .. n, #before + 1 })
    check.is_true(smallest(ping_times(a, c:ip(live), 3)) >= 10)
    check.equal(a:succeed(("cat /sys/class/net/%s/mtu"):format(a:ifname(live))), "1400\n")
    live:remove()
    check.equal({ #a.nics, interfaces(a) }, { n, before })
    check.raises(function() live:up() end, "test_network%.lua:%d+: link a%-%-c%-2 was removed")
    check.raises(function() live:set { delay = 1 } end, "was removed")
    check.raises(function() return a:ip(live) end, "no network interface link a%-%-c%-2 ")
    live = link(a, c)
    check.equal({ a:ifname(live), a:ip(live):match("^10%.0%.%d+%.1$") }, { "eth" .. n, a:ip(live) })
    ping_times(a, c:ip(live), 3)
    steady:kill("INT")
    local next_seq = 0
    for seq in steady:wait(20).stdout:gmatch("seq=(%d+)") do
        check.equal(tonumber(seq), next_seq, "the next answer")
        next_seq = next_seq + 1
    end
    check.is_true(next_seq > 10)
    live:remove()
    check.equal(a:succeed("cat /proc/sys/kernel/random/boot_id"), booted)
end)

test("links that come at once, also of one machine, and to simulated nodes; all learn the names", function()
    local r = responder("r")
    local making = { go(link, a, r), go(link, a, r), go(lan, { a, b }) }
    local first = making[1]:join()
    making[2]:join()
    local both = making[3]:join()
    check.equal({ #both.links, #a.nics }, { 2, #interfaces(a) })
    a:succeed("ping -c 1 -W 10 r")
    ping_times(a, b:ip(both), 2)
    check.match(b:succeed("cat /etc/hosts"), "\n" .. r:ip(first):gsub("%.", "%%.") .. " r\n")
    for _, l in ipairs(both.links) do l:remove() end
    check.equal({ #both.links, #a.nics }, { 0, #interfaces(a) })
    first:down()
    first:remove()
    check.equal(#r.nics, 1)
end)

test("a guest that lets interfaces go while others come takes out none of these", function()
    local n_a, n_b, leaving = #a.nics, #b.nics, {}
    for _ = 1, 3 do
        for _, l in ipairs(all { go(link, a, b), go(link, a, b) }) do leaving[#leaving + 1] = go(l.remove, l) end
    end
    all(leaving)
    check.equal({ #a.nics, #b.nics, #interfaces(a), #interfaces(b) }, { n_a, n_b, n_a, n_b })
end)

test("a guest that takes an interface out before it has used it is given it again", function()
    a:succeed("echo 0 >/sys/bus/virtio/drivers_autoprobe")
    local making, slot = go(link, a, b), nil
    eventually(20, function()
        local idle = a:succeed("for d in /sys/bus/virtio/devices/*; do [ -e $d/driver ] || readlink -f $d; done")
        slot = idle:match(":(%x+)%.0/virtio%d+\n$")
        return slot
    end)
    a:succeed(("echo 1 >/sys/bus/virtio/drivers_autoprobe; echo 0 >/sys/bus/pci/slots/%d/power"):format(tonumber(slot, 16)))
    local l = making:join()
    ping_times(a, b:ip(l), 1)
    l:remove()
end)

test("a link that cannot come is not there at all", function()
    local n_a, n_c = #a.nics, #c.nics
    link(a, c):remove()
    local last = link(a, c)
    check.raises(function() link(a, c) end, "test_network%.lua:%d+: link a%-%-c%-%d: c: no PCI slot is left")
    last:remove()
    a:pause()
    check.raises(function() link(a, c) end, "test_network%.lua:%d+: link a%-%-c%-%d: a: it is paused: resume it first")
    a:resume()
    check.raises(function() timeout(0.005, function() link(a, c) end) end, "timed out")
    check.equal({ #a.nics, #c.nics }, { n_a, n_c })
    eventually(20, function() return #interfaces(a) == n_a and #interfaces(c) == n_c end)
end)

test("a machine that ends while it gets a link takes no other along", function()
    local n_a, n_c = #a.nics, #c.nics
    local making = go(function() return select(2, pcall(link, a, c)) end)
    eventually(5, function() return #a.nics > n_a end, { every = 0 })
    c:crash()
    check.match(making:join(), "link a%-%-c%-%d: c: it is crashed: power cut")
    check.equal({ #a.nics, #c.nics }, { n_a, n_c })
    eventually(20, function() return #interfaces(a) == n_a end)
end)

test("a machine boots with the links that there are, and one that comes meanwhile", function()
    local booting, l = go(c.boot, c), nil
    eventually(20, function() return c.state == "booting" end, { every = "5ms" })
    bare:remove()
    l = link(b, c)
    check.equal(c.state, "up")
    booting:join()
    ping_times(b, c:ip(l), 2)
    check.equal({ #interfaces(c), #interfaces(a) }, { #c.nics, #a.nics })
    check.match(c:succeed("ip addr show dev " .. c:ifname(skewed)), "inet " .. c:ip(skewed):gsub("%.", "%%.") .. "/24 ")
end)
