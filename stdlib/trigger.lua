-- SPDX-License-Identifier: MIT
-- Packet triggers: l:on(filter, opts, fn).

local core = require "qemunet.core"
local node = require "qemunet.node"
local options = require "qemunet.options"
local packet = require "qemunet.packet"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local trigger = {}

local OPTIONS = {
    nth = { type = "integer", min = 1 },
    count = { type = "integer", min = 1 },
    dir = { type = "string", choices = { "ab", "ba" } },
    hold = { type = "boolean" },
}

-- Packets that no wait has taken yet; the oldest go first.
local QUEUE = 1024

local active = {} -- {[id]=handle}

local function set_active(id, handle)
    active[id] = handle
    local n = 0
    for _ in pairs(active) do n = n + 1 end
    core.watching_packets(n)
end

local Handle = { __name = "trigger" }
Handle.__index = Handle

function Handle:__tostring() return ("trigger %q on %s (%d packets)"):format(self.filter, self.link.name, self.count) end

local function wake(self)
    self.changed:set()
    self.changed = core.future()
end

local function finish(self, why)
    if self.ended then return end
    self.ended = why
    set_active(self.id, nil)
    wake(self)
end

-- What the function returned, as arguments of core.verdict. Raises what is impossible.
local function read_verdict(value)
    if value == nil or value == true or value == "pass" then return false, 0, nil end
    if value == "drop" then return true, 0, nil end
    if type(value) ~= "table" then
        error(('bad verdict %s (want "pass", "drop", {delay=} or {data=})'):format(tostring(value)), 0)
    end
    local checked = options.check(value, { delay = { type = "duration" }, data = { type = "string" } }, "verdict", 0)
    return false, checked.delay or 0, checked.data
end

-- Whatever fn does, the packet goes on.
local function decide(self, pkt, held)
    local passed = false
    local guard <close> = setmetatable({}, { __close = function()
        if not passed then core.verdict(held, false, 0) end
    end })
    local drop, delay, data = read_verdict(self.fn(pkt))
    local ok, why = core.verdict(held, drop, delay, data)
    passed = true
    if not ok and data then error(("trigger %q: the frame cannot be replaced: %s"):format(self.filter, why), 0) end
end

local function queue(self, pkt)
    if #self.packets == QUEUE then table.remove(self.packets, 1) end
    self.packets[#self.packets + 1] = pkt
end

local function fire(self, pkt, held, last)
    self.count, self.last = self.count + 1, pkt
    queue(self, pkt)
    self.done:set(pkt)
    if last then finish(self, "it has fired as often as it was to") else wake(self) end
    core.event { t = pkt.time, kind = "packet", link = self.link.name, dir = pkt.dir, filter = self.filter, size = #pkt.data }
    if held ~= 0 then
        tasks.detach(decide, self, pkt, held)
    elseif self.fn then
        tasks.detach(self.fn, pkt)
    end
end

local function on_packet(id, dir, time, data, held, last)
    local self = active[id]
    if self then return fire(self, packet.new(time, dir == 0 and "ab" or "ba", data), held, last) end
    if held ~= 0 then core.verdict(held, false, 0) end -- it was cancelled meanwhile
end

--- h:cancel(): it fires no more. A packet that is held goes on.
function Handle:cancel()
    if self.ended then return end
    core.trigger_remove(self.id)
    finish(self, "it was cancelled")
end

--- The first packet, once there is one: for all{}, any{} and sync{on=}.
function Handle:outcome() return (self.done:values()) end

--- h:wait(timeout=defaults.timeout) -> the next packet that no wait has taken yet; nil, "timed out"; or nil and why there
--- will be none.
function Handle:wait(timeout)
    local seconds = units.duration(timeout or node.defaults.timeout, "timeout", 2)
    local shown <close> = tasks.show_main(("waiting for a packet on %s"):format(self.link.name))
    local deadline = core.now() + seconds
    while #self.packets == 0 do
        if self.ended then return nil, ("trigger %q: no packet: %s"):format(self.filter, self.ended), "ended" end
        if not tasks.wait(self.changed, math.max(0, deadline - core.now())) then return nil, "timed out", "timeout" end
    end
    return table.remove(self.packets, 1)
end

--- l:on(filter, opts, fn) -> handle: fires for packets that the filter, in pcap's syntax, takes ("" takes all), as they
--- enter the link. opts: nth=1 (from this match on), count= (how often; with nth once, else always), dir="ab"|"ba" (else
--- both), hold=true (the packet waits for fn's verdict: "pass", "drop", {delay=}, {data=}). fn(pkt) runs in a task.
function trigger.on(link, filter, opts, fn)
    if type(opts) == "function" and fn == nil then opts, fn = nil, opts end
    if type(filter) ~= "string" then error('on: want a filter in pcap\'s syntax, as "tcp port 80"', 3) end
    local checked = options.check(opts, OPTIONS, "on", 3)
    if fn ~= nil and type(fn) ~= "function" then error("on: want a function, not " .. type(fn), 3) end
    if checked.hold and not fn then error("on: hold=true wants a function that gives the verdict", 3) end
    core.on_packets(on_packet)
    local id, why = core.trigger_add {
        link = link.id, filter = filter, hold = checked.hold, first = checked.nth or 1,
        count = checked.count or checked.nth and 1 or 0, ab = checked.dir ~= "ba", ba = checked.dir ~= "ab",
    }
    if not id then error(("on: bad filter %q: %s"):format(filter, why), 3) end
    local self = setmetatable({ id = id, link = link, filter = filter, fn = fn, packets = {}, count = 0, ended = false,
        done = core.future(), changed = core.future() }, Handle)
    set_active(id, self)
    return self
end

--- Ends those of a link that goes away.
function trigger.link_removed(link)
    for _, handle in pairs(active) do
        if handle.link == link then finish(handle, "the link was removed") end
    end
end

--- Whether a value is a trigger's handle.
function trigger.is(v) return getmetatable(v) == Handle end

testbed.on_end(function()
    active = {}
    core.watching_packets(0)
end)

return trigger
