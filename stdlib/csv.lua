-- SPDX-License-Identifier: MIT
-- Tables as comma-separated values (RFC 4180), for spreadsheets and plotting programs.

local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local paths = require "qemunet.paths"
local exact = require("qemunet.text").exact

local csv = {}

-- A cell: quoted where a comma, a quote or the end of a line is in it.
local function cell(value, row, column)
    if value == nil then return "" end
    local kind = type(value)
    if value ~= value then return "nan" end -- whatever its sign
    if kind == "number" and math.type(value) == "float" then return exact(value) end
    if kind == "number" or kind == "boolean" then return tostring(value) end
    if kind ~= "string" then
        errors.raise(("csv: row %d, column %s: want a text, number or boolean, not %s"):format(row, tostring(column), kind))
    end
    if not value:find('[,"\r\n]') then return value end
    return '"' .. value:gsub('"', '""') .. '"'
end

--- csv.cell(value) -> text: a text or number as one cell.
function csv.cell(value) return cell(value, 1, 1) end

-- The names of the columns of records: those of all rows, sorted.
local function column_names(rows)
    local names, seen = {}, {}
    for _, row in ipairs(rows) do
        for _, key in ipairs(inspect.keys(row, #row)) do
            if not seen[key] then seen[key], names[#names + 1] = true, key end
        end
    end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    return names
end

local function width(rows)
    local n = 0
    for _, row in ipairs(rows) do
        for i in pairs(row) do n = math.max(n, math.type(i) == "integer" and i or 0) end
    end
    return n
end

local function line(row, keys, number)
    local cells = {}
    for i, key in ipairs(keys) do cells[i] = cell(row[key], number, key) end
    return table.concat(cells, ",")
end

local function check_rows(rows, where)
    if type(rows) ~= "table" then errors.raise(where .. ": want a list of rows, not " .. type(rows)) end
    for i = 1, #rows do
        if type(rows[i]) ~= "table" then errors.raise(("%s: row %d is a %s, not a table"):format(where, i, type(rows[i]))) end
    end
end

-- Reading back -----------------------------------------------------------------------------------------------------------

-- A cell in quotes, a doubled one standing for one inside, and where the next cell begins.
local function quoted(text, at)
    local to = at
    repeat
        to = assert(text:find('"', to + 1, true))
        local doubled = text:sub(to + 1, to + 1) == '"'
        if doubled then to = to + 1 end
    until not doubled
    return text:sub(at + 1, to - 1):gsub('""', '"'), to + 2
end

--- csv.cells(row) -> list: the cells of a row of one of our files.
function csv.cells(text)
    local cells, at = {}, 1
    while at <= #text do
        local is_quoted = text:sub(at, at) == '"'
        if is_quoted then
            cells[#cells + 1], at = quoted(text, at)
        else
            cells[#cells + 1], at = text:match("^([^,]*),?()", at)
        end
    end
    return cells
end

local function is_whole(text) return not text:find('"', 1, true) or select(2, text:gsub('"', "")) % 2 == 0 end

--- csv.rows(lines) -> iterator over the rows, as texts: a cell in quotes may go on in the next line. `lines`: as file:lines().
function csv.rows(lines)
    return function()
        local row
        for text in lines do
            row = row and row .. "\n" .. text or text
            if is_whole(row) then return row end
        end
    end
end

-- Writing -----------------------------------------------------------------------------------------------------------------

local WRITE = options.register({ columns = { type = "table" } }, "csv.encode", "csv.write")

local function encode(rows, opts, where)
    check_rows(rows, where)
    local keys, lines = options.check(opts, WRITE, where, 3).columns, {}
    local is_records = keys ~= nil or rows[1] ~= nil and #rows[1] == 0
    if is_records then
        keys = keys or column_names(rows)
        local header = {}
        for i, key in ipairs(keys) do header[key] = tostring(key) end
        lines[1] = line(header, keys, 0)
    else
        keys = {}
        for i = 1, width(rows) do keys[i] = i end
    end
    for i, row in ipairs(rows) do lines[#lines + 1] = line(row, keys, i) end
    lines[#lines + 1] = ""
    return table.concat(lines, "\r\n")
end

--- csv.encode(rows, opts) -> text: rows as comma-separated values.
-- @param rows          arrays of cells, or records: then the first line has the columns' names, sorted
-- @option columns  the columns of records and their order (a list of names; default: all, sorted)
-- @example
--   check.equal(csv.encode { { "a", 1 }, { "b, c", 2.5 } }, 'a,1\r\n"b, c",2.5\r\n')
--   check.equal(csv.encode { { name = "a", rtt = 0.02 } }, "name,rtt\r\na,0.02\r\n")
function csv.encode(rows, opts)
    local text = encode(rows, opts, "csv.encode")
    return text
end

--- csv.write(path, rows, opts) -> path: writes rows as comma-separated values to a file.
-- @param path          a file below the run's folder, where relative paths begin
-- @param rows          arrays of cells, or records: then the first line has the columns' names, sorted
-- @option columns  the columns of records and their order (a list of names; default: all, sorted)
-- @return  the file's path; nil, why and "local", when it cannot be written
-- @example
--   csv.write("figures.csv", { { "round", "seconds" }, { 1, 0.25 }, { 2, 0.24 } })
function csv.write(path, rows, opts)
    local text = encode(rows, opts, "csv.write")
    local full, problem = paths.try_writable(path, "csv.write")
    if not full then return nil, problem, "local" end
    local file, why = io.open(full, "wb")
    if not file then return nil, why, "local" end
    local written, early = file:write(text)
    local closed, late = file:close()
    if not (written and closed) then return nil, early or late, "local" end
    return full
end

return csv
