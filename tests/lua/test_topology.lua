-- SPDX-License-Identifier: MIT
-- topology: files of each format, what is wrong with bad ones and where, and nodes and links made of them.

local blames = require "blames".exactly
local address = require "qemunet.network.address"
local core = require "qemunet.core"
local graph = require "qemunet.topology.graph"

local DATA = debug.getinfo(1, "S").source:match("^@(.*)/") .. "/data/"

local function read(name, opts) return assert(topology.read(DATA .. name, opts)) end

-- The links as words: "a b", "a b 5 ms".
local function pairs_of(g)
    local list = {}
    for i, edge in ipairs(g.links) do
        list[i] = edge.a.name .. " " .. edge.b.name .. (edge.delay and (" %.3f"):format(edge.delay * 1000) or "")
    end
    return list
end

local function names_of(g)
    local list = {}
    for i, node in ipairs(g.nodes) do list[i] = node.name end
    return list
end

-- The text must be refused with this message, "f:" aside.
local function refused(text, want, format)
    local g, why = topology.parse(text, { name = "f", format = format })
    check.equal(g, nil, want)
    check.equal(why, "f:" .. want)
end

-- A file for fn(path), which is gone behind it.
-- `hole`: how many bytes of nothing, which take no place, come before the text.
local function with_file(text, fn, hole)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:seek("set", hole or 0)
    file:write(text)
    file:close()
    local ok, err = pcall(fn, path)
    os.remove(path)
    if not ok then error(err, 0) end
end

-- Formats ------------------------------------------------------------------------------------------------------------

test("GraphML of the Topology Zoo: names, places, rates, what is unknown", function()
    local g = read "five.graphml"
    check.equal(g.format, "graphml")
    check.equal(g.attributes, { Network = "Five" })
    check.equal(names_of(g), { "berlin", "zurich", "zurich-2", "somewhere-planned", "n42" })
    check.equal(pairs_of(g), { "berlin zurich 3.348", "zurich berlin 3.348", "zurich zurich-2 0.000",
        "zurich-2 somewhere-planned", "somewhere-planned n42" })
    check.equal(g.facts, { nodes = 5, links = 5, components = 1, largest_degree = 3, self_loops = 1, merged = 0 })
    local berlin = g.by_label["Berlin"]
    check.equal({ berlin.id, berlin.latitude, berlin.longitude, berlin.line }, { "0", 52.52, 13.405, 15 })
    check.equal(berlin.attributes, { label = "Berlin", Latitude = 52.52, Longitude = 13.405, Internal = 1 })
    check.equal(g.by_name["zurich"].label, "Zürich")
    check.equal({ g.by_id["3"].external, g.by_id["4"].external }, { false, true })
    check.equal(g.links[1].attributes.LinkLabel, "OC-192 & more")
    check.equal({ g.links[1].rate, g.links[3].rate, g.links[4].rate }, { 10000000000, 155000000, nil })
    check.near(g.links[1].distance, 670e3, 2e3)
end)

test("GraphML: nodes outside of the network may stay out", function()
    local g = read("five.graphml", { external = false, prefix = "z-" })
    check.equal(names_of(g), { "z-berlin", "z-zurich", "z-zurich-2", "z-somewhere-planned" })
    check.equal(#g.links, 4)
    check.equal(g.by_id["4"], nil)
end)

test("GraphML: directed edges, prefixes, defaults, extensions, any order", function()
    local g = assert(topology.parse([[<g:graphml xmlns:g="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://y">
        <g:key id="k" for="edge" attr.name="toll" attr.type="boolean"><g:default>true</g:default></g:key>
        <g:key id="x"/><g:desc>any <b>text</b></g:desc>
        <g:graph edgedefault="directed">
          <g:edge source="a" target="b"/><g:edge source="a" target="b"/><g:edge source="b" target="a"/>
          <g:edge source="b" target="a" directed="false"><g:data key="k">0</g:data></g:edge>
          <g:node id="a"><g:data key="x"><y:Shape><y:Label>no</y:Label></y:Shape></g:data><g:port name="p"/></g:node>
          <g:node id="b"/>
        </g:graph></g:graphml>]]))
    check.equal(pairs_of(g), { "a b", "a b", "b a" })
    check.equal({ g.links[1].back, g.links[2].back ~= nil, g.facts.merged }, { nil, true, 1 })
    check.equal({ g.links[1].directed, g.links[3].directed }, { true, false })
    check.equal({ g.links[1].attributes.toll, g.links[3].attributes.toll }, { true, false })
    check.equal(g.by_id["a"].attributes, {})
end)

test("GraphML in UTF-16", function()
    local text = '<graphml><graph><node id="n"/></graph></graphml>'
    check.equal(names_of(assert(topology.parse("\xFE\xFF" .. text:gsub(".", "\0%0")))), { "n" })
    check.equal(names_of(assert(topology.parse("\xFF\xFE" .. text:gsub(".", "%0\0")))), { "n" })
end)

test("Inet: weights are lengths in km", function()
    local g = read "four.inet"
    check.equal(g.format, "inet")
    check.equal(pairs_of(g), { "n0 n1 2.502", "n0 n2 1.501", "n1 n2 2.001", "n1 n7 61.212" })
    check.equal({ g.by_id["7"].x, g.by_id["7"].y, g.links[1].attributes.weight }, { 9000, 9000, 500 })
end)

test("Orbis: a link listed from both ends is one", function()
    local g = read "four.orbis"
    check.equal(g.format, "orbis")
    check.equal(pairs_of(g), { "n10 n20", "n20 n30", "n30 n40" })
    check.equal({ g.facts.merged, g.facts.self_loops }, { 1, 1 })
end)

test("Rocketfuel's maps", function()
    local g = read "three.cch"
    check.equal(g.format, "map")
    check.equal(names_of(g), { "oslo-gw-example-net", "n198-51-100-7", "oslo-gw-example-net-2", "n203-0-113-9", "n6" })
    check.equal(#g.links, 4)
    check.equal(g.by_id["3"].attributes,
        { location = "T", name = "oslo-gw.example.net", hops = 1, dns = false, backbone = true })
    check.equal(g.by_id["1"].attributes.location, "Oslo, Norway")
    check.equal({ g.by_id["1"].external, g.by_id["-5"].external, g.by_id["-6"].external }, { false, true, true })
    check.equal(#read("three.cch", { external = false }).links, 2)
end)

test("Rocketfuel's weights and latencies", function()
    local weights, latencies = read "weights.intra", read "latencies.intra"
    check.equal({ weights.format, latencies.format }, { "weights", "latencies" })
    check.equal(weights.links[1].attributes, { weight = 2.5 })
    check.equal(weights.links[1].delay, nil)
    check.equal(weights.by_label["Oslo, Norway10"].name, "oslo-norway10")
    check.equal({ latencies.links[1].delay, latencies.links[1].back.delay, latencies.links[2].delay }, { 0.006, 0.007, 0 })
    check.equal(read("weights.intra", { format = "latencies" }).links[1].delay, 0.0025)
    check.equal(read("weights.intra", { format = "rocketfuel" }).format, "weights")
end)

test("the format is what the file looks like", function()
    local function format(text, name) return assert(topology.parse(text, { name = name or "f" })).format end
    check.equal(format " \n<graphml><graph><node id='1'/></graph></graphml>", "graphml")
    check.equal(format "1 0\n0 5 5\n", "inet")
    check.equal(format "# comment\r\n\r\n1 2\r\n", "orbis")
    check.equal(format "a 2 3\n", "weights")
    check.equal(format("a b 3\n", "1221/Latencies.intra"), "latencies")
    check.equal(format "-5 =x r1\n", "map")
    check.equal(format "7 @? (0) -> =x r1", "map")
end)

-- Names and places -----------------------------------------------------------------------------------------------------

test("labels become host names", function()
    for label, name in pairs { ["New York"] = "new-york", ["Łódź"] = "lodz", ["Straße 1"] = "strasse-1",
        ["10.0.0.1"] = "n10-0-0-1", [""] = "n", ["北京"] = "n", ["--a--"] = "a", ["a\0b"] = "a-b",
        [("x"):rep(99)] = ("x"):rep(63) } do
        check.equal(graph.host_name(label), name)
    end
end)

test("equal names get numbers, and none is localhost", function()
    local labels = { "a", "A", "a-2", "localhost", ("y"):rep(70), ("y"):rep(71) }
    local text = { "<graphml><key id='l' attr.name='label'/><graph>" }
    for i, label in ipairs(labels) do text[#text + 1] = ("<node id='%d'><data key='l'>%s</data></node>"):format(i, label) end
    local g = assert(topology.parse(table.concat(text) .. "</graph></graphml>"))
    check.equal(names_of(g), { "a", "a-2", "a-2-2", "localhost-2", ("y"):rep(63), ("y"):rep(61) .. "-2" })
end)

test("great circles: a quarter of the Earth, over the pole, over the date line", function()
    local function km(a, b, c, d)
        return graph.distance({ latitude = a, longitude = b }, { latitude = c, longitude = d }) / 1000
    end
    check.near(km(0, 0, 0, 90), 10007.557, 0.001)
    check.near(km(80, 0, 80, 180), 2223.902, 0.001)
    check.near(km(0, 179.5, 0, -179.5), 111.195, 0.001)
    check.near(km(10, 20, -10, -160), 20015.115, 0.001)
    check.near(graph.fibre_delay(1e6), 5.0035e-3, 1e-6)
end)

-- Bad files ------------------------------------------------------------------------------------------------------------

test("files that are not there, or no files, or too large", function()
    local g, why = topology.read "/nonexistent/x.graphml"
    check.equal({ g, why }, { nil, "/nonexistent/x.graphml: No such file or directory" })
    g, why = topology.read "/tmp"
    check.equal({ g, why }, { nil, "/tmp: this is no file, but a folder" })
    g, why = topology.read "/dev/zero"
    check.equal({ g, why }, { nil, "/dev/zero: this is no file, but a device or the like" })
    with_file("x", function(path)
        g, why = topology.read(path)
        check.equal({ g, why }, { nil, path .. ": it is larger than 64 MiB" })
    end, 64 << 20)
    with_file("", function(path)
        g, why = topology.read(path)
        check.equal({ g, why }, { nil, path .. ":1: there is nothing in it" })
    end)
    with_file("1 1\n0 0 0\n0 1 x\n", function(path)
        g, why = topology.read(path)
        check.equal({ g, why }, { nil, path .. ':3: want a link: "id id weight"' })
    end)
end)

test("what is no topology", function()
    refused(" \n\t\n", "1: there is nothing in it")
    refused("\x7FELF\1\2", "1: this is no text")
    refused("1 2\n2 3\n\0\n", "3: this is no text")
    refused("hello world\n",
        '1: it is neither GraphML, nor of Inet, Orbis or Rocketfuel; if it is one of them, say format="..."')
    refused("# nothing\n", "1: there are no nodes in it", "orbis")
    refused("1 2\n" .. ("x"):rep(70000), "2: the line is longer than 65536 bytes")
end)

local function xml(body)
    return '<graphml>\n<key id="k" attr.name="Latitude" attr.type="double"/>\n' .. body .. "\n</graphml>"
end
local function zoo(body) return xml("<graph>\n" .. body .. "\n</graph>") end

test("GraphML that is not well-formed, or something else", function()
    refused("<html>\n</html>", "1: this is <html>, not <graphml>")
    refused("<graphml>\n<graph>\n</graphml>", "3: mismatched tag")
    refused('<graphml>\n<graph>\n<node id="a"', "3: unclosed token")
    refused("<graphml>\n<graph>\n", "3: no element found")
    refused("<graphml>\n\0</graphml>", "2: not well-formed (invalid token)")
    refused("<?xml version='1.0' encoding='EBCDIC'?>\n<graphml/>", "1: unknown encoding")
    refused("<graphml/>", "1: there is no <graph> in it")
    refused("no XML at all", "1: syntax error", "graphml")
    refused(xml "<graph>\n</graph>", "4: there are no nodes in it")
    refused(xml "<graph edgedefault='both'/>", '3: edgedefault is "both" (want directed or undirected)')
    refused(xml "<graph/>\n<graph/>", "4: there is a second <graph>: one is read")
    refused(("<graphml>\n" .. ("<a>"):rep(64)), "2: elements nested more than 64 deep")
    refused(zoo("<desc>\n" .. ("x"):rep(70000)), "5: more than 65536 bytes of text in one element")
end)

test("GraphML with entities: nothing is expanded or fetched", function()
    refused('<!DOCTYPE g [\n<!ENTITY a "aaaa">\n<!ENTITY b "&a;&a;">]><graphml>&b;</graphml>',
        "2: it declares an entity, which is not read")
    refused('<!DOCTYPE g [\n<!ENTITY a SYSTEM "/etc/passwd">]><graphml>&a;</graphml>',
        "2: it declares an entity, which is not read")
    refused('<!DOCTYPE g SYSTEM "http://localhost/g.dtd">\n<graphml>&a;</graphml>',
        "2: it uses an entity that it does not declare")
    local g = topology.parse('<!DOCTYPE g SYSTEM "g.dtd"><graphml><graph><node id="&lt;"/></graph></graphml>')
    check.equal(g.nodes[1].id, "<")
end)

test("XML: what the callbacks get, say and raise", function()
    local seen = {}
    local function note(kind) return function(name, value, line) seen[#seen + 1] = { kind, name, value, line } end end
    check.equal({ core.xml_parse('<a b="1" c="&lt;">x\ny<d/>z</a>', note "open", note "close") }, { true })
    check.equal(seen, { { "open", "a", { b = "1", c = "<" }, 1 }, { "open", "d", {}, 2 }, { "close", "d", "", 2 },
        { "close", "a", "z", 2 } })
    local function say(what) return function() return what end end
    check.equal({ core.xml_parse("<a>\n<b/><c></a>", note(), say "enough") }, { nil, "enough", 2 })
    check.equal(check.raises(function() core.xml_parse("<a/>", function() error("mine", 0) end, note()) end), "mine")
    check.raises(function() core.xml_parse("<a/>", function() sleep(0) end, note()) end)
end)

test("GraphML with nodes, edges and data that make no sense", function()
    refused(zoo "<node/>", "4: this <node> has no id")
    refused(zoo '<node id="a"/>\n<node id="a"/>', '5: there is a node "a" already, since line 4')
    refused(zoo '<node id="a"/>\n<edge source="a"/>', "5: this <edge> has no target")
    refused(zoo '<edge source="a" target="b"/>\n<node id="b"/>', '4: there is no node "a"')
    refused(zoo '<edge source="b" target="a"/>\n<node id="b"/>', '4: there is no node "a"')
    refused(zoo "<hyperedge/>", "4: a hyperedge joins more than two nodes, and a link does not")
    refused(zoo '<node id="a">\n<graph/></node>', "5: a graph within a node is not read")
    refused(zoo '<node id="a">\n<data/></node>', "5: this <data> has no key")
    refused(zoo '<node id="a">\n<data key="x"/></node>', '5: no <key> has the id "x"')
    refused(zoo '<node id="a">\n<data key="k">north</data></node>', '5: Latitude: want a number, not "north"')
    refused(zoo '<node id="a">\n<data key="k">1e999</data></node>', '5: Latitude: want a number, not "1e999"')
    refused(zoo '<node id="a">\n<data key="k">90.5</data></node>', "4: Latitude 90.5 is not between -90 and 90")
    refused("<graphml>\n<key/>", "2: this <key> has no id")
    refused('<graphml><key id="k"/>\n<key id="k"/>', '2: there is a key "k" already')
    refused('<graphml>\n<key id="k" attr.type="date"/>', '2: key "k" has the unknown type "date"')
    refused('<graphml><key id="s" attr.name="LinkSpeedRaw" attr.type="double"/><graph><node id="a"/>\n'
        .. '<edge source="a" target="a"><data key="s">-1</data></edge></graph></graphml>',
        "2: LinkSpeedRaw -1 is not above 0")
end)

test("Inet files that do not keep their word", function()
    local counts = '1: want the numbers of nodes and links: "10 9"'
    for _, first in ipairs { "-1 2", "2", "2 x", "1.5 2", "99999999999999999999 1", "1 2 3" } do
        refused(first .. "\n0 1 1\n", counts, "inet")
    end
    refused("2 1\n0 1 1\n1 x 2\n0 1 1\n", '3: want a node: "id x y"')
    refused("2 1\n0 1 1\n0 1 2\n0 1 1\n", '3: there is a node "0" already, since line 2')
    refused("2 1\n0 1 1\n1 1 2\n0 2 1\n", '4: there is no node "2"')
    refused("2 1\n0 1 1\n1 1 2\n0 1 -3\n", "4: weight -3 is below 0")
    refused("2 2\n0 1 1\n1 1 2\n0 1 3\n", "4: it ends after 2 of 2 nodes and 1 of 2 links")
    refused("3 1\n0 1 1\n", "2: it ends after 1 of 3 nodes and 0 of 1 links")
    refused("2 1\n0 1 1\n1 1 2\n0 1 3\n\n1 0 3\n", "6: this is more than the 2 nodes and 1 links that are to come")
end)

test("Orbis and Rocketfuel files with bad lines", function()
    refused("1 2\n1\n", '2: want a link: "id id"')
    refused("1 2\n1 -2\n", '2: want a link: "id id"')
    refused("a b 1\na b\n", '2: want a link: "name name weight"')
    refused("a b 1\na b 0x10\n", '2: want a link: "name name weight"')
    refused("a b 1\na b -1\n", "2: latency -1 is below 0", "latencies")
    local router = "1 @Oslo (1) -> <2> =a r0\n"
    refused(router, '1: there is no node "2"')
    refused(router .. router, '2: there is a node "1" already, since line 1')
    refused(router .. "2 Oslo (1) -> <1> =a r0", '2: want "@location" after the uid')
    refused(router .. "2 @Oslo -> <1> =a r0", '2: want the number of neighbours, as "(3)", after the location')
    refused(router .. "2 @Oslo (1) <1> =a r0", '2: want "->" before the neighbours')
    refused(router .. "2 @Oslo (1) -> <1> =a", '2: want "=name rN" at its end')
    refused(router .. "2 @Oslo (1) -> <1> [3] =a r0", '2: want "=name rN" at its end')
    refused(router .. "x", '2: want a router, "uid @location ...", not "x"')
end)

test("more nodes or links than are read", function()
    local limits = graph.limits
    graph.limits = { nodes = 4, edges = 3 }
    local ok, err = pcall(function()
        refused("1 2\n3 4\n5 6\n", "3: more than 4 nodes")
        refused("1 2\n2 3\n3 4\n4 1\n", "4: more than 3 links")
    end)
    graph.limits = limits
    check.is_true(ok, tostring(err))
end)

-- Making nodes and links -----------------------------------------------------------------------------------------------

-- A frame's Ethernet, IPv4 and UDP headers between two interfaces, for a flow.
local function header(from, to)
    return address.mac_bytes(to.mac) .. address.mac_bytes(from.mac)
        .. string.pack(">I2BBI2I2I2BBI2", 0x0800, 0x45, 0, 0, 0, 0, 64, 17, 0)
        .. address.ip_bytes(from.ip) .. address.ip_bytes(to.ip) .. string.pack(">I2I2I2I2", 5000, 5001, 0, 0)
end

-- The least delay in seconds of three packets on a link, one way.
local function measured(l, way)
    local from, to, dir = l.nics[1], l.nics[2], 0
    if way == "ba" then from, to, dir = to, from, 1 end
    local flow = core.flow_add { from = l.id, from_dir = dir, to = l.id, to_dir = dir, header = header(from, to),
        pattern = "cbr", rate = 1e6, size = 100, count = 3 }
    core.flow_run(flow, true)
    eventually(10, function() return core.flow_stats(flow).received == 3 end, { every = 0.005 })
    local delay = core.flow_stats(flow).delay.min
    core.flow_remove(flow)
    return delay
end

test("nodes and links of a file have its delays", function()
    local t = topology(DATA .. "latencies.intra", { node = "responder", prefix = "l-" })
    check.equal(tostring(t), "topology " .. DATA .. "latencies.intra (3 nodes, 2 links)")
    check.equal({ t.nodes[1].name, t.by_label["Hamar12"].name }, { "l-oslo-norway10", "l-hamar12" })
    for _, same in ipairs { t.by_name["l-hamar12"], t.by_id["Hamar12"], t.graph.nodes[3].node } do
        check.is_true(same == t.nodes[3])
    end
    check.equal({ t.links[1].config.ab.values.delay, t.links[1].config.ba.values.delay }, { 0.006, 0.007 })
    check.is_true(measured(t.links[1], "ab") >= 0.006)
    check.is_true(measured(t.links[1], "ba") >= 0.007)
    check.near(measured(t.links[2], "ab"), 0, 0.006)
    check.is_true(t.nodes[1]:ip(t.links[1]) ~= t.nodes[2]:ip(t.links[1]))
end)

test("places and speeds become delays and rates", function()
    local t = topology(DATA .. "five.graphml", { node = "responder", prefix = "g-" })
    check.near(t.links[1].config.ab.values.delay, 0.003348, 1e-6)
    check.equal({ t.links[1].config.ba.values.rate, t.links[3].config.ab.values.rate }, { 10000000000, 155000000 })
    check.equal(t.links[5].config.ab.values, {})
    check.is_true(measured(t.links[1], "ba") >= 0.003347)
end)

test("link= goes before the file; functions choose", function()
    local t = topology(DATA .. "five.graphml", { prefix = "f-", external = false,
        node = function(name, described) return described.latitude and responder(name) end,
        link = function(edge)
            return edge.a.label ~= "Zürich" and { delay = "1ms", loss = "1%", ba = { rate = "1mbit" } }
        end })
    check.equal({ #t.nodes, #t.links, #t.graph.nodes }, { 3, 1, 4 })
    check.equal(t.links[1].config.ab.values, { delay = 0.001, loss = 0.01, rate = 10000000000 })
    check.equal(t.links[1].config.ba.values, { delay = 0.001, loss = 0.01, rate = 1000000 })
    check.equal(t.graph.links[1].link, t.links[1])
    t = topology(DATA .. "five.graphml", { prefix = "h-", node = "responder", link = { delay = false, ab = { delay = 2 } } })
    check.equal({ t.links[1].config.ab.values.delay, t.links[1].config.ba.values.delay }, { 2, nil })
end)

test("misuse and bad files raise at the script's line, before anything is made", function()
    local file = DATA .. "five.graphml"
    blames(function() topology() end, 'topology: want a path, as topology("Abilene.graphml")')
    blames(function() topology("/nonexistent") end, "topology: /nonexistent: No such file or directory")
    blames(function() topology(file, { nodes = "vm" }) end, 'topology: unknown option "nodes"; did you mean "node"?') -- no check
    blames(function() topology(file, { node = "responders" }) end,
        'topology: node: bad value "responders" (want "vm", "host", "responder" or a function); did you mean "responder"?')
    blames(function() topology(file, { node = "responder", link = { loss = 2 } }) end,
        "topology: link berlin--zurich: loss: bad fraction 2 (want 0 to 1 or \"0%\" to \"100%\")")
    blames(function() topology(file, { node = "responder", link = function() return 5 end }) end,
        "topology: link: the function gave a number (want a table of options, or false for no link)")
    blames(function() topology(file, { node = function() return "bern" end }) end,
        'topology: what node= gave for berlin is not a node: there is none named "bern"')
    blames(function() topology(file, { node_opts = { memm = "1G" } }) end,
        'topology: vm: unknown option "memm"; did you mean "mem"?')
    responder "berlin"
    blames(function() topology(file, { node = "responder" }) end,
        'topology: there is a node "berlin" already; prefix= sets the names apart')
    blames(function() topology(file, { node = function() error("mine") end }) end, "mine")
    blames(function() topology.read() end, "topology.read: want a path")
    blames(function() topology.read(file, { format = "gml" }) end, -- no check
        'topology.read: format: bad value "gml" (want "graphml", '
        .. '"inet", "orbis", "rocketfuel", "map", "weights" or "latencies")')
    blames(function() topology.parse(nil) end, "topology.parse: want a text")
    blames(function() topology.raed(file) end, 'topology has no "raed"; did you mean "read"?') -- no check
    with_file("1 1\n0 0 0\n0 1 x\n", function(path)
        blames(function() topology(path) end, ('topology: %s:3: want a link: "id id weight"'):format(path))
    end)
end)
