-- SPDX-License-Identifier: MIT
-- Runs the tests of a suite's registry. Nothing here yields by itself, and everything a test does may yield: the only barriers
-- around it are pcall and xpcall, which let a yield through.

local declarations = require "qemunet.declarations"
local errors = require "qemunet.errors"
local suite = require "qemunet.suite.suite"
local text = require "qemunet.text"
local units = require "qemunet.units"

local runner = {}

local function failure_of(err)
    local skipped = suite.skipped(err)
    if skipped then return { skip = skipped, raised = err } end
    local seen = errors.handler(err)
    return { message = errors.text(err), raised = err, traceback = seen.trace ~= "" and seen.trace or nil,
        frames = seen.frames }
end

-- Runs fn. Returns nil when it returned; else { skip = why } or { message =, traceback = }, and raised = the error.
local function attempt(fn)
    local ok, failure = xpcall(fn, failure_of)
    if ok then return nil end
    return type(failure) == "table" and failure or { message = errors.text(failure), raised = failure }
end

-- The first failed attempt of a list of functions.
local function attempt_all(list)
    for _, fn in ipairs(list) do
        local failure = attempt(fn)
        if failure then return failure end
    end
end

-- Runs every function of a list whatever becomes of the others; returns the failures.
local function attempt_each(list)
    local failures = {}
    for _, fn in ipairs(list) do failures[#failures + 1] = attempt(fn) end
    return failures
end

-- One failure out of a test's own (or nil) and those of its teardowns: the first message, the others below it.
local function merge(failure, more)
    for _, other in ipairs(more) do
        if other.message and failure and failure.message then
            failure.message = failure.message .. "\nand in teardown: " .. other.message
        elseif other.message then
            other.message = "in teardown: " .. other.message
            failure = other
        else
            failure = failure or other
        end
    end
    return failure
end

local function raise_if_fatal(registry, failures, on_fatal)
    for _, failure in ipairs(failures) do
        if failure.raised ~= nil and registry.fatal(failure.raised) then
            registry.running = false
            if on_fatal then on_fatal(failure) end
            error(failure.raised, 0)
        end
    end
end

-- What another task failed with, as a failure of the test.
local function failure_beside(other)
    return { message = errors.text(other.message), raised = other.message, traceback = other.trace ~= "" and other.trace or nil }
end

-- Runs the setups and the test itself, or the teardowns, in the time that the test has. Returns the failures.
local function within(seconds, limit, fn)
    if not limit then return fn() end
    local failures = {}
    local ended, other = limit(seconds, function() failures = fn() end)
    if other then return { failure_beside(other) } end
    if ended then return failures end
    local last = failures[#failures]
    return { { message = "timed out after " .. units.format_duration(seconds), traceback = last and last.traceback } }
end

local function run_body(registry, entry, opts)
    local seconds = entry.timeout or opts.timeout
    local failure = within(seconds, opts.limit, function()
        local found = attempt_all(registry.setups) or attempt(entry.fn)
        return { found }
    end)[1]
    local failed = failure and not failure.skip and not registry.fatal(failure.raised)
    if failed and opts.on_failure then opts.on_failure(failure) end
    if opts.on_teardown then opts.on_teardown() end
    local after = within(seconds, opts.limit, function() return attempt_each(registry.teardowns) end)
    raise_if_fatal(registry, { failure }, opts.on_fatal)
    raise_if_fatal(registry, after, opts.on_fatal)
    for _, other in ipairs(opts.unjoined and opts.unjoined() or {}) do failure = failure or failure_beside(other) end
    return merge(failure, after)
end

local function result_of(registry, entry, failure, duration)
    local result = { name = entry.name, number = entry.number, file = entry.file, line = entry.line, duration = duration,
        outcome = "passed" }
    if failure and failure.skip then
        result.outcome, result.why = "skipped", failure.skip
    elseif failure then
        result.outcome, result.message, result.traceback = "failed", failure.message, failure.traceback
        result.machinery = registry.machinery(failure.raised) or nil
        local placed = failure.message:find("^[^\n]-:%d+: ")
        if not placed and entry.file then
            result.message = string.format("%s:%d: %s", entry.file, entry.line, failure.message)
        end
    end
    return result
end

local function print_indented(print_line, shown)
    for line in (text.visible(shown) .. "\n"):gmatch("([^\n]*)\n") do print_line("  # " .. line) end
end

--- A name, or another text, as a part of a line of the Test Anything Protocol, where a `#` would begin a directive.
function runner.tap_text(name) return (name:gsub("%c", " "):gsub("[\\#]", "\\%0")) end

--- Prints a result in the form of the Test Anything Protocol, and what failed below it, by print_line(line).
function runner.print_result(print_line, number, result)
    local line = string.format("%s %d - %s", result.outcome == "failed" and "not ok" or "ok", number,
        runner.tap_text(result.name))
    if result.outcome == "skipped" then
        line = line .. " # SKIP" .. (result.why ~= "" and " " or "") .. result.why:gsub("%c", " ")
    end
    print_line(line)
    if result.message then print_indented(print_line, result.message) end
    if result.traceback then print_indented(print_line, result.traceback) end
end

local function new_summary() return { passed = 0, failed = 0, skipped = 0, results = {} } end

local function record(summary, result, opts)
    summary.results[#summary.results + 1] = result
    summary[result.outcome] = summary[result.outcome] + 1
    if opts.told then opts.told(result) end
    if opts.on_result then return opts.on_result(result) end
    runner.print_result(opts.print or print, #summary.results + (opts.first or 1) - 1, result)
end

-- The registered tests that the filter lets through, in the order that they are to run in.
local function select_tests(registry, opts)
    local wanted = opts.filter
    if type(wanted) == "string" then
        wanted = function(name) return registry.match(name, opts.filter) end
    end
    local selected = {}
    for _, entry in ipairs(registry.tests) do
        if not wanted or wanted(entry.name, entry.number) then selected[#selected + 1] = entry end
    end
    return opts.arrange and opts.arrange(selected) or selected
end

--- Runs a registry's tests in the order of their registration, printing a line of the Test Anything Protocol for each.
-- Around each test go the setups before (when one fails, the test's body is left out) and every teardown after,
-- whatever failed. It may be called in a coroutine, and the tests may yield.
-- @param opts  filter = a pattern (of the registry's matcher) or function(name, number) -> boolean; arrange = function(list
--              of entries) -> another order of them; on_tests = function(entries), called before the first, on_start =
--              function(entry), on_teardown = function(), called when a test's teardowns begin, which have its time anew,
--              on_result = function(result), which is then not printed; print = function(line) (default print); first =
--              number of the first printed (default 1); plan = true prints "1..N" first; fail_fast = true
--              to end behind the first that fails; limit = function(seconds, fn) -> whether fn ended in time, and what
--              failed beside it; timeout = the seconds for a test that does not say; unjoined = function() -> the failures
--              of tasks that nobody has joined, which are the test's; on_fatal = function(failure), before one is raised; on_failure =
--              function(failure), before the teardowns; told = function(result), as well as on_result; clock = function()
--              -> seconds, for the results' durations (default
--              os.clock, processor time)
-- @return { passed =, failed =, skipped = (counts), results = { { number = (of its registration), name =, outcome = "passed",
--         "failed" or "skipped", message =, traceback =, machinery =, why = (of a skip), duration = (seconds), file =,
--         line = }, ... } }
-- Raises only errors that the registry's `fatal` claims, after the teardowns of the test they came from.
function runner.run(registry, opts)
    opts = opts or {}
    local clock, summary = opts.clock or os.clock, new_summary()
    local selected = select_tests(registry, opts)
    if opts.plan then (opts.print or print)("1.." .. #selected) end
    if opts.on_tests then opts.on_tests(selected) end
    for _, entry in ipairs(selected) do
        local started = clock()
        registry.running = true
        declarations.begin_test()
        if opts.on_start then opts.on_start(entry) end
        local failure = run_body(registry, entry, opts)
        registry.running = false
        record(summary, result_of(registry, entry, failure, clock() - started), opts)
        if opts.fail_fast and summary.failed > 0 then break end
    end
    return summary
end

--- Runs a suite file: its chunk, and then the tests that it registered. A file that registers none is one test, whose
-- outcome is the chunk's; so is a file whose chunk fails or calls skip() (what it registered is then not run).
-- @param name   the file's name, for the case of one test
-- @param chunk  the loaded file, with the globals of suite.globals(registry) in reach
-- @param opts   as for runner.run; the filter does not apply to the case of one test
-- @return as runner.run
function runner.run_file(registry, name, chunk, opts)
    opts = opts or {}
    local clock = opts.clock or os.clock
    local started = clock()
    local failure = attempt(chunk)
    raise_if_fatal(registry, { failure }, opts.on_fatal)
    if not failure and #registry.tests > 0 then return runner.run(registry, opts) end
    local summary = new_summary()
    if opts.plan then (opts.print or print)("1..1") end
    record(summary, result_of(registry, { name = name }, failure, clock() - started), opts)
    return summary
end

return runner
