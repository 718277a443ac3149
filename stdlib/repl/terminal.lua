-- SPDX-License-Identifier: MIT
-- Lines that a person types. Several prompts may want them: the last that came has the terminal, and the others get it back
-- when it is done, with what was typed for them.

local core = require "qemunet.core"
local history = require "qemunet.repl.history"

local terminal = {}

-- Those who have claimed it, the last one in possession; the line that is edited.
local owners, editing = {}, nil
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

local function serve()
    local owner = owners[#owners]
    local reader = owner and owner.reader
    if editing or not reader then return end
    editing = reader
    core.edit(reader.prompt, reader.text, function(how, line)
        editing = nil
        if how == "stopped" then
            reader.text = line or ""
        else
            if owner.reader == reader then owner.reader = false end
            reader.done:set(how, line)
        end
        serve()
    end)
end

-- Has the line that is edited given up, if there is one, and the next one edited.
local function change()
    if not editing then return serve() end
    if not core.edit_stop() then
        editing = nil
        serve()
    end
end

local Owner = {}
Owner.__index = Owner

--- Has the terminal, until the value that it returns is closed; whose it was before waits.
function terminal.claim()
    local owner = setmetatable({ reader = false }, Owner)
    owners[#owners + 1] = owner
    change()
    return owner
end

function Owner:__close()
    for i, each in ipairs(owners) do
        if each == self then table.remove(owners, i) end
    end
    if not editing or editing == self.reader then change() end
end

--- owner:read(prompt): reads a line behind a prompt. Returns "line" and the line; "end", at the end of the input;
--- "interrupted", by Ctrl-C; or "too long", when the input is no terminal: the next line would be the rest.
function Owner:read(prompt)
    local reader = { prompt = prompt, text = "", done = core.future() }
    self.reader = reader
    local guard <close> = setmetatable({}, { __close = function()
        if self.reader == reader then self.reader = false end
        if editing == reader then change() end
    end })
    serve()
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
