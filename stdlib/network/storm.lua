-- SPDX-License-Identifier: MIT
-- The warning of a loop of links, when a switch's storm control sees one (runtime/fabric/storm.h).

local core = require "qemunet.core"
local testbed = require "qemunet.testbed"

local storm = {}

local warned = false

-- {[switch]={ {link=, to=switch}, ... }}: the cables between switches that carry frames now.
local function trunks()
    local map = {}
    for _, switch in ipairs(testbed.switches()) do map[switch] = {} end
    for _, l in ipairs(testbed.links()) do
        local a, b = rawget(l, "a"), rawget(l, "b")
        if map[a] and map[b] and l.is_up and not l.removed then
            table.insert(map[a], { link = l, to = b })
            table.insert(map[b], { link = l, to = a })
        end
    end
    return map
end

-- The shortest way from one switch to another that leaves a link out, as an array; nil when there is none.
local function way(map, from, to, without)
    local queue, before = { from }, { [from] = from }
    for _, at in ipairs(queue) do
        if at == to then break end
        for _, step in ipairs(map[at]) do
            if step.link ~= without and not before[step.to] then
                before[step.to] = at
                queue[#queue + 1] = step.to
            end
        end
    end
    if not before[to] then return nil end
    local list = { to }
    while list[1] ~= from do table.insert(list, 1, before[list[1]]) end
    return list
end

--- storm.loop_of(switch) -> the names of the switches of a loop that it is on, itself first and last; nil: there is none.
function storm.loop_of(switch)
    local map, best = trunks(), nil
    for _, step in ipairs(map[switch]) do
        local list = way(map, step.to, switch, step.link)
        if list and (not best or #list < #best) then best = list end
    end
    if not best then return nil end
    local names = { switch.name }
    for _, member in ipairs(best) do names[#names + 1] = member.name end
    return names
end

local function explain(loop)
    if loop then
        return ("a loop: its frames come back by way of %s; cut one of these links"):format(table.concat(loop, " - "))
    end
    return "a loop: it hears the same stations from several of its links in turn; look for nodes that bridge two links, "
        .. "or that share one address"
end

local function on_storm(id, time)
    for _, switch in ipairs(testbed.switches()) do
        if switch.id == id then
            local loop = storm.loop_of(switch)
            core.event { t = time, kind = "storm", switch = switch.name, loop = loop }
            if warned then return end
            warned = true
            core.log(0, ("switch %s: %s; until then a switch in a storm floods at most %d frames a second"):format(
                switch.name, explain(loop), core.STORM_FLOODS))
        end
    end
end

--- Listens for storms; to be called when there is a switch.
function storm.listen() core.on_storms(on_storm) end

testbed.on_end(function() warned = false end)

return storm
