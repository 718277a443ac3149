-- SPDX-License-Identifier: MIT
-- Annotations for editors that use the Lua language server: what the documentation says of types, as files of definitions.

local class = require "qemunet.class"
local core = require "qemunet.core"
local library = require "qemunet.docs.library"
local options = require "qemunet.options"
local subjects = require "qemunet.docs.subjects"
local types = require "qemunet.docs.types"
local words = require "qemunet.docs.words"

local annotations = {}

-- The folder of the definitions, below that of the experiments.
local FOLDER = ".luals"

local UNITS = [[
---@meta

--- Seconds as a number, or "200us", "20ms", "1.5s", "2m".
---@alias qemunet.duration number|string
--- Bit/s as a number, or "500kbit", "10mbit", "1gbit".
---@alias qemunet.rate number|string
--- Bytes as a number, or "64K", "256M", "2G".
---@alias qemunet.size integer|string
--- 0.01, or "1%".
---@alias qemunet.fraction number|string
]]

local IS_UNIT = { duration = true, rate = true, size = true, fraction = true }

local function one_line(text) return (text:gsub("%s+", " ")) end

-- The type that a word of ours is.
local function plain_type(word)
    if IS_UNIT[word] then return "qemunet." .. word end
    return word
end

local function result_type(word)
    local found = types.result(word) or "any"
    if type(found) == "string" then return found end
    return "qemunet." .. found.class .. (found.is_list and "[]" or "")
end

local function option_type(spec)
    if spec.choices then
        local shown = {}
        for i, choice in ipairs(spec.choices) do shown[i] = ("%q"):format(choice) end
        return table.concat(shown, "|")
    end
    local list = {}
    for i, kind in ipairs(words.kinds_of(spec)) do list[i] = plain_type(kind) end
    return table.concat(list, "|")
end

-- Calls whose tables hold more than their options: nodes, tasks, faults, values.
local LISTS = { all = true, any = true, sync = true, faults = true }

local function options_class(name) return "qemunet.options." .. name:gsub("[:.]", "_") end

-- The class of a call's options. Those within an option are in its own table: "burst.p".
local function add_options(out, entry)
    if not options.specs[entry.name] then return end
    out[#out + 1] = "\n---@class " .. options_class(entry.name)
    for _, doc in ipairs(library.option_docs(entry)) do
        local spec = library.option_spec(entry.name, doc.name)
        if not doc.name:find(".", 1, true) then
            out[#out + 1] = ("---@field %s%s %s %s"):format(doc.name, spec.required and "" or "?", option_type(spec),
                one_line(doc.text))
        end
    end
    if entry.braces and #entry.params > 0 then out[#out + 1] = "---@field [1]? string the name" end
    if LISTS[entry.name] then out[#out + 1] = "---@field [any] any" end
end

-- Parameters -------------------------------------------------------------------------------------------------------------

local OPTIONAL = { opts = true, timeout = true, msg = true, default = true, init = true, max = true, bins = true, why = true,
    pretty = true, format = true, confidence = true, value = true }

local function doc_of(entry, name)
    for _, doc in ipairs(entry.param_docs) do
        if doc.name == name then return doc.text end
    end
end

local function is_optional(entry, parameter, text)
    if parameter.default or text and text:find("default", 1, true) then return true end
    return OPTIONAL[parameter.name] == true
end

local function parameter_type(entry, name)
    if (name == "opts" or name == "model") and options.specs[entry.name] then return options_class(entry.name) end
    return plain_type(types.parameter(entry, name))
end

local function add_parameters(out, entry)
    for _, parameter in ipairs(entry.params) do
        local name, text = parameter.name, doc_of(entry, parameter.name)
        out[#out + 1] = ("---@param %s%s %s %s"):format(name, is_optional(entry, parameter, text) and name ~= "..." and "?" or "",
            parameter_type(entry, name), one_line(text or ""))
    end
    if entry.braces and #entry.params == 0 then
        out[#out + 1] = "---@param list " .. (options.specs[entry.name] and options_class(entry.name) or "table")
    end
end

local function return_types(entry)
    local list = {}
    for i, word in ipairs(entry.results or {}) do list[i] = result_type(word) end
    return list
end

local function add_text(out, entry)
    for _, line in ipairs(entry.text) do out[#out + 1] = "--- " .. line end
    for _, note in ipairs(entry.errors) do out[#out + 1] = "---\n--- Raises: " .. one_line(note.text) end
    for _, example in ipairs(entry.examples) do
        out[#out + 1] = "---\n--- ```lua\n--- " .. table.concat(example.lines, "\n--- ") .. "\n--- ```"
    end
end

-- "name, opts" of a definition.
local function names_of(entry)
    local list = {}
    for i, parameter in ipairs(entry.params) do list[i] = parameter.name end
    if entry.braces and #list == 0 then list[1] = "list" end
    return table.concat(list, ", ")
end

local function overload(entry)
    local given = options.specs[entry.name] and options_class(entry.name) or "table"
    local results = return_types(entry)
    return ("---@overload fun(opts: %s)%s"):format(given, #results > 0 and ": " .. table.concat(results, ", ") or "")
end

-- A function that is written as `where`.
local function add_function(out, entry, where)
    add_options(out, entry)
    out[#out + 1] = ""
    add_text(out, entry)
    if entry.braces and #entry.params > 0 then out[#out + 1] = overload(entry) end
    add_parameters(out, entry)
    for i, kind in ipairs(return_types(entry)) do
        local note = i == 1 and entry.returns[1]
        out[#out + 1] = ("---@return %s %s"):format(kind, note and "# " .. one_line(note.text) or "")
    end
    out[#out + 1] = ("function %s(%s) end"):format(where, names_of(entry))
end

-- Names ------------------------------------------------------------------------------------------------------------------

local function add_fields(out, entry)
    for _, doc in ipairs(entry.fields) do
        local kind = types.result(doc.type) and result_type(doc.type) or plain_type(doc.type)
        out[#out + 1] = ("---@field %s %s %s"):format(doc.name, kind, one_line(doc.text))
    end
end

local function fun_type(entry)
    local list, results = {}, return_types(entry)
    for i, parameter in ipairs(entry.params) do
        list[i] = parameter.name == "..." and "...: any" or ("%s%s: %s"):format(parameter.name,
            is_optional(entry, parameter, doc_of(entry, parameter.name)) and "?" or "", parameter_type(entry, parameter.name))
    end
    return ("fun(%s)%s"):format(table.concat(list, ", "), #results > 0 and ": " .. table.concat(results, ", ") or "")
end

-- A table of functions, which may be called itself.
local function add_library(out, name, entry, fields)
    if entry.kind == "function" then add_options(out, entry) end
    out[#out + 1] = ""
    add_text(out, entry)
    if entry.kind == "function" then out[#out + 1] = "---@overload " .. fun_type(entry) end
    out[#out + 1] = "---@class qemunet.library." .. name
    add_fields(out, entry)
    out[#out + 1] = name .. " = {}"
    for _, field in ipairs(fields) do
        if field.entry and field.name:find("^" .. name .. "%.") then add_function(out, field.entry, field.name) end
    end
end

-- Values, whose types are classes or tables.
local function add_value(out, name, value, entry)
    local of = class.of(value)
    if not of then return add_library(out, name, entry, {}) end
    out[#out + 1] = ""
    add_text(out, entry)
    out[#out + 1] = ("---@type qemunet.%s|%s"):format(of, fun_type(entry))
    out[#out + 1] = name .. " = nil"
end

local function add_name(out, name, names, fields)
    local entry = library.find(name)
    if not entry then return end
    if library.is_library(name) then return add_library(out, name, entry, fields) end
    if entry.kind == "function" and not class.of(names[name]) then return add_function(out, entry, name) end
    add_value(out, name, names[name], entry)
end

local function add_class(out, name)
    local entry = library.find("class " .. name)
    if not entry then return end
    local known = class.all[name]
    out[#out + 1] = ""
    add_text(out, entry)
    local kinds = {}
    for i, kind in ipairs(known.kinds) do kinds[i] = "qemunet." .. kind end
    out[#out + 1] = ("---@class qemunet.%s%s"):format(name, #kinds > 0 and ": " .. table.concat(kinds, ", ") or "")
    add_fields(out, entry)
    local variable = name .. "_object"
    out[#out + 1] = ("local %s = {}"):format(variable)
    for _, method in ipairs(library.methods(name)) do
        if method.entry and not method.internal and known.methods[method.method] then
            add_function(out, method.entry, ("%s:%s"):format(variable, method.method))
        end
    end
end

--- The files' texts by their names.
function annotations.texts(names)
    local texts, fields = { ["units.lua"] = UNITS }, library.names(names)
    for _, subject in ipairs(subjects.LIST) do
        local out = { "---@meta" }
        for name in subject.names:gmatch("%S+") do add_name(out, name, names, fields) end
        for name in subject.classes:gmatch("%S+") do add_class(out, name) end
        texts[subject.title:lower():gsub(" ", "_") .. ".lua"] = table.concat(out, "\n") .. "\n"
    end
    return texts
end

local SETTINGS = core.json_encode({
    ["runtime.version"] = "Lua 5.4",
    ["workspace.library"] = { FOLDER },
    ["workspace.ignoreDir"] = { "runs" },
}, true) .. "\n"

local function write_file(path, text)
    local file <close>, why = io.open(path, "wb")
    if not file then return nil, why end
    local written, problem = file:write(text)
    if not written or not file:flush() then return nil, ("%s: %s"):format(path, problem or "cannot be written") end
    return true
end

-- Settings that are there are a person's.
local function write_settings(path)
    if not core.stat(path) then return write_file(path, SETTINGS) end
    core.log(0, ("%s is there already: its workspace.library is to name %q"):format(path, FOLDER))
    return true
end

--- Writes the files below a folder, and there the server's settings, unless it has some. Returns the files' folder; nil, why.
function annotations.write(folder, names)
    local below = folder .. "/" .. FOLDER
    local made, problem = core.make_folder(below)
    if made then made, problem = core.chmod(below, tonumber("755", 8)) end
    if not made then return nil, ("%s: %s"):format(below, problem) end
    for name, text in pairs(annotations.texts(names)) do
        local ok, why = write_file(below .. "/" .. name, text)
        if not ok then return nil, why end
    end
    local ok, why = write_settings(folder .. "/.luarc.json")
    if not ok then return nil, why end
    return below
end

return annotations
