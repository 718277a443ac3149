-- SPDX-License-Identifier: MIT
-- Classes of the language's objects: what an object does not have is an error at the script's line.

local errors = require "qemunet.errors"
local options = require "qemunet.options"

local class = {}

--- class.new(name, methods) -> metatable of objects with these methods, and with the values in `methods` of fields that an
--- object has not set.
function class.new(name, methods)
    local self = { __name = name }
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
