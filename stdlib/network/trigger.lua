-- SPDX-License-Identifier: MIT
-- Packet triggers: l:on(filter, opts, fn).

local class = require "qemunet.class"
local core = require "qemunet.core"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local packet = require "qemunet.network.packet"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local trigger = {}

local OPTIONS = options.register({
    nth = { type = "integer", min = 1 },
    count = { type = "integer", min = 1 },
    dir = { type = "string", choices = { "ab", "ba" } },
    hold = { type = "boolean" },
}, "link:on")
local VERDICT = { delay = { type = "duration", max = 3600 }, data = { type = "string" } }

local FRAME_MIN, FRAME_MAX = 14, 69632

-- What is kept of the packets that no wait has taken yet: the newest, so many and of so many bytes.
local QUEUE, QUEUE_BYTES = 1024, 1 << 20
-- So many calls of one handle's function may be under way; packets beyond are only counted, as missed.
local CALLS = 1024
-- So many packets of one handle go into the records; how many there were, when it ends.
local RECORDED = 10000

local active, n_active = {}, 0 -- {[id]=handle}

--- class trigger: what fires for packets; what link:on() returns. all{}, any{} and sync{} wait for its first packet.
-- @field link link       its link
-- @field filter string   its filter
-- @field count integer   packets so far
-- @field missed integer  those of them that fn was not called for, because too many calls of it were under way
-- @field last packet     the newest, or false
-- @field ended string    why it fires no more, or false
local Handle = {}
local meta = class.new("trigger", Handle)

function meta.__tostring(self) return ("trigger %q on %s (%d packets)"):format(self.filter, self.link.name, self.count) end

Handle.last, Handle.ended, Handle.fn = false, false, false

local function add_active(self)
    active[self.id] = self
    n_active = n_active + 1
    core.watching_packets(n_active)
end

local function wake(self)
    self.changed:set()
    self.changed = core.future()
end

-- It fires no more: the script's doing, or it has fired as often as it was to.
local function finish(self, why)
    if self.ended then return end
    self.ended = why
    core.event { t = core.now(), kind = "trigger", link = self.link.name, filter = self.filter, event = "ended", why = why,
        packets = self.count, missed = self.missed }
    active[self.id] = nil
    n_active = n_active - 1
    core.watching_packets(n_active)
    core.trigger_remove(self.id)
    self.done:set()
    wake(self)
end

local function where_of(fn)
    local info = debug.getinfo(fn, "S")
    return ("%s:%d: "):format(info.short_src, info.linedefined)
end

local function check_verdict(value)
    if type(value) ~= "table" then
        error(('bad verdict %s (want "pass", "drop", {delay=} or {data=})'):format(tostring(value)), 0)
    end
    local checked = options.check(value, VERDICT, "verdict", -1)
    local size = checked.data and #checked.data or FRAME_MIN
    if size < FRAME_MIN or size > FRAME_MAX then
        error(("verdict: data: a frame has %d to %d bytes, not %d"):format(FRAME_MIN, FRAME_MAX, size), 0)
    end
    return false, checked.delay or 0, checked.data
end

-- What the function returned, as arguments of core.verdict. Raises, at the function's line, what is impossible.
local function read_verdict(self, value)
    if value == nil or value == true or value == "pass" then return false, 0, nil end
    if value == "drop" then return true, 0, nil end
    local ok, drop, delay, data = pcall(check_verdict, value)
    if not ok then error(where_of(self.fn) .. drop, 0) end
    return drop, delay, data
end

-- Whatever fn does, the packet goes on. The verdict may come too late: the link was unplugged meanwhile.
local function decide(self, pkt, held)
    local decided = false
    local guard <close> = setmetatable({}, { __close = function()
        self.calls = self.calls - 1
        if not decided then core.verdict(held, false, 0) end
    end })
    local drop, delay, data = read_verdict(self, self.fn(pkt))
    core.verdict(held, drop, delay, data)
    decided = true
end

local function call(self, pkt)
    local guard <close> = setmetatable({}, { __close = function() self.calls = self.calls - 1 end })
    self.fn(pkt)
end

local function start_call(self, pkt, held)
    if self.calls >= CALLS then
        if self.missed == 0 then
            core.log(0, ("%s: %d calls of its function are under way; packets are left out"):format(tostring(self), CALLS))
        end
        self.missed = self.missed + 1
        if held ~= 0 then core.verdict(held, false, 0) end
        return
    end
    self.calls = self.calls + 1
    if held ~= 0 then tasks.detach(decide, self, pkt, held) else tasks.detach(call, self, pkt) end
end

local function take(self)
    local pkt = self.packets[self.first]
    self.packets[self.first] = nil
    self.first, self.bytes = self.first + 1, self.bytes - #pkt.data
    return pkt
end

local function is_empty(self) return self.first > self.count end

-- packets[first..count] are those that wait.
local function queue(self, pkt)
    self.packets[self.count], self.bytes = pkt, self.bytes + #pkt.data
    while self.count - self.first >= QUEUE or self.bytes > QUEUE_BYTES do take(self) end
end

local function note(self, pkt)
    if self.count > RECORDED then return end
    core.event { t = pkt.time, kind = "packet", link = self.link.name, dir = pkt.dir, filter = self.filter, size = #pkt.data }
end

-- First of all, what is to begin with the packet.
local function fire(self, pkt, held, last)
    for listener in pairs(self.listeners) do listener(pkt) end
    self.count, self.last = self.count + 1, pkt
    queue(self, pkt)
    self.done:set(pkt)
    if self.fn then start_call(self, pkt, held) end
    note(self, pkt)
    if last then finish(self, "it has fired as often as it was to") else wake(self) end
end

local function on_packet(id, dir, time, data, held, last)
    local self = active[id]
    if self then return fire(self, packet.new(time, dir == 0 and "ab" or "ba", data), held, last) end
    if held ~= 0 then core.verdict(held, false, 0) end -- it was cancelled meanwhile
end

--- trigger:cancel(): it fires no more. A packet that is held goes on with its function's verdict.
-- @example
--   local seen = link(responder("a"), responder("b")):on("tcp")
--   seen:cancel()
--   check.equal(select(3, seen:wait(1)), "ended")
function Handle:cancel()
    class.check(self, meta, "cancel")
    finish(self, "it was cancelled")
end

--- The first packet; nil when there was none before it was cancelled, or its link removed: for all{} and any{}.
function Handle:outcome() return (self.done:values()) end

--- trigger:wait(timeout) -> packet: waits for the next packet that no wait has taken yet.
-- The newest 1024 packets, and at most 1 MiB of them, wait for being taken.
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @return  nil, "timed out", "timeout" when the time has passed; nil, why, "ended" when there will be none
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local seen = cable:on("udp")
--   source(cable.ab, { rate = "1mbit", start = true })
--   check.is_true(#seen:wait(5).data > 0)
function Handle:wait(timeout)
    class.check(self, meta, "wait")
    local seconds = units.duration(timeout or node.defaults.timeout, "timeout", 2)
    local shown <close> = tasks.show_main(("waiting for a packet on %s"):format(self.link.name))
    local deadline = core.now() + seconds
    while is_empty(self) do
        if self.ended then return nil, ("trigger %q: no packet: %s"):format(self.filter, self.ended), "ended" end
        if not tasks.wait(self.changed, math.max(0, deadline - core.now())) then return nil, "timed out", "timeout" end
    end
    return take(self)
end

--- Has fn(pkt) called with each packet from now on, before anything else is done with it; fn must not wait. When the
--- handle has fired for the last time already, at once with that packet. Returns a function that ends it.
function trigger.listen(self, fn)
    if self.ended and self.last then fn(self.last) end
    self.listeners[fn] = true
    return function() self.listeners[fn] = nil end
end
meta.listen = trigger.listen

local function check_arguments(filter, opts, fn, level)
    if type(filter) ~= "string" then error('on: want a filter in pcap\'s syntax, as "tcp port 80"', level + 1) end
    local checked = options.check(opts, OPTIONS, "on", level + 1)
    if fn ~= nil and type(fn) ~= "function" then error("on: want a function, not " .. type(fn), level + 1) end
    if checked.hold and not fn then error("on: hold=true wants a function that gives the verdict", level + 1) end
    return checked
end

--- Adds a trigger to a link: see link:on.
function trigger.on(link, filter, opts, fn)
    if type(opts) == "function" and fn == nil then opts, fn = nil, opts end
    local checked = check_arguments(filter, opts, fn, 3)
    core.on_packets(on_packet)
    local id, why = core.trigger_add {
        link = link.id, filter = filter, hold = checked.hold, first = checked.nth or 1,
        count = checked.count or checked.nth and 1 or 0, ab = checked.dir ~= "ba", ba = checked.dir ~= "ab",
    }
    if not id then error(("on: bad filter %q: %s"):format(filter, why), 3) end
    local self = setmetatable({ id = id, link = link, filter = filter, fn = fn, packets = {}, first = 1, bytes = 0, count = 0,
        calls = 0, missed = 0, listeners = {}, done = core.future(), changed = core.future() }, meta)
    add_active(self)
    return self
end

local function finish_where(matches, why)
    local found = {}
    for _, handle in pairs(active) do
        if matches(handle) then found[#found + 1] = handle end
    end
    for _, handle in ipairs(found) do finish(handle, why) end
end

--- Ends those of a link that goes away.
function trigger.link_removed(link)
    finish_where(function(handle) return handle.link == link end, "the link was removed")
end

--- Whether a value is a trigger's handle.
function trigger.is(v) return getmetatable(v) == meta end

testbed.on_end(function() finish_where(function() return true end, "the experiment has ended") end)

return trigger
