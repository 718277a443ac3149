-- SPDX-License-Identifier: MIT
-- Files that say how nodes move: ns-2's (setdest) and BonnMotion's. Each reader returns a list with a way for each node, or
-- nil and what is wrong, as "file:line: ...". A way is a flat list t, x, y, t, x, y, ...: it goes straight, at constant
-- speed, from each of these points to the next, and jumps where two have the same time.

local input = require "qemunet.input"

local mobility_traces = {}

local MAX_NODES = 65535
-- What the fabric takes, with room: three years, 1e9 m, 1e9 m/s.
local MAX_TIME, MAX_PLACE, MAX_SPEED = 1e8, 1e9, 1e9

-- A plain decimal number of at most `max`.
local function number(text, what, max)
    local value = input.number(text)
    if not value then return nil, ("%s: want a number, not %s"):format(what, input.quote(text)) end
    if math.abs(value) > max then return nil, ("%s: %s is out of range"):format(what, input.quote(text)) end
    return value + 0.0
end

local function time(text)
    local value, why = number(text, "time", MAX_TIME)
    if value and value < 0 then return nil, ("time: %s is negative"):format(input.quote(text)) end
    return value, why
end

local function each_line(path, fn)
    return input.parse(path, function(text) return input.each_line(text, path, fn) end)
end

local function speed_problem(seconds, x1, y1, x2, y2)
    local speed = seconds > 0 and math.sqrt((x2 - x1) ^ 2 + (y2 - y1) ^ 2) / seconds or 0
    if speed > MAX_SPEED then return ("it would go at %g m/s"):format(speed) end
end

-- One line of BonnMotion's; returns the way, or nil and what is wrong.
local function read_way(line)
    local way = {}
    for word in line:gmatch("%S+") do
        local n, value, why = #way
        if n % 3 == 0 then value, why = time(word) else value, why = number(word, n % 3 == 1 and "x" or "y", MAX_PLACE) end
        if not value then return nil, why end
        way[n + 1] = value
    end
    if #way % 3 ~= 0 then return nil, ("want triples of time, x and y, not %d numbers"):format(#way) end
    for i = 4, #way, 3 do
        if way[i] < way[i - 3] then
            return nil, ("time %g comes after %g: want time, x and y in two dimensions"):format(way[i], way[i - 3])
        end
        local wrong = speed_problem(way[i] - way[i - 3], way[i - 2], way[i - 1], way[i + 1], way[i + 2])
        if wrong then return nil, wrong end
    end
    return way
end

--- BonnMotion's own format (.movements): a line for each node, with time, x and y of each of its waypoints.
function mobility_traces.bonnmotion(path)
    local ways = {}
    local ok, why = each_line(path, function(line)
        if #ways == MAX_NODES then return ("more than %d nodes"):format(MAX_NODES) end
        local way, wrong = read_way(line)
        if not way then return wrong end
        ways[#ways + 1] = way
    end)
    if not ok then return nil, why end
    if #ways == 0 then return nil, path .. ": there is nothing in it" end
    return ways
end

-- The commands of a line of Tcl, which ";" separates; that in quotes does not count.
local function commands(line)
    local hidden = line:gsub('"[^"]*"', function(quoted) return (quoted:gsub(";", "\0")) end)
    local list = {}
    for command in hidden:gmatch("[^;]+") do
        list[#list + 1] = input.trim(command:gsub("\0", ";"))
    end
    return list
end

-- The node of a number, made if need be.
local function ns2_node(nodes, text)
    local index = #text <= 9 and math.tointeger(tonumber(text))
    if not index or index >= MAX_NODES then return nil, ("node %s: there are at most %d"):format(input.quote(text), MAX_NODES) end
    nodes.count = math.max(nodes.count, index + 1)
    local found = nodes[index] or { x = 0.0, y = 0.0, events = {} }
    nodes[index] = found
    return found
end

local function add_event(found, event)
    local list = found.events
    event.order = #list
    list[#list + 1] = event
end

local AXES = { X_ = "x", Y_ = "y", Z_ = "z" }

-- "set X_ 1" of a node; `at` nil: before the start. Returns what is wrong, or nil.
local function ns2_set(found, axis, text, at, line)
    local value, why = number(text, axis, MAX_PLACE)
    if not value then return why end
    if at then add_event(found, { t = at, line = line, [AXES[axis]] = value }) else found[AXES[axis]] = value end
end

local function ns2_setdest(found, words, at, line)
    local x, why_x = number(words[1], "x", MAX_PLACE)
    local y, why_y = number(words[2], "y", MAX_PLACE)
    local speed, why_speed = number(words[3], "speed", MAX_SPEED)
    if not (x and y and speed) then return why_x or why_y or why_speed end
    if speed < 0 then return ("speed: %s is negative"):format(input.quote(words[3])) end
    add_event(found, { t = at, line = line, to_x = x, to_y = y, speed = speed })
end

local NOT_KNOWN = 'want $node_(N) set X_ METRES, or $ns_ at TIME "$node_(N) setdest X Y SPEED", not '

-- What a node is told, at a time or before the start. Returns what is wrong, or nil.
local function ns2_order(nodes, text, at, line)
    local index, rest = text:match("^%$node_?%(%s*(%d+)%s*%)%s+(.*)$")
    local axis, value = (rest or ""):match("^set%s+([XYZ]_)%s+(%S+)$")
    local words = { (rest or ""):match("^setdest%s+(%S+)%s+(%S+)%s+(%S+)$") }
    if not axis and not (at and words[1]) then return NOT_KNOWN .. input.quote(text) end
    local found, why = ns2_node(nodes, index)
    if not found then return why end
    if axis then return ns2_set(found, axis, value, at, line) end
    return ns2_setdest(found, words, at, line)
end

local function ns2_command(nodes, text, line)
    if text == "" or text:find("^#") or text:find("^%$god_?%s") then return nil end
    local at, quoted = text:match('^%$ns_?%s+at%s+(%S+)%s+"(.*)"$')
    if not at then return ns2_order(nodes, text, nil, line) end
    local order = input.trim(quoted)
    local seconds, why = time(at)
    if not seconds then return why end
    if order:find("^%$god_?%s") then return nil end
    return ns2_order(nodes, order, seconds, line)
end

-- Follows a node through its events, in the order of their times. Returns its way, or nil, the line and what is wrong there.
local function follow(found)
    local way, x, y = { 0.0, found.x, found.y }, found.x, found.y
    local from, to -- the way that it is on: {t, x, y} of its start and end
    local function point(t)
        way[#way + 1], way[#way + 2], way[#way + 3] = t, x, y
    end
    -- Where it is at t, on the way or behind it.
    local function advance(t)
        if to and t >= to.t then
            x, y = to.x, to.y
            point(to.t)
            from, to = nil, nil
        elseif to then
            local part = (t - from.t) / (to.t - from.t)
            x, y = from.x + part * (to.x - from.x), from.y + part * (to.y - from.y)
        end
    end
    table.sort(found.events, function(a, b) return a.t < b.t or a.t == b.t and a.order < b.order end)
    for _, event in ipairs(found.events) do
        advance(event.t)
        point(event.t)
        from, to = nil, nil
        if event.speed then
            local distance = math.sqrt((event.to_x - x) ^ 2 + (event.to_y - y) ^ 2)
            local seconds = event.speed > 0 and distance / event.speed or 0
            if event.t + seconds > MAX_TIME then return nil, event.line, ("it would take %g s"):format(seconds) end
            if seconds > 0 then
                from, to = { t = event.t, x = x, y = y }, { t = event.t + seconds, x = event.to_x, y = event.to_y }
            end
        else
            x, y = event.x or x, event.y or y
            point(event.t)
        end
    end
    advance(math.huge)
    return way
end

--- A movement file of ns-2, as its setdest and BonnMotion's NSFile write it. A node that a new order meets on its way goes
--- on from where it is; speed 0 halts it, and so does a place that is set. Heights, $god_ and comments do not matter. The
--- way of a node that the file leaves out is empty.
function mobility_traces.ns2(path)
    local nodes = { count = 0 }
    local ok, why = each_line(path, function(line, number_of_line)
        for _, command in ipairs(commands(line)) do
            local wrong = ns2_command(nodes, command, number_of_line)
            if wrong then return wrong end
        end
    end)
    if not ok then return nil, why end
    if nodes.count == 0 then return nil, path .. ": there is no node in it" end
    local ways = {}
    for i = 0, nodes.count - 1 do
        local way, line, wrong = {}, nil, nil
        if nodes[i] then way, line, wrong = follow(nodes[i]) end
        if not way then return nil, ("%s:%d: %s"):format(path, line, wrong) end
        ways[i + 1] = way
    end
    return ways
end

return mobility_traces
