-- SPDX-License-Identifier: MIT
-- The reference of the language as one text in Markdown.

local library = require "qemunet.docs.library"
local subjects = require "qemunet.docs.subjects"
local words = require "qemunet.docs.words"

local reference = {}

local HEAD = [[
# The language of Qemunet

This is made by `./dev docs` from the comments beside the functions in stdlib/; what is to be changed is changed there.
`qemunet help NAME` and `help(x)` in an experiment show the same.

An experiment is a Lua 5.4 file, in which these names are globals; library code gets them with `require "qemunet"`. A misspelt
name, and an unknown option, is an error that names the nearest known one.

| kind of value | how it is written |
| --- | --- |
| duration | seconds as a number, or "200us", "20ms", "1.5s", "2m" |
| rate | bit/s as a number, or "500kbit", "10mbit", "1gbit" |
| size | bytes as a number, or "64K", "256M", "2G" |
| fraction | 0.01 or "1%" |

Misuse raises an error at the script's line. What may fail in the world outside returns nil, a message and a code, or a result
with `.ok == false`. Whatever waits suspends only the task that calls it.
]]

local function anchor(title) return (title:lower():gsub("[^%w%- ]", ""):gsub(" ", "-")) end

local function cell(text) return (text:gsub("|", "\\|")) end

local function add_rows(out, head, rows)
    if #rows == 0 then return end
    out[#out + 1] = ""
    out[#out + 1] = "| " .. table.concat(head, " | ") .. " |"
    out[#out + 1] = "|" .. (" --- |"):rep(#head)
    for _, row in ipairs(rows) do
        local cells = { "`" .. row[1] .. "`" }
        for i = 2, #row do cells[i] = cell(row[i]) end
        out[#out + 1] = "| " .. table.concat(cells, " | ") .. " |"
    end
end

local function add_block(out, language, lines)
    out[#out + 1] = ""
    out[#out + 1] = "```" .. language
    table.move(lines, 1, #lines, #out + 1, out)
    out[#out + 1] = "```"
end

local function add_text(out, entry)
    for _, paragraph in ipairs(words.paragraphs(entry)) do
        if paragraph.lines then
            add_block(out, "", paragraph.lines)
        else
            out[#out + 1] = ""
            out[#out + 1] = paragraph.text
        end
    end
end

local function rows_of(list, second)
    local rows = {}
    for i, doc in ipairs(list) do rows[i] = second and { doc.name, doc[second], doc.text } or { doc.name, doc.text } end
    return rows
end

local function add_notes(out, label, list)
    for _, note in ipairs(list) do
        out[#out + 1] = ""
        out[#out + 1] = ("*%s:* %s"):format(label, note.text)
    end
end

local function add_options(out, entry)
    local rows, others = words.own_options(entry)
    add_rows(out, { "option", "type", "" }, rows)
    if #others == 0 then return end
    out[#out + 1] = ""
    out[#out + 1] = ("*Options of* `%s`: `%s`"):format(table.concat(entry.option_sets, "`, `"), table.concat(others, "`, `"))
end

local function add_entry(out, entry, title)
    out[#out + 1] = ""
    out[#out + 1] = title
    add_text(out, entry)
    add_rows(out, { "argument", "" }, rows_of(entry.param_docs))
    if entry.kind == "function" then add_options(out, entry) end
    add_rows(out, { "field", "type", "" }, rows_of(entry.fields, "type"))
    add_notes(out, "Returns", entry.returns)
    add_notes(out, "Raises", entry.errors)
    for _, example in ipairs(entry.examples) do add_block(out, "lua", example.lines) end
end

local function add_function(out, entry) add_entry(out, entry, ("#### `%s`"):format(words.signature(entry))) end

-- The functions of a library behind its own text.
local function add_name(out, name, fields)
    local entry = library.find(name)
    if not entry then return end
    add_function(out, entry)
    for _, field in ipairs(fields) do
        if field.entry and field.name:find("^" .. name .. "%.") then add_function(out, field.entry) end
    end
end

local function is_own(method, added) return method.entry and not added[method.entry] and not method.internal end

-- A method that several classes have is told of with the first.
local function add_class(out, name, added)
    local entry = library.find("class " .. name)
    if not entry then return end
    add_entry(out, entry, ("### Objects: %s"):format(name))
    for _, method in ipairs(library.methods(name)) do
        if is_own(method, added) then
            added[method.entry] = true
            add_function(out, method.entry)
        end
    end
end

-- Those of all nodes are in the class node, whose own methods are not all that its kinds share.
local function shared_by_nodes(added)
    local list = {}
    for _, method in ipairs(library.methods("vm")) do
        local entry = method.entry
        if entry and entry.name:find("^node:") and is_own(method, added) then list[#list + 1] = entry end
    end
    return list
end

local function add_subject(out, subject, fields, added)
    out[#out + 1] = ""
    out[#out + 1] = "## " .. subject.title
    for name in subject.names:gmatch("%S+") do add_name(out, name, fields) end
    for name in subject.classes:gmatch("%S+") do
        add_class(out, name, added)
        for _, entry in ipairs(name == "node" and shared_by_nodes(added) or {}) do
            added[entry] = true
            add_function(out, entry)
        end
    end
end

local function add_contents(out)
    out[#out + 1] = ""
    for _, subject in ipairs(subjects.LIST) do
        local shown = {}
        for name in subject.names:gmatch("%S+") do shown[#shown + 1] = "`" .. name .. "`" end
        out[#out + 1] = ("- [%s](#%s): %s"):format(subject.title, anchor(subject.title), table.concat(shown, " "))
    end
end

--- The text. `names`: see language.names.
function reference.text(names)
    local out, added, fields = { (HEAD:gsub("\n$", "")) }, {}, library.names(names)
    add_contents(out)
    for _, subject in ipairs(subjects.LIST) do add_subject(out, subject, fields, added) end
    out[#out + 1] = ""
    return table.concat(out, "\n")
end

return reference
