-- SPDX-License-Identifier: MIT
-- The runs of this user that are under way, and how to ask them; see control.lua for their side.

local control = require "qemunet.live.control"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local tasks = require "qemunet.tasks"

local runs = {}

-- Seconds for an answer. A run is busy at times: a script computes, a hundred machines boot.
local PATIENCE = 3
local LARGEST = 64 << 20 -- of an answer, in bytes

local Connection = {}
Connection.__index = Connection

local function take_answer(self, data)
    self.size = self.size + #data
    table.insert(self.parts, data)
    local at = data:find("\n", 1, true)
    if not at and self.size <= LARGEST then return end
    local text = table.concat(self.parts)
    local line, rest = text:match("^([^\n]*)\n(.*)$")
    self.parts, self.size = {}, 0
    self.rest = rest or ""
    self.answer:set(line and core.json_decode(line) or { error = "it answers nonsense" })
end

local function on_data(self, data)
    if not data then
        self.answer:set({ error = "it has ended" })
        self.over:set()
    elseif self.on_bytes then
        self.on_bytes(data)
    else
        take_answer(self, data)
    end
end

--- runs.connect(path) -> connection to the run whose socket that is; nil, why, and whether the run is gone. Its field `over` is a
--- future that is set when the run has closed it.
function runs.connect(path)
    local self = setmetatable({ parts = {}, size = 0, rest = "", answer = core.future(), over = core.future(), on_bytes = false },
        Connection)
    local stream, why, gone = core.control_connect(path, function(_, data) on_data(self, data) end)
    if not stream then return nil, why, gone end
    self.stream = stream
    return self
end

--- connection:ask(request) -> answer, a table; or nil and why.
function Connection:ask(request)
    self.answer = core.future()
    local sent, why = self.stream:write(core.json_encode(request) .. "\n")
    if not sent then return nil, why end
    if not tasks.wait(self.answer, PATIENCE) then return nil, "it does not answer: it is busy, or stopped" end
    local answer = self.answer:values()
    if type(answer) ~= "table" then return nil, "it answers nonsense" end
    if answer.error then return nil, tostring(answer.error) end
    return answer
end

--- connection:stream_to(fn): what comes from now on goes to fn(data), as bytes.
function Connection:stream_to(fn)
    self.on_bytes = fn
    if self.rest ~= "" then fn(self.rest) end
end

function Connection:write(data) return self.stream:write(data) end
function Connection:close() self.stream:close() end
Connection.__close = Connection.close

-- What a socket says of its run. A socket that nobody listens to is what a killed run has left.
local function look(pid)
    local path = ("%s/%d"):format(control.FOLDER, pid)
    local connection <close>, why, gone = runs.connect(path)
    if not connection then return not gone and { pid = pid, path = path, problem = why } or nil end
    local state
    state, why = connection:ask { want = "state" }
    if why == "it has ended" then return nil end
    return { pid = pid, path = path, state = state, problem = why }
end

--- runs.list() -> list of { pid=, path= of the socket, state= see state.collect(), problem= why there is none }, the oldest
--- first. Raises for errors.try() if others may have had their hands in there.
function runs.list()
    local ok, why, is_missing = core.control_check(control.FOLDER)
    if is_missing then return {} end
    if not ok then errors.problem(("%s: want a folder of this user alone: %s"):format(control.FOLDER, why)) end
    local looks = {}
    for i, pid in ipairs(control.pids()) do looks[i] = tasks.start(look, pid) end
    local list = {}
    for _, each in ipairs(looks) do list[#list + 1] = each:join() end
    table.sort(list, function(a, b)
        local x, y = a.state and a.state.t or 0, b.state and b.state.t or 0
        if x ~= y then return x > y end
        return a.pid < b.pid
    end)
    return list
end

local function describe(list)
    local lines = {}
    for i, run in ipairs(list) do
        lines[i] = ("\n  %d  %s"):format(run.pid, run.state and run.state.folder or run.problem)
    end
    return table.concat(lines)
end

-- Whether `which`, a process's number or a folder, means this run.
local function is_meant(run, which)
    if tostring(run.pid) == which then return true end
    local folder = core.real_path(which)
    return folder ~= nil and run.state ~= nil and run.state.folder == folder
end

local function select(list, wanted)
    local some = {}
    for _, run in ipairs(list) do
        if wanted(run) then some[#some + 1] = run end
    end
    return some
end

local function has_node(run, name)
    for _, node in ipairs(run.state and run.state.nodes or {}) do
        if node.name == name then return true end
    end
    return false
end

--- runs.choose(which, node) -> the run that is meant by the number of its process or its folder; without either the only one, or
--- the only one with a node of that name. Raises for errors.try().
function runs.choose(which, node)
    local list = runs.list()
    if #list == 0 then errors.problem("no experiment of this user is running") end
    local meant = list
    if which then
        meant = select(list, function(run) return is_meant(run, which) end)
        if #meant == 0 then errors.problem(("no experiment %s is running; there are:%s"):format(which, describe(list))) end
    elseif node and #list > 1 then
        meant = select(list, function(run) return has_node(run, node) end)
        if #meant == 0 then meant = list end
    end
    if #meant > 1 then errors.problem(("several experiments are running; say which:%s"):format(describe(meant))) end
    if not meant[1].state then errors.problem(("the experiment %d: %s"):format(meant[1].pid, meant[1].problem)) end
    return meant[1]
end

return runs
