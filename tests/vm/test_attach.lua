-- SPDX-License-Identifier: MIT
-- A machine's console at the prompt.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "../tty/?.lua;" .. package.path
local session = require "session"

local folder
setup(function() folder = session.folder() end)
teardown(function() session.remove_folder(folder) end)

test("attach: keys go to the machine, Ctrl-C too, until Ctrl-]", function()
    local p = session.start(folder, "repl")
    p:ask('m = vm("m")', "")
    p:ask("after(0, function() print('booted', pcall(boot)) end)", "task")
    p:ask("'the prompt goes on'", '"the prompt goes on"')
    p:see("booted\ttrue")
    p:ask(":attach m", "attached to the console of vm m \\(up\\); Ctrl-] leaves")
    p:type("\r")
    p:see("# ")
    p:type("echo $((6*7))\r")
    p:see("\n42\\s")
    p:type("echo $((3*37)); sleep 1000\r")
    p:see("\n111\\s")
    p:type("\3")
    p:see("\\^C")
    p:type("echo $((7*7))\r")
    p:see("49\\s")
    p:type("\29")
    p:see("\\[left\\]")
    p:ask("m:succeed('echo still up')", "still up")
    p:see_prompt()
    p:type("\3")
    p:ask("m:ok('true')", "true")
    p:ask("after('300ms', function() m:crash() end)", "task")
    p:ask(":attach m", "\\[m is crashed\\]")
    p:see_prompt()
    p:type("\4")
    check.equal({ p:finish() }, { 0, "kept" })
end)
