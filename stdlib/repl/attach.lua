-- SPDX-License-Identifier: MIT
-- A machine's console on the person's terminal.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local terminal = require "qemunet.repl.terminal"
local testbed = require "qemunet.testbed"

local attach = {}

local LEAVE = "\x1d" -- Ctrl-]
local SHOWN = 2000 -- bytes of what the console has said before

local function console_of(name)
    local node = testbed.find(name)
    if not node then errors.problem(("there is no node %q; :nodes lists them"):format(name)) end
    local console = rawget(node, "console")
    if not console then errors.problem(("%s has no console: it is no virtual machine"):format(tostring(node))) end
    if rawget(node, "line") then errors.problem(("the console of vm %s carries its commands"):format(name)) end
    return console, node
end

-- Sends what was typed. Returns why it is over, or nil.
local function type_in(console, data)
    local leave = data:find(LEAVE, 1, true)
    local typed = leave and data:sub(1, leave - 1) or data
    local sent, why = typed == "" or console:send(typed)
    if not sent then return why end
    if leave then return "left" end
    if data == "" then return "the terminal has gone" end
end

--- Connects the terminal with the console of the node of that name until Ctrl-] is typed. Returns why it ended.
function attach.to(name)
    local console, node = console_of(name)
    if node.state == "defined" then node:boot() end
    core.print(("attached to the console of %s; Ctrl-] leaves\n"):format(tostring(node)))
    core.print(console.stream.window:tail(SHOWN))
    local over = core.future()
    local listener <close> = setmetatable({}, { __close = function() console.stream.listener = false end })
    local keys <close> = terminal.keys(function(data)
        local why = type_in(console, data)
        if why then over:set(why) end
    end)
    console.stream.listener = core.print
    core.wait { over, node.ended or nil }
    return over:is_set() and over:values() or ("%s is %s"):format(node.name, node.state)
end

return attach
