-- SPDX-License-Identifier: MIT
-- What stdlib/record/FORMATS.md says, and whether a run's folder keeps to it, for the tests: require "formats".

local core = require "qemunet.core"
local qemunet = require "qemunet"
local recorder = require "qemunet.record.recorder"

local check, json, re = qemunet.check, qemunet.json, qemunet.re

local formats = {}

local function lines_of(path) return assert(io.open(path, "rb")):lines() end

-- The tables of a section: {[its name] = {[field] = { type =, optional = }}}; a title in ### with several names is as many.
local function read(path)
    local sections, into = {}, {}
    for line in lines_of(path) do
        local section, title = line:match("^## (.+)$"), line:match("^### (.+)$")
        local field, kind, optional = line:match("^| `([%w_]+)` | (%a+)(%??) |")
        if section then
            into = { {} }
            sections[section] = { [""] = into[1] }
            sections.last = sections[section]
        elseif title then
            into = {}
            for name in title:gmatch("`(%w+)`") do
                into[#into + 1] = {}
                sections.last[name] = into[#into]
            end
        elseif field then
            for _, fields in ipairs(into) do fields[field] = { type = kind, optional = optional == "?" } end
        end
    end
    return sections
end

-- An object in JSON that is empty is an array without entries in Lua too.
local TYPES = {
    string = function(v) return type(v) == "string" end,
    number = function(v) return type(v) == "number" end,
    integer = function(v) return math.type(v) == "integer" end,
    boolean = function(v) return type(v) == "boolean" end,
    array = function(v) return type(v) == "table" and (#v > 0 or next(v) == nil) end,
    object = function(v) return type(v) == "table" and #v == 0 end,
    any = function() return true end,
}

-- What is wrong with an object, by tables of fields; nil for nothing.
local function problem_of(object, ...)
    local known = {}
    for _, fields in ipairs { ... } do
        for field, rule in pairs(fields) do
            known[field] = true
            local value = object[field]
            if value == nil and not rule.optional then return ("%s is missing"):format(field) end
            if value ~= nil and not TYPES[rule.type](value) then
                return ("%s is no %s: %s"):format(field, rule.type, tostring(value))
            end
        end
    end
    for field in pairs(object) do
        if not known[field] then return ("%s is not in FORMATS.md"):format(field) end
    end
end

local here = debug.getinfo(1, "S").source:match("^@?(.*)/[^/]*$")
local document = read(here .. "/../../stdlib/record/FORMATS.md")

--- Runs an experiment, beside this file or with a path of its own, in a process. Returns its folder and its exit status.
function formats.run(path)
    local folder = ("%s/%s"):format(recorder.folder(), path:match("([^/]*)%.lua$"))
    local ended = core.future()
    local script = path:find("/", 1, true) and path or here .. "/" .. path
    local process = assert(core.process { "/proc/self/exe", "run", script, "-q", "--seed", "1", "--out", folder,
        output = recorder.folder() .. "/output", on_end = function(status) ended:set(status) end })
    local guard <close> = setmetatable({}, { __close = function()
        process:stop()
        core.wait({ ended }, 5)
        process:close()
    end })
    core.wait({ ended }, 120)
    return folder, (ended:values())
end

--- Raises unless each event of a folder is one that is documented. Returns how many there are of each kind.
function formats.check_events(folder)
    local kinds, count, n = document["events.jsonl"], {}, 0
    for line in lines_of(folder .. "/events.jsonl") do
        local event = assert(json.decode(line))
        n = n + 1
        local fields = event.kind ~= "" and kinds[event.kind]
        local problem = fields and problem_of(event, kinds[""], fields) or not fields and "the kind is not in FORMATS.md"
        if problem then error(("event %d: %s: %s"):format(n, problem, line)) end
        if n == 1 then check.equal({ event.kind, event.format }, { "start", 1 }) end
        count[event.kind] = (count[event.kind] or 0) + 1
    end
    return count
end

--- Raises unless result.json is as documented. Returns it.
function formats.check_result(folder)
    local result = assert(json.decode(assert(io.open(folder .. "/result.json", "rb")):read("a")))
    local problem = problem_of(result, document["result.json"][""])
    if problem then error("result.json: " .. problem) end
    return result
end

--- Raises unless series.csv is as documented. Returns how many values it has.
function formats.check_series(folder)
    local lines, n = lines_of(folder .. "/series.csv"), 0
    local head = {}
    for column in lines():gmatch("[^,]+") do head[column] = document["series.csv"][""][column] or error(column) end
    check.equal(head, document["series.csv"][""])
    local row = ""
    for line in lines do
        row = row .. line
        if select(2, row:gsub('"', "")) % 2 == 0 then -- else a name goes on in the next line
            check.is_true(re.find(row, [[^\d+\.\d{6},("([^"]|"")*"|[^",]+),[^,]*,-?[0-9.e+-]+$]]) ~= nil, row)
            n, row = n + 1, ""
        end
    end
    return n
end

-- Slices on one thread, {from, to} in ns: each is inside of the one that it begins in, or outside of it.
local function check_nesting(slices, name)
    table.sort(slices, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] > b[2] end)
    local stack = {}
    for _, slice in ipairs(slices) do
        while #stack > 0 and stack[#stack][2] <= slice[1] do table.remove(stack) end
        if #stack > 0 and slice[2] > stack[#stack][2] then
            error(("thread %s: a slice from %d to %d ns reaches beyond %d"):format(name, slice[1], slice[2], stack[#stack][2]))
        end
        stack[#stack + 1] = slice
    end
end

local function ns(us) return math.floor(us * 1000 + 0.5) end

local PHASES = { B = true, E = true, X = true, i = true, C = true, M = true }

--- Raises unless trace.json is in the Chrome trace event format, and its slices nest. Returns {[process] = {[thread] = how many
--- slices}}, and the instants' and counters' names as sets.
function formats.check_trace(folder)
    local file = assert(json.decode(assert(io.open(folder .. "/trace.json", "rb")):read("a")))
    check.equal(file.otherData, { format = 1 })
    local names, slices, open, instants, counters, last = {}, {}, {}, {}, {}, {}
    for i, e in ipairs(file.traceEvents) do
        local key = ("%s %s"):format(e.pid, e.tid)
        local placed = math.type(e.pid) == "integer" and math.type(e.tid) == "integer" and type(e.ts) == "number" and e.ts >= 0
        if not PHASES[e.ph] or not placed then error(("trace event %d: %s"):format(i, json.encode(e))) end
        slices[key], open[key] = slices[key] or {}, open[key] or {}
        if e.ph ~= "E" then check.is_true(type(e.name) == "string") end
        if e.ph == "M" then
            names[key] = e.name:find("_name$") and e.args.name or names[key]
        elseif e.ph == "X" then
            check.is_true(e.dur >= 0)
            table.insert(slices[key], { ns(e.ts), ns(e.ts) + ns(e.dur) })
        elseif e.ph == "B" then
            if (last[key] or 0) > e.ts then error(("trace event %d is before the one before: %s"):format(i, json.encode(e))) end
            table.insert(open[key], e.ts)
        elseif e.ph == "E" then
            table.insert(slices[key], { ns(table.remove(open[key])), ns(e.ts) })
        elseif e.ph == "i" then
            check.match(e.s, "^[gpt]$")
            instants[e.name] = true
        else
            check.equal(type(select(2, next(e.args))), "number")
            counters[e.name] = true
        end
        if e.ph == "B" or e.ph == "E" then last[key] = e.ts end
    end
    local found = {}
    for key, list in pairs(slices) do
        check.equal(#open[key], 0, "all that was begun is ended")
        check_nesting(list, key)
        local pid, tid = key:match("^(%S+) (%S+)$")
        local process = names[pid .. " 0"]
        found[process] = found[process] or {}
        if tid ~= "0" then found[process][names[key]] = #list end
    end
    return found, instants, counters
end

--- How many slices a process has on the threads of a group, which are as many as there were at one time; `process`: what
--- check_trace() found of it.
function formats.count(process, group)
    local n = 0
    for thread, slices in pairs(process) do n = n + (thread:find("^" .. group) and slices or 0) end
    return n
end

return formats
