-- SPDX-License-Identifier: MIT
-- Schedules of faults as plain records: made from entries and the run's seed, checked, and shown. A record is
-- { at = seconds from the start, kind =, target = a node's or link's name, or lists of names (partition), lasts =
-- seconds or nil: to the end } and what its kind needs: by (skew), delay, rate (slow), loss (lossy).

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local kinds = require "qemunet.faults.kinds"
local units = require "qemunet.units"

local schedule = {}

--- So many faults in one schedule at most.
schedule.MOST = 10000

-- The first of the generators' numbers of faults; see core.generator.
local GENERATORS = 1 << 62 | 0xfa << 48

local RESOLUTION = 1000 -- parts of a second that times are rounded to

local function round(seconds) return math.floor(seconds * RESOLUTION + 0.5) / RESOLUTION end

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
    while #entries > 0 and #list < schedule.MOST do
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
    if kinds.ALL[record.kind].of ~= "groups" then return { record.target } end
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
    local info = type(record) == "table" and kinds.ALL[record.kind]
    if not info then return "an unknown kind" end
    if not is_number(record.at, 0) then return "no time (at)" end
    if record.lasts ~= nil and not is_number(record.lasts, 0) then return "a bad duration (lasts)" end
    if info.of == "groups" then return groups_problem(record.target) end
    if type(record.target) ~= "string" then return "no target" end
    for _, name in ipairs(info.needs or {}) do
        if record[name] == nil then return "no " .. name end
    end
    for name in pairs(kinds.PARAMETERS) do
        if record[name] ~= nil and not kinds.PARAMETERS[name].read(record[name]) then return "a bad " .. name end
    end
    if info.takes and not record.delay and not record.rate then return "neither delay nor rate" end
end

--- What is wrong with the shape of a list of records, or nil.
function schedule.problem(list)
    if type(list) ~= "table" then return "it is no list" end
    if #list > schedule.MOST then return ("it has %d faults (%d at most)"):format(#list, schedule.MOST) end
    for i, record in ipairs(list) do
        local problem = record_problem(record)
        if problem then return ("fault %d has %s"):format(i, problem) end
    end
end

--- Raises unless every name of a schedule is one of this experiment. `where`: what an error begins with.
function schedule.check_names(list, where)
    for i, record in ipairs(list) do
        local what = kinds.ALL[record.kind].of == "link" and "link" or "node"
        for _, name in ipairs(names_of(record)) do
            if not kinds.find(what, name) then
                errors.raise(("%s: fault %d (%s): this experiment has no %s %q; the schedule is of another one, or it " ..
                    "has changed since"):format(where, i, record.kind, what, name))
            end
        end
        if what == "node" and record.kind ~= "partition" then kinds.check_node(record.kind, record.target, where) end
    end
    return sort(table.move(list, 1, #list, 1, {}))
end

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
        if record[name] then parts[#parts + 1] = ("%s %s"):format(name, kinds.PARAMETERS[name].show(record[name])) end
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
