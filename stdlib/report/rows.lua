-- SPDX-License-Identifier: MIT
-- What a run measured over time, series.csv and links.csv, as arrays of JSON in a page, within bounds.

local csv = require "qemunet.csv"
local thinning = require "qemunet.report.thinning"

local rows = {}

--- rows.series(out, folder, limit) -> { list, total, every }, as thinning.series() says: puts [[number, t, value], ...].
function rows.series(out, folder, limit)
    out:put("[")
    local n = 0
    local list, total, every = thinning.series(folder .. "/series.csv", function(number, t, value)
        out:put(n > 0 and ",[" or "[", number, ",", t, ",", value, "]")
        n = n + 1
        out:rest()
    end, limit)
    out:put("]")
    return { list = list, total = total, every = every }
end

local TIMES, COUNTS = "([%d.]+),([%d.]+)", "(%d+,%d+,%d+,%d+,%d+,[%d.e+-]+,[%d.e+-]*%d)"
local LINK_ROW = ("^%s,(.+),(%%l%%l),%s\r?$"):format(TIMES, COUNTS)

-- A row of links.csv: its times, the link's name, which direction, and sent, delivered, bytes, lost, queue, delays. One that
-- broke off, as on a full disk, is none.
local function link_row(row)
    local t, interval, name, way, counts = row:match(LINK_ROW)
    if t then return t, interval, csv.cells(name)[1] or "", way == "ba" and 1 or 0, counts end
end

local function count_rows(path)
    local n = 0
    local file <close> = io.open(path, "rb")
    for _ in thinning.rows(file) do n = n + 1 end
    return n
end

local function figures(text)
    local list = {}
    for word in text:gmatch("[^,]+") do list[#list + 1] = tonumber(word) or 0 end
    return list
end

local DELIVERED, QUEUE, MEAN, MAX = 2, 5, 6, 7

-- Adds an interval to those before it: sums, the longest queue, and delays over all that was delivered.
local function join(sum, counts)
    local delivered = sum[DELIVERED] + counts[DELIVERED]
    local mean = delivered > 0 and (sum[MEAN] * sum[DELIVERED] + counts[MEAN] * counts[DELIVERED]) / delivered or 0
    for i = 1, QUEUE - 1 do sum[i] = sum[i] + counts[i] end
    sum[QUEUE], sum[MEAN], sum[MAX] = math.max(sum[QUEUE], counts[QUEUE]), mean, math.max(sum[MAX], counts[MAX])
end

-- Calls put(t, interval, name, way, counts) for `every` rows of a direction in one, and at the end what is left.
local function joining(every, put)
    if every == 1 then return put, function() end end
    local open = {}
    local function close(one)
        for i, v in ipairs(one.sum) do one.sum[i] = ("%.9g"):format(v) end
        put(one.t, ("%.6g"):format(one.to - one.t), one.name, one.way, table.concat(one.sum, ","))
        open[one.key] = nil
    end
    local function add(t, interval, name, way, counts)
        local key = way .. name
        local one = open[key]
        if one then
            join(one.sum, figures(counts))
        else
            one = { key = key, t = t, name = name, way = way, sum = figures(counts), n = 0 }
            open[key] = one
        end
        one.n, one.to = one.n + 1, t + interval
        if one.n == every then close(one) end
    end
    return add, function()
        local left = {}
        for key in pairs(open) do left[#left + 1] = key end
        table.sort(left)
        for _, key in ipairs(left) do close(open[key]) end
    end
end

--- rows.links(out, folder, limit, source) -> the links' names, how many rows became one: puts [[t, interval, number of the
--- link, direction, counts ...], ...]; of more than `limit` rows, several in one. `source`: an iterator over the rows, in place
--- of links.csv.
function rows.links(out, folder, limit, source)
    local path = folder .. "/links.csv"
    local names, numbers, n = {}, {}, 0
    local every = limit and math.ceil(math.max(1, count_rows(path)) / limit) or 1
    local add, finish = joining(every, function(t, interval, name, way, counts)
        if not numbers[name] then names[#names + 1], numbers[name] = name, #names end
        out:put(n > 0 and ",[" or "[", t, ",", interval, ",", numbers[name], ",", way, ",", counts, "]")
        n = n + 1
    end)
    out:put("[")
    local file <close> = io.open(path, "rb")
    for row in source or thinning.rows(file) do
        local t, interval, name, way, counts = link_row(row)
        if t then add(t, interval, name, way, counts) end
        out:rest()
    end
    finish()
    out:put("]")
    return names, every
end

return rows
