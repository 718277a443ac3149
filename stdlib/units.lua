-- SPDX-License-Identifier: MIT
-- The values of the experiment language that carry a unit: durations, rates, sizes and fractions, read from a number or
-- a string such as "20ms", "10mbit", "64K" or "1%", and written back for people to read.

local inspect = require "qemunet.inspect"

local units = {}

-- Each unit is { power of ten, factor }. The power goes into the decimal text itself, so that "20ms" is the very
-- float that 0.02 is, which 20 * 1e-3 need not be.
local function binary(shift) return { 0, 1 << shift } end

local KINDS = {
    duration = {
        want = 'want seconds or "200us", "20ms", "1.5s", "2m"',
        units = {
            [""] = { 0 }, ns = { -9 }, us = { -6 }, ["\u{B5}s"] = { -6 }, ["\u{3BC}s"] = { -6 }, ms = { -3 },
            s = { 0 }, m = { 0, 60 }, h = { 0, 3600 },
        },
        accept = function(v) return v >= 0 and v end,
    },
    rate = {
        want = 'want bit/s above 0 or "500kbit", "10mbit", "1.5gbit"',
        fold = true,
        units = {
            [""] = { 0 }, bit = { 0 }, kbit = { 3 }, mbit = { 6 }, gbit = { 9 }, tbit = { 12 },
            ["bit/s"] = { 0 }, ["kbit/s"] = { 3 }, ["mbit/s"] = { 6 }, ["gbit/s"] = { 9 }, ["tbit/s"] = { 12 },
        },
        accept = function(v) return v > 0 and (math.tointeger(v) or v) end,
    },
    size = {
        want = 'want whole bytes or "64K", "256M", "2G"',
        fold = true,
        units = {
            [""] = { 0 }, b = { 0 }, k = binary(10), m = binary(20), g = binary(30), t = binary(40),
            kib = binary(10), mib = binary(20), gib = binary(30), tib = binary(40),
        },
        accept = function(v) return v >= 0 and math.tointeger(v) end,
    },
    fraction = {
        want = 'want 0 to 1 or "0%" to "100%"',
        units = { [""] = { 0 }, ["%"] = { -2 } },
        accept = function(v) return v >= 0 and v <= 1 and v end,
    },
}

-- "1.5e3 ms" -> "1.5", 3, "ms"; nil when the text does not begin with a plain decimal number.
local function split(text)
    local digits, rest = text:match("^%s*(%d*%.?%d*)%s*(.-)%s*$")
    if not digits:find("%d") then return nil end
    local exponent, unit = rest:match("^[eE]([+-]?%d%d?%d?)%s*(.*)$")
    if exponent then return digits, math.tointeger(tonumber(exponent)), unit end
    return digits, 0, rest
end

local function from_string(kind, text)
    local digits, exponent, unit = split(text)
    local scale = digits and kind.units[kind.fold and unit:lower() or unit]
    if not scale then return nil end
    return tonumber(string.format("%se%d", digits, exponent + scale[1])) * (scale[2] or 1)
end

--- Reads a value without raising.
-- @param kind  "duration", "rate", "size" or "fraction"
-- @param v     a number or a string
-- @return the number; or nil and what is wrong, such as `bad duration "20mss" (want ...)`
function units.parse(kind, v)
    local rules = KINDS[kind]
    local n = v
    if type(v) == "string" then n = from_string(rules, v) end
    local finite = type(n) == "number" and n - n == 0
    local accepted = finite and rules.accept(n)
    if accepted then return accepted end
    local shown = inspect(v, { depth = 0, string = 60 })
    return nil, string.format("bad %s %s (%s)", kind, shown, rules.want)
end

--- What a kind accepts, in words: units.want("size").
function units.want(kind) return KINDS[kind] and KINDS[kind].want end

local function reader(kind)
    return function(v, what, level)
        local n, problem = units.parse(kind, v)
        if n then return n end
        error((what and what .. ": " or "") .. problem, (level or 1) + 1)
    end
end

-- The four readers share their arguments: v, the value; what, the name that an error begins with (default none);
-- level, whose line an error names, counted as error() does: 1 (default) is the line that calls the reader, 2 is the
-- line that called the function it is in. All raise for another type, a negative number, nan, inf and an unknown unit.

--- duration(v, what, level) -> seconds. A number or a bare numeric string is seconds; units: ns us ms s m h.
units.duration = reader "duration"

--- rate(v, what, level) -> bit/s, above 0; an integer where it is whole. Units, decimal and in either case: bit kbit
-- mbit gbit tbit, each with or without "/s". ("bps" is refused: it means bits to some tools and bytes to others.)
units.rate = reader "rate"

--- size(v, what, level) -> whole bytes, an integer. Units, binary and in either case: B K M G T KiB MiB GiB TiB.
units.size = reader "size"

--- fraction(v, what, level) -> 0 to 1, from a number or from "1%".
units.fraction = reader "fraction"

-- Four significant digits of the largest unit in which they are not below 1; steps are { factor, name } from the
-- largest to the smallest.
local function format(v, steps)
    if v - v ~= 0 then return (v ~= v and "nan" or tostring(v)) .. " " .. steps.base end
    if v == 0 then return "0 " .. steps.base end
    local sign, size = v < 0 and "-" or "", math.abs(v)
    for i, step in ipairs(steps) do
        local n = size / step[1]
        local text = string.format(n < 9999.5 and "%.4g" or "%.0f", n)
        if tonumber(text) >= 1 or i == #steps then return sign .. text .. " " .. step[2] end
    end
end

local DURATIONS = { base = "s", { 3600, "h" }, { 60, "m" }, { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } }
local RATES = {
    base = "bit/s", { 1e12, "Tbit/s" }, { 1e9, "Gbit/s" }, { 1e6, "Mbit/s" }, { 1e3, "kbit/s" }, { 1, "bit/s" },
}
local SIZES = {
    base = "B", { 1 << 40, "TiB" }, { 1 << 30, "GiB" }, { 1 << 20, "MiB" }, { 1 << 10, "KiB" }, { 1, "B" },
}

--- Seconds as text of four significant digits: 0.00125 is "1.25 ms", 90 is "1.5 m".
function units.format_duration(s) return format(s, DURATIONS) end

--- Seconds as a clock shows them: "1:02", "1:00:00".
function units.format_clock(seconds)
    local s = math.floor(seconds)
    if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
    return ("%d:%02d"):format(s // 60, s % 60)
end

--- Bit/s as text: 1.5e9 is "1.5 Gbit/s".
function units.format_rate(bits) return format(bits, RATES) end

--- Bytes as text: 65536 is "64 KiB".
function units.format_size(bytes) return format(bytes, SIZES) end

return units
