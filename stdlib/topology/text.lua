-- SPDX-License-Identifier: MIT
-- The topology files that are lines of words: those of the generators Inet 3.0 and Orbis, and Rocketfuel's maps, weights and
-- latencies. Each reader takes a text into a graph (see graph.new), and returns true, or nil and "file:line: what".

local input = require "qemunet.input"

local readers = {}

-- Inet (Winick and Jamin, "Inet-3.0", 2002): "nodes links"; then for each node "id x y", its place on a plane; then for each
-- link "id id weight", which is its length there. No unit is given. A length is taken as km here: the plane, 10,000 wide,
-- then has about the size of a hemisphere.
local INET_UNIT = 1000 -- m

local function inet_node(g, words, line)
    local x, y = input.number(words[2] or ""), input.number(words[3] or "")
    if #words ~= 3 or not input.whole(words[1]) or not x or not y then return 'want a node: "id x y"' end
    local node, why = g:add_node(words[1], line)
    if not node then return why end
    node.x, node.y = x, y
end

local function inet_link(g, words, line)
    local weight = input.number(words[3] or "")
    if #words ~= 3 or not input.whole(words[1]) or not input.whole(words[2]) or not weight then
        return 'want a link: "id id weight"'
    end
    if weight < 0 then return ("weight %s is below 0"):format(words[3]) end
    for i = 1, 2 do
        if not g.by_id[words[i]] then return ("there is no node %s"):format(input.quote(words[i])) end
    end
    local edge, why = g:add_edge(words[1], words[2], line)
    if not edge then return why end
    edge.attributes.weight, edge.distance = weight, weight * INET_UNIT
end

function readers.inet(text, g)
    local nodes, links
    local lines, why = input.each_line(text, g.file, function(line, number)
        local words = input.words(line)
        if not nodes then
            nodes, links = input.whole(words[1]), input.whole(words[2] or "")
            if #words ~= 2 or not nodes or not links then return 'want the numbers of nodes and links: "10 9"' end
        elseif #g.nodes < nodes then
            return inet_node(g, words, number)
        elseif #g.edges < links then
            return inet_link(g, words, number)
        else
            return ("this is more than the %d nodes and %d links that are to come"):format(nodes, links)
        end
    end)
    if not lines then return nil, why end
    if not nodes then return true end
    if #g.nodes < nodes or #g.edges < links then
        return nil, g:problem(lines, ("it ends after %d of %d nodes and %d of %d links"):format(#g.nodes, nodes, #g.edges,
            links))
    end
    return true
end

-- Orbis (Mahadevan et al., "Orbis: rescaling degree correlations to generate annotated Internet topologies", SIGCOMM 2007):
-- "id id" for each link.
function readers.orbis(text, g)
    g.listed_twice = true
    local lines, why = input.each_line(text, g.file, function(line, number)
        local words = input.words(line)
        if #words ~= 2 or not input.whole(words[1]) or not input.whole(words[2]) then return 'want a link: "id id"' end
        local edge, problem = g:add_pair(words[1], words[2], number)
        return not edge and problem or nil
    end)
    return lines and true, why
end

-- Rocketfuel (Spring, Mahajan and Wetherall, "Measuring ISP topologies with Rocketfuel", SIGCOMM 2002) has spaces as "+".
local function spaced(text) return (text:gsub("%+", " ")) end

-- A map (.cch). A router of the network:
--     uid @location [+] [bb] (neighbours) [&externals] -> <uid>... {-euid}... =name[!] rN
-- "+": the location is from DNS; bb: of the backbone; N: hops from the network. The counts are those of the whole map, of
-- which a file may have a part. A router outside of it: -euid =address rN.
local Words = {}
Words.__index = Words

-- The next word if the pattern matches it: what it captures.
function Words:take(pattern)
    local found = (self[self.at] or ""):match(pattern)
    if found then self.at = self.at + 1 end
    return found
end

local function neighbours(g, words, from, line, pattern)
    for to in function() return words:take(pattern) end do
        local edge, why = g:add_edge(from, to, line)
        if not edge then return why end
    end
end

local function end_of_map_line(node, words)
    local name, hops = words:take("^=(.+)$"), words:take("^r(%d+)$")
    if not name or not hops or words[words.at] then return 'want "=name rN" at its end' end
    node.attributes.name, node.attributes.hops = name:gsub("!$", ""), input.whole(hops)
    node.label = node.attributes.name
end

local function map_router(g, words, line)
    local uid = words:take("^%d+$")
    local node, why = g:add_node(uid, line)
    if not node then return why end
    local location = words:take("^@(.*)$")
    if not location then return 'want "@location" after the uid' end
    local attributes = node.attributes
    attributes.location, attributes.dns, attributes.backbone = spaced(location), words:take("^%+$") ~= nil,
        words:take("^bb$") ~= nil
    if not words:take("^%(%d+%)$") then return 'want the number of neighbours, as "(3)", after the location' end
    words:take("^&%d+$")
    if not words:take("^%->$") then return 'want "->" before the neighbours' end
    why = neighbours(g, words, uid, line, "^<(%d+)>$") or neighbours(g, words, uid, line, "^{(%-%d+)}$")
    return why or end_of_map_line(node, words)
end

local function map_external(g, words, line)
    local node, why = g:add_node(words:take("^%-%d+$"), line)
    if not node then return why end
    node.external = true
    return end_of_map_line(node, words)
end

-- The routers outside of the network need not have lines of their own.
local function add_missing_externals(g)
    for _, edge in ipairs(g.edges) do
        if edge.to:byte() == 45 and not g.by_id[edge.to] then
            local node, why = g:add_node(edge.to, edge.line)
            if not node then return nil, g:problem(edge.line, why) end
            node.external = true
        end
    end
    return true
end

function readers.map(text, g)
    g.listed_twice = true
    local lines, why = input.each_line(text, g.file, function(line, number)
        local words = setmetatable(input.words(line), Words)
        words.at = 1
        if words[1]:find("^%d+$") then return map_router(g, words, number) end
        if words[1]:find("^%-%d+$") then return map_external(g, words, number) end
        return ('want a router, "uid @location ...", not %s'):format(input.quote(line))
    end)
    if not lines then return nil, why end
    return add_missing_externals(g)
end

-- Lines of "name name number", each link from both ends: `take(edge, number)` keeps the number.
local function read_list(text, g, what, take)
    g.listed_twice = true
    local lines, why = input.each_line(text, g.file, function(line, number)
        local words = input.words(line)
        local value = #words == 3 and input.number(words[3])
        if not value then return ('want a link: "name name %s"'):format(what) end
        if value < 0 then return ("%s %s is below 0"):format(what, words[3]) end
        local edge, problem = g:add_pair(words[1], words[2], number)
        if not edge then return problem end
        take(edge, value)
    end)
    if not lines then return nil, why end
    for _, node in ipairs(g.nodes) do node.label = spaced(node.id) end
    return true
end

-- The weights that were inferred for the links' routing (Mahajan et al., "Inferring link weights using end-to-end
-- measurements", IMW 2002).
function readers.weights(text, g)
    return read_list(text, g, "weight", function(edge, value) edge.attributes.weight = value end)
end

-- The latencies that go with them, one-way, in ms.
function readers.latencies(text, g)
    return read_list(text, g, "latency", function(edge, value)
        edge.attributes.latency, edge.delay = value, value / 1000
    end)
end

return readers
