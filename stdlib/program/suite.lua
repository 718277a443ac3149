-- SPDX-License-Identifier: MIT
-- Test suites: the globals `test`, `setup`, `teardown`, `skip` and `check` of a suite file, the registry they write to,
-- and the runner that goes through it once the file's chunk has ended. Nothing here yields by itself, and everything a
-- test does may yield: the only barriers around it are pcall and xpcall, which let a yield through.

local inspect = require "qemunet.inspect"
local options = require "qemunet.options"

local suite = {}

local SOURCE = debug.getinfo(1, "S").short_src
local SHOWN_DIFFERENCES = 10

-- What skip() raises: { why = text }.
local Skip = { __name = "skip", __tostring = function(self) return "skipped: " .. self.why end }

-- Checks -------------------------------------------------------------------------------------------------------------

-- Raises at the line that called the check, which must call fail itself, and not as a tail call.
local function fail(name, msg, text)
    local prefix = msg == nil and "check." .. name or type(msg) == "string" and msg or inspect(msg)
    error(prefix .. ": " .. text, 3)
end

local function show(v) return inspect(v, { string = 200 }) end

local function compares_itself(v)
    local meta = debug.getmetatable(v)
    return meta ~= nil and rawget(meta, "__eq") ~= nil
end

local function same(a, b) return a == b or a ~= a and b ~= b end

local function descends(a, b)
    return type(a) == "table" and type(b) == "table" and not compares_itself(a) and not compares_itself(b)
end

local function key_union(a, b)
    local keys = inspect.keys(a)
    for _, k in ipairs(inspect.keys(b)) do
        if rawget(a, k) == nil then keys[#keys + 1] = k end
    end
    return keys
end

-- Appends to out each place where got and want differ. A pair of tables met again inside itself counts as equal.
local function compare(got, want, path, out, open)
    if same(got, want) then return end
    if not descends(got, want) then
        out[#out + 1] = { path = path, got = got, want = want }
        return
    end
    open[got] = open[got] or {}
    if open[got][want] then return end
    open[got][want] = true
    for _, k in ipairs(key_union(got, want)) do
        compare(rawget(got, k), rawget(want, k), path .. inspect.path(k), out, open)
    end
end

-- The bytes of s around position i, quoted, with dots where something is left out.
local function excerpt(s, i)
    local from, to = math.max(1, i - 20), math.min(#s, i + 40)
    return (from > 1 and "..." or "") .. inspect.quote(s:sub(from, to)) .. (to < #s and "..." or "")
end

local function first_difference(a, b)
    local lo, hi = 0, math.min(#a, #b) -- a and b agree in lo bytes, and not (known to) in hi + 1
    while lo < hi do
        local middle = (lo + hi + 1) // 2
        if a:sub(lo + 1, middle) == b:sub(lo + 1, middle) then lo = middle else hi = middle - 1 end
    end
    return lo + 1
end

local function string_difference(got, want)
    local i = first_difference(got, want)
    local _, newlines = got:sub(1, i - 1):gsub("\n", "")
    return string.format("strings of %d and %d bytes differ at byte %d (line %d)\n  got  %s\n  want %s",
        #got, #want, i, newlines + 1, excerpt(got, i), excerpt(want, i))
end

local function pair_text(got, want)
    local strings = type(got) == "string" and type(want) == "string"
    if strings and (#got > 60 or #want > 60 or (got .. want):find("\n")) then return string_difference(got, want) end
    local g, w = show(got), show(want)
    if (g .. w):find("\n") then return "\n  got  " .. g:gsub("\n", "\n  ") .. "\n  want " .. w:gsub("\n", "\n  ") end
    return "got " .. g .. ", want " .. w
end

local function difference_text(got, want, differences)
    if differences[1].path == "" then return pair_text(got, want) end
    local lines = { "tables differ" }
    for i, d in ipairs(differences) do
        if i > SHOWN_DIFFERENCES then
            lines[#lines + 1] = string.format("  and at %d more places", #differences - SHOWN_DIFFERENCES)
            break
        end
        lines[#lines + 1] = "  " .. d.path .. ": " .. pair_text(d.got, d.want):gsub("\n", "\n  ")
    end
    local g, w = inspect(got), inspect(want)
    if #g <= 100 and #w <= 100 then lines[#lines + 1] = "  got  " .. g .. "\n  want " .. w end
    return table.concat(lines, "\n")
end

-- tol of check.near as an absolute number; nil when it is neither a number >= 0 nor a percentage.
local function tolerance(tol, want)
    local percent = type(tol) == "string" and tonumber(tol:match("^%s*(%d*%.?%d+)%s*%%%s*$"))
    if percent then tol = percent / 100 * math.abs(want) end
    return type(tol) == "number" and tol >= 0 and tol or nil
end

-- Whether a and b are within tol, but for rounding in the last digit or two: 1.1 is within 0.1 of 1.
local function within(a, b, tol)
    if a == b then return true end
    local off = math.abs(a - b)
    return off < math.huge and off <= tol + 2 ^ -50 * math.max(math.abs(a), math.abs(b))
end

local check = {}

--- check.equal(got, want, msg): raises unless both are equal. Tables are compared by what is in them, deeply (without
-- regard to their metatables, unless one has __eq, which decides then); nan equals nan, 1 equals 1.0, "1" is not 1.
function check.equal(got, want, msg)
    local differences = {}
    compare(got, want, "", differences, {})
    if differences[1] then fail("equal", msg, difference_text(got, want, differences)) end
end

--- check.not_equal(got, unwanted, msg): raises when check.equal would not.
function check.not_equal(got, unwanted, msg)
    local differences = {}
    compare(got, unwanted, "", differences, {})
    if not differences[1] then fail("not_equal", msg, "got " .. show(got) .. ", want anything else") end
end

--- check.near(got, want, tol, msg): raises unless got is within tol of want (the bound included).
-- @param tol  an absolute number in the unit of got, or "5%" of want
function check.near(got, want, tol, msg)
    if type(want) ~= "number" then error("check.near: want a number to compare with, got " .. show(want), 2) end
    local allowed = tolerance(tol, want)
    if not allowed then error("check.near: bad tolerance " .. show(tol) .. ' (want a number >= 0 or "5%")', 2) end
    if type(got) ~= "number" then fail("near", msg, "got " .. show(got) .. ", want a number near " .. show(want)) end
    if within(got, want, allowed) then return end
    local kind = type(tol) == "string" and tol or string.format("%.6g", allowed)
    fail("near", msg, string.format("got %s, want %s within %s (off by %.6g)", show(got), show(want), kind, got - want))
end

--- check.less(a, b, msg): raises unless a < b (numbers, strings, or what has __lt).
function check.less(a, b, msg)
    local ok, less = pcall(function() return a < b end)
    if not ok then fail("less", msg, "cannot compare " .. show(a) .. " with " .. show(b)) end
    if not less then fail("less", msg, show(a) .. " is not less than " .. show(b)) end
end

--- check.is_true(v, msg): raises unless v is true itself.
function check.is_true(v, msg)
    if v ~= true then fail("is_true", msg, "got " .. show(v) .. ", want true") end
end

--- check.is_nil(v, msg): raises unless v is nil.
function check.is_nil(v, msg)
    if v ~= nil then fail("is_nil", msg, "got " .. show(v) .. ", want nil") end
end

-- The results of the registry's matcher, packed; or nil and what it raised, without its position.
local function try_match(registry, s, pattern)
    local results = table.pack(pcall(registry.match, s, pattern))
    if results[1] then return table.pack(table.unpack(results, 2, results.n)) end
    return nil, tostring(results[2]):gsub("^[^\n]-:%d+: ", "")
end

local function text_of(err)
    return type(err) == "string" and err or type(err) == "number" and tostring(err) or inspect(err)
end

local function is_skip(err) return type(err) == "table" and getmetatable(err) == Skip end

-- Reading check.eqaul is an error at once.
local function unknown_check(checks, name)
    local near = options.nearest(name, inspect.keys(checks))
    local hint = near and '; did you mean "' .. near .. '"?' or ""
    error("check: unknown check " .. show(name) .. hint, 2)
end

-- The checks of one registry: those that depend on its matcher are closures over it.
local function build_checks(registry)
    local own = {}
    for name, fn in pairs(check) do own[name] = fn end

    --- check.match(s, pattern, msg) -> what the matcher returns (captures, for Lua patterns); raises unless s matches.
    function own.match(s, pattern, msg)
        if type(s) ~= "string" then fail("match", msg, "got " .. show(s) .. ", want a string") end
        local results, problem = try_match(registry, s, pattern)
        if not results then error("check.match: bad pattern " .. show(pattern) .. ": " .. problem, 2) end
        if not results[1] then fail("match", msg, show(s) .. " does not match " .. show(pattern)) end
        return table.unpack(results, 1, results.n)
    end

    --- check.raises(fn, pattern, msg) -> message, error; raises unless fn() raises (and the message matches, if pattern
    -- is given). message is text, error the raised value itself. skip() and fatal errors in fn pass through.
    function own.raises(fn, pattern, msg)
        if type(fn) ~= "function" then error("check.raises: want a function, got " .. show(fn), 2) end
        local ok, err = pcall(fn)
        if ok then fail("raises", msg, "no error was raised") end
        if is_skip(err) or registry.fatal(err) then error(err, 0) end
        local message = text_of(err)
        if pattern == nil then return message, err end
        local results, problem = try_match(registry, message, pattern)
        if not results then error("check.raises: bad pattern " .. show(pattern) .. ": " .. problem, 2) end
        if not results[1] then fail("raises", msg, "error " .. show(message) .. " does not match " .. show(pattern)) end
        return message, err
    end

    return setmetatable(own, { __index = unknown_check })
end

-- The registry -------------------------------------------------------------------------------------------------------

local function never() return false end

--- A new registry for one suite file.
-- @param opts  match = function(s, pattern) -> a true value when s matches (default string.match), for check.match,
--              check.raises and text filters; fatal = function(err) -> true for an error that must not be taken for a
--              failed test, such as the task's cancellation (default: none is)
-- @return a table; registry.tests lists what has been registered: { name =, fn =, file =, line = }
function suite.new(opts)
    opts = opts or {}
    return {
        tests = {}, setups = {}, teardowns = {}, running = false,
        match = opts.match or string.match, fatal = opts.fatal or never,
    }
end

-- Raises at the line that called the registering function.
local function expect_registering(registry, who, fn)
    if registry.running then error(who .. ": inside a running test; call it at the top of the file", 3) end
    if type(fn) ~= "function" then error(who .. ": want a function, got " .. show(fn), 3) end
end

local function skip(why)
    if why ~= nil and type(why) ~= "string" then error("skip: want a reason as text, got " .. show(why), 2) end
    error(setmetatable({ why = why or "" }, Skip))
end

--- The globals of a suite file, writing to the registry: a table of test, setup, teardown, skip and check.
-- test(name, fn) registers a test; setup(fn) and teardown(fn) register what runs before and after each test (several:
-- setups in the order given, teardowns in the reverse); skip(why) ends the test, or at the top of a file the file.
function suite.globals(registry)
    local globals = { check = build_checks(registry), skip = skip }
    function globals.test(name, fn)
        if type(name) ~= "string" or name == "" then error("test: want a name, got " .. show(name), 2) end
        expect_registering(registry, "test", fn)
        local at = debug.getinfo(2, "Sl") or {}
        local entry = { name = name, fn = fn, file = at.short_src, line = at.currentline }
        registry.tests[#registry.tests + 1] = entry
    end
    function globals.setup(fn)
        expect_registering(registry, "setup", fn)
        table.insert(registry.setups, fn)
    end
    function globals.teardown(fn)
        expect_registering(registry, "teardown", fn)
        table.insert(registry.teardowns, 1, fn)
    end
    return globals
end

--- The reason when err is what skip() raised, else nil; for a host that runs a suite's chunk by itself.
function suite.skipped(err) return is_skip(err) and err.why or nil end

-- Running ------------------------------------------------------------------------------------------------------------

-- The traceback without this file's own frames, and without what lies below the runner.
local function trim_traceback(text)
    local lines, own = {}, "\t" .. SOURCE .. ":"
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    local kept = {}
    for i, line in ipairs(lines) do
        local ours = line:sub(1, #own) == own
        local below = lines[i + 1] and lines[i + 1]:sub(1, #own) == own
        if below and line:find("'xpcall'", 1, true) then break end
        if not ours and not (#kept <= 1 and line:find("^\t%[C%]: in function 'error'")) then kept[#kept + 1] = line end
    end
    return #kept > 1 and table.concat(kept, "\n") or nil
end

local function failure_of(err)
    if is_skip(err) then return { skip = err.why, raised = err } end
    return { message = text_of(err), raised = err, traceback = trim_traceback(debug.traceback("", 2)) }
end

-- Runs fn. Returns nil when it returned; else { skip = why } or { message =, traceback = }, and raised = the error.
local function attempt(fn)
    local ok, failure = xpcall(fn, failure_of)
    if ok then return nil end
    return type(failure) == "table" and failure or { message = text_of(failure), raised = failure }
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

local function raise_if_fatal(registry, failures)
    for _, failure in ipairs(failures) do
        if registry.fatal(failure.raised) then
            registry.running = false
            error(failure.raised, 0)
        end
    end
end

local function run_body(registry, entry)
    local failure = attempt_all(registry.setups)
    if not failure then failure = attempt(entry.fn) end
    local after = attempt_each(registry.teardowns)
    raise_if_fatal(registry, { failure })
    raise_if_fatal(registry, after)
    return merge(failure, after)
end

local function result_of(entry, failure, duration)
    local result = { name = entry.name, file = entry.file, line = entry.line, duration = duration, outcome = "passed" }
    if failure and failure.skip then
        result.outcome, result.why = "skipped", failure.skip
    elseif failure then
        result.outcome, result.message, result.traceback = "failed", failure.message, failure.traceback
        local placed = failure.message:find("^[^\n]-:%d+: ")
        if not placed and entry.file then
            result.message = string.format("%s:%d: %s", entry.file, entry.line, failure.message)
        end
    end
    return result
end

local function print_indented(print_line, text)
    for line in (text .. "\n"):gmatch("([^\n]*)\n") do print_line("  # " .. line) end
end

-- One result in the Test Anything Protocol, where a `#` in a name would begin a directive.
local function print_result(print_line, number, result)
    local name = result.name:gsub("%c", " "):gsub("[\\#]", "\\%0")
    local line = string.format("%s %d - %s", result.outcome == "failed" and "not ok" or "ok", number, name)
    if result.outcome == "skipped" then
        line = line .. " # SKIP" .. (result.why ~= "" and " " or "") .. result.why:gsub("%c", " ")
    end
    print_line(line)
    if result.message then print_indented(print_line, result.message) end
    if result.traceback then print_indented(print_line, result.traceback) end
end

local function new_summary() return { passed = 0, failed = 0, skipped = 0, results = {} } end

local function record(summary, result, opts)
    local number = #summary.results + (opts.first or 1)
    result.number = number
    summary.results[#summary.results + 1] = result
    summary[result.outcome] = summary[result.outcome] + 1
    print_result(opts.print or print, number, result)
    if opts.told then opts.told(result) end
end

-- The registered tests that the filter lets through.
local function select_tests(registry, filter)
    if filter == nil then return registry.tests end
    local wanted = filter
    if type(filter) == "string" then
        wanted = function(name) return registry.match(name, filter) end
    end
    local selected = {}
    for _, entry in ipairs(registry.tests) do
        if wanted(entry.name) then selected[#selected + 1] = entry end
    end
    return selected
end

--- Runs a registry's tests in the order of their registration, printing a line of the Test Anything Protocol for each.
-- Around each test go the setups before (when one fails, the test's body is left out) and every teardown after,
-- whatever failed. It may be called in a coroutine, and the tests may yield.
-- @param opts  filter = a pattern (of the registry's matcher) or function(name) -> boolean; print = function(line)
--              (default print); first = number of the first test (default 1); plan = true prints "1..N" first;
--              told = function(result), called for each as it comes; clock = function() -> seconds, for the results'
--              durations (default os.clock, processor time)
-- @return { passed =, failed =, skipped = (counts), results = { { number =, name =, outcome = "passed", "failed" or
--         "skipped", message =, traceback =, why = (of a skip), duration = (seconds), file =, line = }, ... } }
-- Raises only errors that the registry's `fatal` claims, after the teardowns of the test they came from.
function suite.run(registry, opts)
    opts = opts or {}
    local clock, summary = opts.clock or os.clock, new_summary()
    local selected = select_tests(registry, opts.filter)
    if opts.plan then (opts.print or print)("1.." .. #selected) end
    for _, entry in ipairs(selected) do
        local started = clock()
        registry.running = true
        local failure = run_body(registry, entry)
        registry.running = false
        record(summary, result_of(entry, failure, clock() - started), opts)
    end
    return summary
end

--- Runs a suite file: its chunk, and then the tests that it registered. A file that registers none is one test, whose
-- outcome is the chunk's; so is a file whose chunk fails or calls skip() (what it registered is then not run).
-- @param name   the file's name, for the case of one test
-- @param chunk  the loaded file, with the globals of suite.globals(registry) in reach
-- @param opts   as for suite.run; the filter does not apply to the case of one test
-- @return as suite.run
function suite.run_file(registry, name, chunk, opts)
    opts = opts or {}
    local clock = opts.clock or os.clock
    local started = clock()
    local failure = attempt(chunk)
    raise_if_fatal(registry, { failure })
    if not failure and #registry.tests > 0 then return suite.run(registry, opts) end
    local summary = new_summary()
    if opts.plan then (opts.print or print)("1..1") end
    record(summary, result_of({ name = name }, failure, clock() - started), opts)
    return summary
end

return suite
