-- SPDX-License-Identifier: MIT
-- What an experiment finds of Lua: its own copy of each library, without what would reach this machine (commands, files
-- outside the run's folder, C code) or into the library of the language (its globals, metatables, local variables). With
-- --allow-host all is Lua's own.

local coroutines = require "qemunet.coroutines"
local errors = require "qemunet.errors"
local modules = require "qemunet.program.modules"
local paths = require "qemunet.paths"
local script_io = require "qemunet.program.script_io"

local sandbox = {}

--- See paths.
sandbox.writable, sandbox.readable = paths.writable, paths.readable

local function forbidden(name, instead)
    return function()
        paths.check_allowed(name, instead)
        error(name .. " is not there", 2)
    end
end

local function copy(library)
    local own = {}
    for name, value in pairs(library) do own[name] = value end
    return own
end

-- Plain functions of Lua that know of nothing but their arguments.
local PLAIN = { "assert", "error", "ipairs", "next", "pairs", "rawequal", "rawget", "rawlen", "rawset", "select", "tonumber",
    "tostring", "type", "warn", "_VERSION" }

-- Metatables ---------------------------------------------------------------------------------------------------------

-- A script gets at the metatables that it has set itself. Those of the library's objects, of strings and of files would let it
-- take the place of methods.
local function add_metatables(env)
    local own = setmetatable({}, { __mode = "k" })
    function env.getmetatable(v)
        local meta = debug.getmetatable(v)
        if meta == nil or own[meta] then return getmetatable(v) end
        return rawget(meta, "__name") or false
    end
    function env.setmetatable(t, meta)
        local before = type(t) == "table" and debug.getmetatable(t)
        if before and not own[before] and t ~= env then error("cannot change a protected metatable", 2) end
        if type(meta) == "table" then own[meta] = true end
        if type(t) ~= "table" or meta ~= nil and type(meta) ~= "table" then return setmetatable(t, meta) end
        if before and t ~= env and rawget(before, "__metatable") ~= nil then
            error("cannot change a protected metatable", 2)
        end
        return debug.setmetatable(t, meta)
    end
end

-- Code ---------------------------------------------------------------------------------------------------------------

local function check_mode(mode, where)
    if mode == nil or type(mode) == "string" and mode:find("t", 1, true) then return end
    error(where .. ": only the text of a chunk can be loaded", 3)
end

-- Precompiled code is not checked by Lua, and can do anything.
local function add_loaders(env)
    function env.load(chunk, name, mode, ...)
        check_mode(mode, "load")
        local globals = env
        if select("#", ...) > 0 then globals = (...) end
        return errors.load(chunk, name, "t", globals)
    end
    function env.loadfile(path, mode, ...)
        check_mode(mode, "loadfile")
        local globals = env
        if select("#", ...) > 0 then globals = (...) end
        if type(path) ~= "string" then error("loadfile: want the path of a file", 2) end
        return modules.read_chunk(paths.readable(path), globals)
    end
    function env.dofile(path)
        local chunk, why = env.loadfile(path)
        if not chunk then error(why, 2) end
        return chunk()
    end
end

-- Coroutines: a task is not for a script to resume or close.
local function guard_tasks(library)
    local own = setmetatable({}, { __mode = "k" })
    local create, resume, close = library.create, library.resume, library.close
    function library.create(fn)
        local co = create(fn)
        own[co] = true
        return co
    end
    function library.resume(co, ...)
        if type(co) == "thread" and not own[co] then return false, "cannot resume a task" end
        return resume(co, ...)
    end
    function library.close(co)
        if type(co) == "thread" and not own[co] then error("cannot close a task", 2) end
        return close(co)
    end
end

-- Libraries ----------------------------------------------------------------------------------------------------------

local function allow_only(name, fn, choices)
    return function(what, ...)
        if not choices[what or choices.default] then
            error(("%s: %q is not for an experiment"):format(name, tostring(what)), 2)
        end
        return fn(what, ...)
    end
end

local COLLECTOR = { default = "collect", collect = true, count = true, step = true, isrunning = true, incremental = true,
    generational = true }

local function own_os()
    return {
        time = os.time, clock = os.clock, date = os.date, difftime = os.difftime, getenv = os.getenv,
        remove = script_io.remove, rename = script_io.rename, tmpname = script_io.tmpname,
        execute = forbidden("os.execute", "run it in a node"),
        setlocale = function(locale, category)
            if locale ~= nil and locale ~= "C" then error("os.setlocale: the language needs the locale \"C\"", 2) end
            return os.setlocale(nil, category)
        end,
    }
end

local NO_DEBUG = { "debug", "gethook", "getlocal", "getmetatable", "getregistry", "getupvalue", "getuservalue", "sethook",
    "setlocal", "setmetatable", "setupvalue", "setuservalue", "upvalueid", "upvaluejoin", "setcstacklimit" }

-- debug.getinfo without the functions themselves, which may be the library's. A level counts from the caller.
local function getinfo(first, second, third)
    local thread = type(first) == "thread" and first or nil
    if not thread then first, second, third = nil, first, second end
    if third ~= nil and type(third) ~= "string" then error("debug.getinfo: want letters", 2) end
    local what = (third or "nSltur"):gsub("[fL>]", "")
    if thread then return debug.getinfo(thread, second, what) end
    local level = math.type(second) == "integer" and second >= 0 and second + 1 or second
    local info = debug.getinfo(level, what)
    return info
end

local function own_debug()
    local library = { traceback = debug.traceback, getinfo = getinfo }
    for _, name in ipairs(NO_DEBUG) do
        library[name] = forbidden("debug." .. name, "an experiment does not look into the library")
    end
    return library
end

-- Methods of strings that a script defines are found after Lua's own. The library's strings have them too, and no harm done.
local own_strings = { __index = nil }
local dump = string.dump
setmetatable(string, own_strings)

local function own_string()
    string.dump = nil
    local library = copy(string)
    own_strings.__index = library
    library.dump = forbidden("string.dump", "there is no precompiled code in experiments")
    return library
end

local function confined(env)
    for _, name in ipairs(PLAIN) do env[name] = _G[name] end
    env.string, env.table, env.math, env.utf8 = own_string(), copy(table), copy(math), copy(utf8)
    env.os, env.io, env.debug = own_os(), script_io.library(forbidden), own_debug()
    env.collectgarbage = allow_only("collectgarbage", collectgarbage, COLLECTOR)
    coroutines.install(env)
    guard_tasks(env.coroutine)
    add_metatables(env)
    add_loaders(env)
end

local function unconfined(env)
    string.dump, own_strings.__index = dump, nil
    for name, value in pairs(_G) do env[name] = value end
    coroutines.install(env)
end

-- What require gives without looking for it.
local function loaded_at_first(env, names)
    local loaded = { _G = env, qemunet = names }
    for _, name in ipairs { "string", "table", "math", "utf8", "os", "io", "debug", "coroutine" } do loaded[name] = env[name] end
    return loaded
end

--- The globals of a script in `folder`: what it may have of Lua, and `names`, those of the language.
function sandbox.environment(names, folder)
    local env = {}
    if paths.is_allowed() then unconfined(env) else confined(env) end
    local own_require, own_package = modules.new(env, folder, loaded_at_first(env, names), forbidden)
    env.require = own_require
    if not paths.is_allowed() then env.package = own_package end
    for name, value in pairs(names) do env[name] = value end
    env._G = env
    return env
end

return sandbox
