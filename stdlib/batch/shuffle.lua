-- SPDX-License-Identifier: MIT
-- An order that follows from a seed, and for any two from nothing but them and the seed: whatever else is in the list, both
-- come in the same order.

local core = require "qemunet.core"

local function digest(text)
    local sum = core.sum()
    sum:add(text)
    return sum:text()
end

--- A copy of the list in the order of `seed`. `name`: fn(item) -> a text that no other item has.
return function(list, seed, name)
    local keys, copy = {}, {}
    for i, item in ipairs(list) do
        copy[i], keys[item] = item, digest(("%d\0%s"):format(seed, name(item)))
    end
    table.sort(copy, function(a, b) return keys[a] < keys[b] end)
    return copy
end
