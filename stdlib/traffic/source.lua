-- SPDX-License-Identifier: MIT
-- Simple sources of packets, and the sinks that they can share: source, sink.

local class = require "qemunet.class"
local flow = require "qemunet.traffic.flow"
local link = require "qemunet.network.link"
local options = require "qemunet.options"

local traffic = {}

local DISCARD = 9 -- RFC 863

local SOURCE = options.register({
    pattern = { type = "string", default = "cbr", choices = { "cbr", "poisson", "onoff" } },
    rate = { type = "rate", required = true, min = 1, max = 1e12 },
    size = { type = "size", default = 1000, min = flow.SIZE_MIN, max = flow.SIZE_MAX },
    to = { type = "any" },
    on = { type = "duration", min = 1e-6, max = 3600 },
    off = { type = "duration", max = 3600 },
    count = { type = "integer", min = 1 },
}, "source")
for name, entry in pairs(flow.OPTIONS) do SOURCE[name] = entry end

-- Sinks --------------------------------------------------------------------------------------------------------------

--- class sink: where sources end together; what sink() returns.
local Sink = {}
local meta = class.new("sink", Sink)

function meta.__tostring(self) return ("sink at %s (%d sources)"):format(tostring(self.at), #self.sources) end

Sink.kept = false

--- sink(node_or_link_end) -> sink: where sources can end together (to=): its report is of all of them as one.
-- @param node_or_link_end  a node, or a link's direction, for the end that it leads to
-- @example
--   local a, b = responder("a"), responder("b")
--   link(a, b)
--   local all_of_them = sink(b)
--   source(a, { rate = "1mbit", to = all_of_them, count = 5, start = true })
--   eventually(5, function() return all_of_them:report().received == 5 end, { every = "5ms" })
function traffic.sink(at)
    if not link.is_direction(at) then at = link.check_node(at, "sink", "the first argument", 2) end
    return setmetatable({ at = at, sources = {} }, meta)
end

--- sink:report() -> table: as source:report, over all the sources that send to it, with `sources`, how many they are.
-- @example
--   check.equal(sink(responder("a")):report().sources, 0)
function Sink:report()
    class.check(self, meta, "report")
    if self.kept then return self.kept end
    local ids = {}
    for _, source in ipairs(self.sources) do
        flow.settle(source)
        for _, id in ipairs(source.legs[1].ids) do ids[#ids + 1] = id end
    end
    if #ids == 0 then
        return { sources = 0, sent = 0, received = 0, lost = 0, loss = 0, in_flight = 0, duplicated = 0, reordered = 0, bytes = 0,
            rate = 0, delay = {}, stalled = 0, running = false }
    end
    local report = flow.read(ids)
    report.sources = #self.sources
    return report
end

--- sink:stop() -> sink: its report stays as it is now.
-- @example
--   sink(responder("a")):stop()
function Sink:stop()
    class.check(self, meta, "stop")
    self.kept = self:report()
    return self
end

--- sink:start() -> sink: after :stop(), it counts on, and what came meanwhile.
-- @example
--   sink(responder("a")):stop():start()
function Sink:start()
    class.check(self, meta, "start")
    self.kept = false
    return self
end

-- Sources ------------------------------------------------------------------------------------------------------------

local function check_pattern(checked, level)
    for _, name in ipairs { "on", "off" } do
        if checked[name] and checked.pattern ~= "onoff" then
            error(('source: %s= goes with pattern="onoff"'):format(name), level + 1)
        end
    end
    if checked.pattern ~= "onoff" then return end
    checked.on, checked.off = checked.on or 1, checked.off or 1
    if checked.on * 1000 < checked.size * 8 / checked.rate then
        error("source: on= is below a thousandth of the time between two packets", level + 1)
    end
end

--- source(node_or_link_end, opts) -> source: sends UDP packets, beside what the node itself sends.
-- Packets are measured, and taken off, where they come out of the last link. pattern="onoff" sends at the rate during on periods;
-- they and the off periods are exponentially distributed.
-- @param node_or_link_end  a node, or a link's direction, which they enter at its near end
-- @option rate     of Ethernet frames, as of a link
-- @option size     bytes of a frame, headers included
-- @option pattern  when packets are sent: at constant intervals, at random ones, or in bursts
-- @option to       a node, a link end (where link.ab ends), an address, a sink (default: the other end of the cable)
-- @option on       of "onoff": the mean length of on periods (default 1 s)
-- @option off      of "onoff": the mean length of off periods (default 1 s)
-- @option count    so many packets, then it ends (default: without end)
-- @option port     UDP port (default 9)
-- @option link     which of the node's links (default: the one that leads there)
-- @option gateway  the node that routes, if the target is on none of the node's subnets
-- @option deliver  true: the node there is given the packets too
-- @option start    true: it starts at once (default: it waits for :start())
-- @error  a target that cannot be reached; a size that holds no headers
-- @example
--   local a, b = responder("a"), responder("b")
--   link(a, b, { delay = "1ms" })
--   local flow = source(a, { rate = "8mbit", to = b, count = 10, start = true })
--   eventually(5, function() return flow:report().received == 10 end, { every = "5ms" })
--   check.near(flow:report().delay.p50, 0.001, 0.002)
function traffic.source(at, opts)
    local checked = options.check(opts, SOURCE, "source", 2)
    check_pattern(checked, 2)
    checked.port = checked.port or DISCARD
    local to, sink = checked.to, nil
    if getmetatable(to) == meta then to, sink = to.at, to end
    local way = flow.way(at, to, checked, "source", 2)
    local leg = flow.leg(way, { pattern = checked.pattern, rate = checked.rate, size = checked.size, on = checked.on,
        off = checked.off, count = checked.count }, 1, "source", 2)
    local self = flow.new("source", { leg })
    if sink then sink.sources[#sink.sources + 1] = self end
    if checked.start then self:start() end
    return self
end

return traffic
