-- SPDX-License-Identifier: MIT
-- What events tell of the script's tasks: one at the end of each, as long as one place does not start too many.

local core = require "qemunet.core"
local errors = require "qemunet.errors"

local task_log = {}

--- Of the tasks that one line starts, so many that end in the same way have an event each; the others are counted.
task_log.EACH = 1000

-- Bytes of an error.
local ERROR_MAX = 1000

-- The last task's number; how many tasks of each place ended in each way: {[where] = {[how] = { count=, name= }}}.
local last, ends

--- Forgets the run before.
function task_log.reset() last, ends = 0, {} end

task_log.reset()

--- The number of one more task.
function task_log.number()
    last = last + 1
    return last
end

local function ends_of(task, how)
    local of_place = ends[task.origin.where] or {}
    ends[task.origin.where] = of_place
    of_place[how] = of_place[how] or { count = 0, name = task.kind.name }
    return of_place[how]
end

--- A task has ended: `how` is "returned", "failed", "cancelled" or "cut off".
function task_log.ended(task, how)
    local same = ends_of(task, how)
    same.count = same.count + 1
    if same.count > task_log.EACH then return end
    core.event { t = core.now(), kind = "task", task = task.number, parent = task.parent or nil, name = task.kind.name,
        where = task.origin.where, started = task.started or nil, ended = how,
        error = how == "failed" and errors.text(task.failure.message):sub(1, ERROR_MAX) or nil }
end

--- The run ends: tells of those that were only counted.
function task_log.finish()
    for where, of_place in pairs(ends) do
        for how, same in pairs(of_place) do
            local more = same.count - task_log.EACH
            if more > 0 then
                core.event { t = core.now(), kind = "tasks", name = same.name, where = where, ended = how, count = more }
            end
        end
    end
end

return task_log
