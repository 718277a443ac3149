-- SPDX-License-Identifier: MIT
-- Option tables and misspellings: checks the table a script hands to a library function against a specification, and
-- says which name was probably meant when an option or a global is unknown.

local inspect = require "qemunet.inspect"
local units = require "qemunet.units"

local options = {}

--- The specifications of the calls of the language, by the names in their documentation: "vm", "node:run".
options.specs = {}

--- Of calls whose tables hold a list of tables: {[name]=fn(what such a table begins with) -> its specification; or nil, the
--- known beginnings, as keys}.
options.entries = {}

--- Makes known what options these calls take; returns the specification.
function options.register(spec, ...)
    for _, name in ipairs { ... } do options.specs[name] = spec end
    return spec
end

--- Whether a value can be the name of something in what a run leaves: a text, not empty, that can be a key in JSON.
function options.is_name(v) return type(v) == "string" and v ~= "" and not v:find("\0", 1, true) end

-- Restricted Damerau-Levenshtein distance (optimal string alignment: insertions, deletions, substitutions and swaps of
-- neighbours, no part edited twice; Damerau, CACM 7(3), 1964), by the dynamic programming of Wagner & Fischer (1974).
local function distance(a, b)
    local before, above = nil, {}
    for j = 0, #b do above[j] = j end
    for i = 1, #a do
        local row = { [0] = i }
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            local best = math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + cost)
            if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
                best = math.min(best, before[j - 2] + 1)
            end
            row[j] = best
        end
        before, above = above, row
    end
    return above[#b]
end

-- At most one edit for every three letters of the longer word (at least one edit, never a whole word).
local function by_edits(name, candidates)
    local best, best_distance
    for _, candidate in ipairs(candidates) do
        local longer, shorter = math.max(#name, #candidate), math.min(#name, #candidate)
        local limit = math.min(math.max(1, longer // 3), 4)
        if longer - shorter <= limit then
            local d = distance(name:lower(), candidate:lower())
            local nearer = not best or d < best_distance or d == best_distance and candidate < best
            if d <= limit and d < shorter and nearer then best, best_distance = candidate, d end
        end
    end
    return best
end

local ABBREVIATION = 3

-- One that is the other's beginning, with three letters at least, and of several the longest.
local function by_beginning(name, candidates)
    local best, best_length
    for _, candidate in ipairs(candidates) do
        local length = math.min(#name, #candidate)
        local nearer = not best or length > best_length or length == best_length and candidate < best
        if length >= ABBREVIATION and nearer and name:sub(1, length):lower() == candidate:sub(1, length):lower() then
            best, best_length = candidate, length
        end
    end
    return best
end

--- The candidate that `name` most probably is a misspelling, an abbreviation or the long form of ("memory" of "mem").
-- Upper and lower case count as the same; of equally near ones the first in alphabetical order is taken.
-- @param name        a string (anything else has no neighbour)
-- @param candidates  a list of strings
-- @return the candidate, or nil when none is near
function options.nearest(name, candidates)
    if type(name) ~= "string" then return nil end
    return by_edits(name, candidates) or by_beginning(name, candidates)
end

--- What an error says behind a name that is not known: '; did you mean "x"?', or "" when nothing is near.
-- @param name  what was given (any value)
-- @param sets  tables whose string keys are the known names
function options.hint(name, ...)
    local known = {}
    for _, set in ipairs { ... } do
        for key in pairs(set) do
            if type(key) == "string" then known[#known + 1] = key end
        end
    end
    local near = options.nearest(name, known)
    return near and "; did you mean " .. inspect.quote(near) .. "?" or ""
end

local function show(v) return inspect(v, { depth = 1, string = 60, width = 60 }) end

local function name_text(k) return type(k) == "string" and inspect.quote(k, 60) or show(k) end

local function sorted_names(spec)
    local names = {}
    for k in pairs(spec) do
        if type(k) == "string" then names[#names + 1] = k end
    end
    table.sort(names)
    return names
end

local function either(list)
    if #list < 2 then return list[1] or "nothing" end
    return table.concat(list, ", ", 1, #list - 1) .. " or " .. list[#list]
end

-- A type's rule takes a value and returns the normalised value, or nil and (optionally) what is wrong with it.
local function plain(name)
    return function(v)
        if type(v) == name then return v end
    end
end

local function unit(kind)
    return function(v) return units.parse(kind, v) end
end

local TYPES = {
    string = plain "string", boolean = plain "boolean", table = plain "table", ["function"] = plain "function",
    number = function(v) return type(v) == "number" and v == v and v or nil end,
    integer = function(v) return type(v) == "number" and math.tointeger(v) or nil end,
    any = function(v) return v end,
    duration = unit "duration", rate = unit "rate", size = unit "size", fraction = unit "fraction",
}
local PHRASES = {
    string = "a string", boolean = "true or false", table = "a table", ["function"] = "a function",
    number = "a number", integer = "a whole number", duration = 'a duration such as "20ms"',
    rate = 'a rate such as "10mbit"', size = 'a size such as "64K"', fraction = 'a fraction such as 0.01 or "1%"',
}

local function type_list(entry)
    local list = entry.type or "any"
    return type(list) == "table" and list or { list }
end

local function mismatch(v, list, problem)
    if problem and #list == 1 then return problem end
    local phrases = {}
    for i, name in ipairs(list) do phrases[i] = PHRASES[name] end
    return string.format("bad value %s (want %s)", show(v), either(phrases))
end

-- The value as the first of the entry's types that takes it; or nil, problem.
local function convert(v, entry)
    local list, problem = type_list(entry), nil
    for _, name in ipairs(list) do
        local rule = assert(TYPES[name], "unknown type in an option specification")
        local converted, why = rule(v)
        if converted ~= nil then return converted end
        problem = why
    end
    return nil, mismatch(v, list, problem)
end

local function choice_problem(v, choices)
    local shown = {}
    for i, choice in ipairs(choices) do
        if v == choice then return nil end
        shown[i] = show(choice)
    end
    local near = options.nearest(v, choices)
    local hint = near and "; did you mean " .. inspect.quote(near) .. "?" or ""
    return string.format("bad value %s (want %s)%s", show(v), either(shown), hint)
end

local function range_problem(v, entry, given)
    if type(v) ~= "number" then return nil end
    if entry.min and v < entry.min then return "must be at least " .. show(entry.min) .. ", got " .. show(given) end
    if entry.max and v > entry.max then return "must be at most " .. show(entry.max) .. ", got " .. show(given) end
end

-- The normalised value of one option; or nil, problem.
local function normalise(v, entry)
    local converted, problem = convert(v, entry)
    if problem then return nil, problem end
    problem = entry.choices and choice_problem(converted, entry.choices) or range_problem(converted, entry, v)
    if problem then return nil, problem end
    return converted
end

--- What is wrong with the value of an option, or nil. `entry`: its part of a specification.
function options.problem(v, entry)
    local _, problem = normalise(v, entry)
    return problem
end

local function unknown_problem(key, spec)
    local names = sorted_names(spec)
    local text = "unknown option " .. name_text(key)
    local near = options.nearest(key, names)
    if near then return text .. "; did you mean " .. inspect.quote(near) .. "?" end
    if #names == 0 then return text .. " (it takes none)" end
    return text .. " (known: " .. table.concat(names, ", ") .. ")"
end

local function shallow_copy(v)
    if type(v) ~= "table" or debug.getmetatable(v) then return v end
    local copy = {}
    for k, value in pairs(v) do copy[k] = value end
    return copy
end

-- The checked copy of opts; or nil, problem.
local function checked(opts, spec)
    if opts == nil then opts = {} end
    if type(opts) ~= "table" then return nil, "options must be a table, got " .. show(opts) end
    for _, key in ipairs(inspect.keys(opts)) do
        if not spec[key] then return nil, unknown_problem(key, spec) end
    end
    local out = {}
    for _, key in ipairs(inspect.keys(spec)) do
        local entry, v, problem = spec[key], opts[key], nil
        if v == nil then v = shallow_copy(entry.default) end
        if v == nil and entry.required then return nil, "option " .. name_text(key) .. " is missing" end
        if v ~= nil then out[key], problem = normalise(v, entry) end
        if problem then return nil, tostring(key) .. ": " .. problem end
    end
    return out
end

--- Checks and normalises a table of options.
-- @param opts   the script's table; nil is an empty one
-- @param spec   name -> { type = a type or a list of types tried in order (default "any"), default = taken when the
--               option is absent, required = true, choices = { allowed values }, min =, max = (numbers, in the
--               normalised unit), of = the specification of what is in a table, for the documentation }. Types: "duration"
--               "rate" "size" "fraction" (become numbers as units.lua reads them), "string" "boolean" "integer" "number"
--               "table" "function" "any". Names may be integers too.
-- @param where  what an error begins with: the name of the function that the script called (default none)
-- @param level  whose line an error names, counted as error() does: 1 (default) is the line that calls check, 2 the
--               line that called the function it is in (do not tail-call check then: the line would be lost)
-- @return a new table; opts is left as it was. A table among the values is the script's own, not a copy.
-- Raises for an unknown option (and names the nearest known one), a wrong type, a bad unit, a value out of range.
function options.check(opts, spec, where, level)
    local out, problem = checked(opts, spec)
    if out then return out end
    error((where and where .. ": " or "") .. problem, (level or 1) + 1)
end

--- Makes reading an undefined global an error at the line that reads it.
-- Sets env's metatable. Defining is free: a name that was ever assigned, even nil, is defined from then on. A script
-- that wants to know whether a name exists asks `rawget(_ENV, "x")`; the idiom `_ENV.x ~= nil` is a read and raises.
-- @param env             the table of globals, of one script (a library that probes for globals would break on it)
-- @param known_names_fn  called at an error only; returns a list of names to suggest from, beside env's own (optional)
-- @return env
function options.strict(env, known_names_fn)
    local assigned = {}
    local function read(_, name)
        if assigned[name] then return nil end
        local names = sorted_names(env)
        for _, known in ipairs(known_names_fn and known_names_fn() or {}) do names[#names + 1] = known end
        local near = options.nearest(name, names)
        local hint = near and " (did you mean " .. inspect.quote(near) .. "?)" or ""
        error("undefined global " .. name_text(name) .. hint, 2)
    end
    local function write(_, name, v)
        assigned[name] = true
        rawset(env, name, v)
    end
    return setmetatable(env, { __index = read, __newindex = write })
end

return options
