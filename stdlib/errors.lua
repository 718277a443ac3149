-- SPDX-License-Identifier: MIT
-- How errors find the script's line, and which of them are the machinery's rather than the experiment's.

local core = require "qemunet.core"

local errors = {}

errors.CANCEL = core.CANCEL

local override = os.getenv("QEMUNET_STDLIB")
local machinery = {}

--- Whether a chunk (a source, as from debug.getinfo) is part of the library.
function errors.is_library(source)
    return source:sub(1, 8) == "@stdlib/" or (override ~= nil and source:sub(1, #override + 2) == "@" .. override .. "/")
end

local function is_script(info) return info.what ~= "C" and not errors.is_library(info.source) end

-- "file:line: " of the innermost line of a script on the stack, or "".
local function script_position()
    for level = 2, 200 do
        local info = debug.getinfo(level, "Sl")
        if not info then return "" end
        if is_script(info) and info.currentline > 0 then return ("%s:%d: "):format(info.short_src, info.currentline) end
    end
    return ""
end

--- Raises `message` with the position of the script's innermost line.
function errors.raise(message) error(script_position() .. message, 0) end

--- Raises, at the script's line, that a method was called with a dot, unless what it was called on is_right.
function errors.check_colon(is_right, method, kind)
    if is_right then return end
    local article = kind:find("^[aeiou]") and "an" or "a"
    errors.raise(("%s: call it with a colon, on %s %s"):format(method, article, kind))
end

--- Raises `message` as a failure of the machinery (exit status 3): no QEMU, a machine that never boots.
function errors.machinery(message)
    message = script_position() .. message
    machinery[message] = true
    error(message, 0)
end

--- Whether `err` was raised by errors.machinery, and nothing was put before or behind it since.
function errors.is_machinery(err) return machinery[err] == true end

--- Raises `err`, which was caught, as it is.
function errors.again(err) error(err, 0) end

local function describe(info)
    local name = info.what == "main" and "in the file's main part" or info.name and ("in %s '%s'"):format(
        info.namewhat ~= "" and info.namewhat or "function", info.name) or
        ("in the function at line %d"):format(info.linedefined)
    return ("    %s:%d: %s"):format(info.short_src, info.currentline, name)
end

--- A message handler for xpcall: gives {message=, trace=}, the trace with the script's own lines only.
function errors.handler(err)
    local lines = {}
    for level = 2, 200 do
        local info = debug.getinfo(level, "Sln")
        if not info then break end
        if is_script(info) and info.currentline > 0 then lines[#lines + 1] = describe(info) end
    end
    return { message = err, trace = table.concat(lines, "\n") }
end

local Problem = {}

--- Raises `why` for errors.try(): an expected problem, in words for people.
function errors.problem(why) error(setmetatable({ why = why }, Problem), 0) end

local function words(err)
    if getmetatable(err) == Problem then return err.why end
    return err
end

--- Calls fn(...). Returns true and its values; or false and why it ended: the words of a problem, or the error.
function errors.try(fn, ...) return xpcall(fn, words, ...) end

return errors
