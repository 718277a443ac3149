-- SPDX-License-Identifier: MIT
-- Plain-text tables for terminals and logs, aligned by the columns that characters take on a screen.

local inspect = require "qemunet.inspect"
local options = require "qemunet.options"

local text = {}

-- Code points that take two columns: the blocks that are Wide or Fullwidth throughout (Unicode, UAX #11), and emoji.
local WIDE = {
    { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
    { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F900, 0x1F9FF },
    { 0x20000, 0x3FFFD },
}
-- Code points that take none: combining marks, zero-width spaces and joiners, variation selectors.
local NONE = { { 0x300, 0x36F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F } }

local function among(code, ranges)
    for _, range in ipairs(ranges) do
        if code >= range[1] and code <= range[2] then return true end
    end
    return false
end

--- The columns that a string takes on a terminal; its length in bytes when it is not valid UTF-8.
function text.width(s)
    if not s:find("[\x80-\xFF]") then return #s end
    if not utf8.len(s) then return #s end
    local width = 0
    for _, code in utf8.codes(s) do
        if among(code, WIDE) then
            width = width + 2
        elseif not among(code, NONE) then
            width = width + 1
        end
    end
    return width
end

local function cell_text(v, float)
    if v == nil then return "" end
    if math.type(v) == "float" then return (string.format(float, v)) end
    if type(v) ~= "string" then v = type(v) == "table" and inspect(v, { width = math.huge }) or tostring(v) end
    return (v:gsub("%c", " "))
end

-- A number, or a string that is a number with at most a unit after it: "1.25 ms", "80%".
local function is_numeric(v)
    if type(v) == "number" then return true end
    return type(v) == "string" and v:find("^[-+]?%d+%.?%d*%s?%a*/?%a*%%?$") ~= nil
end

-- A column is numeric when some cell below the header is, and the others are empty or a dash.
local function column_is_numeric(rows, column)
    local found = false
    for i = 2, #rows do
        local v = rows[i][column]
        if is_numeric(v) then
            found = true
        elseif v ~= nil and v ~= "" and v ~= "-" then
            return false
        end
    end
    return found
end

local function column_count(rows)
    local count = 0
    for i, row in ipairs(rows) do
        if type(row) ~= "table" then error("columns: row " .. i .. " is not a list", 3) end
        for k in pairs(row) do
            if math.type(k) == "integer" and k > count then count = k end
        end
    end
    return count
end

local function pad(s, width, right)
    local blank = (" "):rep(width - text.width(s))
    return right and blank .. s or s .. blank
end

local function widths_of(cells, count)
    local widths = {}
    for column = 1, count do
        widths[column] = 0
        for _, row in ipairs(cells) do widths[column] = math.max(widths[column], text.width(row[column])) end
    end
    return widths
end

local COLUMNS = options.register({ gap = { type = "string", default = "  " }, rule = { type = "boolean" },
    float = { type = "string", default = "%.6g" }, align = { type = "table" } }, "columns")

--- columns(rows, opts) -> text: a table as aligned lines, without a newline behind the last one.
-- A column of numbers ("1.25 ms" counts as one) is set to the right, any other to the left.
-- @param rows  a list of lists, the first one the header; cells are strings, numbers, nil (empty) or anything else
-- @option gap    text between columns
-- @option rule   true: a line of dashes below the header
-- @option float  format of floats
-- @option align  { [column] = "left" or "right" }
-- @error  raises when rows, or one of them, is not a table
-- @example
--   print(columns({ { "node", "rtt" }, { "a", 20.25 }, { "b", 1 } }, { rule = true }))
function text.columns(rows, opts)
    if type(rows) ~= "table" then error("columns: want a list of rows, got " .. inspect(rows), 2) end
    local checked = options.check(opts, COLUMNS, "columns", 2)
    local count, cells = column_count(rows), {}
    for i, row in ipairs(rows) do
        cells[i] = {}
        for column = 1, count do cells[i][column] = cell_text(row[column], checked.float) end
    end
    local widths, right, dashes = widths_of(cells, count), {}, {}
    for column = 1, count do
        local align = checked.align and checked.align[column]
        if align then right[column] = align == "right" else right[column] = column_is_numeric(rows, column) end
        dashes[column] = ("-"):rep(widths[column])
    end
    if checked.rule and cells[1] then table.insert(cells, 2, dashes) end
    for i, row in ipairs(cells) do
        for column = 1, count do row[column] = pad(row[column], widths[column], right[column]) end
        cells[i] = table.concat(row, checked.gap):gsub("%s+$", "")
    end
    return table.concat(cells, "\n")
end

--- The last `n` lines of a text that are not empty, joined by `joiner`.
function text.tail(s, n, joiner)
    local kept = {}
    for line in s:gmatch("[^\n]+") do kept[#kept + 1] = line end
    return table.concat(kept, joiner, math.max(1, #kept - n + 1))
end

--- Bytes as two hexadecimal digits each, with `separator` ("" by default) between them.
function text.hex(bytes, separator)
    local parts = {}
    for i = 1, #bytes do parts[i] = ("%02x"):format(bytes:byte(i)) end
    return table.concat(parts, separator)
end

--- A number with as many digits as give it back exactly: 15, 16 or 17.
function text.exact(number)
    local short = ("%.15g"):format(number)
    if tonumber(short) ~= number then short = ("%.16g"):format(number) end
    if tonumber(short) ~= number then short = ("%.17g"):format(number) end
    return short
end

--- A number of things: "1 machine", "2 machines".
function text.count(n, noun) return ("%d %s%s"):format(n, noun, n == 1 and "" or "s") end

-- Carets and letters, as terminals echo what is typed.
local function caret(c) return c == "\127" and "^?" or "^" .. string.char(c:byte() ~ 0x40) end

--- A text of a guest's for a terminal, which obeys control characters: lines and tabs stay, others are shown.
function text.visible(s)
    return (s:gsub("\r\n", "\n"):gsub("[%z\1-\8\11-\31\127]", caret):gsub("\xC2[\x80-\x9F]", "?"))
end

--- A word of a POSIX shell that is `s`.
function text.quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

return text
