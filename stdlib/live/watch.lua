-- SPDX-License-Identifier: MIT
-- qemunet watch: the report of a run that is under way, in a browser, as it grows. This process reads what the run has written to
-- its folder, and asks it for what it has not written yet; the run itself serves nothing.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local page = require "qemunet.report.page"
local recorder = require "qemunet.record.recorder"
local report = require "qemunet.report.report"
local runs = require "qemunet.live.runs"
local tasks = require "qemunet.tasks"

local watch = {}

-- Seconds from one look at the run to the next, at least, and so many times as long as a look takes.
local PERIOD, PAUSE = 0.5, 4
-- How long the end is there for a page to fetch.
local LINGER = 10
local ROWS = 1 << 18 -- of links kept here; the run itself has fewer, and is asked for all again

-- The page may fetch its data, which it may not in the file that has it all, and may be in no other page.
local function policy_of(page)
    local meta, n = page:gsub("default%-src 'none'", "default-src 'none'; connect-src 'self'", 1)
    local given = meta:match('http%-equiv="Content%-Security%-Policy" content="([^"]*)"')
    if n ~= 1 or not given then errors.machinery("watch: the page has no policy") end
    return meta, given .. "; frame-ancestors 'none'"
end

local function add_rows(self, text)
    for row in text:gmatch("[^\n]+") do
        self.rows[#self.rows + 1] = row
        local t, interval = row:match("^([%d.]+),([%d.]+),")
        self.since = math.max(self.since, (tonumber(t) or 0) + (tonumber(interval) or 0) / 2)
    end
end

local function rows_of(self)
    local i = 0
    return function()
        i = i + 1
        return self.rows[i]
    end
end

-- Has `rest`, all but the events, say how the run stands now. Returns whether it could be asked.
local function look(self)
    if #self.rows > ROWS then self.rows, self.since = {}, 0 end
    local answer = self.connection:ask { want = "page", since = self.since }
    if not answer then return false end
    add_rows(self, answer.links or "")
    answer.links = nil
    self.rest = report.live(self.folder, { result = answer, rows = rows_of(self) })
    return true
end

local function read_end(self)
    local result = recorder.read_result(self.folder) or {}
    result.verdict = result.verdict or "unfinished"
    self.verdict = result.verdict
    self.rest, self.has_ended = report.live(self.folder, { result = result }), true
end

-- With the events from that byte on.
local function data_of(self, from) return self.rest .. report.live_events(self.folder, from) end

-- What the browser asks for: the page, and then data/BYTE, what is new. Only what is looked at has the run asked.
local function get(self, path)
    local from = math.tointeger(tonumber(path:match("^data/(%d+)$")))
    if from then
        self.asked:set()
        if self.has_ended then self.told:set() end
        return data_of(self, from), "text/plain; charset=utf-8"
    elseif path == "" then
        self.asked:set()
        local text, policy = policy_of(page.text("report", data_of(self, 0)))
        return text, "text/html; charset=utf-8", policy
    end
end

-- Until the run has ended.
local function follow(self)
    local over = self.connection.over
    while not over:is_set() do
        core.wait { over, self.asked }
        self.asked = core.future()
        local began = core.now()
        if not over:is_set() and not look(self) then tasks.wait(over, PERIOD) end
        tasks.wait(over, math.max(PERIOD, (core.now() - began) * PAUSE))
    end
    read_end(self)
end

--- Serves the page of the run that is meant (see runs.choose) until the run ends. Raises for errors.try().
function watch.run(which)
    if not core.report_page "report" then errors.problem("the program was built without the page, which needs npm") end
    local run = runs.choose(which)
    if not run.state.folder then errors.problem(("the experiment %d has no folder yet"):format(run.pid)) end
    local connection <close>, why = runs.connect(run.path)
    if not connection then errors.problem(("the experiment %d: %s"):format(run.pid, why)) end
    local self = { connection = connection, folder = run.state.folder, rows = {}, since = 0, rest = "",
        asked = core.future(), told = core.future(), has_ended = false, verdict = false }
    if not look(self) then errors.problem(("the experiment %d does not answer"):format(run.pid)) end
    local server
    server, why = core.pages(function(path) return get(self, path) end)
    if not server then errors.problem("cannot serve on 127.0.0.1: " .. why) end
    local guard <close> = setmetatable({}, { __close = function() server:close() end })
    core.print(server:address() .. "\n")
    core.log(0, "open this address in a browser on this machine; Ctrl-C ends")
    follow(self)
    tasks.wait(self.told, LINGER)
    tasks.wait(core.future(), 0.2) -- for the answer to leave
    core.print(("%s: %s\n"):format(self.folder, self.verdict))
end

return watch
