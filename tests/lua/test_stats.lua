-- SPDX-License-Identifier: MIT
-- Statistics against published values: the univariate datasets of NIST's Statistical Reference Datasets (StRD,
-- https://www.itl.nist.gov/div898/strd/) with their certified means and standard deviations, and tables of Student's t.

local blames = require "blames".exactly
local core = require "qemunet.core"
local stats = require "qemunet.stats"

-- StRD "Mavro" (filter transmittance), in units of 1e-5 above 2.
local MAVRO = [[180 170 180 190 180 170 150 140 150 150 170 180 180 190 190 210 200 160 140 130 130 150 150 160 150
140 130 140 150 140 150 160 150 160 190 200 200 210 220 230 240 250 270 260 260 260 270 260 250 240]]

-- StRD "Michelso" (speed of light), in units of 0.01 above 299.
local MICHELSO = [[85 74 90 107 93 85 95 98 98 88 100 98 93 65 76 81 100 100 96 96 96 94 96 94 88 80 85 88 90 84 83 79
81 88 88 83 80 79 76 80 88 88 88 86 72 72 62 86 97 95 88 91 85 87 84 84 85 84 84 84 89 81 81 82 80 77 76 74 75 76 91
92 89 86 88 72 84 85 85 78 89 84 78 81 76 81 79 81 82 85 87 87 81 74 81 94 95 80 81 87]]

-- StRD "Lew" (beam deflections).
local LEW = [[-213 -564 -35 -15 141 115 -420 -360 203 -338 -431 194 -220 -513 154 -125 -559 92 -21 -579 -52 99 -543
-175 162 -457 -346 204 -300 -474 164 -107 -572 -8 83 -541 -224 180 -420 -374 201 -236 -531 83 27 -564 -112 131 -507
-254 199 -311 -495 143 -46 -579 -90 136 -472 -338 202 -287 -477 169 -124 -568 17 48 -568 -135 162 -430 -422 172 -74
-577 -13 92 -534 -243 194 -355 -465 156 -81 -578 -64 139 -449 -384 193 -198 -538 110 -44 -577 -6 66 -552 -164 161 -460
-344 205 -281 -504 134 -28 -576 -118 156 -437 -381 200 -220 -540 83 11 -568 -160 172 -414 -408 188 -125 -572 -32 139
-492 -321 205 -262 -504 142 -83 -574 0 48 -571 -106 137 -501 -266 190 -391 -406 194 -186 -553 83 -13 -577 -49 103 -515
-280 201 300 -506 131 -45 -578 -80 138 -462 -361 201 -211 -554 32 74 -533 -235 187 -372 -442 182 -147 -566 25 68 -535
-244 194 -351 -463 174 -125 -570 15 72 -550 -190 172 -424 -385 198 -218 -536 96]]

local function numbers(text, scale)
    local t = {}
    for word in text:gmatch("%S+") do t[#t + 1] = scale(tonumber(word)) end
    return t
end

-- StRD "NumAcc2" to "NumAcc4": one middle value, then 500 times low and high.
local function alternating(middle, low, high)
    local t = { middle }
    for i = 2, 1001 do t[i] = i % 2 == 0 and low or high end
    return t
end

-- values, certified mean, certified standard deviation, relative tolerance of the latter. The data of NumAcc3 and
-- NumAcc4 are no binary fractions: their own rounding is what limits the digits, not the computation.
local CERTIFIED = {
    Mavro = {
        numbers(MAVRO, function(n) return (200000 + n) / 100000 end), 2.00185600000000, 0.000429123454003053, 1e-12,
    },
    Michelso = {
        numbers(MICHELSO, function(n) return (29900 + n) / 100 end), 299.852400000000, 0.0790105478190518, 1e-12,
    },
    Lew = { numbers(LEW, function(n) return n end), -177.435000000000, 277.332168044316, 1e-14 },
    NumAcc1 = { { 10000001, 10000003, 10000002 }, 10000002, 1, 0 },
    NumAcc2 = { alternating(1.2, 1.1, 1.3), 1.2, 0.1, 1e-14 },
    NumAcc3 = { alternating(1000000.2, 1000000.1, 1000000.3), 1000000.2, 0.1, 1e-9 },
    NumAcc4 = { alternating(10000000.2, 10000000.1, 10000000.3), 10000000.2, 0.1, 1e-7 },
}

for _, name in ipairs { "Mavro", "Michelso", "Lew", "NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4" } do
    local case = CERTIFIED[name]
    test("certified values of " .. name, function()
        check.near(stats.mean(case[1]), case[2], 1e-15 * math.abs(case[2]))
        check.near(stats.stdev(case[1]), case[3], case[4] * case[3])
    end)
end

test("quantiles of Student's t", function()
    local table_975 = {
        [1] = 12.706, [2] = 4.303, [4] = 2.776, [9] = 2.262, [30] = 2.042, [120] = 1.980, [math.huge] = 1.960,
    }
    for df, t in pairs(table_975) do check.near(stats.t_quantile(0.975, df), t, 0.0005, "df " .. df) end
    check.near(stats.t_quantile(0.995, 4), 4.604, 0.0005)
    check.near(stats.t_quantile(0.9995, 1), 636.619, 0.0005)
    check.near(stats.t_quantile(0.95, 10), 1.812, 0.0005)
    check.near(stats.t_quantile(0.975, math.huge), 1.959963984540054, 1e-14)
    check.equal(stats.t_quantile(0.5, 3), 0)
    check.near(stats.t_quantile(0.025, 9), -stats.t_quantile(0.975, 9), 1e-13)
end)

test("closed forms of t: one and two degrees of freedom", function()
    for _, p in ipairs { 0.6, 0.9, 0.975, 0.9999 } do
        check.near(stats.t_quantile(p, 1), math.tan(math.pi * (p - 0.5)), "0.0000001%")
        check.near(stats.t_quantile(p, 2), (2 * p - 1) / math.sqrt(2 * p * (1 - p)), "0.0000001%")
    end
end)

test("t approaches the normal distribution without a step", function()
    check.near(stats.t_quantile(0.975, 0.999e7), stats.t_quantile(0.975, 1.001e7), 1e-8)
end)

test("confidence intervals", function()
    local lo, hi = stats.ci95 { 1, 2, 3, 4, 5 }
    check.near(lo, 1.0367568385, 1e-9) -- 3 -/+ 2.7764451052 * sqrt(2.5 / 5)
    check.near(hi, 4.9632431615, 1e-9)
    local lo99, hi99 = stats.ci({ 1, 2, 3, 4, 5 }, "99%")
    check.near(hi99 - lo99, 2 * 4.604 * math.sqrt(0.5), 0.001)
    check.equal({ stats.ci { 1, 2, 3, 4, 5 } }, { lo, hi })
    check.equal({ stats.ci95 { 7, 7, 7 } }, { 7, 7 })
end)

test("Welch's interval of a difference", function()
    -- Variances of the means 1/3 and 1/3: 4 degrees of freedom, and t of NIST's table is 2.776.
    local difference, lo, hi, p = stats.welch({ 1, 2, 3 }, { 4, 5, 6 })
    check.equal(difference, 3)
    check.near(lo, 3 - 2.776445 * math.sqrt(2 / 3), 1e-6)
    check.near(hi, 3 + 2.776445 * math.sqrt(2 / 3), 1e-6)
    -- With 4 degrees of freedom there is a closed form: of t = sqrt(13.5), x = t^2 / (t^2 + 4).
    local x = 13.5 / 17.5
    check.near(p, 1 - math.sqrt(x) * (3 - x) / 2, 1e-12)
    -- Variances of the means 1/2 and 4/3: (11/6)^2 / (1/16 + 8/9) degrees of freedom, about 3.53.
    difference, lo, hi = stats.welch({ 1, 2, 3, 4, 5 }, { 2, 4, 6 }, "90%")
    check.equal(difference, 1)
    check.near((hi - lo) / 2 / math.sqrt(11 / 6), 2.23, 0.02) -- t of 3 and 4: 2.353 and 2.132
    check.equal({ stats.welch({ 1, 1 }, { 2, 2, 2.5 }) }, { stats.welch({ 1, 1 }, { 2, 2.5, 2 }) })
    blames(function() stats.welch({ 1, 1 }, { 2, 2 }) end, "stats.welch: the values of each list are all the same")
    blames(function() stats.welch({ 1, 1 }, { 2 }) end, "stats.welch: needs at least 2 values, got 1")
end)

test("sum, least, greatest, variance", function()
    local t = { 3, 1, 1e100, 2, -1e100 }
    check.equal({ stats.sum(t), stats.min(t), stats.max(t) }, { 6, -1e100, 1e100 })
    check.equal({ stats.sum { 1e308, 1e308 }, stats.sum { -1e308, -1e308 } }, { math.huge, -math.huge })
    check.near(stats.variance(CERTIFIED.Lew[1]), 277.332168044316 ^ 2, "0.0000000001%")
    check.equal({ stats.min { math.huge, 1 }, stats.max { 1, math.huge } }, { 1, math.huge })
end)

-- Fifteen law schools: average score of the LSAT and grade point average, of a sample of 82. Efron & Tibshirani, "An
-- Introduction to the Bootstrap", 1993, table 3.1.
local LAW = { { 576, 3.39 }, { 635, 3.30 }, { 558, 2.81 }, { 578, 3.03 }, { 666, 3.44 }, { 580, 3.07 }, { 555, 3.00 },
    { 661, 3.43 }, { 651, 3.36 }, { 605, 3.13 }, { 653, 3.12 }, { 575, 2.74 }, { 545, 2.76 }, { 572, 2.88 }, { 594, 2.96 } }

local function column(list, i)
    local values = {}
    for j, row in ipairs(list) do values[j] = row[i] end
    return values
end

local function correlation(list)
    local x, y = column(list, 1), column(list, 2)
    local mx, my, xx, yy, xy = stats.mean(x), stats.mean(y), 0, 0, 0
    for i = 1, #list do
        xx, yy, xy = xx + (x[i] - mx) ^ 2, yy + (y[i] - my) ^ 2, xy + (x[i] - mx) * (y[i] - my)
    end
    return xy / math.sqrt(xx * yy)
end

-- How A of 26 neurologically impaired children did in a test of spatial perception: ibid., table 14.1.
local SPATIAL = { 48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41 }

local function variance_n(list) return stats.variance(list) * (#list - 1) / #list end

test("bootstrap: the law schools' correlation", function()
    core.set_seed(1)
    check.near(correlation(LAW), 0.776, 0.0005)
    local _, _, se = stats.bootstrap(LAW, correlation, { samples = 800 })
    check.near(se, 0.132, 0.012, "ibid., table 6.1: 0.132 of 3200 samples, 0.137 of 800;")
end)

test("bootstrap: the intervals of a variance, 90 %", function()
    core.set_seed(1)
    check.near(variance_n(SPATIAL), 171.5, 0.05)
    local opts = { confidence = "90%", samples = 2000, method = "percentile" }
    local lo, hi = stats.bootstrap(SPATIAL, variance_n, opts)
    check.near(lo, 100.8, 5, "ibid., table 14.2, lower end by percentiles")
    check.near(hi, 233.9, 7, "and the upper")
    opts.method = nil
    lo, hi = stats.bootstrap(SPATIAL, variance_n, opts)
    check.near(lo, 115.8, 6, "the lower end by BCa")
    check.near(hi, 259.6, 10, "and the upper")
end)

test("bootstrap repeats with the seed, and bears constant values and long lists", function()
    local function interval() return { stats.bootstrap({ 1, 5, 2, 8, 3 }, nil, { samples = 50 }) } end
    core.set_seed(1)
    local one = interval()
    check.equal(interval(), one)
    core.set_seed(2)
    check.not_equal(interval(), one)
    check.equal({ stats.bootstrap({ 4, 4, 4 }, stats.median, { samples = 10 }) }, { 4, 4, 0 })
    local long = {}
    for i = 1, 3000 do long[i] = i % 10 end
    local lo, hi = stats.bootstrap(long, function(list) return list[1] + list[#list] end, { samples = 10 })
    check.is_true(lo <= hi)
end)

test("repeat_until stops when the interval is narrow enough", function()
    -- 99 and 101 in turn: of six, s = sqrt(6 / 5) and the half-width 2.571 s / sqrt(6) = 1.15; of seven, it is 0.989.
    local function alternate(n) return n % 2 == 0 and 101 or 99 end
    local result = repeat_until { metric = alternate, ci = "1%", name = "alternate" }
    check.equal({ result.n, result.converged, result.name }, { 7, true, "alternate" })
    check.near(result.half_width, 2.4469 * math.sqrt(48 / 42) / math.sqrt(7), 1e-4)
    check.equal({ result.lo, result.hi }, { stats.ci(result.values) })
    check.near(result.stdev, math.sqrt(48 / 42), 1e-12)
    local absolute = repeat_until { metric = alternate, within = 1 }
    check.equal({ absolute.n, absolute.half_width }, { 7, result.half_width })
    check.equal(repeat_until({ metric = function() return 0 end, min = 3 }).n, 3)
    check.equal(repeat_until({ metric = function() return 7 end }).n, 5)
    check.less(repeat_until({ metric = alternate, ci = "1%", confidence = "50%" }).n, 7)
end)

test("repeat_until ends at max; the metric may wait", function()
    local calls = {}
    local result = repeat_until { max = 3, ci = 0.0001, metric = function(n)
        sleep(0.001)
        calls[n] = true
        return n
    end }
    check.equal({ result.n, result.converged, #calls, result.mean }, { 3, false, 3, 2 })
end)

test("what a metric may not give; misuse", function()
    local given = { 1, 2 }
    check.raises(function()
        repeat_until { name = "delay", metric = function(n) return given[n], "the link is down" end }
    end, "^.*test_stats.lua:%d+: repeat_until: delay gave nil in repetition 3 %(the link is down%): want a finite number$")
    check.raises(function() repeat_until { metric = function() return 0 / 0 end } end, "metric gave nan in repetition 1: ")
    check.raises(function() repeat_until { metric = function() error("no route", 0) end } end, "^no route$")
    local function seven() return 7 end
    local function misused(opts, text)
        blames(function()
            local result = repeat_until(opts)
            return result
        end, "repeat_until: " .. text)
    end
    misused({ metric = seven, ci = 0.1, within = 1 }, "give ci= (of the mean) or within= (in the metric's unit), not both")
    misused({ metric = seven, min = 5, max = 4 }, "min (5) is more than max (4)")
    misused({ metric = seven, confidence = 1 }, "confidence must lie between 0 and 1")
    misused({}, 'option "metric" is missing')
    misused({ metric = seven, maximum = 3 },
        'unknown option "maximum"; did you mean "max"?')
    misused({ metric = seven, largest = 3 },
        'unknown option "largest" (known: ci, confidence, max, metric, min, name, within)')
end)

test("median and quantiles of type 7", function()
    check.equal(stats.median { 3, 1, 2 }, 2)
    check.equal(stats.median { 4, 1, 3, 2 }, 2.5)
    check.equal(stats.median { 7 }, 7)
    local ten = { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 }
    check.equal(stats.quantile(ten, 0.25), 3.25)
    check.near(stats.quantile(ten, "95%"), 9.55, 1e-12)
    check.equal(stats.quantile(ten, 0), 1)
    check.equal(stats.quantile(ten, 1), 10)
    check.equal(stats.quantile({ 1, math.huge, math.huge }, 0.75), math.huge)
    check.equal(stats.quantile({ -math.huge, 1 }, 0.5), -math.huge)
    check.equal(stats.quantile({ -1.7e308, 1.7e308 }, 0.5), 0.0)
    check.equal(ten[1], 10, "the list is left as it was")
end)

-- Hyndman & Fan, "Sample Quantiles in Statistical Packages", Am. Stat. 50(4), 1996, definition 7: p(k) = (k - 1) / (n -
-- 1) is where the k-th value is the quantile.
test("each value is the quantile of its own p(k)", function()
    local values = { 0.8, 1.3, 2.1, 5.5, 8.9, 13.4, 21.7 }
    for i, x in ipairs(values) do check.near(stats.quantile(values, (i - 1) / (#values - 1)), x, 1e-12) end
end)

test("empirical distribution", function()
    check.equal(stats.ecdf { 3, 1, 3, 2 }, { { x = 1, p = 0.25 }, { x = 2, p = 0.5 }, { x = 3, p = 1 } })
end)

test("histogram", function()
    local h = stats.histogram({ 0, 1, 2, 3, 4, 4 }, 4)
    check.equal(h, { lo = 0, hi = 4, counts = { 1, 1, 1, 3 }, edges = { 0, 1, 2, 3, 4 } })
    check.equal(#stats.histogram({ 1, 2 }).counts, 10)
    check.equal(stats.histogram({ 5, 5 }, 2), { lo = 4.5, hi = 5.5, counts = { 0, 2 }, edges = { 4.5, 5, 5.5 } })
end)

test("every value of a histogram is in the bin whose edges hold it", function()
    local values = {}
    for i = 0, 70 do values[i + 1] = i / 10 end
    local h, total = stats.histogram(values, 7), 0
    for i, count in ipairs(h.counts) do
        local held = 0
        for _, x in ipairs(values) do
            if x >= h.edges[i] and (x < h.edges[i + 1] or i == 7 and x <= h.hi) then held = held + 1 end
        end
        check.equal(count, held, "bin " .. i)
        total = total + count
    end
    check.equal(total, #values)
end)

test("misuse raises at the script's line", function()
    local nan = 0 / 0
    blames(function() stats.mean {} end, "stats.mean: the list is empty")
    blames(function() stats.mean(nil) end, "stats.mean: want a list of numbers, got nil")
    blames(function() stats.median { 1, "2", 3 } end, 'stats.median: element 2 is "2", not a number')
    blames(function() stats.quantile({ 1, nan }, 0.5) end, "stats.quantile: element 2 is nan")
    blames(function() stats.quantile({ 1, 2 }, 95) end,
        'stats.quantile: bad fraction 95 (want 0 to 1 or "0%" to "100%")')
    blames(function() stats.stdev { 1 } end, "stats.stdev: needs at least 2 values, got 1")
    blames(function() stats.stdev { 1, math.huge } end, "stats.stdev: element 2 is inf")
    blames(function() stats.ci95 { 1 } end, "stats.ci95: needs at least 2 values, got 1")
    blames(function() stats.ci({ 1, 2 }, 1) end, "stats.ci: confidence must lie between 0 and 1")
    blames(function() stats.ci({ 1, 2 }, "x") end, 'stats.ci: bad fraction "x" (want 0 to 1 or "0%" to "100%")')
    blames(function() stats.ecdf { {} } end, "stats.ecdf: element 1 is {}, not a number")
    blames(function() stats.bootstrap { 1 } end, "stats.bootstrap: want a list of two values or more")
    blames(function() stats.bootstrap({ 1, 2 }, 3) end, "stats.bootstrap: want a function, got 3")
    blames(function() stats.bootstrap({ 1, 2 }, function() return nan end) end, "stats.bootstrap: fn gave nan")
    blames(function() stats.bootstrap({ 1, 2 }, nil, { confidence = 0 }) end,
        "stats.bootstrap: confidence must lie between 0 and 1")
    blames(function() stats.bootstrap({ 1, 2 }, nil, { method = "BC" }) end,
        'stats.bootstrap: method: bad value "BC" (want "bca" or "percentile"); did you mean "bca"?')
    blames(function() stats.histogram({ 1 }, 0) end, "stats.histogram: bins must be a whole number from 1, got 0")
    blames(function() stats.t_quantile(1, 3) end, "stats.t_quantile: p must lie between 0 and 1")
    blames(function() stats.t_quantile(0.5, 0) end, "stats.t_quantile: df must be a number above 0")
end)
