-- SPDX-License-Identifier: MIT
-- Units: what the four readers accept and refuse, whom they blame, and that written values can be read again.

local blames = require "blames".exactly
local units = require "qemunet.units"

local WANT_DURATION = ' (want seconds or "200us", "20ms", "1.5s", "2m")'
local WANT_SIZE = ' (want whole bytes or "64K", "256M", "2G")'

test("durations become seconds, as exact as the decimal text", function()
    local cases = {
        ["200us"] = 0.0002, ["20ms"] = 0.02, ["1.5s"] = 1.5, ["2m"] = 120, ["1h"] = 3600, ["5ns"] = 5e-9,
        ["0"] = 0, ["0.5"] = 0.5, [".5s"] = 0.5, [" 20 ms "] = 0.02, ["1e-05s"] = 1e-5, ["1e3ms"] = 1,
        ["7\u{B5}s"] = 7e-6, ["0.1ms"] = 0.0001, ["3ms"] = 0.003,
    }
    for text, seconds in pairs(cases) do check.equal(units.duration(text), seconds, text) end
    check.equal(units.duration(0), 0)
    check.equal(units.duration(2.5), 2.5)
end)

test("rates are decimal and whole where they can be", function()
    local cases = {
        ["10mbit"] = 10000000, ["500kbit"] = 500000, ["1gbit"] = 1000000000, ["1.5gbit"] = 1500000000,
        ["9600bit"] = 9600, ["9600"] = 9600, ["10Mbit"] = 10000000, ["10 Mbit/s"] = 10000000,
    }
    for text, bits in pairs(cases) do
        check.equal(units.rate(text), bits, text)
        check.equal(math.type(units.rate(text)), "integer", text)
    end
    check.equal(units.rate("0.5bit"), 0.5)
    check.equal(math.type(units.rate(1e6)), "integer")
end)

test("sizes are binary and whole", function()
    local cases = {
        ["64K"] = 65536, ["256M"] = 268435456, ["2G"] = 2147483648, ["1500"] = 1500, ["1.5k"] = 1536, ["4KiB"] = 4096,
        ["1T"] = 1 << 40, ["12B"] = 12, ["0"] = 0,
    }
    for text, bytes in pairs(cases) do
        check.equal(units.size(text), bytes, text)
        check.equal(math.type(units.size(text)), "integer", text)
    end
    check.equal(math.type(units.size(1500.0)), "integer")
end)

test("fractions", function()
    check.equal(units.fraction("1%"), 0.01)
    check.equal(units.fraction("0.1%"), 0.001)
    check.equal(units.fraction("100%"), 1)
    check.equal(units.fraction("0.25"), 0.25)
    check.equal(units.fraction(0), 0)
    check.equal(units.fraction(1), 1)
end)

test("what is no duration is refused by name and value", function()
    local bad = {
        { "20mss", '"20mss"' }, { "", '""' }, { "ms", '"ms"' }, { "-5ms", '"-5ms"' }, { "1.2.3s", '"1.2.3s"' },
        { "0x10", '"0x10"' }, { "20MS", '"20MS"' }, { "nan", '"nan"' }, { "inf", '"inf"' }, { "1e999s", '"1e999s"' },
        { "1e9999s", '"1e9999s"' }, { "5 m s", '"5 m s"' }, { "\0", '"\\x00"' }, { -1, "-1" },
        { 0 / 0, "nan" }, { 1 / 0, "inf" }, { true, "true" }, { {}, "{}" }, { { 1 }, "{...}" },
    }
    for _, case in ipairs(bad) do
        blames(function() units.duration(case[1], "delay") end, "delay: bad duration " .. case[2] .. WANT_DURATION)
    end
    blames(function() units.duration(nil) end, "bad duration nil" .. WANT_DURATION)
end)

test("what is no rate, size or fraction is refused", function()
    local want_rate = ' (want bit/s above 0 or "500kbit", "10mbit", "1.5gbit")'
    local want_fraction = ' (want 0 to 1 or "0%" to "100%")'
    blames(function() units.rate(0, "rate") end, "rate: bad rate 0" .. want_rate)
    blames(function() units.rate("0mbit", "rate") end, 'rate: bad rate "0mbit"' .. want_rate)
    blames(function() units.rate("10mbps", "rate") end, 'rate: bad rate "10mbps"' .. want_rate)
    blames(function() units.size("0.3K", "mem") end, 'mem: bad size "0.3K"' .. WANT_SIZE)
    blames(function() units.size("64KB", "mem") end, 'mem: bad size "64KB"' .. WANT_SIZE)
    blames(function() units.size(1.5, "mem") end, "mem: bad size 1.5" .. WANT_SIZE)
    blames(function() units.size(1e300, "mem") end, "mem: bad size 1e+300" .. WANT_SIZE)
    blames(function() units.fraction(1.01, "loss") end, "loss: bad fraction 1.01" .. want_fraction)
    blames(function() units.fraction("101%", "loss") end, 'loss: bad fraction "101%"' .. want_fraction)
    blames(function() units.fraction(-0.5, "loss") end, "loss: bad fraction -0.5" .. want_fraction)
end)

test("a long bad value is cut short", function()
    local message = check.raises(function() units.size(("x"):rep(1000000)) end)
    check.less(#message, 300)
end)

test("level 2 blames the caller of the function that reads", function()
    local function helper(v)
        local size = units.size(v, "mem", 2)
        return size
    end
    blames(function() helper("?") end, 'mem: bad size "?"' .. WANT_SIZE)
end)

test("parse returns the problem instead of raising it", function()
    check.equal(units.parse("duration", "20ms"), 0.02)
    local v, problem = units.parse("size", "x")
    check.is_nil(v)
    check.equal(problem, 'bad size "x"' .. WANT_SIZE)
    check.equal(units.want("duration"), 'want seconds or "200us", "20ms", "1.5s", "2m"')
end)

test("values are written for people", function()
    local durations = {
        { 0, "0 s" }, { 0.00125, "1.25 ms" }, { 1.5, "1.5 s" }, { 59, "59 s" }, { 90, "1.5 m" }, { 7200, "2 h" },
        { 2e-7, "200 ns" }, { 0.99999, "1 s" }, { 0.0009999999, "1 ms" }, { -0.02, "-20 ms" }, { 36e6, "10000 h" },
        { 1 / 0, "inf s" }, { 0 / 0, "nan s" },
    }
    for _, case in ipairs(durations) do check.equal(units.format_duration(case[1]), case[2]) end
    check.equal(units.format_rate(1.5e9), "1.5 Gbit/s")
    check.equal(units.format_rate(9600), "9.6 kbit/s")
    check.equal(units.format_rate(1), "1 bit/s")
    check.equal(units.format_size(65536), "64 KiB")
    check.equal(units.format_size(1023), "1023 B")
    check.equal(units.format_size(3 << 40), "3 TiB")
end)

test("what is written can be read again", function()
    for _, s in ipairs { 2e-7, 0.00125, 0.02, 1.5, 90, 7200 } do
        check.near(units.duration(units.format_duration(s)), s, "0.001%")
    end
    check.equal(units.rate(units.format_rate(12500000)), 12500000)
    check.equal(units.size(units.format_size(256 << 20)), 256 << 20)
end)
