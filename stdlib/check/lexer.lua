-- SPDX-License-Identifier: MIT
-- The words of a Lua 5.4 source. A token is { kind = "name", "string", "number", "end" or itself (keywords and operators),
-- value =, line =, column = }, both from 1.

local lexer = {}

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch("%a+") do
    KEYWORDS[word] = true
end

-- The operators of more than one character.
local LONG = {}
for word in ("... << >> // == ~= <= >= :: .."):gmatch("%S+") do LONG[word] = true end

local Lexer = {}
Lexer.__index = Lexer

-- `excused`: the lines of comments "-- no check" and "-- check" that stand alone, { line, whether it is the latter } each; and
-- [-line]=true for lines with "-- no check" behind them.
--- A lexer of a text.
function lexer.new(text)
    text = text:gsub("^\u{FEFF}", ""):gsub("^#[^\n]*", "")
    return setmetatable({ text = text, at = 1, line = 1, line_start = 1, next_line = text:find("\n", 1, true) or math.huge,
        excused = {} }, Lexer)
end

--- Raises what is wrong at a place.
function Lexer:fail(what, token)
    local at = token or { line = self.line, column = self.at - self.line_start + 1 }
    error({ line = at.line, column = at.column, message = what }, 0)
end

-- Moves to `to`, counting lines.
local function move(self, to)
    local newline = self.next_line
    while newline < to do
        self.line, self.line_start = self.line + 1, newline + 1
        newline = self.text:find("\n", newline + 1, true) or math.huge
    end
    self.at, self.next_line = to, newline
end

-- Where the long bracket that begins at `at` ends; nil when there is none. Its contents' first and last place.
local function long_bracket(self, at)
    local equals = self.text:match("^%[(=*)%[", at)
    if not equals then return nil end
    local first = at + #equals + 2
    local close, after = self.text:find("]" .. equals .. "]", first, true)
    if not close then self:fail("a long string or comment without its end") end
    return after + 1, first, close - 1
end

local function note_comment(self, comment)
    local word = comment:match("^%-%-%s*(.-)%s*$")
    if word ~= "no check" and word ~= "check" then return end
    local is_alone = self.text:sub(self.line_start, self.at - 1):find("^%s*$")
    if is_alone then
        table.insert(self.excused, { self.line, word == "check" })
    elseif word == "no check" then
        self.excused[-self.line] = true
    end
end

local function skip_comment(self)
    local after = long_bracket(self, self.at + 2)
    if after then return move(self, after) end
    local comment = self.text:match("^[^\n]*", self.at)
    note_comment(self, comment)
    move(self, self.at + #comment)
end

local function skip_blanks(self)
    while true do
        local at = self.text:find("[^ \t\r\n\f\v]", self.at) or #self.text + 1
        if at > self.at then move(self, at) end
        if not self.text:find("^%-%-", at) then return end
        skip_comment(self)
    end
end

-- What is between quotes; the rare escapes are left to Lua.
local function read_string(self, quote)
    local at = self.at + 1
    while true do
        at = self.text:find("[\\\n" .. quote .. "]", at)
        local c = at and self.text:sub(at, at)
        if not c or c == "\n" then self:fail("a string without its end") end
        if c == quote then break end
        local blanks = self.text:match("^\\z%s*()", at)
        at = blanks or at + 2
    end
    local raw = self.text:sub(self.at, at)
    local value = raw:sub(2, -2)
    if value:find("\\", 1, true) then
        local read = load("return " .. raw, "=string", "t", {})
        value = read and read() or value
    end
    return at + 1, value
end

local function read_number(self)
    local text = self.text
    local digits = text:match("^0[xX][%x.]*[pP][+-]?%d*", self.at) or text:match("^0[xX][%x.]*", self.at) or
        text:match("^[%d.]*[eE][+-]?%d*", self.at) or text:match("^[%d.]*", self.at)
    return self.at + #digits, tonumber(digits)
end

local function read_operator(self)
    for last = self.at + 2, self.at + 1, -1 do
        local operator = self.text:sub(self.at, last)
        if LONG[operator] then return operator end
    end
    return self.text:sub(self.at, self.at)
end

local function read(self)
    local text, at = self.text, self.at
    if at > #text then return "end of file", at end
    local name = text:match("^[%a_][%w_]*", at)
    if name then return KEYWORDS[name] and name or "name", at + #name, name end
    if text:find("^%.?%d", at) then return "number", read_number(self) end
    local c = text:sub(at, at)
    if c == '"' or c == "'" then return "string", read_string(self, c) end
    local after, first, last = long_bracket(self, at)
    if after then return "string", after, (text:sub(first, last):gsub("^\r?\n", "")) end
    local operator = read_operator(self)
    return operator, at + #operator
end

--- The next token.
function Lexer:next()
    skip_blanks(self)
    local line, column = self.line, self.at - self.line_start + 1
    local kind, after, value = read(self)
    move(self, after)
    return { kind = kind, value = value, line = line, column = column }
end

--- Whether a line is excused: by a comment behind it, or between "-- no check" and "-- check" on lines of their own.
function Lexer:is_excused(line)
    local off = false
    for _, switch in ipairs(self.excused) do
        if switch[1] <= line then off = not switch[2] end
    end
    return off or self.excused[-line] == true
end

return lexer
