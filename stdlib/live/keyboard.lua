-- SPDX-License-Identifier: MIT
-- A person's keys, as they come, for a console.

local terminal = require "qemunet.repl.terminal"

local keyboard = {}

local LEAVE = "\x1d" -- Ctrl-]

--- keyboard.greeting(node) -> text: what tells that one is attached, and how to leave.
function keyboard.greeting(node) return ("attached to the console of %s; Ctrl-] leaves\n"):format(node) end

-- Sends what was typed. Returns why it is over, or nil.
local function type_in(send, data)
    local leave = data:find(LEAVE, 1, true)
    local typed = leave and data:sub(1, leave - 1) or data
    local sent, why = typed == "" or send(typed)
    if not sent then return why end
    if leave then return "left" end
    if data == "" then return "the terminal has gone" end
end

--- Gives each key to send(data) -> true, or nil and why, until the value that it returns is closed. Sets the future `over` to
--- why it is over: "left" by Ctrl-], the terminal has gone, or send failed.
function keyboard.connect(send, over)
    return terminal.keys(function(data)
        local why = type_in(send, data)
        if why then over:set(why) end
    end)
end

return keyboard
