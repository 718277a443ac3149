-- SPDX-License-Identifier: MIT
-- The entries of faults{}: what a script says, read and checked.

local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local kinds = require "qemunet.faults.kinds"
local options = require "qemunet.options"
local schedule = require "qemunet.faults.schedule"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local entries = {}

local function read_duration(v) return units.parse("duration", v) end

local NAMES = inspect.keys(kinds.ALL)

-- A value, or { least, greatest }: returns both.
local function read_range(v, read, where)
    local both = type(v) == "table" and v or { v, v }
    if #both ~= 2 then errors.raise(where .. ": want a value, or { least, greatest }") end
    local range = {}
    for i = 1, 2 do
        local value, problem = read(both[i])
        if not value then errors.raise(("%s: %s"):format(where, problem)) end
        range[i] = value
    end
    if range[1] > range[2] then errors.raise(where .. ": the first is to be the lesser") end
    return range
end

local function is_list(v) return type(v) == "table" and getmetatable(v) == nil end

local function shown(v)
    if type(v) == "table" and getmetatable(v) then return tostring(v) end
    return inspect(v, { depth = 1, string = 60 })
end

local function find_all(what, list, where)
    local names = {}
    for i, v in ipairs(list) do
        local found = kinds.find(what, v)
        if not found then errors.raise(("%s: %s is no %s of this experiment"):format(where, shown(v), what)) end
        names[i] = found.name
    end
    if #names == 0 then errors.raise(("%s: there are no %ss"):format(where, what)) end
    return names
end

-- The names of links or nodes that an entry is for.
local function read_targets(entry, what, where)
    local one, many = entry[what], entry[what .. "s"]
    if (one == nil) == (many == nil) then errors.raise(("%s: want %s= or %ss={...}"):format(where, what, what)) end
    if many ~= nil and not is_list(many) then errors.raise(("%s: %ss: want a list"):format(where, what)) end
    local names = find_all(what, many or { one }, where)
    if what == "node" then
        for _, name in ipairs(names) do kinds.check_node(entry[1], name, where) end
    end
    return names
end

local function read_groups(entry, where)
    if entry.groups == nil or entry.groups == "random" then
        local all = is_list(entry.nodes) and entry.nodes or testbed.nodes()
        local names = find_all("node", all, where)
        if #names < 2 then errors.raise(where .. ": want two nodes or more") end
        return { random = names }
    end
    if entry.nodes then errors.raise(where .. ': nodes= is for groups="random"') end
    if not is_list(entry.groups) or #entry.groups < 2 then
        errors.raise(where .. ': groups: want "random", or two lists of nodes or more')
    end
    local groups = {}
    for i, group in ipairs(entry.groups) do groups[i] = find_all("node", is_list(group) and group or { group }, where) end
    return { fixed = groups }
end

local COMMON = { "at", "lasts", "weight" }
local TARGETS = { link = { "link", "links" }, node = { "node", "nodes" }, groups = { "groups", "nodes" } }

-- The names of the options of a kind, as options.check takes them.
local function spec_of(kind)
    local spec, info = { [1] = { type = "string", required = true } }, kinds.ALL[kind]
    for _, names in ipairs { COMMON, TARGETS[info.of], info.needs or {}, info.takes or {} } do
        for _, name in ipairs(names) do spec[name] = { type = "any" } end
    end
    spec.at, spec.weight = { type = "duration" }, { type = "number", default = 1, min = 0 }
    return spec
end

options.entries.faults = function(kind)
    if kinds.ALL[kind] then return spec_of(kind) end
    return nil, kinds.ALL
end

local function check_kind(entry, where)
    local kind = is_list(entry) and entry[1]
    if type(kind) ~= "string" then
        errors.raise(where .. ': want a table that begins with a kind, as { "cut", link = ... }')
    end
    if kinds.ALL[kind] then return kinds.ALL[kind] end
    errors.raise(("%s: unknown kind %q%s (known: %s)"):format(where, kind, options.hint(kind, kinds.ALL),
        table.concat(NAMES, ", ")))
end

local function read_parameters(entry, info, where)
    local ranges, given = {}, false
    for _, name in ipairs(info.needs or {}) do
        if entry[name] == nil then errors.raise(("%s: want %s="):format(where, name)) end
    end
    for name, parameter in pairs(kinds.PARAMETERS) do
        if entry[name] ~= nil then
            ranges[name], given = read_range(entry[name], parameter.read, where .. ": " .. name), true
        end
    end
    if info.takes and not given then errors.raise(("%s: want %s="):format(where, table.concat(info.takes, "= or "))) end
    return ranges
end

-- One entry of the script's table, its names and ranges read.
local function read_entry(entry, i, level)
    local where = ("faults: entry %d"):format(i)
    local info = check_kind(entry, where)
    local kind = entry[1]
    where = ("faults: entry %d (%s)"):format(i, kind)
    local checked = options.check(entry, spec_of(kind), where, level + 1)
    return {
        kind = kind, at = checked.at, weight = checked.weight, ranges = read_parameters(entry, info, where),
        groups = info.of == "groups" and read_groups(entry, where) or nil,
        names = info.of ~= "groups" and read_targets(entry, info.of, where) or nil,
        lasts = entry.lasts ~= nil and read_range(entry.lasts, read_duration, where .. ": lasts") or nil,
    }
end

local OPTIONS = options.register({ during = { type = "duration" }, every = { type = "duration" } }, "faults")

local function check_whole(read, level)
    local random, latest = false, 0
    for i, entry in ipairs(read.entries) do
        if entry.at then latest = math.max(latest, entry.at) else random = true end
        if entry.at and read.during and entry.at >= read.during then
            error(("faults: entry %d (%s): at %g s it is over, which is during %g s"):format(i, entry.kind, entry.at,
                read.during), level + 1)
        end
    end
    if random and not (read.during and read.every and read.every > 0) then
        error("faults: entries without at= are random: want during= (how long) and every= (the mean time between two)",
            level + 1)
    end
    if read.every and not random then error("faults: every= is for random entries, and all have at=", level + 1) end
    if random and read.during / read.every > schedule.MOST / 2 then
        error(("faults: these are too many: about %.0f (%d at most)"):format(read.during / read.every, schedule.MOST // 2),
            level + 1)
    end
end

--- Reads the table that a script gives to faults{}. Raises at its line. Returns what schedule.make takes.
function entries.read(spec, level)
    if not is_list(spec) then error("faults: want a table", level + 1) end
    local named = {}
    for key, value in pairs(spec) do
        if math.type(key) ~= "integer" then named[key] = value end
    end
    local checked = options.check(named, OPTIONS, "faults", level + 1)
    local read = { during = checked.during, every = checked.every, entries = {} }
    for i, entry in ipairs(spec) do read.entries[i] = read_entry(entry, i, level + 1) end
    check_whole(read, level + 1)
    return read
end

return entries
