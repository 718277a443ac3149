-- SPDX-License-Identifier: MIT
-- Time and tasks. Durations here are lower bounds: how late a busy machine may be is not tested.

local blames = require "blames".exactly
local errors = require "qemunet.errors"

local MS = 0.001
local FOREVER = 1000

local function on_close(fn) return setmetatable({}, { __close = fn }) end

-- Runs fn in a task, cancels it where it waits, and returns what its join raises.
local function cancelled(fn)
    local started = event("started")
    local task = go(function()
        started:set()
        fn()
    end)
    started:wait(5)
    task:cancel()
    return (check.raises(function() check.is_true(task:join(5), "the task goes on") end))
end

test("go and join: all values, nils too, also when joined late or again", function()
    local task = go(function(a, b) return a + b, nil, "x", nil end, 1, 2)
    check.equal(table.pack(task:join()), { 3, nil, "x", nil, n = 4 })
    check.equal(table.pack(task:join()), { 3, nil, "x", nil, n = 4 })
    check.equal(select("#", go(function() end):join()), 0)
end)

test("join raises the task's error, with its file and line", function()
    local task = go(function() error("boom") end)
    check.raises(function() task:join() end, "test_tasks%.lua:%d+: boom$")
    local _, err = check.raises(function() go(function() error { code = 7 } end):join() end)
    check.equal(err, { code = 7 })
    check.raises(function() go(function() return nil + 1 end):join() end, "test_tasks%.lua:%d+: attempt to perform")
end)

test("join with a timeout gives up, and can be called again", function()
    local gate = event("gate")
    local task = go(function() return gate:wait() end)
    check.equal({ task:join("5ms") }, { nil, "timed out", "timeout" })
    gate:set("late")
    check.equal(task:join(5), "late")
end)

test("several tasks join the same one", function()
    local gate = event("gate")
    local task = go(function() return gate:wait() end)
    local joiners = { go(function() return task:join() end), go(function() return task:join() end) }
    gate:set(5)
    check.equal(all(joiners), { 5, 5 })
end)

test("tasks start in order, after the one that started them", function()
    local order, tasks = {}, {}
    for i = 1, 5 do tasks[i] = go(function() order[#order + 1] = i end) end
    check.equal(order, {})
    all(tasks)
    check.equal(order, { 1, 2, 3, 4, 5 })
end)

test("sleepers wake in order, none early", function()
    local order, tasks, begun = {}, {}, {}
    for i, ms in ipairs { 60, 20, 40, 4 } do
        tasks[i] = go(function()
            begun[i] = now()
            sleep(ms * MS)
            check.is_true(now() - begun[i] >= ms * MS, "early")
            order[#order + 1] = { from = begun[i] + ms * MS, to = begun[i + 1] + ms * MS }
        end)
    end
    tasks[5] = go(function() begun[5] = now() end)
    all(tasks)
    -- Each slept from some moment between its beginning and the next one's, which are far apart on a busy machine.
    for i = 2, #order do check.less(order[i - 1].from, order[i].to) end
end)

test("sleep takes units, and none that are bad", function()
    local begin = now()
    sleep("2ms")
    check.is_true(now() - begin >= 2 * MS)
    sleep(0)
    blames(function() sleep("5 parsecs") end, -- no check
        'sleep: bad duration "5 parsecs" (want seconds or "200us", "20ms", "1.5s", "2m")')
    check.raises(function() sleep() end, "sleep")
    check.raises(function() sleep(-1) end, "sleep")
end)

test("after and at call once, at their time", function()
    local begin, calls = now(), {}
    local first = at(begin + 200 * MS, function() calls[#calls + 1] = "at" return now() end)
    local second = after("400ms", function() calls[#calls + 1] = "after" return now() end)
    local past = at(0, function() calls[#calls + 1] = "past" end)
    local times = all { first, second, past }
    check.equal(calls, { "past", "at", "after" })
    check.is_true(times[1] >= begin + 200 * MS)
    check.is_true(times[2] >= begin + 400 * MS)
end)

test("at once, what is to come before now, and be it before the start", function()
    check.equal({ at(0, function() return "then" end):join(5), at(-1, function() return "before" end):join(5) },
        { "then", "before" })
end)

test("a cancelled after is not called", function()
    local called = false
    local victim = after("1ms", function() called = true end)
    victim:cancel()
    all { after("5ms", function() end), timeout = 5 }
    check.is_true(not called)
    check.raises(function() victim:join() end, "the task was cancelled")
    victim:cancel()
end)

test("every keeps to its grid, and ends with cancel", function()
    local begin, times, enough = now(), {}, event("enough")
    local handle = every("3ms", function()
        times[#times + 1] = now() - begin
        if #times == 5 then enough:set() end
    end)
    check.is_true(enough:wait(5))
    handle:cancel()
    local n = #times
    all { after("10ms", function() end), timeout = 5 }
    check.equal(#times, n)
    for i, t in ipairs(times) do check.is_true(t >= i * 3 * MS, "call " .. i) end
end)

test("every leaves out the instants that pass while its function runs", function()
    local begin, times, enough = now(), {}, event("enough")
    local handle = every("4ms", function()
        times[#times + 1] = now() - begin
        if #times == 3 then return enough:set() end
        sleep("6ms")
    end)
    check.is_true(enough:wait(5))
    handle:cancel()
    for i = 2, #times do check.is_true(times[i] - times[i - 1] >= 6 * MS, "two calls at once") end
    blames(function() every(0, print) end, "every: the duration must be over 0")
end)

test("all gives every first value, in the order of the list", function()
    local ready = event("ready")
    local list = { go(function() ready:wait() return 1, "more" end), go(function() ready:set("v") return 2 end), ready }
    check.equal(all(list), { 1, 2, "v" })
    check.equal(all {}, {})
end)

test("all raises a task's error as soon as it fails, and when its timeout passes", function()
    check.raises(function() all { go(function() error("boom") end) } end, "boom")
    local never = event("never")
    check.raises(function() all { never, go(function() error("second") end), timeout = 5 } end, "second")
    local failed = go(function() error("before") end)
    check.raises(function() failed:join() end, "before")
    check.raises(function() all { never, failed, timeout = 5 } end, "before")
    local cancelled_one = go(function() never:wait() end)
    go(function() cancelled_one:cancel() end)
    check.raises(function() all { never, cancelled_one, timeout = 5 } end, "the task was cancelled")
    blames(function() all { never, timeout = "3ms" } end, "all: timed out")
    blames(function() all { 1 } end, "all: item 1 is a number, not a task, job, event or handle")
    blames(function() all(1) end, "all: want a table of tasks, jobs, events or handles")
end)

test("any gives the place and the values of the first", function()
    local never, soon = event("never"), event("soon")
    after("1ms", function() soon:set("here") end)
    check.equal({ any { never, soon, timeout = 5 } }, { 2, "here" })
    check.equal({ any { never, timeout = "1ms" } }, { nil, "timed out", "timeout" })
    check.raises(function() any { never, go(function() error("boom") end), timeout = 5 } end, "boom")
    blames(function() any {} end, "any: the table is empty")
end)

test("timeout passes on values and errors", function()
    check.equal(table.pack(timeout(5, function() return 1, nil, 3 end)), { 1, nil, 3, n = 3 })
    check.raises(function() timeout(5, function() error("boom") end) end, "test_tasks%.lua:%d+: boom$")
    local _, err = check.raises(function() timeout(5, function() error { code = 1 } end) end)
    check.equal(err, { code = 1 })
end)

test("timeout raises, cancels its function, and waits for its clean-up", function()
    local steps, begin = {}, now()
    blames(function()
        timeout("5ms", function()
            local _ <close> = on_close(function()
                sleep("2ms")
                steps[#steps + 1] = "cleaned up"
            end)
            sleep(FOREVER)
            steps[#steps + 1] = "went on"
        end)
    end, "timed out after 5 ms")
    check.is_true(now() - begin >= 5 * MS)
    check.equal(steps, { "cleaned up" })
end)

test("nested timeouts: each is its own", function()
    local closed = {}
    local function waits(name)
        local _ <close> = on_close(function() closed[#closed + 1] = name end)
        sleep(FOREVER)
    end
    local inner = timeout(5, function()
        check.raises(function() timeout("2ms", function() waits("a") end) end, "timed out after 2 ms")
        return "went on"
    end)
    check.equal(inner, "went on")
    check.raises(function() timeout("2ms", function() timeout(FOREVER, function() waits("b") end) end) end,
        "timed out after 2 ms")
    check.equal(closed, { "a", "b" })
end)

test("a function that pcall would keep alive is cancelled all the same", function()
    local rounds = 0
    check.raises(function()
        timeout("2ms", function()
            while true do
                rounds = rounds + 1
                pcall(sleep, FOREVER)
                xpcall(sleep, debug.traceback, FOREVER)
            end
        end)
    end, "timed out")
    check.equal(rounds, 1)
end)

test("cancel: where it waits, whatever it is in", function()
    local reached = false
    local function then_note(fn)
        return function()
            fn()
            reached = true
        end
    end
    local ways = {
        plain = function() sleep(FOREVER) end,
        pcall = function() pcall(sleep, FOREVER) end,
        ["pcall in pcall"] = function() pcall(pcall, sleep, FOREVER) end,
        xpcall = function() xpcall(sleep, function(err) return err end, FOREVER) end,
        wrap = function() coroutine.wrap(sleep)(FOREVER) end,
        ["wrap in pcall"] = function() pcall(coroutine.wrap(sleep), FOREVER) end,
        resume = function() coroutine.resume(coroutine.create(sleep), FOREVER) end,
        event = function() event("never"):wait() end,
        barrier = function() barrier(2):wait() end,
        join = function() go(function() event("never"):wait() end):join() end,
        eventually = function() eventually(FOREVER, function() return false end) end,
        always = function() always(FOREVER, function() return true end) end,
        timeout = function() timeout(FOREVER, function() sleep(FOREVER) end) end,
    }
    for name, way in pairs(ways) do
        check.equal(cancelled(then_note(way)), "the task was cancelled", name)
        check.is_true(not reached, name .. ": went on")
    end
end)

test("a task that was cancelled before it ran, or has ended, is left alone", function()
    local ran = false
    local task = go(function()
        ran = true
        sleep(FOREVER)
    end)
    task:cancel()
    check.raises(function() task:join(5) end, "the task was cancelled")
    local ended = go(function() return 1 end)
    ended:join()
    ended:cancel()
    check.equal(ended:join(), 1)
    check.is_true(ran ~= nil)
end)

test("a cancelled task's to-be-closed values are closed, the last first", function()
    local closed = {}
    cancelled(function()
        local _ <close> = on_close(function() closed[#closed + 1] = "outer" end)
        local _ <close> = on_close(function() closed[#closed + 1] = "inner" end)
        sleep(FOREVER)
    end)
    check.equal(closed, { "inner", "outer" })
end)

test("pcall and xpcall are Lua's otherwise", function()
    check.equal({ pcall(function(...) return ... end, 1, 2) }, { true, 1, 2 })
    check.equal({ pcall(error, "x", 0) }, { false, "x" })
    check.equal({ xpcall(error, function(err) return err .. "!" end, "x", 0) }, { false, "x!" })
    check.equal({ pcall(function() sleep("1ms") return "slept" end) }, { true, "slept" })
    check.equal({ pcall(error) }, { false })
end)

test("coroutines: a wait inside suspends the task, not the coroutine", function()
    local seen, ticks = {}, 0
    local ticker = every("1ms", function() ticks = ticks + 1 end)
    for v in coroutine.wrap(function()
        for i = 1, 3 do
            sleep("3ms")
            coroutine.yield(i)
        end
    end) do seen[#seen + 1] = v end
    ticker:cancel()
    check.equal(seen, { 1, 2, 3 })
    check.is_true(ticks > 0, "other tasks ran")
end)

test("coroutines: one that another task waits in cannot be closed, and is no trouble when both are gone", function()
    local e = event "never seen"
    local inner = coroutine.create(function() e:wait(FOREVER) end)
    local task = go(function() return coroutine.resume(inner) end)
    sleep(0)
    check.raises(function() coroutine.close(inner) end, "test_tasks%.lua:%d+: cannot close a normal coroutine$")
    task:cancel()
    pcall(task.join, task)
    task, inner = nil, nil
    collectgarbage()
    collectgarbage()
    e:set(1) -- tells none that is gone
    check.equal(e:wait(FOREVER), 1)
end)

test("coroutines: resume passes values both ways, across waits, and nests", function()
    local inner = coroutine.create(function(a)
        sleep("1ms")
        local b = coroutine.yield(a + 1)
        sleep("1ms")
        return b * 2
    end)
    local outer = coroutine.wrap(function()
        coroutine.yield(select(2, coroutine.resume(inner, 1)))
        sleep("1ms")
        coroutine.yield(select(2, coroutine.resume(inner, 21)))
    end)
    check.equal({ outer(), outer() }, { 2, 42 })
    check.equal(coroutine.status(inner), "dead")
    check.equal({ coroutine.resume(inner) }, { false, "cannot resume dead coroutine" })
end)

test("coroutines: errors are Lua's", function()
    local co = coroutine.create(function()
        sleep("1ms")
        error("boom")
    end)
    local ok, err = coroutine.resume(co)
    check.is_true(not ok)
    check.match(err, "test_tasks%.lua:%d+: boom$")
    check.raises(coroutine.wrap(function() error({}) end), "{}")
    check.raises(coroutine.wrap(function() sleep("1ms") error("boom") end), "boom")
end)

test("coroutines: a task itself is none", function()
    blames(function() coroutine.yield(1) end, "attempt to yield from outside a coroutine")
    check.raises(function() coroutine.create(5) end, "bad argument")
end)

test("a wait where Lua cannot suspend the task raises at the script's line, and is over", function()
    local function stuck(fn) check.raises(fn, "^%S*test_tasks%.lua:%d+: a wait is not possible inside a call that Lua cannot") end
    local early = event("early")
    stuck(function() table.sort({ 2, 1 }, function() sleep(1) end) end)
    stuck(function() string.gsub("a", "a", function() early:wait(1) end) end)
    stuck(function() string.gsub("a", "a", coroutine.wrap(function() early:wait(1) end)) end)
    stuck(function() return tostring(setmetatable({}, { __tostring = function() early:wait() end })) end)
    local begin = now()
    after("5ms", function() early:set() end)
    sleep("20ms")
    check.less(0.02, now() - begin)
    check.equal((string.gsub("a", "a", coroutine.wrap(function() return early:wait() and "b" end))), "b")
end)

test("a task that failed to wait may end before what it would have waited for comes", function()
    local events = {}
    for i = 1, 100 do
        events[i] = event()
        go(function() pcall(string.gsub, "a", "a", function() events[i]:wait() end) end):join()
    end
    collectgarbage()
    for _, each in ipairs(events) do each:set() end
    sleep(0)
end)

test("coroutines: one in which a task waits runs, for all others", function()
    local gate = event("gate")
    local co = coroutine.create(function() return gate:wait() end)
    local task = go(coroutine.resume, co)
    sleep(0)
    check.equal({ coroutine.resume(co) }, { false, "cannot resume non-suspended coroutine" })
    check.raises(function() coroutine.close(co) end, "cannot close a normal coroutine")
    check.equal(coroutine.status(co), "normal")
    gate:set("open")
    check.equal({ task:join(5) }, { true, "open" })
    check.equal(coroutine.status(co), "dead")
end)

test("eventually: until it is true", function()
    local n, begin = 0, now()
    check.equal(eventually(5, function() n = n + 1 return n == 3 and "three" end, { every = "1ms" }), "three")
    check.equal(n, 3)
    check.is_true(now() - begin >= 2 * MS)
end)

test("eventually: says the last value or error", function()
    blames(function() eventually("0.3s", function() return false end, { every = "1ms" }) end,
        "not within 300 ms; last value: false")
    check.raises(function() eventually("0.3s", function() error("boom", 0) end, { every = "1ms" }) end,
        "not within 300 ms; last error: boom$")
    check.raises(function() eventually("3ms", function() sleep(FOREVER) end) end, "not within 3 ms; the first call did not end$")
    local calls = 0
    check.raises(function()
        eventually("0.3s", function()
            calls = calls + 1
            return calls > 1 and sleep(FOREVER)
        end, { every = "1ms" })
    end, "not within 300 ms; last value: false$")
    check.raises(function() eventually(1, function() end, { evry = 1 }) end, -- no check
        'unknown option "evry"; did you mean "every"?')
end)

test("an error of any type can be told of", function()
    local evil = setmetatable({}, { __tostring = function() error("evil") end, __name = "evil" })
    check.raises(function() eventually("1ms", function() error(evil) end) end, "last error: <evil: error in __tostring>$")
    check.raises(function() eventually("1ms", function() error { code = 3 } end) end, "last error: { code = 3 }$")
    local task = go(error, evil)
    check.raises(function() task:join() end, "error in __tostring")
    check.equal(tostring(task), "task: failed: <evil: error in __tostring>")
    check.equal(errors.text(nil), "nil")
end)

test("a runaway recursion's trace is cut short", function()
    local function deeper() return 1 + deeper() end
    local _, failure = xpcall(deeper, errors.handler)
    check.equal(select(2, failure.trace:gsub("\n", "\n")), 20)
    check.match(failure.trace, "\n    %.%.%.$")
end)

test("always: raises as soon as it is false", function()
    local n = 0
    always("3ms", function() n = n + 1 return true end, { every = "1ms" })
    check.is_true(n >= 1)
    n = 0
    check.raises(function() always(FOREVER, function() n = n + 1 return n < 3 end, { every = "1ms" }) end, "no longer true")
    check.equal(n, 3)
end)

test("event: set once, for those who wait and those who come later", function()
    local e = event("e")
    local waiters = { go(function() return e:wait() end), go(function() return e:wait(5) end) }
    check.equal({ e:wait("1ms") }, { nil, "timed out", "timeout" })
    check.is_true(e:set("first"))
    check.is_true(not e:set("second"))
    check.equal(all(waiters), { "first", "first" })
    check.equal(e:wait(), "first")
    local plain = event()
    plain:set()
    check.equal(plain:wait(), true)
end)

test("barrier: releases all at once, again and again", function()
    local gate, passed = barrier(3), 0
    local function pass()
        gate:wait(5)
        passed = passed + 1
    end
    for _ = 1, 3 do
        passed = 0
        local tasks = { go(pass), go(pass) }
        check.equal({ any { tasks[1], tasks[2], timeout = "2ms" } }, { nil, "timed out", "timeout" })
        check.equal(passed, 0)
        check.equal(gate:wait(5), true)
        all(tasks)
        check.equal(passed, 2)
    end
    blames(function() barrier(0) end, "barrier: want a number of tasks, at least 1")
end)

test("barrier: who gives up or is cancelled does not count", function()
    local gate = barrier(2)
    check.equal({ gate:wait("1ms") }, { nil, "timed out", "timeout" })
    cancelled(function() gate:wait() end)
    check.equal({ gate:wait("1ms") }, { nil, "timed out", "timeout" })
    local other = go(function() return gate:wait(5) end)
    check.equal(gate:wait(5), true)
    check.equal(other:join(), true)
end)

test("a task does not wait for itself", function()
    local task
    task = go(function() blames(function() task:join() end, "join: a task cannot wait for its own end") end)
    task:join(5)
end)

test("events and barriers say how they stand", function()
    local ready, gate = event("ready"), barrier(2)
    check.equal({ tostring(ready), tostring(gate) }, { "event ready (not set)", "barrier (0 of 2 wait)" })
    ready:set()
    local task = go(function() gate:wait() end)
    sleep(0)
    check.equal({ tostring(ready), tostring(gate) }, { "event ready (set)", "barrier (1 of 2 wait)" })
    gate:wait(5)
    task:join(5)
end)

test("misuse names the line", function()
    blames(function() go(1) end, "go: want a function, not number")
    blames(function() after(1) end, "after: want a function, not nil")
    blames(function() timeout("1x", print) end, -- no check
        'timeout: bad duration "1x" (want seconds or "200us", "20ms", "1.5s", "2m")')
    blames(function() event().wait(1) end, "wait: call it with a colon, on an event")
    blames(function() go(print).join(1) end, "join: call it with a colon, on a task")
    blames(function() after(0, print).cancel() end, "cancel: call it with a colon, on a task")
    blames(function() barrier(2).wait(1) end, "wait: call it with a colon, on a barrier")
    blames(function() event().wiat(1) end, 'an event has no field or method "wiat"; did you mean "wait"?') -- no check
    blames(function() go(print):jion() end, 'a task has no field or method "jion"; did you mean "join"?') -- no check
    blames(function() event(5) end, "event: want a name, a text, not number")
    blames(function() all { event(), timeuot = 1 } end, 'all: unknown option "timeuot"; did you mean "timeout"?') -- no check
    blames(function() any { event(), after = 1 } end, 'any: unknown option "after" (known: timeout)') -- no check
    blames(function() all { event(), timeout = "x" } end, -- no check
        'all: timeout: bad duration "x" (want seconds or "200us", "20ms", "1.5s", "2m")')
    blames(function() all(event()) end, "all: want a table of tasks, jobs, events or handles")
    blames(function() any { nil, event() } end, "any: item 1 is a nil, not a task, job, event or handle")
    blames(function() event():wait("x") end, -- no check
        'timeout: bad duration "x" (want seconds or "200us", "20ms", "1.5s", "2m")')
end)

test("a thousand tasks", function()
    local tasks = {}
    for i = 1, 1000 do
        tasks[i] = go(function()
            sleep((i % 7) * MS)
            return i
        end)
    end
    local sum = 0
    for _, v in ipairs(all(tasks)) do sum = sum + v end
    check.equal(sum, 500500)
end)

test("an error's trace has the task's own lines and where it was started, and by whom", function()
    local function deep() error("lost") end
    local function starter()
        local task = go(function() deep() end)
        return task
    end
    local child
    go(function() child = starter() end):join()
    pcall(child.join, child)
    local _, trace = xpcall(child.join, function(err) return errors.handler(err) end, child)
    check.equal(trace.message:gsub("^.*:%d+: ", ""), "lost")
    check.match(trace.trace, "in upvalue 'deep'.*in a task started at:.*in upvalue 'starter'.*in a task started at:.*joined at:")
end)

test("an error that says what another one said has a trace of its own", function()
    local last
    for _ = 1, 3 do
        last = go(function() error("the same", 0) end)
        pcall(last.join, last)
    end
    check.equal(select(2, last.failure.trace:gsub("joined at", "")), 0, last.failure.trace)
end)

test("tasks of one place share what is known of their start, and chains of them do not grow", function()
    local left, done = 200, event()
    local function again()
        left = left - 1
        if left == 0 then return done:set() end
        after(0, again)
    end
    after(0, again)
    check.is_true(done:wait(30))
    local list = {}
    for i = 1, 3 do list[i] = go(function() end) end
    check.is_true(rawequal(list[1].origin, list[3].origin))
    all(list)
end)

test("ten thousand tasks that sleep take less than 20 MB", function()
    collectgarbage()
    local before, list = collectgarbage("count"), {}
    for i = 1, 10000 do list[i] = go(function() sleep("1000s") end) end
    sleep(0)
    collectgarbage()
    local each = (collectgarbage("count") - before) * 1024 / 10000
    for _, task in ipairs(list) do task:cancel() end
    check.less(each, 2000)
end)

test("timeouts nest: the outer one ends the inner, the inner one alone is the script's to handle", function()
    check.raises(function() timeout("20ms", function() timeout(1000, function() sleep(1000) end) end) end, "timed out after 20 ms")
    local inner
    timeout(1000, function() inner = check.raises(function() timeout("5ms", function() sleep(1000) end) end) end)
    check.match(inner, "timed out after 5 ms")
end)

test("eventually and always see at once what happens, when all they do is look", function()
    local seen, begin = false, now()
    go(function()
        sleep("5ms")
        seen = true
    end)
    eventually(50, function() return seen end, { every = 40 }) -- the poll alone would come too late
    check.less(now() - begin, 40)
    go(function()
        sleep("5ms")
        seen = false
    end)
    check.raises(function() always(50, function() return seen end, { every = 40 }) end, "no longer true")
    check.less(now() - begin, 40)
end)

test("two that look do not keep each other awake", function()
    local looks, stop = 0, false
    local function look()
        looks = looks + 1
        return stop
    end
    local first = go(function() eventually(1000, look, { every = 500 }) end)
    local second = go(function() eventually(1000, look, { every = 500 }) end)
    sleep("50ms")
    local quiet = looks
    sleep("50ms")
    check.is_true(looks - quiet <= 4, "looked " .. looks - quiet .. " times") -- this task's own waking is one reason
    stop = true
    all { first, second, timeout = 10 }
end)

test("eventually takes an error for not yet, always does not", function()
    local n = 0
    check.equal(eventually(5, function()
        n = n + 1
        return n > 2 and n or error("not yet")
    end, { every = "1ms" }), 3)
    check.raises(function() eventually("5ms", function() error("never") end) end, "not within 5 ms; last error: .*never$")
    check.raises(function() always(5, function() error("broken") end) end, "broken$")
end)
