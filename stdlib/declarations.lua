-- SPDX-License-Identifier: MIT
-- Which test of a suite declared what. A test may declare again what an earlier one declared, most often in a setup: then all that
-- the earlier test declared goes first, and what the file's main part declared stays for all tests.

local declarations = {}

-- What the running test has declared, in order: {object, remove} each; nil while none runs. Whose an object is.
local current
local owners = setmetatable({}, { __mode = "k" })

--- What is declared from here on is a new test's.
function declarations.begin_test() current = {} end

--- No test runs any more.
function declarations.reset()
    current, owners = nil, setmetatable({}, { __mode = "k" })
end

--- Notes that an object was declared, and that remove(object) takes it away, without waiting.
function declarations.add(object, remove)
    if not current then return end
    owners[object] = current
    table.insert(current, { object, remove })
end

--- Takes away all that the test of an object declared, when that test is over. Returns whether it did.
function declarations.make_way(object)
    local list = owners[object]
    if not list or not current or list == current then return false end
    for i = #list, 1, -1 do
        local old, remove = table.unpack(list[i])
        owners[old] = nil
        remove(old)
    end
    return true
end

return declarations
