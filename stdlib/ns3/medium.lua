-- SPDX-License-Identifier: MIT
-- What nodes are joined by in an ns-3 simulation: CSMA, point-to-point links, Wi-Fi. A machine's or host's interface has a link
-- of the fabric to the socket that its ghost in the simulation reads; a simulated node is there itself.

local class = require "qemunet.class"
local core = require "qemunet.core"
local link = require "qemunet.network.link"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local radio = require "qemunet.network.radio"
local recorder = require "qemunet.record.recorder"
local simulated = require "qemunet.ns3.simulated"
local testbed = require "qemunet.testbed"

local medium = {}

local DEFAULT_MTU, LOWEST_MTU, HIGHEST_MTU = 1500, 576, 2000

--- class medium: what nodes are joined by in a simulation of ns-3's; what net:csma(), net:p2p() and net:wifi() return.
-- @field name string   its own
-- @field kind string   "csma", "p2p" or "wifi"
-- @field net net       the simulation
-- @field links table   of the machines and hosts on it, from their interfaces to the simulation
-- @field subnet table  its subnet, or false with ip=false
local Medium = {}
local meta = class.new("medium", Medium)

Medium.gateway = false

function meta.__tostring(self) return ("ns-3 %s %s (%d nodes)"):format(self.kind, self.name, self.n) end

--- Whether a value is a medium of ns-3.
function medium.is(v) return getmetatable(v) == meta end

local OWN = {
    subnet = { type = "string" },
    ip = { type = "boolean" },
    mtu = { type = "integer", min = LOWEST_MTU, max = HIGHEST_MTU },
    pcap = { type = "boolean" },
    promiscuous = { type = "boolean" },
}

--- The options of a kind of medium, and those of all.
function medium.spec(own)
    local spec = {}
    for _, each in ipairs { OWN, own } do
        for name, entry in pairs(each) do spec[name] = entry end
    end
    return spec
end

local function pcap_path(self, other)
    if not self.opts.pcap then return nil end
    return ("%s/%s-%s.pcap"):format(recorder.folder(), self.name, other.name)
end

-- What the simulation is told of a new member.
local function request_of(self, nic, more)
    local request = { where = self.where, medium = self.name, node = nic.node.name, mac = nic.mac,
        mtu = self.opts.mtu or DEFAULT_MTU, promiscuous = self.opts.promiscuous, pcap = pcap_path(self, nic.node) }
    for name, value in pairs(more) do request[name] = value end
    return request
end

local function subnet_of(self) return self.subnet or nil end

-- A node's link is gone. Where the simulation is, too, nothing is left to be told of it.
local function leave(self, l)
    self.n = self.n - 1
    if not (self.net.over or self.net.child.ended) then self.net:call("detach", { medium = self.name, node = l.a.name }) end
end

local function add_simulated(self, other, more, made)
    local nic = simulated.add_nic(other, self, subnet_of(self))
    local request = request_of(self, nic, more)
    if nic.ip then request.ip, request.prefix = nic.ip, nic.subnet.len end
    local attached = false
    local guard <close> = setmetatable({}, { __close = function()
        if not attached then node.remove_nic(other, nic) end
    end })
    self.net:call("attach", request)
    attached = true
    nic.link.on_remove = function()
        node.remove_nic(other, nic)
        leave(self, nic.link)
    end
    made.simulated[#made.simulated + 1] = nic.link
    return nic.link
end

local function leave_port(self, l, port)
    if self.net.ports[port] then core.port_remove(port) end
    self.net.ports[port] = nil
    leave(self, l)
end

-- A machine or host: a link of the fabric from its interface to the simulation's socket.
local function add_real(self, other, more, made)
    local l = link.new(other.name .. "--" .. self.name, { mtu = self.opts.mtu }, self.where, 4)
    l.a, l.b, l.switch = other, self, self
    made.links[#made.links + 1] = l
    local near = link.attach(l, other, subnet_of(self))
    local port, fd = core.port_add()
    local attached = false
    local guard <close> = setmetatable({}, { __close = function()
        core.close_fd(fd)
        if not attached then core.port_remove(port) end
    end })
    self.net:call("attach", request_of(self, l.nics[1], more), fd)
    attached = true
    l.on_remove = function() leave_port(self, l, port) end
    self.net.ports[port] = true
    self.links[#self.links + 1] = l
    return link.connect(l, near, { "port", port })
end

-- Adds a node; `more`: what else the simulation is told of it.
local function add(self, other, more, made)
    local joined
    if simulated.is(other) then joined = add_simulated(self, other, more, made) else joined = add_real(self, other, more, made) end
    self.n = self.n + 1
    return joined
end

-- Drops a link that was removed.
function Medium:forget(l) self.links = testbed.without(self.links, l) end

local function check_net(net, other, where, level)
    if simulated.is(other) and other.net ~= net then
        error(("%s: %s is a node of another simulation"):format(where, other.name), level + 1)
    end
end

local function check_new(self, other, level)
    for _, nic in ipairs(other.nics) do
        if nic.link.switch == self then
            error(("%s: %s is on %s already"):format(self.where, other.name, self.name), level + 1)
        end
    end
    check_net(self.net, other, self.where, level + 1)
end

-- Nodes, and arrays of them.
local function flatten(list, into)
    for i = 1, #list do
        local each = list[i]
        if type(each) == "table" and getmetatable(each) == nil then flatten(each, into) else into[#into + 1] = each end
    end
    return into
end

-- The nodes of a table as the methods of net take it.
local function nodes_of(net, given, where, level)
    local nodes, seen = flatten(given, {}), {}
    for i, each in ipairs(nodes) do
        local other = link.check_node(each, where, "node " .. i, level + 1)
        if seen[other] then error(("%s: %s is in it twice"):format(where, other.name), level + 1) end
        check_net(net, other, where, level + 1)
        nodes[i], seen[other] = other, true
    end
    return nodes
end

--- Makes a medium: checks the nodes and options of a table as the methods of net take it, tells the simulation with
--- request(checked options, nodes, given options, level) and joins the nodes, each with more_of(node, its number there, checked
--- options). Returns it, and the nodes.
function medium.make(net, kind, given, spec, request, more_of, level)
    local where = "net:" .. kind
    if type(given) ~= "table" then error(where .. ": want a table, { nodes..., options }", level + 1) end
    local opts = {}
    for key, value in pairs(given) do
        if math.type(key) ~= "integer" then opts[key] = value end
    end
    local checked = options.check(opts, spec, where, level + 1)
    if checked.pcap == nil then checked.pcap = net.opts.pcap end
    local nodes = nodes_of(net, given, where, level + 1)
    net.media = net.media + 1
    local self = setmetatable({ net = net, kind = kind, name = ("%s-%s%d"):format(net.name, kind, net.media), links = {}, n = 0,
        where = where, opts = checked, more_of = more_of, subnet = testbed.subnet(checked, where) or false }, meta)
    local described = request(checked, nodes, opts, level + 1)
    described.where, described.medium = where, self.name
    net:call(kind, described)
    net.made[#net.made + 1] = self
    medium.join_all(self, nodes, level + 1)
    return self, nodes
end

--- Joins nodes to a medium: all, or none.
function medium.join_all(self, nodes, level)
    local made <close> = link.making {}
    made.simulated = {}
    local guard <close> = setmetatable({}, { __close = function()
        for _, l in ipairs(made.finished and {} or made.simulated) do l.on_remove() end
    end })
    local joined = {}
    for i, other in ipairs(nodes) do
        check_new(self, other, level + 1)
        local more = self.more_of(other, self.n + 1, self.opts)
        joined[i] = add(self, other, more, made)
        if more.x then radio.place(joined[i], more.x, more.y) end
    end
    made:finish()
    self.net:names_changed()
    return joined
end

--- medium:join(node, place) -> link: puts one node more on it.
-- @param node   a node or its name
-- @param place  {x, y}, on Wi-Fi
-- @example ns-3
--   local net = ns3()
--   local bus = net:csma { host("a"), host("b") }
--   bus:join(host("c"))
function Medium:join(other, place)
    class.check(self, meta, "join")
    other = link.check_node(other, "join", "the first argument", 2)
    if place ~= nil then
        self.opts.positions = self.opts.positions or {}
        self.opts.positions[other] = place
    end
    local joined = medium.join_all(self, { other }, 2)
    return joined[1]
end

-- Where the members of a Wi-Fi medium are, for node:move and mobility.
radio.add_kind(meta, {
    has_places = function(self) return self.kind == "wifi" end,
    move = function(l, m)
        l.switch.net:call("move", { node = l.nics[1].node.name, x = m.x, y = m.y, vx = m.vx, vy = m.vy, start = m.start,
            duration = m.duration })
    end,
    place_of = function(l)
        local place = l.switch.net:call("position", { node = l.nics[1].node.name })
        return place.x, place.y
    end,
})

return medium
