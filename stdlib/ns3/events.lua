-- SPDX-License-Identifier: MIT
-- What happens in an ns-3 simulation, here: net:on, net:schedule, net:at.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local observer = require "qemunet.observer"
local options = require "qemunet.options"
local sync = require "qemunet.sync"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local events = {}

local KINDS = { drop = true, tx = true, rx = true, course_change = true }

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
Tracer.link = false
local meta = observer.class("tracer", Tracer, {
    thing = "event",
    size = function() return 0 end,
    none = function(self) return self.what .. ": no event" end,
    note = function(self, event)
        core.event { t = event.time, kind = "ns3", net = self.net.name, event = self.what, node = event.node,
            source = event.source, late = event.late }
    end,
})

function meta.__tostring(self) return ("ns-3 event %q of %s (%d so far)"):format(self.what, self.net.name, self.count) end

-- h:release(sync{...}) is to have the commands wait for h. Lua looks the method up before it evaluates the argument, so it is
-- the look-up that tells that sync.
local find = meta.__index
function meta.__index(self, key)
    if key == "release" then sync.expect(self) end
    return find(self, key)
end

local function finish(self, why)
    if observer.finish(self, why) then self.net.listeners[self.id] = nil end
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
    observer.fire(self, event)
    if event.last then finish(self, "it has happened as often as it was to") end
end

local function new(net, what, fn)
    net.last_listener = net.last_listener + 1
    local self = observer.new(meta, { net = net, id = net.last_listener, what = what }, fn)
    net.listeners[self.id] = self
    return self
end

--- tracer:cancel(): it tells of nothing any more.
function Tracer:cancel()
    class.check(self, meta, "cancel")
    if self.ended then return end
    finish(self, "it was cancelled")
    if not self.net.over then self.net:call("off", { listener = self.id }) end
end

--- tracer:wait(timeout) -> event: the next event that no wait has taken yet; the newest 1024 wait for being taken.
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @return  see net:on; nil, "timed out", "timeout"; or nil, why there will be none, "ended"
function Tracer:wait(timeout)
    class.check(self, meta, "wait")
    local event, why, code = observer.wait(self, timeout, ("%s of %s"):format(self.what, self.net.name))
    return event, why, code
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

-- Has the simulation tell a tracer of something; one that it will not tell is none.
local function begin(self, name, request)
    request.listener = self.id
    local ok, why = pcall(self.net.call, self.net, name, request)
    if ok then return self end
    finish(self, "it was never begun")
    errors.again(why)
end

--- What net:on does.
function events.on(net, kind, opts, fn, level)
    if type(opts) == "function" and fn == nil then opts, fn = nil, opts end
    check_kind(kind, level + 1)
    local checked = options.check(opts, OPTIONS, "on", level + 1)
    if fn ~= nil and type(fn) ~= "function" then error("on: want a function, not " .. type(fn), level + 1) end
    local at = checked.node and link.check_node(checked.node, "on", "node", level + 1)
    local is_path = not KINDS[kind]
    local self = begin(new(net, kind, fn), "on", { where = "on", kind = not is_path and kind or nil, path = is_path and kind or nil,
        node = at and at.name, nth = checked.nth, count = checked.count or checked.nth and 1 })
    return self
end

local function instant(net, t, fn, where, level)
    local seconds = units.duration(t, where, level + 1)
    local self = begin(new(net, ("%.6f s"):format(seconds), fn), "at", { where = where, at = seconds })
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
    local all = {}
    for key, value in pairs(commands) do
        if key ~= "timeout" then link.check_node(key, "at", tostring(key), level + 1) end
        all[key] = value
    end
    all.on = instant(net, t, nil, "at", level + 1)
    return tasks.start(sync.sync, all)
end

return events
