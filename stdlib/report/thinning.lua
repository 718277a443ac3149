-- SPDX-License-Identifier: MIT
-- The files of a run as the report holds them: read line by line, and of what is too much only a part.

local core = require "qemunet.core"
local csv = require "qemunet.csv"

local thinning = {}

-- Bytes of events, and values of series, that a page takes.
thinning.EVENTS, thinning.VALUES = 24 << 20, 200000

-- A line that is longer is left out: bytes.
thinning.LINE = 1 << 20

-- Of the bytes, what is planned with: lines are not evenly long.
local MARGIN = 0.95

-- Events that many can be of; what is left out is from these.
local MANY = { command = true, console = true, packet = true, qmp = true, move = true, ns3 = true, task = true }

local function kind_of(line) return line:match('"kind": ?"(%w+)"') or "?" end

-- Of a command or a task that failed, more is wanted than of the others.
local function is_bulk(line)
    local kind = kind_of(line)
    if not MANY[kind] then return false end
    if kind == "command" then return line:find('"status": ?0[,}]') ~= nil end
    return not line:find('"ended": ?"failed"')
end

-- Lines of a file that look like whole ones, from where it is on, each with where in the file the next one begins; false for
-- one behind which none can, as its end is not there yet.
local function json_lines(file)
    return coroutine.wrap(function()
        local at = file:seek()
        for line in file:lines("L") do
            local is_ended = line:sub(-1) == "\n"
            local text = is_ended and line:sub(1, -2) or line
            at = at + #line
            if text:sub(1, 1) == "{" and text:sub(-1) == "}" then coroutine.yield(text, is_ended and at) end
        end
    end)
end

-- After so many lines, whoever else waits has a turn.
local REST = 10000

local function resting(next_line)
    local n = 0
    return function()
        n = n + 1
        if n % REST == 0 then core.wait({}, 0) end
        return next_line()
    end
end

local function bulk_size(path)
    local bulk, size = 0, 0
    local file <close> = assert(io.open(path, "rb"))
    for line in resting(json_lines(file)) do
        size = size + #line
        if is_bulk(line) then bulk = bulk + #line end
    end
    return bulk, size
end

-- Which part of the bulk a page takes.
local function share_of(path)
    local bulk, size = bulk_size(path)
    return bulk > 0 and math.max(0, (thinning.EVENTS * MARGIN - (size - bulk)) / bulk) or 1
end

--- thinning.events(path, put, from) -> how many there are, how many were left out, which byte the next begin at: calls put(line)
--- for each line of events.jsonl, as long as they are not too many: then, of those that many can be of, for a part of them,
--- evenly. put may return how many bytes the line takes. `from`: only those from that byte on, in a file that grows; if they are
--- too many in all, that is of no use: they are a part of all, and 0 comes third.
function thinning.events(path, put, from)
    local file <close> = io.open(path, "rb")
    if not file then return 0, 0, 0 end
    local size, total, left_out, share, due, room = file:seek("end"), 0, 0, 1, 1, thinning.EVENTS
    local is_part, to = size > room, from and from <= size and from or 0
    if is_part then share, to = share_of(path), 0 end
    file:seek("set", to)
    for line, next_at in json_lines(file) do
        if from and not next_at then break end
        to, total = next_at, total + 1
        local bulk = share < 1 and is_bulk(line)
        if bulk then due = due + share end
        if #line > thinning.LINE or #line > room or bulk and due < 1 then
            left_out = left_out + 1
        else
            if bulk then due = due - 1 end
            room = room - (put(line) or #line)
        end
    end
    return total, left_out, not is_part and to or 0
end

local function rows_of(file) return resting(csv.rows(file and file:lines() or function() end)) end

-- Time, name and unit as cells, value; nil for what is no row of series.csv, or broke off, as on a full disk.
local function split(row)
    local t, head, value = row:match("^(%-?[%d.]+),(.*),(%-?[%d.eE+-]*%d)\r?$")
    if t and tonumber(t) and tonumber(value) then return t, head, value end
end

-- The series in the order in which they begin: { name, unit, count }, and by their heads.
local function count_series(path)
    local list, by_head, total = {}, {}, 0
    local file <close> = io.open(path, "rb")
    for row in rows_of(file) do
        local _, head = split(row)
        if head then
            local one = by_head[head]
            if not one then
                local cells = csv.cells(head)
                one = { name = cells[1] or "", unit = cells[2] or "", count = 0, number = #list }
                by_head[head], list[#list + 1] = one, one
            end
            one.count, total = one.count + 1, total + 1
        end
    end
    return list, by_head, total
end

-- Of so many values in a row, the least and the greatest are kept, in their order.
local function keep_extremes(one, t, value, put)
    local number = tonumber(value)
    local group = one.group or { n = 0 }
    one.group, group.n = group, group.n + 1
    if not group.low or number < group.low then group.low, group.low_at, group.low_n = number, t, group.n end
    if not group.high or number > group.high then group.high, group.high_at, group.high_n = number, t, group.n end
    if group.n < one.every and group.n < one.rest then return end
    one.rest, one.group = one.rest - group.n, nil
    local first_low = group.low_n <= group.high_n
    local points = { { group.low_at, group.low }, { group.high_at, group.high } }
    for _, point in ipairs(first_low and points or { points[2], points[1] }) do put(one.number, point[1], point[2]) end
end

--- thinning.rows(file) -> iterator over the rows of a file of comma-separated values; of nil, none.
thinning.rows = rows_of

--- thinning.series(path, put, limit) -> list, how many values there are, how many groups of a series became two each: calls
--- put(number of the series, time, value as a number or its text) for the values of series.csv, in their order. `list`:
--- { { name, unit, count }, ... } by number, from 0 on. `limit`: how many values at most, about.
function thinning.series(path, put, limit)
    limit = limit or thinning.VALUES
    local list, by_head, total = count_series(path)
    local every = total > limit and math.ceil(2 * total / limit) or 1
    for _, one in ipairs(list) do one.every, one.rest = every, one.count end
    local file <close> = io.open(path, "rb")
    for row in rows_of(file) do
        local t, head, value = split(row)
        local one = head and by_head[head]
        if one and every > 1 then
            keep_extremes(one, t, value, put)
        elseif one then
            put(one.number, t, value)
        end
    end
    return list, total, every
end

return thinning
