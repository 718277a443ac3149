-- SPDX-License-Identifier: MIT
-- Runs the jobs of a batch side by side: as many as there are lanes, and memory for.

local budget = require "qemunet.batch.budget"
local core = require "qemunet.core"
local tasks = require "qemunet.tasks"

local schedule = {}

local function wake(self)
    self.news:set()
    self.news = core.future()
end

local function is_over(self) return core.stop_reason() ~= nil or self.failed and self.opts.fail_fast end

-- What is under way ends, in good order.
local function cut_short(self)
    for task in pairs(self.running) do core.cancel(task.done, true) end
end

local function run_job(self, job)
    local ok, why = pcall(job.run, job, self.opts.retries, self.bank)
    self.bank:give_back(job)
    self.finished(job)
    if not ok and why ~= core.CANCEL then self.broken = self.broken or why end
    if job:has_failed() or self.broken then self.failed = true end
end

local function start(self, job)
    self.bank:take(job, job.memory)
    self.n_running = self.n_running + 1
    local task
    task = tasks.start(function()
        run_job(self, job)
        self.running[task], self.n_running = nil, self.n_running - 1
        wake(self)
    end)
    self.running[task] = job
end

local function may_start(self)
    local next_job = self.jobs[self.started + 1]
    return next_job and not is_over(self) and not self.broken and self.n_running < self.opts.jobs and
        self.bank:has_room(next_job.memory)
end

--- Runs the jobs, in their order. `opts`: {jobs= most at once, retries=, fail_fast=, memory= bytes for all, or nil}. `finished`:
--- fn(job), called for each that was started, when it has ended or was cut short. Returns how many were started.
function schedule.run(jobs, opts, finished)
    local self = { jobs = jobs, opts = opts, finished = finished, bank = budget.new(opts.memory), news = core.future(),
        running = {}, n_running = 0, started = 0, failed = false, broken = false }
    while true do
        while may_start(self) do
            self.started = self.started + 1
            start(self, jobs[self.started])
        end
        if self.n_running == 0 then break end
        if is_over(self) or self.broken then cut_short(self) end
        core.wait({ self.news })
    end
    if self.broken then error(self.broken, 0) end
    return self.started
end

return schedule
