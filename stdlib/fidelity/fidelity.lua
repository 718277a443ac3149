-- SPDX-License-Identifier: MIT
-- Whether this machine kept up with a run: fidelity{...} sets what is allowed, and a verdict says what was exceeded, by how
-- much, where and when. What is judged comes from strain.lua and from the fabric's counters.

local core = require "qemunet.core"
local options = require "qemunet.options"
local units = require "qemunet.units"

local fidelity = {}

-- So many times what is allowed, and a run is unsound, not doubtful only.
fidelity.SEVERE = 3
-- Of fewer frames, a quantile of their lateness says nothing.
fidelity.SAMPLE = 100
-- In a shorter time, in seconds, a single wait would be a large share.
fidelity.SPAN = 1

local LIMITS = options.register({
    lateness = { type = "duration", default = 2 ^ 20 / 1e9, min = 0 }, -- 1 ms, as a bucket's bound
    cpu_wait = { type = "fraction", default = 0.25 },
    loop_lag = { type = "duration", default = 0.1, min = 0 },
    drift = { type = "duration", default = 0.01, min = 0 },
    losses = { type = "fraction", default = 1e-5 },
    ns3_lateness = { type = "duration", default = 0.01, min = 0 },
}, "fidelity")

local limits = options.check({}, LIMITS)

--- Every limit is the default's again.
function fidelity.reset() limits = options.check({}, LIMITS) end

--- fidelity(opts): how far this machine may fall behind before a run counts as doubtful; three times as far, it is unsound.
-- @option lateness  of the frames of a link, 99 of 100 are released within this of when they are due
-- @option cpu_wait  of the time that a machine is up, its threads wait for a processor for this share
-- @option loop_lag  the control loop, which runs the script and its timers, is this late for 1 % of the time
-- @option drift     a guest's clock goes this far from this machine's, from its boot to the run's end
-- @option losses    of all frames, this share is lost to this machine's slowness
-- @option ns3_lateness  of the events of an ns-3 simulation, 99 of 100 are simulated within this of when they are due
-- @error  an unknown option, a wrong unit
-- @example
--   fidelity { lateness = "200us", loop_lag = "1s" }
function fidelity.fidelity(opts)
    local given = options.check(opts, LIMITS, "fidelity", 2)
    for name in pairs(opts or {}) do limits[name] = given[name] end
end

local function percent(share) return ("%.3g%%"):format(share * 100) end

-- What each count of the fabric's and the simulations' means when it is not 0, with the number in the place of %d.
local LOSSES = {
    { "overruns", "%d frames were dropped because their receiver took them too slowly" },
    { "no_memory", "%d frames were dropped for want of memory" },
    { "triggers_missed", "%d times a trigger fired that could not be told of, or could not hold its packet" },
    { "verdicts_missed", "%d held packets went on without a verdict" },
    { "events_missed", "%d events of a simulation could not be told of" },
}

-- Each measure: {value =, and of the worst: t =, link = or node =}, or nil for nothing to measure; and its value in words.

local measures = {}

-- The link that is worst by p99, of those with enough frames.
function measures.lateness(counters)
    local worst
    for name, stats in pairs(counters.links or {}) do
        for _, way in ipairs { "ab", "ba" } do
            local late = stats[way].lateness
            local value = late.count >= fidelity.SAMPLE and late.p99
            if value and (not worst or value > worst.value or value == worst.value and name < worst.link) then
                worst = { value = value, max = late.max, t = late.max_at, link = name, dir = way }
            end
        end
    end
    return worst
end

-- The machine with the largest value.
local function worst_node(nodes, value_of)
    local worst
    for name, one in pairs(nodes or {}) do
        local value, t = value_of(one)
        if not worst or value > worst.value or value == worst.value and name < worst.node then
            worst = { value = value, t = t, node = name }
        end
    end
    if worst then worst.nodes = nodes end
    return worst
end

function measures.cpu_wait(counters)
    return worst_node(counters.waits, function(one)
        return one.watched >= fidelity.SPAN and one.waited / one.watched or 0, one.worst_at
    end)
end

function measures.loop_lag(counters)
    local loop = counters.loop
    return loop and { value = loop.p99, t = loop.max_at, max = loop.max, mean = loop.mean, count = loop.count,
        histogram = loop.histogram }
end

-- What is certain of it.
function measures.drift(counters)
    return worst_node(counters.drifts, function(one) return math.max(math.abs(one.drift) - one.doubt, 0) end)
end

function measures.losses(counters)
    local totals = counters.fabric
    if not totals then return nil end
    local lost, counts, frames = 0, {}, math.max(totals.lateness.count, 1)
    local simulated = { overruns = 0, events_missed = 0 }
    for _, stats in pairs(counters.ns3 or {}) do
        simulated.overruns = simulated.overruns + (stats.overruns or 0)
        simulated.events_missed = simulated.events_missed + (stats.missed or 0)
    end
    for _, loss in ipairs(LOSSES) do
        local count = (totals[loss[1]] or 0) + (simulated[loss[1]] or 0)
        if count > 0 then counts[loss[1]] = count end
        lost = lost + count
    end
    return { value = math.min(lost / frames, 1), t = lost > 0 and totals.lost_at or nil, counts = counts }
end

-- Of a simulation; nil where too little was measured.
local function ns3_lateness(name, stats)
    if stats.silent then return { value = stats.silent, max = stats.silent, simulation = name } end
    local late = stats.lateness
    if late.count < fidelity.SAMPLE then return nil end
    return { value = late.p99, max = late.max, t = late.max_at, simulation = name }
end

-- The simulation that is worst by p99.
function measures.ns3_lateness(counters)
    local worst
    for name, stats in pairs(counters.ns3 or {}) do
        local one = ns3_lateness(name, stats)
        if one and (not worst or one.value > worst.value) then worst = one end
    end
    return worst
end

local texts = {}

function texts.lateness(m)
    return ("the frames of link %s were late, 99%% of them by up to %s"):format(m.link, units.format_duration(m.value))
end

function texts.cpu_wait(m) return ("machine %s waited for a processor %s of its time"):format(m.node, percent(m.value)) end

function texts.loop_lag(m) return ("the control loop was up to %s late"):format(units.format_duration(m.max)) end

function texts.drift(m) return ("the clock of %s drifted by %s"):format(m.node, units.format_duration(m.value)) end

function texts.losses(m)
    local list = {}
    for _, loss in ipairs(LOSSES) do
        if m.counts[loss[1]] then list[#list + 1] = loss[2]:format(m.counts[loss[1]]) end
    end
    return table.concat(list, ", ")
end

function texts.ns3_lateness(m)
    return ("the simulation %s was late, 99%% of its events by up to %s"):format(m.simulation, units.format_duration(m.value))
end

local function reason(what, measure, threshold)
    if not measure or measure.value <= threshold then return nil end
    local severe = measure.value > fidelity.SEVERE * threshold
    return { what = what, verdict = severe and "unsound" or "doubtful", value = measure.value, threshold = threshold,
        t = measure.t, link = measure.link, node = measure.node, text = texts[what](measure) }
end

local JSON_ARRAY = { __jsontype = "array" } -- also when it is empty
local RANK = { sound = 0, doubtful = 1, unsound = 2 }

--- fidelity.judge(counters) -> { verdict = "sound"|"doubtful"|"unsound", reasons = {{ what =, verdict =, value =, threshold =,
--- t =, link =, node =, text = }, ...}, measures =, thresholds = }: the reasons in the order in which they came about.
function fidelity.judge(counters)
    local result = { verdict = "sound", reasons = setmetatable({}, JSON_ARRAY), measures = {}, thresholds = limits }
    for what, measure in pairs(measures) do
        local found = measure(counters)
        local exceeded = reason(what, found, limits[what])
        result.measures[what] = found
        result.reasons[#result.reasons + 1] = exceeded
        if exceeded and RANK[exceeded.verdict] > RANK[result.verdict] then result.verdict = exceeded.verdict end
    end
    table.sort(result.reasons, function(a, b)
        if (a.t or math.huge) ~= (b.t or math.huge) then return (a.t or math.huge) < (b.t or math.huge) end
        return a.what < b.what
    end)
    return result
end

--- Why a run is not sound, in one text.
function fidelity.reasons(result)
    local list = {}
    for i, one in ipairs(result.reasons) do list[i] = one.text .. (one.t and (" (worst at %.1f s)"):format(one.t) or "") end
    return table.concat(list, "; ")
end

--- What is not sound about a run, in one text; nil for one that is sound.
function fidelity.words(result)
    return result.verdict ~= "sound" and ("%s: %s"):format(result.verdict, fidelity.reasons(result)) or nil
end

--- Says so in the events and, if `to_log`, in one line of the log.
function fidelity.tell(result, to_log)
    local words = to_log and fidelity.words(result)
    if words then core.log(0, "fidelity: " .. words) end
    core.event { t = core.now(), kind = "fidelity", verdict = result.verdict, reasons = result.reasons }
end

return fidelity
