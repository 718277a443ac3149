-- SPDX-License-Identifier: MIT
-- Files that are written whole or not at all: beside their place, which they take when all has been written.

local output = {}

-- fn's error, or what it gives.
local function fill(file, fn)
    local ok, why = pcall(fn, file)
    local closed, late = file:close() -- which writes what was kept
    if not ok then return tostring(why) end
    return why or not closed and late or nil
end

--- output.replace(path, fn) -> path; or nil and why: fn(file) writes, and returns nil, or why it could not.
function output.replace(path, fn)
    local part = path .. ".part"
    local file, why = io.open(part, "wb")
    if not file then return nil, why end
    file:setvbuf("full", 1 << 16)
    why = fill(file, fn)
    local renamed, problem
    if not why then renamed, problem = os.rename(part, path) end
    if renamed then return path end
    os.remove(part)
    return nil, why or problem
end

return output
