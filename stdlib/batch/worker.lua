-- SPDX-License-Identifier: MIT
-- One run of a test file, in a process of its own: what it tells (see child), its time limits, and how it ended.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local messages = require "qemunet.batch.messages"
local status = require "qemunet.program.status"
local tails = require "qemunet.batch.tails"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local worker = {}

local PROGRAM, COMMAND = "/proc/self/exe", "test-file"

-- A test that waits is ended at its limit by its own process, and then has a while to clean up; one that does not, so much
-- later, with the process.
local LATE = tasks.CANCEL_GRACE + 2
-- A process that was asked to end is killed after this: it should have seen to it itself.
local GRACE = messages.GRACE + 2

local SIGNALS = { [1] = "SIGHUP", [2] = "SIGINT", [3] = "SIGQUIT", [4] = "SIGILL", [6] = "SIGABRT", [7] = "SIGBUS",
    [8] = "SIGFPE", [9] = "SIGKILL", [11] = "SIGSEGV", [13] = "SIGPIPE", [14] = "SIGALRM", [15] = "SIGTERM", [24] = "SIGXCPU",
    [31] = "SIGSYS" }

local Worker = {}
Worker.__index = Worker

-- What it tells --------------------------------------------------------------------------------------------------------

local function wake(self)
    self.news:set()
    self.news = core.future()
end

local function send(self, message) self.process:write(messages.line(message)) end

local handlers = {}

function handlers.tests(self, message)
    self.tests = message.tests
    self.watch.tests(message.tests)
end

function handlers.start(self, message)
    local timeout = message.timeout or self.order.test_timeout
    self.current = { number = message.number, name = message.name, line = message.line, began = core.now(), timeout = timeout,
        limit = core.now() + timeout }
    self.watch.started(message.name)
end

-- What sets up and tests has a test's time, and then what tears down.
function handlers.teardown(self)
    local current = self.current
    if current then current.limit = core.now() + current.timeout end
end

function handlers.result(self, message)
    self.current = nil
    self.watch.result(message)
    send(self, { kind = "seen" })
end

function handlers.folder(self, message) self.folder = message.path end

-- The time that it waits counts neither for the file nor for its test.
function handlers.claim(self, message)
    local since = core.now()
    self.claims = self.claims + 1
    self.watch.claim(message.bytes, function()
        local waited = core.now() - since
        self.claims, self.began = self.claims - 1, self.began + waited
        local current = self.current
        if current then current.began, current.limit = current.began + waited, current.limit + waited end
        send(self, { kind = "granted" })
        wake(self)
    end)
end

handlers["end"] = function(self, message)
    self.last = message
    send(self, { kind = "seen" })
end

local function take(self, message)
    local handler = handlers[message.kind]
    if handler then handler(self, message) end
    wake(self)
end

-- Its time -------------------------------------------------------------------------------------------------------------

-- The next moment at which it is overdue, and why it is then.
local function deadline(self)
    if self.claims > 0 then return math.huge end
    local at, why = self.began + self.order.file_timeout, ("timed out after %s (--file-timeout)"):format(
        units.format_duration(self.order.file_timeout))
    local current = self.current
    if current and current.limit + LATE < at then
        at = current.limit + LATE
        why = ("timed out after %s, and did not wait for anything that could be ended"):format(
            units.format_duration(current.timeout))
    end
    return at, why
end

-- Waits for its end, or until what it tells is not to be understood. Returns why it is overdue, when it is.
local function await(self)
    while not self.ended:is_set() and not self.broken do
        local at, why = deadline(self)
        if core.now() >= at then return why end
        core.wait({ self.ended, self.news }, at - core.now())
    end
end

-- Sees to its end, in good order if it can be.
local function stop(self)
    if self.ended:is_set() then return end
    self.process:stop()
    if core.wait({ self.ended }, GRACE) then return end
    self.process:kill()
    core.wait({ self.ended }, GRACE)
end

-- Its end --------------------------------------------------------------------------------------------------------------

local function end_text(code, signal)
    if signal == 0 then return ("its process ended with status %d"):format(code) end
    local name = SIGNALS[signal] and (" (%s)"):format(SIGNALS[signal]) or ""
    return ("its process was ended by signal %d%s%s"):format(signal, name, signal == 9 and ", as when memory is short" or "")
end

-- Why it failed, beside its tests: message, traceback, the exit status for it, whether it is a crash; or nothing.
local function judge(self, overdue)
    local last, code, signal = self.last, self.ended:values()
    local trace = last and last.traceback
    if overdue then return overdue, trace, status.TIMED_OUT end
    if self.broken then return self.broken, nil, status.MACHINERY end
    if last and last.message then return last.message, trace, last.status end
    if last and signal == 0 and code == last.status then return end
    return end_text(code, signal) .. (last and " after its tests" or ""), nil, status.FAILED, true
end

local function left_out(self)
    local n = 0
    for _, test in ipairs(self.tests or {}) do
        if not self.watch.is_known(test.number) then n = n + 1 end
    end
    if self.current then n = n - 1 end
    return n > 0 and ("\n%d of its tests did not run"):format(n) or ""
end

-- What failed beside the tests that told of it themselves is the failure of the one that ran, or the file's own.
local function report_end(self, overdue)
    local message, trace, code, crashed = judge(self, overdue)
    if not message then return end
    local test = self.current or { number = 0, name = self.order.file, began = self.began }
    self.watch.result { kind = "result", number = test.number, name = test.name, line = test.line, outcome = "failed",
        message = message .. left_out(self), traceback = trace, status = code, crashed = crashed,
        duration = core.now() - test.began, consoles = tails.read(self.folder) }
end

--- Runs the file of an `order` (as child.run takes it, and file_timeout=). `watch`: functions that are told of it:
--- output(data, "stdout" or "stderr"), started(name), result(message), tests(list), claim(bytes, granted), and is_known(number)
--- -> whether a test has a result. Returns the run's folder, if it made one. When the calling task is cancelled, it is ended.
function worker.run(order, watch)
    local self = setmetatable({ order = order, watch = watch, ended = core.future(), news = core.future(), claims = 0,
        began = core.now() }, Worker)
    local function fail(why)
        self.broken = self.broken or why
        send(self, { kind = "seen" }) -- it may wait for that, and is to end in good order
        wake(self)
    end
    local reader = messages.reader(function(message)
        local ok, why = pcall(take, self, message)
        if not ok then fail("what came is no message: " .. tostring(why)) end
    end, fail)
    local process, why = core.process { PROGRAM, COMMAND, order.file, on_output = watch.output, on_message = reader,
        on_end = function(status, signal) self.ended:set(status, signal) end }
    if not process then errors.machinery(("cannot run %s: %s"):format(order.file, why)) end
    self.process = process
    local guard <close> = setmetatable({}, { __close = function()
        stop(self)
        process:close()
    end })
    send(self, order)
    local overdue = await(self)
    stop(self)
    report_end(self, overdue)
    return self.folder
end

return worker
