-- SPDX-License-Identifier: MIT
-- The serial console, and waiting for text on it and in a job's output.

local v = vm("console")

-- Types a command into the console's shell; returns what the console then matched.
local function on_console(cmd, pattern, timeout)
    check.is_true(v.console:send(cmd .. "\n"))
    local match = v.console:expect(pattern, timeout or 20)
    return match
end

-- fn must raise, at a line of its own, a message that has each of the texts. Returns it.
local function blames(fn, ...)
    local at, message = debug.getinfo(fn, "S"), check.raises(fn)
    local file, line = message:match("^([^\n]-):(%d+): ")
    check.equal(file, at.short_src)
    check.is_true(tonumber(line) >= at.linedefined and tonumber(line) <= at.lastlinedefined, "blamed line " .. line)
    for _, text in ipairs { ... } do
        check.is_true(message:find(text, 1, true) ~= nil, message .. "\nhas no " .. text)
    end
    return message
end

test("it boots at its first use, and what came before is remembered", function()
    local match = v.console:expect("(?<what>BusyBox) v([\\d.]+)", 30)
    check.equal({ match.index, match.what, match[1], match.truncated }, { 1, "BusyBox", "BusyBox", false })
    check.equal(match.text, "BusyBox v" .. match[2])
    check.equal(v.state, "up")
    v.console:expect("# ", 20)
end)

test("what is typed is done", function()
    local match = on_console("echo $((6*7))", "42")
    check.equal(match.text, "42")
    check.is_true(match.before:find("echo $((6*7))", 1, true) ~= nil, match.before)
    check.equal(on_console("echo a=$((1+1)) b=$((2+2))", [[a=(\d+) b=(?<b>\d+)\r\n]]).b, "4")
    on_console("stty -echo; echo $((7*7))", "49\r\n")
end)

test("of several patterns, the one whose match starts first", function()
    local patterns = { "never", "gamma", "alpha|beta" }
    check.equal(on_console("echo beta gamma alpha", patterns).index, 3)
    local match = v.console:expect(patterns, 5)
    check.equal({ match.index, match.text, match.before }, { 2, "gamma", " " })
    check.equal(v.console:expect(patterns, 5).text, "alpha")
end)

test("a match across pieces, and not cut short by one's end", function()
    check.equal(on_console("printf foo; sleep 0.2; printf 'bar\\n'", "foo(bar)?\\b")[1], nil)
    check.equal(on_console("printf foo; sleep 0.2; printf 'bar\\n'", "foobar").text, "foobar")
    local long = ("0123456789"):rep(30)
    check.equal(on_console("echo n=" .. long, [[n=(\d+)]])[1], long)
end)

test("a prompt at the end", function()
    on_console("printf 'n%s: ' ame; read name; echo hello $name", "name: $")
    check.equal(on_console("world", [[hello (\w+)$]])[1], "world")
end)

test("bytes", function()
    check.equal(on_console([[stty raw; printf 'x\000\001\377\n'; stty -raw]], [[x(\x00\x01\xff)]])[1], "\0\1\xff")
end)

test("a time-out says what was wanted and how the console ends", function()
    on_console("echo the last; echo words", "words")
    local began = now()
    blames(function() v.console:expect({ "no such", "thing" }, "200ms") end,
        'console: console: no match for "no such" or "thing" within 200 ms', "the last\n", "words")
    check.is_true(now() - began >= 0.2)
    check.equal(on_console("echo go on", "go on").text, "go on")
end)

test("a time-out of nothing looks at what is there", function()
    on_console("echo one; echo two; echo three", "one")
    eventually(20, function() return v.console:log():find("three\r\n", 1, true) end)
    check.equal(v.console:expect("two", 0).text, "two")
    blames(function() v.console:expect("two", 0) end, "no match")
end)

test("misuse raises", function()
    blames(function() v.console:expect("ab(c") end, 'bad pattern "ab(c": missing closing parenthesis at offset 4')
    blames(function() v.console:expect({}) end, "not an empty table")
    blames(function() v.console:expect({ "a", 1 }) end, "pattern 2 is a number")
    blames(function() v.console:expect() end, "not nil")
    blames(function() v.console:expect("a", "5 parsecs") end, "bad duration") -- no check
    blames(function() v.console:send(5) end, "want a string")
    blames(function() v.console:exepct("a") end, 'did you mean "expect"?') -- no check
end)

test("one task waits at a time, and a cancelled one lets go", function()
    local first = go(function() return v.console:expect("first", 20).text end)
    sleep(0.05)
    blames(function() v.console:expect("second", 5) end, "another task waits in expect")
    v.console:send("echo first\n")
    check.equal(first:join(20), "first")
    check.raises(function() timeout(0.1, function() v.console:expect("never", 20) end) end, "timed out")
    check.equal(on_console("echo second", "second").text, "second")
end)

test("a costly pattern raises, soon", function()
    local began = now()
    v.console:send("echo " .. ("a"):rep(200) .. "!\n")
    blames(function() v.console:expect("(a+)+b", 20) end, "too many steps")
    check.less(now() - began, 15)
    check.equal(on_console("echo on", "on\r\n").text, "on\r\n")
end)

test("much output, of which the window holds the end", function()
    local cmd = "i=0; while [ $i -lt 4000 ]; do echo line $i of the many lines that are printed; i=$((i+1)); done; echo done"
    local match = on_console(cmd, "^done\r\n", 60)
    check.is_true(match.truncated)
    check.is_true(#match.before >= 65000 and #match.before <= 2 * 65536 + 1, "kept " .. #match.before)
    check.equal(match.before:sub(-46), "line 3999 of the many lines that are printed\r\n")
    local log, lines = v.console:log(), 0
    for _ in log:gmatch("line %d+ of the many lines that are printed\r\n") do lines = lines + 1 end
    check.equal(lines, 4000)
end)

test("the log is the whole of it", function()
    local log = v.console:log()
    check.is_true(log:find("BusyBox", 1, true) ~= nil and log:find("echo $((6*7))", 1, true) ~= nil)
    on_console("echo logged", "logged\r\n")
    check.is_true(v.console:log():find("logged\r\n", 1, true) ~= nil)
end)

test("an interactive command", function()
    local job = v:spawn([[printf 'name? '; read a; printf 'age? '; read b; echo "$a is $((b+1))"; read c; exit 3]])
    job:expect("name\\? $", 20)
    job:write("Eve\n")
    check.equal(job:expect({ "nothing", "age" }, 20).index, 2)
    job:write("41\n")
    local match = job:expect([[(?<who>\w+) is (\d+)\n]], 20)
    check.equal({ match.who, match[2], match.before }, { "Eve", "42", "? " })
    blames(function() job:expect("more", "100ms") end, 'output of "printf', 'no match for "more" within 100 ms')
    local waiting = go(function() return pcall(job.expect, job, "more", 20) end)
    job:write("\n")
    local ok, message = waiting:join(20)
    check.is_true(not ok)
    check.is_true(message:find("the command has ended (status 3)", 1, true) ~= nil, message)
    check.equal(job:wait(5).stdout, "name? age? Eve is 42\n")
    blames(function() job:expect("more", 20) end, "the command has ended (status 3)")
end)

test("output is there after its command has ended", function()
    local job = v:spawn("echo one; echo two")
    job:wait(20)
    check.equal(job:expect([[^t\w+]], 20).text, "two")
end)

test("the end of the machine ends the wait", function()
    local waiting = go(function() return pcall(v.console.expect, v.console, "never", 60) end)
    local asked = v:spawn("sleep 100")
    sleep(0.05)
    local began = now()
    v:crash()
    local ok, message = waiting:join(10)
    check.is_true(not ok)
    check.is_true(message:find('no match for "never"; the machine is crashed', 1, true) ~= nil, message)
    check.less(now() - began, 5)
    blames(function() v.console:expect("never", 60) end, "the machine is crashed")
    blames(function() asked:expect("never", 60) end, "the command has ended")
    check.equal({ v.console:send("x\n") }, { nil, "vm console is crashed", "state" })
    check.is_true(v.console:log():find("logged", 1, true) ~= nil)
end)

test("a new start is a new stream, in the same log", function()
    v:boot()
    blames(function() v.console:expect("logged", 0) end, "no match")
    v.console:expect("BusyBox", 20)
    check.is_true(v.console:log():find("logged", 1, true) ~= nil)
end)
