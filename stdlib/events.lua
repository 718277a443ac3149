-- SPDX-License-Identifier: MIT
-- What tasks tell each other by: events, which happen once, and barriers, at which they meet.

local class = require "qemunet.class"
local core = require "qemunet.core"
local tasks = require "qemunet.tasks"

local events = {}

--- class event: something that happens once; what event() returns.
-- @field name string  its name
local Event = {}
local event_meta = class.new("event", Event)

--- event(name) -> event: something that happens once, for tasks to wait for.
-- @param name  what progress shows while it is waited for (default "event")
-- @example
--   local ready = event("ready")
--   go(function() ready:set("yes") end)
--   check.equal(ready:wait(5), "yes")
function events.event(name)
    if name ~= nil and type(name) ~= "string" then error("event: want a name, a text, not " .. type(name), 2) end
    return setmetatable({ name = name or "event", done = core.future() }, event_meta)
end

local function check_event(self, method) class.check(self, event_meta, method) end

--- event:set(value) -> boolean: sets the event for good, and wakes all who wait; says whether it was not set before.
-- @param value  what wait gives (default true)
-- @example
--   local ready = event("ready")
--   check.equal({ ready:set(7), ready:set(8), ready:wait() }, { true, false, 7 })
function Event:set(value)
    check_event(self, "set")
    return self.done:set(value == nil and true or value)
end

function event_meta.__tostring(self) return ("event %s (%s)"):format(self.name, self.done:is_set() and "set" or "not set") end

function Event:outcome() return (self.done:values()) end

--- event:wait(timeout) -> value: waits until the event is set; at once if it is.
-- @param timeout  how long at most (duration; default: without end)
-- @return  what it was set to; nil, "timed out", "timeout" when the time has passed
-- @example
--   check.equal(select(2, event("never"):wait("1ms")), "timed out")
function Event:wait(timeout)
    check_event(self, "wait")
    local seconds = tasks.check_timeout(timeout, 2)
    local shown <close> = tasks.show_main(("waiting for the event %s"):format(self.name))
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return self:outcome()
end

--- class barrier: a gate at which tasks meet; what barrier() returns.
local Barrier = {}
local barrier_meta = class.new("barrier", Barrier)

function barrier_meta.__tostring(self) return ("barrier (%d of %d wait)"):format(self.waiting, self.n) end

--- barrier(n) -> barrier: a gate at which n tasks meet.
-- @param n  how many, at least 1
-- @example
--   local gate = barrier(2)
--   local other = go(function() return gate:wait(5) end)
--   check.is_true(gate:wait(5))
--   other:join()
function events.barrier(n)
    if math.type(n) ~= "integer" or n < 1 then error("barrier: want a number of tasks, at least 1", 2) end
    return setmetatable({ n = n, waiting = 0, gate = core.future() }, barrier_meta)
end

--- barrier:wait(timeout) -> true: waits until n tasks wait here, and then all go on; it can be used again.
-- @param timeout  how long at most (duration; default: without end)
-- @return  nil, "timed out", "timeout" when the time has passed; then the task is not counted any more
-- @example
--   check.is_true(barrier(1):wait())
function Barrier:wait(timeout)
    class.check(self, barrier_meta, "wait")
    local seconds, gate = tasks.check_timeout(timeout, 2), self.gate
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

return events
