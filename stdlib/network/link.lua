-- SPDX-License-Identifier: MIT
-- Links and switches: link, switch, hub, lan.

local boot = require "qemunet.nodes.boot"
local capture = require "qemunet.network.capture"
local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local impairment = require "qemunet.network.impairment"
local options = require "qemunet.options"
local storm = require "qemunet.network.storm"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local trigger = require "qemunet.network.trigger"

local link = {}

-- How long a switch remembers a station: IEEE 802.1D-2004, table 7-5.
local AGEING = 300

local WAY = { type = "table", of = impairment.OPTIONS }
local SET = options.register({ ab = WAY, ba = WAY }, "link:set")
local LINK = options.register({ subnet = { type = "string" }, ip = { type = "boolean" } }, "link", "switch:connect", "radio:join")
options.register(impairment.OPTIONS, "direction:set")
for name, entry in pairs(impairment.OPTIONS) do SET[name] = entry end
for name, entry in pairs(SET) do LINK[name] = entry end

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

--- class switch: a switch or hub; what switch(), hub() and lan() return.
-- @field name string   its name
-- @field links table   its links
-- @field subnet table  its subnet, or false with ip=false
local Switch = {}
local switch_meta = class.new("switch", Switch)

function switch_meta.__tostring(self) return ("switch %s (%d links)"):format(self.name, #self.links) end

local function is_switch(v) return getmetatable(v) == switch_meta end

local function check_end(v, where, which, level)
    if is_switch(v) then return v end
    local found = check_node(v, where, which, level + 1)
    return found
end

-- Whether nobody would miss the switch's subnet, were it on that of `other`.
local function may_give_up(switch, other)
    local own, new = switch.subnet, other.subnet
    return own and new and own.used == 0 and
        (switch.subnet_is_automatic or own.base == new.base and own.len == new.len)
end

-- Two switches are one network: one whose subnet has no nodes yet, and was not asked for, takes the other's.
local function share_subnet(a, b)
    local keep, give = a, b
    if not may_give_up(give, keep) then keep, give = b, a end
    if keep.subnet == give.subnet or not may_give_up(give, keep) then return end
    local old = give.subnet
    for _, switch in ipairs(testbed.switches()) do
        if switch.subnet == old then
            switch.subnet, switch.subnet_is_automatic = keep.subnet, keep.subnet_is_automatic
        end
    end
end

local function subnet_for(a, b, both, where, level)
    local switch = is_switch(a) and a or is_switch(b) and b
    if not switch then return testbed.subnet(both, where) end
    if both.subnet then error(where .. ": give subnet= to the switch", level + 1) end
    return both.ip ~= false and switch.subnet or nil
end

-- Adds the link to what is at an end. Returns that, as core.link_add takes it.
local function attach(self, at, subnet)
    if is_switch(at) then
        self.switch = self.switch or at
        at.links[#at.links + 1] = self
        return { "switch", at.id }
    end
    local nic = at:add_nic(self, subnet)
    self.nics[#self.nics + 1] = nic
    return nic.at
end
link.attach = attach

-- A cable between any two of nodes and switches; it is added to those that are being made.
local function join(a, b, opts, made, where, level)
    if a == b then error(("%s: both ends are %s"):format(where, a.name), level + 1) end
    local self, both = new(a.name .. "--" .. b.name, opts, where, level + 1)
    self.a, self.b = a, b
    local subnet = subnet_for(a, b, both, where, level + 1)
    if is_switch(a) and is_switch(b) then share_subnet(a, b) end
    made.links[#made.links + 1] = self
    local end_a = attach(self, a, subnet)
    return connect(self, end_a, attach(self, b, subnet))
end

--- link(a, b, opts) -> link: a cable between two nodes or switches; without options it is perfect.
-- The options are of both directions, or of one in ab={...}, ba={...}. Delay is one-way: a ping over delay="20ms" takes 40 ms.
-- The nodes may run already; they are given addresses, and all others learn of their names.
-- @param a  end a: a node or its name, or a switch
-- @param b  end b
-- @option ab  options of the direction from a to b
-- @option ba  options of the direction from b to a
-- @option delay         one-way (default 0)
-- @option jitter        how far the delay varies (default 0)
-- @option distribution  of the jitter: "uniform" (default: between -jitter and jitter), "normal" or "pareto" (jitter is the
--   standard deviation), or "trace": samples are added to the delay in turn
-- @option samples       of distribution="trace": a list of durations, or the path of a file with one on each line
-- @option correlation   of each packet's jitter with the one before (default 0)
-- @option reorder       which part of the packets does not wait for its delay (default 0)
-- @option loss          which part of the packets is lost, each independently (default 0)
-- @option burst         losses in bursts, by the Gilbert-Elliott model
-- @option burst.p       the probability of turning bad
-- @option burst.r       the probability of turning good again (default 1 - p)
-- @option burst.h       the probability that a packet passes while it is bad (default 0)
-- @option burst.k       the probability that a packet passes while it is good (default 1)
-- @option duplicate     which part of the packets comes twice (default 0)
-- @option corrupt       which part of the packets has one bit flipped (default 0)
-- @option rate          of Ethernet frames (default: unlimited)
-- @option trace         in place of rate: the path of a file in mahimahi's format
-- @option queue         how many packets may wait while one is sent, or bytes with a unit (default 1000 packets)
-- @option discipline    of that queue (default "fifo")
-- @option red           of discipline="red"
-- @option red.min       length of the queue from which packets are dropped (default 1/12 of queue)
-- @option red.max       length from which the probability is p (default 1/4 of queue)
-- @option red.p         (default 0.1)
-- @option red.weight    of the newest length in the mean (default 0.002)
-- @option codel         of discipline="codel"
-- @option codel.target    how long packets may wait (default 5 ms)
-- @option codel.interval  for how long they may wait longer (default 100 ms)
-- @option mtu     bytes of the largest packet (default: any). For both directions it is also that of the nodes' interfaces at
--   their boot; in ab, in ba and by set it is the link's alone, which drops what is larger
-- @option subnet  as "10.1.0.0/24" (default: the next free one of 10.0.0.0/8)
-- @option ip      false: no addresses
-- @error  what is no node; one node at both ends; unknown options and bad values
-- @example
--   local a, b = responder("a"), responder("b")
--   local cable = link(a, b, { delay = "20ms", loss = "1%", ab = { rate = "10mbit", queue = "64K" } })
--   check.equal(cable.name, "a--b")
function link.link(a, b, opts)
    a, b = check_end(a, "link", "the first argument", 2), check_end(b, "link", "the second argument", 2)
    local made <close> = making {}
    local self = join(a, b, opts, made, "link", 2)
    made:finish()
    return self
end

--- switch:connect(node, opts) -> link: a cable from a node (end a), or another switch, to the switch (end b).
-- @param node  a node or its name, or a switch
-- @options link
-- @example
--   local s = switch("core")
--   local cable = s:connect(responder("a"), { delay = "1ms" })
--   check.equal(cable.b, s)
function Switch:connect(other, opts)
    class.check(self, switch_meta, "connect")
    other = check_end(other, "connect", "the first argument", 2)
    local made <close> = making {}
    local l = join(other, self, opts, made, "connect", 2)
    made:finish()
    return l
end

-- Drops a link that was removed.
function Switch:forget(l) self.links = testbed.without(self.links, l) end

--- Takes it away, at the experiment's end, with the links that are still there.
function Switch:close()
    if self.id then core.switch_remove(self.id) end
end

Switch.id = false

--- switch:stats() -> table: what the switch has done.
-- @return  { frames = that came in, floods = those sent everywhere, moves = how often a station was heard from another link than
--   before, hop_drops = frames that went round for too long, storms = how often storm control began, storm_drops = frames that
--   it did not flood }
-- @example
--   check.equal(switch("core"):stats().frames, 0)
function Switch:stats()
    class.check(self, switch_meta, "stats")
    return core.switch_stats(self.id)
end

local HUB = options.register({ subnet = { type = "string" }, ip = { type = "boolean" } }, "hub")
local SWITCH = options.register({ subnet = HUB.subnet, ip = HUB.ip, ageing = { type = "duration" } }, "switch")
local LAN = options.register({ ageing = SWITCH.ageing }, "lan")
for name, entry in pairs(LINK) do LAN[name] = entry end

local function new_switch(name, opts, where, level)
    if type(name) ~= "string" or name == "" then error(where .. ": want a name", level + 1) end
    local checked = options.check(opts, where == "hub" and HUB or SWITCH, where, level + 1)
    testbed.prepare()
    local self = { name = name, is_hub = where == "hub", links = {}, subnet = testbed.subnet(checked, where) or false,
        subnet_is_automatic = not checked.subnet and checked.ip ~= false }
    testbed.add_switch(setmetatable(self, switch_meta))
    self.id = core.switch_add(checked.ageing or AGEING, self.is_hub)
    storm.listen()
    return self
end

--- switch(name, opts) -> switch: a learning switch.
-- @param name  a text
-- @option subnet  of all its nodes, as "10.1.0.0/24" (default: the next free one of 10.0.0.0/8)
-- @option ip      false: no addresses
-- @option ageing  how long it remembers where a station is (default 300 s; 0: for ever)
-- @error  a name that another switch has
-- @example
--   local s = switch("core", { subnet = "10.9.0.0/16" })
--   for i = 1, 3 do s:connect(responder("n" .. i)) end
--   check.equal(#s.links, 3)
function link.switch(name, opts)
    local self = new_switch(name, opts, "switch", 2)
    return self
end

--- hub(name, opts) -> switch: as a switch, but it sends every frame everywhere.
-- @param name  a text
-- @option subnet  of all its nodes (default: the next free one)
-- @option ip      false: no addresses
-- @example
--   hub("old"):connect(responder("a"))
function link.hub(name, opts)
    local self = new_switch(name, opts, "hub", 2)
    return self
end

-- The options of lan, for each cable and for the switch.
local function split_lan(opts, level)
    if opts ~= nil and type(opts) ~= "table" then error("lan: options must be a table, not " .. type(opts), level + 1) end
    local cable, own = {}, {}
    for key, value in pairs(opts or {}) do
        if SWITCH[key] then own[key] = value else cable[key] = value end
    end
    return cable, own
end

local function lan_name()
    local n = #testbed.switches() + 1
    while testbed.find_switch("lan" .. n) do n = n + 1 end
    return "lan" .. n
end

--- lan(nodes, opts) -> switch: a switch with all the nodes connected.
-- @param nodes  an array of them
-- @options link switch
-- @example
--   local s = lan({ responder("a"), responder("b"), responder("c") }, { delay = "1ms" })
--   check.equal(#s.links, 3)
function link.lan(nodes, opts)
    if type(nodes) ~= "table" or #nodes == 0 then error("lan: want an array of nodes", 2) end
    local cable, own = split_lan(opts, 2)
    local members = {}
    for i = 1, #nodes do members[i] = check_end(nodes[i], "lan", "node " .. i, 2) end
    local self = new_switch(lan_name(), own, "lan", 2)
    local made <close> = making {}
    for _, member in ipairs(members) do join(member, self, cable, made, "lan", 2) end
    made:finish()
    return self
end

return link
