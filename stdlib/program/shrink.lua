-- SPDX-License-Identifier: MIT
-- qemunet run FILE --shrink: runs an experiment again and again, each time in a process of its own, to find the smallest
-- schedule of faults with which it still fails in the same way.

local command_words = require "qemunet.program.words"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local minimise = require "qemunet.faults.minimise"
local record = require "qemunet.faults.record"
local recorder = require "qemunet.record.recorder"
local schedule = require "qemunet.faults.schedule"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local shrink = {}

shrink.MOST_RUNS, shrink.MOST_TIME = 100, 900 -- unless it is told otherwise

-- What is found is run so many times, to see whether it always fails.
local CONFIRMATIONS = 3

-- A shorter duration counts when it fails in so many runs.
local SURE = 3

-- Runs that found nothing after several of these times of the first, and this many seconds more, are not worth waiting
-- for.
local PATIENCE_FACTOR, PATIENCE = 3, 30

local PROGRAM = "/proc/self/exe"
local PASSED, FAILED, INTERRUPTED = 0, 1, 130

-- A run -----------------------------------------------------------------------------------------------------------------

local function add(words, ...)
    for _, word in ipairs { ... } do words[#words + 1] = tostring(word) end
end

-- The command line of a run. `schedules`: path of a document, or nil.
local function words_of(self, folder, schedules)
    local opts, words = self.opts, { PROGRAM, "run", self.opts.file, "-q", "--out", folder }
    add(words, table.unpack(command_words.of(opts)))
    if schedules then add(words, "--replay", schedules) end
    if self.patience then add(words, "--timeout", self.patience) end
    if #opts.args > 0 then add(words, "--", table.unpack(opts.args)) end
    return words
end

-- Runs a process to its end. Returns its exit status, and the signal that ended it.
local function execute(words, output)
    local ended = core.future()
    words.output = output
    words.on_end = function(status, signal) ended:set(status, signal) end
    local process, why = core.process(words)
    if not process then errors.machinery(("cannot run %s: %s"):format(words[3], why)) end
    local guard <close> = setmetatable({}, { __close = function()
        process:stop()
        core.wait({ ended }, 5)
        process:close()
    end })
    core.wait { ended }
    return ended:values()
end

-- What says whether two failures are the same: the verdict, the tests that failed, and the message, without its numbers.
local function signature(status, result)
    local parts = { tostring(status), tostring(result.error) }
    for _, test in ipairs(type(result.tests) == "table" and result.tests or {}) do
        if test.outcome == "failed" then parts[#parts + 1] = ("%s: %s"):format(test.name, test.message) end
    end
    return (table.concat(parts, "\n"):gsub("%d+%.?%d*", "0"))
end

-- One run of the experiment. Returns { status, signature, error, folder, duration }.
local function run_once(self, schedules)
    self.runs = self.runs + 1
    local folder = ("%s/%d"):format(self.folder, self.runs)
    local began = core.now()
    local status = execute(words_of(self, folder, schedules), folder .. ".log")
    if status == INTERRUPTED or not status then
        errors.raise(("run %d of the experiment was ended from outside"):format(self.runs))
    end
    local result = recorder.read_result(folder) or {}
    return { status = status, signature = signature(status, result), error = result.error, folder = folder,
        duration = core.now() - began }
end

-- The search ------------------------------------------------------------------------------------------------------------

-- A fault without what came of it; in our lists with the number of its schedule.
local function bare(fault, number)
    return { number = number, at = fault.at, kind = fault.kind, target = fault.target, lasts = fault.lasts, by = fault.by,
        delay = fault.delay, rate = fault.rate, loss = fault.loss }
end

-- A list of faults as a document, as record.write takes it.
local function document_of(self, list)
    local document = { file = self.opts.file, seed = self.opts.seed, params = self.whole.params, args = self.whole.args,
        schedules = {} }
    for i, one in ipairs(self.whole.schedules) do document.schedules[i] = { during = one.during, faults = {} } end
    for _, fault in ipairs(list) do
        table.insert(document.schedules[fault.number].faults, bare(fault))
    end
    return document
end

local function list_of(document, wanted)
    local list = {}
    for number, one in ipairs(document.schedules) do
        for _, fault in ipairs(one.faults) do
            if wanted(fault) then list[#list + 1] = bare(fault, number) end
        end
    end
    return list
end

local function save(path, document)
    local why = record.write(path, document)
    if why then errors.machinery(("cannot write %s: %s"):format(path, why)) end
end

-- Raised when the search is to end with what there is.
local LIMIT = setmetatable({}, { __tostring = function() return "limit" end })

local function check_limits(self)
    if self.runs < self.most_runs and core.now() < self.deadline then return end
    self.limit = self.runs >= self.most_runs and ("after %d runs"):format(self.runs) or "when its time was up"
    error(LIMIT, 0)
end

local function count(n, what) return ("%d %s%s"):format(n, what, n == 1 and "" or "s") end

-- Whether the experiment fails with this list as it did at first.
local function fails(self, list)
    check_limits(self)
    local path = ("%s/%d.json"):format(self.folder, self.runs + 1)
    save(path, document_of(self, list))
    local shown <close> = tasks.showing(("shrink: run %d, %s"):format(self.runs + 1, count(#list, "fault")))
    local one = run_once(self, path)
    local same = one.status ~= PASSED and one.signature == self.first.signature
    local outcome = same and "fails" or one.status == PASSED and "passes" or "fails in another way"
    core.log(0, ("shrink: run %d, %s: %s (%s)"):format(self.runs, count(#list, "fault"), outcome,
        units.format_duration(one.duration)))
    core.event { t = core.now(), kind = "shrink", run = self.runs, faults = #list, status = one.status, same = same }
    return same
end

local function key_of(list) return core.json_encode(list) end

local function fails_each(self, list, times)
    for _ = 1, times do
        if not fails(self, list) then return false end
    end
    return true
end

-- Whether it does in so many runs, remembered; and the smallest that did is kept.
local function tester(self, times)
    local known = {}
    return function(list)
        local key = key_of(list)
        if known[key] == nil then
            known[key] = fails_each(self, list, times)
            if known[key] then self.found = list end
        end
        return known[key]
    end
end

-- What a failing run has done of its schedule is enough, mostly; if not, all of it.
local function reproduce(self, test)
    local ran = list_of(self.whole, function(fault) return fault.began ~= nil end)
    local all = list_of(self.whole, function() return true end)
    for _, list in ipairs { ran, all } do
        if test(list) then return list end
    end
end

local function confirm(self)
    local failed = 1
    for _ = 2, CONFIRMATIONS do
        if fails(self, self.found) then failed = failed + 1 end
    end
    self.failed = failed
end

local function search(self)
    local test = tester(self, 1)
    local list = reproduce(self, test)
    if not list then return end
    list = minimise.ddmin(list, test)
    minimise.replace(list, tester(self, SURE), minimise.halve) -- shorter ones may just so fail
    self.is_minimal = true
    confirm(self)
end

-- Runs the experiment as it is told to. Returns whether there is something to shrink.
local function first_run(self)
    core.log(0, "shrink: run 1, as it is")
    self.first = run_once(self, self.opts.replay_path)
    if self.first.status == PASSED then return false end
    core.log(0, ("shrink: it fails: %s"):format(tostring(self.first.error)))
    self.patience = self.patience or PATIENCE + PATIENCE_FACTOR * self.first.duration
    self.whole = record.read(self.first.folder)
    self.all = self.whole and #list_of(self.whole, function() return true end)
    return self.whole ~= nil
end

-- What came of it -----------------------------------------------------------------------------------------------------

local function say(text) core.print(text .. "\n") end

local function report_found(self)
    local path = ("%s/%s"):format(self.folder, record.MINIMAL)
    save(path, document_of(self, self.found))
    local early = self.is_minimal and "" or (", ended %s: there may be a smaller one"):format(self.limit or "early")
    say(("%s: %s of %d, after %s%s:"):format(self.first.error, count(#self.found, "fault"), self.all,
        count(self.runs, "run"), early))
    say(schedule.text(self.found))
    if #self.found == 0 then say("it fails without any fault") end
    if self.failed and self.failed < CONFIRMATIONS then
        say(("flaky: with this schedule it failed in %d of %d runs"):format(self.failed, CONFIRMATIONS))
    end
    say(("replay it with: qemunet run %s --replay %s"):format(self.opts.file, path))
end

local function report(self)
    if not self.first then return end
    if self.first.status == PASSED then
        return say(("nothing to shrink: the experiment does not fail with seed %d"):format(self.opts.seed))
    end
    if not self.whole then
        return say(("nothing to shrink: the experiment fails, but has no faults{}: %s"):format(self.first.error))
    end
    if self.found then return report_found(self) end
    local early = self.limit or core.stop_reason() and "early"
    say(("%s: not found again with the same schedule%s"):format(self.first.error,
        early and " yet: ended " .. early or ": the failure is flaky, or needs other things than these faults"))
end

local function status_of(self)
    if core.stop_reason() == "interrupted" then return INTERRUPTED end
    return self.first and self.first.status or FAILED
end

local function finish(self)
    local found, status = self.found, status_of(self)
    recorder.record { shrink = { runs = self.runs, faults = self.all, found = found and #found, minimal = self.is_minimal,
        failed = self.failed, of = self.failed and CONFIRMATIONS } }
    local verdict = { verdict = status == PASSED and "passed" or "failed", status = status }
    verdict.error = self.first and self.first.error
    recorder.finish(verdict, { qemunet = core.VERSION }, {})
    return status
end

local function start(opts)
    local name = opts.file:gsub("^.*/", ""):gsub("%.lua$", "")
    recorder.start { name = name, out = opts.out, seed = opts.seed, params = opts.params, file = opts.file,
        args = opts.args }
    return { opts = opts, folder = recorder.folder(), runs = 0, patience = opts.timeout,
        most_runs = opts.shrink_runs or shrink.MOST_RUNS, deadline = core.now() + (opts.shrink_time or shrink.MOST_TIME) }
end

--- Shrinks. `opts`: as run.file takes them, and shrink_runs=, shrink_time=, replay_path=, timeout=. Returns the exit
--- status: that of the experiment's first run.
function shrink.run(opts)
    local self = start(opts)
    local task = tasks.start(function()
        if first_run(self) then search(self) end
    end)
    core.wait { task.done }
    local ok, why = pcall(task.outcome, task)
    if not ok and why ~= LIMIT and not core.stop_reason() then errors.again(why) end
    report(self)
    return finish(self)
end

return shrink
