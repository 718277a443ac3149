-- SPDX-License-Identifier: MIT
-- What a direction of a link does to packets, as a script says it: the options of link, set and connect.

local core = require "qemunet.core"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local traces = require "qemunet.network.traces"

local impairment = {}

local FRACTION = { type = "fraction" }

-- Options that are tables themselves.
local NESTED = {
    burst = { p = { type = "fraction", required = true }, r = FRACTION, h = FRACTION, k = FRACTION },
    red = { min = { type = { "number", "size" }, min = 0 }, max = { type = { "number", "size" }, min = 0 }, p = FRACTION,
        weight = FRACTION },
    codel = { target = { type = "duration", max = 3600 }, interval = { type = "duration", max = 3600 } },
}

--- The options of one direction.
impairment.OPTIONS = {
    delay = { type = "duration", max = 3600 },
    jitter = { type = "duration", max = 3600 },
    distribution = { type = "string", choices = { "uniform", "normal", "pareto", "trace" } },
    samples = { type = { "string", "table" } },
    correlation = { type = "fraction" },
    loss = { type = "fraction" },
    burst = { type = "table", of = NESTED.burst },
    rate = { type = "rate", min = 1, max = 1000000000000 },
    trace = { type = "string" },
    queue = { type = { "integer", "size" }, min = 1 },
    discipline = { type = "string", choices = { "fifo", "red", "codel" } },
    red = { type = "table", of = NESTED.red },
    codel = { type = "table", of = NESTED.codel },
    reorder = { type = "fraction" },
    duplicate = { type = "fraction" },
    corrupt = { type = "fraction" },
    mtu = { type = "integer", min = 68, max = 65535 },
}

local PACKETS_MAX, BYTES_MAX = 16 << 20, 16 << 30

-- Which option takes another's place.
local INSTEAD = { rate = "trace", trace = "rate" }

-- An option that only one value of another gives a meaning to: it stands for that value.
local MEANS = { samples = { "distribution", "trace" }, red = { "discipline", "red" }, codel = { "discipline", "codel" } }

local function check_meaning(checked, where, level)
    for name, meaning in pairs(MEANS) do
        local option, value = meaning[1], meaning[2]
        if checked[name] and checked[option] and checked[option] ~= value then
            error(("%s: %s: it is for %s=%q, not %q"):format(where, name, option, value, checked[option]), level + 1)
        end
    end
end

--- Reads the option queue of a checked table, which was `given`: packets as a number, or bytes with a unit. Raises, at `level`,
--- when it is too long.
function impairment.read_queue(checked, given, where, level)
    if not checked.queue then return end
    checked.queue_is_bytes = type(given) == "string" and not tonumber(given)
    local max = checked.queue_is_bytes and BYTES_MAX or PACKETS_MAX
    if checked.queue > max then
        error(("%s: queue: must be at most %s, got %s"):format(where, checked.queue_is_bytes and "16G" or max .. " packets",
            given), level + 1)
    end
end

local function read_nested(checked, where, level)
    for name, spec in pairs(NESTED) do
        if checked[name] then checked[name] = options.check(checked[name], spec, where .. ": " .. name, level + 1) end
    end
    local burst = checked.burst
    if burst then
        burst.r, burst.h, burst.k = burst.r or 1 - burst.p, burst.h or 0, burst.k or 1
    end
end

local function durations(list, where, level)
    local numbers = {}
    for i, value in ipairs(list) do
        local seconds, problem = traces.signed_duration(value)
        if not seconds then error(("%s: samples[%d]: %s"):format(where, i, problem), level + 1) end
        numbers[i] = seconds
    end
    if #numbers == 0 then error(where .. ": samples: there are none", level + 1) end
    return numbers
end

local function series(numbers, where, level)
    local ok, made = pcall(core.series, numbers)
    if not ok then error(("%s: %s"):format(where, made), level + 1) end
    return made
end

-- The numbers behind trace= and samples=.
local function read_series(checked, where, level)
    local made = {}
    if checked.trace then
        local times, why = traces.mahimahi(checked.trace)
        if not times then error(("%s: trace: %s"):format(where, why), level + 1) end
        made.trace = series(times, where .. ": trace", level + 1)
    end
    if type(checked.samples) == "string" then
        local numbers, why = traces.durations(checked.samples)
        if not numbers then error(("%s: samples: %s"):format(where, why), level + 1) end
        made.samples = series(numbers, where .. ": samples", level + 1)
    elseif checked.samples then
        made.samples = series(durations(checked.samples, where, level + 1), where .. ": samples", level + 1)
        checked.samples = #checked.samples
    end
    return made
end

-- The options that are false are to be as if they had never been given.
local function split(opts)
    if type(opts) ~= "table" then return opts, {} end
    local given, reset = {}, {}
    for name, value in pairs(opts) do
        if value == false and impairment.OPTIONS[name] then reset[name] = true else given[name] = value end
    end
    return given, reset
end

--- Reads a table of options.
-- @param opts   the script's table, or nil
-- @param spec   impairment.OPTIONS, or these and others
-- @param where, level  as for options.check
-- @return a change for impairment.merge, and the checked table
function impairment.read(opts, spec, where, level)
    local given, reset = split(opts)
    local checked = options.check(given, spec, where, level + 1)
    impairment.read_queue(checked, given and given.queue, where, level + 1)
    check_meaning(checked, where, level + 1)
    read_nested(checked, where, level + 1)
    return { values = checked, series = read_series(checked, where, level + 1), reset = reset }, checked
end

--- A perfect cable.
function impairment.new() return { values = {}, series = {} } end

function impairment.copy(from)
    local to = impairment.new()
    for _, part in ipairs { "values", "series" } do
        for name, value in pairs(from[part]) do to[part][name] = value end
    end
    return to
end

local function clear(config, name)
    config.values[name], config.series[name] = nil, nil
end

--- Changes a configuration.
function impairment.merge(config, change)
    for name in pairs(change.reset) do clear(config, name) end
    for name in pairs(impairment.OPTIONS) do
        local value = change.values[name]
        if value ~= nil then
            local other = INSTEAD[name]
            if other and change.values[other] == nil then clear(config, other) end
            config.values[name], config.series[name] = value, change.series[name]
        end
    end
    if change.values.queue then config.values.queue_is_bytes = change.values.queue_is_bytes end
end

--- As the fabric takes it: see core.link_add.
function impairment.core(config)
    local v = config.values
    local c = {
        delay = v.delay, jitter = v.jitter, distribution = v.distribution, correlation = v.correlation, loss = v.loss,
        rate = v.rate, discipline = v.discipline, reorder = v.reorder, duplicate = v.duplicate, corrupt = v.corrupt,
        mtu = v.mtu, trace = config.series.trace, samples = config.series.samples,
        queue_packets = v.queue_is_bytes and 0 or v.queue, queue_bytes = v.queue_is_bytes and v.queue or 0,
    }
    for name in pairs(NESTED) do
        for key, value in pairs(v[name] or {}) do c[name .. "_" .. key] = value end
    end
    for name, meaning in pairs(MEANS) do
        if v[name] and not v[meaning[1]] then c[meaning[1]] = meaning[2] end
    end
    return c
end

--- What is impossible about a configuration, or nil.
function impairment.problem(config)
    local problem = core.link_check(impairment.core(config))
    local option = problem and problem:match("^%a+")
    local value = option and config.values[option]
    if value == nil then return problem end
    return ("%s (%s = %s)"):format(problem, option, inspect(value, { depth = 1, width = 100 }))
end

return impairment
