-- SPDX-License-Identifier: MIT
-- What runs recorded, side by side: means and their intervals, and how far each group of runs is from the first.

local core = require "qemunet.core"
local stats = require "qemunet.stats"

local recorded = {}

-- Names of values that a comparison takes, of each run, and how deep in tables of tables.
recorded.NAMES, recorded.DEPTH = 1000, 6

local function is_list_of_numbers(v)
    if type(v) ~= "table" or #v == 0 then return false end
    local n = 0
    for _, one in pairs(v) do
        if type(one) ~= "number" then return false end
        n = n + 1
    end
    return n == #v
end

local function sorted_names(t)
    local names = {}
    for name in pairs(t) do names[#names + 1] = tostring(name) end
    table.sort(names)
    return names
end

local function add(values, name, value)
    if values.count >= recorded.NAMES then
        values.left_out = values.left_out + 1
        return
    end
    values.count, values.by_name[name] = values.count + 1, value
end

-- Tables of tables become names with dots.
local function flatten(values, name, v, depth)
    local is_object = type(v) == "table" and v[1] == nil and next(v) ~= nil
    if type(v) == "number" or is_list_of_numbers(v) then
        add(values, name, v)
    elseif is_object and depth < recorded.DEPTH then
        for _, key in ipairs(sorted_names(v)) do flatten(values, name .. "." .. key, v[key], depth + 1) end
    else
        add(values, name, type(v) == "string" and v or assert(core.json_encode(v)))
    end
end

--- recorded.values(result) -> { by_name, left_out }: each value a number, a list of numbers, or a text; and how many names
--- were too many.
function recorded.values(result)
    local values = { by_name = {}, count = 0, left_out = 0 }
    local given = type(result.recorded) == "table" and result.recorded or {}
    for _, name in ipairs(sorted_names(given)) do flatten(values, name, given[name], 1) end
    return values
end

-- n, mean, and from two values on the ends of the 95% interval.
local function summary(list)
    local lo, hi
    if #list > 1 then lo, hi = stats.ci95(list) end
    return { n = #list, mean = stats.mean(list), lo = lo, hi = hi }
end

-- What one run has: false, { value }, { n, mean, lo, hi } or { text }.
local function run_cell(v)
    if v == nil then return false end
    if type(v) == "number" then return { value = v } end
    if type(v) == "string" then return { text = v } end
    return summary(v)
end

local function texts(values)
    local list, seen = {}, {}
    for _, v in ipairs(values) do
        local text = type(v) == "string" and v or assert(core.json_encode(v))
        if not seen[text] then seen[text], list[#list + 1] = true, text end
    end
    return { texts = list }
end

local function all_same(list) return stats.stdev(list) == 0 end

-- How far `other` is from `first`, two lists of numbers.
local function difference(first, other)
    local from, to = stats.mean(first), stats.mean(other)
    local found = { value = to - from, relative = from ~= 0 and (to - from) / math.abs(from) or nil }
    if #first > 1 and #other > 1 and not (all_same(first) and all_same(other)) then
        found.value, found.lo, found.hi, found.p = stats.welch(first, other)
    end
    return found
end

local function present(values, numbers)
    local list = {}
    for _, i in ipairs(numbers) do list[#list + 1] = values[i] end
    return list
end

-- The numbers that stand for a group: a run's own list where no group has repetitions, else the mean of each run, as values of
-- one run may depend on each other.
local function sample(values, of_runs)
    if not of_runs and #values == 1 and type(values[1]) == "table" then return values[1] end
    local list = {}
    for i, v in ipairs(values) do list[i] = type(v) == "table" and stats.mean(v) or v end
    return list
end

local function are_numbers(values)
    for _, v in pairs(values) do
        if type(v) == "string" then return false end
    end
    return true
end

local function group_cells(values, groups, of_runs)
    local cells, first = {}, nil
    local numeric = are_numbers(values)
    for i, group in ipairs(groups) do
        local given = present(values, group.runs)
        if #given == 0 then
            cells[i] = false
        elseif not numeric then
            cells[i] = texts(given)
        else
            local own = sample(given, of_runs)
            cells[i] = summary(own)
            if i == 1 then first = own elseif first then cells[i].difference = difference(first, own) end
        end
    end
    return cells
end

local function differ(values, n)
    local first = values[1] ~= nil and core.json_encode(values[1])
    for i = 2, n do
        if (values[i] ~= nil and core.json_encode(values[i])) ~= first then return true end
    end
    return false
end

--- recorded.compare(runs, groups) -> { { name, differs, runs = a cell for each, groups = a cell for each }, ... }, the names in
--- order, and how many names of a run were too many. A cell: false where there is nothing; { value } or { text } of a run;
--- { n, mean, lo, hi } of a list, or of a group, and that with its `difference` to the first group: { value, relative, lo, hi,
--- p }; or { texts }.
function recorded.compare(runs, groups)
    local of_runs, by_name, left_out = #groups < #runs, {}, 0
    for i, run in ipairs(runs) do
        local own = recorded.values(run.result)
        left_out = math.max(left_out, own.left_out)
        for name, v in pairs(own.by_name) do
            by_name[name] = by_name[name] or {}
            by_name[name][i] = v
        end
    end
    local list = {}
    for i, name in ipairs(sorted_names(by_name)) do
        local values, cells = by_name[name], {}
        for r = 1, #runs do cells[r] = run_cell(values[r]) end
        list[i] = { name = name, differs = differ(values, #runs), runs = cells,
            groups = group_cells(values, groups, of_runs) }
    end
    return list, left_out
end

return recorded
