-- SPDX-License-Identifier: MIT
-- Doc comments: what stands above a function of the library, as a table. The form:
--
--     --- name(a, opts) -> result: what it does, in one sentence.
--     -- More about it. Lines that are indented stay as they are.
--     -- @param a      what it is: unit, default
--     -- @option x     of opts; its type, range and default come from the specification (options.register)
--     -- @options link  the options of that call, too
--     -- @return       where "result" does not say it all
--     -- @error        when it raises
--     -- @example
--     --   lines of Lua
--
-- name is "f", "table.f" or "class:method"; instead of (...) there may be {...}, or both: "vm(name, opts) or vm{ name, ... }".
-- "--- name: ..." is a value, "--- class name: ..." a class of objects, whose fields are "-- @field name type  what it is".
-- "@example vm" needs machines (or what else is said), and is not run by the tests.

local parse = {}

local NAME = "([%a_][%w_.:]*)"

-- A signature's words, "cmd, opts={}", as { name=, default= }.
local function parameters(text)
    local list = {}
    for word in text:sub(2, -2):gmatch("[^,]+") do
        local name, default = word:match("^%s*(%.?%.?%.?[%w_]*)%s*=?%s*(.-)%s*$")
        if name ~= "" then list[#list + 1] = { name = name, default = default ~= "" and default or nil } end
    end
    return list
end

local function words(text)
    local list = {}
    for word in text:gmatch("[^,]+") do list[#list + 1] = word:match("^%s*(.-)%s*$") end
    return list
end

-- Takes "(cmd, opts)", "{ ... }" or "(...) or f{ ... }"; returns what is behind it, or nil when there is none.
local function read_arguments(entry, rest)
    local round = rest:match("^%b()")
    local first = round or rest:match("^%s*%b{}")
    if not first then return nil end
    entry.params, entry.braces, entry.forms = parameters(round or "()"), not round, { entry.name .. first }
    rest = rest:sub(#first + 1)
    local other = rest:match("^ or ([%w_.:]+%s*%b{})")
    if not other then return rest end
    entry.braces, entry.forms[2] = true, other
    return rest:sub(#" or " + #other + 1)
end

-- The first line of a comment; nil when it documents nothing that has a name.
local function read_head(line)
    local class, what = line:match("^class ([%l]+): (.*)$")
    if class then return { kind = "class", name = class, forms = { class } }, what end
    local name, text = line:match("^" .. NAME .. ": (.*)$")
    if name then return { kind = "value", name = name, forms = { name } }, text end
    local entry, rest = { kind = "function" }, nil
    entry.name, rest = line:match("^" .. NAME .. "(%s*[%({].*)$")
    rest = entry.name and read_arguments(entry, rest)
    if not rest then return nil end
    local results = rest:match("^%s*%->%s*([^:]+)")
    entry.results, text = words(results or ""), rest:match("^[^:]*: (.*)$")
    if not text then return nil end
    return entry, text
end

local TAGS = { param = "param_docs", option = "option_docs", field = "fields" }

local function add_example(entry, needs)
    local example = { needs = needs ~= "" and needs or nil, lines = {} }
    entry.examples[#entry.examples + 1] = example
    return function(line) example.lines[#example.lines + 1] = line:gsub("^  ", "") end
end

local function add_text(list, text)
    local item = { text = text }
    list[#list + 1] = item
    return function(line) item.text = item.text .. " " .. line:match("^%s*(.-)%s*$") end, item
end

-- Takes a line "@tag ..."; returns what takes the lines that continue it.
local function read_tag(entry, tag, rest)
    if tag == "example" then return add_example(entry, rest) end
    if tag == "options" then
        for name in rest:gmatch("[%w_.:]+") do entry.option_sets[#entry.option_sets + 1] = name end
        return function() end
    end
    if tag == "return" then return (add_text(entry.returns, rest)) end
    if tag == "error" then return (add_text(entry.errors, rest)) end
    local list = TAGS[tag]
    if not list then return nil, ("unknown tag @%s"):format(tag) end
    local name, text = rest:match("^(%S+)%s*(.*)$")
    if not name then return nil, ("@%s without a name"):format(tag) end
    local more, item = add_text(entry[list], text)
    item.name = name
    if tag == "field" then item.type, item.text = text:match("^(%S+)%s*(.*)$") end
    return more
end

local function new_entry(entry)
    for _, list in ipairs { "param_docs", "option_docs", "option_sets", "fields", "returns", "errors", "examples", "text",
        "problems" } do
        entry[list] = {}
    end
    return entry
end

local function read_block(lines)
    local entry, summary = read_head(lines[1])
    if not entry then return nil end
    new_entry(entry)
    entry.text[1] = summary
    local take = function(line) entry.text[#entry.text + 1] = line end
    for i = 2, #lines do
        local tag, rest = lines[i]:match("^@(%a+)%s*(.-)%s*$")
        if tag then
            local problem
            take, problem = read_tag(entry, tag, rest)
            if problem then
                entry.problems[#entry.problems + 1] = problem
                take = function() end
            end
        else
            take(lines[i])
        end
    end
    return entry
end

--- The documented names of a source, in its order: { kind=, name=, forms=, params=, braces=, results=, text=, param_docs=, ...,
--- file=, line=, defined= the line behind the comment }.
function parse.source(text, file)
    local entries, block, n = {}, nil, 0
    for line in (text .. "\n"):gmatch("([^\n]*)\n") do
        n = n + 1
        local begins, comment = line:match("^%s*%-%-(%-?) ?(.*)$")
        if block and begins then
            block[#block + 1] = comment
        elseif begins == "-" then
            block = { comment }
        elseif block then
            local entry = read_block(block)
            if entry then
                entry.file, entry.line, entry.defined = file, n - #block, n
                entries[#entries + 1] = entry
            end
            block = nil
        end
    end
    return entries
end

return parse
