-- SPDX-License-Identifier: MIT
-- What a script measures and writes down: series, probe, csv, rng; record's and mark's files are looked at in suite vm.

local blames = require "blames".matching

local function lines_of(path)
    local list = {}
    for line in io.lines(path) do list[#list + 1] = line end
    return list
end

-- The run's folder, by way of a file in it.
local function run_folder() return (csv.write("here.csv", {}):gsub("here%.csv$", "")) end

test("series: values with their times, also in series.csv", function()
    local s = series("rtt", "ms")
    check.equal({ s:last() }, {})
    s:add(20, 1):add(21.5, 2):add(-3, "2500ms")
    check.equal(s:values(), { 20, 21.5, -3 })
    check.equal(s:values(2), { 21.5, -3 })
    check.equal(s:values(nil, "2s"), { 20, 21.5 })
    check.equal({ s:last() }, { -3, 2.5 })
    check.equal(#s, 3)
    check.is_true(rawequal(series("rtt"), s))
    check.match(tostring(s), "^series rtt: 3 values in ms$")
    series('odd, "name"'):add(1, 0)
    local lines = lines_of(run_folder() .. "series.csv")
    check.equal(lines, { "t,series,unit,value", "1.000000,rtt,ms,20", "2.000000,rtt,ms,21.5", "2.500000,rtt,ms,-3",
        '0.000000,"odd, ""name""",,1' })
end)

test("series: of more values than are kept, the newest and the summary are right", function()
    local all <const> = require "qemunet.record.series"
    local kept = all.KEPT
    local restore <close> = setmetatable({}, { __close = function() all.KEPT = kept end })
    all.KEPT = 2
    local s = series("many")
    for i, v in ipairs { 4, 1, -1, 8 } do s:add(v, i) end
    check.equal({ s:values(), #s, { s:last() } }, { { 4, 1 }, 4, { 8, 4 } })
    check.equal(all.summary().many, { unit = "", count = 4, last = 8, mean = 3.0, min = -1, max = 8 })
end)

test("series: misuse", function()
    blames(function() series() end, "^series: want a name$")
    blames(function() series("a\0b") end, "^series: want a name$")
    blames(function() series("rtt", "s") end, '^series: "rtt" is in "ms" already, not in "s"$')
    blames(function() series("rtt"):add("x") end, '^series "rtt": want a number, not "x"$')
    blames(function() stats.mean(series("rtt")) end, ":values%(%) gives its list$")
    blames(function() series("rtt"):add(0 / 0) end, "want a number, not %-?nan$")
    blames(function() series("rtt").add(1) end, "add: call it with a colon, on a series")
    blames(function() return series("rtt").vlaues end, 'did you mean "values"')
end)

test("probe: at once, then each period; nil is none", function()
    local n = 0
    local p = probe("count", "1ms", function()
        n = n + 1
        return n % 2 == 1 and n < 6 and n or nil
    end, { unit = "calls" })
    eventually(10, function() return #p.series >= 3 end)
    p:cancel()
    check.equal(p.series:values(), { 1, 3, 5 })
    check.equal(p.series.unit, "calls")
    blames(function() probe("x", "1ms") end, "^probe: want a function, not nil$")
    blames(function() probe("x", 0, print) end, "^probe: the duration must be over 0$")
    blames(function() probe("x", 1, print, { unti = "s" }) end, 'unknown option "unti"; did you mean "unit"') -- no check
end)

test("csv: arrays, records, quotes", function()
    check.equal(csv.encode {}, "")
    check.equal(csv.encode { { 1, nil, "x" }, { true } }, "1,,x\r\ntrue,,\r\n")
    check.equal(csv.encode { { 0 / 0, -(0 / 0), 1 / 0 } }, "nan,nan,inf\r\n")
    check.equal(csv.encode { { 'say "hi"', "two\nlines" } }, '"say ""hi""","two\nlines"\r\n')
    check.equal(csv.encode { { b = 1, a = 2 }, { c = 3 } }, "a,b,c\r\n2,1,\r\n,,3\r\n")
    check.equal(csv.encode({ { b = 1, a = 2 } }, { columns = { "b" } }), "b\r\n1\r\n")
    check.equal(csv.encode { { 0.1 + 0.2, 2 ^ 53, 1 / 3 } }, "0.30000000000000004,9007199254740992,0.3333333333333333\r\n")
    blames(function() csv.encode { 1 } end, "^csv.encode: row 1 is a number, not a table$")
    blames(function() csv.encode { { {} } } end, "^csv: row 1, column 1: want a text, number or boolean, not table$")
    blames(function() csv.write("x.csv", { {} }, { colums = {} }) end, 'unknown option "colums"') -- no check
end)

test("csv.write: into the run's folder", function()
    local path = csv.write("table.csv", { { "a", 1 } })
    check.match(path, "/table%.csv$")
    check.equal(lines_of(path), { "a,1\r" })
    local none, why, code = csv.write("no/such/folder.csv", {})
    check.equal({ none == nil, code }, { true, "local" })
    check.match(why, "No such file")
end)

test("rng: the same numbers from the same seed, and each within its bounds", function()
    local one, other = rng:stream(7), rng:stream(7)
    for _ = 1, 100 do check.equal(one(1000000), other(1000000)) end
    local counts = { 0, 0, 0, 0, 0, 0 }
    for _ = 1, 6000 do
        local n = one(6)
        counts[n] = counts[n] + 1
    end
    local chi = 0 -- 5 degrees of freedom: above 35.9 in one of a million
    for _, n in ipairs(counts) do chi = chi + (n - 1000) ^ 2 / 1000 end
    check.less(chi, 35.9)
    for _ = 1, 100 do
        check.is_true(one(-3, 2) >= -3 and one(-3, 2) <= 2)
        local x = one:uniform(5, 7)
        check.is_true(x >= 5 and x < 7)
        check.is_true(one:exponential(2) >= 0)
    end
end)

test("rng: means, picks and shuffles", function()
    local r, list, normals = rng:stream(8), {}, {}
    for i = 1, 4000 do list[i], normals[i] = r:exponential(2), r:normal(10, 3) end
    check.near(stats.mean(list), 2, 0.16) -- five standard errors: 2 / sqrt(4000) each
    check.near(stats.mean(normals), 10, 0.24)
    check.near(stats.stdev(normals), 3, 0.17)
    local shuffled = r:shuffle { 1, 2, 3, 4, 5 }
    table.sort(shuffled)
    check.equal(shuffled, { 1, 2, 3, 4, 5 })
    check.equal(r:pick { "only" }, "only")
    blames(function() r:pick {} end, "^rng:pick: the list is empty$")
    blames(function() r(0) end, "the interval from 1 to 0 is empty")
    blames(function() r:exponential(0) end, "^rng: the mean must be above 0, not 0$")
    blames(function() r(1.5) end, "^rng: want whole numbers$")
    blames(function() rng.shuffle {} end, "shuffle: call it with a colon")
end)
