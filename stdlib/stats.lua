-- SPDX-License-Identifier: MIT
-- Descriptive statistics of a list of numbers, for experiments that repeat a measurement: location, spread, quantiles,
-- confidence intervals of the mean and, by the bootstrap, of anything else, the empirical distribution and a histogram.

local class = require "qemunet.class"
local core = require "qemunet.core"
local distributions = require "qemunet.distributions"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local units = require "qemunet.units"

local stats = {}

-- Level, in each private function that raises: 1 is the line that called the public function.
local function misuse(who, text, level)
    error("stats." .. who .. ": " .. text, level + 2)
end

local function element_problem(v, finite)
    if type(v) ~= "number" then return inspect(v, { depth = 0, string = 60 }) .. ", not a number" end
    if v ~= v then return "nan" end
    if finite and v - v ~= 0 then return tostring(v) end
end

-- Raises unless t is a list of at least `least` numbers (none nan; with finite, none infinite either).
local function expect_list(who, t, least, finite, level)
    if type(t) ~= "table" or class.of(t) then
        local instead = class.has(t, "values") and "; :values() gives its list" or ""
        misuse(who, "want a list of numbers, got " .. inspect(t, { string = 60 }) .. instead, level + 1)
    end
    for i = 1, #t do
        local problem = element_problem(t[i], finite)
        if problem then misuse(who, string.format("element %d is %s", i, problem), level + 1) end
    end
    if #t == 0 then misuse(who, "the list is empty", level + 1) end
    if #t < least then misuse(who, string.format("needs at least %d values, got %d", least, #t), level + 1) end
end

local function sorted(t)
    local copy = table.move(t, 1, #t, 1, {})
    table.sort(copy)
    return copy
end

-- Compensated summation of f(x) over t (Neumaier, ZAMM 54, 1974).
local function sum(t, f)
    local total, lost = 0.0, 0.0
    for i = 1, #t do
        local x = f and f(t[i]) or t[i]
        local new = total + x
        if math.abs(total) >= math.abs(x) then
            lost = lost + ((total - new) + x)
        else
            lost = lost + ((x - new) + total)
        end
        total = new
    end
    return total - total == 0 and total + lost or total -- what is too large for a number is infinite
end

local function mean_of(t) return sum(t) / #t end

-- Two passes, the second corrected for the rounding of the mean (Chan, Golub & LeVeque, Am. Stat. 37(3), 1983).
local function stdev_of(t)
    local m, n = mean_of(t), #t
    local squares = sum(t, function(x) return (x - m) * (x - m) end)
    local drift = sum(t, function(x) return x - m end)
    return math.sqrt(math.max(0.0, squares - drift * drift / n) / (n - 1))
end

local function quantile_of(ordered, q)
    local h = (#ordered - 1) * q + 1
    local i = math.floor(h)
    local a, b = ordered[i], ordered[math.min(i + 1, #ordered)]
    if a == b or h == i then return a end
    if b - a == math.huge then return (i + 1 - h) * a + (h - i) * b end
    return a + (h - i) * (b - a)
end

local function confidence_of(v, who, level)
    local c = v == nil and 0.95 or units.fraction(v, "stats." .. who, level + 1)
    if c <= 0 or c >= 1 then misuse(who, "confidence must lie between 0 and 1", level) end
    return c
end

local function interval(t, confidence)
    local m = mean_of(t)
    local half = distributions.t_upper((1 - confidence) / 2, #t - 1) * stdev_of(t) / math.sqrt(#t)
    return m - half, m + half
end

-- The functions below take t, a list of numbers (in any unit; results are in the same), and leave it as it is. They
-- raise for something else, an empty list, an element that is no number (named by its index) and nan. Infinite elements
-- are refused except by median, quantile and ecdf, where order is all that matters.

--- stats.sum(t) -> number: the sum, with the rounding errors compensated (Neumaier, ZAMM 54, 1974).
-- @param t  a list of numbers
-- @example
--   check.equal(stats.sum { 1, 1e100, 1, -1e100 }, 2)
function stats.sum(t)
    expect_list("sum", t, 1, true, 1)
    return sum(t)
end

--- stats.min(t) -> number: the least value.
-- @param t  a list of numbers
-- @example
--   check.equal(stats.min { 3, 1, 2 }, 1)
function stats.min(t)
    expect_list("min", t, 1, false, 1)
    local least = math.huge
    for _, x in ipairs(t) do least = math.min(least, x) end
    return least
end

--- stats.max(t) -> number: the greatest value.
-- @param t  a list of numbers
-- @example
--   check.equal(stats.max { 3, 1, 2 }, 3)
function stats.max(t)
    expect_list("max", t, 1, false, 1)
    local greatest = -math.huge
    for _, x in ipairs(t) do greatest = math.max(greatest, x) end
    return greatest
end

--- stats.mean(t) -> number: the arithmetic mean.
-- @param t  a list of numbers
-- @example
--   check.equal(stats.mean { 1, 2, 6 }, 3)
function stats.mean(t)
    expect_list("mean", t, 1, true, 1)
    return mean_of(t)
end

--- stats.median(t) -> number: the middle value, or the mean of the two middle ones; stats.quantile(t, 0.5).
-- @param t  a list of numbers
-- @example
--   check.equal(stats.median { 1, 2, 10, 11 }, 6)
function stats.median(t)
    expect_list("median", t, 1, false, 1)
    return quantile_of(sorted(t), 0.5)
end

--- stats.quantile(t, q) -> number: the value below which the fraction q lies.
-- It is linear between neighbours at h = (n - 1) q + 1: type 7 of Hyndman & Fan, "Sample Quantiles in Statistical Packages",
-- Am. Stat. 50(4), 1996 (the default of R and NumPy).
-- @param t  a list of numbers
-- @param q  0 to 1, or "95%"
-- @example
--   check.equal(stats.quantile({ 1, 2, 3, 4, 5 }, "25%"), 2)
function stats.quantile(t, q)
    expect_list("quantile", t, 1, false, 1)
    return quantile_of(sorted(t), (units.fraction(q, "stats.quantile", 2)))
end

--- stats.stdev(t) -> number: the sample standard deviation, with n - 1.
-- @param t  a list of numbers, two at least
-- @example
--   check.near(stats.stdev { 2, 4, 4, 4, 5, 5, 7, 9 }, 2.138, 0.001)
function stats.stdev(t)
    expect_list("stdev", t, 2, true, 1)
    return stdev_of(t)
end

--- stats.variance(t) -> number: the sample variance, with n - 1; the square of stats.stdev.
-- @param t  a list of numbers, two at least
-- @example
--   check.near(stats.variance { 1, 2, 3, 4, 5 }, 2.5, 1e-9)
function stats.variance(t)
    expect_list("variance", t, 2, true, 1)
    return stdev_of(t) ^ 2
end

--- stats.ci(t, confidence) -> lo, hi: the two-sided confidence interval of the mean, by Student's t.
-- It is mean -/+ t_{(1+c)/2, n-1} s / sqrt(n) (NIST/SEMATECH e-Handbook 1.3.5.2). It supposes independent values, about normal or
-- many.
-- @param t           a list of numbers, two at least
-- @param confidence  above 0 and below 1, or "99%" (default 0.95)
-- @example
--   local lo, hi = stats.ci({ 10, 11, 12, 13 }, "99%")
--   check.less(lo, 11.5) check.less(11.5, hi)
function stats.ci(t, confidence)
    expect_list("ci", t, 2, true, 1)
    return interval(t, (confidence_of(confidence, "ci", 2)))
end

--- stats.ci95(t) -> lo, hi: stats.ci(t, 0.95).
-- @param t  a list of numbers, two at least
-- @example
--   local lo, hi = stats.ci95 { 10, 11, 12, 13 }
--   check.near((lo + hi) / 2, 11.5, 1e-9)
function stats.ci95(t)
    expect_list("ci95", t, 2, true, 1)
    return interval(t, 0.95)
end

-- The square of the mean's standard error.
local function error_squared(t) return stdev_of(t) ^ 2 / #t end

--- stats.welch(a, b, confidence) -> difference, lo, hi, p: the mean of b less that of a, and its confidence interval.
-- It supposes two lists of independent values, about normal or many, whose variances may differ (Welch, "The generalization of
-- 'Student's' problem when several different population variances are involved", Biometrika 34, 1947).
-- @param a           a list of numbers, two at least
-- @param b           another
-- @param confidence  above 0 and below 1, or "99%" (default 0.95)
-- @return  the difference, the interval's ends, and how likely a difference at least as large is where the means are the same
-- @error   raises where the values of each list are all the same: they tell nothing of how far off the means may be
-- @example
--   local difference, lo, hi, p = stats.welch({ 1, 2, 3 }, { 4, 5, 6 })
--   check.equal(difference, 3)
--   check.near(lo, 0.733, 0.001) check.near(hi, 5.267, 0.001) check.near(p, 0.0213, 0.0001)
function stats.welch(a, b, confidence)
    expect_list("welch", a, 2, true, 1)
    expect_list("welch", b, 2, true, 1)
    local c = confidence_of(confidence, "welch", 2)
    local of_a, of_b, difference = error_squared(a), error_squared(b), mean_of(b) - mean_of(a)
    local both = of_a + of_b
    if both == 0 then misuse("welch", "the values of each list are all the same", 1) end
    -- Welch and Satterthwaite's degrees of freedom, of shares, which cannot overflow.
    local df = 1 / ((of_a / both) ^ 2 / (#a - 1) + (of_b / both) ^ 2 / (#b - 1))
    local half = distributions.t_upper((1 - c) / 2, df) * math.sqrt(both)
    return difference, difference - half, difference + half, distributions.t_both(difference / math.sqrt(both), df)
end

-- The bootstrap ------------------------------------------------------------------------------------------------------

-- The number of its generator: what it draws follows from the run's seed and the values alone; see core.generator.
local BOOTSTRAP = 1 << 62 | 0xb0 << 48

local GROUPS = 1000 -- of the jackknife, at most: with one for each value its time grows with the square of their number

local function statistic(fn, list)
    local value = fn(list)
    if element_problem(value, true) then
        misuse("bootstrap", "fn gave " .. element_problem(value, true), 3)
    end
    return value
end

-- fn of so many lists drawn from t with replacement.
local function resample(t, fn, samples)
    local generator, n, values = core.generator(BOOTSTRAP), #t, {}
    for i = 1, samples do
        local list = {}
        for j = 1, n do list[j] = t[math.floor(generator:unit() * n) + 1] end
        values[i] = statistic(fn, list)
    end
    return values
end

-- The acceleration: a sixth of the skewness of the jackknife's values (Efron, JASA 82, 1987, eq. 6.6). Groups of values are
-- left out where there are many.
local function acceleration(t, fn)
    local groups, values = math.min(#t, GROUPS), {}
    for i = 1, groups do
        local rest = {}
        for j = 1, #t do
            if j % groups + 1 ~= i then rest[#rest + 1] = t[j] end
        end
        values[i] = statistic(fn, rest)
    end
    local m = mean_of(values)
    local squares = sum(values, function(x) return (m - x) ^ 2 end)
    if squares == 0 then return 0 end
    return sum(values, function(x) return (m - x) ^ 3 end) / (6 * squares ^ 1.5)
end

-- The bias: the normal quantile of the fraction of resampled values below the estimate, those equal to it half.
local function bias(values, estimate)
    local below = 0
    for _, v in ipairs(values) do
        if v < estimate then below = below + 1 elseif v == estimate then below = below + 0.5 end
    end
    local least = 0.5 / #values
    return distributions.normal_quantile(math.max(least, math.min(1 - least, below / #values)))
end

local METHODS = {}

function METHODS.percentile(_, _, _, p) return p end

-- Which quantile of the resampled values stands for p (Efron, JASA 82, 1987, eq. 2.3).
function METHODS.bca(t, fn, values, p)
    local z0, a = bias(values, fn(t)), acceleration(t, fn)
    local function adjusted(q)
        local z = z0 + distributions.normal_quantile(q)
        return distributions.normal_cdf(z0 + z / (1 - a * z))
    end
    return adjusted(p), adjusted(1 - p)
end

local BOOTSTRAP_OPTIONS = options.register({
    confidence = { type = "fraction" }, samples = { type = "integer", default = 2000, min = 2, max = 1000000 },
    method = { type = "string", default = "bca", choices = { "bca", "percentile" } },
}, "stats.bootstrap")

--- stats.bootstrap(t, fn, opts) -> lo, hi, standard error: a confidence interval of any statistic, by the bootstrap.
-- It computes fn of many lists that are drawn from t with replacement, and so supposes nothing of the distribution, but that
-- t's values are independent and many enough to stand for it (ten or more). What is drawn follows from the run's seed.
-- @param t   a list of values of any kind, two at least: numbers, pairs ...
-- @param fn  function(list) -> number: the statistic; default stats.mean. It must leave the list as it is, and not wait
-- @option confidence  default 0.95
-- @option samples     how many lists are drawn; fewer than 1000 give rough intervals
-- @option method      "bca": bias-corrected and accelerated (Efron, "Better Bootstrap Confidence Intervals", JASA 82,
--   1987); "percentile": the quantiles of the drawn values as they are
-- @return  the ends of the interval, and the standard deviation of the drawn values
-- @error   when t has fewer than two values, and when fn gives something else than a finite number
-- @example
--   local lo, hi = stats.bootstrap({ 12, 15, 11, 19, 14, 40, 13, 16, 12, 15 }, stats.median)
--   check.less(lo, 14.6) check.less(14.4, hi)
function stats.bootstrap(t, fn, opts)
    if type(t) ~= "table" or #t < 2 then misuse("bootstrap", "want a list of two values or more", 1) end
    if fn ~= nil and type(fn) ~= "function" then misuse("bootstrap", "want a function, got " .. inspect(fn), 1) end
    local checked = options.check(opts, BOOTSTRAP_OPTIONS, "stats.bootstrap", 2)
    local c = confidence_of(checked.confidence, "bootstrap", 2)
    fn = fn or stats.mean
    local values = resample(t, fn, checked.samples)
    table.sort(values)
    local p, q = METHODS[checked.method](t, fn, values, (1 - c) / 2)
    return quantile_of(values, p), quantile_of(values, q or 1 - p), stdev_of(values)
end

--- stats.ecdf(t) -> list: the empirical distribution function.
-- @param t  a list of numbers
-- @return  { { x = , p = }, ... } with x rising and distinct; p is the fraction of the values that are <= x
-- @example
--   check.equal(stats.ecdf { 1, 1, 2, 3 }, { { x = 1, p = 0.5 }, { x = 2, p = 0.75 }, { x = 3, p = 1.0 } })
function stats.ecdf(t)
    expect_list("ecdf", t, 1, false, 1)
    local ordered, out = sorted(t), {}
    for i, x in ipairs(ordered) do
        if x ~= ordered[i + 1] then out[#out + 1] = { x = x, p = i / #ordered } end
    end
    return out
end

-- The bounds of a histogram; values that are all the same get a range of 1 around them.
local function bounds(t)
    local lo, hi = math.huge, -math.huge
    for _, x in ipairs(t) do lo, hi = math.min(lo, x), math.max(hi, x) end
    if lo == hi then return lo - 0.5, hi + 0.5 end
    return lo, hi
end

-- The bin of x: the division may round across an edge, and the edges decide.
local function bin_of(x, edges, bins)
    local i = math.floor((x - edges[1]) / (edges[bins + 1] - edges[1]) * bins) + 1
    i = math.max(1, math.min(bins, i))
    if x < edges[i] then return i - 1 end
    if i < bins and x >= edges[i + 1] then return i + 1 end
    return i
end

--- stats.histogram(t, bins) -> table: how many values lie in bins of equal width, from the least value to the greatest.
-- Bin i holds edges[i] <= x < edges[i + 1], the last one x <= hi as well.
-- @param t     a list of numbers
-- @param bins  how many, from 1 (default 10)
-- @return  { lo, hi, counts = list, edges = list of one more }
-- @example
--   check.equal(stats.histogram({ 0, 1, 2, 9, 10 }, 2).counts, { 3, 2 })
function stats.histogram(t, bins)
    expect_list("histogram", t, 1, true, 1)
    bins = bins == nil and 10 or bins
    local n = type(bins) == "number" and math.tointeger(bins)
    if not n or n < 1 then misuse("histogram", "bins must be a whole number from 1, got " .. inspect(bins), 1) end
    local lo, hi = bounds(t)
    local counts, edges = {}, {}
    for i = 1, n do counts[i], edges[i] = 0, lo + (hi - lo) * (i - 1) / n end
    edges[n + 1] = hi
    for _, x in ipairs(t) do
        local i = bin_of(x, edges, n)
        counts[i] = counts[i] + 1
    end
    return { lo = lo, hi = hi, counts = counts, edges = edges }
end

--- stats.t_quantile(p, df) -> number: the p-quantile of Student's t with df degrees of freedom.
-- It is found by bisection of the incomplete beta function (Abramowitz & Stegun 26.7.1).
-- @param p   above 0 and below 1
-- @param df  above 0, not necessarily whole; math.huge is the normal distribution
-- @example
--   check.near(stats.t_quantile(0.975, 10), 2.228, 0.001)
function stats.t_quantile(p, df)
    if type(p) ~= "number" or not (p > 0 and p < 1) then misuse("t_quantile", "p must lie between 0 and 1", 1) end
    if type(df) ~= "number" or not (df > 0) then misuse("t_quantile", "df must be a number above 0", 1) end
    if p < 0.5 then return -distributions.t_upper(p, df) end
    return distributions.t_upper(1 - p, df)
end

return stats
