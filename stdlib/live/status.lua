-- SPDX-License-Identifier: MIT
-- The status of a run, in a few lines below its output: time, nodes, links with their rates and losses, commands that run.

local core = require "qemunet.core"
local job = require "qemunet.nodes.job"
local state = require "qemunet.live.state"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"

local status = {}

-- Lines of each, at most.
local LINKS, COMMANDS = 2, 3

local function rate(bytes, span) return units.format_rate(math.floor(bytes * 8 / span)) end

local function lost(frames, span) return frames > 0 and (", %.0f lost/s"):format(math.ceil(frames / span)) or "" end

-- Those on which something happens, the busiest first, and what they carry and lose together.
local function busy_links()
    local recent, span = core.link_recent()
    local list, bytes, drops = {}, 0, 0
    for _, link in ipairs(next(recent) and testbed.links() or {}) do
        local sums = recent[link.id]
        if sums then
            local entry = { link = link, ab = sums.ab or 0, ba = sums.ba or 0, lost = sums.lost or 0, place = #list }
            list[#list + 1] = entry
            bytes, drops = bytes + entry.ab + entry.ba, drops + entry.lost
        end
    end
    table.sort(list, function(a, b)
        local x, y = a.ab + a.ba, b.ab + b.ba
        if x ~= y then return x > y end
        return a.place < b.place
    end)
    return list, span, bytes, drops
end

local function link_line(entry, span)
    return ("          %s: ab %s, ba %s%s"):format(entry.link.name, rate(entry.ab, span), rate(entry.ba, span),
        lost(entry.lost, span))
end

local function head(busy, span, bytes, drops, n_running)
    local parts = { units.format_clock(core.now()), state.nodes_text() }
    local n = #testbed.links()
    if n > 0 then
        parts[#parts + 1] = text.count(n, "link") .. (#busy > 0 and (": %s%s"):format(rate(bytes, span), lost(drops, span)) or "")
    end
    if n_running > 0 then parts[#parts + 1] = text.count(n_running, "command") end
    return ("%6s    %s"):format(parts[1], table.concat(parts, "; ", 2))
end

--- status.lines() -> text, or nil where there is nothing to say yet.
function status.lines()
    if #testbed.nodes() == 0 then return nil end
    local busy, span, bytes, drops = busy_links()
    local running, now = job.running(), core.now()
    local lines = { head(busy, span, bytes, drops, #running) }
    for i = 1, math.min(LINKS, #busy) do lines[#lines + 1] = link_line(busy[i], span) end
    for i = 1, math.min(COMMANDS, #running) do
        lines[#lines + 1] = ("%6.1f s  %s"):format(now - running[i].since, running[i].text)
    end
    if #running > COMMANDS then lines[#lines + 1] = ("          and %d more"):format(#running - COMMANDS) end
    return table.concat(lines, "\n")
end

return status
