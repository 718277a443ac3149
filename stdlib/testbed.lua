-- SPDX-License-Identifier: MIT
-- What an experiment has declared: its nodes, links and switches, and what they share (names, addresses, accelerator).

local address = require "qemunet.address"
local errors = require "qemunet.errors"

local testbed = {}

local function fresh()
    return { nodes = {}, by_name = {}, links = {}, switches = {}, subnets = 0 }
end

local state = fresh()

--- Called before the fabric may be used for the first time; set by the run.
testbed.prepare = function() end

--- The declared nodes in order; links; switches.
function testbed.nodes() return state.nodes end
function testbed.links() return state.links end
function testbed.switches() return state.switches end

--- The node of that name, or nil.
function testbed.find(name) return state.by_name[name] end

--- Adds a node under a name that is valid as a host name and not taken; raises at the script's line otherwise.
--- Returns its number, from 1.
function testbed.add_node(node)
    local name = node.name
    if type(name) ~= "string" or not name:match("^%a[%w-]*$") or #name > 63 then
        errors.raise(("bad node name %s (want letters, digits and \"-\", a letter first, at most 63)"):format(
            type(name) == "string" and ("%q"):format(name) or tostring(name)))
    end
    if state.by_name[name] then errors.raise(("there is a node %q already"):format(name)) end
    state.by_name[name] = node
    state.nodes[#state.nodes + 1] = node
    return #state.nodes
end

-- What is told of new links and of the end; kept for good.
local link_listeners, end_listeners = {}, {}

--- Has fn(link) called for each link that is added.
function testbed.on_link(fn) link_listeners[#link_listeners + 1] = fn end

--- Has fn() called when an experiment ends, before its links and nodes go.
function testbed.on_end(fn) end_listeners[#end_listeners + 1] = fn end

function testbed.add_link(link)
    state.links[#state.links + 1] = link
    for _, fn in ipairs(link_listeners) do fn(link) end
end

function testbed.add_switch(switch) state.switches[#state.switches + 1] = switch end

--- The subnet for a link or switch: the one that is asked for, the next automatic one, or nil for `ip=false`.
function testbed.subnet(opts, where)
    if opts.ip == false then return nil end
    if opts.subnet then
        local subnet, why = address.subnet(opts.subnet)
        if not subnet then errors.raise(where .. ": " .. why) end
        return subnet
    end
    local subnet = address.automatic(state.subnets)
    if not subnet then errors.raise(where .. ": no more automatic subnets; give subnet=") end
    state.subnets = state.subnets + 1
    return subnet
end

local function on_subnet(node, subnet)
    for _, nic in ipairs(node.nics) do
        if nic.subnet and nic.subnet == subnet then return nic.ip end
    end
end

-- The address by which `node` best knows `other`: on a subnet that both are on, else its first.
local function known_as(node, other)
    for _, nic in ipairs(node.nics) do
        local ip = nic.subnet and on_subnet(other, nic.subnet)
        if ip then return ip end
    end
    for _, nic in ipairs(other.nics) do
        if nic.ip then return nic.ip end
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

--- Cuts every machine's power and waits for their ends; gives back what the fabric lent, links included.
function testbed.teardown()
    for _, fn in ipairs(end_listeners) do fn() end
    for _, node in ipairs(state.nodes) do node:cut() end
    for _, node in ipairs(state.nodes) do node:close() end
    state = fresh()
end

return testbed
