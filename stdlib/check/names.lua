-- SPDX-License-Identifier: MIT
-- What is known of the names in a source: which documented call an expression is, and of which class its value.

local class = require "qemunet.class"
local library = require "qemunet.docs.library"
local types = require "qemunet.docs.types"

local names = {}

-- Evident types are not looked for behind more steps than this.
local FARTHEST = 50

local Names = {}
Names.__index = Names

--- `language`: see language.names. What a source takes the place of is in `assigned`, {[global]=true}.
function names.new(language)
    return setmetatable({ language = language, methods_of = {}, assigned = {} }, Names)
end

local function add_methods(into, of)
    for _, method in ipairs(library.methods(of)) do into[method.method] = method.entry or false end
    local about = library.find("class " .. of)
    for _, field in ipairs(about and about.fields or {}) do into[field.name] = into[field.name] or false end
end

-- Whether objects of a class may be of another: each vm is a node.
local function is_kind(of, another)
    for _, kind in ipairs(class.all[another].kinds) do
        if kind == of then return true end
    end
    return false
end

--- What objects of a class may have: {[method]= its entry, or false for what has none, fields included}.
function Names:methods(of)
    local known = self.methods_of[of]
    if known then return known end
    known = {}
    add_methods(known, of)
    for another in pairs(class.all) do
        if is_kind(of, another) then
            for name, entry in pairs(self:methods(another)) do known[name] = known[name] or entry end
        end
    end
    self.methods_of[of] = known
    return known
end

-- The name of a library's function ("stats.mean"), of a table of the language.
local function library_name(node)
    if node.kind ~= "index" or node.object.kind ~= "global" or type(node.key) ~= "string" then return nil end
    return ("%s.%s"):format(node.object.name, node.key)
end

--- The documentation of what a call calls; nil when that is not evident.
function Names:entry(call, depth)
    if call.kind == "method" then
        local of = self:class_of(call.object, depth)
        return of and self:methods(of)[call.name] or nil
    end
    local callee = call.callee
    if callee.kind == "global" then
        local is_ours = rawget(self.language, callee.name) ~= nil and not self.assigned[callee.name]
        return is_ours and library.find(callee.name) or nil
    end
    local name = library_name(callee)
    if name and library.is_library(callee.object.name) then return library.find(name) end
end

-- The type of value number `place` of a call: see types.result.
local function result_type(self, call, place, depth)
    local entry = self:entry(call, depth)
    local word = entry and entry.results and entry.results[place]
    return word and types.result(word)
end

local function field_type(of, key)
    local about = library.find("class " .. of)
    for _, field in ipairs(about and about.fields or {}) do
        if field.name == key then return types.result(field.type) end
    end
end

local function index_type(self, node, depth)
    local of = self:type_of(node.object, 1, depth)
    if type(of) ~= "table" then return nil end
    if not of.is_list then return type(node.key) == "string" and field_type(of.class, node.key) or nil end
    if type(node.key) ~= "string" then return { class = of.class } end
end

local function element_type(self, node, depth)
    local of = node.list and self:type_of(node.list, 1, depth)
    if type(of) == "table" and of.is_list then return { class = of.class } end
end

local TYPE_OF = {
    call = result_type,
    method = result_type,
    index = function(self, node, _, depth) return index_type(self, node, depth) end,
    element = function(self, node, _, depth) return element_type(self, node, depth) end,
    ["local"] = function(self, node, _, depth)
        local variable = node.variable
        if variable.assigned or not variable.init then return nil end
        return self:type_of(variable.init, variable.place, depth)
    end,
    global = function(self, node)
        local of = class.of(rawget(self.language, node.name))
        return of and not self.assigned[node.name] and { class = of } or nil
    end,
}

--- The type of value number `place` of an expression: see types.result; nil when it is not evident.
function Names:type_of(node, place, depth)
    depth = (depth or 0) + 1
    local rule = TYPE_OF[node.kind]
    if not rule or depth > FARTHEST then return nil end
    local found = place == 1 and node.found or rule(self, node, place, depth)
    if place == 1 then node.found = found end
    return found
end

--- The class of the object that an expression gives; nil when that is not evident.
function Names:class_of(node, depth)
    local found = self:type_of(node, 1, depth)
    return type(found) == "table" and not found.is_list and found.class or nil
end

return names
