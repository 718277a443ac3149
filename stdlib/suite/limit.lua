-- SPDX-License-Identifier: MIT
-- A test as a task of its own: it has a time limit, and what fails beside it ends it.

local core = require "qemunet.core"
local tasks = require "qemunet.tasks"

local limit = {}

-- Seconds that did not count, and since when time does not.
local excused, since = 0, nil

local function all_excused() return excused + (since and core.now() - since or 0) end

--- From now on, until the value that it returns is closed, time does not count: the process waits for others.
function limit.excuse()
    since = since or core.now()
    return setmetatable({}, { __close = function()
        excused = all_excused()
        since = nil
    end })
end

local function wait_for(done, seconds)
    if not seconds then return core.wait { done } end
    local deadline = core.now() + seconds - all_excused()
    repeat
        local left = deadline + all_excused() - core.now()
        if left <= 0 then return false end
    until core.wait({ done }, left)
    return true
end

-- While the value that it returns is not closed, a failure that nothing can join cancels `task`, and is its `thrown`.
local function watch_failures(task)
    local before, seen = tasks.on_failure, {}
    tasks.on_failure = function(failure)
        seen.thrown = seen.thrown or failure
        task:cancel()
    end
    return setmetatable(seen, { __close = function() tasks.on_failure = before end })
end

--- Runs fn, which does not raise, in a task of its own. Returns whether it has ended in `seconds` (nil: any time); if not, it was
--- cancelled. When the calling task is cancelled, fn is too, and that counts as its end. When another task fails meanwhile, fn
--- is cancelled; then that failure, {message=, trace=}, comes second.
function limit.run(seconds, fn)
    local task = tasks.start(function()
        tasks.show_waits()
        fn()
    end)
    local shown <close> = setmetatable({}, { __close = tasks.show_waits })
    local seen <close> = watch_failures(task)
    local waited, ended = pcall(wait_for, task.done, seconds)
    if waited and ended then return true, seen.thrown end
    task:cancel()
    pcall(core.wait, { task.done }, tasks.CANCEL_GRACE)
    if not waited and not task.done:is_set() then error(ended, 0) end
    return not waited, seen.thrown
end

return limit
