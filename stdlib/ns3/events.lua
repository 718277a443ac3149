-- SPDX-License-Identifier: MIT
-- What happens in an ns-3 simulation, here: net:on, net:schedule, net:at.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local sync = require "qemunet.sync"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local events = {}

local KINDS = { drop = true, tx = true, rx = true, course_change = true }

-- What is kept of the events that no wait has taken yet, the newest; and of how many a record is made.
local QUEUE, RECORDED = 1024, 10000
-- So many calls of one tracer's function may be under way; events beyond are only counted, as missed.
local CALLS = 1024

--- class tracer: what tells of events in a simulation of ns-3's; what net:on() and net:schedule() return.
-- @field what string    the kind of event, or the path of its trace source
-- @field net net        the simulation
-- @field count integer  events so far
-- @field missed integer  of these, those that the function was not called for, since too many calls were under way
-- @field last table     the newest event, or false
-- @field ended string   why there will be none any more, or false
-- @example ns-3
--   local net = ns3()
--   local a = host("a")
--   net:csma { a, host("b") }
--   local sent = net:on("tx", { node = a })
--   a:run("ping -c 1 b")
--   print(sent:wait().size, sent.count)
--   sent:cancel()
local Tracer = {}
local meta = class.new("tracer", Tracer)

Tracer.last, Tracer.ended, Tracer.fn, Tracer.link = false, false, false, false

function meta.__tostring(self) return ("ns-3 event %q of %s (%d so far)"):format(self.what, self.net.name, self.count) end

-- h:release(sync{...}) is to have the commands wait for h. Lua looks the method up before it evaluates the argument, so it is
-- the look-up that tells that sync.
local find = meta.__index
function meta.__index(self, key)
    if key == "release" then sync.expect(self) end
    return find(self, key)
end

local function wake(self)
    self.changed:set()
    self.changed = core.future()
end

local function finish(self, why)
    if self.ended then return end
    self.ended = why
    self.net.listeners[self.id] = nil
    self.done:set()
    wake(self)
end

local function note(self, event)
    if self.count > RECORDED then return end
    core.event { t = event.time, kind = "ns3", net = self.net.name, event = self.what, node = event.node, source = event.source,
        late = event.late }
end

local function is_empty(self) return self.first > self.count end

local function take_first(self)
    local event = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    return event
end

local function call(self, event)
    local guard <close> = setmetatable({}, { __close = function() self.calls = self.calls - 1 end })
    self.fn(event)
end

local function start_call(self, event)
    if self.calls < CALLS then
        self.calls = self.calls + 1
        tasks.detach(call, self, event)
        return
    end
    if self.missed == 0 then
        core.log(0, ("%s: %d calls of its function are under way; events are left out"):format(tostring(self), CALLS))
    end
    self.missed = self.missed + 1
end

local function fire(self, event)
    for listener in pairs(self.hearers) do listener(event) end
    self.count, self.last = self.count + 1, event
    self.queue[self.count] = event
    if self.count - self.first >= QUEUE then take_first(self) end
    self.done:set(event)
    if self.fn then start_call(self, event) end
    note(self, event)
    if event.last then finish(self, "it has happened as often as it was to") else wake(self) end
end

--- The simulation has ended, and so do its tracers.
function events.close(net)
    local list = {}
    for _, self in pairs(net.listeners) do list[#list + 1] = self end
    for _, self in ipairs(list) do finish(self, "the simulation was closed") end
end

--- An event that the simulation tells of: { event= the listener's number, time= experiment seconds, ... }.
function events.take(net, event)
    local self = net.listeners[event.event]
    if not self then return end -- it was cancelled meanwhile
    event.event = self.what
    fire(self, event)
end

local function new(net, what, fn)
    net.last_listener = net.last_listener + 1
    local self = setmetatable({ net = net, id = net.last_listener, what = what, fn = fn or false, count = 0, first = 1,
        calls = 0, missed = 0, queue = {}, hearers = {}, done = core.future(), changed = core.future() }, meta)
    net.listeners[self.id] = self
    return self
end

--- Has fn(event) called with each event from now on, before anything else is done with it; at once, with the last, when there
--- will be none. Returns a function that ends it.
function meta.listen(self, fn)
    if self.ended and self.last then fn(self.last) end
    self.hearers[fn] = true
    return function() self.hearers[fn] = nil end
end

--- tracer:cancel(): it tells of nothing any more.
function Tracer:cancel()
    class.check(self, meta, "cancel")
    if self.ended then return end
    finish(self, "it was cancelled")
    if not self.net.over then self.net:call("off", { listener = self.id }) end
end

-- The first event; nil when there was none: for all{} and any{}.
function Tracer:outcome() return (self.done:values()) end

--- tracer:wait(timeout) -> event: the next event that no wait has taken yet; the newest 1024 wait for being taken.
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @return  see net:on; nil, "timed out", "timeout"; or nil, why there will be none, "ended"
function Tracer:wait(timeout)
    class.check(self, meta, "wait")
    local seconds = units.duration(timeout or node.defaults.timeout, "timeout", 2)
    local shown <close> = tasks.show_main(("waiting for %s of %s"):format(self.what, self.net.name))
    local deadline = core.now() + seconds
    while is_empty(self) do
        if self.ended then return nil, ("%s: no event: %s"):format(self.what, self.ended), "ended" end
        if not tasks.wait(self.changed, math.max(0, deadline - core.now())) then return nil, "timed out", "timeout" end
    end
    return take_first(self)
end

--- tracer:release(commands) -> results, spread, event: has commands ready on their nodes, and starts them with the next event.
-- A result's `offset` is the time from the event, at its instant in the simulation, to the command's start.
-- @param commands  sync{ [node] = command, ... }, or the table alone
-- @return  as of sync{}
-- @example ns-3
--   local net = ns3()
--   local a, b = host("a"), host("b")
--   net:csma { a, b }
--   local turn = net:schedule(now() + 1, function() end)
--   local results = turn:release(sync { [a] = "date", [b] = "date" })
--   print(results[a].offset)
function Tracer:release(commands, ...)
    class.check(self, meta, "release")
    if not sync.expected() then return commands, ... end -- what sync has done already
    if type(commands) ~= "table" then error("release: want a table, { [node] = command }, or sync{...}", 2) end
    local all = { on = self }
    for key, value in pairs(commands) do all[key] = value end
    return sync.sync(all)
end

local OPTIONS = options.register({ node = { type = "any" }, nth = { type = "integer", min = 1 },
    count = { type = "integer", min = 1 } }, "net:on")

local function check_kind(kind, level)
    if type(kind) == "string" and (KINDS[kind] or kind:sub(1, 1) == "/") then return end
    error(('on: want "drop", "tx", "rx", "course_change" or the path of a trace source ("/NodeList/*/..."), not %s%s'):format(
        tostring(kind), options.hint(kind, KINDS)), level + 1)
end

--- What net:on does.
function events.on(net, kind, opts, fn, level)
    if type(opts) == "function" and fn == nil then opts, fn = nil, opts end
    check_kind(kind, level + 1)
    local checked = options.check(opts, OPTIONS, "on", level + 1)
    if fn ~= nil and type(fn) ~= "function" then error("on: want a function, not " .. type(fn), level + 1) end
    local at = checked.node and link.check_node(checked.node, "on", "node", level + 1)
    local self = new(net, kind, fn)
    local is_path = not KINDS[kind]
    local ok, why = pcall(net.call, net, "on", { where = "on", listener = self.id, kind = not is_path and kind or nil,
        path = is_path and kind or nil, node = at and at.name, nth = checked.nth, count = checked.count or checked.nth and 1 })
    if ok then return self end
    finish(self, "it was never begun")
    errors.again(why)
end

local function instant(net, t, fn, where, level)
    local seconds = units.duration(t, where, level + 1)
    local self = new(net, ("%.6f s"):format(seconds), fn)
    net:call("at", { where = where, listener = self.id, at = seconds })
    return self
end

--- What net:schedule does.
function events.schedule(net, t, fn, level)
    if type(fn) ~= "function" then error("schedule: want a function, not " .. type(fn), level + 1) end
    local self = instant(net, t, fn, "schedule", level + 1)
    return self
end

--- What net:at does.
function events.at(net, t, commands, level)
    if type(commands) == "function" then return events.schedule(net, t, commands, level + 1) end
    if type(commands) ~= "table" then error("at: want a table, { [node] = command }", level + 1) end
    local all = { on = instant(net, t, nil, "at", level + 1) }
    for key, value in pairs(commands) do all[key] = value end
    return tasks.start(sync.sync, all)
end

return events
