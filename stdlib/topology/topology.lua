-- SPDX-License-Identifier: MIT
-- Topology files, and the nodes and links that they describe: topology.

local class = require "qemunet.class"
local errors = require "qemunet.errors"
local graph = require "qemunet.topology.graph"
local graphml = require "qemunet.topology.graphml"
local input = require "qemunet.input"
local link = require "qemunet.network.link"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local text_readers = require "qemunet.topology.text"
local wiring = require "qemunet.network.wiring"

local topology = {}

local READERS = { graphml = graphml.read }
for name, read in pairs(text_readers) do READERS[name] = read end

-- Telling the formats apart --------------------------------------------------------------------------------------------

local BY_EXTENSION = { graphml = "graphml", xml = "graphml", cch = "map" }

-- The words of the first two lines.
local function first_lines(text)
    local lines = {}
    input.each_line(text:sub(1, 1 << 16), "", function(line)
        lines[#lines + 1] = input.words(line)
        return #lines == 2 and "enough"
    end)
    return lines[1] or {}, lines[2] or {}
end

local function is_xml(text)
    for _, start in ipairs { "^%s*<", "^\u{FEFF}%s*<", "^\xFF\xFE", "^\xFE\xFF" } do
        if text:find(start) then return true end
    end
    return false
end

-- Which of Rocketfuel's kinds of file; nil for none.
local function rocketfuel_kind(first, name)
    local second = first[2] or ""
    if second:find("^@") or second:find("^=") then return "map" end
    if #first ~= 3 or not input.number(first[3]) then return nil end
    return name:lower():find("latenc", 1, true) and "latencies" or "weights"
end

local function detect(text, name)
    if is_xml(text) then return "graphml" end
    local first, second = first_lines(text)
    local kind = rocketfuel_kind(first, name)
    local names = kind and not (input.whole(first[1]) and input.whole(first[2]))
    if names then return kind end
    if #first == 2 and input.whole(first[1]) and input.whole(first[2]) then return #second == 3 and "inet" or "orbis" end
    return BY_EXTENSION[(name:match("%.(%w+)$") or ""):lower()]
end

-- The name of what reads the text; or nil and what is wrong.
local function reader_for(text, name, format)
    if format == "rocketfuel" then return rocketfuel_kind(first_lines(text), name) or "map" end
    if format then return format end
    local found = detect(text, name)
    if found then return found end
    return nil, 'it is neither GraphML, nor of Inet, Orbis or Rocketfuel; if it is one of them, say format="..."'
end

-- The line with the first byte that no text has; nil when there is none.
local function binary_line(text)
    local at = text:find("[\0-\8\14-\31\127]")
    if not at then return nil end
    local _, lines = text:sub(1, at):gsub("\n", "")
    return lines + 1
end

-- Reading --------------------------------------------------------------------------------------------------------------

local READ = options.register({
    format = { type = "string", choices = { "graphml", "inet", "orbis", "rocketfuel", "map", "weights", "latencies" } },
    prefix = { type = "string" },
    external = { type = "boolean" },
}, "topology.read")

local function parse(text, name, opts)
    local g = graph.new(name)
    if not text:find("%S") then return nil, g:problem(1, "there is nothing in it"), "format" end
    local format, why = reader_for(text, name, opts.format)
    local binary = format ~= "graphml" and binary_line(text)
    if binary then return nil, g:problem(binary, "this is no text"), "format" end
    if not format then return nil, g:problem(1, why), "format" end
    local ok, problem = READERS[format](text, g)
    if not ok then return nil, problem, "format" end
    local result
    result, problem = g:finish(opts)
    if not result then return nil, problem, "format" end
    result.format = format
    return result
end

local PARSE = options.register({ name = { type = "string", default = "text" } }, "topology.parse")
for name, entry in pairs(READ) do PARSE[name] = entry end

local function read(path, opts)
    return input.parse(path, function(text) return parse(text, path, opts) end)
end

--- topology.parse(text, opts) -> table: as topology.read, from a text.
-- @param text  what such a file has
-- @options topology.read
-- @option name  what errors call the text
-- @example
--   local graph = topology.parse("a b 1\nb c 1\n", { format = "weights" })
--   check.equal(#graph.links, 2)
function topology.parse(text, opts)
    if type(text) ~= "string" then error("topology.parse: want a text", 2) end
    local checked = options.check(opts, PARSE, "topology.parse", 2)
    return parse(text, checked.name, checked)
end

--- topology.read(path, opts) -> table: what a topology file says, without making anything.
-- A name is the label as a host name: "São Paulo" is sao-paulo, the second sao-paulo-2, "3" is n3. An edge from a node to
-- itself is left out. GraphML and Inet may have several links between two nodes; a pair of directed edges is one link.
-- @param path  of the file
-- @option format    of the file (default: what it looks like). Rocketfuel's are "map" (.cch), "weights" and "latencies"; the last
--   two look the same, and the file's name tells which it is
-- @option prefix    text before each name
-- @option external  false: without the nodes outside of the network (the Zoo's with Internal=0, Rocketfuel's with negative ids)
-- @return  { format, attributes, by_id, by_name, by_label, nodes = { { id, name, label, attributes, external, line, latitude,
--   longitude } }, links = { { a, b = nodes, delay, rate, distance = metres, attributes, directed, line, back = the edge that
--   lists the link from its other end } }, facts = { nodes, links, components, largest_degree, self_loops, merged } };
--   nil, "file:line: what", "format" when it is bad; nil, why, "local" when it cannot be read
-- @example
--   local graph, why = topology.read("nowhere.graphml")
--   check.is_nil(graph)
--   print(why)
function topology.read(path, opts)
    if type(path) ~= "string" then error("topology.read: want a path", 2) end
    local checked = options.check(opts, READ, "topology.read", 2)
    return read(path, checked)
end

-- Making ---------------------------------------------------------------------------------------------------------------

local TOPOLOGY = options.register({
    node = { type = { "string", "function" }, default = "vm" },
    node_opts = { type = "table" },
    link = { type = { "table", "function" } },
}, "topology")
for name, entry in pairs(READ) do TOPOLOGY[name] = entry end

local KINDS = { vm = true, host = true, responder = true }

-- What makes a node: fn(name, graph's node) -> node, or false to leave it out.
local function maker(opts, level)
    if type(opts.node) == "function" then return opts.node end
    if not KINDS[opts.node] then
        error(('topology: node: bad value %q (want "vm", "host", "responder" or a function)%s'):format(opts.node,
            options.hint(opts.node, KINDS)), level + 1)
    end
    local make = package.loaded.qemunet[opts.node]
    if not make then error(("topology: node: this version has no %s"):format(opts.node), level + 1) end
    return function(name)
        if testbed.find(name) then
            errors.raise(("topology: there is a node %q already; prefix= sets the names apart"):format(name))
        end
        local made = make(name, opts.node_opts) -- no tail call: an error is to name this line
        return made
    end
end

-- Calls fn(...). An error that names a line of the library, which called it, is raised with the script's line instead.
local function blaming_script(fn, ...)
    local ok, value = pcall(fn, ...)
    if ok then return value end
    local file, what = tostring(value):match("^([^\n:]+):%d+: (.*)$")
    if type(value) == "string" and file and errors.is_library("@" .. file) then errors.raise("topology: " .. what) end
    errors.again(value)
end

-- An option that both directions are given takes the place of what the file says.
local INSTEAD = { delay = "delay", rate = "rate", trace = "rate" }

local function overlay(to, from)
    for name, value in pairs(from) do
        if INSTEAD[name] then to[INSTEAD[name]] = nil end
        to[name] = value
    end
end

-- The options of a link: what the file says of each direction, below what the script wants.
local function link_options(edge, wanted)
    local back = edge.back or edge
    local ways = { ab = { delay = edge.delay, rate = edge.rate }, ba = { delay = back.delay, rate = back.rate } }
    local opts = {}
    for name, value in pairs(wanted) do
        if not ways[name] then opts[name] = value end
        if INSTEAD[name] then ways.ab[INSTEAD[name]], ways.ba[INSTEAD[name]] = nil, nil end
    end
    for way, own in pairs(ways) do
        local given = wanted[way]
        if type(given) == "table" then overlay(own, given) end
        opts[way] = (given == nil or type(given) == "table") and own or given
    end
    return opts
end

-- What the script wants of an edge: a table, or false for no link.
local function wanted_of(edge, link_option, level)
    if type(link_option) ~= "function" then return link_option or {} end
    local wanted = link_option(edge)
    if wanted == nil then return {} end
    if wanted ~= false and type(wanted) ~= "table" then
        error(("topology: link: the function gave a %s (want a table of options, or false for no link)"):format(
            type(wanted)), level + 1)
    end
    return wanted
end

-- Checks the options of all links before anything is made: { { edge, opts } }.
local function plan_links(result, link_option, level)
    local plan = {}
    for _, edge in ipairs(result.links) do
        local wanted = wanted_of(edge, link_option, level + 1)
        if wanted then
            local opts = link_options(edge, wanted)
            link.check(opts, ("topology: link %s--%s"):format(edge.a.name, edge.b.name), level + 1)
            plan[#plan + 1] = { edge, opts }
        end
    end
    return plan
end

--- class topology: nodes and links that were made of a file; what topology() returns.
-- @field nodes node[]    the nodes, in the file's order
-- @field links link[]    the links
-- @field by_name table   {[name] = node}
-- @field by_label table  {[label in the file] = node}
-- @field by_id table     {[id in the file] = node}
-- @field graph table     that of topology.read; its nodes have node=, its links link=, what was made of them
-- @field path string     the file's
local meta = class.new("topology", {})

function meta:__tostring()
    return ("topology %s (%d nodes, %d links)"):format(self.path, #self.nodes, #self.links)
end

-- On a map, for who draws it.
local function place(made, described)
    local x, y = described.longitude or described.x, described.latitude or described.y
    if x and y then rawset(made, "place", { x = x, y = y, is_map = described.longitude ~= nil or nil }) end
end

local function make_nodes(self, make, level)
    for _, described in ipairs(self.graph.nodes) do
        local made = blaming_script(make, described.name, described)
        if made then
            made = link.check_node(made, "topology", "what node= gave for " .. described.name, level + 1)
            described.node = made
            place(made, described)
            self.nodes[#self.nodes + 1] = made
            self.by_id[described.id], self.by_name[described.name] = made, made
            self.by_label[described.label] = self.by_label[described.label] or made
        end
    end
end

local function make_links(self, plan)
    for _, planned in ipairs(plan) do
        local edge, opts = planned[1], planned[2]
        if edge.a.node and edge.b.node then
            edge.link = wiring.link(edge.a.node, edge.b.node, opts)
            self.links[#self.links + 1] = edge.link
        end
    end
end

--- topology(path, opts) -> topology: the nodes and links of a file: GraphML (Topology Zoo), Inet, Orbis, Rocketfuel.
-- A link's delay is what the file says (Rocketfuel's latencies), or the time that light takes in a fibre between the places of
-- its ends (Latitude and Longitude; Inet's weights, in km); its rate is LinkSpeedRaw.
-- @param path  of the file
-- @options topology.read
-- @option node       "vm", "host", "responder", or function(name, node of the graph) -> node, or false for none
-- @option node_opts  options of each node
-- @option link       options of each link, which take the place of what the file says; or function(link of the graph) -> options,
--   or false for none
-- @error  "file:line: what" of a bad file
-- @example
--   local file <close> = io.open("ring.txt", "w")
--   file:write("a b 1\nb c 1\nc a 1\n")
--   file:close()
--   local ring = topology("ring.txt", { node = "responder", format = "weights", link = { delay = "1ms" } })
--   check.equal({ #ring.nodes, #ring.links }, { 3, 3 })
local function make(_, path, opts)
    if type(path) ~= "string" then error('topology: want a path, as topology("Abilene.graphml")', 2) end
    local checked = options.check(opts, TOPOLOGY, "topology", 2)
    local make_node = maker(checked, 2)
    local result, why = read(path, checked)
    if not result then error("topology: " .. why, 2) end
    local plan = plan_links(result, checked.link, 2)
    local self = setmetatable({ path = path, graph = result, nodes = {}, links = {}, by_id = {}, by_name = {},
        by_label = {} }, meta)
    make_nodes(self, make_node, 2)
    make_links(self, plan)
    return self
end

return setmetatable(topology, {
    __call = make,
    __index = function(_, key)
        errors.raise(("topology has no %q%s"):format(tostring(key), options.hint(key, topology)))
    end,
})
