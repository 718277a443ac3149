-- SPDX-License-Identifier: MIT
-- What a person types at the prompt, as Lua: an expression whose values are wanted, or statements, whose local variables are
-- to be there on the next line too.

local errors = require "qemunet.errors"

local entry = {}

local OPENERS = { ["function"] = 1, ["do"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1,
    ["("] = 1, ["{"] = 1, ["["] = 1, [")"] = -1, ["}"] = -1, ["]"] = -1 }

-- The end of a string in quotes that begins at `at`; the text's when it is not closed.
local function quoted_end(text, at)
    local quote, i = text:sub(at, at), at + 1
    while i <= #text do
        local c = text:sub(i, i)
        if c == quote then return i, true end
        i = i + (c == "\\" and 2 or 1)
    end
    return #text, false
end

-- The end of a long bracket that begins at `at`; nil when there is none.
local function long_end(text, at)
    local level = text:match("^%[(=*)%[", at)
    if not level then return nil end
    local _, to = text:find("]" .. level .. "]", at, true)
    return to or #text, to ~= nil
end

local function next_token(text, at)
    local from = text:find("%S", at)
    if not from then return nil end
    local to, closed
    if text:find("^%-%-", from) then
        to, closed = long_end(text, from + 2)
        if not to then to, closed = (text:find("\n", from, true) or #text + 1) - 1, true end
        return { kind = "comment", from = from, to = to, closed = closed }
    end
    if text:find("^[\"']", from) then
        to, closed = quoted_end(text, from)
        return { kind = "string", from = from, to = to, closed = closed }
    end
    to, closed = long_end(text, from)
    if to then return { kind = "string", from = from, to = to, closed = closed, long = true } end
    local _, word_end = text:find("^[%a_][%w_]*", from)
    if word_end then return { kind = "word", from = from, to = word_end, text = text:sub(from, word_end) } end
    _, word_end = text:find("^%.?%d[%w_.]*", from)
    if word_end then return { kind = "number", from = from, to = word_end } end
    return { kind = "sign", from = from, to = from, text = text:sub(from, from) }
end

--- The tokens of a text, comments included: {kind= "word", "number", "string", "comment" or "sign", from=, to=, text= of a word
--- or sign, closed= whether a string or comment has ended, long= whether it is a string in long brackets}.
function entry.tokens(text)
    local list, token = {}, next_token(text, 1)
    while token do
        list[#list + 1] = token
        token = next_token(text, token.to + 1)
    end
    return list
end

local function code_tokens(text)
    local list = {}
    for _, token in ipairs(entry.tokens(text)) do
        if token.kind ~= "comment" then list[#list + 1] = token end
    end
    return list
end

-- The local statement whose names begin at list[i]: its names, the last token of them, its attributes' tokens, whether one is
-- <close>; nil when it is none that can be understood.
local function declaration(list, i)
    local names, attributes, closes = {}, {}, false
    while list[i] and list[i].kind == "word" do
        names[#names + 1] = list[i].text
        if list[i + 1] and list[i + 1].text == "<" and list[i + 3] and list[i + 3].text == ">" then
            attributes[#attributes + 1] = { list[i + 1].from, list[i + 3].to }
            closes = closes or list[i + 2].text == "close"
            i = i + 3
        end
        if not list[i + 1] or list[i + 1].text ~= "," then
            return { names = names, last = i, attributes = attributes, closes = closes }
        end
        i = i + 2
    end
end

local function blank(edits, from, to) edits[#edits + 1] = { from, to, (" "):rep(to - from + 1) } end

-- Notes the names and edits of the local statement at list[i].
local function promote(list, i, names, edits)
    local is_function = list[i + 1] and list[i + 1].text == "function"
    local found = declaration(list, is_function and i + 2 or i + 1)
    if not found or found.closes then return end
    blank(edits, list[i].from, list[i].to)
    if is_function then found.names = { found.names[1] } end
    table.move(found.names, 1, #found.names, #names + 1, names)
    if is_function then return end
    for _, each in ipairs(found.attributes) do blank(edits, each[1], each[2]) end
    local behind = list[found.last + 1]
    local to = list[found.last].to
    if not behind or behind.text ~= "=" then edits[#edits + 1] = { to + 1, to, " = nil" } end
end

--- Makes the local variables at the top level of a text into variables of its environment, but those that are <close>. Returns
--- the text, with every line where it was, and the variables' names.
function entry.promote(text)
    local list, names, edits, depth = code_tokens(text), {}, {}, 0
    for i, token in ipairs(list) do
        if token.text == "local" and depth == 0 then promote(list, i, names, edits) end
        depth = depth + (token.text and OPENERS[token.text] or 0)
    end
    for i = #edits, 1, -1 do
        local from, to, with = table.unpack(edits[i])
        text = text:sub(1, from - 1) .. with .. text:sub(to + 1)
    end
    return text, names
end

local function is_unfinished(why) return why:find("near <eof>$") ~= nil end

--- Whether a text is the beginning of something: more lines have to come.
function entry.is_unfinished(text)
    local expression, problem = errors.load("return " .. text, "=input", "t")
    local statements, why = errors.load(text, "=input", "t")
    return not expression and not statements and (is_unfinished(problem) or is_unfinished(why))
end

-- Which of the two errors is about what was meant: what cannot begin a statement was an expression.
local function better(of_expression, of_statements)
    return of_statements:find("^[^\n]*:1: unexpected symbol near") and of_expression or of_statements
end

--- Compiles a text. `scope`: see scope. `name`: the chunk's. Returns the function, and whether it is an expression; or nil and
--- why not.
function entry.compile(text, scope, name)
    local expression, problem = errors.load("return " .. text, name, "t", scope.env)
    if expression then return expression, true end
    local promoted, names = entry.promote(text)
    local statements, why = errors.load(promoted, name, "t", scope.env)
    if not statements then return nil, better(problem, why) end
    scope:declare(names)
    return statements, false
end

--- A text of several lines as one line, for the history; nil when it cannot be put so.
function entry.one_line(text)
    for _, token in ipairs(entry.tokens(text)) do
        if token.kind == "comment" or token.kind == "string" and text:find("\n", token.from, true) and
            text:find("\n", token.from, true) <= token.to then return nil end
    end
    return (text:gsub("%s*\n%s*", " "))
end

return entry
