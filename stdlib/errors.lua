-- SPDX-License-Identifier: MIT
-- How errors find the script's line, and which of them are the machinery's rather than the experiment's.

local core = require "qemunet.core"
local inspect = require "qemunet.inspect"

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

-- What Lua says, and no more.
local NO_MEMORY = "not enough memory"

--- The text of an error of any type; whatever its metamethods do, it raises nothing.
function errors.text(err)
    if err == NO_MEMORY then return NO_MEMORY .. ": what a script holds may take a quarter of this machine's" end
    return type(err) == "string" and err or type(err) == "number" and tostring(err) or inspect(err)
end

--- Where a frame of the stack is, as a line of a trace. `info`: of debug.getinfo, with "Sln".
function errors.describe(info)
    local name = info.what == "main" and "in the file's main part" or info.name and ("in %s '%s'"):format(
        info.namewhat ~= "" and info.namewhat or "function", info.name) or
        ("in the function at line %d"):format(info.linedefined)
    return ("    %s:%d: %s"):format(info.short_src, info.currentline, name)
end

local function loaded(ok, chunk, why)
    if not ok then errors.raise(chunk) end
    return chunk, why
end

--- As Lua's load. What is wrong with a chunk is a text always: a stack that overflows in Lua's parser, for one, would be given
--- to the handler around it.
function errors.load(...) return loaded(pcall(load, ...)) end

--- Raises `err`, which was caught, as it is.
function errors.again(err) error(err, 0) end

-- More lines are those of a function that calls itself.
local MOST_LINES = 20

-- The script's own lines of the stack, innermost first.
local function script_trace(from)
    local lines = {}
    for level = from, 200 do
        local info = debug.getinfo(level, "Sln")
        if not info then break end
        if is_script(info) and info.currentline > 0 then lines[#lines + 1] = errors.describe(info) end
        if #lines > MOST_LINES then
            lines[#lines] = "    ..."
            break
        end
    end
    return table.concat(lines, "\n")
end

-- Origins ----------------------------------------------------------------------------------------------------------------
-- Where a task was started: { trace =, where = its first line, "file:line", parent = origin of the task that started it,
-- depth =, children = weak }. The tasks of one place share one.

-- Ancestors that are told of; a chain of tasks that start each other has no end.
local GENERATIONS = 4

local orphans = setmetatable({}, { __mode = "v" })

--- The origin of a task that is started here, by a task of origin `parent` (nil: by none).
function errors.origin(parent)
    if parent and parent.depth == GENERATIONS then parent = nil end
    local siblings, place = parent and parent.children or orphans, core.place()
    local origin = siblings[place]
    if not origin then
        local trace = script_trace(3)
        origin = { trace = trace, where = trace:match("^%s*(.-:%d+):") or "", parent = parent,
            depth = parent and parent.depth + 1 or 1, children = setmetatable({}, { __mode = "v" }) }
        siblings[place] = origin
    end
    return origin
end

-- The trace of a task's failure, and behind it where the task was started, and the one that started it.
local function full_trace(trace, origin)
    local parts = { trace ~= "" and trace or nil }
    while origin do
        if origin.trace ~= "" then parts[#parts + 1] = "  in a task started at:\n" .. origin.trace end
        origin = origin.parent
    end
    return table.concat(parts, "\n")
end

--- What an xpcall with errors.handler gave, as a failure: of some errors, such as that memory is short, Lua gives the bare text.
function errors.failure(given) return type(given) == "table" and given or { message = given, trace = "" } end

--- The failure of a task, with its origin in the trace.
function errors.in_task(given, origin)
    local failure = errors.failure(given)
    return { message = failure.message, trace = full_trace(failure.trace, origin), frames = failure.frames }
end

-- Errors that were carried from a task to another, the last few: { failure =, task = where it was raised again }.
local carried, KEPT = {}, 16

--- Raises the message of a task's failure in another task. What handles it there knows its trace still.
function errors.carry(failure)
    if #carried == KEPT then table.remove(carried, 1) end
    carried[#carried + 1] = { failure = failure, task = core.current() }
    error(failure.message, 0)
end

-- The failure that was raised again as `err` in this task. In another, an equal text is an error of its own.
local function find_carried(err)
    local task = core.current()
    for i = #carried, 1, -1 do
        local each = carried[i]
        if each.task == task and rawequal(each.failure.message, err) then return each.failure end
    end
end

--- Called where an error that ends a task was raised, with the level of the first frame that may be the script's, counted in
--- the caller. What it returns is the failure's field `frames`.
errors.look = function() end

--- A message handler for xpcall: gives {message=, trace=, frames=}, the trace with the script's own lines only.
function errors.handler(err)
    local trace, before = script_trace(3), find_carried(err)
    if before then
        return { message = err, trace = before.trace .. "\n  joined at:\n" .. trace, frames = before.frames }
    end
    local seen = errors.look(2)
    return { message = err, trace = trace, frames = seen }
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
