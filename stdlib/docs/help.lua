-- SPDX-License-Identifier: MIT
-- Documentation for people at a terminal: help(x), and `qemunet help NAME`.

local class = require "qemunet.class"
local core = require "qemunet.core"
local inspect = require "qemunet.inspect"
local library = require "qemunet.docs.library"
local options = require "qemunet.options"
local subjects = require "qemunet.docs.subjects"
local text = require "qemunet.text"
local words = require "qemunet.docs.words"

local help = {}

local WIDTH = 100

-- Text --------------------------------------------------------------------------------------------------------------------

-- Lines of at most WIDTH columns, all but the first behind `indent` blanks.
local function wrap(said, indent)
    local lines, line = {}, ""
    for word in said:gmatch("%S+") do
        if line ~= "" and indent + text.width(line) + 1 + text.width(word) > WIDTH then
            lines[#lines + 1], line = line, ""
        end
        line = line == "" and word or line .. " " .. word
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n" .. (" "):rep(indent))
end

-- { { "name", "text" }, ... } below a title, the texts one below the other.
local function add_list(out, title, rows)
    if #rows == 0 then return end
    out[#out + 1] = title
    local width = 0
    for _, row in ipairs(rows) do width = math.max(width, math.min(#row[1], 20)) end
    for _, row in ipairs(rows) do
        out[#out + 1] = ("  %s  %s"):format(row[1] .. (" "):rep(width - #row[1]), wrap(row[2], width + 4))
    end
end

local function pairs_of(list)
    local rows = {}
    for i, doc in ipairs(list) do rows[i] = { doc.name, doc.text } end
    return rows
end

local function option_rows(entry)
    local rows = {}
    for i, row in ipairs(words.options(entry)) do rows[i] = { row[1], ("%s [%s]"):format(row[3], row[2]) } end
    return rows
end

local function field_rows(entry)
    local rows = {}
    for i, doc in ipairs(entry.fields) do rows[i] = { doc.name, ("%s [%s]"):format(doc.text, doc.type) } end
    return rows
end

local function add_examples(out, entry)
    for _, example in ipairs(entry.examples) do
        out[#out + 1] = "example:"
        for _, line in ipairs(example.lines) do out[#out + 1] = "  " .. line end
    end
end

local function add_text(out, entry)
    for _, paragraph in ipairs(words.paragraphs(entry)) do
        out[#out + 1] = paragraph.text and wrap(paragraph.text, 0) or table.concat(paragraph.lines, "\n")
    end
end

-- Names and their first sentences, of entries.
local function summary_rows(entries)
    local rows = {}
    for i, entry in ipairs(entries) do rows[i] = { entry.name, words.summary(entry) } end
    return rows
end

local function methods_of(name)
    local list = {}
    for _, method in ipairs(class.all[name] and library.methods(name) or {}) do
        if method.entry and not method.internal then list[#list + 1] = method.entry end
    end
    return list
end

local function functions_of(name)
    local list, value = {}, rawget(package.loaded.qemunet or {}, name)
    if not library.is_library(name) or type(value) ~= "table" then return list end
    for _, field in ipairs(inspect.keys(value)) do list[#list + 1] = library.find(("%s.%s"):format(name, field)) end
    return list
end

--- What there is to say of an entry, as text.
function help.text(entry)
    local out = { (words.signature(entry)) }
    add_text(out, entry)
    add_list(out, "arguments:", pairs_of(entry.param_docs))
    if entry.kind == "function" then add_list(out, "options:", option_rows(entry)) end
    add_list(out, "fields:", field_rows(entry))
    for _, note in ipairs(entry.returns) do out[#out + 1] = "returns: " .. wrap(note.text, 9) end
    for _, note in ipairs(entry.errors) do out[#out + 1] = "raises: " .. wrap(note.text, 8) end
    if entry.kind == "class" then add_list(out, "methods:", summary_rows(methods_of(entry.name))) end
    if entry.kind == "value" then add_list(out, "functions:", summary_rows(functions_of(entry.name))) end
    add_examples(out, entry)
    return table.concat(out, "\n")
end

-- Finding -----------------------------------------------------------------------------------------------------------------

-- Entries of methods that are called so, each once.
local function methods_named(name)
    local list, seen = {}, {}
    for of in pairs(class.all) do
        for _, entry in ipairs(methods_of(of)) do
            if entry.name:match("[:.](.*)$") == name and not seen[entry] then list[#list + 1], seen[entry] = entry, true end
        end
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
end

-- "vm:run" is a node's.
local function method_of(name)
    local of, method = name:match("^(%l+)[:.](.+)$")
    if not class.all[of or ""] then return nil end
    for _, each in ipairs(library.methods(of)) do
        if each.method == method then return each.entry end
    end
end

local function known_names()
    local known = {}
    for _, binding in ipairs(library.names(package.loaded.qemunet)) do known[binding.name] = true end
    for of in pairs(class.all) do
        known[of] = true
        for _, entry in ipairs(methods_of(of)) do known[entry.name], known[entry.name:match("[:.](.*)$")] = true, true end
    end
    return known
end

--- What a text names: a list of entries ("run" may be the method of several classes), empty and the nearest name when it is
--- unknown.
function help.find(name)
    local entry = library.is_name(name, package.loaded.qemunet) and library.find(name) or method_of(name)
    local about = library.find("class " .. name)
    if entry or about then return { entry or about, entry and about or nil } end
    local list = methods_named(name)
    if #list > 0 then return list end
    return list, options.hint(name, known_names())
end

-- The name under which the language has a value.
local function name_of(value)
    for name, known in pairs(package.loaded.qemunet or {}) do
        if rawequal(known, value) and type(value) ~= "string" then return name end
    end
end

-- What there is to say of a value: a name in text, a function, an object.
local function entries_of(value)
    if type(value) == "string" then return help.find(value) end
    local name = name_of(value)
    local found = name and library.find(name) or type(value) == "function" and library.of_function(value)
    if found then return { found } end
    local of = class.of(value)
    return { of and library.find("class " .. of) }, " (it is none of the language's)"
end

--- All names of the language, by subject, with a line each.
function help.language()
    local out = {}
    for _, subject in ipairs(subjects.LIST) do
        local entries = {}
        for name in subject.names:gmatch("%S+") do
            entries[#entries + 1] = library.find(name)
            for _, entry in ipairs(functions_of(name)) do entries[#entries + 1] = entry end
        end
        add_list(out, (#out > 0 and "\n" or "") .. subject.title .. ":", summary_rows(entries))
        local objects = {}
        for name in subject.classes:gmatch("%S+") do objects[#objects + 1] = name end
        if #objects > 0 then out[#out + 1] = "  objects: " .. table.concat(objects, ", ") end
    end
    return table.concat(out, "\n")
end

--- The documentation of a value, or of what a text names; or nil, and what to say.
function help.about(value)
    local list, hint = entries_of(value)
    if #list == 0 then
        return nil, ("there is no documentation of %s%s"):format(type(value) == "string" and inspect.quote(value, 60) or
            inspect(value, { depth = 0, string = 60 }), hint or "")
    end
    local parts = {}
    for i, entry in ipairs(list) do parts[i] = help.text(entry) end
    return table.concat(parts, "\n\n")
end

--- help(x): prints the documentation of a function, a method, an object, or of a name in text; without one, all names.
-- @param x  as vm, link.set, "link:set", "run", or any object of the language
-- @example terminal
--   help(vm)
--   help("link:set")
function help.help(...)
    if select("#", ...) == 0 then return core.print(help.language() .. "\n") end
    local said, why = help.about((...))
    core.print((said or why) .. "\n")
end

return help
