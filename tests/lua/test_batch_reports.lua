-- SPDX-License-Identifier: MIT
-- What `qemunet test` says of failed tests, to people and to programs, and what it runs again.

local batches = require "batches"

local batch, expect, has, shell, write = batches.run, batches.expect, batches.has, batches.shell, batches.write

local SCHEMA = debug.getinfo(1, "S").source:match("^@(.*)/") .. "/data/junit.xsd"

setup(batches.make_folder)
teardown(batches.remove_folder)

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
    local words = { "test_1.lua", "--allow-host", "--param", "folder=" .. batches.folder, "--retries", "3" }
    local run = batch(table.unpack(words))
    expect(run, 1, "2 passed, 1 failed")
    check.equal({ batches.read "steady", batches.read "flaky", batches.read "bad" }, { "1", "3", "4" })
    has(run.stdout, "flaky, as they failed and passed when they were run again:\n" ..
        "  test_1.lua: flaky: test_1.lua:9: check.equal: got 2, want 3\n")
    shell('rm "$1/flaky" "$1/steady"', batches.folder)
    run = batch("--filter", "flaky", "--junit", "out.xml", table.unpack(words))
    expect(run, 0, "1 passed, 0 failed")
    has(batches.read "out.xml", '<flakyFailure message="test_1.lua:9: check.equal: got 2, want 3" type="check">')
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
    local run = batch("test_1.lua", "--allow-host", "--param", "folder=" .. batches.folder, "--retries", "1")
    expect(run, 0, "1 passed, 0 failed")
    has(run.stdout, "  test_1.lua: its process was ended by signal 9 (SIGKILL), as when memory is short\n")
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
        "not ok 3 - test_1.lua: lines and control    [31m", 
        "ok 4 - test_1.lua: bytes \xef\xbf\xbd\xef\xbf\xbd \xe2\x82\xac \xef\xbf\xbe # SKIP " ..
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
    local status, text = shell('cd "$1" && prove --exec cat tap', batches.folder)
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
    local run = batch("--junit", "out.xml", "--allow-host", ".", "--file-timeout", "1", "-q")
    expect(run, 4, "2 passed, 4 failed, 1 skipped")
    local text = batches.read "out.xml"
    has(text, '<testsuites name="qemunet" tests="7" failures="2" errors="2" skipped="1" time="')
    has(text, '<testcase name="lines&#10;and&#13;control \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd[31m ')
    has(text, '<error message="timed out after 1 s (--file-timeout)" type="timeout">')
    has(text, '<error message="its process was ended by signal 9 (SIGKILL), as when memory is short" type="crash">')
    has(text, '<skipped message="why # &#10;\xef\xbf\xbd &lt;not&gt;"/>')
    has(text, "<system-out>&lt;out&gt; \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ]]&gt;\n</system-out>")
    has(text, "<system-err>err without an end</system-err>")
    check.is_nil(batches.read "out.xml.part")
    if shell("command -v xmllint") ~= 0 then skip "xmllint is not installed (package libxml2-utils)" end
    local status, why = shell('xmllint --noout --schema "$1" "$2/out.xml" 2>&1', SCHEMA, batches.folder)
    check.equal(status, 0, why)
end)

test("the command that it says runs a failed test again does", function()
    write("test_1.lua", [[
        test("it's [here]\n$HOME", function() check.equal(param("n", 0), 7) end)
        test("it's [here]\n$HOME and more", function() error("no") end)]])
    local run = batch("test_1.lua", "--param", "n=8")
    expect(run, 1, "0 passed, 2 failed")
    local command = run.stdout:match("    (qemunet test [^\n]*)\n")
    local line = 'cd "$1" && ' .. command:gsub("^qemunet", '"$2"')
    local status, text = shell(line, batches.folder, batches.PROGRAM)
    check.equal(status, 1)
    has(text, "check.equal: got 8, want 7")
    check.match(text, "\n0 passed, 1 failed\n$")
end)
