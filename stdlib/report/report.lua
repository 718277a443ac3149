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

-- Those that every run may have come first; then captures and what else a script has written, and the consoles' logs.
local FIRST = { "result.json", "events.jsonl", "series.csv", "links.csv", "faults.json", "trace.json" }
-- Of all these, the page links to so many.
local FILES = 2000

-- Adds the files of a folder inside, in order, but those that are there already.
local function add_files(list, folder, inside)
    local names = core.names(folder .. "/" .. inside) or {}
    table.sort(names)
    for _, name in ipairs(names) do
        local path = inside .. name
        local is_ours = list[path] or name == "report.html" or name:find("%.part$")
        if not is_ours and #list < FILES and core.stat(folder .. "/" .. path) == "file" then list[#list + 1] = path end
    end
end

-- Files of the folder that the page links to, relative to it.
local function files_of(folder)
    local list = {}
    for _, name in ipairs(FIRST) do
        if core.stat(folder .. "/" .. name) == "file" then list[#list + 1], list[name] = name, true end
    end
    add_files(list, folder, "")
    add_files(list, folder, "console/")
    return table.move(list, 1, #list, 1, {})
end

-- `from`: as thinning.events() takes it.
local function put_events(out, folder, from)
    out:begin("events")
    local total, left_out, to = thinning.events(folder .. "/events.jsonl", function(line)
        local escaped = page.escape(line)
        out:put(escaped, "\n")
        out:rest()
        return #escaped
    end, from)
    out:finish()
    return { total = total, left_out = left_out, from = to > 0 and from or 0, to = to }
end

-- A block of what rows.series() or rows.links() puts there.
local function put_rows(out, id, folder, source)
    out:begin(id)
    local about = rows[id](out, folder, nil, source)
    out:finish()
    return about
end

-- All but the events, of which `events` tells. `live`: { result=, rows= }, of a run that has not written these yet; its files are
-- not linked to.
local function put_rest(out, folder, events, live)
    local result = live and live.result or recorder.read_result(folder)
    if type(result) ~= "table" then result = { verdict = "unfinished" } end
    local series, links = put_rows(out, "series", folder), put_rows(out, "links", folder, live and live.rows)
    out:value("run", { result = without_histograms(result), events = events, series = series, links = links,
        live = live and live.rows and true or nil, files = live and {} or files_of(folder),
        program = core.VERSION, name = folder:match("([^/]+)/*$") or folder })
end

--- report.live(folder, live) -> text: the data of a run that is under way, but for its events, for page.text(). `live`:
--- { result= what is known of result.json, rows= an iterator over those of links.csv, nil once that is written }.
function report.live(folder, live)
    return page.collect(function(out) put_rest(out, folder, {}, live) end)
end

--- report.live_events(folder, from) -> text: what events there are from that byte of events.jsonl on, and which byte the next
--- begin at; or, where there are too many for a page, a part of all.
function report.live_events(folder, from)
    return page.collect(function(out) out:value("live", put_events(out, folder, from)) end)
end

--- report.write(folder) -> path; or nil and why: writes report.html into a run's folder, whole or not at all.
function report.write(folder)
    return page.write("report", folder .. "/report.html", function(out) put_rest(out, folder, put_events(out, folder)) end)
end

return report
