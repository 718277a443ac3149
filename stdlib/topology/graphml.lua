-- SPDX-License-Identifier: MIT
-- GraphML (Brandes et al., "GraphML progress report", GD 2001; http://graphml.graphdrawing.org), as the Internet Topology
-- Zoo has it: one <graph> of <node> and <edge>, whose <data> is named and typed by <key>. What only drawing programs want
-- (ports, extensions inside of <data>) is passed over. Hyperedges and graphs within nodes are refused.

local core = require "qemunet.core"
local input = require "qemunet.input"

local graphml = {}

-- attr.type -> what reads a value, and what it wants.
local TYPES = {
    boolean = { function(text)
        local low = text:lower()
        if low == "true" or low == "1" then return true end
        if low == "false" or low == "0" then return false end
        return nil
    end, "true or false" },
    int = { function(text)
        local number = input.number(text)
        return number and (math.tointeger(number) or number)
    end, "a number" },
    float = { input.number, "a number" },
    string = { function(text) return text end, "" },
}
TYPES.long, TYPES.double = TYPES.int, TYPES.float

-- The value of a key's text: nil when there is none, which the Zoo writes as "" or "?"; or nil and what is wrong.
local function value_of(key, text)
    if key.type ~= TYPES.string then text = input.trim(text) end
    if text == "" or text == "?" then return nil end
    local value = key.type[1](text)
    if value == nil then return nil, ("%s: want %s, not %s"):format(key.name, key.type[2], input.quote(text)) end
    return value
end

-- What is read, and where in it the parser is: names = the elements that are open; skip = how many of them are passed over;
-- item = the node, edge or graph that data belongs to.
local Reader = {}
Reader.__index = Reader

function Reader:key(attributes)
    local id = attributes.id
    if not id then return "this <key> has no id" end
    if self.keys[id] then return ("there is a key %s already"):format(input.quote(id)) end
    local kind = attributes["attr.type"] or "string"
    local key = { name = attributes["attr.name"] or id, type = TYPES[kind], whose = attributes["for"] or "all" }
    if not key.type then return ("key %s has the unknown type %s"):format(input.quote(id), input.quote(kind)) end
    self.keys[id], self.last_key = key, key
end

function Reader:start_graph(attributes)
    if self.directed ~= nil then return "there is a second <graph>: one is read" end
    local default = attributes.edgedefault or "undirected"
    if default ~= "directed" and default ~= "undirected" then
        return ("edgedefault is %s (want directed or undirected)"):format(input.quote(default))
    end
    self.directed, self.item = default == "directed", self.graph
end

function Reader:node(attributes, line)
    if not attributes.id then return "this <node> has no id" end
    local node, why = self.graph:add_node(attributes.id, line)
    self.item = node
    return why
end

function Reader:edge(attributes, line)
    for _, name in ipairs { "source", "target" } do
        if not attributes[name] then return ("this <edge> has no %s"):format(name) end
    end
    local edge, why = self.graph:add_edge(attributes.source, attributes.target, line)
    if not edge then return why end
    edge.directed = self.directed
    if attributes.directed == "true" then edge.directed = true end
    if attributes.directed == "false" then edge.directed = false end
    self.item = edge
end

function Reader:data(attributes)
    if not attributes.key then return "this <data> has no key" end
    self.data_key = self.keys[attributes.key]
    if not self.data_key then return ("no <key> has the id %s"):format(input.quote(attributes.key)) end
end

local function nothing() end
local function refuse(what) return function() return what end end

-- Element -> the elements in it that are read, and what reads their beginnings.
local CHILDREN = {
    [""] = { graphml = nothing },
    graphml = { key = Reader.key, graph = Reader.start_graph },
    key = { default = nothing },
    graph = { node = Reader.node, edge = Reader.edge, data = Reader.data,
        hyperedge = refuse "a hyperedge joins more than two nodes, and a link does not" },
    node = { data = Reader.data, graph = refuse "a graph within a node is not read" },
    edge = { data = Reader.data, graph = refuse "a graph within an edge is not read" },
    data = {}, default = {},
}

function Reader:close_default(text)
    local why
    self.last_key.default, why = value_of(self.last_key, text)
    return why
end

function Reader:close_data(text)
    local key = self.data_key
    local value, why = value_of(key, text)
    self.item.attributes[key.name] = value
    return why
end

function Reader:back_to_graph() self.item = self.graph end

function Reader:close_graph(_, line) self.graph.last_line = line end

local CLOSE = { default = Reader.close_default, data = Reader.close_data, node = Reader.back_to_graph,
    edge = Reader.back_to_graph, graph = Reader.close_graph }

function Reader:open_element(full_name, attributes, line)
    if self.skip > 0 then
        self.skip = self.skip + 1
        return
    end
    local name = full_name:match("[^:]*$") -- without the prefix of a namespace
    local start = CHILDREN[self.names[#self.names]][name]
    if not start then
        if #self.names == 1 then return ("this is <%s>, not <graphml>"):format(full_name) end
        self.skip = 1
        return
    end
    self.names[#self.names + 1] = name
    return start(self, attributes, line)
end

function Reader:close_element(text, line)
    if self.skip > 0 then
        self.skip = self.skip - 1
        return
    end
    local close = CLOSE[table.remove(self.names)]
    return close and close(self, text, line)
end

-- Adds the keys' defaults where there is no value.
local function add_defaults(keys, items, whose)
    for _, key in pairs(keys) do
        if key.default ~= nil and (key.whose == whose or key.whose == "all") then
            for _, item in ipairs(items) do
                if item.attributes[key.name] == nil then item.attributes[key.name] = key.default end
            end
        end
    end
end

-- What the Zoo calls its attributes ----------------------------------------------------------------------------------

local function attribute(item, name)
    local value = item.attributes[name]
    if value == nil then value = item.attributes[name:lower()] end
    return value
end

local LIMITS = { Latitude = 90, Longitude = 360 }

-- The place of a node; or what is wrong with it.
local function place(node)
    local found = {}
    for name, limit in pairs(LIMITS) do
        local value = attribute(node, name)
        if type(value) == "string" then value = input.number(value) end
        if type(value) == "number" and math.abs(value) > limit then
            return ("%s %g is not between -%d and %d"):format(name, value, limit, limit)
        end
        found[name] = value
    end
    if type(found.Latitude) == "number" and type(found.Longitude) == "number" then
        node.latitude, node.longitude = found.Latitude, found.Longitude
    end
end

local UNITS = { K = 1e3, M = 1e6, G = 1e9, T = 1e12 }

-- The rate of a link in bit/s, or nil; or nil and what is wrong.
local function rate_of(edge)
    local raw = edge.attributes.LinkSpeedRaw
    if type(raw) == "string" then raw = input.number(raw) end
    if type(raw) == "number" then
        if raw <= 0 then return nil, ("LinkSpeedRaw %g is not above 0"):format(raw) end
        return math.tointeger(raw) or raw
    end
    local speed, unit = input.number(tostring(edge.attributes.LinkSpeed or "?")), UNITS[edge.attributes.LinkSpeedUnits]
    if speed and unit and speed > 0 then return math.tointeger(speed * unit) or speed * unit end
end

local function label_of(node)
    local label = attribute(node, "label")
    if label == nil then label = attribute(node, "name") end
    return label ~= nil and input.trim(tostring(label)) ~= "" and input.trim(tostring(label)) or node.id
end

local function understand(self)
    local g = self.graph
    for _, node in ipairs(g.nodes) do
        node.label = label_of(node)
        node.external = node.attributes.Internal == 0 or node.attributes.Internal == "0"
        local why = place(node)
        if why then return nil, g:problem(node.line, why) end
    end
    for _, edge in ipairs(g.edges) do
        local why
        edge.rate, why = rate_of(edge)
        if why then return nil, g:problem(edge.line, why) end
    end
    return true
end

--- Reads a text into a graph (see graph.new). Returns true; or nil and "file:line: what".
function graphml.read(text, g)
    local self = setmetatable({ graph = g, keys = {}, names = { "" }, skip = 0 }, Reader)
    local ok, why, line = core.xml_parse(text,
        function(name, attributes, at) return self:open_element(name, attributes, at) end,
        function(_, value, at) return self:close_element(value, at) end)
    if not ok then return nil, g:problem(line, why) end
    if self.directed == nil then return nil, g:problem(1, "there is no <graph> in it") end
    add_defaults(self.keys, g.nodes, "node")
    add_defaults(self.keys, g.edges, "edge")
    add_defaults(self.keys, { g }, "graph")
    return understand(self)
end

return graphml
