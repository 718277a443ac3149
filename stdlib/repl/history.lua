-- SPDX-License-Identifier: MIT
-- The lines of earlier sessions: $XDG_STATE_HOME/qemunet/history. Each is added to the file as it is typed, so that sessions
-- beside each other keep theirs both. Where it cannot be written, there is none.

local core = require "qemunet.core"

local history = {}

-- Lines that a session begins with; when the file has twice as many, the older ones go.
local MOST = 1000

local function folder()
    local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
    if state and state:sub(1, 1) == "/" then return state .. "/qemunet" end
    return home and home:sub(1, 1) == "/" and home .. "/.local/state/qemunet"
end

local function lines_of(path)
    local list, file = {}, io.open(path, "r")
    if not file then return list end
    for line in file:lines() do list[#list + 1] = line end
    file:close()
    return list
end

local function latest(list) return table.move(list, math.max(1, #list - MOST + 1), #list, 1, {}) end

-- Puts a shorter file in the place of the old one, whole or not at all.
local function replace(path, list)
    local own = ("%s.%d"):format(path, core.random_seed())
    local file = io.open(own, "w")
    if not file then return end
    core.chmod(own, tonumber("600", 8))
    file:write(table.concat(list, "\n"), "\n")
    if not file:close() or not os.rename(own, path) then os.remove(own) end
end

local path

--- The lines of earlier sessions, the oldest first.
function history.read()
    local where = folder()
    path = where and core.make_folder(where) and where .. "/history"
    if not path then return {} end
    local list = lines_of(path)
    if #list <= 2 * MOST then return latest(list) end
    list = latest(list)
    replace(path, list)
    return list
end

--- Adds a line.
function history.add(line)
    local file = path and io.open(path, "a")
    if not file then return end
    file:write(line, "\n")
    file:close()
    core.chmod(path, tonumber("600", 8))
end

return history
