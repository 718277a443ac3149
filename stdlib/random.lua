-- SPDX-License-Identifier: MIT
-- Random numbers that follow from the run's seed: the same with the same --seed, whatever else the run does.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"

local random = {}

-- Numbers of the core's generators from here on are those of scripts; below, down to 1 << 62, those of the library.
local STREAMS = 3 << 61

--- class rng: a generator of random numbers: rng itself, and what rng:stream() returns.
local Rng = {}
local meta = class.new("rng", Rng)

local function check_self(self, method) class.check(self, meta, method) end

local function check_number(v, what)
    if type(v) ~= "number" or v - v ~= 0 then errors.raise(("rng: %s must be a number, not %s"):format(what, tostring(v))) end
    return v
end

local function check_list(t, method)
    if type(t) ~= "table" then errors.raise(("rng:%s: want a list, not %s"):format(method, type(t))) end
end

-- A whole number from lo to hi, both included, each equally likely: what 53 bits leave over is drawn again.
local function whole(self, lo, hi)
    if not (math.tointeger(lo) and math.tointeger(hi)) then errors.raise("rng: want whole numbers") end
    local n = hi - lo + 1
    if n < 1 or n > 1 << 53 then errors.raise(("rng: the interval from %s to %s is empty, or too large"):format(lo, hi)) end
    local most, drawn = (1 << 53) // n * n, nil
    repeat drawn = math.tointeger(self.generator:unit() * 2 ^ 53) until drawn < most
    return math.tointeger(lo) + drawn % n
end

--- rng(...) -> number: random numbers that follow from the run's seed, as math.random gives them.
-- rng() is from 0 to below 1; rng(n) a whole number from 1 to n; rng(a, b) one from a to b. The same --seed gives the same
-- numbers in the same order; the network's own choices are not touched by it.
-- @param ...  nothing, n, or a and b: whole numbers
-- @example
--   local die = rng(6)
--   check.is_true(die >= 1 and die <= 6)
--   check.is_true(rng() < 1)
function meta.__call(self, a, b)
    if a == nil then return self.generator:unit() end
    if b == nil then return whole(self, 1, a) end
    return whole(self, a, b)
end

--- rng:uniform(a, b) -> number: from a to below b, in any unit.
-- @param a  a number
-- @param b  a number
-- @example
--   local x = rng:uniform(-1, 1)
--   check.is_true(x >= -1 and x < 1)
function Rng:uniform(a, b)
    check_self(self, "uniform")
    check_number(a, "a")
    return a + (check_number(b, "b") - a) * self.generator:unit()
end

--- rng:exponential(mean) -> number: the time to the next of events that come independently, each `mean` on average.
-- By inversion (Devroye, Non-Uniform Random Variate Generation, 1986, II.2).
-- @param mean  in any unit, above 0
-- @example
--   check.is_true(rng:exponential(5) >= 0)
function Rng:exponential(mean)
    check_self(self, "exponential")
    if check_number(mean, "the mean") <= 0 then errors.raise("rng: the mean must be above 0, not " .. mean) end
    return -mean * math.log(1 - self.generator:unit())
end

--- rng:normal(mean, stdev) -> number: normally distributed.
-- By Box and Muller (Ann. Math. Stat. 29(2), 1958).
-- @param mean   default 0
-- @param stdev  default 1
-- @example
--   check.near(rng:normal(100, 1), 100, 10)
function Rng:normal(mean, stdev)
    check_self(self, "normal")
    local radius = math.sqrt(-2 * math.log(1 - self.generator:unit()))
    return check_number(mean or 0, "the mean") + check_number(stdev or 1, "the standard deviation") * radius *
        math.cos(2 * math.pi * self.generator:unit())
end

--- rng:pick(list) -> element: one of a list, each equally likely.
-- @param list  not empty
-- @example
--   check.match(rng:pick { "red", "green" }, "^[rg]")
function Rng:pick(list)
    check_self(self, "pick")
    check_list(list, "pick")
    if #list == 0 then errors.raise("rng:pick: the list is empty") end
    return list[whole(self, 1, #list)]
end

--- rng:shuffle(list) -> list: a copy in random order, each order equally likely (Fisher and Yates, as Durstenfeld has it,
-- CACM 7(7), 1964).
-- @param list  it stays as it is
-- @example
--   check.equal(#rng:shuffle { 1, 2, 3 }, 3)
function Rng:shuffle(list)
    check_self(self, "shuffle")
    check_list(list, "shuffle")
    local copy = table.move(list, 1, #list, 1, {})
    for i = #copy, 2, -1 do
        local j = whole(self, 1, i)
        copy[i], copy[j] = copy[j], copy[i]
    end
    return copy
end

local function new(number) return setmetatable({ generator = core.generator(STREAMS | number), number = number }, meta) end

--- rng:stream(n) -> rng: another one, whose numbers do not depend on how many this one has given.
-- @param n  which, 1 to a million
-- @example
--   check.equal(rng:stream(1)(100), rng:stream(1)(100))
function Rng:stream(n)
    check_self(self, "stream")
    if math.type(n) ~= "integer" or n < 1 or n > 1000000 then errors.raise("rng:stream: want a number from 1 to 1000000") end
    return new(n)
end

function meta.__tostring() return "rng" end

--- The generator of a script's own numbers; after the run's seed is set.
function random.new() return new(0) end

return random
