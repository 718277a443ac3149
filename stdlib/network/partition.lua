-- SPDX-License-Identifier: MIT
-- Partitions: groups of nodes that cannot reach each other, while the cables stay plugged in: partition.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local testbed = require "qemunet.testbed"

local partition = {}

local active = {}

--- class partition: groups of nodes that do not reach each other; what partition() returns.
-- @field groups table    lists of the nodes' names
-- @field healed boolean  whether it is over
local Partition = {}
local meta = class.new("partition", Partition)

function meta.__tostring(self)
    return ("partition of %d groups (%s)"):format(#self.groups, self.healed and "healed" or "in force")
end

local function either(terms)
    table.sort(terms)
    return table.concat(terms, " or ")
end

-- A node hears nothing that a node of another group sent: the filter on what arrives at it. The sender's address tells of
-- packets that came through a router.
local function filter_for(self, group)
    local macs, ips = {}, {}
    for member, other in pairs(self.group_of) do
        if other ~= group then
            for _, nic in ipairs(member.nics) do
                macs[#macs + 1] = "ether src " .. nic.mac
                if nic.ip then ips[#ips + 1] = "src " .. nic.ip end
            end
        end
    end
    if #macs == 0 then return nil end
    if #ips == 0 then return either(macs) end
    return ("%s or (ip and (%s))"):format(either(macs), either(ips))
end

local function cut_nic(nic, filter)
    local to_b = nic.link.b == nic.node
    local id, why = core.trigger_add { link = nic.link.id, filter = filter, drop = true, ab = to_b, ba = not to_b }
    if not id then errors.raise("partition: " .. why) end
    return id
end

local function open(triggers)
    for _, id in ipairs(triggers) do core.trigger_remove(id) end
end

-- All anew, since the filters name every interface there is; the old ones go last, so that nothing slips through.
local function cut(self)
    local old, filters = self.triggers, {}
    self.triggers = {}
    for member, group in pairs(self.group_of) do
        filters[group] = filters[group] or filter_for(self, group)
        for _, nic in ipairs(member.nics) do
            if filters[group] and not nic.link.removed then
                self.triggers[#self.triggers + 1] = cut_nic(nic, filters[group])
            end
        end
    end
    open(old)
end

local function read_groups(groups, level)
    local group_of, names = {}, {}
    for i = 1, groups.n do
        local group = groups[i]
        if type(group) ~= "table" and type(group) ~= "string" then
            error(("partition: group %d is no table of nodes, but a %s"):format(i, type(group)), level + 1)
        end
        local is_one = type(group) == "string" or getmetatable(group) ~= nil
        names[i] = {}
        local list = is_one and { group } or group
        for j = 1, #list do
            local member = link.check_node(list[j], "partition", ("a member of group %d"):format(i), level + 1)
            if class.of(member) == "simulated" then
                error(("partition: %s is simulated by ns-3: what it hears passes no link that could be cut"):format(member.name),
                    level + 1)
            end
            if group_of[member] then error(("partition: %s is there twice"):format(member.name), level + 1) end
            group_of[member] = i
            names[i][#names[i] + 1] = member.name
        end
    end
    return group_of, names
end

--- partition(group1, group2, ...) -> partition: cuts groups of nodes off from each other, also by way of routers.
-- A node in no group can reach all. What is under way to a node still arrives. Partitions may overlap. Routers are seen through
-- as far as they keep the IPv4 addresses that the language gave.
-- @param group1  an array of nodes, or one node
-- @param group2  likewise, and so on
-- @param ...     more of them
-- @error  a node in two groups, or that ns-3 simulates
-- @example
--   local a, b, c = responder("a"), responder("b"), responder("c")
--   lan { a, b, c }
--   local cut = partition({ a }, { b, c })
--   cut:heal()
function partition.partition(...)
    local groups = table.pack(...)
    if groups.n < 2 then error("partition: want two groups of nodes or more", 2) end
    local group_of, names = read_groups(groups, 2)
    local self = setmetatable({ groups = names, group_of = group_of, triggers = {}, healed = false }, meta)
    cut(self)
    active[self] = true
    core.event { t = core.now(), kind = "partition", event = "cut", groups = names }
    return self
end

--- partition:heal(): all reach each other again.
-- @example
--   local a, b = responder("a"), responder("b")
--   link(a, b)
--   partition(a, b):heal()
function Partition:heal()
    class.check(self, meta, "heal")
    if self.healed then return end
    self.healed = true
    active[self] = nil
    open(self.triggers)
    self.triggers = {}
    core.event { t = core.now(), kind = "partition", event = "healed", groups = self.groups }
end

testbed.on_link(function()
    for self in pairs(active) do cut(self) end
end)

testbed.on_end(function()
    for self in pairs(active) do open(self.triggers) end
    active = {}
end)

return partition
