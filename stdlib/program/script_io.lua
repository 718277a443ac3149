-- SPDX-License-Identifier: MIT
-- The io library of an experiment and the part of os that is about files: reads anywhere, writes in the run's folder (see
-- paths).

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local paths = require "qemunet.paths"
local tasks = require "qemunet.tasks"

local script_io = {}

-- Devices are read with effects; of these there are none that matter.
local HARMLESS = { ["/dev/null"] = true, ["/dev/zero"] = true, ["/dev/full"] = true, ["/dev/random"] = true,
    ["/dev/urandom"] = true, ["/dev/tty"] = true, ["/dev/stdin"] = true }
-- What may be written, beside the run's folder.
local OUTPUTS = { ["/dev/null"] = true, ["/dev/full"] = true, ["/dev/stdout"] = true, ["/dev/stderr"] = true,
    ["/dev/tty"] = true }

local function check_device(path)
    if core.stat(path) ~= "other" then return end
    local real = core.real_path(path) or path
    if not real:find("^/dev/") or real:find("^/dev/pts/") or HARMLESS[path] or HARMLESS[real] then return end
    errors.raise(("io.open: %s is a device of this machine; give --allow-host to use it"):format(path))
end

local function to_read(path)
    local found = paths.readable(path)
    check_device(found)
    return found
end

local function open(path, mode)
    if type(path) ~= "string" then return io.open(path, mode) end -- which says what is wrong
    if mode == nil or type(mode) == "string" and not mode:find("[wa+]") then return io.open(to_read(path), mode) end
    if OUTPUTS[path] then return io.open(path, mode) end
    local real, why = paths.try_writable(path, "io.open")
    if not real then return nil, why, 2 end -- ENOENT
    return io.open(real, mode)
end

local function open_or_raise(path, mode, where)
    local file, why = open(path, mode)
    if not file then errors.raise(("%s: %s"):format(where, why)) end
    return file
end

-- Writes in order with print(), as long as the standard output is meant.
local function write_to(file, ...)
    if file ~= io.stdout then return file:write(...) end
    local parts = table.pack(...)
    for i = 1, parts.n do
        local part = parts[i]
        if type(part) ~= "string" and type(part) ~= "number" then return file:write(...) end -- which says what is wrong
        parts[i] = tostring(part)
    end
    core.print(table.concat(parts, "", 1, parts.n))
    return file
end

-- Waits until the standard input has something to read, or its end: the script stands still, and not all that it runs.
local function await_input()
    local ready = core.future()
    local watch = core.input(function() ready:set() end)
    if not watch then return end
    local open_watch <close> = setmetatable({}, { __close = function() watch:close() end })
    local shown <close> = tasks.show_main("waiting for the standard input")
    core.wait { ready }
end

local methods = debug.getmetatable(io.stdin).__index
local read, read_lines = methods.read, methods.lines

function methods.read(file, ...)
    if file == io.stdin and core.current() then await_input() end
    return read(file, ...)
end

function methods.lines(file, ...)
    if file ~= io.stdin then return read_lines(file, ...) end
    local formats = table.pack(...)
    return function() return file:read(table.unpack(formats, 1, formats.n)) end
end

-- io.lines without a handle to close: the file is closed at its end.
local function lines(path, ...)
    if type(path) ~= "string" then return io.lines(path, ...) end
    return io.lines(to_read(path), ...)
end

-- io.input and io.output: `state[name]` is the file.
local function redirecting(state, name, mode)
    return function(file)
        if file == nil then return state[name] end
        if type(file) == "string" then file = open_or_raise(file, mode, "io." .. name) end
        if io.type(file) ~= "file" then error(("io.%s: want a path or an open file"):format(name), 2) end
        state[name] = file
        return file
    end
end

--- The library. `forbidden`: fn(name, what to do) -> the function that says so.
function script_io.library(forbidden)
    local state = { input = io.stdin, output = io.stdout }
    local library = { stdin = io.stdin, stdout = io.stdout, stderr = io.stderr, type = io.type, tmpfile = io.tmpfile }
    library.open = open
    function library.lines(path, ...)
        if path == nil then return state.input:lines(...) end
        return lines(path, ...)
    end
    function library.read(...) return state.input:read(...) end
    function library.write(...) return write_to(state.output, ...) end
    function library.close(file) return (file or state.output):close() end
    library.input, library.output = redirecting(state, "input", "r"), redirecting(state, "output", "w")
    library.popen = forbidden("io.popen", "run it in a node")
    return library
end

--- os.remove, for a file or link of the run's folder.
function script_io.remove(path)
    local real, why = paths.try_writable(path, "os.remove", true)
    if not real then return nil, why, 2 end
    return os.remove(real)
end

--- os.rename, within the run's folder.
function script_io.rename(from, to)
    local real, why = paths.try_writable(from, "os.rename", true)
    if not real then return nil, why, 2 end
    local target, problem = paths.try_writable(to, "os.rename", true)
    if not target then return nil, problem, 2 end
    return os.rename(real, target)
end

--- os.tmpname: a new, empty file in the run's folder.
function script_io.tmpname()
    local n, path = 0, nil
    repeat
        n = n + 1
        path = paths.writable(("tmp-%d"):format(n), "os.tmpname")
    until not core.stat(path)
    assert(io.open(path, "w")):close()
    return path
end

return script_io
