-- SPDX-License-Identifier: MIT
-- The ends of the consoles of a run's machines, out of the logs in its folder.

local core = require "qemunet.core"

local tails = {}

local BYTES, LINES, NODES = 4000, 12, 16

local function read_end(path)
    local file = io.open(path, "rb")
    if not file then return "" end
    local size = file:seek("end")
    file:seek("set", math.max(0, size - BYTES))
    local text = file:read("a") or ""
    file:close()
    return text
end

-- Without what would move a terminal's cursor or change its colours.
local function plain(text)
    return (text:gsub("\27%[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]", ""):gsub("\r", ""):gsub("[^\n\t\x20-\x7e\x80-\xff]", function(c)
        return ("\\x%02x"):format(c:byte())
    end))
end

local function last_lines(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
    return table.concat(lines, "\n", math.max(1, #lines - LINES + 1))
end

--- The list of { node =, text = } of a run's folder (nil: there is none); machines that said nothing are not in it. `wanted`:
--- fn(name) -> whether that machine's is (default: all are).
function tails.read(folder, wanted)
    local names, list = folder and core.names(folder .. "/console") or {}, {}
    table.sort(names)
    for _, name in ipairs(names) do
        local node = name:match("^(.*)%.log$")
        if node and #list < NODES and (not wanted or wanted(node)) then
            local text = last_lines(plain(read_end(("%s/console/%s"):format(folder, name))))
            if text ~= "" then list[#list + 1] = { node = node, text = text } end
        end
    end
    return list
end

return tails
