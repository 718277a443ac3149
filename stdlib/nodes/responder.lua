-- SPDX-License-Identifier: MIT
-- Simulated nodes: an interface in the fabric that answers ARP, ICMP echo and UDP echo, and takes no commands: responder.

local address = require "qemunet.network.address"
local core = require "qemunet.core"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local responder = {}

local OPTIONS = options.register({}, "responder")

--- class responder: a simulated node; what responder() returns. It has a node's name, links and addresses, and takes no
-- commands.
local Responder = {}
local class = node.class("responder", Responder)

--- responder(name) -> responder: declares a simulated node, which costs nothing; give it links as to any other.
-- It answers ARP, ping and UDP port 7 (echo), and can be the end of sources, voice and video.
-- @param name  as for vm
-- @example
--   local server = responder("server")
--   link(responder("client"), server, { delay = "10ms" })
--   check.match(server:ip(), "^10%.")
function responder.responder(name, opts)
    options.check(opts, OPTIONS, "responder", 2)
    local self = setmetatable({ name = name, state = "up", nics = {} }, class)
    self.number = testbed.add_node(self)
    return self
end

function Responder:start_up() end
Responder.update_hosts = false
function Responder:set_carrier() end
function Responder:cut() end
function Responder:console_tail() return "" end

function Responder:channel() return nil, ("%s is simulated: it takes no commands"):format(self.name) end

function Responder:add_nic(link, subnet)
    testbed.prepare()
    local nic = node.add_nic(self, link, subnet)
    nic.station = core.station_add(address.mac_bytes(nic.mac), address.ip_bytes(nic.ip or "0.0.0.0"))
    nic.at = { "station", nic.station }
    return nic
end

function Responder:remove_nic(nic)
    node.remove_nic(self, nic)
    core.station_remove(nic.station)
end

function Responder:close()
    for _, nic in ipairs(self.nics) do core.station_remove(nic.station) end
    self.nics, self.state = {}, "down"
end

return responder
