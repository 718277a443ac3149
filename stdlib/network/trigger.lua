-- SPDX-License-Identifier: MIT
-- Packet triggers: l:on(filter, opts, fn).

local class = require "qemunet.class"
local core = require "qemunet.core"
local observer = require "qemunet.observer"
local options = require "qemunet.options"
local packet = require "qemunet.network.packet"
local testbed = require "qemunet.testbed"

local trigger = {}

local OPTIONS = options.register({
    nth = { type = "integer", min = 1 },
    count = { type = "integer", min = 1 },
    dir = { type = "string", choices = { "ab", "ba" } },
    hold = { type = "boolean" },
}, "link:on")
local VERDICT = { delay = { type = "duration", max = 3600 }, data = { type = "string" } }

local FRAME_MIN, FRAME_MAX = 14, 69632

local active, n_active = {}, 0 -- {[id]=handle}

--- class trigger: what fires for packets; what link:on() returns. all{}, any{} and sync{} wait for its first packet.
-- @field link link       its link
-- @field filter string   its filter
-- @field count integer   packets so far
-- @field missed integer  those of them that fn was not called for, because too many calls of it were under way
-- @field last packet     the newest, or false
-- @field ended string    why it fires no more, or false
local Handle = {}
local meta = observer.class("trigger", Handle, {
    thing = "packet",
    size = function(pkt) return #pkt.data end,
    none = function(self) return ("trigger %q: no packet"):format(self.filter) end,
    note = function(self, pkt)
        core.event { t = pkt.time, kind = "packet", link = self.link.name, dir = pkt.dir, filter = self.filter, size = #pkt.data }
    end,
})

function meta.__tostring(self) return ("trigger %q on %s (%d packets)"):format(self.filter, self.link.name, self.count) end

local function add_active(self)
    active[self.id] = self
    n_active = n_active + 1
    core.watching_packets(n_active)
end

-- It fires no more: the script's doing, or it has fired as often as it was to.
local function finish(self, why)
    if not observer.finish(self, why) then return end
    core.event { t = core.now(), kind = "trigger", link = self.link.name, filter = self.filter, event = "ended", why = why,
        packets = self.count, missed = self.missed }
    active[self.id] = nil
    n_active = n_active - 1
    core.watching_packets(n_active)
    core.trigger_remove(self.id)
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
        if not decided then core.verdict(held, false, 0) end
    end })
    local drop, delay, data = read_verdict(self, self.fn(pkt))
    core.verdict(held, drop, delay, data)
    decided = true
end

local function fire(self, pkt, held, last)
    local is_held = held ~= 0
    local called = observer.fire(self, pkt, is_held and decide or nil, held)
    if is_held and not called then core.verdict(held, false, 0) end
    if last then finish(self, "it has fired as often as it was to") end
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
    local pkt, why, code = observer.wait(self, timeout, "a packet on " .. self.link.name)
    return pkt, why, code
end

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
    local self = observer.new(meta, { id = id, link = link, filter = filter }, fn)
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
