-- SPDX-License-Identifier: MIT
-- What an experiment has declared: its nodes, links and switches, and what they share (names, addresses, accelerator).

local address = require "qemunet.network.address"
local declarations = require "qemunet.declarations"
local errors = require "qemunet.errors"

local testbed = {}

--- A list without an item, a new one: whoever goes through the old one while things go, misses nothing.
function testbed.without(list, item)
    local rest = {}
    for _, other in ipairs(list) do
        if other ~= item then rest[#rest + 1] = other end
    end
    return rest
end

local function fresh()
    return { nodes = {}, by_name = {}, links = {}, removed = {}, link_names = {}, switches = {}, switch_names = {}, subnets = 0,
        numbers = 0 }
end

local state = fresh()

--- Called before the fabric may be used for the first time; set by the run.
testbed.prepare = function() end

--- The declared nodes in order; links; those that were removed; switches.
function testbed.nodes() return state.nodes end
function testbed.links() return state.links end
function testbed.removed_links() return state.removed end
function testbed.switches() return state.switches end

--- The node of that name, or nil.
function testbed.find(name) return state.by_name[name] end

-- An empty testbed counts from the start again, so that tests that each make their own have the same addresses.
local function count_anew()
    if #state.nodes + #state.links + #state.switches == 0 then state.subnets, state.numbers = 0, 0 end
end

local function remove_node(node)
    node:cut("declared again by a later test")
    for _, nic in ipairs(node.nics) do nic.link:take_away() end
    node:close()
    state.by_name[node.name] = nil
    state.nodes = testbed.without(state.nodes, node)
    count_anew()
end

--- Adds a node under a name that is valid as a host name and not taken, unless by an earlier test's; raises at the script's line
--- otherwise. Returns its number, from 1.
function testbed.add_node(node)
    local name = rawget(node, "name")
    if type(name) ~= "string" or not name:match("^%a[%w-]*$") or #name > 63 then
        errors.raise(("bad node name %s (want letters, digits and \"-\", a letter first, at most 63)"):format(
            type(name) == "string" and ("%q"):format(name) or tostring(name)))
    end
    if name == "localhost" then errors.raise('bad node name "localhost": every node has that name for itself') end
    local other = state.by_name[name]
    if other and not declarations.make_way(other) then errors.raise(("there is a node %q already"):format(name)) end
    state.by_name[name] = node
    state.nodes[#state.nodes + 1] = node
    state.numbers = state.numbers + 1
    declarations.add(node, remove_node)
    return state.numbers
end

-- What is told of new links, of nodes' states and of the end; kept for good.
local link_listeners, state_listeners, end_listeners = {}, {}, {}

--- Has fn(link) called for each link that is added.
function testbed.on_link(fn) link_listeners[#link_listeners + 1] = fn end

--- Has fn(node) called for each new state of a node that boots.
function testbed.on_state(fn) state_listeners[#state_listeners + 1] = fn end

function testbed.tell_state(node)
    for _, fn in ipairs(state_listeners) do fn(node) end
end

--- Has fn() called when an experiment ends, before its links and nodes go.
function testbed.on_end(fn) end_listeners[#end_listeners + 1] = fn end

function testbed.add_link(link)
    state.links[#state.links + 1] = link
    for _, fn in ipairs(link_listeners) do fn(link) end
end

function testbed.remove_link(link)
    state.links = testbed.without(state.links, link)
    table.insert(state.removed, link)
end

--- A name that no link has had: the wanted one, or with "-2", "-3", ... behind it.
function testbed.link_name(wanted)
    local names, name = state.link_names, wanted
    local n = names[wanted] or 1
    while names[name] do
        n = n + 1
        name = ("%s-%d"):format(wanted, n)
    end
    names[wanted], names[name] = n, names[name] or 1
    return name
end

--- The switch of that name, or nil.
function testbed.find_switch(name) return state.switch_names[name] end

local function remove_switch(switch)
    for _, link in ipairs(switch.links) do link:take_away() end
    switch:close()
    state.switch_names[switch.name] = nil
    state.switches = testbed.without(state.switches, switch)
    count_anew()
end

--- Adds a switch under a name that is not taken by another, unless by an earlier test's; raises at the script's line otherwise.
function testbed.add_switch(switch)
    local other = state.switch_names[switch.name]
    if other and not declarations.make_way(other) then errors.raise(("there is a switch %q already"):format(switch.name)) end
    state.switch_names[switch.name] = switch
    state.switches[#state.switches + 1] = switch
    declarations.add(switch, remove_switch)
end

--- The subnet for a link or switch: the one that is asked for, the next automatic one for so many `hosts` (default 1), or nil
--- for `ip=false`.
function testbed.subnet(opts, where, hosts)
    if opts.ip == false then return nil end
    if opts.subnet then
        local subnet, why = address.subnet(opts.subnet)
        if not subnet then errors.raise(where .. ": " .. why) end
        return subnet
    end
    local subnet, behind = address.automatic(state.subnets, hosts)
    if not subnet then errors.raise(where .. ": no more automatic subnets; give subnet=") end
    state.subnets = behind
    return subnet
end

local function on_subnet(node, subnet)
    for _, nic in ipairs(node.nics) do
        if nic.subnet and nic.subnet == subnet then return nic.ip end
    end
end

-- The address by which `node` best knows `other`: on a subnet that both are on, else its first that others can reach.
local function known_as(node, other)
    for _, nic in ipairs(node.nics) do
        local ip = nic.subnet and on_subnet(other, nic.subnet)
        if ip then return ip end
    end
    for _, nic in ipairs(other.nics) do
        if nic.ip and not nic.link.gateway then return nic.ip end
    end
end

--- The text of a node's /etc/hosts.
function testbed.hosts_of(node)
    local lines = { "127.0.0.1 localhost", "::1 localhost" }
    for _, other in ipairs(state.nodes) do
        local ip = other == node and "127.0.1.1" or known_as(node, other)
        if ip then lines[#lines + 1] = ip .. " " .. other.name end
    end
    return table.concat(lines, "\n") .. "\n"
end

--- Cuts every machine's power and gives back what the fabric lent, links included.
function testbed.teardown()
    for _, fn in ipairs(end_listeners) do fn() end
    for _, node in ipairs(state.nodes) do node:cut() end
    for _, node in ipairs(state.nodes) do node:close() end
    for _, switch in ipairs(state.switches) do switch:close() end
    declarations.reset()
    state = fresh()
end

return testbed
