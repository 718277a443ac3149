-- SPDX-License-Identifier: MIT
-- ns-3 as the network: ns3{...} starts a simulation in real time, in a process of its own, that machines, hosts and simulated
-- nodes are joined by.

local boot = require "qemunet.nodes.boot"
local child = require "qemunet.ns3.child"
local class = require "qemunet.class"
local core = require "qemunet.core"
local events = require "qemunet.ns3.events"
local link = require "qemunet.network.link"
local medium = require "qemunet.ns3.medium"
local options = require "qemunet.options"
local simulated = require "qemunet.ns3.simulated"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"
local wifi = require "qemunet.ns3.wifi"

local ns3 = {}

-- The number of the generator that a simulation's seed is drawn from, unless one is given; see core.generator.
local GENERATOR = 1 << 62 | 0x6e7333

local SPEC = {
    seed = { type = "integer", min = 1, max = 0xffffffff },
    run = { type = "integer", min = 1, default = 1 },
    hard_limit = { type = "duration", min = 1e-6 },
    pcap = { type = "boolean", default = false },
}

local open, count = {}, 0

local Net = {}
local meta = class.new("ns-3 simulation", Net)

-- Fields: name; began: the experiment second at which the simulation's time was 0.
Net.over, Net.began = false, false

function meta.__tostring(self) return ("ns-3 simulation %s (%d media)"):format(self.name, self.media) end

--- Sends a request to the simulation; see child.
function Net:call(name, request, fd)
    local reply = self.child:call(name, request, fd)
    return reply
end

--- Nodes that run already are told of names that came with simulated nodes.
function Net:names_changed() boot.refresh_hosts() end

local function seed_of(checked)
    return checked.seed or 1 + math.floor(core.generator(GENERATOR + count):unit() * 0xfffffffe)
end

--- ns3{ seed=, run=1, hard_limit=, pcap=false } -> net: starts an ns-3 simulation that keeps to real time. seed, run: of ns-3's
--- random numbers (seed follows from the run's); hard_limit: the run ends when the simulation is later than this duration; pcap:
--- each device's frames go into the run's folder, as MEDIUM-NODE.pcap, their times counted from net.began.
function ns3.ns3(opts)
    local checked = options.check(opts, SPEC, "ns3", 2)
    testbed.prepare()
    count = count + 1
    local name = count == 1 and "ns3" or "ns3-" .. count
    local self = setmetatable({ name = name, opts = checked, media = 0, ports = {}, listeners = {}, last_listener = 0 }, meta)
    self.child = child.start({ origin = core.monotonic_start(), seed = seed_of(checked), run = checked.run,
        hard_limit = checked.hard_limit }, function(event) events.take(self, event) end)
    open[#open + 1] = self
    self.began = self:call("hello", { where = "ns3" }).began
    core.event { t = core.now(), kind = "ns3", net = name, event = "started", began = self.began }
    return self
end

local function check_self(self, method) class.check(self, meta, method) end

--- net:node(name) -> a simulated node, with ns-3's internet stack; csma, p2p and wifi give it interfaces.
function Net:node(name)
    check_self(self, "node")
    local made = simulated.new(self, name)
    return made
end

local function none() return {} end

local WIRE = {
    rate = { type = "rate", default = 1e8 },
    delay = { type = "duration", default = 6.56e-6 },
    queue = { type = { "integer", "string" }, default = 100 },
}
local CSMA = medium.spec(WIRE)

-- A queue's size as ns-3 has it.
local function queue_size(v)
    if type(v) == "number" then return ("%dp"):format(v) end
    return ("%dB"):format(units.size(v, "queue", 4))
end

local function wire(checked)
    return { rate = checked.rate, delay = checked.delay, queue = queue_size(checked.queue) }
end

--- net:csma{ nodes..., rate="100mbit", delay="6.56us", queue=100, subnet=, ip=true, mtu=1500, promiscuous=false, pcap= } ->
--- medium: a bus that all listen to, and one sends on at a time. queue: packets, or bytes with a unit, that wait in a device;
--- promiscuous: machines are given what is for others, too. medium:join(node) adds one.
function Net:csma(given)
    check_self(self, "csma")
    local made = medium.make(self, "csma", given, CSMA, wire, none, 2)
    return made
end

local P2P = medium.spec { rate = WIRE.rate, delay = { type = "duration", default = 0 }, queue = WIRE.queue }
P2P.promiscuous = nil

--- net:p2p(a, b, { rate="100mbit", delay=0, queue=100, subnet=, ip=true, mtu=1500, pcap= }) -> medium: a link that carries IP
--- packets between two, as PPP does; nothing else passes.
function Net:p2p(a, b, opts)
    check_self(self, "p2p")
    if opts ~= nil and type(opts) ~= "table" then error("net:p2p: want net:p2p(a, b, options)", 2) end
    local given = { a, b }
    for key, value in pairs(opts or {}) do given[key] = value end
    if a == nil or b == nil or a == b or #given ~= 2 then error("net:p2p: want two nodes", 2) end
    local made = medium.make(self, "p2p", given, P2P, wire, none, 2)
    return made
end

--- net:wifi{...}: see wifi.
function Net:wifi(given)
    check_self(self, "wifi")
    local made = wifi.make(self, given, 2)
    return made
end

-- Attributes ----------------------------------------------------------------------------------------------------------------

local function check_path(path, where)
    if type(path) ~= "string" or path == "" then error(where .. ": want ns-3's path of an attribute, a string", 3) end
end

--- net:set(path, value) -> of how many objects it was set: an attribute of ns-3 by its path, as in ns-3's own configuration:
--- "/NodeList/*/DeviceList/*/..." or "/Names/NODE/..." of what there is, "ns3::Type::Name" of what is made later, or a
--- global value's name. value: a string as ns-3 writes it, a number or a boolean.
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

--- net:get(path) -> the attribute's value in the first object that the path leads to, and a list of it in all of them.
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

--- net:routes(node) -> { { network, prefix, via, interface }, ... }: a node's routes, also of a machine or host; `via` is nil
--- where the network is the interface's own.
function Net:routes(other)
    check_self(self, "routes")
    local name, found = name_of(other, "routes")
    if not simulated.is(found) then return own_routes(found) end
    local routes = self:call("routes", { node = name })
    return routes
end

--- net:position(node) -> { x, y, vx, vy }: where it is on Wi-Fi, in metres, and how fast.
function Net:position(other)
    check_self(self, "position")
    local place = self:call("position", { where = "position", node = name_of(other, "position") })
    return place
end

--- net:power(from, to) -> dBm: with what power `to` receives what `from` sends on Wi-Fi, by the propagation model, now.
function Net:power(from, to)
    check_self(self, "power")
    local dbm = self:call("power", { where = "power", from = name_of(from, "power"), to = name_of(to, "power") })
    return dbm
end

-- {[medium's name]=...} as {[medium]=...} too.
local function by_medium(other, all)
    local result = {}
    for _, nic in ipairs(other.nics) do
        local on = nic.link.switch
        if medium.is(on) and all[on.name] then result[on], result[on.name] = all[on.name], all[on.name] end
    end
    return result
end

--- net:queues(node) -> {[medium or its name] = { packets, bytes, limit, discipline={type, packets, bytes, drops} }}: what waits in the
--- node's devices; discipline: in front of a simulated node's device.
function Net:queues(other)
    check_self(self, "queues")
    local name, found = name_of(other, "queues")
    return by_medium(found, self:call("queues", { where = "queues", node = name }))
end

--- net:counters(node) -> {[medium or its name] = { tx_packets, tx_bytes, rx_packets, rx_bytes, drops, overruns, uncarried }}:
--- what went through the node's devices. Of a machine or host also what it took too slowly, and frames that the medium cannot
--- carry.
function Net:counters(other)
    check_self(self, "counters")
    local name, found = name_of(other, "counters")
    return by_medium(found, self:call("counters", { where = "counters", node = name }))
end

--- net:stats() -> { events, lateness={count, mean, p50, p99, max, histogram}, drops, overruns, uncarried, missed }: how many
--- events were simulated, and how late; frames that devices dropped, machines took too slowly, media could not carry; and events
--- that could not be told to this program.
function Net:stats()
    check_self(self, "stats")
    local stats = self:call("stats")
    return stats
end

-- Events ----------------------------------------------------------------------------------------------------------------

--- net:on(...), net:schedule(...), net:at(...): see events.
function Net:on(kind, opts, fn)
    check_self(self, "on")
    local handle = events.on(self, kind, opts, fn, 2)
    return handle
end

function Net:schedule(t, fn)
    check_self(self, "schedule")
    local handle = events.schedule(self, t, fn, 2)
    return handle
end

function Net:at(t, commands)
    check_self(self, "at")
    local task = events.at(self, t, commands, 2)
    return task
end

-- The end ---------------------------------------------------------------------------------------------------------------

--- ns3.collect() -> {[name]=stats} of the simulations that run; nil when there is none.
function ns3.collect()
    local all
    for _, self in ipairs(open) do
        local ok, stats = pcall(self.stats, self)
        if ok then
            all = all or {}
            all[self.name] = stats
        end
    end
    return all
end

testbed.on_end(function()
    for _, self in ipairs(open) do
        self.over = true
        self.child:close()
        for port in pairs(self.ports) do core.port_remove(port) end
    end
    open, count = {}, 0
end)

return ns3
