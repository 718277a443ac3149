-- SPDX-License-Identifier: MIT
-- Several runs side by side, as one page that opens from the disk: qemunet report A B ...

local core = require "qemunet.core"
local groups = require "qemunet.report.groups"
local page = require "qemunet.report.page"
local recorded = require "qemunet.report.recorded"
local recorder = require "qemunet.record.recorder"
local rows = require "qemunet.report.rows"
local thinning = require "qemunet.report.thinning"

local comparison = {}

--- How many runs at once.
comparison.RUNS = 20

-- Rows of links that a page takes, of all runs; tests of a run that are compared.
local LINKS, TESTS = 100000, 2000

local function table_of(v) return type(v) == "table" and v or {} end

local function read_result(folder)
    if core.stat(folder) ~= "folder" then return nil, "there is no such folder" end
    local result, why = recorder.read_result(folder)
    if not result then return nil, why end
    if type(result.format) ~= "number" or type(result.verdict) ~= "string" then
        return nil, "its result.json is damaged: it has no format or no verdict"
    end
    return result
end

-- The last part of each folder's name, or all of it where that is not enough to tell them apart.
local function name_runs(runs)
    local count = {}
    for _, run in ipairs(runs) do
        run.name = run.folder:match("([^/]+)/*$") or run.folder
        count[run.name] = (count[run.name] or 0) + 1
    end
    for _, run in ipairs(runs) do
        if count[run.name] > 1 then run.name = run.folder end
    end
end

--- comparison.read(folders) -> runs, { { folder, name, result }, ... }; or nil and why, with the folder's name.
function comparison.read(folders)
    local runs, seen = {}, {}
    for i, folder in ipairs(folders) do
        local result, why = read_result(folder)
        if not result then return nil, ("%s: %s"):format(folder, why) end
        local real = core.real_path(folder)
        if seen[real] then return nil, folder .. " is given twice" end
        seen[real], runs[i] = true, { folder = folder, result = result }
    end
    name_runs(runs)
    return runs
end

local function as_text(v)
    if v == nil then return false end
    if type(v) == "string" or type(v) == "number" then return v end
    return assert(core.json_encode(v))
end

-- One thing of all runs, for the page: { section, name, values, differs }.
local function fact(list, section, name, runs, get)
    local values, differs, is_there = {}, false, false
    for i, run in ipairs(runs) do
        values[i] = as_text(get(run.result))
        differs, is_there = differs or values[i] ~= values[1], is_there or values[i] ~= false
    end
    if is_there then list[#list + 1] = { section = section, name = name, values = values, differs = differs } end
end

local function words(args)
    local list = {}
    for i, word in ipairs(table_of(args)) do list[i] = tostring(word) end
    return #list > 0 and table.concat(list, " ") or nil
end

local VERSIONS = { { "qemunet", "qemunet" }, { "qemu", "QEMU" }, { "accelerator", "accelerator" },
    { "guest_kernel", "guest's kernel" }, { "lua", "Lua" } }
local HOST = { { "kernel", "host's kernel" }, { "machine", "architecture" }, { "cpus", "processors" }, { "memory", "memory" },
    { "libuv", "libuv" } }

local function parameter_names(runs)
    local names, seen = {}, {}
    for _, run in ipairs(runs) do
        for name in pairs(table_of(run.result.parameters)) do
            if not seen[name] then seen[name], names[#names + 1] = true, name end
        end
    end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    return names
end

local function facts(runs)
    local list = {}
    for _, name in ipairs(parameter_names(runs)) do
        fact(list, "Parameters", tostring(name), runs, function(result) return table_of(result.parameters)[name] end)
    end
    fact(list, "Set-up", "file", runs, function(result) return result.file end)
    fact(list, "Set-up", "arguments", runs, function(result) return words(result.args) end)
    fact(list, "Set-up", "seed", runs, function(result) return result.seed end)
    for _, entry in ipairs(VERSIONS) do
        fact(list, "Set-up", entry[2], runs, function(result) return table_of(result.versions)[entry[1]] end)
    end
    for _, entry in ipairs(HOST) do
        fact(list, "Host", entry[2], runs, function(result) return table_of(result.host)[entry[1]] end)
    end
    fact(list, "Outcome", "verdict", runs, function(result) return result.verdict end)
    fact(list, "Outcome", "fidelity", runs, function(result) return table_of(result.fidelity).verdict end)
    fact(list, "Outcome", "format of the files", runs, function(result) return result.format end)
    return list
end

-- A name that comes again in a run is another test.
local function outcomes(result)
    local list, count = {}, {}
    for i, test in ipairs(table_of(result.tests)) do
        if i > TESTS then break end
        local name = tostring(table_of(test).name)
        count[name] = (count[name] or 0) + 1
        if count[name] > 1 then name = ("%s (%d)"):format(name, count[name]) end
        list[i] = { name = name, outcome = tostring(table_of(test).outcome) }
    end
    return list
end

local function tests(runs)
    local list, by_name = {}, {}
    for r, run in ipairs(runs) do
        for _, test in ipairs(outcomes(run.result)) do
            local one = by_name[test.name]
            if not one then
                one = { name = test.name, values = {} }
                for i = 1, #runs do one.values[i] = false end
                by_name[test.name], list[#list + 1] = one, one
            end
            one.values[r] = test.outcome
        end
    end
    for _, one in ipairs(list) do
        for i = 2, #runs do one.differs = one.differs or one.values[i] ~= one.values[1] end
        one.differs = one.differs or false
    end
    return list
end

--- comparison.notes(runs) -> list of texts: what a reader must know before comparing.
function comparison.notes(runs)
    local list, formats, order = {}, {}, {}
    for _, run in ipairs(runs) do
        local format = run.result.format
        if not formats[format] then formats[format], order[#order + 1] = {}, format end
        table.insert(formats[format], run.name)
        if format > recorder.FORMAT then
            list[#list + 1] = ("%s is of format %s; this program knows formats up to %d, and may misread it"):format(run.name,
                tostring(format), recorder.FORMAT)
        end
    end
    if #order > 1 then
        table.sort(order)
        for i, format in ipairs(order) do
            order[i] = ("%s of %s"):format(tostring(format), table.concat(formats[format], ", "))
        end
        list[#list + 1] = "the runs' files are of different formats, and what they record may not mean the same: " ..
            table.concat(order, "; ")
    end
    return list
end

-- A run as the page lists it; how long it was matters to the plots.
local function about(run, has_report)
    local result = run.result
    local fidelity = table_of(result.fidelity)
    local reason = table_of(table_of(fidelity.reasons)[1])
    return { name = run.name, folder = run.folder, group = run.group, verdict = result.verdict, error = as_text(result.error),
        fidelity = as_text(fidelity.verdict), reason = as_text(reason.text), seed = as_text(result.seed),
        started = as_text(result.started), duration = tonumber(result.duration) or 0, report = has_report }
end

-- The block of all runs' series, or links: an array of what rows puts for each. Returns what that says of each.
local function put_all(out, id, runs, limit)
    local list, every = {}, {}
    out:begin(id)
    for i, run in ipairs(runs) do
        out:put(i == 1 and "[" or ",")
        list[i], every[i] = rows[id](out, run.folder, math.max(100, limit // #runs))
    end
    out:put("]")
    out:finish()
    return list, every
end

-- Where a run's report is from the page; only where that is plain.
local function report_of(run, path)
    local is_below = not path:find("/", 1, true) and run.folder:sub(1, 1) ~= "/" and not run.folder:find("..", 1, true)
    return is_below and core.stat(run.folder .. "/report.html") == "file" and run.folder .. "/report.html" or false
end

local function put_data(out, runs, path)
    local list, of = {}, groups.of(runs)
    local shown, left_out = recorded.compare(runs, of)
    local series = put_all(out, "series", runs, thinning.VALUES)
    local links, joined = put_all(out, "links", runs, LINKS)
    for i, run in ipairs(runs) do
        list[i] = about(run, report_of(run, path))
        list[i].series, list[i].every, list[i].links, list[i].joined = series[i].list, series[i].every, links[i], joined[i]
    end
    local labels = {}
    for i, group in ipairs(of) do labels[i] = { label = group.label, runs = group.runs } end
    out:value("comparison", { program = core.VERSION, runs = list, groups = labels, facts = facts(runs), recorded = shown,
        recorded_left_out = left_out, tests = tests(runs), notes = comparison.notes(runs) })
end

--- comparison.write(runs, path) -> path; or nil and why: writes the page of runs (comparison.read), whole or not at all.
function comparison.write(runs, path)
    return page.write("comparison", path, function(out) put_data(out, runs, path) end)
end

return comparison
