-- SPDX-License-Identifier: MIT
-- What this machine's load did to a run: how late frames and the control loop were, how long machines waited for a processor,
-- how far their clocks drifted. But for the frames, measured from the first link, or the first machine that is up, on.

local core = require "qemunet.core"
local identity = require "qemunet.nodes.identity"
local ns3 = require "qemunet.ns3.ns3"
local testbed = require "qemunet.testbed"
local vm = require "qemunet.nodes.vm"

local strain = {}

-- So long, at most, machines are asked for their clocks at the end.
local PATIENCE = 0.5

-- The processes of machines that are up, and what became of those that were.
local pids, waits = {}, {}

local function add(name, more)
    local sum = waits[name] or { watched = 0, waited = 0, worst = 0, worst_at = 0 }
    sum.watched, sum.waited = sum.watched + more.watched, sum.waited + more.waited
    if more.worst > sum.worst then sum.worst, sum.worst_at = more.worst, more.worst_at end
    waits[name] = sum
end

local function unwatch(node)
    local one = pids[node] and core.strain_unwatch(pids[node])
    pids[node] = nil
    if one then add(node.name, one) end
end

local function watch(node)
    core.strain_start()
    pids[node] = node.machine:pid()
    if pids[node] then core.strain_watch(pids[node]) end
end

-- While a machine boots or stands still, its waiting tells nothing; a clock that stood still is no clock that drifts.
testbed.on_state(function(node)
    if not vm.is(node) then return end
    unwatch(node)
    if node.state == "up" then watch(node) end
    if node.state == "paused" then node.clock_began = false end
end)

testbed.on_link(function() core.strain_start() end)

local function drifts()
    local asked = {}
    for _, node in ipairs(testbed.nodes()) do
        if vm.is(node) and node.state == "up" and node.clock_began then asked[#asked + 1] = node end
    end
    return identity.drifts(asked, PATIENCE)
end

local function stats_of(link)
    if link.removed then return rawget(link, "last_stats") end
    local ok, stats = pcall(link.stats, link)
    return ok and stats or nil
end

local function links_stats()
    local stats
    for _, list in ipairs { testbed.links(), testbed.removed_links() } do
        for _, link in ipairs(list) do
            stats = stats or {}
            stats[link.name] = stats_of(link)
        end
    end
    return stats
end

--- strain.collect() -> { links = {[name] = { ab =, ba = }}, those that were removed as they were, fabric = its totals,
--- or nil where there is none, loop = lateness, waits = {[machine] = { watched =, waited =, worst =, worst_at =
--- }}, drifts = {[machine] = { drift =, doubt = }}, ns3 = {[simulation] = net:stats()} }, the last four nil where nothing was
--- emulated; ends the measuring.
function strain.collect()
    local found = { links = links_stats(), drifts = not core.stop_reason() and drifts() or nil }
    for node in pairs(pids) do unwatch(node) end
    found.loop = core.strain_stop()
    found.waits, waits = found.loop and waits, {}
    found.fabric = core.fabric_totals()
    found.ns3 = ns3.collect()
    return found
end

return strain
