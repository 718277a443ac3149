-- SPDX-License-Identifier: MIT
-- The XML in which build servers read the results of tests, as JUnit's runner for Ant first wrote it.

local output = require "qemunet.output"
local status = require "qemunet.program.status"

local junit = {}

-- So much of what a file put out is in the report.
local MOST_OUTPUT = 1 << 20

-- XML 1.0 has no way to write most control characters, nor U+FFFE and U+FFFF: section 2.2.
local REPLACEMENT = "\xef\xbf\xbd"
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["\r"] = "&#13;" }

local function replace_forbidden(text)
    text = text:gsub("[%z\1-\8\11\12\14-\31]", REPLACEMENT)
    return (text:gsub("\xef\xbf[\xbe\xbf]", REPLACEMENT))
end

-- The text, with what is no UTF-8 (RFC 3629) replaced.
local function valid(text)
    if utf8.len(text) then return text end
    local parts, from = {}, 1
    while true do
        local _, bad = utf8.len(text, from)
        if not bad then break end
        parts[#parts + 1] = text:sub(from, bad - 1) .. REPLACEMENT
        from = bad + 1
        if from > #text then return table.concat(parts) end
    end
    return table.concat(parts) .. text:sub(from)
end

--- A text as the content of an element.
function junit.escape(text) return (replace_forbidden(valid(text)):gsub('[&<>"\r]', ENTITIES)) end

local function attribute_text(text) return (junit.escape(text):gsub("[\n\t]", { ["\n"] = "&#10;", ["\t"] = "&#9;" })) end

-- name="value" for each pair of a list, but those whose value is nil.
local function attributes(list)
    local parts = {}
    for i = 1, list.n, 2 do
        local value = list[i + 1]
        if value ~= nil then
            local text = math.type(value) == "float" and ("%.3f"):format(value) or tostring(value)
            parts[#parts + 1] = (' %s="%s"'):format(list[i], attribute_text(text))
        end
    end
    return table.concat(parts)
end

local function open_tag(name, ...) return ("<%s%s>"):format(name, attributes(table.pack(...))) end

local function element(name, text, ...)
    return ("%s%s</%s>\n"):format(open_tag(name, ...), junit.escape(text), name)
end

local function first_line(text) return text:match("^[^\n]*") end

local function details(result)
    local parts = { result.message }
    if result.traceback and result.traceback ~= "" then parts[#parts + 1] = result.traceback end
    for _, console in ipairs(result.consoles or {}) do
        parts[#parts + 1] = ("the end of the console of %s:\n%s"):format(console.node, console.text)
    end
    if result.folder then parts[#parts + 1] = "the run's folder: " .. result.folder end
    return table.concat(parts, "\n")
end

-- What is no check of the test's own, but a machine that does not boot, a crash or a time-out, is an error.
local function kind_of(result)
    if result.status == status.MACHINERY then return "machinery" end
    if result.status == status.TIMED_OUT then return "timeout" end
    if result.status == status.UNSOUND then return "fidelity" end
    return result.crashed and "crash" or "check"
end

local function is_error(result) return kind_of(result) ~= "check" end

local function outcome(result)
    if result.outcome == "skipped" then return ("<skipped%s/>\n"):format(attributes { n = 2, "message", result.why or "" }) end
    if result.outcome == "failed" then
        return element(is_error(result) and "error" or "failure", details(result), "message", first_line(result.message), "type",
            kind_of(result))
    end
    local parts = {}
    for i, message in ipairs(result.flaky and result.failures or {}) do
        parts[i] = element("flakyFailure", message, "message", first_line(message), "type", "check")
    end
    return table.concat(parts)
end

local function testcase(result)
    local class = result.file:gsub("%.lua$", "")
    return ("%s%s</testcase>\n"):format(open_tag("testcase", "name", result.name, "classname", class, "time",
        result.duration + 0.0, "file", result.file, "line", result.line), outcome(result))
end

local Report = {}
Report.__index = Report

--- A report that is built up in a nameless file, and is at `path` when it is finished. Or nil and why it cannot be.
function junit.new(path)
    local part, why = io.open(path .. ".part", "wb")
    if not part then return nil, why end
    part:close()
    local self = { path = path, suites = assert(io.tmpfile()), why = false, tests = 0, failures = 0, errors = 0, skipped = 0,
        time = 0.0 }
    return setmetatable(self, Report)
end

local function count(results)
    local sums = { failures = 0, errors = 0, skipped = 0 }
    for _, result in ipairs(results) do
        local kind = result.outcome == "skipped" and "skipped" or result.outcome == "failed" and
            (is_error(result) and "errors" or "failures")
        if kind then sums[kind] = sums[kind] + 1 end
    end
    return sums
end

-- Once something could not be written, nothing is.
local function put(self, ...)
    if self.why then return end
    local written, why = self.suites:write(...)
    if not written then self.why = why end
end

--- Adds an ended job.
function Report:add(job)
    local results = job:results()
    local sums = count(results)
    put(self, open_tag("testsuite", "name", job.file, "tests", #results, "failures", sums.failures, "errors", sums.errors,
        "skipped", sums.skipped, "time", job.duration + 0.0, "timestamp", os.date("!%Y-%m-%dT%H:%M:%S", job.started)), "\n")
    for _, result in ipairs(results) do put(self, testcase(result)) end
    for name, stream in pairs { ["system-out"] = "stdout", ["system-err"] = "stderr" } do
        sums[name] = element(name, job.spool:text(stream, MOST_OUTPUT))
    end
    put(self, sums["system-out"], sums["system-err"], "</testsuite>\n")
    self.tests, self.time = self.tests + #results, self.time + job.duration
    for _, kind in ipairs { "failures", "errors", "skipped" } do self[kind] = self[kind] + sums[kind] end
end

-- Returns nil, or why it failed.
local function copy(from, to)
    local there, late = from:seek("set") -- which writes what was kept
    if not there then return late end
    for piece in function() return from:read(1 << 16) end do
        local written, why = to:write(piece)
        if not written then return why end
    end
end

--- Writes the file, whole or not at all. Returns why it could not be written.
function Report:finish()
    local _, why = output.replace(self.path, function(file)
        file:write('<?xml version="1.0" encoding="UTF-8"?>\n', open_tag("testsuites", "name", "qemunet", "tests", self.tests,
            "failures", self.failures, "errors", self.errors, "skipped", self.skipped, "time", self.time), "\n")
        local problem = self.why or copy(self.suites, file)
        local written, late = file:write("</testsuites>\n")
        return problem or not written and late or nil
    end)
    self.suites:close()
    return why
end

return junit
