-- SPDX-License-Identifier: MIT
-- The suite language, tested in itself: each test builds a registry of its own, registers small tests in it, runs it,
-- and looks at the results and at the lines that were printed.

local blames = require "blames".exactly
local runner = require "qemunet.suite.runner"
local suite = require "qemunet.suite.suite"

-- Fills a new registry by fill(globals) and runs it. Returns the summary and the printed lines.
local function run(fill, opts, registry_opts)
    local registry, lines = suite.new(registry_opts), {}
    opts = opts or {}
    opts.print = function(line) lines[#lines + 1] = line end
    fill(suite.globals(registry))
    return runner.run(registry, opts), lines
end

-- A registry's checks, apart from those that run this file; their patterns are Lua's, whatever the host's are.
local inner = suite.globals(suite.new()).check

local function line_of(fn) return debug.getinfo(fn, "S").linedefined end

test("tests run in order, after they are all registered", function()
    local order = {}
    local summary, lines = run(function(g)
        g.test("first", function() order[#order + 1] = "first" end)
        g.test("second", function() order[#order + 1] = "second" end)
        order[1] = "registered"
    end)
    check.equal(order, { "registered", "first", "second" })
    check.equal(lines, { "ok 1 - first", "ok 2 - second" })
    check.equal({ summary.passed, summary.failed, summary.skipped }, { 2, 0, 0 })
    check.equal(summary.results[2].outcome, "passed")
    check.equal(summary.results[2].number, 2)
    check.less(-1e-9, summary.results[2].duration)
end)

test("a failed check is reported with file, line and traceback", function()
    local function body() inner.equal(1, 2) end
    local summary, lines = coroutine.wrap(run)(function(g) g.test("bad", body) end) -- a stack without this test's frames
    local place = debug.getinfo(body, "S").short_src .. ":" .. line_of(body)
    check.equal(lines[1], "not ok 1 - bad")
    check.equal(lines[2], "  # " .. place .. ": check.equal: got 1, want 2")
    check.equal(lines[3]:match("^  #     (.-): in "), place)
    check.equal(#lines, 4) -- the last is of run()
    check.equal(summary.failed, 1)
    check.equal(summary.results[1].outcome, "failed")
end)

test("the traceback leads through helpers, without the suite's own frames", function()
    local function helper() local x = nil; x() end
    local function body() helper(); inner.is_true(true) end
    local _, lines = run(function(g) g.test("bad", body) end)
    local text = table.concat(lines, "\n")
    check.is_true(text:find(":" .. line_of(helper) .. ": ", 1, true) ~= nil, text)
    check.is_true(text:find(":" .. line_of(body) .. ": ", 1, true) ~= nil, text)
    check.is_nil(text:find("xpcall", 1, true))
end)

test("a check in a tail call is blamed on its test", function()
    local function body() return inner.equal(1, 2) end
    local summary = run(function(g) g.test("tail", body) end)
    inner.match(summary.results[1].message, ":%d+: check.equal: got 1, want 2$")
end)

test("errors of any type are failures", function()
    local summary, lines = run(function(g)
        g.test("table", function() error { code = 7 } end)
        g.test("nil", function() error(nil) end)
        g.test("number", function() error(7) end)
        g.test("deep", function() local function f() return 1 + f() end; f() end)
    end)
    check.equal(summary.failed, 4)
    inner.match(lines[2], "^  # .-:%d+: { code = 7 }$")
    inner.match(summary.results[4].message, "overflow")
end)

test("a multi-line message is indented throughout", function()
    local _, lines = run(function(g) g.test("bad", function() error("one\ntwo\n\nfour", 0) end) end)
    inner.match(lines[2], "^  # .-:%d+: one$")
    check.equal({ lines[3], lines[4], lines[5] }, { "  # two", "  # ", "  # four" })
end)

test("names are kept from breaking the output", function()
    local _, lines = run(function(g) g.test("a # TODO\nb", function() end) end)
    check.equal(lines, { "ok 1 - a \\# TODO b" })
end)

test("skip ends a test, from any depth", function()
    local reached = false
    local summary, lines = run(function(g)
        g.test("why", function() g.skip("no kvm"); reached = true end)
        g.test("none", function() g.skip() end)
        g.test("in raises", function() g.check.raises(function() g.skip("inside") end) end)
    end)
    check.equal(lines, { "ok 1 - why # SKIP no kvm", "ok 2 - none # SKIP", "ok 3 - in raises # SKIP inside" })
    check.equal(summary.skipped, 3)
    check.equal(summary.results[1].why, "no kvm")
    check.equal(reached, false)
end)

test("setups run before, teardowns after in reverse, even on failure", function()
    local log = {}
    local function note(text) return function() log[#log + 1] = text end end
    local summary = run(function(g)
        g.setup(note "s1"); g.setup(note "s2")
        g.teardown(note "t1"); g.teardown(note "t2")
        g.test("passes", note "a")
        g.test("fails", function() log[#log + 1] = "b"; error("no") end)
        g.test("skips", function() g.skip("x") end)
    end)
    check.equal(table.concat(log, " "), "s1 s2 a t2 t1 s1 s2 b t2 t1 s1 s2 t2 t1")
    check.equal({ summary.passed, summary.failed, summary.skipped }, { 1, 1, 1 })
end)

test("a failed setup leaves the body out, but not the teardown", function()
    local log = {}
    local summary = run(function(g)
        g.setup(function() error("broken setup", 0) end)
        g.teardown(function() log[#log + 1] = "teardown" end)
        g.test("never", function() log[#log + 1] = "body" end)
    end)
    check.equal(log, { "teardown" })
    inner.match(summary.results[1].message, "broken setup")
end)

test("a failed teardown fails its test, and every teardown is run", function()
    local ran = false
    local summary = run(function(g)
        g.teardown(function() ran = true end)
        g.teardown(function() error("mess", 0) end)
        g.test("passes", function() end)
        g.test("fails", function() error("first", 0) end)
    end)
    check.equal(summary.failed, 2)
    inner.match(summary.results[1].message, "in teardown: mess$")
    inner.match(summary.results[2].message, "first\nand in teardown: mess$")
    check.is_true(ran)
end)

test("filters, numbering and the plan", function()
    local function fill(g)
        for _, name in ipairs { "ping one", "ping two", "tcp" } do g.test(name, function() end) end
    end
    local _, lines = run(fill, { filter = "^ping", first = 7, plan = true })
    check.equal(lines, { "1..2", "ok 7 - ping one", "ok 8 - ping two" })
    local summary = run(fill, { filter = function(name) return name == "tcp" end })
    check.equal(summary.passed, 1)
    check.equal(summary.results[1].name, "tcp")
end)

test("a test's own time limit, or that of all, holds for it and for its teardowns", function()
    local limits = {}
    local summary = run(function(g)
        g.test("own", { timeout = "20ms" }, function() end)
        g.test("other", function() error("not reached", 0) end)
    end, { timeout = 5, limit = function(seconds, fn)
        limits[#limits + 1] = seconds
        if seconds < 1 then fn() end
        return seconds < 1
    end })
    check.equal(limits, { 0.02, 0.02, 5, 5 })
    check.equal(summary.passed, 1)
    inner.match(summary.results[2].message, ":%d+: timed out after 5 s\nand in teardown: timed out after 5 s$")
end)

test("who watches the time is told when the teardowns begin", function()
    local seen = {}
    local function note(text) return function() seen[#seen + 1] = text end end
    run(function(g)
        g.setup(note "setup")
        g.teardown(note "teardown")
        g.test("one", note "body")
    end, { on_start = note "start", on_teardown = note "time anew" })
    check.equal(seen, { "start", "setup", "body", "time anew", "teardown" })
end)

test("tests, setups and raises may yield", function()
    local seen = {}
    local runner = coroutine.wrap(function()
        local summary = run(function(g)
            g.setup(function() seen[#seen + 1] = coroutine.yield("setup") end)
            g.test("yields", function()
                seen[#seen + 1] = coroutine.yield("body")
                g.check.raises(function() coroutine.yield("raises"); error("after") end, "after")
            end)
            g.teardown(function() coroutine.yield("teardown") end)
        end)
        return summary
    end)
    check.equal({ runner(), runner(1), runner(2), runner() }, { "setup", "body", "raises", "teardown" })
    check.equal(runner().passed, 1)
    check.equal(seen, { 1, 2 })
end)

test("a fatal error ends the run after the teardown", function()
    local cancelled, log = setmetatable({}, { __name = "cancelled" }), {}
    local registry = suite.new { fatal = function(err) return err == cancelled end }
    local g = suite.globals(registry)
    g.teardown(function() log[#log + 1] = "teardown" end)
    g.test("cancelled", function() g.check.raises(function() error(cancelled) end) end)
    g.test("never", function() log[#log + 1] = "never" end)
    local _, err = check.raises(function() runner.run(registry, { print = function() end }) end)
    check.is_true(rawequal(err, cancelled))
    check.equal(log, { "teardown" })
end)

test("a file without tests is one test", function()
    local function outcome(chunk, fill)
        local registry, lines = suite.new(), {}
        if fill then fill(suite.globals(registry)) end
        runner.run_file(registry, "f.lua", chunk, { print = function(line) lines[#lines + 1] = line end })
        return lines[1]
    end
    local function one_test(g) g.test("t", function() end) end
    check.equal(outcome(function() end), "ok 1 - f.lua")
    check.equal(outcome(function() error("x") end), "not ok 1 - f.lua")
    check.equal(outcome(function() skip("no qemu") end), "ok 1 - f.lua # SKIP no qemu")
    check.equal(outcome(function() end, one_test), "ok 1 - t")
    check.equal(outcome(function() error("x") end, one_test), "not ok 1 - f.lua")
end)

test("skipped() tells a host what skip() raised", function()
    local _, err = pcall(skip, "because")
    check.equal(suite.skipped(err), "because")
    check.is_nil(suite.skipped("an error"))
    check.equal(tostring(err), "skipped: because")
end)

test("registering wrongly is misuse", function()
    local g = suite.globals(suite.new())
    blames(function() g.test("name") end, "test: want a function, got nil")
    blames(function() g.test(function() end) end, "test: want a name, got <function "
        .. debug.getinfo(1, "S").short_src .. ":" .. debug.getinfo(1, "l").currentline - 1 .. ">")
    blames(function() g.test("name", { timout = 1 }, function() end) end, 'test: unknown option "timout"; did you mean "timeout"?')
    blames(function() g.test("name", { timeout = "soon" }, function() end) end,
        'test: timeout: bad duration "soon" (want seconds or "200us", "20ms", "1.5s", "2m")')
    blames(function() g.setup() end, "setup: want a function, got nil")
    blames(function() g.skip(5) end, "skip: want a reason as text, got 5")
    local summary = run(function(h) h.test("outer", function() h.test("inner", function() end) end) end)
    inner.match(summary.results[1].message, "test: inside a running test; call it at the top of the file$")
end)

test("equal: what is equal", function()
    inner.equal(1, 1.0)
    inner.equal(0 / 0, 0 / 0)
    inner.equal({ 1, { a = "x" } }, { 1, { a = "x" } })
    inner.equal({ a = 1, b = 2 }, { b = 2, a = 1 })
    local a, b = {}, {}
    a.self, b.self = a, b
    inner.equal(a, b)
    local by_id = { __eq = function(x, y) return x.id == y.id end }
    inner.equal(setmetatable({ id = 1, n = 1 }, by_id), setmetatable({ id = 1, n = 2 }, by_id))
    inner.equal(nil, nil)
end)

test("equal: what is not, and how it is shown", function()
    blames(function() inner.equal(1, "1") end, 'check.equal: got 1, want "1"')
    blames(function() inner.equal(nil, false) end, "check.equal: got nil, want false")
    blames(function() inner.equal(0.1 + 0.2, 0.3) end, "check.equal: got 0.30000000000000004, want 0.3")
    blames(function() inner.equal(1, 2, "hops") end, "hops: got 1, want 2")
    blames(function() inner.equal({ 1, { a = 2 }, z = 1 }, { 1, { a = 3 }, 4 }) end,
        "check.equal: tables differ\n  [2].a: got 2, want 3\n  .z: got 1, want nil\n  [3]: got nil, want 4\n"
        .. "  got  { 1, { a = 2 }, z = 1 }\n  want { 1, { a = 3 }, 4 }")
    blames(function() inner.equal({}, 1) end, "check.equal: got {}, want 1")
    blames(function() inner.equal("a\nb\nc", "a\nb\nd") end,
        'check.equal: strings of 5 and 5 bytes differ at byte 5 (line 3)\n  got  "a\\nb\\nc"\n  want "a\\nb\\nd"')
end)

test("equal: long differences are cut", function()
    local a, b = {}, {}
    for i = 1, 1000 do a[i], b[i] = i, -i end
    local message = check.raises(function() inner.equal(a, b) end, "and at 990 more places$")
    check.less(#message, 600)
    local x = ("x"):rep(1000000)
    message = check.raises(function() inner.equal(x .. "a", x .. "b") end, "differ at byte 1000001")
    check.less(#message, 400)
end)

test("not_equal, is_true, is_nil", function()
    inner.not_equal({ 1 }, { 2 })
    inner.is_true(true)
    inner.is_nil(nil)
    blames(function() inner.not_equal({ 1 }, { 1 }) end, "check.not_equal: got { 1 }, want anything else")
    blames(function() inner.is_true(1) end, "check.is_true: got 1, want true")
    blames(function() inner.is_nil(false) end, "check.is_nil: got false, want nil")
end)

test("near", function()
    inner.near(1.1, 1, 0.1)
    inner.near(40.9, 40, "5%")
    inner.near(-42, -40, "5%")
    inner.near(1 / 0, 1 / 0, 0)
    blames(function() inner.near(45, 40, "5%", "rtt") end, "rtt: got 45, want 40 within 5% (off by 5)")
    blames(function() inner.near(1, 2, 0.5) end, "check.near: got 1, want 2 within 0.5 (off by -1)")
    blames(function() inner.near(nil, 2, 1) end, "check.near: got nil, want a number near 2")
    check.raises(function() inner.near(0 / 0, 2, 1) end, "got nan, want 2 within 1")
    blames(function() inner.near(1, 2) end, 'check.near: bad tolerance nil (want a number >= 0 or "5%")')
    blames(function() inner.near(1, 2, "5") end, 'check.near: bad tolerance "5" (want a number >= 0 or "5%")')
    blames(function() inner.near(1, "2", 1) end, 'check.near: want a number to compare with, got "2"')
end)

test("less", function()
    inner.less(1, 2)
    inner.less("a", "b")
    blames(function() inner.less(2, 2) end, "check.less: 2 is not less than 2")
    blames(function() inner.less(nil, 2, "hops") end, "hops: cannot compare nil with 2")
end)

test("match", function()
    check.equal({ inner.match("rtt 40 ms", "(%d+) (%a+)") }, { "40", "ms" })
    blames(function() inner.match("abc", "%d") end, 'check.match: "abc" does not match "%d"')
    blames(function() inner.match(nil, "%d") end, "check.match: got nil, want a string")
    blames(function() inner.match("abc", "[") end, 'check.match: bad pattern "[": malformed pattern (missing \']\')')
    blames(function() inner.match("abc", nil) end, "check.match: bad pattern nil: want a text")
end)

test("an injected matcher takes the place of Lua's patterns", function()
    local registry = suite.new { match = function(s, pattern) return s:find(pattern, 1, true) end }
    local own = suite.globals(registry).check
    own.match("a.b%d", "%d")
    own.raises(function() error("what [now") end, "[now")
    blames(function() own.match("a1", "%d") end, 'check.match: "a1" does not match "%d"')
end)

test("raises", function()
    local message, err = inner.raises(function() error({ code = 7 }) end)
    check.equal(message, "{ code = 7 }")
    check.equal(err, { code = 7 })
    check.equal(inner.raises(function() error("plain", 0) end, "^pl"), "plain")
    blames(function() inner.raises(function() end) end, "check.raises: no error was raised")
    blames(function() inner.raises(function() error("a", 0) end, "b") end, 'check.raises: error "a" does not match "b"')
    blames(function() inner.raises("x") end, 'check.raises: want a function, got "x"')
end)

test("a misspelt check says so", function()
    blames(function() inner.eqaul(1, 1) end, 'check: unknown check "eqaul"; did you mean "equal"?')
end)
