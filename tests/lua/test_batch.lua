-- SPDX-License-Identifier: MIT
-- `qemunet test` with files of its own, each test in a folder of its own: what is run, in which order, how each can end, and
-- what is said of it. test_batch_parts has what needs no process.

local core = require "qemunet.core"

local PROGRAM = core.real_path("/proc/self/exe")
local SCHEMA = debug.getinfo(1, "S").source:match("^@(.*)/") .. "/data/junit.xsd"
local PATIENCE = 60

local folder

local function shell(text, ...)
    local words = { "sh", "-c", text, "sh", ... }
    local ended, output = core.future(), {}
    words.on_output = function(data) output[#output + 1] = data end
    words.on_end = function(status) ended:set(status) end
    local process = core.process(words)
    local guard <close> = setmetatable({}, { __close = function() process:close() end })
    check.equal(core.wait({ ended }, PATIENCE), 1, "it ends in time")
    return ended:values(), table.concat(output)
end

setup(function()
    local _, text = shell("mktemp -d")
    folder = text:match("^[^\n]+")
end)

teardown(function() shell('rm -rf "$1"', folder) end)

local function write(name, text)
    local path = folder .. "/" .. name
    shell('mkdir -p "$(dirname "$1")"', path)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

local function read(name)
    local file = io.open(folder .. "/" .. name, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    return text
end

-- Starts `qemunet test ...` in the folder.
local function start(...)
    local run = { ended = core.future(), stdout = "", stderr = "" }
    local all = { "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, PROGRAM, "test", ... }
    all.on_output = function(data, stream) run[stream] = run[stream] .. data end
    all.on_end = function(status, signal) run.ended:set(status, signal) end
    run.process = assert(core.process(all))
    return run
end

local function finish(run)
    if not core.wait({ run.ended }, PATIENCE) then
        run.process:close()
        error("it does not end: " .. run.stdout .. run.stderr)
    end
    run.status, run.signal = run.ended:values()
    run.last = run.stdout:match("([^\n]*)\n$")
    return run
end

local function batch(...) return finish(start(...)) end

local function has(text, part) check.is_true(text:find(part, 1, true) ~= nil, ("%q is not in %s"):format(part, text)) end

local function expect(run, status, last)
    check.equal({ run.status, run.last }, { status, last }, run.stdout .. run.stderr)
end

-- Which files -----------------------------------------------------------------------------------------------------------

test("files are found by their names, below folders, but hidden ones and those of runs", function()
    for _, name in ipairs { "tests/test_a.lua", "tests/deep/er/b_test.lua", "tests/helper.lua", "tests/test_c.txt",
        "tests/.hidden/test_d.lua", "tests/runs/test_e.lua", "test_f.lua", "other.lua" } do
        write(name, "")
    end
    shell('ln -s .. "$1/tests/circle"', folder)
    local run = batch()
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
    run = batch("test_2.lua", "test_1.lua", "--file-timeout", "300ms")
    expect(run, 4, "1 passed, 2 failed")
    has(run.stdout, "not ok 3 - computes\n  # timed out after 300 ms (--file-timeout)\n  # stack traceback:\n  # \ttest_2.lua:1: in")
    run = batch("--timeout", "0.3", "test_1.lua", "test_2.lua")
    expect(run, 4, "1 passed, 1 failed")
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
    eventually(PATIENCE, function()
        pid = run.stdout:match("pid (%d+)")
        return pid
    end)
    return run, pid
end

local function is_gone(pid) return core.stat("/proc/" .. pid) == nil end

test("interrupted: what runs ends in good order, and what was done is told", function()
    local run, pid = start_waiting("test_1.lua", "--shuffle=1", "--filter", "")
    run.process:stop()
    finish(run)
    check.is_true(is_gone(pid))
    check.equal(run.status, 130)
    has(run.stdout, "ended early: interrupted")
end)

test("a second signal ends it at once, and what ran ends too; so it does when it is killed", function()
    for _, how in ipairs { "twice", "kill" } do
        local run, pid = start_waiting("test_1.lua", "--param", "slow=1")
        if how == "kill" then
            run.process:kill()
        else
            run.process:stop()
            sleep("50ms")
            run.process:stop()
        end
        finish(run)
        check.equal({ run.status, run.signal }, how == "kill" and { nil, 9 } or { 130, 0 })
        eventually(PATIENCE, function() return is_gone(pid) end, { every = "20ms" })
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

test("--retries: what passes at last is flaky, and only what failed is run again", function()
    write("test_1.lua", [[
        local function times(name)
            local path = param("folder") .. "/" .. name
            local file = io.open(path, "r")
            local n = file and file:read("n") or 0
            io.open(path, "w"):write(n + 1):close()
            return n + 1
        end
        test("steady", function() check.equal(times("steady"), 1) end)
        test("flaky", function() check.equal(times("flaky"), 3) end)
        test("bad", function() times("bad") error("always", 0) end)]])
    local words = { "test_1.lua", "--allow-host", "--param", "folder=" .. folder, "--retries", "3" }
    local run = batch(table.unpack(words))
    expect(run, 1, "2 passed, 1 failed")
    check.equal({ read "steady", read "flaky", read "bad" }, { "1", "3", "4" })
    has(run.stdout, "flaky, as they failed and passed when they were run again:\n  test_1.lua: flaky: test_1.lua:9: check.equal: " ..
        "got 2, want 3\n")
    shell('rm "$1/flaky" "$1/steady"', folder)
    run = batch("--filter", "flaky", "--junit", "out.xml", table.unpack(words))
    expect(run, 0, "1 passed, 0 failed")
    has(read "out.xml", '<flakyFailure message="test_1.lua:9: check.equal: got 2, want 3" type="check">')
end)

test("a file that crashed once is flaky", function()
    write("test_1.lua", [[
        local path = param("folder") .. "/crashed"
        local before = io.open(path)
        if not before then
            io.open(path, "w"):close()
            os.execute("kill -KILL " .. io.open("/proc/self/stat"):read("n"))
            sleep(60)
        end
        test("t", function() end)]])
    local run = batch("test_1.lua", "--allow-host", "--param", "folder=" .. folder, "--retries", "1")
    expect(run, 0, "1 passed, 0 failed")
    has(run.stdout, "  test_1.lua: its process was ended by signal 9 (SIGKILL), as when memory is short\n")
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
    local run = batch(".", "--allow-host", "--param", "folder=" .. folder, "--jobs", "2")
    expect(run, 0, "2 passed, 0 failed")
    for i = 1, 2 do has(run.stdout, ("# test_%d.lua\nfirst of %d\nlast of %d\nok "):format(i, i, i)) end
    has(run.stderr, "error of 1\n")
    shell('rm "$1/1" "$1/2"', folder)
    run = batch(".", "--allow-host", "--param", "folder=" .. folder, "--jobs", "1", "--param", "patience=0.1")
    expect(run, 1, "1 passed, 1 failed")
end)

test("files whose machines take more memory than there is run one after the other from then on", function()
    for i, other in ipairs { 2, 1 } do
        write(("test_%d.lua"):format(i), ([[
            local nodes = require "qemunet.nodes.vm"
            test("is alone", { timeout = "1s" }, function()
                local own, other = param("folder") .. "/%d", param("folder") .. "/%d"
                io.open(own .. "began", "w"):close()
                eventually(60, function() return io.open(other .. "began") end, { every = "5ms" })
                vm("a", { mem = "1000G", kernel = "/dev/null" })
                nodes.prepare() -- as when it boots
                check.is_nil(io.open(other))
                io.open(own, "w"):close()
                sleep("0.7s")
                os.remove(own)
            end)]]):format(i, other))
    end
    expect(batch(".", "--allow-host", "--param", "folder=" .. folder, "--jobs", "2"), 0, "2 passed, 0 failed")
end)

-- Reports -----------------------------------------------------------------------------------------------------------------

local AWKWARD = [[
    test("quotes ' \" <&> ]].. "]]" .. [[>", function() end)
    test("hash # TODO \\ back", function() end)
    test("lines\nand\rcontrol \0\1\27[31m \x7f", function() error("message <&> \1\xff\n--- \n...\nnot ok 7", 0) end)
    test("bytes \xff\xc3 \xe2\x82\xac \xef\xbf\xbe", function() skip("why # \n\1 <not>") end)
    print("<out> \0\1\xff ]].. "]]" .. [[>")
    io.stderr:write("err without an end")]]

test("TAP: a plan, numbered lines, nothing else on standard output", function()
    write("test_1.lua", AWKWARD)
    write("test_2.lua", [[test("fine", function() print("ok 1 - no test") end)]])
    local run = batch("--tap", ".", "--jobs", "1")
    expect(run, 1, "# 3 passed, 1 failed, 1 skipped")
    local lines = {}
    for line in run.stdout:gmatch("([^\n]*)\n") do
        if not line:find("^  ") then lines[#lines + 1] = line end
    end
    check.equal(lines, { "TAP version 14", "ok 1 - test_1.lua: quotes ' \" <&> ]]>", "ok 2 - test_1.lua: hash \\# TODO \\\\ back",
        "not ok 3 - test_1.lua: lines and control    [31m", "ok 4 - test_1.lua: bytes \xef\xbf\xbd\xef\xbf\xbd \xe2\x82\xac \xef\xbf\xbe # SKIP " ..
        "why \\#    <not>", "ok 5 - test_2.lua: fine", "1..5", "# 3 passed, 1 failed, 1 skipped" })
    has(run.stdout, "not ok 3 - test_1.lua: lines and control    [31m\n  ---\n  message: \"")
    has(run.stdout, "\n  ...\nok 4")
    has(run.stderr, "ok 1 - no test\n")
    has(run.stderr, "err without an end\n")
end)

test("TAP: read by a program that knows it", function()
    if shell("command -v prove") ~= 0 then skip "prove is not installed" end
    write("test_1.lua", AWKWARD)
    local run = batch("--tap", "test_1.lua")
    write("tap", (run.stdout:gsub("version 14", "version 13"))) -- as it knows it
    local status, text = shell('cd "$1" && prove --exec cat tap', folder)
    check.equal(status, 1)
    has(text, "Failed 1/4 subtests")
    has(text, "(less 1 skipped subtest: 2 okay)")
    check.is_nil(text:find("Parse errors", 1, true), text)
end)

test("JUnit's XML: valid, with all that happened", function()
    write("test_1.lua", AWKWARD)
    write("test_2.lua", [[test("ends", function() os.exit(1) end)]])
    write("test_3.lua", [[test("hangs", function() sleep(60) end)]])
    write("test_4.lua", [[os.execute("kill -9 " .. io.open("/proc/self/stat"):read("n")) sleep(60)]])
    local run = batch("--junit", "out.xml", "--allow-host", ".", "--file-timeout", "2", "-q")
    expect(run, 4, "2 passed, 4 failed, 1 skipped")
    local text = read "out.xml"
    has(text, '<testsuites name="qemunet" tests="7" failures="2" errors="2" skipped="1" time="')
    has(text, '<testcase name="lines&#10;and&#13;control \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[31m ')
    has(text, '<error message="timed out after 2 s (--file-timeout)" type="timeout">')
    has(text, '<error message="its process was ended by signal 9 (SIGKILL), as when memory is short" type="crash">')
    has(text, '<skipped message="why # &#10;\xef\xbf\xbd &lt;not&gt;"/>')
    has(text, "<system-out>&lt;out&gt; \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ]]&gt;\n</system-out>")
    has(text, "<system-err>err without an end</system-err>")
    check.is_nil(read "out.xml.part")
    if shell("command -v xmllint") ~= 0 then skip "xmllint is not installed (package libxml2-utils)" end
    local status, why = shell('xmllint --noout --schema "$1" "$2/out.xml" 2>&1', SCHEMA, folder)
    check.equal(status, 0, why)
end)

test("the command that it says runs a failed test again does", function()
    write("test_1.lua", [[
        test("it's [here]\n$HOME", function() check.equal(param("n", 0), 7) end)
        test("it's [here]\n$HOME and more", function() error("no") end)]])
    local run = batch("test_1.lua", "--param", "n=8")
    expect(run, 1, "0 passed, 2 failed")
    local command = run.stdout:match("    (qemunet test [^\n]*)\n")
    local status, text = shell('cd "$1" && qemunet() { "$2" "$@"; } && ' .. command:gsub("^qemunet", '"$2"'), folder, PROGRAM)
    check.equal(status, 1)
    has(text, "check.equal: got 8, want 7")
    check.match(text, "\n0 passed, 1 failed\n$")
end)
