-- SPDX-License-Identifier: MIT
-- Simulations of ns-3's with hosts and simulated nodes: what passes, what is known, what is told of, and what goes wrong.

local core = require "qemunet.core"
local inventory = require "qemunet.report.inventory"

local possible, why = pcall(function()
    boot(host("probe"))
    return ns3()
end)
if not possible then
    for _, lacking in ipairs { "libns3-dev", "namespaces", "/dev/net/tun" } do
        if tostring(why):find(lacking, 1, true) then skip(tostring(why)) end
    end
    error(why, 0)
end

local count = 0

-- Nodes with names of their own.
local function new_host()
    count = count + 1
    return host("h" .. count)
end

local function new_node(net)
    count = count + 1
    return net:node("s" .. count)
end

-- Whether a node, or what has an address, answers.
local function ping(from, to, opts)
    if type(to) == "table" then boot(to) end
    return from:ok(("ping -c 1 -W 10 %s %s"):format(opts or "", type(to) == "table" and to.name or to))
end

local function raises(pattern, fn, ...)
    local args = table.pack(...)
    local ok, problem = pcall(function()
        fn(table.unpack(args, 1, args.n))
        return true
    end)
    check.is_true(not ok, "it did not raise: " .. pattern)
    check.match(tostring(problem), pattern)
    check.match(tostring(problem), "test_ns3%.lua:%d+: ")
end

test("csma: hosts and a simulated node ping each other, by their names", function()
    local net = ns3 { seed = 1 }
    local a, b, c = new_host(), new_host(), new_node(net)
    local bus = net:csma { a, b, c, rate = "100mbit", delay = "1us" }
    check.is_true(ping(a, b) and ping(a, c) and ping(b, c))
    check.equal({ a:ip(bus), b:ip(bus) }, { a:ip(), b:ip() })
    check.match(c:run("true").error, "simulated by ns%-3: it takes no commands")
    local counters = net:counters(c)[bus]
    check.less(1, counters.rx_packets)
    check.equal(counters.drops, 0)
    check.equal(net:counters(a)[bus].uncarried, 0)
    local of_c = net:counters(c)
    check.equal(of_c.rx_packets, of_c[bus.name].rx_packets)
    check.equal(json.decode(json.encode(of_c))[bus.name].rx_packets, of_c[bus].rx_packets)
    check.equal(#net:csma { { new_host(), new_host() } }.links, 2)
    local silent = net:on("drop", { node = c })
    net:close()
    check.equal({ silent:wait(1) }, { nil, "drop: no event: the simulation was closed", "ended" })
    raises("was closed", net.stats, net)
end)

test("csma: one frame at a time, at its rate", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    net:csma { a, b, rate = "1mbit", delay = 0 }
    ping(a, b)
    -- 1000 bytes of payload, 8 of ICMP, 20 of IP, 18 of Ethernet, there and back.
    local rtt = tonumber(a:succeed("ping -c 1 -s 1000 " .. b.name):match("time=([%d.]+)"))
    check.less(2 * 1046 * 8 / 1e6 * 1000 - 0.01, rtt)
end)

test("p2p: IP passes, with its delay, and a ghost answers for who is at the other end", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    local link = net:p2p(a, b, { rate = "10mbit", delay = "5ms" })
    ping(a, b)
    local rtt = tonumber(a:succeed("ping -c 1 " .. b.name):match("time=([%d.]+)"))
    check.less(10, rtt)
    check.match(a:succeed("ip neigh show " .. b:ip(link)), b.nics[1].mac)
    local own = b:succeed("ip -6 addr show dev eth0"):match("fe80:[%x:]+")
    if own then check.is_true(a:ok(("ping -6 -c 1 -W 5 %s%%eth0"):format(own))) end
    raises("want two nodes", net.p2p, net, a)
    raises("is in it twice", net.p2p, net, a, a)
    raises("want two nodes and a table of options", net.p2p, net, a, b, new_host())
    raises("want two nodes and a table of options", net.p2p, net, a, b, { new_host() })
    raises("has two ends", link.join, link, new_host())
end)

test("a medium that cannot be made leaves nothing on its nodes", function()
    local net, other = ns3(), ns3()
    local a, b, s = new_host(), new_host(), new_node(net)
    raises("is in it twice", net.csma, net, { s, a, { s } })
    raises("is a node of another simulation", net.csma, net, { s, a, new_node(other) })
    raises("rate: must be at most", net.csma, net, { a, s, rate = 1e30 })
    raises("delay: must be at most", net.csma, net, { a, s, delay = 1e9 })
    raises("queue: must be at least 1", net.csma, net, { a, s, queue = 0 })
    raises("queue: must be at most", net.p2p, net, a, s, { queue = 1 << 40 })
    raises("bad value x for ns3::YansWifiPhy::TxPowerEnd", net.wifi, net, { a, s, phy = { TxPowerEnd = "x" } })
    raises("is not a manager of Wi%-Fi stations", net.wifi, net, { a, s, manager = "ns3::CsmaNetDevice" })
    raises("bad value .*nan for .*Exponent", net.wifi, net, { a, s, loss = { "log-distance", exponent = 0 / 0 } })
    raises("positions: .* is not among the nodes", net.wifi, net, { a, s, positions = { [b] = { 0, 0 } } })
    local walks = { "RandomWalk2dMobilityModel", Bounds = "-50|50|-50|50" }
    net:wifi { a, mobility = walks }
    raises("has a mobility model already", net.wifi, net, { s, a, mobility = walks }) -- when s is on it
    check.equal({ #a.nics, #s.nics }, { 1, 0 })
    check.equal(#net:routes(s), 1) -- to itself
    net:csma { a, b, s }
    check.is_true(ping(b, s))
    other:close()
    other:close()
    raises("node: ns3.* was closed", other.node, other, "later")
    check.is_true(net:node("later") ~= nil)
    raises("bad node name nil", net.node, net)
end)

test("a run's topology has simulated nodes, and what joins them", function()
    local net = ns3()
    local a, r = new_host(), new_node(net)
    local medium = net:csma { a, r }
    local ends, kinds = {}, {}
    local found = inventory.collect()
    for _, l in ipairs(found.links) do ends[#ends + 1] = l.b == medium.name and l.a or nil end
    for _, other in ipairs(found.others) do kinds[other.name] = other.kind end
    check.equal(ends, { r.name, a.name })
    check.equal(kinds[medium.name], "medium")
    net:close()
end)

test("p2p: what is for a group has the group's address again", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    local link = net:p2p(a, b)
    boot(a, b)
    local group = link.links[2]:on("ether dst 01:00:5e:00:00:01 and icmp", { count = 1 })
    a:run("ping -c 1 -W 1 -I eth0 224.0.0.1")
    check.is_true(group:wait(5) ~= nil)
end)

test("what a medium does not carry is counted; who is promiscuous hears what is for others", function()
    local net = ns3()
    local a, b, c, s = new_host(), new_host(), new_host(), new_node(net)
    local bus = net:csma { a, b, s }
    boot(a, b, c)
    local l = bus.links[1]
    core.link_send(l.id, l.a == a and 0 or 1, ("\xff"):rep(6) .. "\2\0\0\0\0\9\0\46" .. ("\0"):rep(46)) -- IEEE 802.3
    eventually(5, function() return net:counters(a).uncarried == 1 end)
    net:set(("/Names/%s/DeviceList/*/$ns3::CsmaNetDevice/Mtu"):format(s.name), 1800)
    check.is_true(not ping(a, s, "-W 1 -s 1700")) -- comes in fragments; the answer is one frame
    check.equal(net:counters(a).uncarried, 2)
    check.is_true(ping(a, s))

    local others = ("icmp and ether dst %s"):format(s.nics[1].mac)
    local own = bus.links[2]:on(others)
    local loud = net:csma { a, c, s, promiscuous = true }
    local heard = loud.links[2]:on(("icmp and dst %s"):format(s:ip(loud)), { count = 1 })
    check.is_true(ping(a, s) and a:ok("ping -c 1 " .. s:ip(loud)))
    check.is_true(heard:wait(5) ~= nil)
    check.equal(own.count, 0)
end)

test("simulated nodes route, and run applications", function()
    local net = ns3()
    local a, b, r, s = new_host(), new_host(), new_node(net), new_node(net)
    local left = net:p2p(a, r)
    local middle = net:p2p(r, s)
    local right = net:p2p(s, b)
    local function subnet(node, medium) return (node:ip(medium):gsub("%d+$", "0/24")) end
    r:route(subnet(b, right), s)
    s:route(subnet(a, left), r)
    a:succeed("ip route add default via " .. r:ip(left))
    b:succeed("ip route add default via " .. s:ip(right))
    boot(b)
    check.is_true(ping(a, b:ip()))
    local routes = net:routes(r)
    check.equal(routes[#routes].network .. "/" .. routes[#routes].prefix, subnet(b, right))
    check.equal(net:routes(a)[1].via, r:ip(left))
    raises("is on none of the node's subnets", r.route, r, "10.250.0.0/24", "10.250.0.1")
    for _, wrong in ipairs { "nowhere", "10.1.0.0/33", "300.1.0.0/16" } do raises("want a network", r.route, r, wrong, s) end

    local sink = s:sink { port = 5000, protocol = "tcp" }
    check.is_true(a:ok("head -c 100000 /dev/zero | nc -N -w 5 " .. s:ip(right) .. " 5000"))
    check.equal(sink:report().rx_bytes, 100000)
    s:echo()
    check.equal(a:succeed("echo hello | nc -u -w 1 " .. s:ip(middle) .. " 7"), "hello\n")
    local flow = s:on_off { to = r, rate = "1mbit", size = 500 }
    local heard = r:sink()
    eventually(10, function() return heard:report().rx_packets > 10 end)
    flow:stop()
    local after = flow:report().tx_packets
    check.less(0, after)
    sleep("20ms")
    check.equal(flow:report().tx_packets, after)
    local bulk_sink = r:sink { port = 6000, protocol = "tcp" }
    s:bulk_send { to = r, port = 6000, size = 50000 }
    eventually(10, function() return bulk_sink:report().rx_bytes == 50000 end)
    raises("ns%-3 has no type ns3::Nothing", s.application, s, "ns3::Nothing")
    raises("has no attribute Rat; it has: ", s.application, s, "ns3::OnOffApplication", { attributes = { Rat = 1 } })
    raises("UdpEchoClient listens on no port", s.application, s, "ns3::UdpEchoClient", { port = 5 })
    raises("UdpEchoServer sends to nobody", s.application, s, "ns3::UdpEchoServer", { to = r })
    raises("is simulated by ns%-3: what it hears", partition, { a }, { s })
    raises("is simulated by ns%-3: its traffic", source, a, { to = r, rate = 1e6 })
    raises("is simulated by ns%-3: its traffic", source, r, { to = a, rate = 1e6 })
    raises("did you mean", s.on_off, s, { to = r, rte = 1 })
    raises("rate: must be at most", s.on_off, s, { to = r, rate = 1e30 })
    raises("on: must be at least", s.on_off, s, { to = r, on = 0 })
    raises("999.1.1.1 has no address", s.on_off, s, { to = "999.1.1.1" })
    raises("listens on UDP port 7 already: ns3::UdpEchoServer", s.sink, s, { port = 7 })
    sink:stop()
    check.equal(s:sink { port = 5000, protocol = "tcp" }:report().rx_bytes, 0)
end)

test("wifi, ad hoc: heard within the range, by the model's power; a node moves out of it", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    local air = net:wifi { a, b, positions = { { 0, 0 }, [b.name] = { 20, 0 } }, loss = { "log-distance", exponent = 3 } }
    check.is_true(ping(a, b))
    check.near(net:power(a, b), 16.0206 - 46.6777 - 30 * math.log(20, 10), 0.01)
    check.equal({ b:position() }, { 20, 0 })
    local turns = net:on("course_change", { node = b })
    check.near(b:move(60, 0, { over = "0.2s" }), 0.2, 1e-6)
    check.is_true(turns:wait().time <= now())
    repeat until turns:wait(5).vx == 0 -- it has come to its end
    check.equal({ b:position() }, { 60, 0 })
    check.is_true(not ping(a, b, "-W 1"))
    b:move(70, 0, { over = "0.2s" })
    b:move(10, 0) -- in the place of that
    net:schedule(now() + 0.3, function() end):wait(5)
    check.equal({ b:position() }, { 10, 0 })
    check.is_true(ping(a, b))
    check.equal(net:queues(a)[air].packets, 0)
    local c, d = new_host(), new_host()
    air:join(c, { 3, 4 })
    air:join(d)
    check.equal({ c:position() }, { 3, 4 })
    check.equal({ d:position() }, { 15, 0 }) -- the fourth of the row
    check.is_true(ping(c, a))
    raises("is on no medium of the simulation", net.position, net, new_host())
end)

test("wifi: nodes that move by models, ns-3's and ours", function()
    local net = ns3()
    local a, b, c = new_host(), new_host(), new_host()
    net:wifi { a, mobility = { "RandomWalk2dMobilityModel", Bounds = "-50|50|-50|50" }, positions = { { 1, 1 } }, standard = "80211g" }
    net:wifi { b, c, mobility = { "random_waypoint", area = { 100, 100 }, speed = 5 } }
    for _, each in ipairs { a, b, c } do
        local x, y = each:position()
        eventually(5, function()
            local other_x, other_y = each:position()
            return other_x ~= x and other_y ~= y
        end)
    end
    raises("has a mobility model already", net.wifi, net, { a, mobility = "RandomWalk2dMobilityModel" })
    raises("ns%-3 has no type ns3::Nothing", net.wifi, net, { new_host(), mobility = "Nothing" })
    raises("want a name, or .* not 5", net.wifi, net, { a, loss = { 5 } })
    raises("want metres, a number, not nil", net.wifi, net, { b, positions = { { 1 } } })
end)

test("wifi with an access point, which is one of the nodes", function()
    local net = ns3()
    local a, b, ap = new_host(), new_host(), new_node(net)
    net:wifi { a, b, ap, mode = "infrastructure", ap = ap, standard = "802.11n", loss = { "range", range = 100 } }
    eventually(20, function() return ping(a, ap, "-W 1") and ping(a, b, "-W 1") end)
    raises("is not among the nodes", net.wifi, net, { a, mode = "infrastructure", ap = b })
    raises('ap= goes with mode="infrastructure"', net.wifi, net, { a, ap = a })
    raises("did you mean", net.wifi, net, { a, loss = "log-distanc" })
    raises("802.11z", net.wifi, net, { a, standard = "802.11z" })
end)

test("attributes by their paths, and what is wrong with them", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    net:wifi { a, b }
    local phy = ("/Names/%s/DeviceList/*/$ns3::WifiNetDevice/Phy/"):format(a.name)
    check.equal(net:set(phy .. "TxPowerEnd", 10), 1)
    check.equal(net:set("/NodeList/*/DeviceList/*/$ns3::WifiNetDevice/Phy/TxPowerStart", "10"), 2)
    check.equal({ net:get(phy .. "TxPowerEnd") }, { 10.0, { 10.0 } })
    check.near(net:power(a, b), 10 - 46.6777 - 30 * math.log(5, 10), 0.01)
    check.equal(net:set("ns3::CsmaChannel::Delay", "1ms"), 1)
    raises("has no attribute TxPower; it has: ", net.set, net, phy .. "TxPower", 1)
    raises("no object has the path /NodeList/99", net.set, net, "/NodeList/99/Id", 1)
    raises("ns%-3 has no type ns3::WifiNetDevce", net.set, net, "/NodeList/0/DeviceList/0/$ns3::WifiNetDevce/Mtu", 1)
    raises("bad value ten for ns3::YansWifiPhy::TxPowerEnd: want ns3::DoubleValue", net.set, net, phy .. "TxPowerEnd", "ten")
    raises("bad value 5 parsecs for ns3::CsmaChannel::Delay: want ns3::TimeValue", net.set, net, "ns3::CsmaChannel::Delay",
        "5 parsecs")
    raises("no global value Nothing", net.set, net, "Nothing", 1)
    raises("RngSeed cannot be set to x", net.set, net, "RngSeed", "x")
    check.equal({ net:get("ns3::CsmaChannel::Delay"), (net:get("ChecksumEnabled")) }, { "+1e+06ns", true })
    net:csma { a, b }
    raises("YansWifiChannel has no attribute Delay", net.set, net, "/ChannelList/*/Delay", "2ms")
    check.equal(net:get("/ChannelList/1/Delay"), "+6560ns") -- none was set
    raises("no object has the path", net.get, net, "/NodeList/\0/Id")
    raises("cannot be told to the simulation: it takes %d+ bytes", net.get, net, ("/x"):rep(1 << 20))
    raises("bad path", net.get, net, "/NodeList")
    raises("want a string, a number or a boolean", net.set, net, phy .. "TxPowerEnd", {})
end)

test("on: tx, rx, drop, a trace path; nth, count, cancel, wait", function()
    local net = ns3()
    local a, b = new_host(), new_node(net)
    local bus = net:csma { a, b }
    local path_events = {}
    net:on("/NodeList/*/$ns3::Ipv4L3Protocol/Drop", function(e) path_events[#path_events + 1] = e end)
    local first = net:on("rx", { node = b, count = 1 })
    local all = net:on("tx", { node = a })
    ping(a, b)
    local event = first:wait(5)
    check.equal({ event.node, event.source, event.event, event.last }, { b.name, "MacRx", "rx", true })
    check.less(event.time, now())
    check.less(60, all:wait(5).size + all:wait(5).size)
    check.equal({ first:wait(1) }, { nil, "rx: no event: it has happened as often as it was to", "ended" })
    all:cancel()
    local before = all.count
    ping(a, b)
    check.equal(all.count, before)

    a:succeed("ip route add 10.251.0.0/16 via " .. b:ip(bus))
    ping(a, "10.251.0.1", "-W 1")
    eventually(5, function() return path_events[1] end)
    check.equal({ path_events[1].reason, path_events[1].node, path_events[1].to }, { "no route", b.name, "10.251.0.1" })
    local flood = b:on_off { to = a, rate = "200mbit", size = 1400 }
    local drop = net:on("drop", { node = b, nth = 2 }):wait(20)
    flood:stop()
    check.match(drop.source, "Drop")
    local every = net:on("/NodeList/*/DeviceList/*/$ns3::CsmaNetDevice/MacTx")
    local own = net:on("/NodeList/*/DeviceList/*/$ns3::CsmaNetDevice/MacTx", { node = a })
    local named = net:on(("/Names/%s/DeviceList/*/$ns3::CsmaNetDevice/MacTx"):format(b.name))
    ping(a, b)
    check.equal(named:wait(5).node, b.name)
    check.is_true(every.count >= own.count + named.count)
    for _ = 1, own.count do check.equal(own:wait(5).node, a.name) end
    raises("no object of .* has the path", net.on, net, "/NodeList/*/$ns3::Ipv4L3Protocol/Drop", { node = a })
    raises("has no trace source Nothing; it has: ", net.on, net, "/NodeList/*/$ns3::Ipv4L3Protocol/Nothing")
    raises("no object has the path", net.on, net, "/NodeList/*/$ns3::TcpL4Protocol/SocketList/*/CongState")
    raises('not ctx; did you mean "tx"', net.on, net, "ctx")
end)

test("a queueing discipline's sources that are registered with another type", function()
    local net = ns3()
    local a, b = new_host(), new_node(net)
    net:csma { a, b }
    local discipline = "/NodeList/*/$ns3::TrafficControlLayer/RootQueueDiscList/*/"
    check.is_true(net:on(discipline .. "DropBeforeEnqueue") ~= nil)
    local waiting = net:on(discipline .. "PacketsInQueue")
    check.is_true(ping(a, b))
    check.is_true(waiting:wait(5).value ~= nil)
end)

-- Has fn(t) made for an instant t of the simulation, and tell when that came, until this machine was not too late for it.
local function in_time(fn)
    for _, lead in ipairs { 0.05, 0.5, 5 } do
        local t = now() + lead
        local came = fn(t)
        if math.abs(came - t) <= 1e-6 then return end
        check.less(t, came, "it came too early:")
    end
    error("it came too late three times")
end

test("schedule and at: instants of the simulation", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    net:csma { a, b }
    boot(a, b)
    in_time(function(t)
        local called = event("called")
        local handle = net:schedule(t, function(e) called:set(e) end)
        local came = called:wait(20).time
        check.equal(handle.ended, "it has happened as often as it was to")
        return came
    end)
    in_time(function(t)
        local results, spread, happened = net:at(t, { [a] = "echo a", [b] = "echo b" }):join()
        check.equal({ results[a].stdout, results[b].stdout }, { "a\n", "b\n" })
        check.near(results[a].started - happened.time, results[a].offset, 1e-6)
        check.is_true(spread >= 0 and results[a].offset > 0 and results[b].offset > 0)
        return happened.time
    end)
    raises("at: nobody is not a node", net.at, net, 1, { nobody = "true" })
    local never = net:schedule(1e18, function() end)
    check.is_true(net:schedule(0, function() end):wait(5) ~= nil, "at once when it has passed")
    check.equal(never.count, 0)
end)

test("release: commands start with an event; sync{} as its argument, or the table alone", function()
    local net = ns3()
    local a, b = new_host(), new_node(net)
    local bus = net:csma { a, b }
    boot(a)
    for _, way in ipairs { function(h) return h:release(sync { [a] = "echo go" }) end,
        function(h) return h:release { [a] = "echo go" } end,
        function(h) return sync { [a] = "echo go", on = h } end } do
        local begun = now()
        local sent = net:on("tx", { node = b, count = 1 })
        local flow = go(function()
            sleep("0.2s")
            return b:on_off { to = a, rate = "100kbit" }
        end)
        local results, _, happened = way(sent)
        flow:join():stop()
        check.equal(results[a].stdout, "go\n")
        check.less(begun + 0.2, happened.time)
        check.near(results[a].offset, results[a].started - happened.time, 1e-6)
        check.less(0, results[a].offset)
    end
    check.equal(sync { [a] = "echo alone" }[a].stdout, "alone\n") -- waits for nothing
    check.is_true(net:counters(b)[bus].tx_packets > 0)
end)

test("a link to a medium: captured, cut, removed; nodes join later", function()
    local net = ns3()
    local a, b, c = new_host(), new_host(), new_host()
    local bus = net:csma { a, b }
    check.is_true(ping(a, b))
    local seen = bus.links[1]:on("icmp", { count = 1 })
    bus:join(c)
    check.is_true(ping(a, c))
    check.is_true(seen:wait(5) ~= nil)
    bus.links[2]:down()
    check.is_true(not ping(a, b, "-W 1"))
    bus.links[2]:up()
    check.is_true(ping(a, b))
    bus.links[2]:remove()
    check.equal(#bus.links, 2)
    check.equal(#b.nics, 0)
    local left, stayed = net:on("rx", { node = b }), net:on("rx", { node = c })
    local l = bus.links[1]
    core.link_send(l.id, l.a == a and 0 or 1, ("\xff"):rep(6) .. "\2\0\0\0\0\9\8\0" .. ("\0"):rep(46)) -- a broadcast
    check.is_true(stayed:wait(5) ~= nil)
    check.is_true(ping(a, c))
    check.equal(left.count, 0)
    raises("is on .* already", bus.join, bus, a)
    raises("net:csma, net:p2p and net:wifi join it", link, new_node(net), a)
    raises("is not a node", net.csma, net, { a, "nobody" })
end)

for _, which in ipairs { "first", "second" } do
    test("a simulation's nodes can be declared in each test: the " .. which, function()
        local net = ns3()
        local a, s = host("again"), net:node("again-s")
        net:csma { a, s }
        check.equal({ #a.nics, #s.nics }, { 1, 1 })
        check.is_true(ping(a, s))
    end)
end

test("its lateness is measured", function()
    local net = ns3()
    local a, b = new_host(), new_host()
    net:csma { a, b }
    check.is_true(ping(a, b))
    eventually(5, function() return net:stats().lateness.count > 10 end)
    local late = net:stats().lateness
    check.is_true(late.p50 <= late.p99 and late.p99 <= late.max and late.mean > 0 and #late.histogram > 0)
    raises("did you mean", ns3, { sed = 1 })
end)

-- Runs that fail ----------------------------------------------------------------------------------------------------------

-- Runs a script by itself. Returns its exit status, what it said, and its run's files: {[name]=contents}.
local function run(script, environment)
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local out = path .. "-run"
    local program = core.real_path("/proc/self/exe")
    local said <close> = assert(io.popen(("%s '%s' run -q --allow-host '%s' --out '%s' 2>&1; echo $?"):format(environment or "",
        program, path, out)))
    local text = said:read("a")
    local files = {}
    for name in assert(io.popen(("ls '%s'"):format(out))):lines() do
        local kept <close> = assert(io.open(out .. "/" .. name, "rb"))
        files[name] = kept:read("a") -- nil of a folder
    end
    os.execute(("rm -rf '%s' '%s'"):format(out, path))
    return tonumber(text:match("(%d+)\n$")), text, files
end

-- How many packets a capture holds, whose last is whole; see the manual page pcap-savefile(5).
local function packets_of(capture)
    local at, n = 25, 0
    while at <= #capture do
        local length = string.unpack("<I4", capture, at + 8)
        at, n = at + 16 + length, n + 1
    end
    check.equal(at, #capture + 1)
    return n
end

test("what ns-3 itself finds wrong ends the run, with its words", function()
    local status, said = run [[
        local net = ns3 { hard_limit = "1us" }
        net:csma { host("a"), host("b") }
        sleep(20)
    ]]
    check.equal(status, 3)
    check.match(said, "Hard real%-time limit exceeded")
end)

test("a simulation that dies, or says what is not JSON, ends the run", function()
    local status, said = run [[
        local net = ns3()
        net:csma { host("a"), host("b") }
        net.child.process:kill()
        net:stats()
    ]]
    check.equal(status, 3)
    check.match(said, "ns%-3 was killed by signal 9, asked for stats")
    status, said = run("ns3()", "QEMUNET_NS3=/bin/cat")
    check.equal(status, 3)
    check.match(said, "ns%-3 ended with status 1, asked for ns3:\n.*/bin/cat: ")
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write("#!/bin/sh\necho nonsense >&0\nexec sleep 10\n")
    file:close()
    os.execute("chmod +x " .. path)
    status, said = run("ns3()", "QEMUNET_NS3=" .. path)
    os.remove(path)
    check.equal(status, 3)
    check.match(said, 'ns%-3 answered what is not JSON, "nonsense"')
end)

test("a qemunet without ns-3 says what it needs", function()
    local status, said = run("ns3()", "QEMUNET_NS3=/nonexistent")
    check.equal(status, 3)
    check.match(said, "apt%-get install libns3%-dev")
end)

test("pcap: each device's file is complete", function()
    local status, said, files = run [[
        local net = ns3 { pcap = true }
        local a, b, c = host("a"), host("b"), net:node("c")
        net:csma { a, b, c }
        net:p2p(a, c)
        net:wifi { a, b }
        boot()
        check.is_true(a:ok("ping -c 1 b"))
    ]]
    check.equal({ status, said:match("rror.*") }, { 0 })
    for _, name in ipairs { "csma1-a", "csma1-b", "csma1-c", "wifi3-a", "wifi3-b" } do
        local n = packets_of(files["ns3-" .. name .. ".pcap"])
        check.is_true(n >= (name:find "csma" and 4 or 0)) -- of ARP, and of ping
    end
    check.is_true(files["ns3-p2p2-a.pcap"] ~= nil and files["ns3-p2p2-c.pcap"] ~= nil)
end)

-- How late the simulation was that was worst, by the run's verdict.
local function late_of(files) return json.decode(files["result.json"]).fidelity.measures.ns3_lateness.value end

-- A script whose simulation gets a signal.
local SIGNALLED = [[
    local net = ns3 { pcap = true }
    net:csma { host("a"), host("b") }
    boot()
    local own = io.open("/proc/self/stat"):read("n")
    local child = io.popen("pgrep -P " .. own .. " qemunet-ns3"):read("n")
    os.execute("kill -%s " .. child)
]]

test("a simulation that stands still is told of, ends, and counts as late", function()
    local status, said, files = run(SIGNALLED:format("STOP") .. [[
        local _, why = check.raises(function() net:call("stats", { where = "asked" }, nil, 0.1) end)
        check.match(why, "asked: the simulation did not answer within 0.1 s")
        print(child)
    ]])
    check.equal(status, 0)
    check.less(1.9, late_of(files))
    check.is_true(not core.stat("/proc/" .. ("\n" .. said):match("\n(%d+)\n")))
end)

test("a simulation that is closed is judged, too", function()
    local status, _, files = run [[
        local net = ns3()
        local a = host("a")
        net:csma { a, net:node("s") }
        a:succeed("ping -c 20 -i 0.02 s")
        eventually(20, function() return net:stats().lateness.count >= 100 end)
        net:close()
        check.equal(#a.nics, 0)
    ]]
    check.equal(status, 0)
    check.less(0, late_of(files))
end)

test("a simulation that is far behind says so, is judged, and ends in good order", function()
    local status, _, files = run [[
        local net = ns3 { pcap = true }
        local s, t, a = net:node("s"), net:node("t"), host("a")
        net:csma { s, t, a, rate = "10gbit", queue = 100000 }
        a:succeed("ping -c 1 s")
        s:on_off { to = t, rate = "500mbit", size = 20 }
        eventually(20, function() return net:stats().lateness.p50 > 1 end)
        net:close()
    ]]
    check.equal(status, 0)
    check.less(1, late_of(files))
    check.less(0, packets_of(files["ns3-csma1-s.pcap"]))
end)

test("a script that is stopped in its middle leaves captures that are whole, and no process", function()
    local status, said, files = run(SIGNALLED:format("CONT") .. [[
        print(child)
        os.execute("kill -TERM " .. own)
        sleep(20)
    ]])
    check.equal(status, 130)
    check.is_true(packets_of(files["ns3-csma1-a.pcap"]) >= 0)
    check.is_true(not core.stat("/proc/" .. ("\n" .. said):match("\n(%d+)\n")))
end)
