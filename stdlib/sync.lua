-- SPDX-License-Identifier: MIT
-- Synchronised starts: every command waits in its node, read and ready; then all are released at one instant.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local sync = {}

options.register({ on = { type = "any" }, timeout = { type = "duration" } }, "sync")

local function find_node(key)
    local found = type(key) == "string" and testbed.find(key) or key
    if not node.is(found) then errors.raise(("sync: %s is not a node"):format(tostring(key))) end
    return found
end

-- What starts each command, {[key]=fn() -> a held job}; they are checked before any is started.
local function holders(commands, opts)
    local list = {}
    for key, cmd in pairs(commands) do list[key] = node.holding(find_node(key), cmd, opts, "sync") end
    return list
end

-- Starts a held job on each node at once, since a node may have to boot first; adds them to `jobs`, {[key]=job}. When it is
-- left before the end, nothing is added any more.
local function arm_all(starters, jobs)
    local arming = {}
    local guard <close> = setmetatable({}, { __close = function()
        for _, task in pairs(arming) do task:cancel() end
    end })
    for key, start in pairs(starters) do
        arming[key] = tasks.start(function() jobs[key] = start() end)
    end
    for _, task in pairs(arming) do core.wait { task.done } end
    local failure
    for _, task in pairs(arming) do
        local ok, why = pcall(task.outcome, task)
        if not ok then failure = failure or why end
    end
    if failure then errors.again(failure) end
    for _, job in pairs(jobs) do core.wait { job.armed, job.done } end
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

-- What an event says of the commands: their nodes, and from when to when they ran, if any did.
local function summary_of(results)
    local nodes, from, to = {}, nil, nil
    for _, result in pairs(results) do
        nodes[#nodes + 1] = result.node
        if result.started then
            from, to = math.min(from or result.started, result.started), math.max(to or result.finished, result.finished)
        end
    end
    table.sort(nodes)
    return { t = core.now(), kind = "sync", nodes = nodes, started = from, finished = to }
end

-- What can release the commands: something with a future, or with :wait(), or a function that returns when it is time.
local function waiting_function(on)
    if type(on) == "function" then return on end
    local done = type(on) == "table" and rawget(on, "done")
    if type(done) == "userdata" then
        return function()
            core.wait { done }
            on:outcome()
        end
    end
    if class.has(on, "wait") then return function() on:wait() end end
    errors.raise("sync: on: want an event, barrier, task, handle or function, not " .. type(on))
end

local function release_all(jobs)
    for _, job in pairs(jobs) do job:release() end
end

-- Waits until `future` is set, or until every command has ended, as by its timeout. Returns whether it is set.
local function await(future, jobs)
    while true do
        local futures = { future }
        for _, job in pairs(jobs) do
            if job.running then futures[#futures + 1] = job.done end
        end
        if #futures == 1 then return future:is_set() end
        if core.wait(futures) == 1 then return true end
    end
end

local function release_after(fn, jobs)
    local task = tasks.start(fn)
    local guard <close> = setmetatable({}, { __close = function() task:cancel() end })
    if await(task.done, jobs) then task:outcome() end
    release_all(jobs)
end

-- What tells at once of what happens, with its time: a packet trigger, or an event of a simulation. Its metatable has
-- listen(handle, fn(happening)) -> a function that ends it.
local function tells_time(v)
    local class = type(v) == "table" and getmetatable(v)
    return type(class) == "table" and rawget(class, "listen") ~= nil
end

-- What the next sync of a task is to wait for: {[task]=handle}; see expect.
local awaited = setmetatable({}, { __mode = "k" })

--- Has the calling task's next sync wait for the handle, unless that has an `on` of its own.
function sync.expect(handle) awaited[core.current()] = handle end

--- What the calling task's next sync would wait for, which it does not any more.
function sync.expected()
    local handle = awaited[core.current()]
    awaited[core.current()] = nil
    return handle
end

-- Has the commands released with the handle's next packet, without a turn of the loop in between; `ready` says whether all
-- are armed. The packet is in what this returns, as `packet`, and its `future` is set.
local function catch_packet(handle, jobs)
    local self = { future = core.future(), ready = false, packet = false }
    local stop = getmetatable(handle).listen(handle, function(pkt)
        if self.packet then return end
        self.packet = pkt
        if self.ready then release_all(jobs) end
        self.future:set()
    end)
    return setmetatable(self, { __close = stop })
end

local function release_with_packet(caught, jobs)
    caught.ready = true
    if caught.packet then release_all(jobs) else await(caught.future, jobs) end
end

-- How long after the packet each command began, in the results too, as `offset`.
local function offsets_of(results, pkt)
    local offsets = {}
    for _, result in pairs(results) do
        if result.started then
            result.offset = result.started - pkt.time
            offsets[result.node] = result.offset
        end
    end
    return offsets
end

-- Whatever happens, nothing stays armed in a node.
local function disarming(jobs)
    return setmetatable({}, { __close = function()
        for _, job in pairs(jobs) do
            if job.running then job:kill("KILL") end
        end
    end })
end

--- sync{ [node]=cmd, ... } -> results, spread, packet: starts one command on each node, all at one instant.
-- Each is made ready in its node first; then all are released, or with `on` when that comes after it. A command whose timeout
-- passes before is killed unstarted. A result's `started` is when the node's word that its command begins came here. It does not
-- raise for what the commands do.
-- @option on       what releases them: an event that is set, a barrier that opens (all of them count as one that waits), a task
--   that is done, a function that returns, a packet trigger that fires or an event of ns-3's: the first packet or event from now
--   on counts, also while the nodes get ready, or the last one when there will be no more
-- @option timeout  of each command (default: defaults.timeout)
-- @return  { [node] = result }, by what the commands were given by: nodes or their names; the seconds between the first start and
--   the last; and with a packet trigger that packet, or that event, the results' `offset` being the time from it to their starts
-- @error   what is no node
-- @example vm
--   local a, b = host("a"), host("b")
--   lan { a, b }
--   local results, spread = sync { [a] = "iperf3 -s -1", [b] = "sleep 0.1; iperf3 -c a", timeout = "30s" }
--   print(results[b].stdout, spread)
function sync.sync(commands, ...)
    if type(commands) ~= "table" then error("sync: want a table, sync{ [node] = command }", 2) end
    if ... ~= nil then error("sync: options are in the same table: sync{ [node] = command, timeout = \"5s\" }", 2) end
    local own, opts, on, handle = {}, {}, nil, sync.expected()
    for key, value in pairs(commands) do
        if key == "timeout" then
            opts.timeout = units.duration(value, "timeout", 2)
        elseif key == "on" and tells_time(value) then
            handle = value
        elseif key == "on" then
            on, handle = waiting_function(value), nil
        else
            own[key] = value
        end
    end
    local starters = holders(own, opts)
    local shown <close> = tasks.show_main("sync: commands on several nodes")
    local jobs = {}
    local guard <close> = disarming(jobs)
    local caught <close> = handle and catch_packet(handle, jobs)
    arm_all(starters, jobs)
    if caught then
        release_with_packet(caught, jobs)
    elseif on then
        release_after(on, jobs)
    else
        release_all(jobs)
    end
    local results = {}
    for key, job in pairs(jobs) do
        core.wait { job.done }
        results[key] = job.result
    end
    local spread, summary = spread_of(results), summary_of(results)
    local pkt = caught and caught.packet or nil
    summary.spread = spread
    if pkt then
        summary.link, summary.source = handle.link and handle.link.name or nil, rawget(pkt, "source")
        summary.packet, summary.offsets = pkt.time, offsets_of(results, pkt)
    end
    core.event(summary)
    return results, spread, pkt
end

return sync
