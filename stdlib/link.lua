-- SPDX-License-Identifier: MIT
-- Links and switches: link, switch, hub, lan.

local capture = require "qemunet.capture"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local impairment = require "qemunet.impairment"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local trigger = require "qemunet.trigger"

local link = {}

-- How long a switch remembers a station: IEEE 802.1D-2004, table 7-5.
local AGEING = 300

local LINK = { ab = { type = "table" }, ba = { type = "table" }, subnet = { type = "string" }, ip = { type = "boolean" } }
for name, entry in pairs(impairment.OPTIONS) do LINK[name] = entry end

local function change(config, opts, where, level)
    local read = impairment.read(opts, impairment.OPTIONS, where, level + 1)
    impairment.merge(config, read)
end

-- Changes both directions' configurations by the options of link or set.
local function change_both(ab, ba, opts, where, level)
    local both, checked = impairment.read(opts, LINK, where, level + 1)
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

-- Puts both configurations in force at one instant, if they are possible; else the link keeps what it has.
local function apply(self, ab, ba, level)
    check_possible(ab, "set: ab", level + 1)
    check_possible(ba, "set: ba", level + 1)
    core.link_set(self.id, impairment.core(ab), impairment.core(ba))
    self.config = { ab = ab, ba = ba }
    core.event { t = core.now(), kind = "link", link = self.name, event = "set", ab = ab.values, ba = ba.values }
end

-- One direction: what l.ab and l.ba are.
local Direction = { __name = "direction" }
Direction.__index = Direction

function Direction:__tostring() return ("%s of link %s"):format(self.way, self.link.name) end

--- l.ab:set(opts), l.ba:set(opts): one direction.
function Direction:set(opts)
    local new = { ab = impairment.copy(self.link.config.ab), ba = impairment.copy(self.link.config.ba) }
    change(new[self.way], opts, "set", 2)
    apply(self.link, new.ab, new.ba, 2)
end

--- Whether a value is a direction.
function link.is_direction(v) return getmetatable(v) == Direction end

local Link = {}
local class = { __name = "link" }

function class.__index(_, key)
    if Link[key] ~= nil then return Link[key] end
    errors.raise(("a link has no field or method %q%s"):format(tostring(key), options.hint(key, Link)))
end

function class.__tostring(self) return ("link %s (%s)"):format(self.name, self.is_up and "up" or "down") end

Link.removed, Link.switch, Link.mtu = false, false, false

local function not_removed(self)
    if self.removed then errors.raise(("link %s was removed"):format(self.name)) end
end

--- l:set(opts): changes what the options name, in force from the next packet on, both directions at one instant. An
--- option that is false is as if it had never been given.
function Link:set(opts)
    not_removed(self)
    local ab, ba = impairment.copy(self.config.ab), impairment.copy(self.config.ba)
    change_both(ab, ba, opts, "set", 2)
    apply(self, ab, ba, 2)
end

-- Tells a machine's interface about the cable; a machine that has ended need not know.
function Link:carrier(nic, up)
    local why = nic.node:set_carrier(nic, up)
    if why then errors.raise(("link %s: cannot switch the carrier at %s: %s"):format(self.name, nic.node.name, why)) end
end

local function switch_to(self, up)
    not_removed(self)
    if self.is_up == up then return end
    self.is_up = up
    core.link_up(self.id, up)
    core.event { t = core.now(), kind = "link", link = self.name, event = up and "up" or "down" }
    for _, nic in ipairs(self.nics) do self:carrier(nic, up) end
end

--- l:down(): unplugs the cable: what waits and travels on it is lost, and both ends lose their carrier.
function Link:down() switch_to(self, false) end

--- l:up(): plugs it in again.
function Link:up() switch_to(self, true) end

--- l:remove(): takes the link away for good; its interfaces stay, without a carrier.
function Link:remove()
    not_removed(self)
    switch_to(self, false)
    trigger.link_removed(self)
    core.link_remove(self.id)
    self.removed = true
    core.event { t = core.now(), kind = "link", link = self.name, event = "removed" }
end

--- l:stats() -> { ab={sent, delivered, lost, queue_drops, early_drops, down_drops, mtu_drops, overruns, trigger_drops,
--- duplicated, reordered, corrupted, bytes, in_flight, lateness={count, mean, p50, p99, max, histogram}}, ba={...} }.
function Link:stats()
    not_removed(self)
    local ab, ba = core.link_stats(self.id)
    return { ab = ab, ba = ba }
end

--- l:on(filter, opts, fn): see trigger.on.
function Link:on(filter, opts, fn)
    not_removed(self)
    local handle = trigger.on(self, filter, opts, fn)
    return handle
end

--- l:capture(path): see capture.link.
function Link:capture(path)
    not_removed(self)
    local started = capture.link(self, path)
    return started
end

-- A link without its ends yet.
local function new(name, opts, where, level)
    local ab, ba = impairment.new(), impairment.new()
    local checked = change_both(ab, ba, opts, where, level + 1)
    check_possible(ab, where .. ": ab", level + 1)
    check_possible(ba, where .. ": ba", level + 1)
    local self = { name = name, config = { ab = ab, ba = ba }, is_up = true, nics = {}, mtu = checked.mtu }
    self.ab = setmetatable({ link = self, way = "ab" }, Direction)
    self.ba = setmetatable({ link = self, way = "ba" }, Direction)
    return setmetatable(self, class), checked
end
link.new = new

--- Joins two ends, each {kind, id} as core.link_add takes them.
local function connect(self, a, b)
    local ab, ba = self.config.ab, self.config.ba
    self.id = core.link_add(a[1], a[2], b[1], b[2], impairment.core(ab), impairment.core(ba))
    testbed.add_link(self)
    core.event { t = core.now(), kind = "link", link = self.name, event = "added", ab = ab.values, ba = ba.values }
    return self
end
link.connect = connect

--- The node that a script's value stands for; `which` names the value.
local function check_node(v, where, which, level)
    local found = type(v) == "string" and testbed.find(v) or v
    if type(found) ~= "table" or type(rawget(found, "nics")) ~= "table" or not rawget(found, "state") then
        error(("%s: %s is not a node%s"):format(where, which, type(v) == "string" and (": there is none named %q"):format(v)
            or ", but a " .. type(v)), level + 1)
    end
    return found
end
link.check_node = check_node

--- link(a, b, opts) -> link: a cable between two nodes. opts, for both directions, or for one in ab={...}, ba={...}:
--- delay (one-way), jitter, distribution="uniform"|"normal"|"pareto"|"trace" (with samples={...} or a file), correlation,
--- loss, burst={p=,r=,h=,k=} (Gilbert-Elliott), rate or trace=file (mahimahi's), queue (packets, or bytes with a unit),
--- discipline="fifo"|"red"|"codel" with red={min=,max=,p=,weight=} or codel={target=,interval=}, reorder, duplicate,
--- corrupt, mtu; and subnet="10.1.0.0/24", ip=false.
function link.link(a, b, opts)
    a, b = check_node(a, "link", "the first argument", 2), check_node(b, "link", "the second argument", 2)
    if a == b then error("link: both ends are " .. a.name, 2) end
    local self, both = new(a.name .. "--" .. b.name, opts, "link", 2)
    local subnet = testbed.subnet(both, "link")
    local nic_a = a:add_nic(self, subnet)
    local nic_b = b:add_nic(self, subnet)
    self.nics = { nic_a, nic_b }
    connect(self, nic_a.at, nic_b.at)
    return self
end

local Switch = {}
local switch_class = { __name = "switch", __index = Switch }

function switch_class.__tostring(self) return ("switch %s (%d links)"):format(self.name, #self.links) end

--- s:connect(node, opts) -> link: a cable from the node (a) to the switch (b); opts as for link.
function Switch:connect(other, opts)
    other = check_node(other, "connect", "the first argument", 2)
    local l, both = new(other.name .. "--" .. self.name, opts, "connect", 2)
    l.switch = self
    if both.subnet then error("connect: give subnet= to the switch", 2) end
    local nic = other:add_nic(l, both.ip ~= false and self.subnet or nil)
    l.nics = { nic }
    connect(l, nic.at, { "switch", self.id })
    self.links[#self.links + 1] = l
    return l
end

local SWITCH = { subnet = { type = "string" }, ip = { type = "boolean" } }

local function new_switch(name, opts, is_hub, level)
    if type(name) ~= "string" then error("switch: want a name", level + 1) end
    local checked = options.check(opts, SWITCH, is_hub and "hub" or "switch", level + 1)
    testbed.prepare()
    local self = setmetatable({ name = name, links = {}, subnet = testbed.subnet(checked, "switch"),
        id = core.switch_add(AGEING, is_hub) }, switch_class)
    testbed.add_switch(self)
    return self
end

--- switch(name, opts) -> a learning switch; opts: subnet="10.1.0.0/24", ip=false. :connect(node, opts) -> link.
function link.switch(name, opts)
    local self = new_switch(name, opts, false, 2)
    return self
end

--- hub(name, opts) -> as a switch, but it sends every frame everywhere.
function link.hub(name, opts)
    local self = new_switch(name, opts, true, 2)
    return self
end

--- lan(nodes, opts) -> switch: a switch with all the nodes connected; opts: those of link, for each cable, and the switch's.
function link.lan(nodes, opts)
    if type(nodes) ~= "table" or #nodes == 0 then error("lan: want an array of nodes", 2) end
    local cable, own = {}, {}
    for key, value in pairs(opts or {}) do
        if SWITCH[key] then own[key] = value else cable[key] = value end
    end
    local self = new_switch("lan" .. #testbed.switches() + 1, own, false, 2)
    for _, member in ipairs(nodes) do self:connect(member, cable) end
    return self
end

return link
