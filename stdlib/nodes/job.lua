-- SPDX-License-Identifier: MIT
-- One command on a node: its output as it streams, and its result.

local class = require "qemunet.class"
local console = require "qemunet.nodes.console"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local excerpt = require "qemunet.record.excerpt"
local line_queue = require "qemunet.nodes.line_queue"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local job = {}

--- class job: a command that runs beside the script; what node:spawn() returns. all{} and any{} wait for it, too.
-- @field running boolean  whether it has not ended yet
-- @field result result    what it has done, once it has ended; else false
-- @field cmd string       the command
-- @field node node        its node
-- @example vm
--   local a = vm("a")
--   local job = a:spawn("cat; echo done >&2")
--   job:write("hello\n")
--   job:expect("hello", 5)
--   job:close_stdin()
--   for line, stream in job:lines() do print(stream, line) end
--   check.is_true(job:wait(5).ok)
local Job = { __name = "job" }
class.register("job", Job, Job)

local SIGNALS = {
    HUP = true, INT = true, QUIT = true, KILL = true, USR1 = true, USR2 = true, PIPE = true, ALRM = true, TERM = true,
    CHLD = true, CONT = true, STOP = true, TSTP = true, WINCH = true, ABRT = true,
}

-- As results give them: their numbers on Linux.
local NUMBERED = { "HUP", "INT", "QUIT", [6] = "ABRT", [9] = "KILL", [10] = "USR1", [12] = "USR2", [13] = "PIPE",
    [14] = "ALRM", [15] = "TERM" }

function Job:__index(name)
    if name == "running" then return not self.done:is_set() end
    if Job[name] == nil then
        errors.raise(("a job has no field or method %q%s"):format(tostring(name), options.hint(name, Job)))
    end
    return Job[name]
end

--- A command on one line of a progress display.
function job.short(cmd)
    local shown = #cmd > 60 and cmd:sub(1, 57) .. "..." or cmd
    return (shown:gsub("%c", " "))
end

function Job:__tostring() return ("job %q on %s"):format(self.cmd, self.node.name) end

--- class result: what a command has done; what node:run() and job:wait() return.
-- @field ok boolean         whether its status is 0, and it ended by itself
-- @field status integer     0 to 255; nil when a signal ended it, or it could not be run
-- @field signal integer     the number of the signal that ended it, else nil
-- @field stdout string      its standard output, bytes
-- @field stderr string      its standard error, bytes
-- @field timed_out boolean  whether it was killed because its time had passed
-- @field truncated boolean  whether there was more output than max_output
-- @field error string       why it could not be run or its end was not seen, else nil
-- @field started number     experiment second at which it began
-- @field finished number    experiment second at which it ended
-- @field duration number    seconds between these
-- @field cmd string         the command
-- @field node string        the name of its node
-- @field offset number      of sync{} with a packet trigger: seconds from the packet to its start
local Result = { __name = "result" }
class.register("result", {}, Result)

-- Commands of the script that run: {[job] = when it was started}.
local running = {}
testbed.on_end(function() running = {} end)

--- job.running() -> list of { since= experiment second, text= } of the commands that run, the oldest first.
function job.running()
    local list = {}
    for each, since in pairs(running) do
        list[#list + 1] = { since = since, text = ("%s: %s"):format(each.node.name, job.short(each.cmd)) }
    end
    table.sort(list, function(a, b)
        if a.since ~= b.since then return a.since < b.since end
        return a.text < b.text
    end)
    return list
end

--- How a command ended, in words.
function job.how_ended(result)
    return result.error or result.timed_out and "timed out" or result.signal and "killed by signal " .. result.signal or
        "status " .. tostring(result.status)
end

function Result:__tostring()
    return ("result of %q on %s: %s, %s"):format(self.cmd, self.node, job.how_ended(self), units.format_duration(self.duration))
end

local function finish_result(self, result)
    result.cmd, result.node = self.cmd, self.node.name
    result.duration = result.started and result.finished - result.started or 0
    result.ok = result.status == 0 and not result.timed_out and not result.error
    return setmetatable(result, Result)
end

--- A result for a command that could not be started.
function job.unstarted(node, cmd, why)
    local now = core.now()
    return finish_result({ node = node, cmd = cmd },
        { stdout = "", stderr = "", timed_out = false, truncated = false, error = why, finished = now })
end

local function wake_reader(self)
    self.more:set()
    self.more = core.future()
end

local function on_output(self, stream, data)
    if stream == "stdout" then self.output:feed(data) end
    self.queued = self.queued + #data
    if self.queued > self.max_output then return end
    self.queue:feed(data, stream)
    wake_reader(self)
end

local function finish_output(self)
    if self.output then self.output:finish(("the command has ended (%s)"):format(job.how_ended(self.result))) end
end

-- The outputs as far as they are kept: see excerpt.of().
local function record(self, result)
    local stdout, stdout_tail = excerpt.of(result.stdout)
    local stderr, stderr_tail = excerpt.of(result.stderr)
    core.event { t = core.now(), kind = "command", node = self.node.name, cmd = self.cmd, status = result.status,
        signal = result.signal, timed_out = result.timed_out or nil, error = result.error, started = result.started,
        finished = result.finished, stdout_bytes = #result.stdout, stderr_bytes = #result.stderr, stdout = stdout,
        stdout_tail = stdout_tail, stderr = stderr, stderr_tail = stderr_tail, internal = self.internal or nil }
end

local function on_done(self, result)
    self.result = finish_result(self, result)
    running[self] = nil
    record(self, result)
    wake_reader(self)
    finish_output(self)
    self.done:set()
end

local function end_unstarted(self, why)
    self.result = job.unstarted(self.node, self.cmd, why)
    finish_output(self)
    self.done:set()
    return self
end

--- Lets a job that was started with spec.hold begin.
function Job:release() return rawget(self, "handle") and self.handle:release() end

--- Starts a command on a machine of the core. `spec`: {text= what the shell runs, cmd= as shown, stdin= the data, or
--- pipe=true to leave it open for job:write, max_output=, timeout=, stream= whether lines are kept for lines(),
--- hold= whether it waits in the node, its field `armed` a future, for release(), identity= whether the text is for the
--- program's take_identity() (see runtime/guest/identity.h), internal= whether it is none of the script's}.
--- Without a machine, `why` says why there is none. Returns the job, which has ended already when it could not start.
function job.start(node, machine, spec, why)
    local self = setmetatable({
        armed = spec.hold and core.future(), result = false, node = node, cmd = spec.cmd,
        done = core.future(), more = core.future(), queue = line_queue.new(),
        internal = spec.internal or spec.identity ~= nil, queued = 0, max_output = spec.max_output,
        output = spec.stream and console.stream(("%s: output of %q"):format(node.name, spec.cmd:sub(1, 60))) or false,
    }, Job)
    if not machine then return end_unstarted(self, why) end
    local handle, problem = machine:start {
        command = spec.text, identity = spec.identity, hold = spec.hold, stdin = spec.pipe or spec.stdin ~= nil,
        max_output = spec.max_output, timeout = spec.timeout,
        output = spec.stream and function(stream, data) on_output(self, stream, data) end or nil,
        armed = spec.hold and function() self.armed:set(true) end or nil,
        done = function(result) on_done(self, result) end,
    }
    if not handle then return end_unstarted(self, problem) end
    rawset(self, "handle", handle)
    if not self.internal then running[self] = core.now() end
    if spec.stdin then
        handle:write(spec.stdin)
        handle:close_stdin()
    end
    return self
end

function Job:outcome() return self.result end

local function check_self(self, method) errors.check_colon(getmetatable(self) == Job, method, "job") end

--- job:wait(timeout) -> result: waits until the command has ended.
-- @param timeout  how long at most (duration; default: without end)
-- @return  nil, "timed out", "timeout" when the time has passed; the command goes on
function Job:wait(timeout)
    check_self(self, "wait")
    local seconds = timeout ~= nil and units.duration(timeout, "timeout", 2) or nil
    local shown <close> = tasks.show_main(("%s: %s"):format(self.node.name, job.short(self.cmd)), true)
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return self.result
end

--- job:kill(signal="TERM"): signals the command and all its processes; what has ended does not mind.
-- @param signal  "TERM", "KILL", "INT", "HUP", ... or its number
-- @example vm
--   local a = vm("a")
--   local job = a:spawn("tcpdump -i eth0")
--   job:kill("INT")
function Job:kill(signal)
    check_self(self, "kill")
    local name = tostring(NUMBERED[signal] or signal or "TERM"):upper():gsub("^SIG", "")
    if not SIGNALS[name] then
        error(("kill: unknown signal %q%s"):format(tostring(signal), options.hint(name, SIGNALS)), 2)
    end
    if self.running and rawget(self, "handle") then self.handle:kill(name) end
end

--- job:write(data) -> true: sends bytes to the command's standard input.
-- @param data  a string
-- @return  nil and why, when the command has ended or its standard input has been closed
function Job:write(data)
    check_self(self, "write")
    if type(data) ~= "string" then error("write: want a string, not " .. type(data), 2) end
    if not rawget(self, "handle") then return nil, "the command has ended" end
    return self.handle:write(data)
end

--- job:close_stdin(): ends the command's standard input.
function Job:close_stdin()
    check_self(self, "close_stdin")
    if rawget(self, "handle") then self.handle:close_stdin() end
end

local function await_more(self)
    local shown <close> = tasks.show_main(("%s: output of %s"):format(self.node.name, job.short(self.cmd)))
    core.wait { self.more }
end

local function next_line(self)
    while true do
        local line, stream = self.queue:take()
        if line then return line, stream end
        if self.done:is_set() then return self.queue:take_rest() end
        await_more(self)
    end
end

--- job:lines() -> function: an iterator over its output, line by line as it comes, until it has ended.
-- Each step gives the line, and "stdout" or "stderr".
function Job:lines()
    check_self(self, "lines")
    return function() return next_line(self) end
end

--- job:expect(pattern, timeout) -> table: waits for a match in the command's standard output; see console:expect.
-- @param pattern  a regular expression (PCRE2), or a list of them
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @error  when the time has passed, and when the command ends
function Job:expect(pattern, timeout)
    check_self(self, "expect")
    if not self.output then errors.raise("expect: the output of this command is not kept") end
    local match = self.output:expect(pattern, timeout)
    return match
end

return job
