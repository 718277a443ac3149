-- SPDX-License-Identifier: MIT
-- A machine's console on the person's terminal.

local consoles = require "qemunet.live.consoles"
local core = require "qemunet.core"
local keyboard = require "qemunet.live.keyboard"

local attach = {}

--- Connects the terminal with the console of the node of that name until Ctrl-] is typed. Returns why it ended.
function attach.to(name)
    local console, node = consoles.of(name)
    if node.state == "defined" then node:boot() end
    core.print(keyboard.greeting(tostring(node)))
    core.print(console.stream.window:tail(consoles.SHOWN))
    local over = core.future()
    local keys <close> = keyboard.connect(function(data) return console:send(data) end, over)
    local listener <close> = console.stream:listen(core.print)
    core.wait { over, node.ended or nil }
    return over:is_set() and over:values() or ("%s is %s"):format(node.name, node.state)
end

return attach
