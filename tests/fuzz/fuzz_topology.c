/* SPDX-License-Identifier: MIT */
/* Topology files. The input's first byte chooses the format, or that it is to be found out.
 * Whatever the bytes are, there is a graph whose names are good and whose links have their ends in
 * it, or a message that begins with the file's name and a line. */
#include "chunk_target.h"

static const char source[] =
    "local topology = require 'qemunet.topology.topology'\n"
    "local formats = { 'graphml', 'inet', 'orbis', 'rocketfuel', 'map', 'weights', 'latencies' }\n"
    "local function check(graph)\n"
    "    local known, names = {}, {}\n"
    "    for _, node in ipairs(graph.nodes) do\n"
    "        assert(node.name:find('^[a-z][a-z0-9-]*$') and #node.name <= 63, node.name)\n"
    "        assert(not names[node.name] and graph.by_name[node.name] == node, node.name)\n"
    "        known[node], names[node.name] = true, true\n"
    "    end\n"
    "    for _, link in ipairs(graph.links) do\n"
    "        assert(known[link.a] and known[link.b] and link.a ~= link.b)\n"
    "        assert(not link.delay or link.delay >= 0 and link.delay < math.huge)\n"
    "        assert(not link.rate or link.rate > 0 and link.rate < math.huge)\n"
    "    end\n"
    "    assert(graph.facts.components >= 1 and graph.facts.components <= #graph.nodes)\n"
    "end\n"
    "return function(data)\n"
    "    local format = formats[(data:byte() or 0) - 48]\n"
    "    local graph, why = topology.parse(data:sub(2), { name = 'fuzz', format = format })\n"
    "    if graph then check(graph) else assert(why:find('^fuzz:%d+: %C+$'), why) end\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return run_chunk(source, data, size);
}
