-- SPDX-License-Identifier: MIT
-- What the benchmarks share: timing ways of doing the same, turn by turn, and showing the outcome.

local core = require "qemunet.core"
local stats = require "qemunet.stats"
local text = require "qemunet.text"

local bench = {}

-- One timed run; a way whose answer came short, as those over a lossy line may, is asked again, and that is counted.
local function time_one(way, pause, tally)
    for _ = 1, 10 do
        if way.before then way.before() end
        if pause then core.wait({}, pause) end
        local begun = core.now()
        local whole = way.run() ~= false
        local took = core.now() - begun
        if way.after then way.after() end
        if whole then return table.insert(tally.times, took) end
        tally.short = tally.short + 1
    end
    error(way.name .. ": ten short answers on end")
end

--- Times each of `ways`, {{name=, run=fn(), before=fn(), after=fn()}, ...}, `rounds` times, one after the other in each
--- round, so that what else the machine does hits all alike; before each, `pause` seconds of nothing. A run that returns
--- false gave a short answer. Returns {[name]={n=, median=, p95=, short=}}, in seconds.
function bench.compare(ways, rounds, pause)
    local tallies, result = {}, {}
    for _, way in ipairs(ways) do tallies[way.name] = { times = {}, short = 0 } end
    for _ = 1, rounds do
        for _, way in ipairs(ways) do time_one(way, pause, tallies[way.name]) end
    end
    for name, tally in pairs(tallies) do
        local list = tally.times
        result[name] = { n = #list, median = stats.median(list), p95 = stats.quantile(list, 0.95), short = tally.short }
    end
    return result
end

--- Seconds, for people.
function bench.shown(seconds)
    if not seconds then return "-" end
    return seconds < 1 and ("%.2f ms"):format(seconds * 1e3) or ("%.2f s"):format(seconds)
end

--- The most memory this process has held since the last call with `anew`, in bytes.
function bench.peak_memory(anew)
    if anew then
        local file <close> = io.open("/proc/self/clear_refs", "w")
        if file then file:write("5") end
    end
    local file <close> = assert(io.open("/proc/self/status"))
    return tonumber(file:read("a"):match("VmHWM:%s*(%d+)")) * 1024
end

--- What was counted between two reports of lateness: { { below=, count= }, ... }.
function bench.histogram_difference(after, before)
    local count, had = {}, {}
    for _, bucket in ipairs(before.histogram) do had[bucket.below] = bucket.count end
    for i, bucket in ipairs(after.histogram) do
        count[i] = { below = bucket.below, count = bucket.count - (had[bucket.below] or 0) }
    end
    return count
end

--- The upper end of the bucket that holds quantile q; nil when nothing was counted.
function bench.histogram_quantile(histogram, q)
    local total, passed = 0, 0
    for _, bucket in ipairs(histogram) do total = total + bucket.count end
    for _, bucket in ipairs(histogram) do
        passed = passed + bucket.count
        if passed >= q * total then return bucket.below end
    end
end

--- Prints a table and, where `path` is given, writes the outcome as JSON ("-": to standard output instead of the table).
function bench.show(rows, bars, outcome, path)
    if path ~= "-" then
        core.print(text.columns(rows, { rule = true }) .. "\n\n" .. text.columns(bars, { rule = true }) .. "\n")
    end
    if not path then return end
    local encoded = assert(core.json_encode(outcome, true)) .. "\n"
    if path == "-" then return core.print(encoded) end
    local file <close> = assert(io.open(path, "w"))
    file:write(encoded)
end

return bench
