-- SPDX-License-Identifier: MIT
-- qemunet test [PATH...]: test files, each in a process of its own, several at once.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local find = require "qemunet.batch.find"
local job = require "qemunet.batch.job"
local junit = require "qemunet.batch.junit"
local report = require "qemunet.batch.report"
local schedule = require "qemunet.batch.schedule"
local shuffle = require "qemunet.batch.shuffle"
local status = require "qemunet.program.status"
local summary = require "qemunet.batch.summary"
local tap = require "qemunet.batch.tap"

local batch = {}

--- Of a test and of a file, seconds, unless the command line says something else.
batch.TEST_TIMEOUT, batch.FILE_TIMEOUT = 600, 3600

local STOPPED = { ["interrupted"] = status.INTERRUPTED, ["timed out"] = status.TIMED_OUT }

local function check_filter(filter, usage)
    if not filter then return end
    local regex, why, offset = core.regex(filter)
    if not regex then usage(("--filter %s: %s at offset %d"):format(filter, why, offset)) end
end

local function open_junit(opts, usage)
    if not opts.junit then return nil end
    local made, why = junit.new(opts.junit)
    if not made then usage("--junit: " .. why) end
    return made
end

local function order_of(file, opts)
    return { kind = "order", file = file, params = opts.params, args = opts.args, seed = opts.seed, accel = opts.accel,
        no_templates = opts.no_templates, allow_host = opts.allow_host, strict = opts.strict, level = opts.level,
        filter = opts.filter, shuffle = opts.shuffle, fail_fast = opts.fail_fast and opts.retries == 0,
        test_timeout = opts.test_timeout or batch.TEST_TIMEOUT, file_timeout = opts.file_timeout or batch.FILE_TIMEOUT }
end

-- One file alone is shown as it runs, unless only the end tells what counts of it.
local function is_live(opts, files) return #files == 1 and opts.retries == 0 end

local function make_jobs(files, opts, shown)
    local jobs = {}
    for i, file in ipairs(files) do
        local made
        made = job.new(order_of(file, opts), is_live(opts, files) and function(kind, data)
            if kind == "mark" then kind, data = "result", made.all[#made.all] end
            shown:show(kind, data)
        end or nil)
        jobs[i] = made
    end
    return jobs
end

-- What the jobs that were started came to.
local function new_totals() return { results = {}, flaky = {}, status = status.PASSED } end

local function add_job(totals, ended)
    for _, result in ipairs(ended:results()) do
        table.insert(totals.results, result)
        if result.flaky then table.insert(totals.flaky, result) end
        if result.outcome == "failed" then totals.status = math.max(totals.status, result.status) end
    end
    if ended.flaky then table.insert(totals.flaky, ended.flaky) end
end

local function say_on(opts)
    if opts.tap then return function(line) core.log(0, line) end end
    return function(line) core.print(line .. "\n") end
end

local function finish_junit(made)
    if not made then return status.PASSED end
    local why = made:finish()
    if not why then return status.PASSED end
    core.log(-1, ("cannot write %s: %s"):format(made.path, why))
    return status.MACHINERY
end

-- Why it ended before all was run, for people; or nil.
local function early_end(opts, n_started, n_jobs, counts)
    local reason = core.stop_reason()
    if reason then return reason end
    if opts.fail_fast and counts.failed > 0 then
        return n_started < n_jobs and ("--fail-fast: %d of %d files were not run"):format(n_jobs - n_started, n_jobs) or nil
    end
end

local function final_status(totals, counts, usage_error)
    local stopped = STOPPED[core.stop_reason() or ""]
    if stopped then return math.max(stopped, totals.status) end
    if counts.failed == 0 and usage_error then return status.USAGE end
    return totals.status
end

local function nothing_matched(opts, totals)
    if not opts.filter or #totals.results > 0 or core.stop_reason() then return false end
    core.log(-1, ("no test matches --filter %s"):format(opts.filter))
    return true
end

local function conclude(opts, totals, n_started, n_jobs)
    local say, counts = say_on(opts), summary.count(totals.results)
    summary.print(totals.results, totals.flaky, opts, say)
    local early = early_end(opts, n_started, n_jobs, counts)
    if early then say("ended early: " .. early) end
    if opts.shuffle then say(("in the order of --shuffle=%d"):format(opts.shuffle)) end
    local unmatched = nothing_matched(opts, totals)
    if opts.tap then tap.finish(#totals.results, core.stop_reason()) end
    core.print((opts.tap and "# " or "") .. summary.line(counts) .. "\n")
    return final_status(totals, counts, unmatched)
end

local function set_defaults(opts)
    opts.seed = opts.seed or core.random_seed()
    opts.jobs, opts.retries = opts.jobs or core.host_facts().cpus, opts.retries or 0
    if opts.shuffle == true then opts.shuffle = core.random_seed() end
end

--- Runs it. `opts`: what the command line says; `usage`: fn(message), which does not return. Returns the exit status.
function batch.run(opts, usage)
    check_filter(opts.filter, usage)
    local files = find.files(opts.files, usage)
    set_defaults(opts)
    local xml = open_junit(opts, usage)
    core.progress_open(opts.level)
    if opts.timeout then core.time_limit(opts.timeout) end
    if opts.shuffle then files = shuffle(files, opts.shuffle, function(file) return file end) end
    local totals = new_totals()
    local shown = report.new { tap = opts.tap, level = opts.level, several = #files > 1 }
    local jobs = make_jobs(files, opts, shown)
    local ok, n_started = pcall(schedule.run, jobs, opts, function(ended)
        if not ended.show then shown:job(ended) end
        add_job(totals, ended)
        if xml then xml:add(ended) end
        ended:close()
    end)
    if not ok then errors.again(n_started) end
    local written = finish_junit(xml)
    return math.max(conclude(opts, totals, n_started, #jobs), written)
end

return batch
