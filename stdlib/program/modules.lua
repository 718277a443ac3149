-- SPDX-License-Identifier: MIT
-- require and package of an experiment. Modules are looked for beside the file first; they see the names that the file sees.

local errors = require "qemunet.errors"
local paths = require "qemunet.paths"

local modules = {}

--- The text of a script, without a byte order mark and the line that names its interpreter; or nil and why there is none.
function modules.read_text(path)
    local file, why = io.open(path, "rb")
    if not file then return nil, why end
    local text = file:read("a")
    file:close()
    if not text then return nil, "cannot read " .. path end
    return (text:gsub("^\u{FEFF}", ""):gsub("^#[^\n]*", ""))
end

local function read_chunk(path, env)
    local text, why = modules.read_text(path)
    if not text then return nil, why end
    return errors.load(text, "@" .. path, "t", env)
end

modules.read_chunk = read_chunk

-- Raises an error at the script's line.
local function fail(...) errors.raise((...):format(select(2, ...))) end

local function run_module(name, path, env, state)
    local chunk, why = read_chunk(path, env)
    if not chunk then fail("error loading module '%s':\n\t%s", name, why) end
    table.insert(state.chain, name)
    state.loading[name] = true
    local done <close> = setmetatable({}, { __close = function()
        state.loading[name] = nil
        table.remove(state.chain)
    end })
    local value = chunk(name, path)
    return value
end

local INTERNAL = [[require "%s": the library's own modules are not for experiments (require "qemunet" gives the names); ]] ..
    "give --allow-host to use them"

local function is_internal(name) return name:find("^qemunet%.") ~= nil end

local function not_found(name, tried)
    local native = package.searchpath(name, package.cpath)
    local note = native and ("\n\t%s is a C module, which needs --allow-host"):format(native) or ""
    fail("module '%s' not found:\n\tnothing in package.preload%s%s", name, tried:gsub("^%s*", "\n\t"), note)
end

-- Where it is: beside the file only, when Lua's own require is there for the rest.
local function search(name, own, beside)
    local where = paths.is_allowed() and beside or own.path
    if type(where) ~= "string" then fail("package.path must be a string") end
    return package.searchpath(name, where)
end

--- The require and the package table of a script in `folder`, whose globals `env` are. `loaded`: what is there already.
--- `forbidden`: fn(name, what to do) -> the function that says so.
function modules.new(env, folder, loaded, forbidden)
    local beside = ("%s/?.lua;%s/?/init.lua"):format(folder, folder)
    local state = { loading = {}, chain = {} }
    local own = { path = beside .. ";" .. package.path, cpath = "", config = package.config, loaded = loaded, preload = {},
        searchpath = package.searchpath, loadlib = forbidden("package.loadlib", "C libraries are the machine's own code") }

    local function find(name)
        if own.preload[name] then
            local value = own.preload[name](name, ":preload:")
            return value, ":preload:"
        end
        if is_internal(name) and not paths.is_allowed() then fail(INTERNAL, name) end
        local path, tried = search(name, own, beside)
        if path then
            local value = run_module(name, path, env, state)
            return value, path
        end
        if not paths.is_allowed() then not_found(name, tried) end
        return require(name)
    end

    local function own_require(name)
        if type(name) ~= "string" then fail "require: want the name of a module" end
        if loaded[name] ~= nil then return loaded[name] end
        if state.loading[name] then
            fail("circular require: %s -> %s", table.concat(state.chain, " -> "), name)
        end
        local value, from = find(name)
        if loaded[name] == nil then loaded[name] = value == nil and true or value end
        return loaded[name], from
    end
    return own_require, own
end

return modules
