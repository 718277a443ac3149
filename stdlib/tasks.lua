-- SPDX-License-Identifier: MIT
-- Time and tasks: go, sleep, after, at, every, all, any, timeout. Everything that can be waited for (tasks, jobs, handles,
-- events) has a field `done`, a future of the core, and a method `outcome`.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local task_log = require "qemunet.record.task_log"
local units = require "qemunet.units"

local tasks = {}

--- How long a cancelled task may take to clean up, in seconds, before the one that waits for it goes on without it.
tasks.CANCEL_GRACE = 5

-- The task whose waits are shown to the person at the terminal: the script's main part.
local shown_thread

--- Makes the calling task the one whose waits are shown.
function tasks.show_waits() shown_thread = core.current() end

local nothing = setmetatable({}, { __close = function() end })

--- Shows `text` as what is waited for, since now, until the value that it returns is closed; `in_status`: on a terminal, the
--- run's status does.
function tasks.showing(text, in_status)
    local key = tostring({})
    core.waiting(key, text, in_status)
    return setmetatable({}, { __close = function() core.waiting(key) end })
end

-- The same, if the calling task is the one whose waits are shown.
local function show_main(text, in_status)
    if core.current() ~= shown_thread then return nothing end
    return tasks.showing(text, in_status)
end
tasks.show_main = show_main

-- What becomes of an error that nothing can join; set by the run.
tasks.on_failure = function(failure) io.stderr:write(errors.text(failure.message), "\n") end

-- Tasks that have not ended, by what the core calls them, and those that failed and were not joined yet: {[task]=true}.
local running, unjoined = {}, {}

--- class task: a function that runs beside the script; what go(), after(), at(), every() and probe() return.
-- @field series series  of probe(): the series that it fills
local Task = { values = false, failure = false, number = false, parent = false }
local task_meta = class.new("task", Task)

-- Whether the script has ended, and what still runs is cut off.
local ending = false

-- The all{} that are waited in: {[future] = { [task]=true }}, the future being set when one of the tasks fails.
local watched = {}

local function tell_failed(task)
    for failed, members in pairs(watched) do
        if members[task] then failed:set(task) end
    end
end

local function how_ended(self)
    if self.values then return "returned" end
    if self.failure.message ~= errors.CANCEL then return "failed" end
    return (ending or core.stop_reason()) and "cut off" or "cancelled"
end

-- The last values of an ended task are its own; nothing here waits, since it is no task that runs this.
core.on_task_end(function(done, ok, ...)
    local self = running[done]
    if not self then return end
    running[done] = nil
    if ok then self.values = table.pack(...) else self.failure = errors.in_task(..., self.origin) end
    if self.kind.name then task_log.ended(self, how_ended(self)) end
    if not ok then tell_failed(self) end
    if not ok and self.failure.message ~= errors.CANCEL then self.kind.on_error(self) end
end)

-- A task of `kind`: { on_error= fn(task), name= what a script calls such tasks, waits= whether it waits before it calls what it
-- is for }. Without a name it is one of the library's own, which is not recorded and has the number of the task that started
-- it. `done` is the core's task, and a future that is set when it ends. The small stack of a task that sleeps is what makes
-- many of them cheap: nothing of ours is on it but the handler.
local function start(kind, fn, ...)
    local parent = running[core.current()]
    local above = parent and parent.number
    local self = setmetatable({ kind = kind, origin = errors.origin(parent and parent.origin), done = false,
        started = not kind.waits and core.now(), number = kind.name and task_log.number() or above, parent = above }, task_meta)
    local done, why = core.spawn_optional(xpcall, fn, errors.handler, ...)
    if not done then errors.raise(why) end
    self.done, running[done] = done, self
    return self
end

-- Called when a task has failed that something may join yet.
tasks.on_unjoined = function() end

local function keep_for_join(self)
    unjoined[self] = true
    tasks.on_unjoined()
end
local function fail_now(self) tasks.on_failure(self.failure) end
local function ignore() end

local GO = { name = "go", on_error = keep_for_join }
local AFTER, AT = { name = "after", on_error = fail_now, waits = true }, { name = "at", on_error = fail_now, waits = true }
local START, DETACH, TRY = { on_error = keep_for_join }, { on_error = fail_now }, { on_error = ignore }

--- Raises, `level` levels above its caller, unless fn is a function.
function tasks.check_function(fn, where, level)
    if type(fn) ~= "function" then
        error(("%s: want a function, not %s"):format(where, type(fn)), level + 1)
    end
end

--- A duration in seconds; raises likewise for what is none.
function tasks.check_duration(d, what, level)
    local seconds = units.duration(d, what, level + 1)
    return seconds -- not a tail call, which would lose a level
end

--- The same for a timeout; nil stays nil.
function tasks.check_timeout(d, level)
    local seconds = d ~= nil and units.duration(d, "timeout", level + 1) or nil
    return seconds
end

local check_function, check_duration, check_timeout = tasks.check_function, tasks.check_duration, tasks.check_timeout

--- go(fn, ...) -> task: runs fn(...) as a task of its own, beside the one that calls it.
-- An error in it that no join takes fails the experiment at its end, with the task's stack and that of who started it.
-- @param fn   function(...); it may wait
-- @param ...  what it is given
-- @example
--   local t = go(function(a, b) sleep("10ms") return a + b end, 1, 2)
--   check.equal(t:join(), 3)
function tasks.go(fn, ...)
    check_function(fn, "go", 2)
    core.cancel_point() -- else tasks that start tasks, and never wait, would never end
    return start(GO, fn, ...)
end

--- The same for the library's own tasks, which are not recorded.
function tasks.start(fn, ...) return start(START, fn, ...) end

--- Runs fn(...) in a task that nothing joins: its error fails the experiment at once.
function tasks.detach(fn, ...) return start(DETACH, fn, ...) end

--- Runs fn(...) in a task whose error is no failure of the experiment: the caller looks at how it ends.
function tasks.try(fn, ...) return start(TRY, fn, ...) end

--- Waits until `future` is set. Returns whether it is; false: `seconds` (nil: endless) have passed.
function tasks.wait(future, seconds) return core.wait({ future }, seconds) ~= nil end

function Task:outcome()
    unjoined[self] = nil
    if self.values then return table.unpack(self.values, 1, self.values.n) end
    if self.failure.message == errors.CANCEL then error("the task was cancelled", 0) end
    errors.carry(self.failure)
end

local function check_task(self, method) class.check(self, task_meta, method) end

--- task:join(timeout) -> values: waits until the task has ended, and gives what its function returned, or raises its error.
-- Any number of tasks may join one, also later; each gets the same.
-- @param timeout  how long to wait (duration; default: without end)
-- @return  nil, "timed out", "timeout" when the time has passed; the task goes on
-- @error   the task's error; "the task was cancelled"
-- @example
--   local t = go(function() sleep("5ms") return 1, 2 end)
--   check.equal({ t:join(5) }, { 1, 2 })
function Task:join(timeout)
    check_task(self, "join")
    local seconds = check_timeout(timeout, 2)
    if self.done == core.current() then error("join: a task cannot wait for its own end", 2) end
    local shown <close> = show_main("waiting for a task")
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return self:outcome()
end

--- task:cancel(): ends the task where it waits, or where it will wait next.
-- Its `<close>` variables are closed, and may wait meanwhile; pcall does not catch the cancellation. It does not wait for the
-- task's end: join does, and raises "the task was cancelled".
-- @example
--   local closed = false
--   local t = go(function()
--       local guard <close> = setmetatable({}, { __close = function() closed = true end })
--       sleep(1000)
--   end)
--   sleep(0)
--   t:cancel()
--   check.raises(function() t:join() end, "cancelled")
--   check.equal(closed, true)
function Task:cancel()
    check_task(self, "cancel")
    core.cancel(self.done)
end

function task_meta.__tostring(self)
    local state = "running"
    if self.values then
        state = "ended"
    elseif self.failure then
        state = self.failure.message == errors.CANCEL and "cancelled" or "failed: " .. errors.text(self.failure.message)
    end
    return ("task: %s"):format(state)
end

--- The failures of tasks that ended in an error and were never joined.
function tasks.unjoined_failures()
    local list = {}
    for task in pairs(unjoined) do list[#list + 1] = task.failure end
    return list
end

--- The same, and each is told of once only.
function tasks.take_unjoined()
    local list = tasks.unjoined_failures()
    unjoined = {}
    return list
end

--- Waits for the end of a task. Returns its values, packed; or nil and its failure, {message=, trace=, frames=}.
function tasks.settle(task)
    core.wait { task.done }
    unjoined[task] = nil
    return task.values, task.failure
end

--- Cancels all that still run, and waits until they have given back what they hold; forgets failures that nobody joined.
function tasks.end_all()
    local deadline = core.now() + tasks.CANCEL_GRACE
    ending = true
    local list = {}
    for _, task in pairs(running) do list[#list + 1] = task end
    for _, task in ipairs(list) do core.cancel(task.done, true) end
    for _, task in ipairs(list) do tasks.wait(task.done, math.max(0, deadline - core.now())) end
    for _, task in pairs(running) do
        if task.kind.name then task_log.ended(task, "cut off") end
    end
    task_log.finish()
    running, unjoined, ending = {}, {}, false
end

local NOTHING = {}

-- Durations that sleep has been given, in seconds. Reading one takes stack that a task would keep while it sleeps; with this,
-- and the tail call below, ten thousand sleepers are a third smaller.
local known, room = {}, 1000

local function sleep_time(d)
    local seconds = check_duration(d, "sleep", 3)
    if room > 0 then known[d], room = seconds, room - 1 end
    return seconds
end

local function sleep_shown(seconds)
    local shown <close> = tasks.showing("sleeping for " .. units.format_duration(seconds))
    core.wait(NOTHING, seconds)
end

--- sleep(d): suspends the calling task for a duration; sleep(0) lets the others in and goes on.
-- Others, timers, links and machines go on meanwhile. It never ends early, but by task:cancel() or a timeout around it.
-- @param d  seconds, or "200us", "20ms", "1.5s", "2m"
-- @example
--   local begin = now()
--   sleep("20ms")
--   check.is_true(now() - begin >= 0.02)
function tasks.sleep(d)
    local seconds = known[d] or sleep_time(d)
    if core.current() == shown_thread then return sleep_shown(seconds) end
    return core.wait(NOTHING, seconds)
end

local function sleep_until(t) core.wait(NOTHING, t - core.now()) end

-- Calls what a task that waited first is for.
local function begin(fn)
    running[core.current()].started = core.now()
    return fn()
end

--- after(d, fn) -> task: calls fn once, d from now, in a task of its own.
-- An error in fn ends the experiment at once. :cancel() before that, and it is not called.
-- @param d   when, from now on (duration)
-- @param fn  function(); it may wait
-- @example
--   local called = event()
--   after("5ms", function() called:set() end)
--   check.is_true(called:wait(5))
function tasks.after(d, fn)
    d = check_duration(d, "after", 2)
    check_function(fn, "after", 2)
    return start(AFTER, function()
        core.wait(NOTHING, d)
        return begin(fn)
    end)
end

--- at(t, fn) -> task: calls fn at experiment second t, in a task of its own; at once when t has passed.
-- @param t   seconds since the start, as now() counts them
-- @param fn  function(); it may wait
-- @example
--   at(now() + 0.01, function() mark("ten milliseconds later") end)
function tasks.at(t, fn)
    t = math.type(t) and t < 0 and 0 or check_duration(t, "at", 2)
    check_function(fn, "at", 2)
    return start(AT, function()
        sleep_until(t)
        return begin(fn)
    end)
end

--- every(d, fn) -> task: calls fn each d, the first time d from now, without drift, until :cancel().
-- Instants that pass while fn still runs are left out. An error in fn ends the experiment at once.
-- @param d   the period (duration, over 0)
-- @param fn  function(); it may wait
-- @example
--   local n = 0
--   local ticks = every("5ms", function() n = n + 1 end)
--   eventually(5, function() return n >= 3 end)
--   ticks:cancel()
function tasks.every(d, fn)
    local task = tasks.periodic("every", d, fn, 1)
    return task
end

--- As tasks.every, whose name in errors is `where`; the first call comes after `first` periods. `name`: the task's in what is
--- recorded (nil: `where`).
function tasks.periodic(where, d, fn, first, name)
    d = check_duration(d, where, 3)
    check_function(fn, where, 3)
    if d <= 0 then error(where .. ": the duration must be over 0", 3) end
    return start({ name = name or where, on_error = fail_now }, function()
        local since, n = core.now(), first
        while true do
            sleep_until(since + n * d)
            fn()
            n = math.max(n + 1, math.ceil((core.now() - since) / d))
        end
    end)
end

local WAITED = options.register({ timeout = { type = "duration" } }, "all", "any")

-- The options of all{} and any{}: what is not in the list. Its own part of the work is done at the caller's caller's line.
local function wait_options(list, where)
    if type(list) ~= "table" or rawget(list, "done") ~= nil then
        error(("%s: want a table of tasks, jobs, events or handles"):format(where), 3)
    end
    local opts, n = {}, #list
    for key, value in pairs(list) do
        if math.type(key) ~= "integer" or key < 1 or key > n then opts[key] = value end
    end
    local checked = options.check(opts, WAITED, where, 3)
    return checked
end

local function futures_of(list, where)
    local futures = {}
    for i = 1, #list do
        local item = list[i]
        local done = type(item) == "table" and rawget(item, "done")
        if type(done) ~= "userdata" then
            error(("%s: item %d is a %s, not a task, job, event or handle"):format(where, i, type(item)), 3)
        end
        futures[i] = done
    end
    return futures
end

local function remaining(deadline) return deadline and math.max(0, deadline - core.now()) end

-- Sets `failed` as soon as one of the list's tasks has failed, to it, until the value that it returns is closed.
local function watch(list, failed)
    local members = {}
    for _, item in ipairs(list) do
        if getmetatable(item) == task_meta then
            members[item] = true
            if item.failure then failed:set(item) end
        end
    end
    watched[failed] = members
    return setmetatable({}, { __close = function() watched[failed] = nil end })
end

--- all{ a, b, ... } -> list: waits for all of these jobs, tasks, events and handles.
-- @option timeout  how long at most (default: without end)
-- @return  what each gave, in their order: a job's result, a task's first value, an event's value
-- @error  a task's error, as soon as it fails; the others go on; "all: timed out"
-- @example
--   local sums = all { go(function() return 1 end), go(function() return 2 end), timeout = 5 }
--   check.equal(sums, { 1, 2 })
function tasks.all(list)
    local seconds = wait_options(list, "all").timeout
    local deadline = seconds and core.now() + seconds
    local shown <close> = show_main(("waiting for all of %d"):format(#list))
    local futures, values, failed = futures_of(list, "all"), {}, core.future()
    local watching <close> = watch(list, failed)
    for i, future in ipairs(futures) do
        if not core.wait({ failed, future }, remaining(deadline)) then error("all: timed out", 2) end
        if failed:is_set() then failed:values():outcome() end
        values[i] = list[i]:outcome()
    end
    return values
end

--- any{ a, b, ... } -> place, value: waits for the first of these jobs, tasks, events and handles.
-- @option timeout  how long at most (default: without end)
-- @return  its place in the list and what it gave; nil, "timed out", "timeout" when the time has passed
-- @error  a task's error; an empty list
-- @example
--   local first = any { go(function() sleep(1000) end), go(function() return "quick" end) }
--   check.equal(first, 2)
function tasks.any(list)
    local seconds = wait_options(list, "any").timeout
    if #list == 0 then error("any: the table is empty", 2) end
    local shown <close> = show_main(("waiting for one of %d"):format(#list))
    local i = core.wait(futures_of(list, "any"), seconds)
    if not i then return nil, "timed out", "timeout" end
    return i, list[i]:outcome()
end

--- timeout(d, fn) -> values: runs fn and gives what it returns; raises "timed out" when d passes, and cancels fn.
-- Timeouts nest: the one that ends first counts. fn's `<close>` variables are closed before it raises.
-- @param d   how long fn may take (duration)
-- @param fn  function() -> values
-- @example
--   check.equal(timeout(5, function() return "in time" end), "in time")
--   check.raises(function() timeout("10ms", function() sleep(1000) end) end, "timed out after 10 ms")
function tasks.timeout(d, fn)
    local seconds = check_duration(d, "timeout", 2)
    check_function(fn, "timeout", 2)
    local task = tasks.try(fn)
    local guard <close> = setmetatable({}, { __close = function() task:cancel() end })
    if tasks.wait(task.done, seconds) then
        return task:outcome()
    end
    task:cancel()
    tasks.wait(task.done, tasks.CANCEL_GRACE)
    error(("timed out after %s"):format(units.format_duration(seconds)), 2)
end

return tasks
