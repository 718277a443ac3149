-- SPDX-License-Identifier: MIT
-- The time limit of a test.

local core = require "qemunet.core"
local tasks = require "qemunet.tasks"

local limit = {}

-- How long what is cancelled may take to clean up.
local GRACE = 5

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
    local deadline = core.now() + seconds - all_excused()
    repeat
        local left = deadline + all_excused() - core.now()
        if left <= 0 then return false end
    until core.wait({ done }, left)
    return true
end

--- Runs fn, which does not raise, in a task of its own. Returns whether it has ended in `seconds`; if not, it was cancelled.
--- When the calling task is cancelled, fn is too, and that counts as its end.
function limit.run(seconds, fn)
    local task = tasks.go(function()
        tasks.show_waits()
        fn()
    end)
    local shown <close> = setmetatable({}, { __close = tasks.show_waits })
    local waited, ended = pcall(wait_for, task.done, seconds)
    if waited and ended then return true end
    task:cancel()
    pcall(core.wait, { task.done }, GRACE)
    if not waited and not task.done:is_set() then error(ended, 0) end
    return not waited
end

return limit
