-- SPDX-License-Identifier: MIT
-- The assertions of experiments and suites, `check`: they raise, at the line that called them, with what was found and what
-- was wanted.

local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"

local checks = {}

local SHOWN_DIFFERENCES = 10

-- Raises at the line that called the check, which must call fail itself, and not as a tail call.
local function fail(name, msg, text)
    local prefix = msg == nil and "check." .. name or type(msg) == "string" and msg or inspect(msg)
    error(prefix .. ": " .. text, 3)
end

local function show(v) return inspect(v, { string = 200 }) end

local function compares_itself(v)
    local meta = debug.getmetatable(v)
    return meta ~= nil and rawget(meta, "__eq") ~= nil
end

local function same(a, b) return a == b or a ~= a and b ~= b end

local function descends(a, b)
    return type(a) == "table" and type(b) == "table" and not compares_itself(a) and not compares_itself(b)
end

local function key_union(a, b)
    local keys = inspect.keys(a)
    for _, k in ipairs(inspect.keys(b)) do
        if rawget(a, k) == nil then keys[#keys + 1] = k end
    end
    return keys
end

-- Appends to out each place where got and want differ. A pair of tables met again inside itself counts as equal.
local function compare(got, want, path, out, open)
    if same(got, want) then return end
    if not descends(got, want) then
        out[#out + 1] = { path = path, got = got, want = want }
        return
    end
    open[got] = open[got] or {}
    if open[got][want] then return end
    open[got][want] = true
    for _, k in ipairs(key_union(got, want)) do
        compare(rawget(got, k), rawget(want, k), path .. inspect.path(k), out, open)
    end
end

-- The bytes of s around position i, quoted, with dots where something is left out.
local function excerpt(s, i)
    local from, to = math.max(1, i - 20), math.min(#s, i + 40)
    return (from > 1 and "..." or "") .. inspect.quote(s:sub(from, to)) .. (to < #s and "..." or "")
end

local function first_difference(a, b)
    local lo, hi = 0, math.min(#a, #b) -- a and b agree in lo bytes, and not (known to) in hi + 1
    while lo < hi do
        local middle = (lo + hi + 1) // 2
        if a:sub(lo + 1, middle) == b:sub(lo + 1, middle) then lo = middle else hi = middle - 1 end
    end
    return lo + 1
end

local function string_difference(got, want)
    local i = first_difference(got, want)
    local _, newlines = got:sub(1, i - 1):gsub("\n", "")
    return string.format("strings of %d and %d bytes differ at byte %d (line %d)\n  got  %s\n  want %s",
        #got, #want, i, newlines + 1, excerpt(got, i), excerpt(want, i))
end

local function pair_text(got, want)
    local strings = type(got) == "string" and type(want) == "string"
    if strings and (#got > 60 or #want > 60 or (got .. want):find("\n")) then return string_difference(got, want) end
    local g, w = show(got), show(want)
    if (g .. w):find("\n") then return "\n  got  " .. g:gsub("\n", "\n  ") .. "\n  want " .. w:gsub("\n", "\n  ") end
    return "got " .. g .. ", want " .. w
end

local function difference_text(got, want, differences)
    if differences[1].path == "" then return pair_text(got, want) end
    local lines = { "tables differ" }
    for i, d in ipairs(differences) do
        if i > SHOWN_DIFFERENCES then
            lines[#lines + 1] = string.format("  and at %d more places", #differences - SHOWN_DIFFERENCES)
            break
        end
        lines[#lines + 1] = "  " .. d.path .. ": " .. pair_text(d.got, d.want):gsub("\n", "\n  ")
    end
    local g, w = inspect(got), inspect(want)
    if #g <= 100 and #w <= 100 then lines[#lines + 1] = "  got  " .. g .. "\n  want " .. w end
    return table.concat(lines, "\n")
end

-- tol of check.near as an absolute number; nil when it is neither a number >= 0 nor a percentage.
local function tolerance(tol, want)
    local percent = type(tol) == "string" and tonumber(tol:match("^%s*(%d*%.?%d+)%s*%%%s*$"))
    if percent then tol = percent / 100 * math.abs(want) end
    return type(tol) == "number" and tol >= 0 and tol or nil
end

-- Whether a and b are within tol, but for rounding in the last digit or two: 1.1 is within 0.1 of 1.
local function within(a, b, tol)
    if a == b then return true end
    local off = math.abs(a - b)
    return off < math.huge and off <= tol + 2 ^ -50 * math.max(math.abs(a), math.abs(b))
end

-- Those that are the same in every suite.
local check = {}

--- check.equal(got, want, msg): raises unless both are equal.
-- Tables are compared by what is in them, deeply (without regard to their metatables, unless one has __eq, which decides then);
-- nan equals nan, 1 equals 1.0, "1" is not 1.
-- @param got   any value
-- @param want  any value
-- @param msg   what the error begins with (any text; default: none)
-- @example
--   check.equal({ 1, { a = 2 } }, { 1, { a = 2 } })
function check.equal(got, want, msg)
    local differences = {}
    compare(got, want, "", differences, {})
    if differences[1] then fail("equal", msg, difference_text(got, want, differences)) end
end

--- check.not_equal(got, unwanted, msg): raises when check.equal would not.
-- @param got       any value
-- @param unwanted  any value
-- @param msg       what the error begins with (default: none)
-- @example
--   check.not_equal("1", 1)
function check.not_equal(got, unwanted, msg)
    local differences = {}
    compare(got, unwanted, "", differences, {})
    if not differences[1] then fail("not_equal", msg, "got " .. show(got) .. ", want anything else") end
end

--- check.near(got, want, tol, msg): raises unless got is within tol of want (the bound included).
-- @param got   a number
-- @param want  a number
-- @param tol   an absolute number in the unit of got, or "5%" of want
-- @param msg   what the error begins with (default: none)
-- @example
--   check.near(0.0204, 0.02, "5%")
function check.near(got, want, tol, msg)
    if type(want) ~= "number" then error("check.near: want a number to compare with, got " .. show(want), 2) end
    local allowed = tolerance(tol, want)
    if not allowed then error("check.near: bad tolerance " .. show(tol) .. ' (want a number >= 0 or "5%")', 2) end
    if type(got) ~= "number" then fail("near", msg, "got " .. show(got) .. ", want a number near " .. show(want)) end
    if within(got, want, allowed) then return end
    local kind = type(tol) == "string" and tol or string.format("%.6g", allowed)
    fail("near", msg, string.format("got %s, want %s within %s (off by %.6g)", show(got), show(want), kind, got - want))
end

--- check.less(a, b, msg): raises unless a < b (numbers, strings, or what has __lt).
-- @param a    a number or text
-- @param b    a greater one
-- @param msg  what the error begins with (default: none)
-- @example
--   check.less(0.2, 0.5, "the outage")
function check.less(a, b, msg)
    local ok, less = pcall(function() return a < b end)
    if not ok then fail("less", msg, "cannot compare " .. show(a) .. " with " .. show(b)) end
    if not less then fail("less", msg, show(a) .. " is not less than " .. show(b)) end
end

--- check.is_true(v, msg): raises unless v is true itself.
-- @param v    any value
-- @param msg  what the error begins with (default: none)
-- @example
--   check.is_true(1 < 2)
function check.is_true(v, msg)
    if v ~= true then fail("is_true", msg, "got " .. show(v) .. ", want true") end
end

--- check.is_nil(v, msg): raises unless v is nil.
-- @param v    any value
-- @param msg  what the error begins with (default: none)
-- @example
--   check.is_nil(({}).x)
function check.is_nil(v, msg)
    if v ~= nil then fail("is_nil", msg, "got " .. show(v) .. ", want nil") end
end

-- The results of match(s, pattern), packed; or nil and what it raised, without its position.
local function try_match(match, s, pattern)
    if type(pattern) ~= "string" then return nil, "want a text" end
    local results = table.pack(pcall(match, s, pattern))
    if results[1] then return table.pack(table.unpack(results, 2, results.n)) end
    return nil, tostring(results[2]):gsub("^[^\n]-:%d+: ", "")
end

-- Reading check.eqaul is an error at once.
local function unknown_check(own, name)
    local near = options.nearest(name, inspect.keys(own))
    local hint = near and '; did you mean "' .. near .. '"?' or ""
    error("check: unknown check " .. show(name) .. hint, 2)
end

--- The table `check` of a suite. `match`: function(s, pattern) -> a true value when s matches; `passes`: function(err) -> whether
--- check.raises lets an error through, whatever was expected.
function checks.new(match, passes)
    local own = {}
    for name, fn in pairs(check) do own[name] = fn end

    --- check.match(s, pattern, msg) -> values: raises unless a text matches a Lua pattern; gives its captures.
    -- @param s        a text
    -- @param pattern  a Lua pattern
    -- @param msg      what the error begins with (default: none)
    -- @example
    --   check.equal(check.match("rtt 20 ms", "(%d+) ms"), "20")
    function own.match(s, pattern, msg)
        if type(s) ~= "string" then fail("match", msg, "got " .. show(s) .. ", want a string") end
        local results, problem = try_match(match, s, pattern)
        if not results then error("check.match: bad pattern " .. show(pattern) .. ": " .. problem, 2) end
        if not results[1] then fail("match", msg, show(s) .. " does not match " .. show(pattern)) end
        return table.unpack(results, 1, results.n)
    end

    --- check.raises(fn, pattern, msg) -> message, error: raises unless fn() raises.
    -- skip() and the end of the run in fn pass through.
    -- @param fn       function()
    -- @param pattern  a Lua pattern that the message has to match (default: any message)
    -- @param msg      what the error begins with (default: none)
    -- @return  the message as text, and the raised value itself
    -- @example
    --   check.raises(function() error("no route") end, "route$")
    function own.raises(fn, pattern, msg)
        if type(fn) ~= "function" then error("check.raises: want a function, got " .. show(fn), 2) end
        local ok, err = pcall(fn)
        if ok then fail("raises", msg, "no error was raised") end
        if passes(err) then error(err, 0) end
        local message = errors.text(err)
        if pattern == nil then return message, err end
        local results, problem = try_match(match, message, pattern)
        if not results then error("check.raises: bad pattern " .. show(pattern) .. ": " .. problem, 2) end
        if not results[1] then fail("raises", msg, "error " .. show(message) .. " does not match " .. show(pattern)) end
        return message, err
    end

    return setmetatable(own, { __index = unknown_check })
end

return checks
