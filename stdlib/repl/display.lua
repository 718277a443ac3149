-- SPDX-License-Identifier: MIT
-- Values as a prompt shows them: what a person wants to know of each kind, on few lines.

local inspect = require "qemunet.inspect"
local link = require "qemunet.network.link"
local node = require "qemunet.nodes.node"

local display = {}

local SHOWN = { depth = 4, max = 200, string = 2000, width = 100 }
local MOST_LINES = 200

-- Text without what a terminal would obey.
local function printable(text)
    return (text:gsub("\r\n", "\n"):gsub("[\0-\8\11-\31\127]", function(c) return ("\\x%02X"):format(c:byte()) end))
end

-- The first lines of a text, each behind `indent`.
local function lines_of(text, indent)
    local lines, total = {}, 0
    for line in printable(text):gsub("\n$", ""):gmatch("[^\n]*") do
        total = total + 1
        if total <= MOST_LINES then lines[total] = indent .. line end
    end
    if total > MOST_LINES then lines[#lines + 1] = ("%s... (%d more lines)"):format(indent, total - MOST_LINES) end
    return table.concat(lines, "\n")
end

local function node_text(n)
    local lines = { tostring(n) }
    for _, nic in ipairs(n.nics) do
        lines[#lines + 1] = ("  %s  %s  %s"):format(nic.ifname, nic.ip or "no address", tostring(nic.link))
    end
    return table.concat(lines, "\n")
end

local function direction_text(way, config)
    if next(config.values) == nil then return ("  %s: no delay, no loss"):format(way) end
    return ("  %s: %s"):format(way, inspect(config.values, SHOWN))
end

local function link_text(l)
    local lines = { ("%s: %s -- %s"):format(tostring(l), tostring(l.a), tostring(l.b)) }
    lines[2], lines[3] = direction_text("ab", l.config.ab), direction_text("ba", l.config.ba)
    return table.concat(lines, "\n")
end

local function result_text(result)
    local lines = { tostring(result) }
    for _, stream in ipairs { "stdout", "stderr" } do
        if result[stream] ~= "" then lines[#lines + 1] = ("  %s:\n%s"):format(stream, lines_of(result[stream], "    ")) end
    end
    return table.concat(lines, "\n")
end

local function string_text(s)
    if utf8.len(s) and s:find("\n", 1, true) then return lines_of(s, "") end
    return inspect.quote(s, SHOWN.string)
end

local function is_result(v)
    local meta = debug.getmetatable(v)
    return type(v) == "table" and meta ~= nil and rawget(meta, "__name") == "result"
end

--- The value as text, bounded in size; raises nothing.
function display.text(v)
    if type(v) == "string" then return string_text(v) end
    local describe = node.is(v) and node_text or link.is_link(v) and link_text or is_result(v) and result_text
    if describe then
        local ok, text = pcall(describe, v)
        if ok then return text end
    end
    return inspect(v, SHOWN)
end

return display
