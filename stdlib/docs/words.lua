-- SPDX-License-Identifier: MIT
-- What the reference, help and the annotations say alike: sentences and options of an entry, as text.

local inspect = require "qemunet.inspect"
local library = require "qemunet.docs.library"
local units = require "qemunet.units"

local words = {}

--- The first sentence of what an entry says.
function words.summary(entry)
    local parts = {}
    for _, line in ipairs(entry.text) do
        if line:find("^%s") or line == "" then break end
        parts[#parts + 1] = line
    end
    local text = table.concat(parts, " ")
    return text:match("^(.-[.])%s+%u") or text
end

--- The text as paragraphs: { text= } of running text, { lines= } of what is indented, which stays as it is.
function words.paragraphs(entry)
    local list, open = {}, nil
    for _, line in ipairs(entry.text) do
        local kind = line:find("^%s") and "lines" or "text"
        if line == "" then
            open = nil
        elseif open and open[kind] then
            table.insert(open[kind], line)
        else
            open = { [kind] = { line } }
            list[#list + 1] = open
        end
    end
    for _, paragraph in ipairs(list) do
        if paragraph.text then paragraph.text = table.concat(paragraph.text, " ") end
    end
    return list
end

local SHOW = {
    duration = function(v) return v == 0 and "0" or units.format_duration(v) end,
    size = units.format_size,
    rate = units.format_rate,
    fraction = function(v) return ("%g %%"):format(100 * v) end,
}

local function value_text(v, kinds)
    if kinds[1] == "integer" or kinds[1] == "number" then return inspect(v) end
    for _, kind in ipairs(kinds) do
        if SHOW[kind] and type(v) == "number" then return SHOW[kind](v) end
    end
    return inspect(v)
end

local function kinds_of(spec) return type(spec.type) == "table" and spec.type or { spec.type or "any" } end

--- The types that an option takes: { "duration", "table" }.
words.kinds_of = kinds_of

local function choices_text(choices)
    local shown = {}
    for i, choice in ipairs(choices) do shown[i] = inspect(choice) end
    return table.concat(shown, ", ")
end

--- What the specification of an option says: its type, range, default.
function words.specification(spec)
    local kinds = kinds_of(spec)
    local parts = { spec.choices and choices_text(spec.choices) or table.concat(kinds, " or ") }
    if spec.min then parts[#parts + 1] = "at least " .. value_text(spec.min, kinds) end
    if spec.max then parts[#parts + 1] = "at most " .. value_text(spec.max, kinds) end
    if spec.required then parts[#parts + 1] = "needed" end
    local default = spec.default
    if default ~= nil and not (type(default) == "table" and next(default) == nil) then
        parts[#parts + 1] = "default " .. value_text(default, kinds)
    end
    return table.concat(parts, "; ")
end

local function row_of(entry, doc)
    local spec = library.option_spec(entry.name, doc.name)
    return { doc.name, spec and words.specification(spec) or "", doc.text }
end

--- The options of a call: { name, specification, text } each, those of other calls' that it takes included.
function words.options(entry)
    local rows = {}
    for i, doc in ipairs(library.option_docs(entry)) do rows[i] = row_of(entry, doc) end
    return rows
end

--- Those that are documented with the call itself, and the names of those that are with another.
function words.own_options(entry)
    local rows, names, own = {}, {}, {}
    for i, doc in ipairs(entry.option_docs) do rows[i], own[doc.name] = row_of(entry, doc), true end
    for _, doc in ipairs(library.option_docs(entry)) do
        if not own[doc.name] then names[#names + 1] = doc.name end
    end
    return rows, names
end

--- "node:run(cmd, opts) -> result".
function words.signature(entry)
    local text = table.concat(entry.forms, " or ")
    if entry.results and #entry.results > 0 then text = text .. " -> " .. table.concat(entry.results, ", ") end
    return text
end

return words
