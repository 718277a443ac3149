-- SPDX-License-Identifier: MIT
-- The process of one test file. Its order comes from the process that started it, which it tells of each test as it begins
-- and ends, and asks for memory before machines boot. See messages and worker.

local core = require "qemunet.core"
local limit = require "qemunet.suite.limit"
local messages = require "qemunet.batch.messages"
local re = require "qemunet.re"
local recorder = require "qemunet.record.recorder"
local run = require "qemunet.program.run"
local shuffle = require "qemunet.batch.shuffle"
local status = require "qemunet.program.status"
local tails = require "qemunet.batch.tails"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"

local child = {}

-- How long the order may take to come, and an answer.
local PATIENCE = 30

-- The line to the parent -----------------------------------------------------------------------------------------------

local Line = {}
Line.__index = Line

function Line:send(message) self.stream:write(messages.line(message)) end

-- Sends, and waits until it was taken: what is put out before it and after it is told apart, and a crash does not lose it.
function Line:tell(message)
    self.seen = core.future()
    self:send(message)
    core.wait({ self.seen, self.gone }, PATIENCE)
end

local function open_line()
    local self = setmetatable({ order = core.future(), seen = core.future(), gone = core.future(), claims = {}, claimed = 0,
        cut_short = false }, Line)
    local function handle(message)
        if message.kind == "granted" then return table.remove(self.claims, 1):set() end
        self[message.kind]:set(message)
    end
    local read = messages.reader(handle, error)
    local stream, why = core.parent(function(data)
        if data then read(data) else self.gone:set() end
    end)
    if not stream then return nil, why end
    self.stream = stream
    return self
end

-- Waits until the parent lets machines of so many bytes run. That time is not the test's.
function Line:claim(bytes)
    if bytes > self.claimed then
        self.claimed = bytes
        table.insert(self.claims, core.future())
        self:send { kind = "claim", bytes = bytes }
    end
    local last = self.claims[#self.claims]
    if not last then return end
    local excused <close> = limit.excuse()
    while not core.wait({ last, self.gone }, PATIENCE) do end -- the file's time limit ends it
end

-- Tests ----------------------------------------------------------------------------------------------------------------

local function matches(order, name)
    return not order.filter or re.find(name, order.filter) ~= nil or
        re.find(("%s: %s"):format(order.file, name), order.filter) ~= nil
end

local function set_of(list)
    local set = {}
    for _, item in ipairs(list) do set[item] = true end
    return set
end

local function chooser(order)
    local only = order.only and set_of(order.only)
    return function(name, number) return (not only or only[number] == true) and matches(order, name) end
end

local function arranger(order)
    if not order.shuffle then return nil end
    return function(entries)
        return shuffle(entries, order.shuffle, function(entry) return ("%s\0%d"):format(order.file, entry.number) end)
    end
end

-- Nodes that were booted; the others have nothing to say.
local function is_in_it(name)
    local node = testbed.find(name)
    return node ~= nil and node.state ~= "defined"
end

-- A file without tests is one, without a number and with the file's name.
local function message_of(result, order)
    local failed = result.outcome == "failed"
    return { kind = "result", number = result.number or 0,
        name = result.number and messages.clip(result.name) or order.file, outcome = result.outcome,
        message = messages.clip(result.message), traceback = messages.clip(result.traceback), why = messages.clip(result.why),
        machinery = result.machinery, duration = result.duration, line = result.line,
        consoles = failed and tails.read(recorder.made(), is_in_it) or nil }
end

local function suite_options(line, order)
    local has_tests = false
    return {
        clock = core.now, filter = chooser(order), arrange = arranger(order), fail_fast = order.fail_fast,
        limit = limit.run, unjoined = tasks.take_unjoined, timeout = order.test_timeout,
        on_fatal = function(failure) line.cut_short = failure.traceback end,
        on_tests = function(entries)
            has_tests = true
            local list = {}
            for i, entry in ipairs(entries) do list[i] = { number = entry.number, name = messages.clip(entry.name) } end
            line:send { kind = "tests", tests = list }
        end,
        on_start = function(entry)
            line:send { kind = "start", number = entry.number, name = messages.clip(entry.name), timeout = entry.timeout,
                line = entry.line }
        end,
        on_teardown = function() line:send { kind = "teardown" } end,
        on_result = function(result)
            if not has_tests and result.outcome ~= "failed" and not matches(order, order.file) then return end
            line:tell(message_of(result, order))
        end,
    }
end

local function run_file(line, order)
    core.progress_open(order.level)
    recorder.on_folder(function(folder) line:send { kind = "folder", path = folder } end)
    local verdict = run.file {
        file = order.file, params = order.params, args = order.args, seed = order.seed, accel = order.accel,
        no_templates = order.no_templates, allow_host = order.allow_host, strict = order.strict, lazy = true,
        suite = suite_options(line, order),
        claim = function(bytes) line:claim(bytes) end,
    }
    -- Not that of its tests.
    local own = verdict.status == status.UNSOUND or verdict.verdict == "machinery failed" or
        not verdict.tests and verdict.status ~= status.PASSED
    line:tell { kind = "end", status = verdict.status, message = own and messages.clip(verdict.error) or nil,
        traceback = own and messages.clip(verdict.trace or line.cut_short or nil) or nil }
    return verdict.status
end

--- Runs the file that the parent orders. Returns the exit status; nil and why when there is no parent.
function child.run()
    core.stop_within(messages.GRACE // 2, messages.GRACE // 2, true)
    local line, why = open_line()
    if not line then return nil, why end
    if core.wait({ line.order, line.gone }, PATIENCE) ~= 1 then return nil, "no order came" end
    local status = run_file(line, line.order:values())
    line.stream:close()
    return status
end

return child
