-- SPDX-License-Identifier: MIT
-- Conditions that a script waits for, or watches: eventually, always.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local conditions = {}

local EVENTUALLY = options.register({ every = { type = "duration", default = 0.1 } }, "eventually", "always")
-- Looked at again at most so often, however much happens.
local LEAST_PAUSE = 0.001

local function remaining(deadline) return math.max(0, deadline - core.now()) end

-- Within this, what the calling task does is not activity: two that look for something would keep each other awake.
local function quietly()
    core.quiet(true)
    return setmetatable({}, { __close = function() core.quiet(false) end })
end

-- Calls fn in a task of its own. Returns its value; or nil and its failure, or why it has none; whether it only looked,
-- without waiting; and whether it was cut off, as `seconds` passed.
local function look(fn, seconds)
    local task = tasks.try(fn)
    local guard <close> = setmetatable({}, { __close = function() task:cancel() end })
    if not tasks.wait(task.done, seconds) then return nil, nil, false, true end
    local only_looked = not core.waited(task.done)
    if task.values then return task.values[1], nil, only_looked end
    if task.failure.message == errors.CANCEL then return nil, "the task was cancelled", only_looked end
    return nil, task.failure, only_looked
end

local function describe(value, failure)
    if not failure then return "last value: " .. tostring(value) end
    return "last error: " .. (type(failure) == "table" and errors.text(failure.message) or failure)
end

-- Until the next look: when something has happened, if a look is all it takes; else, and at the latest, after `every`.
local function pause(news, only_looked, every)
    if not only_looked then return core.wait({}, every) end
    core.wait({}, math.min(LEAST_PAUSE, every))
    core.wait({ news }, every)
end

--- eventually(d, fn, opts) -> value: calls fn until it gives a true value, and returns that.
-- A function that only looks, at variables or nodes' states, is called again as soon as anything has happened in the experiment;
-- one that waits, for commands, every 100 ms. An error in fn counts as "not yet". It runs as a task of its own.
-- @param d   how long at most (duration)
-- @param fn  function() -> value
-- @option every  the longest pause between two calls
-- @error  when d has passed, with the last value or error; a call that goes on then is cut off, and has neither
-- @example
--   local seen = 0
--   after("10ms", function() seen = 3 end)
--   check.equal(eventually(5, function() return seen > 0 and seen end), 3)
function conditions.eventually(d, fn, opts)
    local seconds = tasks.check_duration(d, "eventually", 2)
    tasks.check_function(fn, "eventually", 2)
    local every = options.check(opts, EVENTUALLY, "eventually", 2).every
    local deadline, last = core.now() + seconds, "the first call did not end"
    local shown <close> = tasks.show_main("waiting for a condition, at most " .. units.format_duration(seconds))
    local hushed <close> = quietly()
    repeat
        local news = core.activity()
        local value, failure, only_looked, cut_off = look(fn, math.max(remaining(deadline), LEAST_PAUSE))
        if value then return value end
        if not cut_off then last = describe(value, failure) end
        pause(news, only_looked, math.min(every, remaining(deadline)))
    until core.now() >= deadline
    error(("not within %s; %s"):format(units.format_duration(seconds), last), 2)
end

--- always(d, fn, opts): looks for the duration whether fn gives a true value each time, and raises as soon as it does not.
-- It looks again as eventually does. An error in fn is raised as it is.
-- @param d   for how long (duration)
-- @param fn  function() -> whether it is so
-- @option every  the longest pause between two calls
-- @example
--   always("20ms", function() return now() > 0 end)
function conditions.always(d, fn, opts)
    local seconds = tasks.check_duration(d, "always", 2)
    tasks.check_function(fn, "always", 2)
    local every = options.check(opts, EVENTUALLY, "always", 2).every
    local begin = core.now()
    local hushed <close> = quietly()
    repeat
        local news = core.activity()
        local value, failure, only_looked = look(fn)
        if type(failure) == "table" then errors.carry(failure) end
        if not value then
            error(("no longer true after %s (value: %s)"):format(units.format_duration(core.now() - begin),
                tostring(value)), 2)
        end
        pause(news, only_looked, math.min(every, remaining(begin + seconds)))
    until core.now() >= begin + seconds
end

return conditions
