-- SPDX-License-Identifier: MIT
-- What the Tab key offers at a prompt: names, fields behind a dot, methods behind a colon, names of nodes in a string, options
-- in the table of a call, commands behind a colon at the line's beginning. Nothing of the script is called to find out.

local class = require "qemunet.class"
local core = require "qemunet.core"
local entry = require "qemunet.repl.entry"
local library = require "qemunet.docs.library"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"

local completion = {}

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch("%a+") do
    KEYWORDS[#KEYWORDS + 1] = word
end

-- What values have ---------------------------------------------------------------------------------------------------

local function add_keys(set, t)
    for key, value in next, t do
        if type(key) == "string" then set[key] = set[key] or type(value) end
    end
end

-- What objects of a class of the language have, but for what is the library's own.
local function class_members(name)
    local set = {}
    for _, field in ipairs(library.fields(name)) do set[field.name] = field.type end
    for _, method in ipairs(library.methods(name)) do
        if not method.internal then set[method.method] = "function" end
    end
    return set
end

-- name -> type of what can stand behind a dot or colon.
local function members(v)
    local class_name = class.of(v)
    if class_name then return class_members(class_name) end
    local set, meta = {}, debug.getmetatable(v)
    if type(v) == "table" then add_keys(set, v) end
    local index = meta and rawget(meta, "__index")
    if type(index) == "table" then add_keys(set, index) end
    return set
end

-- The value of a key without calling anything.
local function raw_field(v, key)
    if type(v) ~= "table" then return nil end
    local value = rawget(v, key)
    if value ~= nil then return value end
    local meta = debug.getmetatable(v)
    local index = meta and rawget(meta, "__index")
    return type(index) == "table" and index ~= v and raw_field(index, key) or nil
end

-- The value of tokens such as a.b[1].c that end at `last`, looked up from its first name; nil when they are anything else.
local function value_of(tokens, last, scope)
    local token = tokens[last]
    if not token then return nil end
    if token.text == "]" and tokens[last - 2] and tokens[last - 2].text == "[" and tokens[last - 1].kind == "number" then
        return raw_field(value_of(tokens, last - 3, scope), tonumber(tokens[last - 1].value))
    end
    if token.kind ~= "word" then return nil end
    local sign = tokens[last - 1] and tokens[last - 1].text
    if sign == "." then return raw_field(value_of(tokens, last - 2, scope), token.text) end
    if sign == ":" then return nil end
    return scope:look_up(token.text)
end

-- Where the cursor is ------------------------------------------------------------------------------------------------

-- The name of the function whose table argument the cursor is in: the last words before the innermost open brace.
local function call_around(tokens, count)
    local open = {}
    for i = 1, count do
        local sign = tokens[i].text
        if sign == "{" or sign == "(" then
            open[#open + 1] = i
        elseif sign == "}" or sign == ")" then
            open[#open] = nil
        end
    end
    local brace = open[#open]
    if not brace or tokens[brace].text ~= "{" then return nil end
    local at = #open > 1 and tokens[open[#open - 1]].text == "(" and open[#open - 1] - 1 or brace - 1
    local name = tokens[at]
    if not name or name.kind ~= "word" then return nil end
    local sign = tokens[at - 1] and tokens[at - 1].text
    local receiver = tokens[at - 2]
    return name.text, sign == ":" and "method" or sign == "." and receiver and receiver.text .. "." .. name.text
end

-- The options of a call: the function's, or those of any method of that name.
local function options_of(name, qualified)
    local specs = options.specs
    if qualified and qualified ~= "method" then return specs[qualified] end
    if not qualified then return specs[name] end
    for known, spec in pairs(specs) do
        if known:match("[:.]([%w_]+)$") == name then return spec end
    end
end

local function names_from(set)
    local list = {}
    for name in pairs(set) do list[#list + 1] = name end
    return list
end

local function offer_options(tokens, count)
    local name, qualified = call_around(tokens, count)
    local spec = name and options_of(name, qualified)
    if not spec then return {} end
    local list = {}
    for key in pairs(spec) do
        if type(key) == "string" then list[#list + 1] = key .. " = " end
    end
    return list
end

local function offer_nodes()
    local list = {}
    for _, n in ipairs(testbed.nodes()) do list[#list + 1] = n.name end
    return list
end

local function offer_globals(scope)
    local set = {}
    scope:each_name(function(name) set[name] = true end)
    local list = names_from(set)
    return table.move(KEYWORDS, 1, #KEYWORDS, #list + 1, list)
end

local function offer_members(tokens, last, scope, sign)
    local list, v = {}, value_of(tokens, last, scope)
    if v == nil then return list end
    for name, kind in pairs(members(v)) do
        if name:find("^[%a_][%w_]*$") and name:sub(1, 2) ~= "__" and (sign == "." or kind == "function") then
            list[#list + 1] = name
        end
    end
    return list
end

-- What may stand at the cursor, and how much of it is there already.
local function offers(before, scope)
    local tokens = entry.tokens(before)
    local last, count = tokens[#tokens], #tokens
    if last and not last.closed and last.kind == "string" then
        return offer_nodes(), before:sub(last.from + 1):match("[%w-]*$")
    end
    if last and last.kind == "comment" and last.to == #before then return {}, "" end
    for _, token in ipairs(tokens) do token.value = before:sub(token.from, token.to) end
    local word = ""
    if last and last.kind == "word" and last.to == #before then word, count = last.text, count - 1 end
    local sign = tokens[count] and tokens[count].text
    if (sign == "." or sign == ":") then return offer_members(tokens, count - 1, scope, sign), word end
    if sign == "{" or sign == "," then
        local list = offer_options(tokens, count)
        if #list > 0 then return table.move(offer_globals(scope), 1, word == "" and 0 or 5000, #list + 1, list), word end
    end
    return offer_globals(scope), word
end

local function starting_with(list, word)
    local found, seen = {}, {}
    for _, name in ipairs(list) do
        if name:sub(1, #word) == word and not seen[name] then found[#found + 1], seen[name] = name, true end
    end
    table.sort(found)
    return found
end

-- The longest beginning that all have.
local function common(list)
    local prefix = list[1]
    for _, name in ipairs(list) do
        while name:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
    end
    return prefix
end

--- What Tab offers. `before`: the text before the cursor, with the lines above; `scope`: see scope; `commands`: the names behind
--- a colon. Returns the candidates that begin with the word at the cursor, sorted, and that word.
function completion.candidates(before, scope, commands)
    local command, argument = before:match("^:(%a*)$"), before:match("^:attach%s+([%w-]*)$")
    if command then return starting_with(commands, command), command end
    if argument then return starting_with(offer_nodes(), argument), argument end
    local list, word = offers(before, scope)
    return starting_with(list, word), word
end

local MOST_SHOWN = 100

local function show(list)
    local width, shown = 0, math.min(#list, MOST_SHOWN)
    for i = 1, shown do width = math.max(width, text.width(list[i]) + 2) end
    local columns, parts = math.max(1, 78 // width), {}
    for i = 1, shown do
        local last = i % columns == 0 or i == shown
        parts[#parts + 1] = list[i] .. (last and "\n" or (" "):rep(width - text.width(list[i])))
    end
    if #list > shown then parts[#parts + 1] = ("... (%d more)\n"):format(#list - shown) end
    core.print(table.concat(parts))
end

--- Completes the word before the cursor of the line that is edited, or shows what it can become.
function completion.complete(before, scope, commands)
    if not before:match("([^\n]*)$"):find("%S") then return core.insert("    ") end -- as at the beginning of a pasted line
    local list, word = completion.candidates(before, scope, commands)
    if #list == 0 then return end
    local prefix = common(list)
    if #prefix > #word then return core.insert(prefix:sub(#word + 1)) end
    if #list > 1 then show(list) end
end

return completion
