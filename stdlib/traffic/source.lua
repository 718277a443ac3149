-- SPDX-License-Identifier: MIT
-- Simple sources of packets, and the sinks that they can share: source, sink.

local class = require "qemunet.class"
local core = require "qemunet.core"
local flow = require "qemunet.traffic.flow"
local link = require "qemunet.network.link"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local traffic = {}

local DISCARD = 9 -- RFC 863

local SOURCE = {
    pattern = { type = "string", default = "cbr", choices = { "cbr", "poisson", "onoff" } },
    rate = { type = "rate", required = true, min = 1, max = 1e12 },
    size = { type = "size", default = 1000, min = flow.SIZE_MIN, max = flow.SIZE_MAX },
    to = { type = "any" },
    on = { type = "duration", min = 1e-6, max = 3600 },
    off = { type = "duration", max = 3600 },
    count = { type = "integer", min = 1 },
}
for name, entry in pairs(flow.OPTIONS) do SOURCE[name] = entry end

-- Sinks --------------------------------------------------------------------------------------------------------------

local Sink = {}
local meta = class.new("sink", Sink)

function meta.__tostring(self) return ("sink at %s (%d sources)"):format(tostring(self.at), #self.sources) end

Sink.kept = false

--- sink(node_or_link_end): where sources can end together (to=): its report is of all of them as one.
function traffic.sink(at)
    if not link.is_direction(at) then at = link.check_node(at, "sink", "the first argument", 2) end
    return setmetatable({ at = at, sources = {} }, meta)
end

--- k:report() -> as a source's, over all the sources that send to it, and sources, how many they are.
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

--- k:stop(): its report stays as it is now. k:start(): it counts on, and what came meanwhile.
function Sink:stop()
    class.check(self, meta, "stop")
    self.kept = self:report()
    return self
end

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

--- source(node_or_link_end, { rate=, size=1000, pattern="cbr"|"poisson"|"onoff", to=, ... }): sends UDP packets beside what
--- the node itself sends. size: bytes of the Ethernet frame, headers included; rate: bit/s of these, as of a link. to: a
--- node, a link end (where l.ab ends), an address, a sink; none: the other end of the cable. Packets are measured, and taken
--- off, where they come out of the last link; with deliver=true the node there gets them too. onoff: sends at the rate
--- during on periods; they and the off periods last on=1 s and off=1 s in the mean, exponentially distributed. count: so
--- many packets, then it ends. port=9: UDP port. link: which of the node's links (none: the one that leads there). gateway: the
--- node that routes, if the target is on none of the node's subnets. start=true: starts at once. Returns it: :start(), :stop(), :report().
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
