-- SPDX-License-Identifier: MIT
-- Time and tasks: go, sleep, after, at, every, all, any, timeout, eventually, always, event, barrier. Everything that can
-- be waited for (tasks, jobs, handles, events) has a field `done`, a future of the core, and a method `outcome`.

local core = require "qemunet.core"
local coroutines = require "qemunet.coroutines"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local units = require "qemunet.units"

local tasks = {}

local DEFAULT_POLL = 0.1
-- How long a cancelled task may take to clean up before the one that waits for it goes on without it.
local CANCEL_GRACE = 5

-- The task whose waits are shown to the person at the terminal: the script's main part.
local shown_thread

--- Makes the calling task the one whose waits are shown.
function tasks.show_waits() shown_thread = core.current() end

local nothing = setmetatable({}, { __close = function() end })

--- Shows `text` as what is waited for, since now, until the value that it returns is closed.
function tasks.showing(text)
    local key = tostring({})
    core.waiting(key, text)
    return setmetatable({}, { __close = function() core.waiting(key) end })
end

-- The same, if the calling task is the one whose waits are shown.
local function show_main(text)
    if core.current() ~= shown_thread then return nothing end
    return tasks.showing(text)
end
tasks.show_main = show_main

-- What becomes of an error that nothing can join; set by the run.
tasks.on_failure = function(failure) io.stderr:write(tostring(failure.message), "\n") end

-- Tasks that have not ended, and those that failed and were not joined yet: {[task]=true}.
local running, unjoined = {}, {}

local Task = { __name = "task" }
Task.__index = Task

local function enter(self, fn, ...)
    local values = table.pack(xpcall(fn, errors.handler, ...))
    if values[1] then
        self.values = table.pack(table.unpack(values, 2, values.n))
    else
        self.failure = values[2]
        if self.failure.message ~= errors.CANCEL then self.on_error(self) end
    end
    running[self] = nil
    self.done:set()
end

local function start(on_error, fn, ...)
    local self = setmetatable({ done = core.future(), on_error = on_error }, Task)
    self.thread = core.spawn(enter, self, fn, ...)
    running[self] = true
    return self
end

local function keep_for_join(self) unjoined[self] = true end
local function fail_now(self) tasks.on_failure(self.failure) end

local function check_function(fn, where, level)
    if type(fn) ~= "function" then
        error(("%s: want a function, not %s"):format(where, type(fn)), level + 1)
    end
end

--- go(fn, ...): runs fn(...) as a task of its own. Its error, if no join takes it, fails the experiment.
--- Returns the task: task:join(timeout) -> fn's values, or raises its error; nil, "timed out" when the time has passed.
--- task:cancel() raises an error that pcall does not catch where the task waits.
function tasks.go(fn, ...)
    check_function(fn, "go", 2)
    return start(keep_for_join, fn, ...)
end

--- Runs fn(...) in a task that nothing joins: its error fails the experiment at once.
function tasks.detach(fn, ...) return start(fail_now, fn, ...) end

local function check_duration(d, what, level)
    local seconds = units.duration(d, what, level + 1)
    return seconds -- not a tail call, which would lose a level
end

-- nil, or seconds.
local function check_timeout(d, level)
    local seconds = d ~= nil and units.duration(d, "timeout", level + 1) or nil
    return seconds
end

--- Waits until `future` is set. Returns whether it is; false: `seconds` (nil: endless) have passed.
function tasks.wait(future, seconds) return core.wait({ future }, seconds) ~= nil end

function Task:outcome()
    unjoined[self] = nil
    if self.values then return table.unpack(self.values, 1, self.values.n) end
    local message = self.failure.message
    if message == errors.CANCEL then error("the task was cancelled", 0) end
    error(message, 0)
end

local function check_task(self, method) errors.check_colon(getmetatable(self) == Task, method, "task") end

function Task:join(timeout)
    check_task(self, "join")
    local seconds = check_timeout(timeout, 2)
    local shown <close> = show_main("waiting for a task")
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return self:outcome()
end

function Task:cancel()
    check_task(self, "cancel")
    core.cancel(self.thread)
end

--- The failures of tasks that ended in an error and were never joined.
function tasks.unjoined_failures()
    local list = {}
    for task in pairs(unjoined) do list[#list + 1] = task.failure end
    return list
end

--- Cancels all that still run, and waits until they have given back what they hold; forgets failures that nobody joined.
function tasks.end_all()
    local deadline = core.now() + CANCEL_GRACE
    local list = {}
    for task in pairs(running) do list[#list + 1] = task end
    for _, task in ipairs(list) do task:cancel() end
    for _, task in ipairs(list) do tasks.wait(task.done, math.max(0, deadline - core.now())) end
    running, unjoined = {}, {}
end

--- sleep(d): suspends the calling task for a duration.
function tasks.sleep(d)
    local seconds = check_duration(d, "sleep", 2)
    local shown <close> = show_main("sleeping for " .. units.format_duration(seconds))
    core.wait({}, seconds)
end

local function sleep_until(t) core.wait({}, t - core.now()) end

--- after(d, fn): calls fn once, d from now, in a task of its own. Returns a handle with :cancel().
function tasks.after(d, fn)
    d = check_duration(d, "after", 2)
    check_function(fn, "after", 2)
    return start(fail_now, function()
        core.wait({}, d)
        return fn()
    end)
end

--- at(t, fn): calls fn at experiment second t; at once when t has passed.
function tasks.at(t, fn)
    t = check_duration(t, "at", 2)
    check_function(fn, "at", 2)
    return start(fail_now, function()
        sleep_until(t)
        return fn()
    end)
end

--- every(d, fn): calls fn each d, the first time d from now, without drift; instants that pass while fn runs are left
--- out. Returns a handle with :cancel().
function tasks.every(d, fn)
    d = check_duration(d, "every", 2)
    check_function(fn, "every", 2)
    if d <= 0 then error("every: the duration must be over 0", 2) end
    return start(fail_now, function()
        local begin, n = core.now(), 1
        while true do
            sleep_until(begin + n * d)
            fn()
            n = math.max(n + 1, math.ceil((core.now() - begin) / d))
        end
    end)
end

local function futures_of(list, where)
    local futures = {}
    for i, item in ipairs(list) do
        local done = type(item) == "table" and rawget(item, "done")
        if type(done) ~= "userdata" then
            error(("%s: item %d is a %s, not a task, job, event or handle"):format(where, i, type(item)), 3)
        end
        futures[i] = done
    end
    return futures
end

local function remaining(deadline) return deadline and math.max(0, deadline - core.now()) end

--- all{a, b, ..., timeout=}: waits for all of them. Returns a list with what each gave (a job's result, a task's first
--- value). Raises a task's error, and when the timeout passes.
function tasks.all(list)
    if type(list) ~= "table" then error("all: want a table of tasks, jobs, events or handles", 2) end
    local seconds = check_timeout(list.timeout, 2)
    local deadline = seconds and core.now() + seconds
    local shown <close> = show_main(("waiting for all of %d"):format(#list))
    local futures, values = futures_of(list, "all"), {}
    for i, future in ipairs(futures) do
        if not tasks.wait(future, remaining(deadline)) then error("all: timed out", 2) end
        values[i] = list[i]:outcome()
    end
    return values
end

--- any{a, b, ..., timeout=}: waits for the first. Returns its place and what it gave; nil, "timed out" when the timeout
--- passes.
function tasks.any(list)
    if type(list) ~= "table" then error("any: want a table of tasks, jobs, events or handles", 2) end
    local seconds = check_timeout(list.timeout, 2)
    if #list == 0 then error("any: the table is empty", 2) end
    local shown <close> = show_main(("waiting for one of %d"):format(#list))
    local i = core.wait(futures_of(list, "any"), seconds)
    if not i then return nil, "timed out", "timeout" end
    return i, list[i]:outcome()
end

--- timeout(d, fn): runs fn and returns its values; raises "timed out" when d passes, and cancels fn.
function tasks.timeout(d, fn)
    local seconds = check_duration(d, "timeout", 2)
    check_function(fn, "timeout", 2)
    local task = start(function() end, fn)
    local guard <close> = setmetatable({}, { __close = function() task:cancel() end })
    if tasks.wait(task.done, seconds) then
        if task.failure and task.failure.message ~= errors.CANCEL then errors.again(task.failure.message) end
        return task:outcome()
    end
    task:cancel()
    tasks.wait(task.done, CANCEL_GRACE)
    error(("timed out after %s"):format(units.format_duration(seconds)), 2)
end

local EVENTUALLY = { every = { type = "duration", default = DEFAULT_POLL } }

--- eventually(d, fn, {every="100ms"}): calls fn until it gives a true value, and returns that. Raises with the last value
--- or error when d has passed.
function tasks.eventually(d, fn, opts)
    local seconds = check_duration(d, "eventually", 2)
    check_function(fn, "eventually", 2)
    local every = options.check(opts, EVENTUALLY, "eventually", 2).every
    local deadline, last = core.now() + seconds, "it was not called"
    local shown <close> = show_main("waiting for a condition, at most " .. units.format_duration(seconds))
    repeat
        local ok, value = coroutines.pcall(tasks.timeout, math.max(remaining(deadline), 0.001), fn)
        if ok and value then return value end
        last = ok and "last value: " .. tostring(value) or "last error: " .. tostring(value)
        core.wait({}, math.min(every, remaining(deadline)))
    until core.now() >= deadline
    error(("not within %s; %s"):format(units.format_duration(seconds), last), 2)
end

--- always(d, fn, {every="100ms"}): raises as soon as fn gives a false value within d.
function tasks.always(d, fn, opts)
    local seconds = check_duration(d, "always", 2)
    check_function(fn, "always", 2)
    local every = options.check(opts, EVENTUALLY, "always", 2).every
    local begin = core.now()
    repeat
        local value = fn()
        if not value then
            error(("no longer true after %s (value: %s)"):format(units.format_duration(core.now() - begin),
                tostring(value)), 2)
        end
        core.wait({}, math.min(every, remaining(begin + seconds)))
    until core.now() >= begin + seconds
end

local Event = { __name = "event" }
Event.__index = Event

--- event(name): something that happens once. :set(value), :wait(timeout) -> value, or nil, "timed out".
function tasks.event(name)
    return setmetatable({ name = name or "event", done = core.future() }, Event)
end

local function check_event(self, method) errors.check_colon(getmetatable(self) == Event, method, "event") end

function Event:set(value)
    check_event(self, "set")
    return self.done:set(value == nil and true or value)
end

function Event:outcome() return (self.done:values()) end

function Event:wait(timeout)
    check_event(self, "wait")
    local seconds = check_timeout(timeout, 2)
    local shown <close> = show_main(("waiting for the event %s"):format(self.name))
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return self:outcome()
end

local Barrier = { __name = "barrier" }
Barrier.__index = Barrier

--- barrier(n): :wait(timeout) suspends until n tasks wait, and then releases all of them; it can be used again.
function tasks.barrier(n)
    if math.type(n) ~= "integer" or n < 1 then error("barrier: want a number of tasks, at least 1", 2) end
    return setmetatable({ n = n, waiting = 0, gate = core.future() }, Barrier)
end

function Barrier:wait(timeout)
    errors.check_colon(getmetatable(self) == Barrier, "wait", "barrier")
    local seconds, gate = check_timeout(timeout, 2), self.gate
    local left <close> = setmetatable({}, { __close = function()
        if self.gate == gate then self.waiting = self.waiting - 1 end
    end})
    self.waiting = self.waiting + 1
    if self.waiting == self.n then
        self.gate, self.waiting = core.future(), 0
        gate:set()
    elseif not tasks.wait(gate, seconds) then
        return nil, "timed out", "timeout"
    end
    return true
end

return tasks
