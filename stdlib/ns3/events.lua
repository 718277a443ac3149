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

local Handle = {}
local meta = class.new("ns-3 event", Handle)

-- A handle's fields: what (the kind or path), count (events so far); last (the newest event), ended (why there will be no
-- more), if these are not false.
Handle.last, Handle.ended, Handle.fn, Handle.link = false, false, false, false

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

local function fire(self, event)
    for listener in pairs(self.hearers) do listener(event) end
    self.count, self.last = self.count + 1, event
    self.queue[self.count] = event
    if self.count - self.first >= QUEUE then take_first(self) end
    self.done:set(event)
    if self.fn then tasks.detach(self.fn, event) end
    note(self, event)
    if event.last then finish(self, "it has happened as often as it was to") else wake(self) end
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
        queue = {}, hearers = {}, done = core.future(), changed = core.future() }, meta)
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

--- h:cancel(): it tells of nothing any more.
function Handle:cancel()
    class.check(self, meta, "cancel")
    if self.ended then return end
    finish(self, "it was cancelled")
    if not self.net.over then self.net:call("off", { listener = self.id }) end
end

--- The first event; nil when there was none: for all{} and any{}.
function Handle:outcome() return (self.done:values()) end

--- h:wait(timeout=defaults.timeout) -> the next event that no wait has taken yet; nil, "timed out", "timeout"; or nil, why there
--- will be none, "ended". The newest 1024 wait for being taken.
function Handle:wait(timeout)
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

--- h:release(sync{ [node]=cmd, ... }), h:release{ [node]=cmd, ... } -> results, spread, event: has the commands ready on their
--- nodes and starts them with the next event; as sync{..., on=h}. A result's `offset` is the time from the event, at its
--- instant in the simulation, to the command's start.
function Handle:release(commands, ...)
    class.check(self, meta, "release")
    if not sync.expected() then return commands, ... end -- what sync has done already
    if type(commands) ~= "table" then error("release: want a table, { [node] = command }, or sync{...}", 2) end
    local all = { on = self }
    for key, value in pairs(commands) do all[key] = value end
    return sync.sync(all)
end

local OPTIONS = { node = { type = "any" }, nth = { type = "integer", min = 1 }, count = { type = "integer", min = 1 } }

local function check_kind(kind, level)
    if type(kind) == "string" and (KINDS[kind] or kind:sub(1, 1) == "/") then return end
    error(('on: want "drop", "tx", "rx", "course_change" or the path of a trace source ("/NodeList/*/..."), not %s%s'):format(
        tostring(kind), options.hint(kind, KINDS)), level + 1)
end

--- net:on(kind, { node=, nth=1, count= }, fn) -> handle: tells of what happens in the simulation. kind: "tx", "rx" (a device is
--- given a frame to send; gets one), "drop" (anything of a node drops one), "course_change" (a node moves in another way), at
--- `node` or at all that there are now; or the path of a trace source of ns-3's. nth: from this one on; count: how often (with
--- nth once). fn(event) runs in a task; event.time (the instant in the simulation, in experiment seconds), late (by how much
--- the simulation was behind then), node, source, and what the source says: size and packet (its number), reason, x, y, vx,
--- vy, value, old, address.
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

--- net:schedule(t, fn) -> handle: calls fn(event) at experiment second t, when the simulation gets there; at once when t has
--- passed.
function events.schedule(net, t, fn, level)
    if type(fn) ~= "function" then error("schedule: want a function, not " .. type(fn), level + 1) end
    local self = instant(net, t, fn, "schedule", level + 1)
    return self
end

--- net:at(t, { [node]=cmd, ... }) -> task: has the commands ready on their nodes, and starts them at experiment second t, when
--- the simulation gets there. :join() gives what sync gives: results, spread, event; a result's `offset` is the time from t
--- to the command's start. A function in their place: as net:schedule.
function events.at(net, t, commands, level)
    if type(commands) == "function" then return events.schedule(net, t, commands, level + 1) end
    if type(commands) ~= "table" then error("at: want a table, { [node] = command }", level + 1) end
    local all = { on = instant(net, t, nil, "at", level + 1) }
    for key, value in pairs(commands) do all[key] = value end
    return tasks.go(sync.sync, all)
end

return events
