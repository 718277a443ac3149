-- SPDX-License-Identifier: MIT
-- Test suites: the globals `test`, `setup`, `teardown`, `skip` and `check` of a suite file, and the registry they write to,
-- which the runner goes through once the file's chunk has ended. Nothing here yields by itself.

local checks = require "qemunet.suite.checks"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"

local suite = {}

-- What skip() raises: { why = text }.
local Skip = { __name = "skip", __tostring = function(self) return "skipped: " .. self.why end }

local function is_skip(err) return type(err) == "table" and getmetatable(err) == Skip end

local function never() return false end

--- A new registry for one suite file.
-- @param opts  match = function(s, pattern) -> a true value when s matches (default string.match), for check.match,
--              check.raises and text filters; fatal = function(err) -> true for an error that must not be taken for a
--              failed test, such as the task's cancellation (default: none is); machinery = function(err) -> true for
--              one that is the machinery's, not the test's (default: none is)
-- @return a table; registry.tests lists what has been registered: { number =, name =, fn =, file =, line =, timeout = }
function suite.new(opts)
    opts = opts or {}
    return {
        tests = {}, setups = {}, teardowns = {}, running = false,
        match = opts.match or string.match, fatal = opts.fatal or never,
        machinery = opts.machinery or never,
    }
end

-- Raises at the line that called the registering function.
local function expect_registering(registry, who, fn)
    if registry.running then error(who .. ": inside a running test; call it at the top of the file", 3) end
    if type(fn) ~= "function" then error(who .. ": want a function, got " .. inspect(fn), 3) end
end

local TEST_OPTIONS = options.register({ timeout = { type = "duration" } }, "test")

--- skip(why): ends the test as skipped; at the top of a file, the file.
-- @param why  a text (default: none)
-- @example vm
--   test("only with KVM", function()
--       if args[1] ~= "kvm" then skip("no KVM here") end
--   end)
local function skip(why)
    if why ~= nil and type(why) ~= "string" then error("skip: want a reason as text, got " .. inspect(why), 2) end
    error(setmetatable({ why = why or "" }, Skip))
end

--- The globals of a suite file, writing to the registry: a table of test, setup, teardown, skip and check.
-- test(name, opts, fn) registers a test; setup(fn) and teardown(fn) register what runs before and after each test (several:
-- setups in the order given, teardowns in the reverse); skip(why) ends the test, or at the top of a file the file.
function suite.globals(registry)
    local function passes(err) return is_skip(err) or registry.fatal(err) end
    local globals = { check = checks.new(registry.match, passes), skip = skip }
    --- test(name, opts, fn): registers a test, which is run after the file's main part.
    -- A file with tests is a suite: `qemunet run` and `qemunet test` run them in order; an error fails one, the others go on.
    -- What the main part declares is there for all of them. What a test declares, or a setup for it, is there until a later test
    -- declares one of its names again: then all that the earlier test declared goes first, with power cut and links removed.
    -- @param name  what it is about
    -- @option timeout  after which the test is cancelled, and has failed (default: --test-timeout, 10 minutes)
    -- @param fn    function(), run between what setup and teardown have registered
    -- @error  inside a running test
    -- @example vm
    --   test("a reaches b", function() check.is_true(host("a"):ok("ping -c 1 b")) end)
    function globals.test(name, opts, fn)
        if type(name) ~= "string" or name == "" then error("test: want a name, got " .. inspect(name), 2) end
        if type(opts) == "function" then opts, fn = nil, opts end
        expect_registering(registry, "test", fn)
        opts = options.check(opts, TEST_OPTIONS, "test", 2)
        local at, number = debug.getinfo(2, "Sl") or {}, #registry.tests + 1
        registry.tests[number] = { number = number, name = name, fn = fn, file = at.short_src, line = at.currentline,
            timeout = opts.timeout }
    end
    --- setup(fn): registers what is run before each test; several in the order given.
    -- When it fails, the test's body is left out. What it declares replaces what it declared for the test before; see test().
    -- @param fn  function()
    -- @example vm
    --   local a, b
    --   setup(function()
    --       a, b = host("a"), host("b")
    --       link(a, b)
    --       boot()
    --   end)
    --   test("a reaches b", function() a:succeed("ping -c 1 b") end)
    function globals.setup(fn)
        expect_registering(registry, "setup", fn)
        table.insert(registry.setups, fn)
    end
    --- teardown(fn): registers what is run after each test, whatever became of it; several in the reverse order.
    -- @param fn  function()
    -- @example vm
    --   local cable = link(responder("a"), responder("b"))
    --   teardown(function() cable:set { loss = false } end)
    function globals.teardown(fn)
        expect_registering(registry, "teardown", fn)
        table.insert(registry.teardowns, 1, fn)
    end
    return globals
end

--- The reason when err is what skip() raised, else nil; for a host that runs a suite's chunk by itself.
function suite.skipped(err) return is_skip(err) and err.why or nil end

return suite
