-- SPDX-License-Identifier: MIT
-- qemunet ps: the runs of this user that are under way.

local core = require "qemunet.core"
local inspect = require "qemunet.inspect"
local runs = require "qemunet.live.runs"
local text = require "qemunet.text"
local units = require "qemunet.units"

local ps = {}

-- A name of a file may hold anything; a terminal obeys some of it.
local function plain(name) return name:find("%c") and inspect.quote(name) or name end

local function row(run)
    local state = run.state
    if not state then return { run.pid, "?", run.problem, "", "", "" } end
    return { run.pid, units.format_clock(state.t), state.summary ~= "" and state.summary or "none", state.verdict,
        plain(state.file or "?"), plain(state.folder or "?") }
end

-- As JSON a list of what each says of itself.
local function print_json(list)
    local said = setmetatable({}, { __jsontype = "array" })
    for i, run in ipairs(list) do said[i] = run.state or { pid = run.pid, problem = run.problem } end
    print(core.json_encode(said))
end

--- Lists them, as a table for people or as JSON. Raises for errors.try().
function ps.show(as_json)
    local list = runs.list()
    if as_json then return print_json(list) end
    if #list == 0 then return print("no experiment of this user is running") end
    local rows = { { "PID", "TIME", "NODES", "SO FAR", "FILE", "FOLDER" } }
    for _, run in ipairs(list) do rows[#rows + 1] = row(run) end
    print(text.columns(rows, { align = { "left", "right" } }))
end

return ps
