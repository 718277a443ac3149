-- SPDX-License-Identifier: MIT
-- qemunet bench fabric: packets a second over emulated links, against paths that emulate nothing, in one run.

local address = require "qemunet.network.address"
local bench = require "qemunet.bench.shared"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local packet = require "qemunet.network.packet"
local stats = require "qemunet.stats"
local text = require "qemunet.text"

local run = {}

run.about = "packets a second over emulated links, against a bare relay, vde_switch and the kernel's bridge"
run.rounds = 5

-- The fabric, or what stands in its place, has one processor to itself; the load has the other.
local LOAD_CPU, PATH_CPU = 0, 1
-- Seconds of a measurement. One round is a short form, which tells that all works.
local LONG = { warm = 0.3, measured = 0.7, rest = 0.1 }
local SHORT = { warm = 0.05, measured = 0.2, rest = 0.02 }
local times = LONG
local NS3_MEASURED = 4
local FRAME, BURST = 64, 32
local MAC_A, MAC_B = "\x02\0\0\0\0\1", "\x02\0\0\0\0\2"
local TEST_TYPE = "\x88\xb5" -- IEEE 802 local experimental

-- The link of the bars.
local LINK = { delay = 0.01, rate = 1e10, loss = 0.001 }

local function frame(to, from, size) return to .. from .. TEST_TYPE .. ("\0"):rep(size - 14) end

local function must(value, why)
    if not value then errors.machinery("bench fabric: " .. tostring(why)) end
    return value
end

-- Descriptors that are to be closed at the end.
local kept = {}

-- Keeps descriptors, and returns them; raises when the first is nil, and why is in the place of the second.
local function keep(fd, other)
    must(fd, other)
    kept[#kept + 1], kept[#kept + 2] = fd, other
    return fd, other
end

local function close_kept()
    for _, fd in ipairs(kept) do core.close_fd(fd) end
    kept = {}
end

-- Calls fn with the calling thread, and so what it starts, on one processor.
local function on_cpu(cpu, fn, ...)
    core.bench_affinity(cpu)
    local back <close> = setmetatable({}, { __close = function() core.bench_affinity() end })
    return fn(...)
end

local function fabric_cpu() return core.fabric_totals().cpu end

-- The processor time of a process of one thread, and of its children.
local function process_cpu(pid)
    local file <close> = assert(io.open(("/proc/%d/schedstat"):format(pid)))
    local children <close> = assert(io.open(("/proc/%d/task/%d/children"):format(pid, pid)))
    local sum = file:read("n") / 1e9
    for child in children:read("a"):gmatch("%d+") do sum = sum + process_cpu(child) end
    return sum
end

-- The ways ------------------------------------------------------------------------------------------------------------
-- Each is { name=, from={fd}, to={fd}, received=fn -> packets or nil (then the load counts), cpu=fn -> seconds }.

local function two_ports()
    local port_a, fd_a = core.port_add()
    local port_b, fd_b = core.port_add()
    keep(fd_a, fd_b)
    return { "port", port_a }, { "port", port_b }, fd_a, fd_b
end

local function join(a, b, config) return core.link_add(a[1], a[2], b[1], b[2], config, config) end

local function relay_way()
    local out, own = keep(core.bench_pair())
    local far, to = keep(core.bench_pair())
    local relay = on_cpu(PATH_CPU, core.bench_relay, own, far, false)
    return { name = "bare relay", from = { out }, to = { to }, cpu = function() return relay:cpu() end, relay = relay }
end

local function vde_way()
    local vde, a, b = on_cpu(PATH_CPU, core.bench_vde)
    if not vde then return nil end
    return { name = "vde_switch", from = { a }, to = { b }, cpu = function() return process_cpu(vde:pid()) end, vde = vde }
end

local function link_way(name, config)
    local a, b, from, to = two_ports()
    local id = join(a, b, config)
    return { name = name, from = { from }, to = { to }, cpu = fabric_cpu, link = id }
end

-- `n` links and n - 1 switches in a row; the switches have learnt where both ends are.
local function chain_way(name, n, config)
    local a, b, from, to = two_ports()
    local last, id = a, nil
    for i = 1, n do
        local next_end = i == n and b or { "switch", core.switch_add(300, false) }
        id = join(last, next_end, config)
        last = next_end
    end
    core.link_send(id, 1, frame(MAC_A, MAC_B, FRAME))
    return { name = name, from = { from }, to = { to }, cpu = fabric_cpu, link = id }
end

-- Measuring -----------------------------------------------------------------------------------------------------------

local function start_load(way)
    local load, why = on_cpu(LOAD_CPU, core.bench_load, { from = way.from, to = way.to or {},
        frame = way.frame or frame(MAC_B, MAC_A, FRAME), burst = way.burst or BURST, rate = way.rate or 0 })
    return must(load, why)
end

-- What a way that is under load does: packets a second, and its processor's time for a packet.
local function observe(way, received, seconds)
    received = way.received or received
    core.wait({}, times.warm)
    local packets, cpu, begun = received(), way.cpu and way.cpu() or 0, core.now()
    core.wait({}, seconds or times.measured)
    packets, cpu = received() - packets, (way.cpu and way.cpu() or 0) - cpu
    return packets / (core.now() - begun), packets > 0 and cpu / packets or 0
end

-- One round of a way.
local function measure(way, seconds)
    local load <close> = setmetatable({ load = start_load(way) }, { __close = function(self) self.load:stop() end })
    return observe(way, function() return load.load:received() end, seconds)
end

-- Until the fabric has worked off what the last load left in its sockets.
local function settle()
    for _ = 1, 100 do
        local totals = core.fabric_totals()
        core.wait({}, times.rest)
        if not totals or core.fabric_totals().received == totals.received then return end
    end
end

-- Rounds of all ways in turn: {[name]={rate=, cpu=}}, medians.
local function compare(ways, rounds)
    local lists, result = {}, {}
    for _, way in ipairs(ways) do lists[way.name] = { rates = {}, cpus = {} } end
    for _ = 1, rounds do
        for _, way in ipairs(ways) do
            local rate, cpu = measure(way)
            table.insert(lists[way.name].rates, rate)
            table.insert(lists[way.name].cpus, cpu)
            settle()
        end
    end
    for name, list in pairs(lists) do
        result[name] = { rate = stats.median(list.rates), cpu = stats.median(list.cpus) }
    end
    return result
end

local function shown_rate(rate) return rate and ("%.0f k/s"):format(rate / 1e3) or "-" end
local function shown_cpu(cpu) return cpu and cpu > 0 and ("%.2f us"):format(cpu * 1e6) or "-" end

local function add_rows(report, title, ways, result)
    report.rows[#report.rows + 1] = { title .. ":" }
    for _, way in ipairs(ways) do
        local r = result[way.name]
        report.rows[#report.rows + 1] = { "  " .. way.name, shown_rate(r.rate), shown_cpu(r.cpu) }
    end
end

-- The bars -----------------------------------------------------------------------------------------------------------

local function bar(report, what, measured, wanted, met)
    report.bars[#report.bars + 1] = { what, measured, wanted, met and "met" or "missed" }
end

local function ratio_bar(report, what, result, a, b, least, strictly)
    if not result[b] then return end
    local ratio = result[a].rate / result[b].rate
    bar(report, what, ("%.2f"):format(ratio), ("%s %.2f"):format(strictly and "more than" or "at least", least),
        ratio >= least and not (strictly and ratio == least))
end

local function sockets(opts, report)
    local ways = { relay_way(), link_way("link", LINK), chain_way("5 links, 4 switches", 5, LINK) }
    ways[#ways + 1] = vde_way()
    local result = compare(ways, opts.rounds)
    for _, way in ipairs(ways) do
        if way.relay then way.relay:stop() end
        if way.vde then way.vde:stop() end
    end
    add_rows(report, "datagram sockets", ways, result)
    ratio_bar(report, "link / bare relay", result, "link", "bare relay", 0.85)
    ratio_bar(report, "link / vde_switch", result, "link", "vde_switch", 1, true)
    ratio_bar(report, "5 links, 4 switches / link", result, "5 links, 4 switches", "link", 0.7)
    report.outcome.sockets = result
end

-- Hosts: namespaces with a tap, or what the kernel has instead.

local ADDRESS_A, ADDRESS_B, PORT = "10.9.0.1", "10.9.0.2", 9

-- A frame of FRAME bytes with a UDP packet without a checksum.
local function udp_frame(mac_to, mac_from, ip_from, ip_to)
    local function ip_header(sum)
        return string.pack(">BBI2 I2I2 BBI2 c4c4", 0x45, 0, FRAME - 14, 0, 0, 64, 17, sum, address.ip_bytes(ip_from),
            address.ip_bytes(ip_to))
    end
    return mac_to .. mac_from .. "\x08\0" .. ip_header(packet.checksum(ip_header(0))) ..
        string.pack(">I2I2I2I2", PORT, PORT, FRAME - 34, 0) .. ("\0"):rep(FRAME - 42)
end

local NO_IPV6 = "sysctl -w net.ipv6.conf.all.disable_ipv6=1; ip link set lo up"

local function in_ns(ns, command)
    local status, why = core.bench_netns_run(ns, ("{ %s; } >/dev/null 2>&1"):format(command))
    if status ~= 0 then must(nil, ("%s: %s"):format(command, why or "status " .. tostring(status))) end
end

local function configure(ns, mac, address)
    in_ns(ns, NO_IPV6 .. "; ip link set eth0 address " .. text.hex(mac, ":"))
    in_ns(ns, ("ip addr add %s/24 dev eth0 && ip link set eth0 up"):format(address))
end

-- What sends from interface `from` of one host to "eth0" of another, where it is counted, and thrown away by a UDP socket.
local function udp_way(name, ns_a, ns_b, frame_sent, cpu, from)
    return { name = name, from = { keep(core.bench_netns_packet(ns_a, from or "eth0")) }, frame = frame_sent, cpu = cpu,
        sink = keep(core.bench_netns_sink(ns_b, PORT)),
        received = function() return must(core.bench_netns_received(ns_b, "eth0")) end }
end

local function direct_frame() return udp_frame(MAC_B, MAC_A, ADDRESS_A, ADDRESS_B) end

local function two_namespaces() return keep(core.bench_netns()), keep(core.bench_netns()) end

-- The taps are the caller's to keep, or the fabric's.
local function two_taps()
    local ns_a, ns_b = two_namespaces()
    local tap_a, tap_b = must(core.bench_netns_tap(ns_a, "eth0")), must(core.bench_netns_tap(ns_b, "eth0"))
    configure(ns_a, MAC_A, ADDRESS_A)
    configure(ns_b, MAC_B, ADDRESS_B)
    return ns_a, ns_b, tap_a, tap_b
end

local function tap_relay_way()
    local ns_a, ns_b, tap_a, tap_b = two_taps()
    keep(tap_a, tap_b)
    local relay = on_cpu(PATH_CPU, core.bench_relay, tap_a, tap_b, true)
    local way = udp_way("bare tap relay", ns_a, ns_b, direct_frame(), function() return relay:cpu() end)
    way.relay = relay
    return way
end

local function host_link_way()
    local ns_a, ns_b, tap_a, tap_b = two_taps()
    local id = join({ "port", core.tap_add(tap_a) }, { "port", core.tap_add(tap_b) }, LINK)
    local way = udp_way("hosts over a link", ns_a, ns_b, direct_frame(), fabric_cpu)
    way.link = id
    return way
end

local HTB = "tc qdisc add dev %s root handle 1: htb default 1 && tc class add dev %s parent 1: classid 1:1 htb rate 10gbit"

local function own_pid()
    local file <close> = assert(io.open("/proc/self/stat"))
    return file:read("n")
end

-- A bridge in namespace `middle`, with the interfaces ends = { {ns=, name=}, ... } on it, each by a veth pair.
local function bridge(middle, name, ends)
    in_ns(middle, ("ip link add name %s type bridge && ip link set %s up"):format(name, name))
    for i, item in ipairs(ends) do
        local port = ("%s-%d"):format(name, i)
        in_ns(item.ns, ("ip link add %s type veth peer name %s netns /proc/%d/fd/%d"):format(item.name, port, own_pid(), middle))
        in_ns(middle, ("ip link set %s master %s && ip link set %s up"):format(port, name, port))
        in_ns(middle, HTB:format(port, port))
    end
end

local function bridge_way()
    local ns_a, ns_b = two_namespaces()
    local middle = keep(core.bench_netns())
    in_ns(middle, NO_IPV6)
    bridge(middle, "bridge1", { { ns = ns_a, name = "eth0" }, { ns = ns_b, name = "eth0" } })
    configure(ns_a, MAC_A, ADDRESS_A)
    configure(ns_b, MAC_B, ADDRESS_B)
    return udp_way("veth, bridge, htb", ns_a, ns_b, direct_frame())
end

-- `n` bridges with an IP router between each two; network i is 10.8.i.0/24, its left end .1, its right end .2.
local function kernel_chain_way(n)
    local middle, nodes = keep(core.bench_netns()), {}
    for i = 0, n do
        nodes[i] = keep(core.bench_netns())
        in_ns(nodes[i], NO_IPV6 .. "; sysctl -w net.ipv4.ip_forward=1")
    end
    in_ns(middle, NO_IPV6)
    for i = 1, n do
        local left = i == n and "eth0" or "left"
        bridge(middle, "bridge" .. i, { { ns = nodes[i - 1], name = "right" }, { ns = nodes[i], name = left } })
        in_ns(nodes[i - 1], ("ip addr add 10.8.%d.1/24 dev right && ip link set right up"):format(i))
        in_ns(nodes[i], ("ip link set %s address %s && ip addr add 10.8.%d.2/24 dev %s && ip link set %s up"):format(
            left, text.hex(MAC_B, ":"), i, left, left))
    end
    for i = 0, n do
        if i < n - 1 then in_ns(nodes[i], ("ip route add 10.8.%d.0/24 via 10.8.%d.2"):format(n, i + 1)) end
        if i > 1 then in_ns(nodes[i], ("ip route add 10.8.1.0/24 via 10.8.%d.1"):format(i)) end
    end
    return udp_way(("%d bridges, %d routers"):format(n, n - 1), nodes[0], nodes[n],
        udp_frame(MAC_B, MAC_A, "10.8.1.1", ("10.8.%d.2"):format(n)), nil, "right")
end

local NS3_RATES = { 40e3, 60e3, 80e3, 90e3, 100e3, 110e3, 120e3, 130e3, 140e3, 160e3, 200e3 }

-- What a program sustains that joins two taps through ns-3 (tests/bench/ns3_relay.cc). It may fall behind for seconds before
-- that shows, and does not recover, so each rate is offered for long, and to a fresh one.
local function ns3(name, program)
    local best = 0
    for _, rate in ipairs(NS3_RATES) do
        local ns_a, ns_b, tap_a, tap_b = two_taps()
        keep(tap_a, tap_b)
        local child = must(on_cpu(PATH_CPU, core.bench_child, program, tap_a, tap_b))
        core.wait({}, 1)
        local way = udp_way(name, ns_a, ns_b, direct_frame())
        way.rate, way.burst = math.tointeger(rate), 4
        local carried = measure(way, NS3_MEASURED)
        child:stop()
        if carried < 0.98 * rate then break end
        best = carried
    end
    return best
end

local function hosts(opts, report)
    local ways = { tap_relay_way(), host_link_way(), bridge_way(), kernel_chain_way(5) }
    local result = compare(ways, opts.rounds)
    ways[1].relay:stop()
    local program, name = os.getenv("QEMUNET_BENCH_NS3"), "ns-3 in real time"
    if program then
        ways[#ways + 1] = { name = name }
        result[name] = { rate = ns3(name, program) }
    end
    add_rows(report, "hosts", ways, result)
    ratio_bar(report, "hosts: link / veth, bridge, htb", result, "hosts over a link", "veth, bridge, htb", 1)
    ratio_bar(report, "hosts: link / bare tap relay", result, "hosts over a link", "bare tap relay", 0.85)
    ratio_bar(report, "hosts: link / ns-3", result, "hosts over a link", name, 5)
    report.outcome.hosts = result
end

-- Inside the fabric.

local function station(n) return { "station", core.station_add(("\x02\0\0\0\0%c"):format(n), ("\10\9\0%c"):format(n)) } end

-- A source that offers more than the fabric can carry, a link, and a sink.
local function flow_way()
    local link = join(station(1), station(2), LINK)
    local header = udp_frame(MAC_B, MAC_A, ADDRESS_A, ADDRESS_B):sub(1, 42) -- the fabric fills in lengths and checksum
    local flow = core.flow_add { from = link, from_dir = 0, to = link, to_dir = 0, header = header, pattern = "cbr",
        rate = 2e7 * FRAME * 8, size = FRAME }
    return flow, { name = "source, link, sink", cpu = fabric_cpu, received = function() return core.flow_stats(flow).received end }
end

local function inside(opts, report)
    local flow, way = flow_way()
    local rates, cpus = {}, {}
    for i = 1, opts.rounds do
        core.flow_run(flow, true)
        rates[i], cpus[i] = observe(way)
        core.flow_run(flow, false)
        core.wait({}, times.rest)
    end
    local result = { [way.name] = { rate = stats.median(rates), cpu = stats.median(cpus) } }
    add_rows(report, "inside the fabric", { way }, result)
    local per_core = 1 / result[way.name].cpu
    bar(report, "source, link, sink, on a core", shown_rate(per_core), "at least 4000 k/s", per_core >= 4e6)
    report.outcome.inside = result
end

-- Lateness while the fabric's core is half busy.

-- `cost`: processor time of a packet when the fabric is busy, by which the load is chosen.
local function lateness(opts, report, cost)
    local way = link_way("half busy", LINK)
    way.rate, way.burst = math.floor(0.5 / cost), 8
    local rate, cpu
    for _ = 1, 3 do -- a packet costs more when fewer come at once
        rate, cpu = measure(way)
        way.rate = math.floor(way.rate * 0.5 / math.max(rate * cpu, 0.01))
    end
    local p50s, p99s, busy = {}, {}, {}
    for i = 1, opts.rounds do
        local before = core.link_stats(way.link).lateness
        rate, cpu = measure(way)
        local late = bench.histogram_difference(core.link_stats(way.link).lateness, before)
        p50s[i], p99s[i], busy[i] = bench.histogram_quantile(late, 0.5), bench.histogram_quantile(late, 0.99), rate * cpu
    end
    local p50, p99, share = stats.median(p50s), stats.median(p99s), stats.median(busy)
    report.rows[#report.rows + 1] = { ("lateness, fabric %.0f %% busy:"):format(100 * share) }
    report.rows[#report.rows + 1] = { "  median below " .. bench.shown(p50) .. ", 99 % below " .. bench.shown(p99) }
    bar(report, "lateness, 99th percentile", "below " .. bench.shown(p99), "at most 0.20 ms", p99 <= 0.0002)
    report.outcome.lateness = { busy = share, p50 = p50, p99 = p99 }
end

-- How cost grows.

local function many_links_way(n)
    local way = { name = ("%d links"):format(n), from = {}, to = {}, cpu = fabric_cpu }
    for i = 1, n do
        local one = link_way("", LINK)
        way.from[i], way.to[i] = one.from[1], one.to[1]
    end
    return way
end

-- With n frames on their way, as many as the delay makes of the rate that the link can be driven at.
local function flight_way(n, rate)
    return link_way(("%d in flight"):format(n), { delay = n / rate, rate = LINK.rate, loss = LINK.loss })
end

local function triggers_way(n)
    local way = link_way(("%d triggers"):format(n), LINK)
    for _ = 1, n do
        must(core.trigger_add { link = way.link, filter = "tcp port 80", first = 1, count = 0, ab = true, ba = true })
    end
    return way
end

local function capture_way()
    local way = link_way("captured", LINK)
    local path = os.tmpname()
    way.capture = must(core.capture_add(path))
    os.remove(path) -- it is open, and gone in any case
    core.capture_link(way.capture, way.link, "link")
    return way
end

local function growth(opts, report, rate)
    local links, others = {}, { capture_way() }
    for i, n in ipairs { 1, 10, 100, 1000 } do links[i] = many_links_way(n) end
    for _, n in ipairs { 1, 100, 10000 } do others[#others + 1] = flight_way(n, rate) end
    for _, n in ipairs { 0, 1, 10, 100 } do others[#others + 1] = triggers_way(n) end
    local ways = table.move(others, 1, #others, #links + 1, links)
    local result = compare(ways, math.max(1, opts.rounds // 2))
    add_rows(report, "growth", ways, result)
    local ratio = result["1000 links"].cpu / result["10 links"].cpu
    bar(report, "1000 links / 10 links, processor", ("%.2f"):format(ratio), "at most 1.50", ratio <= 1.5)
    local seen, dropped = core.capture_remove(others[1].capture)
    report.rows[#report.rows + 1] = { ("  not captured: %.3f %%"):format(100 * dropped / seen) }
    report.outcome.growth, report.outcome.capture_dropped = result, dropped
end

--- opts: {rounds=, json=}.
function run.run(opts)
    times = opts.rounds == 1 and SHORT or LONG
    core.isolate()
    local closing <close> = setmetatable({}, { __close = close_kept })
    on_cpu(PATH_CPU, core.switch_add, 0, false) -- with which the fabric's thread starts
    local report = { rows = { { "way", "packets", "processor" } }, bars = { { "bar", "measured", "wanted", "" } }, outcome = {} }
    sockets(opts, report)
    hosts(opts, report)
    inside(opts, report)
    local link = report.outcome.sockets.link
    lateness(opts, report, link.cpu)
    growth(opts, report, link.rate)
    bench.show(report.rows, report.bars, report.outcome, opts.json)
end

return run
