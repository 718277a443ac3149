-- SPDX-License-Identifier: MIT
-- ns-3 as the network: ns3{...} starts a simulation in real time, in a process of its own, that machines, hosts and simulated
-- nodes are joined by.

local boot = require "qemunet.nodes.boot"
local child = require "qemunet.ns3.child"
local class = require "qemunet.class"
local core = require "qemunet.core"
local declarations = require "qemunet.declarations"
local events = require "qemunet.ns3.events"
local impairment = require "qemunet.network.impairment"
local link = require "qemunet.network.link"
local medium = require "qemunet.ns3.medium"
local options = require "qemunet.options"
local simulated = require "qemunet.ns3.simulated"
local testbed = require "qemunet.testbed"
local wifi = require "qemunet.ns3.wifi"

local ns3 = {}

-- The number of the generator that a simulation's seed is drawn from, unless one is given; see core.generator.
local GENERATOR = 1 << 62 | 0x6e7333

local SPEC = options.register({
    seed = { type = "integer", min = 1, max = 0xffffffff },
    run = { type = "integer", min = 1, default = 1 },
    hard_limit = { type = "duration", min = 1e-6 },
    pcap = { type = "boolean", default = false },
}, "ns3")

-- Simulations that run; what those that were closed ended with, by their names; how many there were.
local open, closed, count = {}, {}, 0

--- class net: a simulation of ns-3's; what ns3() returns.
-- @field name string   "ns3", the next "ns3-2"
-- @field began number  the experiment second at which the simulation's time was 0, from which its captures count
local Net = {}
local meta = class.new("net", Net)

Net.closing, Net.over, Net.began = false, false, false

function meta.__tostring(self) return ("ns-3 simulation %s (%d media)"):format(self.name, self.media) end

-- Sends a request to the simulation; see child.
function Net:call(...)
    local reply = self.child:call(...)
    return reply
end

-- Nodes that run already are told of names that came with simulated nodes.
function Net:names_changed() boot.refresh_hosts() end

local function seed_of(checked)
    return checked.seed or 1 + math.floor(core.generator(GENERATOR + count):unit() * 0xfffffffe)
end

local remove

--- ns3(opts) or ns3{ ... } -> net: starts an ns-3 simulation that keeps to real time.
-- Its methods make media that machines, hosts and simulated nodes are joined by. It needs qemunet to be built with ns-3 (on Debian:
-- libns3-dev). What ns-3 itself finds wrong ends the run, with ns-3's words.
-- @option seed        of ns-3's random numbers (default: it follows from the run's seed)
-- @option run         number of the run, as ns-3 counts them
-- @option hard_limit  the run ends when the simulation is later than this (default: it goes on, and what was late is recorded)
-- @option pcap        true: each device's frames go into the run's folder, as MEDIUM-NODE.pcap
-- @error  a qemunet without ns-3
-- @example ns-3
--   local net = ns3 { seed = 1 }
--   local a, b, c = host("a"), vm("b"), net:node("c")
--   net:csma { a, b, c, rate = "10mbit" }
--   a:succeed("ping -c 1 c")
function ns3.ns3(opts)
    local checked = options.check(opts, SPEC, "ns3", 2)
    testbed.prepare()
    count = count + 1
    local name = count == 1 and "ns3" or "ns3-" .. count
    local self = setmetatable({ name = name, opts = checked, media = 0, made = {}, ports = {}, listeners = {}, last_listener = 0 }, meta)
    self.child = child.start(name, { origin = core.monotonic_start(), seed = seed_of(checked), run = checked.run,
        hard_limit = checked.hard_limit }, function(event) events.take(self, event) end)
    open[#open + 1] = self
    declarations.add(self, remove)
    self.began = self:call("hello", { where = "ns3" }).began
    core.event { t = core.now(), kind = "ns3", net = name, event = "started", began = self.began }
    return self
end

local function check_self(self, method)
    class.check(self, meta, method)
    if self.over and method ~= "close" then error(("%s: %s was closed"):format(method, self.name), 3) end
end

--- net:node(name) -> simulated: a node that is simulated as a whole, with ns-3's own internet stack.
-- net:csma, net:p2p and net:wifi give it interfaces. It answers ping, forwards packets and runs ns-3's applications.
-- @param name  as of any node
-- @example ns-3
--   local net = ns3()
--   local router = net:node("router")
--   net:p2p(host("a"), router)
function Net:node(name)
    check_self(self, "node")
    local made = simulated.new(self, name)
    return made
end

local function none() return {} end

local RATE, DELAY = impairment.OPTIONS.rate, impairment.OPTIONS.delay
local WIRE = {
    rate = { type = "rate", default = 1e8, min = RATE.min, max = RATE.max },
    delay = { type = "duration", default = 6.56e-6, max = DELAY.max },
    queue = { type = { "integer", "size" }, default = 100, min = 1 },
}
local CSMA = options.register(medium.spec(WIRE), "net:csma")

-- What the simulation is told of a bus or link; the queue as ns-3 writes its size.
local function wire(checked, _, given, level)
    impairment.read_queue(checked, given.queue, "ns3", level + 1)
    local unit = checked.queue_is_bytes and "B" or "p"
    return { rate = checked.rate, delay = checked.delay, queue = ("%d%s"):format(checked.queue, unit) }
end

--- net:csma{ node, ... } -> medium: joins nodes by a bus that all hear, and that one sends on at a time.
-- @option rate         of the bus
-- @option delay        from each to each; the bus is taken for so long with each frame
-- @option queue        packets, or bytes with a unit, that wait in a node's device
-- @option promiscuous  true: machines are given what is for others, too
-- @option subnet       of all its nodes (default: the next free one)
-- @option ip           false: no addresses
-- @option mtu          of the nodes' interfaces (default 1500)
-- @option pcap         as of ns3()
-- @example ns-3
--   local net = ns3()
--   net:csma { host("a"), host("b"), net:node("c"), rate = "10mbit", delay = "1us" }
function Net:csma(given)
    check_self(self, "csma")
    local made = medium.make(self, "csma", given, CSMA, wire, none, 2)
    return made
end

local P2P = medium.spec { rate = WIRE.rate, delay = { type = "duration", default = 0, max = DELAY.max }, queue = WIRE.queue }
P2P.promiscuous = nil
options.register(P2P, "net:p2p")

--- net:p2p(a, b, opts) -> medium: a link between two nodes that carries IP packets, as PPP does; nothing else passes.
-- @param a  a node or its name
-- @param b  another
-- @option rate    each way
-- @option delay   each way
-- @option queue   packets, or bytes with a unit, that wait at each end
-- @option subnet  of both nodes (default: the next free one)
-- @option ip      false: no addresses
-- @option mtu     of the nodes' interfaces (default 1500)
-- @option pcap    as of ns3()
-- @example ns-3
--   local net = ns3()
--   net:p2p(host("a"), host("b"), { rate = "1mbit", delay = "20ms" })
function Net:p2p(a, b, opts)
    check_self(self, "p2p")
    if opts ~= nil and (type(opts) ~= "table" or getmetatable(opts) ~= nil or #opts > 0) then
        error("net:p2p: want two nodes and a table of options", 2)
    end
    local given = { a, b }
    for key, value in pairs(opts or {}) do given[key] = value end
    if a == nil or b == nil then error("net:p2p: want two nodes", 2) end
    local made = medium.make(self, "p2p", given, P2P, wire, none, 2)
    return made
end

local WIFI = options.register(medium.spec(wifi.SPEC), "net:wifi")

--- net:wifi{ node, ... } -> medium: joins nodes by Wi-Fi.
-- @option standard     of IEEE: 802.11a, b, g, n, ac, ax or p
-- @option mode         "adhoc": each reaches those that hear it; "infrastructure": all by an access point
-- @option ap           in infrastructure mode, the access point, one of the nodes (default: the first)
-- @option positions    { {x, y}, ... } in metres, in the nodes' order, or by node or name (default: in a row, 5 m apart)
-- @option mobility     of all nodes: as mobility() has it, or one of ns-3's models: its name, or { name, Attribute = value }; without
--   one of ns-3's, node:move() and mobility() move them
-- @option loss         of power on the way: "log-distance", { "log-distance", exponent = 3, reference = 1, reference_loss = 46.6777 },
--   { "range", range = 100 }, "friis", or one of ns3's models: { "ns3::Name", Attribute = value }
-- @option manager      what chooses the rate, one of ns-3's: { "ns3::ConstantRateWifiManager", DataMode = "OfdmRate6Mbps" }
-- @option phy          attributes of ns-3's WifiPhy: { TxPowerStart = 10, TxPowerEnd = 10 }
-- @option promiscuous  true: machines are given what is for others, too
-- @option subnet       of all its nodes (default: the next free one)
-- @option ip           false: no addresses
-- @option mtu          of the nodes' interfaces (default 1500)
-- @option pcap         as of ns3()
-- @example ns-3
--   local a, b = host("a"), host("b")
--   ns3():wifi { a, b, positions = { { 0, 0 }, { 30, 0 } }, loss = { "log-distance", exponent = 3 } }
--   b:move(60, 0, { speed = 10 })
function Net:wifi(given)
    check_self(self, "wifi")
    local made = wifi.make(self, given, WIFI, 2)
    return made
end

-- Attributes ----------------------------------------------------------------------------------------------------------------

local function check_path(path, where)
    if type(path) ~= "string" or path == "" then error(where .. ": want ns-3's path of an attribute, a string", 3) end
end

--- net:set(path, value) -> count: sets an attribute of ns-3 by its path, as in ns-3's own configuration.
-- @param path   "/NodeList/*/DeviceList/*/..." or "/Names/NODE/..." of what there is; "ns3::Type::Name" of what is made later; or
--   a global value's name
-- @param value  a text as ns-3 writes it, a number or a boolean
-- @return  of how many objects
-- @error   a path that leads nowhere, an attribute that is not there, a value that it cannot have
-- @example ns-3
--   local net = ns3()
--   net:wifi { host("a"), host("b") }
--   net:set("/Names/a/DeviceList/*/$ns3::WifiNetDevice/Phy/TxPowerEnd", 10)
function Net:set(path, value)
    check_self(self, "set")
    check_path(path, "set")
    if type(value) ~= "string" and type(value) ~= "number" and type(value) ~= "boolean" then
        error("set: want a string, a number or a boolean, not " .. type(value), 2)
    end
    local n = self:call("set", { where = "set", path = path, value = tostring(value) })
    core.event { t = core.now(), kind = "ns3", net = self.name, event = "set", path = path, value = value }
    return n
end

local BOOLEANS = { ["true"] = true, ["false"] = false }

local function value_of(text)
    if BOOLEANS[text] ~= nil then return BOOLEANS[text] end
    return tonumber(text) or text
end

--- net:get(path) -> value, list: an attribute's value in the first object that the path leads to, and in all of them; of a type,
-- what is the default; or a global value.
-- @param path  as of net:set
-- @example ns-3
--   local net = ns3()
--   net:wifi { host("a"), host("b") }
--   print(net:get("/NodeList/*/DeviceList/*/$ns3::WifiNetDevice/Phy/Frequency"))
function Net:get(path)
    check_self(self, "get")
    check_path(path, "get")
    local list = self:call("get", { where = "get", path = path })
    for i, text in ipairs(list) do list[i] = value_of(text) end
    return list[1], list
end

-- Knowledge -----------------------------------------------------------------------------------------------------------------

local function name_of(v, where)
    local found = link.check_node(v, where, "the argument", 3)
    return found.name, found
end

-- What `ip route` prints of a machine or host.
local function own_routes(other)
    local routes = {}
    for line in other:succeed("ip route"):gmatch("[^\n]+") do
        local to = line:match("^%S+")
        local network, prefix = to:match("^([%d.]+)/(%d+)$")
        if to == "default" then network, prefix = "0.0.0.0", 0 end
        routes[#routes + 1] = { network = network or to, prefix = math.tointeger(tonumber(prefix or 32)),
            via = line:match(" via (%S+)"), interface = line:match(" dev (%S+)") }
    end
    return routes
end

--- net:routes(node) -> list: a node's routes, also of a machine or host.
-- @param node  a node or its name
-- @return  { network=, prefix=, via=, interface= } each; via is nil where the network is the interface's own
-- @example ns-3
--   local net = ns3()
--   local a = host("a")
--   net:p2p(a, net:node("r"))
--   print(net:routes(a)[1].network)
function Net:routes(other)
    check_self(self, "routes")
    local name, found = name_of(other, "routes")
    if not simulated.is(found) then return own_routes(found) end
    local routes = self:call("routes", { node = name })
    return routes
end

--- net:position(node) -> table: where a node is on Wi-Fi, { x=, y=, vx=, vy= }, in metres and metres a second.
-- @param node  a node or its name
-- @example ns-3
--   local net = ns3()
--   net:wifi { host("a"), host("b") }
--   print(net:position("b").x)
function Net:position(other)
    check_self(self, "position")
    local place = self:call("position", { where = "position", node = name_of(other, "position") })
    return place
end

--- net:power(from, to) -> number: with what power a node receives what another sends on Wi-Fi, in dBm.
-- By the propagation model, where they are now.
-- @param from  a node or its name
-- @param to    another
-- @example ns-3
--   local net = ns3()
--   net:wifi { host("a"), host("b") }
--   print(net:power("a", "b"))
function Net:power(from, to)
    check_self(self, "power")
    local dbm = self:call("power", { where = "power", from = name_of(from, "power"), to = name_of(to, "power") })
    return dbm
end

-- Has what is kept by a medium's name found by the medium, too; what goes through it all, as record{} does, meets names only.
local by_name = { __index = function(self, key) return medium.is(key) and rawget(self, key.name) or nil end }

-- {[medium's name]={...}} with the sums of the numbers in them.
local function by_medium(other, all)
    local result = setmetatable({}, by_name)
    for _, nic in ipairs(other.nics) do
        local on = nic.link.switch
        local one = medium.is(on) and all[on.name]
        if one then
            result[on.name] = one
            for name, value in pairs(one) do
                if type(value) == "number" then result[name] = (result[name] or 0) + value end
            end
        end
    end
    return result
end

--- net:queues(node) -> table: what waits in a node's devices, by medium or its name.
-- @param node  a node or its name
-- @return  { packets=, bytes=, limit=, discipline={ type=, packets=, bytes=, drops= } } each; discipline: what is in front of a
--   simulated node's device; and the sums of all its devices, as packets, bytes, limit
-- @example ns-3
--   local net = ns3()
--   local bus = net:csma { host("a"), host("b") }
--   print(net:queues("a")[bus].packets)
function Net:queues(other)
    check_self(self, "queues")
    local name, found = name_of(other, "queues")
    return by_medium(found, self:call("queues", { where = "queues", node = name }))
end

--- net:counters(node) -> table: what went through a node's devices, by medium or its name.
-- @param node  a node or its name
-- @return  { tx_packets=, tx_bytes=, rx_packets=, rx_bytes=, drops=, overruns=, uncarried= } each; of a machine or host, overruns
--   are frames that it took too slowly, and uncarried those that the medium cannot carry; and the sums of all its devices, by the
--   same names
-- @example ns-3
--   local net = ns3()
--   local bus = net:csma { host("a"), host("b") }
--   print(net:counters("a")[bus].tx_packets)
function Net:counters(other)
    check_self(self, "counters")
    local name, found = name_of(other, "counters")
    return by_medium(found, self:call("counters", { where = "counters", node = name }))
end

--- net:stats() -> table: how the simulation fares.
-- @return  { events=, lateness={ count=, mean=, p50=, p99=, max=, histogram= }, drops=, overruns=, uncarried=, missed= }: events
--   so far, and by how much they were behind real time; frames as in net:counters(); events that could not be told of
-- @example ns-3
--   print(ns3():stats().lateness.p99)
function Net:stats()
    check_self(self, "stats")
    local stats = self:call("stats")
    return stats
end

-- Events ----------------------------------------------------------------------------------------------------------------

--- net:on(kind, opts, fn) -> tracer: tells of what happens in the simulation.
-- kind is "tx" or "rx" (a device is given a frame to send, or gets one), "drop" (anything of a node drops one), "course_change" (a
-- node moves in another way); or the path of one of ns-3's trace sources.
-- @param kind  see above
-- @param fn    fn(event) runs in a task for each: event.time is its instant in the simulation, in experiment seconds, late by how
--   much the simulation was behind then; node, source; and what the source says: size, packet (its number), reason, x, y, vx, vy,
--   old, value, address, from, to
-- @option node   whose (default: all nodes that there are now)
-- @option nth    from this time on
-- @option count  how often (with nth: once; default: always)
-- @error  a trace source that does not exist, or that tells of what cannot be told here
-- @example ns-3
--   local net = ns3()
--   local a = host("a")
--   net:csma { a, host("b") }
--   net:on("drop", { node = a }, function(event) print(event.time, event.reason) end)
function Net:on(kind, opts, fn)
    check_self(self, "on")
    local handle = events.on(self, kind, opts, fn, 2)
    return handle
end

--- net:schedule(t, fn) -> tracer: calls fn(event) when the simulation gets to an instant.
-- @param t   experiment seconds; when they have passed, at once
-- @param fn  called in a task; see net:on
-- @example ns-3
--   local net = ns3()
--   net:schedule(now() + 1, function() mark("a second later") end)
function Net:schedule(t, fn)
    check_self(self, "schedule")
    local handle = events.schedule(self, t, fn, 2)
    return handle
end

--- net:at(t, commands) -> task: starts commands on nodes when the simulation gets to an instant.
-- They are made ready before. task:join() gives results, spread and event as sync{} does; a result's offset is the time from t to the
-- command's start.
-- @param t         experiment seconds
-- @param commands  { [node] = command }, with sync{}'s options; or a function, as of net:schedule
-- @example ns-3
--   local net = ns3()
--   local a, b = host("a"), host("b")
--   net:csma { a, b }
--   local results = net:at(now() + 1, { [a] = "ping -c 1 b", [b] = "date" }):join()
--   print(results[a].offset)
function Net:at(t, commands)
    check_self(self, "at")
    local task = events.at(self, t, commands, 2)
    return task
end

-- The end ---------------------------------------------------------------------------------------------------------------

-- So long, at most, a simulation is asked how it fared.
local PATIENCE = 2

-- What is known of a simulation at its end. One that does not answer is as late as it was waited for.
local function last_stats(self)
    local asked = core.now()
    local ok, stats = pcall(self.call, self, "stats", nil, nil, PATIENCE)
    return ok and stats or { silent = core.now() - asked }
end

--- ns3.collect() -> {[name]=stats} of the simulations, of those that were closed as they were then; nil when there is none.
function ns3.collect()
    local all = next(closed) and closed or nil
    for _, self in ipairs(open) do
        all = all or {}
        all[self.name] = last_stats(self)
    end
    return all
end

local function finish(self)
    self.over = true
    events.close(self)
end

--- net:close(): removes the links to the simulation, and ends it; its captures are complete then.
-- At the experiment's end that is done by itself.
-- @example ns-3
--   local net = ns3 { pcap = true }
--   net:csma { host("a"), host("b") }
--   net:close()
function Net:close()
    check_self(self, "close")
    if self.closing then return end
    self.closing = true
    closed[self.name] = last_stats(self)
    open = testbed.without(open, self)
    finish(self)
    self.child:wait()
    for _, each in ipairs(self.made) do
        for _, l in ipairs(each.links) do l:remove() end
    end
end

-- Ends it without waiting for it to end by itself; its child was told to stop.
local function cut_off(self)
    finish(self)
    self.child:close()
    for port in pairs(self.ports) do core.port_remove(port) end
end

-- What an earlier test declared.
remove = function(self)
    if self.closing then return end
    self.closing = true
    open = testbed.without(open, self)
    for _, each in ipairs(self.made) do
        for _, l in ipairs(each.links) do l:take_away() end
    end
    self.child:stop()
    cut_off(self)
end

testbed.on_end(function()
    for _, self in ipairs(open) do self.child:stop() end
    for _, self in ipairs(open) do cut_off(self) end
    open, closed, count = {}, {}, 0
end)

return ns3
