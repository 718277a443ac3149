-- SPDX-License-Identifier: MIT
-- The script's frames of a stack: where each is, and its variables, to be read and set: those of a coroutine that waits, and
-- copies of those of one that has failed.

local errors = require "qemunet.errors"

local frames = {}

local MOST = 200

-- Variables ----------------------------------------------------------------------------------------------------------

-- Names such as "(temporary)" are Lua's own.
local function is_named(name) return name:find("^[%a_]") ~= nil end

-- The local variables in scope, outermost first: {name=, value=, place=}. `get`: fn(place) -> name, value.
local function list_locals(get)
    local list, i = {}, 1
    while true do
        local name, value = get(i)
        if not name then return list end
        if is_named(name) then list[#list + 1] = { name = name, value = value, place = i } end
        i = i + 1
    end
end

local function find_last(list, name)
    for i = #list, 1, -1 do
        if list[i].name == name then return list[i] end
    end
end

local function upvalues(fn)
    local list = list_locals(function(i) return debug.getupvalue(fn, i) end)
    for i = #list, 1, -1 do
        if list[i].name == "_ENV" then table.remove(list, i) end
    end
    return list
end

local Frame = {}
Frame.__index = Frame

--- frame:get(name) -> whether the frame has the variable, its value.
function Frame:get(name)
    local found = find_last(self:locals(), name) or find_last(upvalues(self.fn), name)
    if found then return true, found.value end
    return false
end

--- frame:set(name, value) -> whether the frame has the variable, which now has the value.
function Frame:set(name, value)
    local own = find_last(self:locals(), name)
    if own then
        self:set_local(own, value)
        return true
    end
    local outer = find_last(upvalues(self.fn), name)
    if outer then debug.setupvalue(self.fn, outer.place, value) end
    return outer ~= nil
end

--- frame:variables() -> list of {name=, value=}: its own, then those of the functions around it.
function Frame:variables()
    local list = self:locals()
    return table.move(upvalues(self.fn), 1, #upvalues(self.fn), #list + 1, list)
end

--- The globals that the frame's function sees; nil when it uses none.
function Frame:globals()
    for i = 1, 255 do
        local name, value = debug.getupvalue(self.fn, i)
        if not name then return nil end
        if name == "_ENV" then return value end
    end
end

-- Frames of a coroutine that waits -----------------------------------------------------------------------------------

-- The stack above a frame changes while the coroutine reads lines and evaluates them; its distance from the bottom does not.
local function depth(co)
    local n = 0
    while debug.getinfo(co, n, "l") do n = n + 1 end
    return n
end

local function level_of(self) return depth(self.co) - self.height end

local function live_locals(self)
    local level = level_of(self)
    return list_locals(function(i) return debug.getlocal(self.co, level, i) end)
end

local function set_live(self, variable, value) debug.setlocal(self.co, level_of(self), variable.place, value) end

-- Frames that are gone -----------------------------------------------------------------------------------------------

local function kept_locals(self) return self.kept end
local function set_kept(_, variable, value) variable.value = value end

-- -------------------------------------------------------------------------------------------------------------------

local function is_script(info) return info.what ~= "C" and info.currentline > 0 and not errors.is_library(info.source) end

local function new(info, fields)
    fields.fn, fields.line, fields.file, fields.where = info.func, info.currentline, info.short_src, errors.describe(info)
    return setmetatable(fields, Frame)
end

--- The script's frames of the coroutine that calls, innermost first. They are of use while it waits.
function frames.live()
    local co, list = coroutine.running(), {}
    local whole = depth(co) - 1 -- without that of depth itself
    for level = 0, math.min(whole, MOST) do
        local info = debug.getinfo(co, level, "Slnf")
        if info and is_script(info) then
            list[#list + 1] = new(info, { co = co, height = whole - level, locals = live_locals, set_local = set_live })
        end
    end
    return list
end

--- What the script's frames hold now, innermost first, to be looked at when they are gone.
-- @param from  the level of the first, counted as debug.getinfo does in the caller
function frames.copy(from)
    local list = {}
    for level = from + 1, MOST do
        local info = debug.getinfo(level, "Slnf")
        if not info then break end
        if is_script(info) then
            local kept = list_locals(function(i) return debug.getlocal(level + 2, i) end)
            list[#list + 1] = new(info, { kept = kept, locals = kept_locals, set_local = set_kept })
        end
    end
    return list
end

return frames
