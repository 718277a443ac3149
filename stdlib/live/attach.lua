-- SPDX-License-Identifier: MIT
-- qemunet attach: the console of a machine of a run that is under way, on this terminal.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local keyboard = require "qemunet.live.keyboard"
local runs = require "qemunet.live.runs"
local terminal = require "qemunet.repl.terminal"

local attach = {}

--- Connects this terminal with the console of the node of that name until Ctrl-] is typed or the run ends; `which`: of several
--- runs, see runs.choose(). Raises for errors.try().
function attach.to(name, which)
    if not core.is_terminal() then errors.problem("standard input and output must be a terminal") end
    local run = runs.choose(which, name)
    local connection <close>, why = runs.connect(run.path)
    if not connection then errors.problem(("the experiment %d: %s"):format(run.pid, why)) end
    local answer, problem = connection:ask { want = "attach", node = name }
    if not answer then errors.problem(problem) end
    core.print(keyboard.greeting(tostring(answer.attached)))
    terminal.open()
    local over = core.future()
    local keys <close> = keyboard.connect(function(data) return connection:write(data) end, over)
    connection:stream_to(core.print)
    core.wait { over, connection.over }
    core.print(("\r\n[%s]\r\n"):format(over:is_set() and over:values() or "detached"))
end

return attach
