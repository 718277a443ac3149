-- SPDX-License-Identifier: MIT
-- Synchronised starts: every command waits in its node, read and ready; then all are released at one instant.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local node = require "qemunet.node"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local sync = {}

local function find_node(key)
    local found = type(key) == "string" and testbed.find(key) or key
    if not node.is(found) then errors.raise(("sync: %s is not a node"):format(tostring(key))) end
    return found
end

-- Starts a held job on each node at once, since a node may have to boot first. Returns {[key]=job}.
local function arm_all(commands, opts)
    local starting, jobs = {}, {}
    for key, cmd in pairs(commands) do
        local on = find_node(key)
        starting[key] = tasks.go(node.hold, on, cmd, opts, "sync")
    end
    for key, task in pairs(starting) do jobs[key] = task:join() end
    for _, job in pairs(jobs) do core.wait { job.armed, job.done } end
    return jobs
end

local function spread_of(results)
    local first, last
    for _, result in pairs(results) do
        local t = result.started
        if t then
            first, last = math.min(first or t, t), math.max(last or t, t)
        end
    end
    return first and last - first or 0
end

--- sync{ [node]=cmd, ..., timeout= } -> { [node]=result }, spread: starts one command on each node at one instant. A
--- result's `started` is when the node's word that its command begins came here; `spread`, in seconds, is the difference
--- between the first and the last of these. Does not raise for what the commands do.
function sync.sync(commands)
    if type(commands) ~= "table" then error("sync: want a table, sync{ [node] = command }", 2) end
    local own, opts = {}, {}
    for key, value in pairs(commands) do
        if key == "timeout" then opts.timeout = units.duration(value, "timeout", 2) else own[key] = value end
    end
    local shown <close> = tasks.show_main("sync: commands on several nodes")
    local jobs = arm_all(own, opts)
    for _, job in pairs(jobs) do job:release() end
    local results = {}
    for key, job in pairs(jobs) do
        core.wait { job.done }
        results[key] = job.result
    end
    local spread = spread_of(results)
    core.event { t = core.now(), kind = "sync", spread = spread }
    return results, spread
end

return sync
