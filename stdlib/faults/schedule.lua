-- SPDX-License-Identifier: MIT
-- Schedules of faults as plain records: made from what a script says and the run's seed, checked, and shown. A record is
-- { at = seconds from the start, kind =, target = a node's or link's name, or lists of names (partition), lasts =
-- seconds or nil: to the end } and what its kind needs: by (skew), delay, rate (slow), loss (lossy).

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local link = require "qemunet.network.link"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local traces = require "qemunet.network.traces"
local units = require "qemunet.units"

local schedule = {}

-- The first of the generators' numbers of faults; see core.generator.
local GENERATORS = 1 << 62 | 0xfa << 48

-- So many faults in one schedule at most.
local MOST = 10000

local RESOLUTION = 1000 -- parts of a second that times are rounded to

local function number_reader(kind)
    return function(v) return units.parse(kind, v) end
end

local function show_signed(v) return (v < 0 and "-" or "+") .. units.format_duration(math.abs(v)) end

-- What each kind is done to, and what it needs: how to read a value of it, and how to show one.
local PARAMETERS = {
    by = { read = traces.signed_duration, show = show_signed },
    delay = { read = number_reader "duration", show = units.format_duration },
    rate = { read = number_reader "rate", show = units.format_rate },
    loss = { read = number_reader "fraction", show = function(v) return ("%.4g %%"):format(100 * v) end },
}

schedule.KINDS = {
    cut = { of = "link" },
    crash = { of = "node" },
    pause = { of = "node" },
    partition = { of = "groups" },
    skew = { of = "node", needs = { "by" } },
    slow = { of = "link", takes = { "delay", "rate" } },
    lossy = { of = "link", needs = { "loss" } },
}

local KIND_NAMES = inspect.keys(schedule.KINDS)

-- Reading what a script says --------------------------------------------------------------------------------------------

local function round(seconds) return math.floor(seconds * RESOLUTION + 0.5) / RESOLUTION end

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

local function find_link(v)
    if type(v) == "table" and link.is_link(v) then return v end
    for _, each in ipairs(testbed.links()) do
        if each.name == v then return each end
    end
end

local function find_node(v)
    if type(v) == "string" then return testbed.find(v) end
    if type(v) == "table" and type(rawget(v, "nics")) == "table" and testbed.find(rawget(v, "name")) == v then return v end
end

local FIND = { link = find_link, node = find_node }

local function shown(v)
    if type(v) == "table" and getmetatable(v) then return tostring(v) end
    return inspect(v, { depth = 1, string = 60 })
end

local function find_all(what, list, where)
    local names = {}
    for i, v in ipairs(list) do
        local found = FIND[what](v)
        if not found then errors.raise(("%s: %s is no %s of this experiment"):format(where, shown(v), what)) end
        names[i] = found.name
    end
    if #names == 0 then errors.raise(("%s: there are no %ss"):format(where, what)) end
    return names
end

-- Raises unless a kind can be done to a node.
local function check_node(kind, name, where)
    local class = getmetatable(testbed.find(name)).__name
    if class == "vm" or class == "host" and kind ~= "skew" then return end
    local why = class == "host" and "its clock is this machine's" or "it is simulated"
    errors.raise(("%s: %s %s cannot have this fault: %s"):format(where, class, name, why))
end

-- The names of links or nodes that an entry is for.
local function read_targets(entry, what, where)
    local one, many = entry[what], entry[what .. "s"]
    if (one == nil) == (many == nil) then errors.raise(("%s: want %s= or %ss={...}"):format(where, what, what)) end
    if many ~= nil and not is_list(many) then errors.raise(("%s: %ss: want a list"):format(where, what)) end
    local names = find_all(what, many or { one }, where)
    if what == "node" then
        for _, name in ipairs(names) do check_node(entry[1], name, where) end
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
    local spec, info = { [1] = { type = "string", required = true } }, schedule.KINDS[kind]
    for _, names in ipairs { COMMON, TARGETS[info.of], info.needs or {}, info.takes or {} } do
        for _, name in ipairs(names) do spec[name] = { type = "any" } end
    end
    spec.at, spec.weight = { type = "duration" }, { type = "number", default = 1, min = 0 }
    return spec
end

options.entries.faults = function(kind)
    if schedule.KINDS[kind] then return spec_of(kind) end
    return nil, schedule.KINDS
end

local function check_kind(entry, where)
    local kind = is_list(entry) and entry[1]
    if type(kind) ~= "string" then
        errors.raise(where .. ': want a table that begins with a kind, as { "cut", link = ... }')
    end
    if schedule.KINDS[kind] then return schedule.KINDS[kind] end
    errors.raise(("%s: unknown kind %q%s (known: %s)"):format(where, kind, options.hint(kind, schedule.KINDS),
        table.concat(KIND_NAMES, ", ")))
end

local function read_parameters(entry, info, where)
    local ranges, given = {}, false
    for _, name in ipairs(info.needs or {}) do
        if entry[name] == nil then errors.raise(("%s: want %s="):format(where, name)) end
    end
    for name, parameter in pairs(PARAMETERS) do
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
        lasts = entry.lasts ~= nil and read_range(entry.lasts, number_reader "duration", where .. ": lasts") or nil,
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
    if random and read.during / read.every > MOST / 2 then
        error(("faults: these are too many: about %.0f (%d at most)"):format(read.during / read.every, MOST // 2), level + 1)
    end
end

--- Reads the table that a script gives to faults{}. Raises at its line. Returns what schedule.make takes.
function schedule.read(spec, level)
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

-- Making one ------------------------------------------------------------------------------------------------------------

local function between(generator, range) return range[1] + generator:unit() * (range[2] - range[1]) end

local function one_of(generator, list) return list[math.floor(generator:unit() * #list) + 1] end

-- Each node on either side at random; if all are on one, one of them goes over.
local function split(generator, names)
    local groups = { {}, {} }
    for _, name in ipairs(names) do table.insert(groups[generator:unit() < 0.5 and 1 or 2], name) end
    local full = #groups[1] == 0 and groups[2] or #groups[2] == 0 and groups[1]
    if full then
        local moved = table.remove(full, math.floor(generator:unit() * #full) + 1)
        table.insert(full == groups[1] and groups[2] or groups[1], moved)
    end
    return groups
end

local function choose_target(entry, generator)
    if entry.names then return one_of(generator, entry.names) end
    return entry.groups.fixed or split(generator, entry.groups.random)
end

local function record_of(entry, at, generator)
    local record = { at = round(at), kind = entry.kind, target = choose_target(entry, generator) }
    if entry.lasts then record.lasts = round(between(generator, entry.lasts)) end
    for _, name in ipairs(inspect.keys(entry.ranges)) do
        local value = between(generator, entry.ranges[name])
        record[name] = tonumber(("%.6g"):format(value)) -- what is written down is what ran
    end
    return record
end

local function by_weight(entries, generator)
    local total = 0
    for _, entry in ipairs(entries) do total = total + entry.weight end
    local left = generator:unit() * total
    for _, entry in ipairs(entries) do
        left = left - entry.weight
        if left < 0 then return entry end
    end
    return entries[#entries]
end

local function add_random(list, read, generator)
    local entries, at = {}, 0
    for _, entry in ipairs(read.entries) do
        if not entry.at and entry.weight > 0 then entries[#entries + 1] = entry end
    end
    while #entries > 0 and #list < MOST do
        at = at - math.log(1 - generator:unit()) * read.every
        if at >= read.during then break end
        list[#list + 1] = record_of(by_weight(entries, generator), at, generator)
    end
end

local function sort(list)
    local place = {}
    for i, record in ipairs(list) do place[record] = i end
    table.sort(list, function(a, b)
        if a.at ~= b.at then return a.at < b.at end
        return place[a] < place[b]
    end)
    return list
end

--- The schedule number `n` of a run: what its seed makes of what was read, in the order of time.
function schedule.make(read, n)
    local list = {}
    local random, fixed = core.generator(GENERATORS | n << 1), core.generator(GENERATORS | n << 1 | 1)
    add_random(list, read, random)
    for _, entry in ipairs(read.entries) do
        if entry.at then list[#list + 1] = record_of(entry, entry.at, fixed) end
    end
    return sort(list)
end

--- When the last fault of a schedule is over; nil: one of them has no end of its own.
function schedule.ends(list)
    local last = 0
    for _, record in ipairs(list) do
        if not record.lasts then return nil end
        last = math.max(last, record.at + record.lasts)
    end
    return last
end

-- Schedules from elsewhere -----------------------------------------------------------------------------------------------

local function is_number(v, least) return type(v) == "number" and v - v == 0 and v >= least end

local function names_of(record)
    if schedule.KINDS[record.kind].of ~= "groups" then return { record.target } end
    local names = {}
    for _, group in ipairs(record.target) do table.move(group, 1, #group, #names + 1, names) end
    return names
end

local function groups_problem(target)
    if type(target) ~= "table" or #target < 2 then return "a target that is not two lists of names or more" end
    for _, group in ipairs(target) do
        if type(group) ~= "table" then return "a target that is no list of lists" end
        for _, name in ipairs(group) do
            if type(name) ~= "string" then return "a target with something else than names" end
        end
    end
end

local function record_problem(record)
    local info = type(record) == "table" and schedule.KINDS[record.kind]
    if not info then return "an unknown kind" end
    if not is_number(record.at, 0) then return "no time (at)" end
    if record.lasts ~= nil and not is_number(record.lasts, 0) then return "a bad duration (lasts)" end
    if info.of == "groups" then return groups_problem(record.target) end
    if type(record.target) ~= "string" then return "no target" end
    for _, name in ipairs(info.needs or {}) do
        if record[name] == nil then return "no " .. name end
    end
    for name in pairs(PARAMETERS) do
        if record[name] ~= nil and not PARAMETERS[name].read(record[name]) then return "a bad " .. name end
    end
    if info.takes and not record.delay and not record.rate then return "neither delay nor rate" end
end

--- What is wrong with the shape of a list of records, or nil.
function schedule.problem(list)
    if type(list) ~= "table" then return "it is no list" end
    if #list > MOST then return ("it has %d faults (%d at most)"):format(#list, MOST) end
    for i, record in ipairs(list) do
        local problem = record_problem(record)
        if problem then return ("fault %d has %s"):format(i, problem) end
    end
end

--- Raises unless every name of a schedule is one of this experiment. `where`: what an error begins with.
function schedule.check_names(list, where)
    for i, record in ipairs(list) do
        local what = schedule.KINDS[record.kind].of == "link" and "link" or "node"
        for _, name in ipairs(names_of(record)) do
            if not FIND[what](name) then
                errors.raise(("%s: fault %d (%s): this experiment has no %s %q; the schedule is of another one, or it " ..
                    "has changed since"):format(where, i, record.kind, what, name))
            end
        end
        if what == "node" and record.kind ~= "partition" then check_node(record.kind, record.target, where) end
    end
    return sort(table.move(list, 1, #list, 1, {}))
end

--- The link or node of that name; nil when it is there no more.
function schedule.find(what, name) return FIND[what](name) end

-- Showing ----------------------------------------------------------------------------------------------------------------

--- What a record's target is, in words.
function schedule.target_text(record)
    if type(record.target) == "string" then return record.target end
    local groups = {}
    for i, group in ipairs(record.target) do groups[i] = table.concat(group, " ") end
    return table.concat(groups, " | ")
end

local function details(record)
    local parts = {}
    for _, name in ipairs { "by", "delay", "rate", "loss" } do
        if record[name] then parts[#parts + 1] = ("%s %s"):format(name, PARAMETERS[name].show(record[name])) end
    end
    if record.lasts then parts[#parts + 1] = "lasts " .. units.format_duration(record.lasts) end
    if record.skipped then parts[#parts + 1] = "skipped: " .. record.skipped end
    return table.concat(parts, ", ")
end

--- A schedule for people: a line for each fault.
function schedule.text(list)
    if #list == 0 then return "  no faults" end
    local lines, kind_width, target_width = {}, 0, 0
    for _, record in ipairs(list) do
        kind_width = math.max(kind_width, #record.kind)
        target_width = math.max(target_width, #schedule.target_text(record))
    end
    for i, record in ipairs(list) do
        local line = ("  %8.3f s  %-" .. kind_width .. "s  %-" .. target_width .. "s  %s"):format(record.at, record.kind,
            schedule.target_text(record), details(record))
        lines[i] = line:gsub("%s+$", "")
    end
    return table.concat(lines, "\n")
end

return schedule
