-- SPDX-License-Identifier: MIT
-- Faults over time, of simulated nodes and hosts: what a seed makes, what each kind does, and that all is as before
-- afterwards; and the search for a smaller schedule.

local blames = require "blames"
local core = require "qemunet.core"
local entries = require "qemunet.faults.entries"
local errors = require "qemunet.errors"
local frames = require "frames"
local minimise = require "qemunet.faults.minimise"
local schedule = require "qemunet.faults.schedule"

local PATIENCE = 20

local a, b, c = responder("a"), responder("b"), responder("c")
local ab, bc = link(a, b), link(b, c)
local h, k = host("h"), host("k")
local hk = link(h, k)

local function seed(n) core.set_seed(n) end

local function kinds_of(list)
    local counts = {}
    for _, one in ipairs(list) do counts[one.kind] = (counts[one.kind] or 0) + 1 end
    return counts
end

-- Whether a frame gets over the cable now, with what is in force at this moment.
local function passes(cable)
    local before = cable.ab:stats().delivered
    core.link_send(cable.id, 0, frames.datagram(cable.nics[1], cable.nics[2]))
    return cable.ab:stats().delivered > before
end

local function run(spec)
    local storm = faults(spec)
    check.is_true(storm:start():wait(PATIENCE))
    return storm
end

-- The schedule --------------------------------------------------------------------------------------------------------

local function random_spec(every)
    return { during = "1000s", every = every,
        { "cut", links = { ab, bc }, lasts = { "1s", "4s" } },
        { "crash", nodes = { h, k }, lasts = 3, weight = 2 },
        { "partition", groups = "random", nodes = { a, b, c }, lasts = { 1, 1 } },
        { "slow", link = "a--b", delay = { "100ms", "300ms" }, lasts = "2s" },
        { "cut", at = "2s", link = ab, lasts = "1s" } }
end

test("a seed gives a schedule, and the same one again", function()
    local read = entries.read(random_spec("10s"), 1)
    seed(1)
    local one = schedule.make(read, 1)
    check.equal(schedule.make(read, 1), one)
    check.not_equal(schedule.make(read, 2), one, "another faults{} of the run")
    seed(2)
    check.not_equal(schedule.make(read, 1), one, "another seed")
    for i = 2, #one do check.less(one[i - 1].at - 1e-9, one[i].at, "the order of time") end
end)

test("times are exponential, kinds by their weight, the rest within its range", function()
    seed(7)
    local list = schedule.make(entries.read(random_spec("1s"), 1), 1)
    check.near(#list, 1000, 150, "a Poisson number: within 4.7 of its standard deviations")
    local counts, short = kinds_of(list), 0
    check.near(counts.crash / counts.slow, 2, 0.8)
    for i = 2, #list do
        if list[i].at - list[i - 1].at < 1 then short = short + 1 end
    end
    check.near(short / #list, 1 - math.exp(-1), 0.08, "gaps below the mean")
    local targets = {}
    for _, one in ipairs(list) do
        if one.kind == "partition" then
            check.is_true(#one.target == 2 and #one.target[1] > 0 and #one.target[2] > 0)
            check.equal(#one.target[1] + #one.target[2], 3)
        elseif one.kind == "cut" then
            targets[one.target] = true
            check.is_true(one.lasts >= 1 and one.lasts <= 4)
        elseif one.kind == "slow" then
            check.is_true(one.delay >= 0.1 and one.delay <= 0.3)
        end
    end
    check.equal(targets, { ["a--b"] = true, ["b--c"] = true })
end)

test("a schedule is shown a line for each fault", function()
    local storm = faults { { "cut", link = ab, at = 1.5, lasts = 1 },
        { "slow", link = bc, at = 0, rate = "1mbit", lasts = "50ms" },
        { "partition", groups = { { a }, { b, "c" } }, at = 2, lasts = 1 } }
    check.match(tostring(storm), "^3 faults, seed %d+ %(not started%):\n" ..
        "     0%.000 s  slow       b%-%-c     rate 1 Mbit/s, lasts 50 ms\n" ..
        "     1%.500 s  cut        a%-%-b     lasts 1 s\n" ..
        "     2%.000 s  partition  a | b c  lasts 1 s$")
    check.is_true(storm:stop())
end)

-- What they do --------------------------------------------------------------------------------------------------------

test("two cuts of one link: it is up again when both are over", function()
    local storm = faults { { "cut", link = ab, at = 0, lasts = 0.05 }, { "cut", link = ab, at = 0.02, lasts = 0.1 } }
    storm:start()
    eventually(PATIENCE, function() return storm.schedule[1].ended end, { every = 0.001 })
    if not storm.schedule[2].ended then check.equal(ab.is_up, false) end
    storm:wait(PATIENCE)
    check.equal({ ab.is_up, storm.state }, { true, "over" })
    check.less(storm.schedule[1].ended, storm.schedule[2].ended)
end)

test("a link that the script has cut stays so; one that was removed is left out", function()
    local gone = link(a, c)
    local storm = faults { { "cut", link = ab, at = 0, lasts = 0.01 }, { "cut", link = gone, at = 0.01, lasts = 0.01 } }
    ab:down()
    gone:remove()
    storm:start():wait(PATIENCE)
    check.equal({ ab.is_up, storm.schedule[2].skipped }, { false, "the link was removed" })
    ab:up()
end)

test("slow and lossy add to what the link has, and to each other; what the script sets meanwhile stays", function()
    ab:set { loss = 0.5, delay = "1ms", rate = "10mbit" }
    local storm = faults { during = PATIENCE, { "slow", link = ab, at = 0, delay = "2ms", rate = "1mbit" },
        { "slow", link = ab, at = 0, delay = "3ms", rate = "2mbit" }, { "lossy", link = ab, at = 0, loss = "50%" },
        { "lossy", link = bc, at = 0, loss = 1 } }
    storm:start()
    eventually(PATIENCE, function() return storm.schedule[4].began end, { every = 0.001 })
    local now_in_force = ab.overlay(ab.config.ab).values
    check.near(now_in_force.delay, 0.006, 1e-9)
    check.equal({ now_in_force.loss, now_in_force.rate }, { 0.75, 1000000 })
    check.equal(passes(bc), false)
    ab:set { delay = "10ms", loss = false }
    check.near(ab.overlay(ab.config.ab).values.delay, 0.015, 1e-9)
    bc.ab:set { jitter = 0 }
    check.equal(passes(bc), false, "set does not undo the fault:")
    storm:stop()
    check.equal({ ab.overlay, ab.config.ab.values.delay, passes(bc) }, { false, 0.01, true })
    ab:set { delay = false, rate = false }
end)

test("a partition heals", function()
    local storm = faults { during = PATIENCE, { "partition", at = 0, groups = { a, { b, c } } } }
    storm:start()
    eventually(PATIENCE, function() return storm.schedule[1].began end, { every = 0.001 })
    check.equal({ passes(ab), passes(bc) }, { false, true })
    storm:stop()
    check.equal({ passes(ab), ab.is_up }, { true, true })
end)

test("a crashed host is booted again; what is down already cannot crash; the script's pause stays", function()
    boot(h, k)
    h:pause()
    local storm = run { { "crash", node = k, at = 0, lasts = 0.2 }, { "crash", node = k, at = 0.05, lasts = 0.01 },
        { "pause", node = "k", at = 0.05, lasts = 0.01 }, { "pause", node = h, at = 0, lasts = 0.01 } }
    check.equal({ k.state, h.state }, { "up", "paused" })
    local skipped = {}
    for _, one in ipairs(storm.schedule) do skipped[#skipped + 1] = one.skipped end
    check.equal(skipped, { "it is crashed", "it is crashed" })
    h:resume()
    check.equal(k:succeed("echo alive"), "alive\n")
end)

test("two pauses of a host; a crash meanwhile", function()
    local storm = faults { { "pause", node = h, at = 0, lasts = 0.05 }, { "pause", node = h, at = 0.02, lasts = 0.1 },
        { "pause", node = k, at = 0, lasts = 0.1 }, { "crash", node = k, at = 0.03, lasts = 0.02 } }
    storm:start()
    eventually(PATIENCE, function() return h.state == "paused" or storm.schedule[2].ended end, { every = 0.001 })
    storm:wait(PATIENCE)
    check.equal({ h.state, k.state }, { "up", "up" })
    check.is_true(h:ok("true") and k:ok("true"))
end)

test("stop heals all, and boots what crashed; so does the end of a scope", function()
    do
        local storm <close> = faults { during = 1000, { "cut", link = hk, at = 0 }, { "crash", node = h, at = 0 },
            { "cut", link = ab, at = 900 } }
        storm:start()
        check.equal({ storm:wait(0) }, { nil, "timed out", "timeout" })
        eventually(PATIENCE, function() return h.state == "crashed" and not hk.is_up end, { every = 0.001 })
    end
    check.equal({ hk.is_up, h.state, ab.is_up }, { true, "up", true })
    local never = faults { { "cut", link = ab, at = 0 } }
    check.is_true(never:stop())
    check.raises(function() never:start() end, "start: this schedule of faults was started before")
    check.equal(any { never, timeout = 5 }, 1)
end)

test("a fault that cannot be undone is an error that names it; the others are healed", function()
    local once = host("once", { setup = { "true" } })
    boot(once)
    once.opts.setup[1] = "echo no more >&2; exit 1"
    local storm = faults { during = PATIENCE, { "crash", node = once, at = 0, lasts = 0.01 }, { "cut", link = ab, at = 0 } }
    storm:start()
    local message = check.raises(function() storm:wait(PATIENCE) end,
        "^faults: crash of once at 0%.000 s could not be undone: host once: its setup command .*no more")
    check.is_true(errors.is_machinery(message))
    check.equal({ ab.is_up, storm.state }, { true, "over" })
end)

test("misuse raises at the script's line", function()
    local cases = {
        { { { "cut", link = ab } }, "faults: entries without at= are random: want during= %(how long%) and every=" },
        { { { "cut", link = ab, at = 1 }, every = 1 }, "faults: every= is for random entries" },
        { { { "cutt", link = ab, at = 1 } }, 'faults: entry 1: unknown kind "cutt".*did you mean "cut"' },
        { { { link = ab, at = 1 } }, "faults: entry 1: want a table that begins with a kind" },
        { { { "cut", at = 1 } }, "faults: entry 1 %(cut%): want link= or links=" },
        { { { "cut", link = a, at = 1 } }, "faults: entry 1 %(cut%): responder a.* is no link of this experiment" },
        { { { "crash", node = "nobody", at = 1 } }, 'faults: entry 1 %(crash%): "nobody" is no node of this experiment' },
        { { { "crash", node = a, at = 1 } }, "faults: entry 1 %(crash%): responder a cannot .*: it is simulated" },
        { { { "skew", node = h, by = "1s", at = 1 } }, "faults: entry 1 %(skew%): host h .*: its clock is this machine's" },
        { { { "skew", node = h, at = 1 } }, "faults: entry 1 %(skew%): want by=" },
        { { { "slow", link = ab, at = 1 } }, "faults: entry 1 %(slow%): want delay= or rate=" },
        { { { "lossy", link = ab, at = 1, loss = "200%" } }, "faults: entry 1 %(lossy%): loss: bad fraction" },
        { { { "cut", link = ab, at = 1, lasts = { 2, 1 } } }, "faults: entry 1 %(cut%): lasts: the first is to be" },
        { { { "cut", link = ab, at = 1, loss = 1 } }, 'faults: entry 1 %(cut%): unknown option "loss"' },
        { { { "cut", link = ab, at = 9 }, during = 5 }, "faults: entry 1 %(cut%): at 9 s it is over" },
        { { { "cut", link = ab, lasts = 1 }, during = "10h", every = "1ms" }, "faults: these are too many" },
        { { { "partition", groups = { a }, at = 1 } }, 'faults: entry 1 %(partition%): groups: want "random", or two' },
        { { durring = 1 }, 'faults: unknown option "durring"; did you mean "during"' },
    }
    for _, case in ipairs(cases) do
        blames.matching(function()
            local storm = faults(case[1])
            return storm
        end, "^" .. case[2])
    end
    local storm = faults { { "cut", link = ab, at = 0, lasts = 0 } }
    blames.matching(function() storm:wait() end, "^wait: this schedule of faults was not started")
    blames.matching(function() storm.start() end, "^start: call it with a colon")
    storm:stop()
end)

-- The search ------------------------------------------------------------------------------------------------------------

local function has(list, ...)
    for _, wanted in ipairs { ... } do
        local found = false
        for _, item in ipairs(list) do found = found or item == wanted end
        if not found then return false end
    end
    return true
end

-- Minimises 1 to n for a failure that needs all of these numbers. Returns the list, and how often it was tried.
local function minimised(n, ...)
    local list, needed, tries = {}, { ... }, 0
    for i = 1, n do list[i] = i end
    return minimise.ddmin(list, function(part)
        tries = tries + 1
        return has(part, table.unpack(needed))
    end), tries
end

test("delta debugging finds the smallest part that fails", function()
    check.equal((minimised(8, 1, 7, 8)), { 1, 7, 8 }) -- the example of Zeller & Hildebrandt, figure 2
    check.equal((minimised(100, 42)), { 42 })
    check.equal((minimised(33, 2, 17, 33)), { 2, 17, 33 })
    check.equal((minimised(5)), {})
    check.equal((minimised(1, 1)), { 1 })
    local all, tries = minimised(8, 1, 2, 3, 4, 5, 6, 7, 8)
    check.equal(#all, 8)
    check.less(tries, 8 * 8 + 3 * 8 + 1, "at most n^2 + 3 n tests, section 3.2")
    local _, few = minimised(128, 100)
    check.less(few, 4 * 7 + 1, "about 2 log n for one alone")
end)

test("durations are halved as long as it fails", function()
    local list = { { at = 0, lasts = 1 }, { at = 1 }, { at = 2, lasts = 0.012 } }
    local short = minimise.replace(list, function(part) return part[1].lasts > 0.2 end, minimise.halve)
    check.equal(short, { { at = 0, lasts = 0.25 }, { at = 1 }, { at = 2, lasts = 0.012 } })
    check.equal(list[1].lasts, 1)
end)
