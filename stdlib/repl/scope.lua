-- SPDX-License-Identifier: MIT
-- What names mean at a prompt: first the variables that were made local there, then the variables of a frame of the script, if
-- the prompt is in one, then the script's globals.

local errors = require "qemunet.errors"

local scope = {}

local Scope = {}
Scope.__index = Scope

-- Of environments made here.
local scopes = setmetatable({}, { __mode = "k" })

local function index(t, key) return t[key] end

-- A global, or the error that there is none, at the script's line.
local function read_global(globals, name)
    local value = rawget(globals, name)
    if value ~= nil then return value end
    local ok, found = pcall(index, globals, name)
    if not ok then errors.raise((tostring(found):gsub("^[^:\n]*:%d+: ", ""))) end
    return found
end

local function read(self, name)
    if self.declared[name] then return self.values[name] end
    if self.frame then
        local found, value = self.frame:get(name)
        if found then return value end
    end
    return read_global(self.globals, name)
end

local function write(self, name, value)
    if self.declared[name] then
        self.values[name] = value
    elseif not self.frame or not self.frame:set(name, value) then
        self.globals[name] = value
    end
end

--- A scope above the table `globals`, in `frame` (see frames) or none. Its field `env` is the environment for what is typed.
function scope.new(globals, frame)
    local self = setmetatable({ globals = globals, frame = frame or false, declared = {}, values = {}, env = false }, Scope)
    self.env = setmetatable({}, {
        __index = function(_, name)
            local value = read(self, name)
            return value -- not a tail call, which would lose a level
        end,
        __newindex = function(_, name, value) write(self, name, value) end,
    })
    scopes[self.env] = self
    return self
end

--- Makes the names local to the scope; until it is set, each is what it was.
function Scope:declare(names)
    for _, name in ipairs(names) do
        if not self.declared[name] then
            local ok, value = pcall(read, self, name)
            self.declared[name], self.values[name] = true, ok and value or nil
        end
    end
end

--- The value of a name, or nil; raises nothing.
function Scope:look_up(name)
    local ok, value = pcall(read, self, name)
    if ok then return value end
end

--- Calls fn(name) for each name that means something here, some of them twice.
function Scope:each_name(fn)
    for name in pairs(self.declared) do fn(name) end
    if self.frame then
        for _, variable in ipairs(self.frame:variables()) do fn(variable.name) end
    end
    local below = scopes[self.globals]
    if below then return below:each_name(fn) end
    for name in next, self.globals do
        if type(name) == "string" then fn(name) end
    end
end

return scope
