-- SPDX-License-Identifier: MIT
-- The graph that a topology file describes, as its reader builds it: nodes and edges go in as the file has them, each with
-- its line, and come out checked, with names that are host names, and with what the delays follow from.

local input = require "qemunet.input"

local graph = {}

--- The most nodes and edges that are read.
graph.limits = { nodes = 100000, edges = 1000000 }

local MAX_NAME = 63 -- bytes of a label of a host name: RFC 1035, 2.3.4

-- The Earth's mean radius R1 in m (Moritz, Geodetic Reference System 1980).
local EARTH = 6371008.8
-- Light in fibre: 2/3 of its speed in vacuum, in m/s; the 5 us/km of ITU-T G.114, table A.1.
local FIBRE = 299792458 * 2 / 3

--- The time in seconds that light takes for some metres of fibre.
function graph.fibre_delay(metres) return metres / FIBRE end

--- The great-circle distance in metres between two nodes with latitude and longitude (haversine formula).
function graph.distance(a, b)
    local from, to = math.rad(a.latitude), math.rad(b.latitude)
    local north, east = math.sin((to - from) / 2), math.sin(math.rad(b.longitude - a.longitude) / 2)
    return 2 * EARTH * math.asin(math.min(1, math.sqrt(north * north + math.cos(from) * math.cos(to) * east * east)))
end

-- Names --------------------------------------------------------------------------------------------------------------

-- Letters with marks (Latin-1 and Latin Extended-A) as plain ones.
local PLAIN = {}
for plain, marked in pairs {
    a = "ÀÁÂÃÄÅàáâãäåĀāĂăĄą", ae = "Ææ", c = "ÇçĆćĈĉĊċČč", d = "ÐðĎďĐđ", e = "ÈÉÊËèéêëĒēĔĕĖėĘęĚě", g = "ĜĝĞğĠġĢģ",
    h = "ĤĥĦħ", i = "ÌÍÎÏìíîïĨĩĪīĬĭĮįİı", j = "Ĵĵ", k = "Ķķ", l = "ĹĺĻļĽľĿŀŁł", n = "ÑñŃńŅņŇň", o = "ÒÓÔÕÖØòóôõöøŌōŎŏŐő",
    oe = "Œœ", r = "ŔŕŖŗŘř", s = "ŚśŜŝŞşŠš", ss = "ß", t = "ŢţŤťŦŧ", th = "Þþ", u = "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲų", w = "Ŵŵ",
    y = "ÝýÿŶŷŸ", z = "ŹźŻżŽž",
} do
    for letter in marked:gmatch(utf8.charpattern) do PLAIN[letter] = plain end
end

--- A label as a host name: lower-case letters, digits and "-", a letter first, at most 63 bytes.
function graph.host_name(label)
    local name = label:sub(1, 4 * MAX_NAME):gsub("[\xC3-\xC5][\x80-\xBF]", PLAIN):lower():gsub("[^a-z0-9]+", "-")
    name = name:gsub("^%-", ""):gsub("%-$", "")
    if not name:find("^[a-z]") then name = "n" .. name end
    return (name:sub(1, MAX_NAME):gsub("%-$", ""))
end

-- Gives out each name once: "a", "a-2", "a-3". The counters keep many equal labels from being slow.
local function namer(prefix)
    local used, counters = { localhost = true }, {}
    return function(label)
        local base = graph.host_name(prefix .. label)
        local name = base
        while used[name] do
            local n = (counters[base] or 1) + 1
            counters[base] = n
            name = ("%s-%d"):format(base:sub(1, MAX_NAME - 1 - #tostring(n)), n)
        end
        used[name] = true
        return name
    end
end

-- Building -----------------------------------------------------------------------------------------------------------

local Graph = {}
Graph.__index = Graph

--- A graph without nodes. `name`: the file's, for errors.
function graph.new(name)
    return setmetatable({ file = name, attributes = {}, nodes = {}, by_id = {}, edges = {} }, Graph)
end

--- "file:line: what".
function Graph:problem(line, what) return ("%s:%d: %s"):format(self.file, line, what) end

--- Adds a node. Returns it; or nil and what is wrong.
function Graph:add_node(id, line)
    local other = self.by_id[id]
    if other then
        return nil, ("there is a node %s already, since line %d"):format(input.quote(id), other.line)
    end
    if #self.nodes >= graph.limits.nodes then return nil, ("more than %d nodes"):format(graph.limits.nodes) end
    local node = { id = id, label = id, line = line, attributes = {}, external = false }
    self.nodes[#self.nodes + 1], self.by_id[id] = node, node
    return node
end

--- Adds an edge between the nodes with two ids, which may come later. Returns it; or nil and what is wrong.
function Graph:add_edge(from, to, line)
    if #self.edges >= graph.limits.edges then return nil, ("more than %d links"):format(graph.limits.edges) end
    local edge = { from = from, to = to, line = line, attributes = {} }
    self.edges[#self.edges + 1] = edge
    return edge
end

--- Adds both nodes where they are new, and an edge between them: for files that list edges only. Returns the edge; or nil
--- and what is wrong.
function Graph:add_pair(from, to, line)
    for _, id in ipairs { from, to } do
        if not self.by_id[id] then
            local node, why = self:add_node(id, line)
            if not node then return nil, why end
        end
    end
    return self:add_edge(from, to, line)
end

-- Finishing ----------------------------------------------------------------------------------------------------------

-- Edges that are one link: those that are listed from both ends. `waiting`: by pair of nodes, the link that an edge in the
-- other direction may complete, and below it those that came before.
local Pairing = {}
Pairing.__index = Pairing

-- Whether the edge belongs to a link that is there.
function Pairing:take(edge, from, to)
    local key = math.min(from, to) << 32 | math.max(from, to)
    local link = self.waiting[key]
    if link and link.a == edge.a then
        if self.once then return true end
        self.below[edge] = link
    elseif link then
        if not link.back then link.back = edge end
        if not self.once then self.waiting[key] = self.below[link] end
        return true
    end
    self.waiting[key] = edge
    return false
end

local function resolve(self, nodes_by_id)
    local links, pairing = {}, setmetatable({ once = self.listed_twice, waiting = {}, below = {} }, Pairing)
    local numbers = {}
    for i, node in ipairs(self.nodes) do numbers[node] = i end
    self.self_loops, self.merged = 0, 0
    for _, edge in ipairs(self.edges) do
        edge.a, edge.b = nodes_by_id[edge.from], nodes_by_id[edge.to]
        if not edge.a or not edge.b then
            return nil, self:problem(edge.line, ("there is no node %s"):format(input.quote(edge.a and edge.to or edge.from)))
        end
        local pairs_up = self.listed_twice or edge.directed
        if edge.a == edge.b then
            self.self_loops = self.self_loops + 1
        elseif pairs_up and pairing:take(edge, numbers[edge.a], numbers[edge.b]) then
            self.merged = self.merged + 1
        else
            links[#links + 1] = edge
        end
    end
    return links
end

local function without_externals(self, links)
    local nodes, kept = {}, {}
    for _, node in ipairs(self.nodes) do
        if not node.external then nodes[#nodes + 1] = node end
    end
    for _, edge in ipairs(links) do
        if not edge.a.external and not edge.b.external then kept[#kept + 1] = edge end
    end
    return nodes, kept
end

local function locate(edge)
    local a, b = edge.a, edge.b
    if not edge.distance and a.latitude and b.latitude then edge.distance = graph.distance(a, b) end
    if not edge.delay and edge.distance then edge.delay = graph.fibre_delay(edge.distance) end
end

-- The number of parts that are not connected with each other (union-find with path halving).
local function components(nodes, links)
    local parent, count = {}, #nodes
    for _, node in ipairs(nodes) do parent[node] = node end
    local function root(node)
        while parent[node] ~= node do
            parent[node] = parent[parent[node]]
            node = parent[node]
        end
        return node
    end
    for _, edge in ipairs(links) do
        local a, b = root(edge.a), root(edge.b)
        if a ~= b then
            parent[a] = b
            count = count - 1
        end
    end
    return count
end

local function facts(self, nodes, links)
    local degree, largest = {}, 0
    for _, edge in ipairs(links) do
        for _, node in ipairs { edge.a, edge.b } do
            degree[node] = (degree[node] or 0) + 1
            largest = math.max(largest, degree[node])
        end
    end
    return { nodes = #nodes, links = #links, components = components(nodes, links), largest_degree = largest,
        self_loops = self.self_loops, merged = self.merged }
end

--- Ends the building: finds the ends of the edges, pairs up those that are one link, and names the nodes.
-- @param opts  prefix = before each node's name; external = false leaves out the nodes outside of the network
-- @return { file, attributes, nodes, links, by_id, by_name, by_label, facts }; or nil and "file:line: what"
function Graph:finish(opts)
    if #self.nodes == 0 then return nil, self:problem(self.last_line or 1, "there are no nodes in it") end
    local nodes, links, why = self.nodes, nil, nil
    links, why = resolve(self, self.by_id)
    if not links then return nil, why end
    if opts.external == false then nodes, links = without_externals(self, links) end
    local name = namer(opts.prefix or "")
    local result = { file = self.file, attributes = self.attributes, nodes = nodes, links = links, by_id = {}, by_name = {},
        by_label = {} }
    for _, node in ipairs(nodes) do
        node.name = name(node.label)
        result.by_id[node.id], result.by_name[node.name] = node, node
        result.by_label[node.label] = result.by_label[node.label] or node
    end
    for _, edge in ipairs(links) do
        locate(edge)
        if edge.back then edge.back.distance = edge.back.distance or edge.distance end
        if edge.back then locate(edge.back) end
    end
    result.facts = facts(self, nodes, links)
    return result
end

return graph
