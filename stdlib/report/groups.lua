-- SPDX-License-Identifier: MIT
-- Runs of the same experiment with the same parameters are repetitions of each other: a group, named by what it differs in
-- from the others.

local core = require "qemunet.core"

local groups = {}

-- Characters of a value in a label.
local LONGEST = 60

local function table_of(v) return type(v) == "table" and v or {} end

local function shown(v)
    local text = type(v) == "string" and v or core.json_encode(v) or tostring(v)
    if utf8.len(text) and utf8.len(text) > LONGEST then text = text:sub(1, utf8.offset(text, LONGEST + 1) - 1) .. "..." end
    return text
end

-- What makes a run another experiment: { { name, value }, ... }, the names in order.
local function settings_of(result)
    local list, names = { { "file", tostring(result.file or "?"):gsub("^%./", "") } }, {}
    for name in pairs(table_of(result.parameters)) do names[#names + 1] = tostring(name) end
    table.sort(names)
    for _, name in ipairs(names) do list[#list + 1] = { name, result.parameters[name], is_parameter = true } end
    local args = {}
    for i, word in ipairs(table_of(result.args)) do args[i] = tostring(word) end
    if args[1] then list[#list + 1] = { "arguments", table.concat(args, " ") } end
    return list
end

local function key_of(setting) return (setting.is_parameter and "--" or "") .. setting[1] end
local function text_of(setting) return assert(core.json_encode(setting[2])) end

local function identity(settings)
    local parts = {}
    for _, setting in ipairs(settings) do parts[#parts + 1] = key_of(setting) .. "\0" .. text_of(setting) end
    return table.concat(parts, "\0\0")
end

-- How many of the groups have each setting with each value.
local function count_values(list)
    local counts = {}
    for _, group in ipairs(list) do
        for _, setting in ipairs(group.settings) do
            local key = key_of(setting) .. "\0" .. text_of(setting)
            counts[key] = (counts[key] or 0) + 1
        end
    end
    return counts
end

local function label(group, counts, n)
    local parts = {}
    for _, setting in ipairs(group.settings) do
        if counts[key_of(setting) .. "\0" .. text_of(setting)] < n then
            parts[#parts + 1] = setting.is_parameter and setting[1] .. "=" .. shown(setting[2]) or shown(setting[2])
        end
    end
    if n == 1 then return "all runs" end
    return #parts > 0 and table.concat(parts, ", ") or "without these"
end

--- groups.of(runs) -> { { label, runs = their numbers }, ... } in the order in which they come; each run ({ result = }) gets
--- the number of its `group`. Numbers are from 1 on.
function groups.of(runs)
    local list, by_identity = {}, {}
    for i, run in ipairs(runs) do
        local settings = settings_of(run.result)
        local own = identity(settings)
        local group = by_identity[own]
        if not group then
            group = { runs = {}, settings = settings, number = #list + 1 }
            by_identity[own], list[#list + 1] = group, group
        end
        group.runs[#group.runs + 1], run.group = i, group.number
    end
    local counts = count_values(list)
    for _, group in ipairs(list) do group.label = label(group, counts, #list) end
    return list
end

return groups
