-- SPDX-License-Identifier: MIT
-- `qemunet test` with files of its own, each test in a folder of its own: how each can end, and what becomes of the others.

local batches = require "batches"
local core = require "qemunet.core"

local batch, expect, has = batches.run, batches.expect, batches.has
local shell, start, write = batches.shell, batches.start, batches.write

setup(batches.make_folder)
teardown(batches.remove_folder)

test("one file's end, however bad, is its own failure and no other's", function()
    write("test_1.lua", [[test("ends it", function() os.exit(0) end) test("next", function() end)]])
    write("test_2.lua", [[
        test("before", function() end)
        test("kills itself", function()
            local pid = io.open("/proc/self/stat"):read("n")
            print("last words")
            os.execute("kill -ABRT " .. pid)
            sleep(60)
        end)
        test("after", function() end)]])
    write("test_3.lua", "local x = = 1")
    write("test_4.lua", [[test("a", function() end) go(function() error("in a task") end)]])
    write("test_5.lua", [[test("fine", function() print "fine" end)]])
    local run = batch("--allow-host", ".", "--jobs", "1")
    expect(run, 1, "2 passed, 4 failed")
    has(run.stdout, "not ok 1 - ends it\n  # os.exit(0) ended it\n  # 1 of its tests did not run\n  #     test_1.lua:1: in")
    has(run.stdout, "# test_2.lua\nok 2 - before\nlast words\nnot ok 3 - kills itself\n" ..
        "  # its process was ended by signal 6 (SIGABRT)\n  # 1 of its tests did not run\n")
    has(run.stdout, "not ok 4 - test_3.lua\n  # test_3.lua:1: unexpected symbol")
    has(run.stdout, "not ok 5 - a\n  # test_4.lua:1: in a task\n")
    has(run.stdout, "# test_5.lua\nfine\nok 6 - fine\n")
    has(run.stdout, "failed:\n  test_1.lua: ends it\n    qemunet test test_1.lua --filter '^ends it$' --seed ")
end)

test("what fails beside a test is that test's failure, and the next ones run", function()
    write("test_1.lua", [[
        local late
        teardown(function() if late then sleep("30ms") end end)
        test("a timer", function() after("1ms", function() error("in after") end) sleep(60) end)
        test("a task that nobody joins", function() go(function() error("in go") end) sleep("1ms") end)
        test("one that is joined", function()
            local task = go(function() error("joined") end)
            check.raises(function() task:join() end, "joined")
        end)
        test("during teardown", function() late = true after("1ms", function() error("late") end) end)
        test("fine", function() late = nil end)]])
    local run = batch("test_1.lua")
    expect(run, 1, "2 passed, 3 failed")
    has(run.stdout, "not ok 1 - a timer\n  # test_1.lua:3: in after\n")
    has(run.stdout, "not ok 2 - a task that nobody joins\n  # test_1.lua:4: in go\n")
    has(run.stdout, "not ok 4 - during teardown\n  # in teardown: test_1.lua:9: late\n")
end)

test("a process that tells what is no message is ended", function()
    write("test_1.lua", [[
        test("talks", function()
            local registry = debug.getregistry()
            for _, value in pairs(registry) do
                if debug.getmetatable(value) == registry["qemunet.stream"] then
                    value:write(param("what", ""):rep(param("times", 1)))
                end
            end
            sleep(3600)
        end)]])
    local function talk(...)
        local run = batch("--allow-host", ".", ...)
        expect(run, 3, "0 passed, 1 failed")
        return run.stdout
    end
    has(talk("--param", "what=x", "--param", "times=5000000"), "not ok 1 - talks\n  # a message is too long\n")
    has(talk("--param", 'what={"kind":"result"}\n'), "not ok 1 - test_1.lua\n  # what came is no message: ")
end)

test("os.exit ends a run in good order, with its status; and one of a module too", function()
    write("module.lua", [[return function(code) os.exit(code) end]])
    write("exits.lua", [[
        go(function()
            local guard <close> = setmetatable({}, { __close = function() sleep(0.01) print("cleaned") end })
            sleep(60)
        end)
        sleep(0)
        local code = tonumber(param("code", "none")) or param("code", "none") == "true"
        pcall(function() coroutine.wrap(require "module")(code) end)
        print("went on")]])
    local function status_of(code, ...)
        local status, text = shell('cd "$1" && shift && exec "$@" 2>/dev/null', batches.folder, batches.PROGRAM, "run",
            "exits.lua", "--param", "code=" .. code, ...)
        check.equal(text, "cleaned\n")
        return status
    end
    check.equal({ status_of("7"), status_of("true"), status_of("false"), status_of("300", "--allow-host") }, { 7, 0, 1, 44 })
end)

test("os.exit that leaves tests out fails a run of the file, too", function()
    write("leaves.lua", [[test("ends it", function() os.exit(0) end) test("next", function() end)]])
    local status, text = shell('cd "$1" && exec "$2" run leaves.lua 2>&1', batches.folder, batches.PROGRAM)
    check.equal(status, 1, text)
    has(text, "failed: os.exit(0) ended it\n")
end)

test("a hangup ends a run, unless it was started to outlive that, as by nohup", function()
    write("hangs_up.lua", [[os.execute("kill -HUP $PPID") sleep(0) print("goes on")]])
    local function run(how)
        return { shell('cd "$1" && ' .. how .. ' "$2" run --allow-host hangs_up.lua 2>/dev/null', batches.folder,
            batches.PROGRAM) }
    end
    check.equal(run "exec", { 130, "" })
    check.equal(run "trap '' HUP && exec", { 0, "goes on\n" })
end)

test("time limits: of a test that waits, of one that does not, of a file, of all", function()
    write("test_1.lua", [[
        test("waits", { timeout = "50ms" }, function() local cleaned <close> = setmetatable({}, { __close = function()
            print("cleaned") end }) sleep(60) end)
        test("next", function() end)]])
    local run = batch(".")
    expect(run, 1, "1 passed, 1 failed")
    has(run.stdout, "cleaned\nnot ok 1 - waits\n  # test_1.lua:1: timed out after 50 ms\n")
    expect(batch(".", "--test-timeout", "0.05", "--filter", "next"), 0, "1 passed, 0 failed")
    write("test_2.lua", [[test("computes", function() while true do end end)]])
    local limit = 1
    repeat -- until it was begun in that time
        run = batch("test_2.lua", "--file-timeout", limit .. "s")
        expect(run, 4, "0 passed, 1 failed")
        has(run.stdout, (" timed out after %d s (--file-timeout)\n"):format(limit))
        limit = 4 * limit
    until limit > 16 or run.stdout:find("computes", 1, true)
    has(run.stdout, "not ok 1 - computes\n  # timed out after ")
    has(run.stdout, " s (--file-timeout)\n  #     test_2.lua:1: in")
    write("test_3.lua", "sleep(60)")
    run = batch("--timeout", "0.1", "test_3.lua")
    expect(run, 4, "0 passed, 0 failed")
    has(run.stdout, "ended early: timed out")
end)

test("a test whose clean-up does not end is left behind, and the next one runs", function()
    write("test_1.lua", [[
        test("stuck", { timeout = "50ms" }, function() local stuck <close> = setmetatable({}, { __close = function()
            event("never"):wait() end }) sleep(60) end)
        test("next", function() end)]])
    local run = batch(".")
    expect(run, 1, "1 passed, 1 failed")
    has(run.stdout, "not ok 1 - stuck\n  # test_1.lua:1: timed out after 50 ms\nok 2 - next\n")
end)

-- Starts a batch of a file that waits, and waits until it does. Returns it and the number of the file's process.
local function start_waiting(...)
    write("test_1.lua", [[test("done", function() end) test("waits", function()
        print("pid " .. io.open("/proc/self/stat"):read("n"))
        local slow <close> = setmetatable({}, { __close = function() sleep(param("slow", 0)) end })
        sleep(60)
    end)]])
    local run = start(...)
    local pid
    eventually(batches.PATIENCE, function()
        pid = run.stdout:match("pid (%d+)")
        return pid
    end)
    return run, pid
end

local function is_gone(pid) return core.stat("/proc/" .. pid) == nil end

test("interrupted: what runs ends in good order, and what was done is told", function()
    local run, pid = start_waiting("test_1.lua", "--shuffle=1", "--filter", "")
    run.process:stop()
    batches.finish(run)
    check.is_true(is_gone(pid))
    check.equal(run.status, 130)
    has(run.stdout, "ended early: interrupted")
end)

test("a second signal ends it at once, and what ran ends too; so it does when it is killed", function()
    for _, how in ipairs { "twice", "kill" } do
        local run, pid = start_waiting("test_1.lua", "--param", "slow=0.4")
        if how == "kill" then
            run.process:kill()
        else
            run.process:stop()
            sleep("50ms")
            run.process:stop()
        end
        batches.finish(run)
        check.equal({ run.status, run.signal }, how == "kill" and { nil, 9 } or { 130, 0 })
        eventually(batches.PATIENCE, function() return is_gone(pid) end, { every = "20ms" })
    end
end)
