-- SPDX-License-Identifier: MIT
-- What handles have in common that tell of one thing after the other, as it happens: a packet on a link, an event of a
-- simulation. A function is called with each, waits take those that none has taken yet, and sync{} starts commands with one.

local class = require "qemunet.class"
local core = require "qemunet.core"
local node = require "qemunet.nodes.node"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local observer = {}

-- What is kept of what no wait has taken yet: the newest, so many and of so many bytes.
local KEPT, KEPT_BYTES = 1024, 1 << 20
-- So many calls of one handle's function may be under way; what comes beyond is only counted, as missed.
local CALLS = 1024
-- So many things of one handle go into the records.
local RECORDED = 10000

-- Has fn(thing) called with each from now on, before anything else is done with it; fn must not wait. When there will be none
-- any more, at once with the last. Returns a function that ends it.
local function listen(self, fn)
    if self.ended and self.last then fn(self.last) end
    self.hearers[fn] = true
    return function() self.hearers[fn] = nil end
end

-- The first thing; nil when there was none: for all{} and any{}.
local function outcome(self) return (self.done:values()) end

--- observer.class(name, methods, kind) -> metatable of such handles. `kind`: { thing="packet", size=fn(thing) -> the bytes that
--- are kept with it, note=fn(self, thing), which puts it into the records, none=fn(self) -> in words, that there is none }.
-- A handle has the fields count, missed, last and ended; see its class.
function observer.class(name, methods, kind)
    methods.last, methods.ended, methods.fn, methods.outcome = false, false, false, outcome
    local meta = class.new(name, methods)
    meta.kind, meta.listen = kind, listen
    return meta
end

--- Makes a handle of a table of fields; `fn`: its function, or nil.
function observer.new(meta, fields, fn)
    local self = fields
    self.fn, self.count, self.missed, self.calls = fn or false, 0, 0, 0
    self.kept, self.first, self.bytes, self.hearers = {}, 1, 0, {} -- kept[first..count] are those that no wait has taken
    self.done, self.changed = core.future(), core.future()
    return setmetatable(self, meta)
end

local function kind_of(self) return getmetatable(self).kind end

local function wake(self)
    self.changed:set()
    self.changed = core.future()
end

--- It tells of nothing any more. Returns whether it did until now.
function observer.finish(self, why)
    if self.ended then return false end
    self.ended = why
    self.done:set()
    wake(self)
    return true
end

local function is_empty(self) return self.first > self.count end

local function take(self)
    local thing = self.kept[self.first]
    self.kept[self.first] = nil
    self.first, self.bytes = self.first + 1, self.bytes - kind_of(self).size(thing)
    return thing
end

local function keep(self, thing)
    self.kept[self.count], self.bytes = thing, self.bytes + kind_of(self).size(thing)
    while self.count - self.first >= KEPT or self.bytes > KEPT_BYTES do take(self) end
end

local function call(self, run, ...)
    local guard <close> = setmetatable({}, { __close = function() self.calls = self.calls - 1 end })
    run(self, ...)
end

-- Whether it could be started.
local function start_call(self, run, ...)
    if self.calls < CALLS then
        self.calls = self.calls + 1
        tasks.detach(call, self, run, ...)
        return true
    end
    if self.missed == 0 then
        core.log(0, ("%s: %d calls of its function are under way; %ss are left out"):format(tostring(self), CALLS,
            kind_of(self).thing))
    end
    self.missed = self.missed + 1
    return false
end

local function run_fn(self, thing) self.fn(thing) end

--- Something has happened: first of all, what is to begin with it. `run`: what calls the function in a task, run(self, thing,
--- ...), where that is not all that is to be done there. Returns whether the function is called.
function observer.fire(self, thing, run, ...)
    for hearer in pairs(self.hearers) do hearer(thing) end
    self.count, self.last = self.count + 1, thing
    keep(self, thing)
    self.done:set(thing)
    local called = self.fn and start_call(self, run or run_fn, thing, ...)
    if self.count <= RECORDED then kind_of(self).note(self, thing) end
    wake(self)
    return called
end

--- Waits for the next thing that no wait has taken yet: what the method :wait() does. `what`: what is waited for, in words.
function observer.wait(self, timeout, what)
    local seconds = units.duration(timeout or node.defaults.timeout, "timeout", 3)
    local shown <close> = tasks.show_main("waiting for " .. what)
    local deadline = core.now() + seconds
    while is_empty(self) do
        if self.ended then return nil, ("%s: %s"):format(kind_of(self).none(self), self.ended), "ended" end
        if not tasks.wait(self.changed, math.max(0, deadline - core.now())) then return nil, "timed out", "timeout" end
    end
    return take(self)
end

return observer
