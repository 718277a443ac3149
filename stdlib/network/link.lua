-- SPDX-License-Identifier: MIT
-- A link: its directions, what they do to packets, and how it comes and goes. What links are made between is in wiring.lua.

local boot = require "qemunet.nodes.boot"
local capture = require "qemunet.network.capture"
local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local impairment = require "qemunet.network.impairment"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local trigger = require "qemunet.network.trigger"

local link = {}

local WAY = { type = "table", of = impairment.OPTIONS }
local SET = options.register({ ab = WAY, ba = WAY }, "link:set")
local LINK = options.register({ subnet = { type = "string" }, ip = { type = "boolean" } }, "link", "switch:connect", "radio:join")
options.register(impairment.OPTIONS, "direction:set")
for name, entry in pairs(impairment.OPTIONS) do SET[name] = entry end
for name, entry in pairs(SET) do LINK[name] = entry end
--- The options of a link.
link.OPTIONS = LINK

local function change(config, opts, where, level)
    local read = impairment.read(opts, impairment.OPTIONS, where, level + 1)
    impairment.merge(config, read)
end

-- Changes both directions' configurations by the options of link or set, which `spec` says.
local function change_both(ab, ba, opts, spec, where, level)
    local both, checked = impairment.read(opts, spec, where, level + 1)
    impairment.merge(ab, both)
    impairment.merge(ba, both)
    if checked.ab then change(ab, checked.ab, where .. ": ab", level + 1) end
    if checked.ba then change(ba, checked.ba, where .. ": ba", level + 1) end
    return checked
end

local function check_possible(config, where, level)
    local problem = impairment.problem(config)
    if problem then error(where .. ": " .. problem, level + 1) end
end

-- What is in force of a configuration: it, and what faults do to the link beside for the time being.
local function in_force(self, config) return self.overlay and self.overlay(config) or config end

-- Puts both configurations in force at one instant, if they are possible; else the link keeps what it has.
local function apply(self, ab, ba, level)
    local ab_now, ba_now = in_force(self, ab), in_force(self, ba)
    check_possible(ab_now, "set: ab", level + 1)
    check_possible(ba_now, "set: ba", level + 1)
    core.link_set(self.id, impairment.core(ab_now), impairment.core(ba_now))
    self.config = { ab = ab, ba = ba }
    core.event { t = core.now(), kind = "link", link = self.name, event = "set", ab = ab.values, ba = ba.values }
end

--- Has fn(configuration) -> another be in force on a link, in place of what it is set to and will be; nil: no more.
function link.overlay(self, fn)
    self.overlay = fn or false
    core.link_set(self.id, impairment.core(in_force(self, self.config.ab)), impairment.core(in_force(self, self.config.ba)))
end

--- class link: a cable, whose directions are ab and ba; what link() and others return.
-- @field name string    its name, as "a--b"
-- @field a node         the node or switch at end a
-- @field b node         the node, switch or radio at end b
-- @field ab direction   from a to b
-- @field ba direction   from b to a
-- @field is_up boolean  false after :down()
-- @field removed boolean  true after :remove()
-- @field nics table     the network interfaces at its ends, a's first
-- @field switch switch  the switch or radio at one of its ends, else false
-- @field gateway string  of nat(): the router's address, else false
local Link = {}
local meta = class.new("link", Link)

-- Raises at the script's line unless a method was called as such, on a link that is still there.
local function check_call(self, method, of)
    class.check(self, of, method)
    local l = of == meta and self or self.link
    if l.removed then errors.raise(("link %s was removed"):format(l.name)) end
end

local function check_set(opts)
    if type(opts) ~= "table" then errors.raise("set: want a table of options, not " .. type(opts)) end
end

-- An assignment would change nothing of the link.
local function refuse_option(self, key, value)
    if impairment.OPTIONS[key] then
        errors.raise(("a link's %s cannot be assigned: :set { %s = ... } changes it"):format(key, key))
    end
    rawset(self, key, value)
end

meta.__newindex = refuse_option

-- One direction: what l.ab and l.ba are.
--- class direction: one direction of a link, link.ab or link.ba. As a place of traffic, it is the end that it leads to.
-- @field link link    its link
-- @field way string   "ab" or "ba"
local Direction = {}
local direction_meta = class.new("direction of a link", Direction, "direction")
direction_meta.__newindex = refuse_option

function direction_meta.__tostring(self) return ("%s of link %s"):format(self.way, self.link.name) end

--- direction:set(opts): changes what the options name, in one direction; as link:set.
-- @options link:set
-- @example
--   local cable = link(responder("a"), responder("b"))
--   cable.ab:set { rate = "1mbit" }
function Direction:set(opts)
    check_call(self, "set", direction_meta)
    check_set(opts)
    local new = { ab = impairment.copy(self.link.config.ab), ba = impairment.copy(self.link.config.ba) }
    change(new[self.way], opts, "set", 2)
    apply(self.link, new.ab, new.ba, 2)
end

--- direction:stats() -> table: what link:stats() says of one direction.
-- @example
--   local cable = link(responder("a"), responder("b"))
--   check.equal(cable.ab:stats().sent, 0)
function Direction:stats()
    errors.check_colon(link.is_direction(self), "stats", "direction")
    return self.link:stats()[self.way]
end

--- Whether a value is a link.
function link.is_link(v) return getmetatable(v) == meta end

--- Whether a value is a direction.
function link.is_direction(v) return getmetatable(v) == direction_meta end

function meta.__tostring(self)
    return ("link %s (%s)"):format(self.name, self.removed and "removed" or self.is_up and "up" or "down")
end

-- A link's fields: name (of its own), a and b (the nodes or switches at its ends), ab and ba (the directions), is_up, nics
-- (those of the nodes, a's first), config; and these, where they are not false. on_remove: what is to be done beside, when
-- it is removed. overlay: see link.overlay.
for _, field in ipairs { "removed", "switch", "mtu", "a", "b", "id", "last_stats", "gateway", "nameserver", "on_remove",
    "overlay" } do
    Link[field] = false
end

--- link:set(opts): changes what the options name, in force from the next packet on, in both directions at one instant.
-- What is not named stays. An option that is false is as if it had never been given.
-- @options link
-- @example
--   local cable = link(responder("a"), responder("b"), { delay = "10ms" })
--   cable:set { loss = "5%", ab = { delay = false } }
function Link:set(opts)
    check_call(self, "set", meta)
    check_set(opts)
    local ab, ba = impairment.copy(self.config.ab), impairment.copy(self.config.ba)
    change_both(ab, ba, opts, SET, "set", 2)
    apply(self, ab, ba, 2)
end

local function carrier_problem(self, nic, up)
    local why = nic.node:set_carrier(nic, up)
    return why and ("link %s: cannot switch the carrier at %s: %s"):format(self.name, nic.node.name, why)
end

-- Tells a machine's interface about the cable; a machine that has ended need not know.
function Link:carrier(nic, up)
    local problem = carrier_problem(self, nic, up)
    if problem then errors.raise(problem) end
end

local function tell_all(self, up, told)
    local problem
    for _, nic in ipairs(self.nics) do problem = carrier_problem(self, nic, up) or problem end
    told:set(problem)
end

-- All ends are told, also when the calling task is cancelled meanwhile.
local function switch_to(self, up)
    if self.is_up == up then return end
    self.is_up = up
    core.link_up(self.id, up)
    core.event { t = core.now(), kind = "link", link = self.name, event = up and "up" or "down" }
    local told = core.future()
    tasks.detach(tell_all, self, up, told)
    core.wait { told }
    if told:values() then errors.raise(told:values()) end
end

--- link:down(): unplugs the cable: what waits and travels on it is lost, and both ends lose their carrier.
-- @example
--   local cable = link(responder("a"), responder("b"))
--   cable:down()
--   check.equal(cable.is_up, false)
function Link:down()
    check_call(self, "down", meta)
    switch_to(self, false)
end

--- link:up(): plugs the cable in again.
-- @example
--   local cable = link(responder("a"), responder("b"))
--   cable:down()
--   cable:up()
function Link:up()
    check_call(self, "up", meta)
    switch_to(self, true)
end

-- Ends a link and its interfaces. Returns futures that are set when those are gone.
local function take_away(self)
    if self.id then
        trigger.link_removed(self)
        self.last_stats = self:stats()
        core.link_remove(self.id)
        testbed.remove_link(self)
        core.event { t = core.now(), kind = "link", link = self.name, event = "removed" }
    end
    self.removed, self.is_up = true, false
    for _, at in ipairs { self.a, self.b } do
        if at and rawget(at, "links") then at:forget(self) end -- a switch, or a radio
    end
    if self.on_remove then self.on_remove() end
    local leaving = {}
    for _, nic in ipairs(self.nics) do leaving[#leaving + 1] = nic.node:remove_nic(nic) end
    return leaving
end

--- The end of a link that is not gone yet, without waiting.
function Link:take_away()
    if not self.removed then take_away(self) end
end

--- link:remove(): takes the link away for good, and its interfaces with it, also from machines that run.
-- @example
--   local a = responder("a")
--   link(a, responder("b")):remove()
--   check.equal(#a.nics, 0)
function Link:remove()
    check_call(self, "remove", meta)
    for _, left in ipairs(take_away(self)) do core.wait { left } end
    boot.refresh_hosts()
end

--- link:stats() -> table: what has become of the packets, by direction; of a link that was removed, what it had done by then.
-- @return  { ab = { sent, delivered, lost, queue_drops, early_drops, down_drops, mtu_drops, overruns, trigger_drops, duplicated,
--   reordered, corrupted, bytes, in_flight, lateness = { count, mean, p50, p99, max, histogram } }, ba = {...} }: counts of
--   packets; the lateness of this machine in seconds
-- @example
--   local stats = link(responder("a"), responder("b")):stats()
--   check.equal({ stats.ab.sent, stats.ba.lost }, { 0, 0 })
function Link:stats()
    class.check(self, meta, "stats")
    if self.removed then return self.last_stats end
    local ab, ba = core.link_stats(self.id)
    return { ab = ab, ba = ba }
end

--- link:on(filter, opts, fn) -> trigger: fires for packets that a filter takes, as they enter the link.
-- fn(pkt) runs in a task: it may wait, and its error fails the experiment. With hold=true the packet waits for what it returns:
-- "pass" (or nothing), "drop", { delay = duration }, { data = bytes }; after 60 s it goes on without.
-- @param filter  in pcap's syntax, as "tcp port 80"; "" takes all
-- @param opts    may be left out
-- @param fn      function(packet), or nothing: see trigger:wait
-- @option nth    from this match on (default 1)
-- @option count  how often it fires (default: once with nth, else always)
-- @option dir    one direction only (default: both)
-- @option hold   true: the packet is held until fn has returned its verdict
-- @error  a bad filter
-- @example
--   local a, b = responder("a"), responder("b")
--   local cable = link(a, b)
--   local seen = cable:on("udp", { nth = 2, hold = true }, function(pkt) return { delay = "5ms" } end)
--   source(a, { rate = "1mbit", to = b, count = 3, start = true })
--   check.equal(seen:wait(5):udp().dst, 9)
function Link:on(filter, opts, fn)
    check_call(self, "on", meta)
    local handle = trigger.on(self, filter, opts, fn)
    return handle
end

--- link:capture(path) -> capture: writes every packet that enters the link to a file, with what the link did to it.
-- The format is pcapng; a comment says "dropped: loss", "corrupted, entered 20.000 ms before" and the like. A packet's time is
-- that at which it was due at the far end, or was dropped. Each direction is an interface, "a--b ab" and "a--b ba".
-- @param path  a relative one is in the run's folder
-- @example
--   local capture = link(responder("a"), responder("b")):capture("cable.pcapng")
--   check.equal(capture:stop().dropped, 0)
function Link:capture(path)
    check_call(self, "capture", meta)
    local started = capture.link(self, path)
    return started
end

--- Checks the options of a link. Returns both directions' configurations, and the checked table.
local function check(opts, where, level)
    local ab, ba = impairment.new(), impairment.new()
    local checked = change_both(ab, ba, opts, LINK, where, level + 1)
    check_possible(ab, where .. ": ab", level + 1)
    check_possible(ba, where .. ": ba", level + 1)
    return ab, ba, checked
end
link.check = check

--- A link without its ends yet, and the checked table of its options.
local function new(name, opts, where, level)
    local ab, ba, checked = check(opts, where, level + 1)
    local self = { name = testbed.link_name(name), config = { ab = ab, ba = ba }, is_up = true, nics = {}, mtu = checked.mtu }
    self.ab = setmetatable({ link = self, way = "ab" }, direction_meta)
    self.ba = setmetatable({ link = self, way = "ba" }, direction_meta)
    return setmetatable(self, meta), checked
end
link.new = new

--- Joins two ends, each {kind, id} as core.link_add takes them.
local function connect(self, a, b)
    local ab, ba = self.config.ab, self.config.ba
    self.id = core.link_add(a[1], a[2], b[1], b[2], impairment.core(ab), impairment.core(ba))
    testbed.add_link(self)
    core.event { t = core.now(), kind = "link", link = self.name, event = "added", a = self.a and self.a.name or nil,
        b = self.b and self.b.name or nil, ab = ab.values, ba = ba.values }
    return self
end
link.connect = connect

-- Making links, in nodes that may run already. All of the links of a making are usable when it is finished; if it is left
-- before, by an error or because its task was cancelled, none of them is there.
local Making = {}
Making.__index = Making

local function making(links) return setmetatable({ links = links, plugging = {} }, Making) end

function Making:__close()
    if self.finished then return end
    for _, plug in ipairs(self.plugging) do plug.task:cancel() end
    for _, l in ipairs(self.links) do take_away(l) end
end

local function has_running_end(l)
    for _, nic in ipairs(l.nics) do
        if nic.node.state == "up" and nic.node.update_hosts then return true end
    end
end

-- Whether nodes that run already are at one of the links, or on its switch: they are told of the names.
local function are_heard(links)
    local seen = {}
    for _, l in ipairs(links) do
        if has_running_end(l) then return true end
        for _, other in ipairs(l.switch and not seen[l.switch] and l.switch.links or {}) do
            if has_running_end(other) then return true end
        end
        seen[l.switch] = true
    end
    return false
end

function Making:finish()
    for _, l in ipairs(self.links) do
        for _, nic in ipairs(l.nics) do
            if nic.unplugged then
                self.plugging[#self.plugging + 1] = { nic = nic, task = tasks.start(nic.node.plug, nic.node, nic) }
            end
        end
    end
    for _, plug in ipairs(self.plugging) do core.wait { plug.task.done } end
    for _, plug in ipairs(self.plugging) do
        local why = plug.task:outcome()
        if why then errors.raise(("link %s: %s: %s"):format(plug.nic.link.name, plug.nic.node.name, why)) end
    end
    self.finished = true
    if are_heard(self.links) then boot.refresh_hosts() end
end
link.making = making

-- What there is in a node's place, in words.
local function describe_other(v)
    if type(v) == "string" then return (": there is none named %q"):format(v) end
    if v == nil then return ", but nil" end
    return ", but " .. (getmetatable(v) and tostring(v) or "a " .. type(v))
end

--- The node that a script's value stands for; `which` names the value.
local function check_node(v, where, which, level)
    local found = type(v) == "string" and testbed.find(v) or v
    if type(found) ~= "table" or type(rawget(found, "nics")) ~= "table" or not rawget(found, "state") then
        error(("%s: %s is not a node%s"):format(where, which, describe_other(v)), level + 1)
    end
    return found
end
link.check_node = check_node

--- Adds the link to the node at an end. Returns that, as core.link_add takes it.
function link.attach(self, at, subnet)
    local nic = at:add_nic(self, subnet)
    self.nics[#self.nics + 1] = nic
    return nic.at
end

return link
