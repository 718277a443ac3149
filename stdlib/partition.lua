-- SPDX-License-Identifier: MIT
-- Partitions: groups of nodes that cannot reach each other, while the cables stay plugged in: partition.

local core = require "qemunet.core"
local link = require "qemunet.link"
local testbed = require "qemunet.testbed"

local partition = {}

local active = {}

local Partition = { __name = "partition" }
Partition.__index = Partition

function Partition:__tostring()
    return ("partition of %d groups (%s)"):format(#self.groups, self.healed and "healed" or "in force")
end

-- A node hears nothing that a node of another group sent: the filter on what arrives at it.
local function filter_for(self, group)
    local terms = {}
    for member, other in pairs(self.group_of) do
        if other ~= group then
            for _, nic in ipairs(member.nics) do terms[#terms + 1] = "ether src " .. nic.mac end
        end
    end
    table.sort(terms)
    return table.concat(terms, " or ")
end

local function cut_nic(self, nic, group)
    local filter = filter_for(self, group)
    if nic.link.removed or filter == "" then return end
    local to_a = nic.link.nics[1] == nic
    local id, why = core.trigger_add { link = nic.link.id, filter = filter, drop = true, ab = not to_a, ba = to_a }
    if not id then error("partition: " .. why, 0) end
    self.triggers[#self.triggers + 1] = id
end

local function open(self)
    for _, id in ipairs(self.triggers) do core.trigger_remove(id) end
    self.triggers = {}
end

-- All anew, since the filters name every interface there is.
local function cut(self)
    open(self)
    for member, group in pairs(self.group_of) do
        for _, nic in ipairs(member.nics) do cut_nic(self, nic, group) end
    end
end

local function read_groups(groups, level)
    local group_of = {}
    for i, group in ipairs(groups) do
        if type(group) ~= "table" then error(("partition: group %d is no table of nodes"):format(i), level + 1) end
        local members = rawget(group, "nics") and { group } or group
        for _, value in ipairs(members) do
            local member = link.check_node(value, "partition", ("a member of group %d"):format(i), level + 1)
            if group_of[member] then error(("partition: %s is in two groups"):format(member.name), level + 1) end
            group_of[member] = i
        end
    end
    return group_of
end

--- partition(group1, group2, ...) -> handle: each group, a table of nodes or one node, is cut off from the others; a node in
--- none can reach all. What is under way to a node still arrives. handle:heal() ends it.
function partition.partition(...)
    local groups = { ... }
    if #groups < 2 then error("partition: want two groups of nodes or more", 2) end
    local self = setmetatable({ groups = groups, group_of = read_groups(groups, 2), triggers = {}, healed = false }, Partition)
    cut(self)
    active[self] = true
    core.event { t = core.now(), kind = "partition", event = "cut", groups = #groups }
    return self
end

--- p:heal(): all reach each other again.
function Partition:heal()
    if self.healed then return end
    self.healed = true
    active[self] = nil
    open(self)
    core.event { t = core.now(), kind = "partition", event = "healed" }
end

testbed.on_link(function()
    for self in pairs(active) do cut(self) end
end)

testbed.on_end(function() active = {} end)

return partition
