-- SPDX-License-Identifier: MIT
-- Lines that a person types. Several tasks may ask for one: the last that did has the terminal, and the others get it back when
-- it is done, with what was typed for them.

local core = require "qemunet.core"
local history = require "qemunet.program.history"

local terminal = {}

local readers, editing = {}, nil
local take_keys

--- Called with the text before the cursor when the person wants it completed.
terminal.complete = function() end

local is_open = false

--- Opens it, if it is not open. Raises when that fails.
function terminal.open()
    if is_open then return end
    assert(core.terminal_open {
        complete = function(before) terminal.complete(before) end,
        keys = function(data) take_keys(data) end,
    })
    is_open = true
    if not core.is_terminal() then return end
    for _, line in ipairs(history.read()) do core.remember(line) end
end

--- Keeps a line for the arrow keys, here and in later sessions.
function terminal.remember(line)
    if not core.is_terminal() then return end
    core.remember(line)
    history.add(line)
end

local function leave(reader)
    for i, each in ipairs(readers) do
        if each == reader then return table.remove(readers, i) end
    end
end

local function serve()
    local reader = readers[#readers]
    if editing or not reader then return end
    editing = reader
    core.edit(reader.prompt, reader.text, function(how, line)
        editing = nil
        if how == "stopped" then
            reader.text = line or ""
        else
            leave(reader)
            reader.done:set(how, line)
        end
        serve()
    end)
end

local function stop()
    if editing and not core.edit_stop() then
        editing = nil
        serve()
    end
end

--- Reads a line behind a prompt. Returns "line" and the line; "end", at the end of the input; or "interrupted", by Ctrl-C.
function terminal.read(prompt)
    local reader = { prompt = prompt, text = "", done = core.future() }
    readers[#readers + 1] = reader
    local guard <close> = setmetatable({}, { __close = function()
        leave(reader)
        if editing == reader then stop() end
    end })
    if editing then stop() else serve() end
    core.wait { reader.done }
    return reader.done:values()
end

--- Gives each key to fn(data) as it comes, "" when none will come any more, until the value that it returns is closed. Raises
--- when there is no terminal.
function terminal.keys(fn)
    take_keys = fn
    local ok, why = core.take_keys()
    local guard = setmetatable({}, { __close = core.give_keys })
    if not ok then
        core.give_keys()
        error("there is no terminal: " .. why, 0)
    end
    return guard
end

return terminal
