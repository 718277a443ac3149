-- SPDX-License-Identifier: MIT
-- What a run leaves behind: its folder, events, what the script recorded, and the result.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local trace = require "qemunet.record.trace"

local recorder = {}

--- Of events.jsonl, series.csv, result.json and trace.json; see FORMATS.md.
recorder.FORMAT = 1

local state
local folder_listeners = {}

--- Starts anew for a run. `opts`: {name=, out= folder or nil, seed=, params=, file=}. The folder is made at once, or at
--- the first recorder.folder() when `lazy`.
function recorder.start(opts)
    state = { opts = opts, recorded = {}, marks = {}, asked = {}, wanted = {} }
    if not opts.lazy then recorder.folder() end
end

--- The run's folder, made if need be.
function recorder.folder()
    if state.folder then return state.folder end
    local folder, why = core.record_open(state.opts.out, state.opts.name)
    if not folder then
        errors.machinery(("cannot make the run's folder %s: %s"):format(state.opts.out or "under runs/", why))
    end
    state.folder = folder
    core.event { t = core.now(), kind = "start", format = recorder.FORMAT, file = state.opts.file, seed = state.opts.seed }
    for _, fn in ipairs(folder_listeners) do fn(folder) end
    return folder
end

--- Has fn(folder) called when a run's folder was made; kept for good.
function recorder.on_folder(fn) folder_listeners[#folder_listeners + 1] = fn end

--- The folder if it was made.
function recorder.made() return state.folder end

-- What a script has given, as it is now, whatever becomes of it later.
local function copy_of(value)
    if type(value) ~= "table" then return value end
    local copy, meta = {}, getmetatable(value)
    for key, each in next, value do copy[key] = copy_of(each) end
    return type(meta) == "table" and meta.__jsontype and setmetatable(copy, { __jsontype = meta.__jsontype }) or copy
end

--- record{ key=value, ... }: puts values into the run's result.json.
-- @param values  texts, numbers, booleans, and tables of these; a key that comes again replaces the value
-- @example
--   record { outage_s = 1.24, rounds = { 1.2, 1.3 } }
function recorder.record(values)
    if type(values) ~= "table" then error("record: want a table, record{ key = value }", 2) end
    for key, value in pairs(values) do
        if type(key) ~= "string" then error("record: the keys must be names", 2) end
        local text, why = core.json_encode { [key] = value }
        if not text then error(("record: %s: %s"):format(key, why), 2) end
        state.recorded[key] = copy_of(value)
    end
    recorder.folder()
    core.event { t = core.now(), kind = "record", values = values }
end

--- mark(text): notes a moment worth finding again in events.jsonl and in the report.
-- @param text  any text
-- @example
--   mark("the path is cut")
function recorder.mark(text)
    if type(text) ~= "string" then error("mark: want a text", 2) end
    core.event { t = core.now(), kind = "mark", text = text }
end

local function convert(name, text, default)
    if type(default) == "number" then
        local number = tonumber(text)
        if not number or number - number ~= 0 then error(("--param %s=%s: want a number"):format(name, text), 3) end
        return number
    end
    if type(default) == "boolean" then
        if text ~= "true" and text ~= "false" then error(("--param %s=%s: want true or false"):format(name, text), 3) end
        return text == "true"
    end
    return text
end

--- param(name, default) -> value: what was given with --param name=value, else the default.
-- @param name     as it is given on the command line
-- @param default  its type, number or boolean, is what the given text is read as; without one, the parameter must be given
-- @error  a text that does not fit the default's type; no value and no default; a function or other object
-- @example
--   local rounds = param("rounds", 10)
--   check.equal(rounds, 10)
function recorder.param(name, default)
    if not options.is_name(name) then error("param: want a name", 2) end
    local given = state.opts.params[name]
    local value = default
    state.wanted[name] = true
    if given ~= nil then value = convert(name, given, default) end
    if given == nil and default == nil then error(("param: %s is needed: give --param %s=VALUE"):format(name, name), 2) end
    local text, why = core.json_encode(value)
    if not text then error(("param: %s: %s"):format(name, why), 2) end
    state.asked[name] = copy_of(value)
    return value
end

--- The names given with --param that the script never asked for.
function recorder.unused_params()
    local list = {}
    for name in pairs(state.opts.params) do
        if not state.wanted[name] then list[#list + 1] = name end
    end
    table.sort(list)
    return list
end

-- A copy that is an array in JSON also when it is empty.
local function list_of(values)
    return setmetatable(table.move(values or {}, 1, #(values or {}), 1, {}), { __jsontype = "array" })
end

-- Bytes of a result.json that are read.
local RESULT = 64 << 20
local ENOENT = 2

--- What result.json of a run's folder says; nil and why when there is none, or it is damaged.
function recorder.read_result(folder)
    local file <close>, problem, code = io.open(folder .. "/result.json", "rb")
    if not file and code ~= ENOENT then return nil, problem end
    if not file then return nil, "no result.json: not the folder of a run that came to its end" end
    local result, why = core.json_decode(file:read(RESULT) or "")
    if type(result) == "table" then return result end
    return nil, "its result.json is damaged: " .. (why or "not an object")
end

--- Writes result.json and trace.json, if there is a folder, and ends the records: another file of a suite has its own. `verdict`:
--- {verdict=, status=, error=, tests=}; `counters`: {fabric=, links=}; `series`: series.summary(); `fidelity`:
--- fidelity.judge(); `topology`: inventory.collect(). Returns whether they were written.
function recorder.finish(verdict, versions, counters, series, fidelity, topology)
    if not state.folder then return true end
    local result, why = core.result {
        format = recorder.FORMAT, verdict = verdict.verdict, status = verdict.status, error = verdict.error,
        trace = verdict.trace, tests = verdict.tests, topology = topology, file = state.opts.file,
        args = list_of(state.opts.args), parameters = state.asked, seed = state.opts.seed, recorded = state.recorded,
        started = os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(core.wall_start())),
        duration = core.now(), host = core.host_facts(), versions = versions, fabric = counters.fabric,
        links = counters.links, ns3 = counters.ns3, series = series, fidelity = fidelity,
    }
    if not result then core.log(-1, "cannot write result.json: " .. why) end
    core.record_close()
    why = trace.write(state.folder)
    if why then core.log(-1, "cannot write trace.json: " .. why) end
    return result ~= nil and not why
end

return recorder
