-- SPDX-License-Identifier: MIT
-- report.html: a run's folder as one page that opens from the disk. The page is made when the program is built (page/); what
-- a run recorded goes into it as JSON, which nothing in it can end, and the page shows as text.

local core = require "qemunet.core"
local csv = require "qemunet.csv"
local thinning = require "qemunet.report.thinning"

local report = {}

local MARKER = "<!--data-->"

-- Nothing that HTML or JavaScript could take for its own is left; in JSON these stand in texts only.
local ESCAPES = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["\xe2\x80\xa8"] = "\\u2028",
    ["\xe2\x80\xa9"] = "\\u2029" }

--- report.escape(json) -> the same JSON, for the inside of a script element.
function report.escape(json)
    return (json:gsub("[<>&]", ESCAPES):gsub("\xe2\x80[\xa8\xa9]", ESCAPES))
end

local function encode(value) return report.escape(assert(core.json_encode(value))) end

-- Writes pieces of text; the first failure is kept, and nothing is written after it.
local Out = {}
Out.__index = Out

function Out:put(...)
    if self.why then return end
    local ok, why = self.file:write(...)
    if not ok then self.why = why end
end

-- After so many lines, whoever else waits has a turn.
local REST = 5000

local function rest(out)
    out.count = (out.count or 0) + 1
    if out.count % REST == 0 then core.wait({}, 0) end
end

local function begin(out, id) out:put('<script type="application/json" id="', id, '">') end
local function finish(out) out:put("</script>\n") end

local function read_json(path)
    local file <close> = io.open(path, "rb")
    local text = file and file:read("a")
    return text and core.json_decode(text) or nil
end

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
    begin(out, "events")
    local total, left_out = thinning.events(folder .. "/events.jsonl", function(line)
        if line:find('"kind": ?"capture"') then
            local event = core.json_decode(line)
            captures[#captures + 1] = type(event) == "table" and type(event.path) == "string" and event.path or nil
        end
        local escaped = report.escape(line)
        out:put(escaped, "\n")
        rest(out)
        return #escaped
    end)
    finish(out)
    return { total = total, left_out = left_out }
end

local function put_series(out, folder)
    begin(out, "series")
    out:put("[")
    local n = 0
    local list, total, every = thinning.series(folder .. "/series.csv", function(number, t, value)
        out:put(n > 0 and ",[" or "[", number, ",", t, ",", value, "]")
        n = n + 1
        rest(out)
    end)
    out:put("]")
    finish(out)
    return { list = list, total = total, every = every }
end

-- A row of links.csv: its numbers as they are, the link's name, which direction.
local function link_row(row)
    local t, interval, name, way, counts = row:match("^([%d.]+),([%d.]+),(.+),(%l%l),([%d.,e+-]+)\r?$")
    if t then return t, interval, csv.cells(name)[1] or "", way == "ba" and 1 or 0, counts end
end

-- `rows`: an iterator over those of links.csv.
local function put_links(out, rows)
    local names, numbers, n = {}, {}, 0
    begin(out, "links")
    out:put("[")
    for row in rows do
        local t, interval, name, way, counts = link_row(row)
        if t then
            if not numbers[name] then names[#names + 1], numbers[name] = name, #names end
            out:put(n > 0 and ",[" or "[", t, ",", interval, ",", numbers[name], ",", way, ",", counts, "]")
            n = n + 1
            rest(out)
        end
    end
    out:put("]")
    finish(out)
    return names
end

-- `live`: { result=, rows= }, of a run that has not written these yet; its files are not linked to.
local function put_data(out, folder, live)
    local result, captures = live and live.result or read_json(folder .. "/result.json"), {}
    if type(result) ~= "table" then result = { verdict = "unfinished" } end
    local events = put_events(out, folder, captures)
    local series = put_series(out, folder)
    local file <close> = io.open(folder .. "/links.csv", "rb")
    local links = put_links(out, live and live.rows or thinning.rows(file))
    begin(out, "run")
    out:put(encode { result = without_histograms(result), events = events, series = series, links = links,
        live = live and live.rows and true or nil, files = live and {} or files_of(folder, result, captures), program = core.VERSION, name = folder:match("([^/]+)/*$") or folder })
    finish(out)
end

-- What takes the place of a file.
local Pieces = {}
Pieces.__index = Pieces

function Pieces:write(...)
    for i = 1, select("#", ...) do self[#self + 1] = tostring((select(i, ...))) end
    return true
end

--- report.live(folder, live) -> text: the data of a run that is under way, as a page holds it: JSON in script elements. `live`:
--- { result= what is known of result.json, rows= an iterator over those of links.csv, nil once that is written }.
function report.live(folder, live)
    local pieces = setmetatable({}, Pieces)
    put_data(setmetatable({ file = pieces }, Out), folder, live)
    return table.concat(pieces)
end

--- report.page(data) -> the page with that data in it; or nil and why.
function report.page(data)
    local page = core.report_page()
    if not page then return nil, "the program was built without the page, which needs npm" end
    local at, behind = page:find(MARKER, 1, true)
    return page:sub(1, at - 1) .. data .. page:sub(behind + 1)
end

--- report.write(folder) -> path; or nil and why: writes report.html into a run's folder, whole or not at all.
function report.write(folder)
    local page = core.report_page()
    if not page then return nil, "the program was built without the page, which needs npm" end
    local at, behind = page:find(MARKER, 1, true)
    local path, part = folder .. "/report.html", folder .. "/report.html.part"
    local file, why = io.open(part, "wb")
    if not file then return nil, why end
    file:setvbuf("full", 1 << 16)
    local out = setmetatable({ file = file }, Out)
    out:put(page:sub(1, at - 1))
    local ok, problem = pcall(put_data, out, folder)
    out:put(page:sub(behind + 1))
    local closed, late = file:close()
    problem = not ok and problem or out.why or not closed and late
    local renamed
    if not problem then renamed, problem = os.rename(part, path) end
    if renamed then return path end
    os.remove(part)
    return nil, problem
end

return report
