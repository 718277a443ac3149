-- SPDX-License-Identifier: MIT
-- One test file of a batch: its runs (more than one when failed tests are run again), and what became of its tests.

local budget = require "qemunet.batch.budget"
local core = require "qemunet.core"
local spool = require "qemunet.batch.spool"
local status = require "qemunet.program.status"
local worker = require "qemunet.batch.worker"

local job = {}

local Job = {}
Job.__index = Job

--- A file to run. `order`: as for worker.run; `show`: fn(kind, data) that is given all as it comes ("mark": place of a result in
--- self.all), or nil.
function job.new(order, show)
    return setmetatable({ file = order.file, order = order, show = show, memory = budget.LEAST, spool = false, all = {},
        latest = {}, runs = 0, duration = 0, started = 0 }, Job)
end

local function put(self, kind, data)
    self.spool:add(kind, data)
    if self.show then self.show(kind, data) end
end

local function take_result(self, result)
    local before = self.latest[result.number]
    result.file, result.run = self.file, self.runs
    if before then
        result.failures = before.failures
        before.replaced = true
    end
    if result.outcome == "failed" then
        result.status = result.status or result.machinery and status.MACHINERY or status.FAILED
        result.failures = { result.message, table.unpack(result.failures or {}) }
    elseif result.failures then
        result.flaky = result.outcome == "passed"
    end
    self.all[#self.all + 1], self.latest[result.number] = result, result
    put(self, "mark", tostring(#self.all))
end

-- The numbers of the tests that are to be run again; nil: all of them.
local function pending(self)
    if self.latest[0] or not self.tests then return nil end
    local list = {}
    for _, test in ipairs(self.tests) do
        local latest = self.latest[test.number]
        if not latest or latest.outcome == "failed" then list[#list + 1] = test.number end
    end
    return list
end

local function has_failed(self)
    for _, result in pairs(self.latest) do
        if result.outcome == "failed" then return true end
    end
    return false
end

-- A failure of the file itself is over when it has run again without it.
local function drop_own_failure(self)
    local own = self.latest[0]
    if not own or own.run == self.runs then return end
    own.replaced, self.latest[0], self.flaky = true, nil, own
end

-- Shows what the file does from now on: a test's name, or nil for what is between them.
local function show_doing(self, what)
    core.waiting(self.file)
    core.waiting(self.file, what and ("%s: %s"):format(self.file, what) or self.file)
end

local function run_once(self, bank)
    self.known, self.runs = {}, self.runs + 1
    local first = #self.all + 1
    local watch = {
        output = function(data, stream) put(self, stream, data) end,
        started = function(name)
            self.current = name
            show_doing(self, name)
        end,
        result = function(result)
            self.current = nil
            show_doing(self)
            self.known[result.number] = true
            take_result(self, result)
        end,
        tests = function(tests) self.tests = self.tests or tests end,
        is_known = function(number) return self.known[number] end,
        claim = function(bytes, granted)
            self.memory = math.max(self.memory, bytes)
            show_doing(self, "waits for memory")
            bank:raise(self, self.memory, function()
                show_doing(self, self.current)
                granted()
            end)
        end,
    }
    local folder = worker.run(self.order, watch)
    for i = first, #self.all do self.all[i].folder = folder end
end

--- Runs it, and what fails of it again, at most `retries` times. It has taken its memory of the `bank`, a budget.
function Job:run(retries, bank)
    local began = core.now()
    self.started = os.time()
    self.spool = spool.new()
    local guard <close> = setmetatable({}, { __close = function()
        core.waiting(self.file)
        self.duration = core.now() - began
    end })
    show_doing(self)
    run_once(self, bank)
    for _ = 1, retries do
        if not has_failed(self) then break end
        self.order.only = pending(self)
        run_once(self, bank)
        drop_own_failure(self)
    end
end

--- Whether a test of it, or itself, has failed.
Job.has_failed = has_failed

--- The results that count, in the order in which they came.
function Job:results()
    local list = {}
    for _, result in ipairs(self.all) do
        if not result.replaced then list[#list + 1] = result end
    end
    return list
end

--- Calls fn(kind, data) for all that it put out, and fn("result", result) for each result, in their order.
function Job:replay(fn)
    self.spool:replay(function(kind, data)
        if kind == "mark" then return fn("result", self.all[math.tointeger(tonumber(data))]) end
        fn(kind, data)
    end)
end

--- Gives back what it holds.
function Job:close()
    if self.spool then self.spool:close() end
    self.spool = false
end

return job
