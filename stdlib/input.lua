-- SPDX-License-Identifier: MIT
-- Files that others wrote, read whole and up to a bound, and gone through by lines. What is wrong with one is said as
-- "file:line: ...".

local core = require "qemunet.core"
local inspect = require "qemunet.inspect"
local paths = require "qemunet.paths"
local units = require "qemunet.units"

local input = {}

local KINDS = { folder = "a folder", other = "a device or the like" }
local PIECE = 1 << 16
local MAX_SIZE, MAX_LINE = 64 << 20, 1 << 16

--- The bytes of a file of at most 64 MiB; nil and why not: "file: ...". What may have no end, as a pipe, is no file.
function input.read(path)
    path = paths.readable(path)
    local kind, wrong = core.stat(path)
    if kind ~= "file" then return nil, ("%s: %s"):format(path, kind and "this is no file, but " .. KINDS[kind] or wrong) end
    local file, why = io.open(path, "rb")
    if not file then return nil, why end
    local close <close> = file
    local pieces, size = {}, 0
    while size <= MAX_SIZE do
        local piece, problem = file:read(PIECE)
        if problem then return nil, ("%s: %s"):format(path, problem) end -- as a folder
        if not piece then return table.concat(pieces) end
        pieces[#pieces + 1] = piece
        size = size + #piece
    end
    return nil, ("%s: it is larger than %s"):format(path, units.format_size(MAX_SIZE))
end

--- A part of a file as errors show it: quoted, and not all of what is long.
function input.quote(text) return inspect.quote(text, 40) end

--- A decimal number: "12", "-0.5", "1e3"; nil for any other text and for what is too large for a number.
function input.number(text)
    if text:find("[^%d.eE+-]") then return nil end
    local number = tonumber(text)
    return number and number - number == 0 and number or nil
end

--- A whole number, 0 or above, of decimal digits only; nil for any other text.
function input.whole(text)
    if text:find("%D") then return nil end
    return math.tointeger(tonumber(text))
end

--- A text without the blanks at both ends. Not by one pattern: in "(.-)%s*$" the time grows with the square of the length.
function input.trim(text)
    local from = text:find("%S")
    return from and text:match("^.*%S", from) or ""
end

--- The words of a line: what blanks separate.
function input.words(line)
    local words = {}
    for word in line:gmatch("%S+") do words[#words + 1] = word end
    return words
end

--- Reads a file and calls fn(text, path) with what is in it. Returns what fn does; or nil, why it could not be read, "local".
function input.parse(path, fn)
    local text, why = input.read(path)
    if not text then return nil, why, "local" end
    return fn(text, path)
end

--- Calls fn(line, number) for each line of a text that is not empty and no comment ("#"), without the blanks around it; a
--- string that fn returns is what is wrong with the line.
-- @param text  the text
-- @param name  of the file, for errors
-- @return the number of lines; or nil and "file:line: what"
function input.each_line(text, name, fn)
    local at, number = text:sub(1, 3) == "\u{FEFF}" and 4 or 1, 0
    while at <= #text do
        local to = text:find("\n", at, true) or #text + 1
        number = number + 1
        if to - at > MAX_LINE then return nil, ("%s:%d: the line is longer than %d bytes"):format(name, number, MAX_LINE) end
        local line = input.trim(text:sub(at, to - 1))
        local wrong = line ~= "" and line:byte() ~= 35 and fn(line, number)
        if wrong then return nil, ("%s:%d: %s"):format(name, number, wrong) end
        at = to + 1
    end
    return number
end

return input
