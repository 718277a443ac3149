-- SPDX-License-Identifier: MIT
-- report.html: a run's folder as one page that opens from the disk.

local core = require "qemunet.core"
local page = require "qemunet.report.page"
local recorder = require "qemunet.record.recorder"
local rows = require "qemunet.report.rows"
local thinning = require "qemunet.report.thinning"

local report = {}

-- What the page does not show, and may be much.
local function without_histograms(result)
    for _, link in pairs(type(result.links) == "table" and result.links or {}) do
        for _, way in pairs(link) do
            if type(way) == "table" and type(way.lateness) == "table" then way.lateness.histogram = nil end
        end
    end
    return result
end

local FILES = { "result.json", "events.jsonl", "series.csv", "links.csv", "faults.json", "trace.json" }

local function is_file(path) return core.stat(path) == "file" end

-- Files of the folder that the page links to, relative to it.
local function files_of(folder, result, captures)
    local list = {}
    for _, name in ipairs(FILES) do
        if is_file(folder .. "/" .. name) then list[#list + 1] = name end
    end
    local topology = type(result.topology) == "table" and result.topology or {}
    for _, node in ipairs(topology.nodes or {}) do
        local log = type(node.name) == "string" and ("console/%s.log"):format(node.name:gsub("[/%c]", "_"))
        if log and is_file(folder .. "/" .. log) then list[#list + 1] = log end
    end
    for _, path in ipairs(captures) do
        local inside = path:sub(1, #folder + 1) == folder .. "/" and path:sub(#folder + 2)
        if inside and is_file(path) then list[#list + 1] = inside end
    end
    return list
end

local function put_events(out, folder, captures)
    out:begin("events")
    local total, left_out = thinning.events(folder .. "/events.jsonl", function(line)
        if line:find('"kind": ?"capture"') then
            local event = core.json_decode(line)
            captures[#captures + 1] = type(event) == "table" and type(event.path) == "string" and event.path or nil
        end
        local escaped = page.escape(line)
        out:put(escaped, "\n")
        out:rest()
        return #escaped
    end)
    out:finish()
    return { total = total, left_out = left_out }
end

-- A block of what rows.series() or rows.links() puts there.
local function put_rows(out, id, folder, source)
    out:begin(id)
    local about = rows[id](out, folder, nil, source)
    out:finish()
    return about
end

-- `live`: { result=, rows= }, of a run that has not written these yet; its files are not linked to.
local function put_data(out, folder, live)
    local result, captures = live and live.result or recorder.read_result(folder), {}
    if type(result) ~= "table" then result = { verdict = "unfinished" } end
    local events = put_events(out, folder, captures)
    local series, links = put_rows(out, "series", folder), put_rows(out, "links", folder, live and live.rows)
    out:value("run", { result = without_histograms(result), events = events, series = series, links = links,
        live = live and live.rows and true or nil, files = live and {} or files_of(folder, result, captures),
        program = core.VERSION, name = folder:match("([^/]+)/*$") or folder })
end

--- report.live(folder, live) -> text: the data of a run that is under way, for page.text(). `live`: { result= what is known of
--- result.json, rows= an iterator over those of links.csv, nil once that is written }.
function report.live(folder, live)
    return page.collect(function(out) put_data(out, folder, live) end)
end

--- report.write(folder) -> path; or nil and why: writes report.html into a run's folder, whole or not at all.
function report.write(folder)
    return page.write("report", folder .. "/report.html", function(out) put_data(out, folder) end)
end

return report
