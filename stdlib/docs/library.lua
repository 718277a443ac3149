-- SPDX-License-Identifier: MIT
-- The documentation of the language: each of its names, with the comment that stands beside it in the library.

local class = require "qemunet.class"
local core = require "qemunet.core"
local options = require "qemunet.options"
local parse = require "qemunet.docs.parse"
local subjects = require "qemunet.docs.subjects"

local library = {}

local FOLDER = os.getenv("QEMUNET_STDLIB")

-- The texts of the library's files by their names: those that are compiled in, or those of the folder that takes their place.
local function sources()
    local texts = core.sources()
    for name in pairs(FOLDER and texts or {}) do
        local file <close> = io.open(FOLDER .. "/" .. name, "rb")
        texts[name] = file and file:read("a") or ""
    end
    return texts
end

-- { by_name=, by_place= } of all comments; "file:line" is a place.
local function read_all()
    local found = { by_name = {}, by_place = {} }
    for file, text in pairs(sources()) do
        for _, entry in ipairs(parse.source(text, file)) do
            local key = entry.kind == "class" and "class " .. entry.name or entry.name
            local before = found.by_name[key]
            if before then entry.problems[#entry.problems + 1] = ("%s is documented in %s too"):format(key, before.file) end
            found.by_name[key] = entry
            found.by_place[("%s:%d"):format(file, entry.defined)] = entry
        end
    end
    return found
end

local all

local function read()
    all = all or read_all()
    return all
end

--- What is documented under a name ("vm", "stats.mean", "node:run", "class link"); nil for none.
function library.find(name) return read().by_name[name] end

--- The documentation of a function: of the comment that stands above its definition.
local function beside(fn)
    local info = debug.getinfo(fn, "S")
    local file = info.source:match("^@stdlib/(.*)$") or FOLDER and info.source:sub(2, #FOLDER + 1) == FOLDER and
        info.source:sub(#FOLDER + 3)
    return file and read().by_place[("%s:%d"):format(file, info.linedefined)]
end

library.of_function = beside

-- A method of a class, found at its definition: classes that are alike have some in common.
local function add_method(list, class_name, name, value)
    local entry = type(value) == "function" and beside(value)
    local own = library.find(class_name .. ":" .. name)
    list[#list + 1] = { name = class_name .. ":" .. name, class = class_name, method = name, value = value,
        entry = own or entry, internal = subjects.internal({ class_name, table.unpack(class.all[class_name].kinds) }, name) }
end

--- The methods of a class, its kinds' included: { { name= "vm:run", class=, method=, value=, entry= or nil, internal= why it is
--- the library's own, or nil } }, by name.
function library.methods(class_name)
    local list, seen = {}, {}
    local function add(of)
        local known = class.all[of]
        for name, value in pairs(known.methods) do
            if type(value) == "function" and name:sub(1, 2) ~= "__" and not seen[name] then
                seen[name] = true
                add_method(list, class_name, name, value)
            end
        end
        for _, kind in ipairs(known.kinds) do add(kind) end
    end
    add(class_name)
    table.sort(list, function(a, b) return a.method < b.method end)
    return list
end

--- The documented fields of a class, its kinds' included: { { name=, type=, text= } }.
function library.fields(class_name)
    local entry, list = library.find("class " .. class_name), {}
    if entry then table.move(entry.fields, 1, #entry.fields, 1, list) end
    for _, kind in ipairs(class.all[class_name].kinds) do
        local more = library.fields(kind)
        table.move(more, 1, #more, #list + 1, list)
    end
    return list
end

-- Tables of the language whose fields are names of it.
local LIBRARIES = { stats = true, re = true, json = true, csv = true, check = true, topology = true }

--- Whether it is a name of the language, or of a function of one of its libraries.
function library.is_name(name, names)
    local of, field = name:match("^(%l+)%.(.+)$")
    if not of then return rawget(names, name) ~= nil end
    return LIBRARIES[of] == true and rawget(names[of], field) ~= nil
end

--- Whether the name is a table of functions.
function library.is_library(name) return LIBRARIES[name] == true end

local function add_fields(list, name, value)
    for field, each in pairs(value) do
        if type(each) == "function" then
            list[#list + 1] = { name = name .. "." .. field, value = each, entry = library.find(name .. "." .. field) }
        end
    end
end

--- The names of the language, with those of its libraries: { { name=, value=, entry= or nil } }, by name. `names`: see
--- language.names.
function library.names(names)
    local list = {}
    for name, value in pairs(names) do
        list[#list + 1] = { name = name, value = value, entry = library.find(name) }
        if LIBRARIES[name] then add_fields(list, name, value) end
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
end

-- Options --------------------------------------------------------------------------------------------------------------

-- Of the sets, what the call takes and what is not documented yet.
local function add_option_docs(entry, call, into)
    for _, doc in ipairs(entry.option_docs) do
        if not into[doc.name] and (entry.name == call or library.option_spec(call, doc.name)) then
            into[#into + 1], into[doc.name] = doc, true
        end
    end
    for _, name in ipairs(entry.option_sets) do
        local other = library.find(name)
        if other then add_option_docs(other, call, into) end
    end
end

--- The documented options of a call: { { name=, text= } }, those of its sets behind its own.
function library.option_docs(entry)
    local list = {}
    add_option_docs(entry, entry.name, list)
    return list
end

--- The specification of an option, "delay" or "burst.p"; nil when the call has none such.
function library.option_spec(call, name)
    local spec, entry = options.specs[call], nil
    for part in name:gmatch("[^.]+") do
        entry = spec and spec[part]
        spec = entry and entry.of
    end
    return entry
end

return library
