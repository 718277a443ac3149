-- SPDX-License-Identifier: MIT
-- What each kind of fault does, and how it is undone. An effect is fn(record) -> undo, or nil and why it is left out;
-- undo(keep) does nothing that takes long when `keep` is true: a run that ends boots no machine. Faults of one thing may
-- overlap: what they do is undone when the last of them is over, and then all is as it was before the first.

local boot = require "qemunet.nodes.boot"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local identity = require "qemunet.nodes.identity"
local impairment = require "qemunet.network.impairment"
local kinds = require "qemunet.faults.kinds"
local link = require "qemunet.network.link"
local partition = require "qemunet.network.partition"
local testbed = require "qemunet.testbed"

local effects = {}

-- How long a clock that is to be set back waits for its paused machine.
local PATIENCE = 60

-- The faults that hold a link or node: {[it] = { count =, undo = }}; locks: {[it] = future}; links' overlays: {[link] =
-- list}.
local cuts, pauses, locks, overlays

local function forget() cuts, pauses, locks, overlays = {}, {}, {}, {} end
forget()
testbed.on_end(forget)

-- One at a time does something to a node or link that takes a while.
local function lock(key)
    while locks[key] do core.wait { locks[key] } end
    local free = core.future()
    locks[key] = free
    return setmetatable({}, { __close = function()
        locks[key] = nil
        free:set()
    end })
end

local function nothing() end

-- Holds a thing in a state that several faults may want: do_it() brings it about for the first, and gives what undoes it.
-- Returns the function that lets go.
local function hold(holds, key, do_it)
    local locked <close> = lock(key)
    local held = holds[key]
    if not held then
        held = { count = 0, undo = do_it() }
        holds[key] = held
    end
    held.count = held.count + 1
    return function()
        local again <close> = lock(key)
        held.count = held.count - 1
        if held.count > 0 then return end
        holds[key] = nil
        held.undo()
    end
end

local function link_of(record)
    local found = kinds.find("link", record.target)
    if found and not found.removed then return found end
    return nil, "the link was removed"
end

function effects.cut(record)
    local l, why = link_of(record)
    if not l then return nil, why end
    return hold(cuts, l, function()
        if not l.is_up then return nothing end
        l:down()
        return function()
            if not l.removed then l:up() end
        end
    end)
end

-- A configuration with all that slows it and loses its packets: delays and losses add up, the lowest rate counts.
local function composed(list)
    return function(config)
        local copy = impairment.copy(config)
        local v = copy.values
        for _, one in ipairs(list) do
            if one.delay then v.delay = (v.delay or 0) + one.delay end
            if one.loss then v.loss = 1 - (1 - (v.loss or 0)) * (1 - one.loss) end
            if one.rate and (v.trace or not v.rate or v.rate > one.rate) then
                impairment.merge(copy, { values = { rate = one.rate }, series = {}, reset = {} })
            end
        end
        return copy
    end
end

local function overlay(record)
    local l, why = link_of(record)
    if not l then return nil, why end
    local list = testbed.without(overlays[l] or {}, record)
    list[#list + 1] = record
    overlays[l] = list
    link.overlay(l, composed(list))
    return function()
        overlays[l] = testbed.without(overlays[l] or {}, record)
        if l.removed then return end
        link.overlay(l, #overlays[l] > 0 and composed(overlays[l]) or nil)
    end
end

effects.slow, effects.lossy = overlay, overlay

function effects.partition(record)
    local handle = partition.partition(table.unpack(record.target))
    return function() handle:heal() end
end

local function is_running(node) return node.state == "up" or node.state == "paused" end

function effects.crash(record)
    local node = kinds.find("node", record.target)
    local locked <close> = lock(node)
    if not is_running(node) then return nil, "it is " .. node.state end
    node:crash()
    return function(keep)
        if not keep then boot.boot(node) end -- at once, if the script has done so
    end
end

local function must(ok, why, node, machine)
    if ok or node.machine ~= machine or not is_running(node) then return end -- it has ended meanwhile
    errors.raise(why)
end

local function pause(node)
    if node.state ~= "up" then return nothing end -- by the script
    local machine = node.machine
    local paused, problem = node:pause()
    must(paused, problem, node, machine)
    return function()
        if node.machine ~= machine or node.state ~= "paused" then return end
        local ok, why = node:resume()
        must(ok, why, node, machine)
    end
end

function effects.pause(record)
    local node = kinds.find("node", record.target)
    if not is_running(node) then return nil, "it is " .. node.state end
    return hold(pauses, node, function() return pause(node) end)
end

-- Whether the machine runs, once it is no longer paused.
local function await_running(node)
    local deadline = core.now() + PATIENCE
    while node.state == "paused" and core.now() < deadline do core.wait({ node.changed }, deadline - core.now()) end
    return node.state == "up"
end

local function step(node, machine, seconds)
    local why = identity.step_clock(node, seconds)
    must(not why, why, node, machine)
end

function effects.skew(record)
    local node = kinds.find("node", record.target)
    local locked <close> = lock(node)
    if node.state ~= "up" then return nil, "it is " .. node.state end
    local machine = node.machine
    step(node, machine, record.by)
    return function(keep)
        if keep and node.state ~= "up" then return end
        if not await_running(node) or node.machine ~= machine then return end -- one that boots anew has its clock set
        local again <close> = lock(node)
        step(node, machine, -record.by)
    end
end

return effects
