-- SPDX-License-Identifier: MIT
-- Links and switches: link, switch, hub, lan.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local link = {}

-- How long a switch remembers a station: IEEE 802.1D-2004, table 7-5.
local AGEING = 300

local DIRECTION = {
    delay = { type = "duration" },
    loss = { type = "fraction" },
    rate = { type = "rate" },
    queue = { type = { "integer", "size" }, min = 1 },
    mtu = { type = "integer", min = 68, max = 65535 },
}

local LINK = { ab = { type = "table" }, ba = { type = "table" }, subnet = { type = "string" }, ip = { type = "boolean" } }
for name, entry in pairs(DIRECTION) do LINK[name] = entry end

-- Options of the language that this version does not have yet; named so that the error says so.
local NOT_YET = { jitter = true, distribution = true, burst = true, discipline = true, reorder = true, duplicate = true,
    corrupt = true, trace = true }

local function check(opts, spec, where, level)
    for key in pairs(type(opts) == "table" and opts or {}) do
        if NOT_YET[key] then error(("%s: option %q is not in this version yet"):format(where, key), level + 1) end
    end
    local checked = options.check(opts, spec, where, level + 1)
    return checked -- not a tail call, which would lose a level
end

local function merge(config, opts)
    for name in pairs(DIRECTION) do
        if opts[name] ~= nil then config[name] = opts[name] end
    end
    return config
end

-- A queue with a unit ("64K") counts bytes, a plain number packets.
local function core_config(config)
    local given = config.queue
    return {
        delay = config.delay, loss = config.loss, rate = config.rate, mtu = config.mtu,
        queue_packets = config.queue_is_bytes and 0 or given, queue_bytes = config.queue_is_bytes and given or 0,
    }
end

local function note_queue_unit(raw, checked)
    if type(raw) == "table" and raw.queue ~= nil then checked.queue_is_bytes = type(raw.queue) == "string" end
    return checked
end

local function read_direction(opts, where, level)
    return note_queue_unit(opts, check(opts, DIRECTION, where, level + 1))
end

local function merge_all(config, opts)
    merge(config, opts)
    if opts.queue_is_bytes ~= nil then config.queue_is_bytes = opts.queue_is_bytes end
    return config
end

-- Both directions' configurations from the options of link or set, on top of what is there.
local function configs(opts, ab, ba, where, level)
    local both = note_queue_unit(opts, check(opts, LINK, where, level + 1))
    merge_all(ab, both)
    merge_all(ba, both)
    if both.ab then merge_all(ab, read_direction(both.ab, where .. ": ab", level + 1)) end
    if both.ba then merge_all(ba, read_direction(both.ba, where .. ": ba", level + 1)) end
    return both
end

local function copy(t)
    local c = {}
    for k, v in pairs(t) do c[k] = v end
    return c
end

-- Applies both configurations at one instant; the link keeps them only if they are possible.
local function apply(self, ab, ba)
    core.link_set(self.id, core_config(ab), core_config(ba))
    self.config = { ab = ab, ba = ba }
    core.event { t = core.now(), kind = "link", link = self.name, event = "set", ab = ab, ba = ba }
end

local Direction = { __name = "direction" }
Direction.__index = Direction

--- l.ab:set(opts), l.ba:set(opts): one direction.
function Direction:set(opts)
    local changed = read_direction(opts, "set", 2)
    local new = { ab = copy(self.link.config.ab), ba = copy(self.link.config.ba) }
    merge_all(new[self.way], changed)
    apply(self.link, new.ab, new.ba)
end

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

--- l:set(opts): changes what the options name, in force from the next packet on, both directions at one instant.
function Link:set(opts)
    not_removed(self)
    local ab, ba = copy(self.config.ab), copy(self.config.ba)
    configs(opts, ab, ba, "set", 2)
    apply(self, ab, ba)
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
    core.link_remove(self.id)
    self.removed = true
    core.event { t = core.now(), kind = "link", link = self.name, event = "removed" }
end

--- l:stats() -> { ab={sent, delivered, lost, queue_drops, down_drops, mtu_drops, overruns, bytes, in_flight}, ba={...} }.
function Link:stats()
    not_removed(self)
    local ab, ba = core.link_stats(self.id)
    for _, way in ipairs { ab, ba } do way.duplicated, way.reordered, way.corrupted = 0, 0, 0 end
    return { ab = ab, ba = ba }
end

-- A link without its ends yet.
local function new(name, opts, where, level)
    local ab, ba = {}, {}
    local both = configs(opts, ab, ba, where, level + 1)
    core.link_check(core_config(ab))
    core.link_check(core_config(ba))
    local self = { name = name, config = { ab = ab, ba = ba }, is_up = true, nics = {}, mtu = both.mtu }
    self.ab = setmetatable({ link = self, way = "ab" }, Direction)
    self.ba = setmetatable({ link = self, way = "ba" }, Direction)
    return setmetatable(self, class), both
end

local function connect(self, a_is_switch, a, b_is_switch, b)
    self.id = core.link_add(a_is_switch, a, b_is_switch, b, core_config(self.config.ab), core_config(self.config.ba))
    testbed.add_link(self)
    core.event { t = core.now(), kind = "link", link = self.name, event = "added", ab = self.config.ab, ba = self.config.ba }
    return self
end

local function check_node(v, where, which, level)
    local found = type(v) == "string" and testbed.find(v) or v
    if type(found) ~= "table" or type(rawget(found, "nics")) ~= "table" or not rawget(found, "state") then
        error(("%s: %s is not a node%s"):format(where, which, type(v) == "string" and (": there is none named %q"):format(v)
            or ", but a " .. type(v)), level + 1)
    end
    return found
end

--- link(a, b, opts) -> link: a cable between two nodes. opts, for both directions, or for one in ab={...}, ba={...}:
--- delay (one-way), loss, rate, queue (packets, or bytes with a unit), mtu; and subnet="10.1.0.0/24", ip=false.
function link.link(a, b, opts)
    a, b = check_node(a, "link", "the first argument", 2), check_node(b, "link", "the second argument", 2)
    if a == b then error("link: both ends are " .. a.name, 2) end
    local self, both = new(a.name .. "--" .. b.name, opts, "link", 2)
    local subnet = testbed.subnet(both, "link")
    local nic_a = a:add_nic(self, subnet)
    local nic_b = b:add_nic(self, subnet)
    self.nics = { nic_a, nic_b }
    connect(self, false, nic_a.port, false, nic_b.port)
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
    connect(l, false, nic.port, true, self.id)
    self.links[#self.links + 1] = l
    return l
end

local SWITCH = { subnet = { type = "string" }, ip = { type = "boolean" } }

local function new_switch(name, opts, is_hub, level)
    if type(name) ~= "string" then error("switch: want a name", level + 1) end
    local checked = options.check(opts, SWITCH, is_hub and "hub" or "switch", level + 1)
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
