-- SPDX-License-Identifier: MIT
-- A smaller list that still fails: delta debugging (Zeller & Hildebrandt, "Simplifying and Isolating Failure-Inducing
-- Input", IEEE Trans. Softw. Eng. 28(2), 2002, algorithm ddmin), and shorter durations.

local minimise = {}

-- Below this a fault is not shortened, in seconds.
local SHORTEST = 0.01

-- The list cut in n parts of about the same length: { first, last } of each.
local function parts_of(list, n)
    local parts, from = {}, 1
    for i = 1, n do
        local to = #list * i // n
        parts[i] = { from, to }
        from = to + 1
    end
    return parts
end

local function subset(list, part) return table.move(list, part[1], part[2], 1, {}) end

local function complement(list, part)
    local rest = table.move(list, 1, part[1] - 1, 1, {})
    return table.move(list, part[2] + 1, #list, #rest + 1, rest)
end

-- The first candidate that fails.
local function first_failing(list, parts, make, fails)
    for _, part in ipairs(parts) do
        local candidate = make(list, part)
        if fails(candidate) then return candidate end
    end
end

--- ddmin(list, fails) -> list: a part of it, in its order, that fails, and of which none with one item less does. `list` must
--- fail itself; fails(list) -> whether it does, and may be called with the same twice.
function minimise.ddmin(list, fails)
    local n = 2
    while #list >= 2 do
        local parts = parts_of(list, n)
        local reduced = first_failing(list, parts, subset, fails)
        if reduced then
            list, n = reduced, 2
        else
            reduced = n > 2 and first_failing(list, parts, complement, fails) -- of two, each is the other's
            if reduced then
                list, n = reduced, n - 1
            elseif n >= #list then
                break
            else
                n = math.min(2 * n, #list)
            end
        end
    end
    if #list == 1 and fails {} then return {} end
    return list
end

local function with(list, i, item)
    local copy = table.move(list, 1, #list, 1, {})
    copy[i] = item
    return copy
end

--- replace(list, fails, shorter) -> list: as long as it fails, each item is replaced by what shorter(item) gives, if it does.
function minimise.replace(list, fails, shorter)
    for i = 1, #list do
        local item = shorter(list[i])
        while item and fails(with(list, i, item)) do
            list = with(list, i, item)
            item = shorter(item)
        end
    end
    return list
end

--- A fault that lasts half as long, to the millisecond; nil when it has no duration, or is short already.
function minimise.halve(fault)
    local half = fault.lasts and math.floor(fault.lasts * 500 + 0.5) / 1000
    if not half or half < SHORTEST then return nil end
    local copy = {}
    for key, value in pairs(fault) do copy[key] = value end
    copy.lasts = half
    return copy
end

return minimise
