-- SPDX-License-Identifier: MIT
-- Measurements that are repeated until their mean is known well enough: repeat_until.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local stats = require "qemunet.stats"
local tasks = require "qemunet.tasks"

local repetition = {}

local OPTIONS = options.register({
    metric = { type = "function", required = true },
    ci = { type = "fraction" },
    within = { type = { "number", "duration" }, min = 0 },
    max = { type = "integer", default = 50, min = 2, max = 1000000 },
    min = { type = "integer", min = 2 },
    confidence = { type = "fraction", default = 0.95 },
    name = { type = "string", default = "metric" },
}, "repeat_until")

local DEFAULT_CI, DEFAULT_MIN = 0.05, 5

local function check(opts, level)
    local checked = options.check(opts, OPTIONS, "repeat_until", level + 1)
    local function misuse(text) error("repeat_until: " .. text, level + 2) end
    if checked.ci and checked.within then misuse("give ci= (of the mean) or within= (in the metric's unit), not both") end
    if not checked.ci and not checked.within then checked.ci = DEFAULT_CI end
    if checked.confidence <= 0 or checked.confidence >= 1 then misuse("confidence must lie between 0 and 1") end
    if checked.min and checked.min > checked.max then
        misuse(("min (%d) is more than max (%d)"):format(checked.min, checked.max))
    end
    checked.min = checked.min or math.min(DEFAULT_MIN, checked.max)
    return checked
end

-- What the metric gave in repetition n; what is no finite number has no place in a mean.
local function measure(opts, n)
    local value, why = opts.metric(n)
    if type(value) == "number" and value - value == 0 then return value end
    errors.raise(("repeat_until: %s gave %s in repetition %d%s: want a finite number"):format(opts.name,
        inspect(value, { depth = 0, string = 60 }), n, type(why) == "string" and " (" .. why .. ")" or ""))
end

local function summary(opts, values)
    local self = { name = opts.name, n = #values, values = values, mean = stats.mean(values), confidence = opts.confidence,
        converged = false }
    if #values < 2 then return self end
    self.stdev = stats.stdev(values)
    self.lo, self.hi = stats.ci(values, opts.confidence)
    self.half_width = (self.hi - self.lo) / 2
    local wanted = opts.within or opts.ci * math.abs(self.mean)
    self.converged = #values >= opts.min and self.half_width <= wanted
    return self
end

local function progress(opts, result)
    local spread = result and result.half_width and (", mean %.4g -/+ %.2g"):format(result.mean, result.half_width) or ""
    return ("%s: repetition %d of %d at most%s"):format(opts.name, (result and result.n or 0) + 1, opts.max, spread)
end

local function measure_once(opts, values, result)
    local shown <close> = tasks.show_main(progress(opts, result))
    values[#values + 1] = measure(opts, #values + 1)
    result = summary(opts, values)
    core.event { t = core.now(), kind = "repetition", name = opts.name, n = #values, value = values[#values],
        mean = result.mean, half_width = result.half_width }
    return result
end

--- repeat_until{ metric=fn, ... } -> table: repeats a measurement until its mean is known well enough.
-- It stops after the first repetition, from `min` on, whose interval by Student's t (see stats.ci) has a
-- half-width of at most `ci` of the mean: the sequential procedure for a relative error of Law & Kelton, "Simulation
-- Modeling and Analysis", 3rd ed., 9.4.1, who then bound the error relative to the true mean by ci / (1 - ci). The
-- repetitions must be independent of each other. Stopping early makes the interval a little too confident; a higher
-- `min` helps (Law & Kelton advise 10). Each value is an event "repetition" of the run.
-- @option metric      function(n) -> number, for n = 1, 2, ...; it may wait. In any unit
-- @option ci          half-width as a part of the mean (fraction or "5%"; default 5%)
-- @option within      instead: half-width in the metric's unit (a number, or a duration such as "2ms" of a metric in
--   seconds)
-- @option max         at most so many repetitions
-- @option min         at least so many (default 5, or max if that is less)
-- @option confidence  of the interval
-- @option name        what events and progress call it
-- @return  { n, values, mean, lo, hi, half_width, stdev, confidence, name, converged = whether it was narrow enough in
--   the end }
-- @error   what metric raises; and when it gives nil, false (its second value says why) or something else than a
--   finite number
-- @example
--   local values = { 9.9, 10.1, 10, 10.2, 9.8, 10 }
--   local result = repeat_until { metric = function(n) return values[n] end, ci = "2%", max = 6 }
--   check.equal({ result.n, result.converged }, { 5, true })
function repetition.repeat_until(opts)
    local checked = check(opts, 2)
    local values, result = {}, nil
    repeat result = measure_once(checked, values, result) until result.converged or #values >= checked.max
    if not result.converged then
        local words = "repeat_until: after %d repetitions, %s is %.4g -/+ %.2g (%g %% confidence), wider than asked for"
        core.log(0, words:format(result.n, checked.name, result.mean, result.half_width, 100 * checked.confidence))
    end
    return result
end

return repetition
