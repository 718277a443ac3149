-- SPDX-License-Identifier: MIT
-- `qemunet test` with files of its own, each test in a folder of its own: what is run, in which order, how each can end, and
-- what is said of it. test_batch_parts has what needs no process.

local batches = require "batches"
local core = require "qemunet.core"

local batch, expect, has = batches.run, batches.expect, batches.has
local shell, start, write = batches.shell, batches.start, batches.write

setup(batches.make_folder)
teardown(batches.remove_folder)

-- Which files -----------------------------------------------------------------------------------------------------------

test("files are found by their names, below folders, but hidden ones and those of runs", function()
    for _, name in ipairs { "tests/test_a.lua", "tests/deep/er/b_test.lua", "tests/helper.lua", "tests/test_c.txt",
        "tests/.hidden/test_d.lua", "tests/runs/test_e.lua", "test_f.lua", "other.lua" } do
        write(name, "")
    end
    shell('ln -s .. "$1/tests/circle"', batches.folder)
    local run = batch("--jobs", "1")
    expect(run, 0, "2 passed, 0 failed")
    has(run.stdout, "# tests/deep/er/b_test.lua\nok 1 - tests/deep/er/b_test.lua\n# tests/test_a.lua\n")
    expect(batch("."), 0, "3 passed, 0 failed")
    expect(batch("other.lua", "tests/", "./tests/test_a.lua", "tests/runs"), 0, "4 passed, 0 failed")
end)

test("what cannot be run is wrong usage", function()
    local function refused(text, ...)
        local run = batch(...)
        check.equal({ run.status, run.stdout }, { 2, "" })
        has(run.stderr, "qemunet: " .. text)
    end
    refused("no test_*.lua or *_test.lua in .")
    refused("cannot read missing.lua: No such file", "missing.lua")
    write("test_a.lua", "")
    refused("--filter (: missing closing parenthesis at offset 1", "--filter", "(")
    refused("--jobs 0: want a number, at least 1", "--jobs", "0")
    refused("--junit: nowhere/x.xml.part: No such file", "--junit", "nowhere/x.xml")
    refused('unknown option --retry; did you mean "--retries"?', "--retry", "1")
    refused("--shuffle many: want a whole number", "--shuffle=many")
end)

-- Ends ------------------------------------------------------------------------------------------------------------------

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
    expect(run, 1, "3 passed, 4 failed")
    has(run.stdout, "not ok 1 - ends it\n  # os.exit(0) ended it\n  # 1 of its tests did not run\n  #     test_1.lua:1: in")
    has(run.stdout, "# test_2.lua\nok 2 - before\nlast words\nnot ok 3 - kills itself\n" ..
        "  # its process was ended by signal 6 (SIGABRT)\n  # 1 of its tests did not run\n")
    has(run.stdout, "not ok 4 - test_3.lua\n  # test_3.lua:1: unexpected symbol")
    has(run.stdout, "not ok 6 - test_4.lua\n  # test_4.lua:1: in a task\n")
    has(run.stdout, "# test_5.lua\nfine\nok 7 - fine\n")
    has(run.stdout, "failed:\n  test_1.lua: ends it\n    qemunet test test_1.lua --filter '^ends it$' --seed ")
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
    run = batch("test_2.lua", "--file-timeout", "1s")
    expect(run, 4, "0 passed, 1 failed")
    has(run.stdout, "not ok 1 - computes\n  # timed out after 1 s (--file-timeout)\n  #     test_2.lua:1: in")
    write("test_3.lua", "sleep(60)")
    run = batch("--timeout", "0.1", "test_3.lua")
    expect(run, 4, "0 passed, 0 failed")
    has(run.stdout, "ended early: timed out")
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

-- Which tests, in which order ---------------------------------------------------------------------------------------------

test("a filter chooses by the name, or by file and name", function()
    write("test_1.lua", [[test("ping one", function() end) test("tcp", function() end)]])
    write("test_2.lua", [[test("ping two", function() end)]])
    write("test_3.lua", "print 'no tests'")
    expect(batch(".", "--filter", "^ping"), 0, "2 passed, 0 failed")
    expect(batch(".", "--filter", "^test_1.lua: (?!tcp)"), 0, "1 passed, 0 failed")
    expect(batch(".", "--filter", "test_3"), 0, "1 passed, 0 failed")
    local run = batch(".", "--filter", "nothing")
    expect(run, 2, "0 passed, 0 failed")
    has(run.stderr, "no test matches --filter nothing")
end)

test("shuffled: an order that its seed brings back", function()
    local text = {}
    for i = 1, 9 do text[i] = ('test("t%d", function() end)\n'):format(i) end
    for i = 1, 3 do write(("test_%d.lua"):format(i), table.concat(text)) end
    local function order(...)
        local run = batch(...)
        expect(run, 0, "27 passed, 0 failed")
        return run.stdout:gsub("[^\n]*%-%-shuffle=.*", ""), run.stdout:match("%-%-shuffle=(%d+)")
    end
    local first, seed = order(".", "--shuffle", "--jobs", "1")
    check.equal(order(".", "--shuffle=" .. seed, "--jobs", "1"), first)
    check.not_equal(order(".", "--shuffle=" .. seed + 1, "--jobs", "1"), first)
end)

test("--fail-fast ends what runs and begins no more", function()
    write("test_1.lua", [[test("bad", function() error("no", 0) end) test("never", function() end)]])
    write("test_2.lua", [[test("long", function() sleep(60) end)]])
    write("test_3.lua", [[test("never", function() end)]])
    local run = batch("test_2.lua", "test_1.lua", "test_3.lua", "--fail-fast", "--jobs", "2")
    expect(run, 1, "0 passed, 1 failed")
    has(run.stdout, "ended early: --fail-fast: 1 of 3 files were not run")
end)

-- Side by side ------------------------------------------------------------------------------------------------------------

-- Each waits for the other, and writes meanwhile.
local function write_pair()
    for i, other in ipairs { 2, 1 } do
        write(("test_%d.lua"):format(i), ([[
            test("meets", function()
                local own, other = param("folder") .. "/%d", param("folder") .. "/%d"
                print "first of %d"
                io.open(own, "w"):close()
                eventually(param("patience", 60), function() return io.open(other) end, { every = "5ms" })
                io.stderr:write("error of %d\n")
                print "last of %d"
            end)]]):format(i, other, i, i, i))
    end
end

test("files run side by side, and each one's output is shown whole", function()
    write_pair()
    local run = batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "2")
    expect(run, 0, "2 passed, 0 failed")
    for i = 1, 2 do has(run.stdout, ("# test_%d.lua\nfirst of %d\nlast of %d\nok "):format(i, i, i)) end
    has(run.stderr, "error of 1\n")
    shell('rm "$1/1" "$1/2"', batches.folder)
    run = batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "1", "--param", "patience=0.1")
    expect(run, 1, "1 passed, 1 failed")
end)

test("files whose machines take more memory than there is run one after the other from then on", function()
    for i, other in ipairs { 2, 1 } do
        write(("test_%d.lua"):format(i), ([[
            local nodes = require "qemunet.nodes.vm"
            test("is alone", function()
                local own, other = param("folder") .. "/%d", param("folder") .. "/%d"
                io.open(own .. "began", "w"):close()
                eventually(60, function() return io.open(other .. "began") end, { every = "5ms" })
                vm("a", { mem = "1000G", kernel = "/dev/null" })
                nodes.prepare() -- as when it boots
                check.is_nil(io.open(other))
                io.open(own, "w"):close()
                sleep("0.1s")
                os.remove(own)
            end)]]):format(i, other))
    end
    expect(batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "2"), 0, "2 passed, 0 failed")
end)
