-- SPDX-License-Identifier: MIT
-- Classes of the language's objects: what an object does not have is an error at the script's line.

local errors = require "qemunet.errors"
local options = require "qemunet.options"

local class = {}

--- The classes of the language, for its documentation, by their names in it: { methods, meta, kinds= the classes whose methods
--- they have too }.
class.all = {}

--- Makes a class known whose metatable is made elsewhere.
function class.register(name, methods, meta, ...)
    class.all[name] = { methods = methods, meta = meta, kinds = { ... } }
    return meta
end

--- The name of the class of a value; nil for what is none of the language's objects.
function class.of(v)
    local meta = debug.getmetatable(v)
    for name, entry in pairs(class.all) do
        if meta ~= nil and entry.meta == meta then return name end
    end
end

--- Whether a value is one of the language's objects and has that method.
function class.has(v, method)
    local entry = class.all[class.of(v)]
    return entry ~= nil and entry.methods[method] ~= nil
end

--- class.new(name, methods, known_as) -> metatable of objects with these methods, and with the values in `methods` of fields
--- that an object has not set. `known_as`: its name in the documentation, if that is another.
function class.new(name, methods, known_as)
    local self = { __name = name }
    class.register(known_as or name, methods, self)
    function self.__index(_, key)
        local value = methods[key]
        if value ~= nil then return value end
        errors.raise(("%s %s has no field or method %q%s"):format(name:find("^[aeiou]") and "an" or "a", name, tostring(key),
            options.hint(key, methods)))
    end
    return self
end

--- Raises unless `self` is an object of the class `of`: what calls this, the method of that name, was called without its
--- colon.
function class.check(self, of, method)
    errors.check_colon(getmetatable(self) == of, method, of.__name)
end

return class
