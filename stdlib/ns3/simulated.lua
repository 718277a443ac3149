-- SPDX-License-Identifier: MIT
-- Nodes that are simulated as a whole, with ns-3's own internet stack: net:node. They answer ping, forward packets, and run
-- ns-3's applications; they take no commands.

local errors = require "qemunet.errors"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local simulated = {}

local Simulated = {}
local class = node.class("simulated node", Simulated)

--- Whether a value is one.
function simulated.is(v) return getmetatable(v) == class end

--- A node of the name, in a simulation.
function simulated.new(net, name)
    local self = setmetatable({ name = name, net = net, state = "up", nics = {} }, class)
    self.number = testbed.add_node(self)
    net:call("node", { where = "net:node", node = name })
    return self
end

function Simulated:start_up() end
Simulated.update_hosts = false
function Simulated:set_carrier() end
function Simulated:cut() end
function Simulated:console_tail() return "" end

function Simulated:channel() return nil, ("%s is simulated by ns-3: it takes no commands"):format(self.name) end

function Simulated:add_nic()
    errors.raise(("%s is simulated by ns-3: net:csma, net:p2p and net:wifi join it"):format(self.name))
end

--- Its interface on a medium; the link is one in name alone.
function simulated.add_nic(self, medium, subnet)
    local l = { name = self.name .. "--" .. medium.name, switch = medium, a = self, b = medium, removed = false, gateway = false,
        nameserver = false, is_up = true, mtu = false }
    local nic = node.add_nic(self, l, subnet)
    l.nics = { nic }
    return nic
end

function Simulated:close() self.nics, self.state = {}, "down" end

local function check_self(self, method) errors.check_colon(simulated.is(self), method, "simulated node") end

--- s:route("10.1.0.0/24" or "default", via): packets for that network go to the address or node `via`.
function Simulated:route(network, via)
    check_self(self, "route")
    local base, len = tostring(network):match("^([%d.]+)/(%d+)$")
    if network == "default" then base, len = "0.0.0.0", 0 end
    if not base then error('route: want a network as "10.1.0.0/24", or "default"', 2) end
    self.net:call("route", { node = self.name, network = base, prefix = tonumber(len), via = simulated.address(self, via, 2) })
end

-- The address of `other` that is best reached from a node: on a subnet of both, else its first.
local function best_address(self, other)
    for _, nic in ipairs(other.nics) do
        for _, own in ipairs(self.nics) do
            if nic.ip and own.subnet == nic.subnet then return nic.ip end
        end
    end
    for _, nic in ipairs(other.nics) do
        if nic.ip then return nic.ip end
    end
end

--- The address that a script means by a text or a node; raises at `level`.
function simulated.address(self, other, level)
    if type(other) == "string" and other:match("^%d+%.%d+%.%d+%.%d+$") then return other end
    local found = type(other) == "string" and testbed.find(other) or other
    local ip = node.is(found) and best_address(self, found)
    if not ip then error(("%s: %s has no address"):format(self.name, tostring(other)), level + 1) end
    return ip
end

-- Applications ------------------------------------------------------------------------------------------------------------

local App = { __name = "ns-3 application" }
App.__index = App

function App.__tostring(self) return ("%s on %s"):format(self.type, self.node.name) end

local function check_app(self, method) errors.check_colon(getmetatable(self) == App, method, "ns-3 application") end

--- app:stop(): ends it.
function App:stop()
    check_app(self, "stop")
    self.node.net:call("stop", { application = self.number })
end

--- app:report() -> { tx_packets, tx_bytes, rx_packets, rx_bytes }: what it has sent and received.
function App:report()
    check_app(self, "report")
    local report = self.node.net:call("report", { application = self.number })
    return report
end

local function start(self, kind, request)
    request.where, request.node, request.type = "application", self.name, kind
    local number = self.net:call("start", request)
    return setmetatable({ node = self, type = kind, number = number }, App)
end

local APPLICATION = { to = { type = "any" }, port = { type = "integer", min = 1, max = 65535 }, attributes = { type = "table" } }

--- s:application(type, { to=, port=, attributes={} }) -> app: starts any application of ns-3's, by its type's name, as
--- "ns3::UdpEchoClient", with attributes as ns-3 names them. With `to` (a node or address), port is the one there.
function Simulated:application(kind, opts)
    check_self(self, "application")
    local checked = options.check(opts, APPLICATION, "application", 2)
    local request = { attributes = checked.attributes }
    if checked.to then
        request.remote = { ip = simulated.address(self, checked.to, 2), port = checked.port or 9 }
    else
        request["local"] = checked.port
    end
    local app = start(self, kind, request)
    return app
end

local PROTOCOLS = { udp = "ns3::UdpSocketFactory", tcp = "ns3::TcpSocketFactory" }
local PROTOCOL = { type = "string", default = "udp", choices = { "udp", "tcp" } }
local PORT = { type = "integer", min = 1, max = 65535 }

local ON_OFF = { to = { type = "any", required = true }, port = { type = "integer", default = 9, min = 1, max = 65535 },
    protocol = PROTOCOL, rate = { type = "rate", default = 1e6 }, size = { type = "integer", default = 512, min = 1, max = 65000 },
    on = { type = "duration", default = 1 }, off = { type = "duration", default = 0 }, limit = { type = "size", default = 0 } }

local function constant(seconds) return ("ns3::ConstantRandomVariable[Constant=%.9f]"):format(seconds) end

--- s:on_off{ to=, port=9, protocol="udp"|"tcp", rate="1mbit", size=512, on=1, off=0, limit=0 } -> app: sends packets of `size`
--- bytes at the rate for `on` seconds, nothing for `off`, and so on; limit: bytes in all (0: none).
function Simulated:on_off(opts)
    check_self(self, "on_off")
    local o = options.check(opts, ON_OFF, "on_off", 2)
    local app = start(self, "ns3::OnOffApplication", { remote = { ip = simulated.address(self, o.to, 2), port = o.port },
        attributes = { Protocol = PROTOCOLS[o.protocol], DataRate = ("%.0fbps"):format(o.rate), PacketSize = o.size,
            OnTime = constant(o.on), OffTime = constant(o.off), MaxBytes = o.limit } })
    return app
end

local BULK = { to = { type = "any", required = true }, port = { type = "integer", default = 9, min = 1, max = 65535 },
    size = { type = "size", default = 0 } }

--- s:bulk_send{ to=, port=9, size=0 } -> app: sends so many bytes by TCP, as fast as it can; 0: without end.
function Simulated:bulk_send(opts)
    check_self(self, "bulk_send")
    local o = options.check(opts, BULK, "bulk_send", 2)
    local app = start(self, "ns3::BulkSendApplication", { remote = { ip = simulated.address(self, o.to, 2), port = o.port },
        attributes = { Protocol = PROTOCOLS.tcp, MaxBytes = o.size } })
    return app
end

local SINK = { port = { type = "integer", default = 9, min = 1, max = 65535 }, protocol = PROTOCOL }

--- s:sink{ port=9, protocol="udp"|"tcp" } -> app: takes what comes to the port.
function Simulated:sink(opts)
    check_self(self, "sink")
    local o = options.check(opts, SINK, "sink", 2)
    local app = start(self, "ns3::PacketSink", { ["local"] = o.port, attributes = { Protocol = PROTOCOLS[o.protocol] } })
    return app
end

--- s:echo{ port=7 } -> app: sends back what comes to the UDP port.
function Simulated:echo(opts)
    check_self(self, "echo")
    local o = options.check(opts, { port = { type = "integer", default = 7, min = PORT.min, max = PORT.max } }, "echo", 2)
    local app = start(self, "ns3::UdpEchoServer", { ["local"] = o.port })
    return app
end

return simulated
