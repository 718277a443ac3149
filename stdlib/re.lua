-- SPDX-License-Identifier: MIT
-- Regular expressions (PCRE2) on strings: re.match, re.gmatch, re.find, re.replace. They see bytes; a pattern that starts
-- with "(*UTF)" sees characters. A pattern that would take for ever raises.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"

local re = {}

local QUOTED = 100 -- so much of a pattern is shown in an error

local function check_text(s, where)
    if type(s) == "number" then return tostring(s) end
    if type(s) ~= "string" then errors.raise(("%s: want a string to search in, not %s"):format(where, type(s))) end
    return s
end

local function compile(pattern, where)
    if type(pattern) ~= "string" then
        errors.raise(("%s: want a pattern, a string, not %s"):format(where, type(pattern)))
    end
    local regex, why, offset = core.regex(pattern)
    if not regex then
        errors.raise(("%s: bad pattern %s: %s at offset %d"):format(where, inspect.quote(pattern, QUOTED), why, offset))
    end
    return regex
end

-- A place in s as string.find takes it: negative ones count from its end.
local function check_init(s, init, where)
    if init == nil then return 1 end
    local place = math.tointeger(init)
    if not place then errors.raise(("%s: want a place in the string, not %s"):format(where, tostring(init))) end
    if place < 0 then place = #s + place + 1 end
    return math.max(place, 1)
end

local function fail(where, pattern, why) errors.raise(("%s: %s: %s"):format(where, inspect.quote(pattern, QUOTED), why)) end

--- re.match(s, pattern, init=1) -> table: the first match in a text.
-- @param s        bytes
-- @param pattern  a regular expression (PCRE2)
-- @param init     the place from which on it is looked for; negative: from the end
-- @return  { [0] = the whole match, [1] and so on: its groups, NAME = each named group, from = its first byte in s,
--   to = its last }; nil without a match. A group that took no part is nil
-- @error   a bad pattern, and one that would take for ever
-- @example
--   local m = re.match("3 packets transmitted, 2 received", "(\\d+) packets.*?(?<got>\\d+) received")
--   check.equal({ m[1], m.got }, { "3", "2" })
function re.match(s, pattern, init)
    s = check_text(s, "re.match")
    local regex = compile(pattern, "re.match")
    local match, why = regex:match(s, check_init(s, init, "re.match"))
    if why then fail("re.match", pattern, why) end
    return match
end

--- re.find(s, pattern, init=1) -> from, to: the first and last byte of the first match in a text.
-- @param s        bytes
-- @param pattern  a regular expression (PCRE2)
-- @param init     as for re.match
-- @return  nil without a match
-- @error   as re.match
-- @example
--   check.equal({ re.find("a12", "\\d+") }, { 2, 3 })
function re.find(s, pattern, init)
    s = check_text(s, "re.find")
    local regex = compile(pattern, "re.find")
    local from, to = regex:find(s, check_init(s, init, "re.find"))
    if not from and to then fail("re.find", pattern, to) end
    return from, to
end

-- Each match in turn, as re.match gives it. After an empty one, the next may start there, but not be empty.
local function each_match(s, pattern, where)
    local regex = compile(pattern, where)
    local init, not_empty = 1, false
    return function()
        local match, why = regex:match(s, init, not_empty)
        if why then fail(where, pattern, why) end
        if not match then
            init, not_empty = #s + 2, false
            return nil
        end
        init, not_empty = match.to + 1, match.to < match.from
        return match
    end
end

--- re.gmatch(s, pattern) -> function: an iterator over all matches, each as re.match gives it.
-- @param s        bytes
-- @param pattern  a regular expression (PCRE2)
-- @error  as re.match
-- @example
--   local sum = 0
--   for m in re.gmatch("1 2 3", "\\d") do sum = sum + m[0] end
--   check.equal(sum, 6)
function re.gmatch(s, pattern) return each_match(check_text(s, "re.gmatch"), pattern, "re.gmatch") end

local function check_group(name, count, names)
    local group = math.tointeger(tonumber(name))
    if group and group <= count then return group end
    if names[name] then return name end
    errors.raise(("re.replace: the pattern has no group %s"):format(inspect.quote(name)))
end

-- The parts of a replacement: each a text, or {group}.
local function parse_template(template, count, names)
    local parts, at = {}, 1
    while true do
        local dollar = template:find("$", at, true)
        parts[#parts + 1] = template:sub(at, (dollar or 0) - 1)
        if not dollar then return parts end
        local rest = dollar + 1
        local name, past = template:match("^(%d+)()", rest)
        if not name then name, past = template:match("^([%a_][%w_]*)()", rest) end
        if not name then name, past = template:match("^{([%w_]+)}()", rest) end
        if name then
            parts[#parts + 1] = { check_group(name, count, names) }
        elseif template:sub(rest, rest) == "$" then
            parts[#parts + 1], past = "$", rest + 1
        else
            errors.raise('re.replace: "$" in a replacement wants a group behind it, as "$1" or "${name}"; "$$" is a dollar')
        end
        at = past
    end
end

local function fill_template(parts, match, out)
    for _, part in ipairs(parts) do out[#out + 1] = type(part) == "string" and part or match[part[1]] or "" end
end

local function call_replacement(fn, match, out)
    local value = fn(match)
    if value == nil or value == false then value = match[0] end
    if type(value) ~= "string" and type(value) ~= "number" then
        errors.raise(("re.replace: the function gave a %s, not a string"):format(type(value)))
    end
    out[#out + 1] = value
end

--- re.replace(s, pattern, replacement, max) -> text, count: a text with its matches replaced, and how many were.
-- @param s            bytes
-- @param pattern      a regular expression (PCRE2)
-- @param replacement  a text, where $1 or ${1} is a group, ${name} a named one, $0 the match, $$ a dollar; or a function that is
--   given the match, as re.match gives it, and returns the text; nil keeps the match
-- @param max          how many at most (default: all)
-- @error  as re.match
-- @example
--   check.equal(re.replace("a-b", "(\\w)-(\\w)", "$2-$1"), "b-a")
function re.replace(s, pattern, replacement, max)
    s = check_text(s, "re.replace")
    local regex = compile(pattern, "re.replace")
    if type(replacement) ~= "string" and type(replacement) ~= "function" then
        errors.raise(("re.replace: want a string or a function for the replacement, not %s"):format(type(replacement)))
    end
    if max ~= nil and not math.tointeger(max) then
        errors.raise(("re.replace: want a number of replacements, not %s"):format(tostring(max)))
    end
    local parts = type(replacement) == "string" and parse_template(replacement, regex:groups())
    local out, at, count = {}, 1, 0
    if max and max <= 0 then return s, 0 end
    for match in each_match(s, pattern, "re.replace") do
        out[#out + 1] = s:sub(at, match.from - 1)
        if parts then fill_template(parts, match, out) else call_replacement(replacement, match, out) end
        at, count = match.to + 1, count + 1
        if count == max then break end
    end
    out[#out + 1] = s:sub(at)
    return table.concat(out), count
end

return re
