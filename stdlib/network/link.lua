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

local SET = { ab = { type = "table" }, ba = { type = "table" } }
local LINK = { subnet = { type = "string" }, ip = { type = "boolean" } }
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
local Direction = {}
local direction_meta = class.new("direction of a link", Direction)
direction_meta.__newindex = refuse_option

function direction_meta.__tostring(self) return ("%s of link %s"):format(self.way, self.link.name) end

--- l.ab:set(opts), l.ba:set(opts): one direction.
function Direction:set(opts)
    check_call(self, "set", direction_meta)
    check_set(opts)
    local new = { ab = impairment.copy(self.link.config.ab), ba = impairment.copy(self.link.config.ba) }
    change(new[self.way], opts, "set", 2)
    apply(self.link, new.ab, new.ba, 2)
end

--- l.ab:stats(): what l:stats() says of one direction.
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

--- l:set(opts): changes what the options name, in force from the next packet on, both directions at one instant. An
--- option that is false is as if it had never been given.
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

--- l:down(): unplugs the cable: what waits and travels on it is lost, and both ends lose their carrier.
function Link:down()
    check_call(self, "down", meta)
    switch_to(self, false)
end

--- l:up(): plugs it in again.
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

--- l:remove(): takes the link away for good, and its interfaces with it, also from machines that run.
function Link:remove()
    check_call(self, "remove", meta)
    for _, left in ipairs(take_away(self)) do core.wait { left } end
    boot.refresh_hosts()
end

--- l:stats() -> { ab={sent, delivered, lost, queue_drops, early_drops, down_drops, mtu_drops, overruns, trigger_drops,
--- duplicated, reordered, corrupted, bytes, in_flight, lateness={count, mean, p50, p99, max, histogram}}, ba={...} }; of a
--- link that was removed, what it had done by then.
function Link:stats()
    class.check(self, meta, "stats")
    if self.removed then return self.last_stats end
    local ab, ba = core.link_stats(self.id)
    return { ab = ab, ba = ba }
end

--- l:on(filter, opts, fn): see trigger.on.
function Link:on(filter, opts, fn)
    check_call(self, "on", meta)
    local handle = trigger.on(self, filter, opts, fn)
    return handle
end

--- l:capture(path): see capture.link.
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
                self.plugging[#self.plugging + 1] = { nic = nic, task = tasks.go(nic.node.plug, nic.node, nic) }
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

--- link(a, b, opts) -> link: a cable between two nodes (or switches). opts, for both directions, or for one in ab={...},
--- ba={...}; without any of them the cable is perfect:
---   delay=0 (one-way), jitter=0 with distribution="uniform" (between -jitter and jitter), "normal" or "pareto" (jitter is
---     the standard deviation) or "trace" (added to the delay, in turn, are samples={...} or the lines of the file samples=),
---     and correlation=0 (of each packet's jitter with the one before); reorder=0: the fraction that does not wait;
---   loss=0, duplicate=0, corrupt=0 (fractions; a corrupted packet has one bit flipped);
---   burst={p=, r=1-p, h=0, k=1} (Gilbert-Elliott): of turning bad, of turning good again, of passing while bad, while good;
---   rate (of Ethernet frames; none: unlimited), or in its place trace=file (mahimahi's);
---   queue=1000 (packets, or bytes with a unit) that may wait while one is sent, and discipline="fifo", "red" with
---     red={min=1/12 of queue, max=1/4 of it, p=0.1, weight=0.002} or "codel" with codel={target="5ms", interval="100ms"};
---   mtu (68 to 65535; none: any). For both it is also that of the nodes' interfaces at their boot; in ab, in ba and by set
---     it is the link's alone, which drops what is larger;
--- and for the link subnet="10.1.0.0/24" (the next free one of 10.0.0.0/8), ip=false for no addresses.
function link.link(a, b, opts)
    a, b = check_end(a, "link", "the first argument", 2), check_end(b, "link", "the second argument", 2)
    local made <close> = making {}
    local self = join(a, b, opts, made, "link", 2)
    made:finish()
    return self
end

--- s:connect(node, opts) -> link: a cable from the node (a), or another switch, to the switch (b); opts as for link.
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

--- s:stats() -> { frames, floods, moves, hop_drops, storms, storm_drops }: what came in; of these sent everywhere; how often
--- a station was heard from another link than before; frames that went round for too long; times that storm control began,
--- and frames it did not flood.
function Switch:stats()
    class.check(self, switch_meta, "stats")
    return core.switch_stats(self.id)
end

local SWITCH = { subnet = { type = "string" }, ip = { type = "boolean" }, ageing = { type = "duration" } }
local HUB = { subnet = SWITCH.subnet, ip = SWITCH.ip }

local function new_switch(name, opts, where, level)
    if type(name) ~= "string" or name == "" then error(where .. ": want a name", level + 1) end
    local checked = options.check(opts, where == "hub" and HUB or SWITCH, where, level + 1)
    testbed.prepare()
    local self = { name = name, links = {}, subnet = testbed.subnet(checked, where) or false,
        subnet_is_automatic = not checked.subnet and checked.ip ~= false }
    testbed.add_switch(setmetatable(self, switch_meta))
    self.id = core.switch_add(checked.ageing or AGEING, where == "hub")
    storm.listen()
    return self
end

--- switch(name, opts) -> a learning switch; opts: subnet="10.1.0.0/24", ip=false, ageing="300s" (how long it remembers where
--- a station is; 0: for ever). :connect(node, opts) -> link. Fields: name, links, subnet.
function link.switch(name, opts)
    local self = new_switch(name, opts, "switch", 2)
    return self
end

--- hub(name, opts) -> as a switch, but it sends every frame everywhere; opts: subnet, ip.
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

--- lan(nodes, opts) -> switch: a switch with all the nodes connected; opts: those of link, for each cable, and the switch's.
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
