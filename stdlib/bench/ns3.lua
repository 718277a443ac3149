-- SPDX-License-Identifier: MIT
-- qemunet bench ns3: how much passes through an ns-3 simulation before it loses something or falls behind real time, against
-- the same through the fabric alone, in one run.

local bench = require "qemunet.bench.shared"
local core = require "qemunet.core"
local ns3 = require "qemunet.ns3.ns3"
local responder = require "qemunet.nodes.responder"
local stats = require "qemunet.stats"
local traffic = require "qemunet.traffic.source"
local video = require "qemunet.traffic.video"
local voice = require "qemunet.traffic.voice"
local wiring = require "qemunet.network.wiring"

local run = {}

run.about = "packets a second, voice and video streams through ns-3 in real time, against the fabric"
run.rounds = 3

-- A load passes when less than LOST of it is lost, and 99 of 100 events are within LATE of when they are due.
local LOST, LATE = 0.001, 0.020
-- The search ends when what passes and what does not are so near, as a factor. One round is a short form, which tells that
-- all works.
local LONG = { warm = 0.3, measured = 1, near = 1.12, most = 1 }
local SHORT = { warm = 0.1, measured = 0.2, near = 2, most = 1 / 16 }
-- So fast that the simulation is what limits.
local RATE, QUEUE, SIZE = 1e9, 1000, 64

-- The 2011 system's figures, on 8 cores of 2.27 GHz.
local THEN = { packets = 40e3, voice = 80, video = 15 }

local count = 0

local function new_responder()
    count = count + 1
    return responder.responder("bench" .. count)
end

-- The ways: each is made anew for a load, since one that fell behind does not recover soon. { a, b, lateness=fn -> a histogram
-- or nil, close=fn }.

local function through_ns3(join)
    return function()
        local a, b, net = new_responder(), new_responder(), ns3.ns3()
        join(net, a, b)
        return { a = a, b = b, lateness = function() return net:stats().lateness end, close = function() net:close() end }
    end
end

local function through_fabric(join)
    return function()
        local a, b = new_responder(), new_responder()
        local links = join(a, b)
        local function close()
            for _, l in ipairs(links) do l:remove() end
        end
        return { a = a, b = b, lateness = function() return links[1]:stats().ab.lateness end, close = close }
    end
end

local CABLE = { rate = RATE, queue = QUEUE }

local function csma(net, a, b) return net:csma { a, b, rate = RATE, delay = 1e-7, queue = QUEUE } end
local function p2p(net, a, b) return net:p2p(a, b, CABLE) end

local function switch(a, b)
    local middle = wiring.switch("bench-switch" .. count)
    return { middle:connect(a, CABLE), middle:connect(b, CABLE) }
end

local function cable(a, b) return { wiring.link(a, b, CABLE) } end

local WAYS = {
    { name = "csma", about = "CSMA, and a switch", ns3 = through_ns3(csma), fabric = through_fabric(switch) },
    { name = "p2p", about = "point-to-point, and a link", ns3 = through_ns3(p2p), fabric = through_fabric(cable) },
}

-- The loads: fn(a, b, n) -> traffic of n units; the first that is tried, and the largest.
local LOADS = {
    { name = "packets", first = 8e3, most = 5e5, ways = WAYS,
        make = function(a, b, n) return traffic.source(a, { to = b, rate = n * SIZE * 8, size = SIZE }) end },
    { name = "voice", first = 40, most = 4000, ways = { WAYS[1] },
        make = function(a, b, n) return voice.voice(a, b, { streams = math.floor(n) }) end },
    { name = "video", first = 8, most = 400, ways = { WAYS[1] },
        make = function(a, b, n) return video.video(a, b, { streams = math.floor(n) }) end },
}

-- Whether a load passes for a while; `how`: LONG or SHORT.
local function passes_once(way, load, n, how)
    local path = way()
    local closing <close> = setmetatable({}, { __close = path.close })
    local flow = load.make(path.a, path.b, n)
    flow:start()
    core.wait({}, how.warm) -- what is lost to the cold start of a thousand streams at one instant does not count
    local before, first = path.lateness(), flow:report()
    core.wait({}, how.measured)
    local after = path.lateness()
    flow:stop()
    local last = flow:report()
    local sent, lost = last.sent - first.sent, last.lost - first.lost
    local late = bench.histogram_quantile(bench.histogram_difference(after, before), 0.99) or 0
    return sent > 0 and lost <= LOST * sent and late <= LATE
end

-- What else the machine does meanwhile is not the way's.
local function passes(...) return passes_once(...) or passes_once(...) end

-- The largest load that passes: doubled until one does not, then in between.
local function search(way, load, how)
    local low, high = 0, load.first
    while passes(way, load, high, how) do
        low, high = high, 2 * high
        if low >= load.most * how.most then return low end
    end
    while high > how.near * math.max(low, 1) and (load.first > 1000 or high - low > 1) do
        local middle = low == 0 and high / 2 or math.sqrt(low * high)
        if passes(way, load, middle, how) then low = middle else high = middle end
        if high < load.first / 64 then return 0 end
    end
    return load.first > 1000 and low or math.floor(low)
end

local function shown(load, n) return load.name == "packets" and ("%.1f k/s"):format(n / 1e3) or ("%d"):format(n) end

local function row(load, way, list, most)
    local simulated, fabric = stats.median(list.ns3), stats.median(list.fabric)
    local bound = fabric >= most and "at least " or ""
    return { ("%s, %s"):format(load.name, way.about), shown(load, simulated), bound .. shown(load, fabric),
        ("%.3f"):format(simulated / fabric), shown(load, THEN[load.name]) }, { ns3 = simulated, fabric = fabric, rounds = list }
end

--- opts: {rounds=, json=}.
function run.run(opts)
    local how = opts.rounds == 1 and SHORT or LONG
    local rows, outcome = { { "what passes", "ns-3", "fabric", "ratio", "2011, 8 cores" } }, {}
    local bars = { { "bar", "measured", "wanted", "" } }
    for _, load in ipairs(LOADS) do
        for _, way in ipairs(load.ways) do
            local list = { ns3 = {}, fabric = {} }
            for i = 1, opts.rounds do
                for _, kind in ipairs { "ns3", "fabric" } do list[kind][i] = search(way[kind], load, how) end
            end
            local shown_row, result = row(load, way, list, load.most * how.most)
            rows[#rows + 1], outcome[load.name .. " " .. way.name] = shown_row, result
            core.log(1, ("bench ns3: %s, %s: done"):format(load.name, way.name))
        end
    end
    local cores = core.host_facts().cpus
    local each = outcome["packets csma"].ns3 / cores
    bars[2] = { "packets a core, against 2011", shown(LOADS[1], each), "at least " .. shown(LOADS[1], THEN.packets / 8),
        each >= THEN.packets / 8 and "met" or "missed" }
    bench.show(rows, bars, outcome, opts.json)
end

return run
