-- SPDX-License-Identifier: MIT
-- The file that the schedules of a run are written to and replayed from: faults.json in its folder. It also says what
-- the run was started with, so that a replay is the same run.

local core = require "qemunet.core"
local output = require "qemunet.output"
local schedule = require "qemunet.faults.schedule"

local record = {}

local FORMAT = 1
local NAME, MINIMAL = "faults.json", "faults.min.json"

record.NAME, record.MINIMAL = NAME, MINIMAL

--- Writes a document, whole or not at all. Returns nil, or why it failed.
function record.write(path, document)
    document.format = FORMAT
    local text, why = core.json_encode(document, true)
    if not text then return why end
    return select(2, output.replace(path, function(file)
        local written, problem = file:write(text, "\n")
        return not written and problem or nil
    end))
end

local function read_text(path)
    local kind, why = core.stat(path)
    if not kind then return nil, why end
    local candidates = kind == "folder" and { path .. "/" .. NAME, path .. "/" .. MINIMAL } or { path }
    for _, candidate in ipairs(candidates) do
        local file = io.open(candidate, "rb")
        local text = file and file:read("a")
        if file then file:close() end
        if text then return text, candidate end
    end
    return nil, kind == "folder" and "there is no " .. NAME .. " in it: the run had no faults{}" or "it cannot be read"
end

local function table_or_nil(v) return v == nil or type(v) == "table" end

local function problem_of(document)
    if type(document) ~= "table" or document.format ~= FORMAT then return "this is no schedule of faults" end
    if type(document.schedules) ~= "table" then return "it has no schedules" end
    local seed = document.seed
    if seed ~= nil and (math.type(seed) ~= "integer" or seed < 0) then return "it has a bad seed" end
    if not table_or_nil(document.params) or not table_or_nil(document.args) then return "it has bad parameters" end
    for i, one in ipairs(document.schedules) do
        local problem = type(one) ~= "table" and "it is no table" or schedule.problem(one.faults)
        if problem then return ("schedule %d: %s"):format(i, problem) end
    end
end

--- Reads a document from a file, or from a run's folder. Returns it, and its path; or nil and why.
function record.read(path)
    local text, from = read_text(path)
    if not text then return nil, ("%s: %s"):format(path, from) end
    local document, why = core.json_decode(text)
    why = document == nil and why or problem_of(document)
    if why then return nil, ("%s: %s"):format(from, why) end
    return document, from
end

return record
