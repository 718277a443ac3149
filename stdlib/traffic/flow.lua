-- SPDX-License-Identifier: MIT
-- Traffic that the fabric makes at one place of the network and measures at another: the way that it goes, its headers, and
-- what source, voice and video have in common.

local address = require "qemunet.network.address"
local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local flow = {}

--- Bytes of the Ethernet, IPv4 and UDP headers.
flow.HEADERS = 14 + 20 + 8

--- The least and the largest frame: one holds the mark by which it is measured, the other is IPv4's largest.
flow.SIZE_MIN, flow.SIZE_MAX = flow.HEADERS + 20, 14 + 65535

-- How long the report of what was stopped waits for what is under way.
local SETTLE, SETTLE_POLL = 5, 0.005

--- The options that all of them take.
flow.OPTIONS = {
    link = { type = "any" }, gateway = { type = "any" }, port = { type = "integer", min = 1, max = 65535 },
    deliver = { type = "boolean" }, start = { type = "boolean" },
}

-- Where packets enter and end ------------------------------------------------------------------------------------------

-- A place is { link=, dir=, nic= }: the direction, and the interface of the node at that end of it that counts: where
-- packets enter its near end, where they are measured its far end. There is none where that end is a switch.

-- The interface at the near or the far end of a link's direction.
local function nic_at(l, dir, at_far_end)
    local member = (dir == 0) == at_far_end and l.b or l.a
    for _, nic in ipairs(l.nics) do
        if nic.node == member then return nic end
    end
end

local function direction_place(direction, at_far_end)
    local l, dir = direction.link, direction.way == "ab" and 0 or 1
    return { link = l, dir = dir, nic = nic_at(l, dir, at_far_end), name = l.name .. "." .. direction.way }
end

-- The direction that leaves the node by an interface, or comes in.
local function nic_place(nic, incoming)
    if not nic.link.id then errors.raise(("%s is simulated by ns-3: its traffic is its applications'"):format(nic.node.name)) end
    local dir = nic.link.a == nic.node and 0 or 1
    return { link = nic.link, dir = incoming and 1 - dir or dir, nic = nic, name = nic.node.name }
end

local function check_present(place, where, level)
    local l = place.link
    if l and l.removed then error(("%s: link %s was removed"):format(where, l.name), level + 1) end
end

local function nic_on(member, key)
    for i, nic in ipairs(member.nics) do
        if not nic.link.removed and (key == nil or key == i or key == nic.link or key == nic.link.switch) then return nic end
    end
end

-- Where packets enter.
local function entry(at, key, where, level)
    if link.is_direction(at) then return direction_place(at, false) end
    local member = link.check_node(at, where, "the place to send from", level + 1)
    local nic = nic_on(member, key)
    if not nic then
        error(("%s: %s has no link%s"):format(where, member.name, key ~= nil and " " .. tostring(key) or ""), level + 1)
    end
    return nic_place(nic)
end

-- Whether a frame gets from a place to an interface without a router.
local function is_near(place, nic)
    local l, subnet = place.link, place.nic and place.nic.subnet
    return l == nic.link or l.switch and l.switch == nic.link.switch or subnet and subnet == nic.subnet
end

-- The interface of a node that packets from a place come to: one that is near if there is, else its first.
local function best_nic(member, from)
    for _, nic in ipairs(member.nics) do
        if not nic.link.removed and is_near(from, nic) then return nic end
    end
    return nic_on(member)
end

local function nic_with_ip(ip)
    for _, member in ipairs(testbed.nodes()) do
        for _, nic in ipairs(member.nics) do
            if nic.ip == ip then return nic end
        end
    end
end

-- The far end where nothing is said: the other end of the cable.
local function opposite(at, from, where, level)
    if link.is_direction(at) then return direction_place(at, true) end
    local nic = nic_at(from.link, from.dir, true)
    if not nic then error(where .. ": to= is missing: the node, link end or address to send to", level + 1) end
    return nic_place(nic, true)
end

-- Where packets are measured; for an address that no node here has, { ip= } alone.
local function target(to, at, from, where, level)
    if to == nil then
        local place = opposite(at, from, where, level + 1)
        return place
    end
    if link.is_direction(to) then return direction_place(to, true) end
    if type(to) == "string" and address.ip_bytes(to) then
        local nic = nic_with_ip(to)
        return nic and nic_place(nic, true) or { ip = to, name = to }
    end
    local member = link.check_node(to, where, "to", level + 1)
    if from.nic and from.nic.node == member then error(("%s: both ends are %s"):format(where, member.name), level + 1) end
    local nic = best_nic(member, from)
    if not nic then error(("%s: %s has no link"):format(where, member.name), level + 1) end
    return nic_place(nic, true)
end

-- Whether packets get from one place to the other without a router.
local function are_near(from, to)
    return to.link and (from.link == to.link or to.nic and is_near(from, to.nic))
end

-- The interface of a router on the network of a place, or nil.
local function hop_near(from, router)
    for _, nic in ipairs(router.nics) do
        if is_near(from, nic) then return nic end
    end
end

local function leads_on(from, to, router)
    if router then return hop_near(from, router) ~= nil end
    return are_near(from, to)
end

-- Where packets enter, and where they are measured. Where the script leaves the interface open, it is the node's first that
-- leads to the target, or to the router.
local function ends(at, to, opts, router, where, level)
    local from = entry(at, opts.link, where, level + 1)
    check_present(from, where, level + 1)
    local goal = target(to, at, from, where, level + 1)
    check_present(goal, where, level + 1)
    if link.is_direction(at) or opts.link ~= nil or leads_on(from, goal, router) then return from, goal end
    for _, nic in ipairs(from.nic.node.nics) do
        if not nic.link.removed then
            local other = nic_place(nic)
            local near = target(to, at, other, where, level + 1)
            if leads_on(other, near, router) then return other, near end
        end
    end
    return from, goal
end

-- The MAC address that frames from a place go to, on their way to another.
local function next_hop(from, to, router, where, level)
    if not router and are_near(from, to) then return to.nic and to.nic.mac end
    if not router then
        error(("%s: %s is on no subnet of %s: give gateway=, the node that routes there"):format(where, to.name, from.name),
            level + 1)
    end
    local nic = hop_near(from, router)
    if nic then return nic.mac end
    error(("%s: gateway %s is on no subnet of %s"):format(where, router.name, from.name), level + 1)
end

-- What stands for the address of an end that is a switch: a locally administered one that nobody has.
local NOBODY = "\x02\x51\x4e\x00\x00\x00"

local SOURCE_PORT = 40000

local function header(from, to, mac, port)
    local src = from.nic and address.mac_bytes(from.nic.mac) or NOBODY
    local src_ip = address.ip_bytes(from.nic and from.nic.ip or "0.0.0.0")
    local dst_ip = address.ip_bytes(to.ip or to.nic and to.nic.ip or "0.0.0.0")
    -- RFC 791: don't fragment; without fragments the identification may be anything (RFC 6864). RFC 768: checksum 0, none.
    return (mac and address.mac_bytes(mac) or NOBODY) .. src .. string.pack(">I2 BBI2I2I2BBI2", 0x0800, 0x45, 0, 0, 0, 0x4000, 64,
        17, 0) .. src_ip .. dst_ip .. string.pack(">I2I2I2I2", SOURCE_PORT, port, 0, 0)
end

local BROADCAST = ("\xff"):rep(6)

-- What switches on the way learn from where the receiver is, by its answer, as they would from a real sender's. Nil on one
-- cable, or where a router will ask.
local function arp_request(from, to)
    local src, dst = from.nic, to.nic
    if from.link == to.link or not (src and src.ip and dst and dst.ip and is_near(from, dst)) then return nil end
    local mac = address.mac_bytes(src.mac)
    return BROADCAST .. mac .. string.pack(">I2 I2I2BBI2", 0x0806, 1, 0x0800, 6, 4, 1) .. mac .. address.ip_bytes(src.ip)
        .. ("\0"):rep(6) .. address.ip_bytes(dst.ip)
end

--- The way from a node or link end to another (nil: the other end of the cable), as fields of core.flow_add, and the places'
--- names. opts: those of flow.OPTIONS, checked. Raises, at the caller's caller by `level`, what is impossible.
function flow.way(at, to, opts, where, level)
    local router = opts.gateway ~= nil and link.check_node(opts.gateway, where, "gateway", level + 1)
    local from, goal = ends(at, to, opts, router, where, level + 1)
    local mac = next_hop(from, goal, router, where, level + 1)
    return {
        from = from.link.id, from_dir = from.dir, to = goal.link and goal.link.id or -1, to_dir = goal.link and goal.dir or 0,
        header = header(from, goal, mac, opts.port), deliver = opts.deliver, links = { from.link, goal.link },
        text = from.name .. " > " .. goal.name, question = arp_request(from, goal),
    }
end

-- A leg: flows of one way -------------------------------------------------------------------------------------------

--- n flows of one way; config: the other fields of core.flow_add. Raises if the fabric refuses them.
function flow.leg(way, config, n, where, level)
    for name, value in pairs(way) do config[name] = value end
    local ok, ids = pcall(core.flow_add, config, n)
    if not ok then error(("%s: %s"):format(where, ids), level + 1) end
    return { ids = ids, way = way }
end

local function run_leg(leg, on)
    local way = leg.way
    if on and way.question then core.link_send(way.from, way.from_dir, way.question) end
    core.flow_run(leg.ids, on)
end

--- What several flows have done: a report, and the core's statistics that it is from.
function flow.read(ids)
    local s = core.flow_stats(ids)
    local known = s.sent - s.in_flight
    local lost = math.max(0, known - s.received)
    return {
        sent = s.sent, received = s.received, lost = lost, loss = known > 0 and lost / known or 0, in_flight = s.in_flight,
        duplicated = s.duplicates, reordered = s.reordered, bytes = s.received_bytes, rate = s.rate,
        delay = s.received > 0 and s.delay or {}, jitter = s.received > 1 and s.jitter or nil, stalled = s.stalled,
        running = s.running,
    }, s
end

-- Only what was sent is known of packets that leave for an address outside.
local function read_leg(leg, finish)
    local report, s = flow.read(leg.ids)
    if leg.way.to == -1 then
        return { sent = s.sent, delay = {}, stalled = s.stalled, running = s.running }
    end
    if finish then finish(report, s) end
    return report
end

-- The class --------------------------------------------------------------------------------------------------------

--- class source: packets that the fabric sends and measures; what source() returns.
local Traffic = {}
local classes = {}
for _, kind in ipairs { "source", "voice", "video" } do
    classes[kind] = class.new(kind, Traffic)
    classes[kind].__tostring = function(self) return ("%s %s"):format(kind, self.legs[1].way.text) end
end

Traffic.final, Traffic.settled = false, true

local open = {}

--- Makes an object of the language: its kind ("source", ...), the legs, and what finish(report, statistics) adds to a leg's
--- report.
function flow.new(kind, legs, finish)
    local self = setmetatable({ kind = kind, legs = legs, finish = finish or false }, classes[kind])
    open[#open + 1] = self
    return self
end

local function note(self, event, report)
    core.event { t = core.now(), kind = "traffic", traffic = self.kind, way = self.legs[1].way.text, event = event,
        report = report }
end

local function ids_of(self)
    local ids = {}
    for _, leg in ipairs(self.legs) do table.move(leg.ids, 1, #leg.ids, #ids + 1, ids) end
    return ids
end

local function is_running(self) return core.flow_stats(ids_of(self)).running end

local function check_links(self)
    for _, leg in ipairs(self.legs) do
        for _, l in pairs(leg.way.links) do
            if l.removed then errors.raise(("%s: link %s was removed"):format(self.kind, l.name)) end
        end
    end
end

local function run(self, on)
    for _, leg in ipairs(self.legs) do run_leg(leg, on) end
end

--- Waits, once for each stop, until nothing that was sent is under way any more, or for long enough.
function flow.settle(self)
    local deadline = core.now() + SETTLE
    while not self.settled do
        local s = core.flow_stats(ids_of(self))
        self.settled = not s.running and s.in_flight == 0 or core.now() > deadline
        if s.running then return end
        if not self.settled then core.wait({}, SETTLE_POLL) end
    end
end

local function check_call(self, method)
    local kind = type(self) == "table" and rawget(self, "kind")
    errors.check_colon(kind and getmetatable(self) == classes[kind], method, "source, voice or video")
end

--- source:start() -> source: it sends from now on, the first packet at a random moment of the first interval.
-- Starting what runs does nothing.
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local flow = source(cable.ab, { rate = "1mbit" })
--   flow:start()
--   check.equal(flow:report().running, true)
function Traffic:start()
    check_call(self, "start")
    if self.final then errors.raise(self.kind .. ": the experiment has ended") end
    check_links(self)
    if is_running(self) then return self end
    self.settled = false
    run(self, true)
    note(self, "start")
    return self
end

--- source:stop() -> source: it sends no more; what is under way still arrives, and counts.
-- @example
--   local cable = link(responder("a"), responder("b"))
--   source(cable.ab, { rate = "1mbit", start = true }):stop()
function Traffic:stop()
    check_call(self, "stop")
    if self.final or not is_running(self) then return self end
    run(self, false)
    note(self, "stop")
    return self
end

local function read(self)
    local report = read_leg(self.legs[1], self.finish)
    for i = 2, #self.legs do report.back = read_leg(self.legs[i], self.finish) end
    return report
end

--- source:report() -> table: what has become of the packets; sent = received + lost + in_flight.
-- Delays are those of the emulated network, exact however late this machine is (that is the lateness of link:stats()). After
-- stop it waits until what was under way has come, at most 5 s.
-- @return  { sent, received, lost, loss = a fraction, in_flight, duplicated, reordered, bytes, rate = bit/s from the first packet
--   received to the last, delay = { min, mean, p50, p95, p99, max } in seconds, jitter = seconds (RFC 3550), stalled = seconds
--   for which nothing was sent because the machine was too slow, running }; delay and jitter are absent while nothing was
--   received; of voice also late, mos (1 to 4.5), r (0 to 100), and with both=true back = the same of the other way
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local flow = source(cable.ab, { rate = "1mbit", count = 4, start = true })
--   eventually(5, function() return flow:report().received == 4 end, { every = "5ms" })
--   check.equal(flow:report().lost, 0)
function Traffic:report()
    check_call(self, "report")
    if self.final then return self.final end
    flow.settle(self)
    return read(self)
end

local function close(self)
    local report = read(self)
    if report.sent > 0 then note(self, "report", report) end
    if report.stalled > 0 then
        core.log(0, ("%s: sent nothing for %s: the machine is too slow for its rate"):format(tostring(self),
            units.format_duration(report.stalled)))
    end
    core.flow_remove(ids_of(self))
    self.final = report
end

testbed.on_end(function()
    for _, self in ipairs(open) do close(self) end
    open = {}
end)

return flow
