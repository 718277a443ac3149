-- SPDX-License-Identifier: MIT
-- Nodes that are simulated as a whole, with ns-3's own internet stack: net:node. They answer ping, forward packets, and run
-- ns-3's applications; they take no commands.

local address = require "qemunet.network.address"
local classes = require "qemunet.class"
local errors = require "qemunet.errors"
local impairment = require "qemunet.network.impairment"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local simulated = {}

--- class simulated: a node that ns-3 simulates as a whole; what net:node() returns.
-- @field net net  the simulation
local Simulated = {}
local class = node.class("simulated", Simulated)

--- Whether a value is one.
function simulated.is(v) return getmetatable(v) == class end

--- A node of the name, in a simulation.
function simulated.new(net, name)
    local self = setmetatable({ name = name, net = net, state = "up", nics = {}, listeners = {} }, class)
    self.number = testbed.add_node(self)
    net:call("node", { where = "net:node", node = name })
    return self
end

function Simulated:start_up() end
Simulated.update_hosts = false
function Simulated:set_carrier() end

--- It goes with its simulation: of its links, which are none of the fabric's, nothing is left to be taken away.
function Simulated:cut() self.nics = {} end

function Simulated:console_tail() return "" end

function Simulated:channel() return nil, ("%s is simulated by ns-3: it takes no commands"):format(self.name) end

function Simulated:add_nic()
    errors.raise(("%s is simulated by ns-3: net:csma, net:p2p and net:wifi join it"):format(self.name))
end

--- Its interface on a medium; the link is one in name alone, which the fabric does not know.
function simulated.add_nic(self, medium, subnet)
    local l = { id = false, name = self.name .. "--" .. medium.name, switch = medium, a = self, b = medium, removed = false, gateway = false,
        nameserver = false, is_up = true, mtu = false }
    local nic = node.add_nic(self, l, subnet)
    l.nics = { nic }
    return nic
end

function Simulated:close() self.nics, self.state = {}, "down" end

local function check_self(self, method) errors.check_colon(simulated.is(self), method, "simulated") end

--- simulated:route(network, via): packets for a network go by another node.
-- @param network  "10.1.0.0/24", or "default"
-- @param via      the address or node that they are handed to
-- @example ns-3
--   local net = ns3()
--   local a, b, r, s = host("a"), host("b"), net:node("r"), net:node("s")
--   net:p2p(a, r)
--   net:p2p(r, s)
--   net:p2p(s, b)
--   r:route("10.0.2.0/24", s)
--   s:route("10.0.0.0/24", r)
function Simulated:route(network, via)
    check_self(self, "route")
    local base, len = tostring(network):match("^([%d.]+)/(%d+)$")
    if network == "default" then base, len = "0.0.0.0", 0 end
    if not base or not address.ip_bytes(base) or tonumber(len) > 32 then
        error('route: want a network as "10.1.0.0/24", or "default"', 2)
    end
    self.net:call("route", { where = "route", node = self.name, network = base, prefix = tonumber(len), via = simulated.address(self, via, 2) })
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
    if type(other) == "string" and address.ip_bytes(other) then return other end
    local found = type(other) == "string" and testbed.find(other) or other
    local ip = node.is(found) and best_address(self, found)
    if not ip then error(("%s: %s has no address"):format(self.name, tostring(other)), level + 1) end
    return ip
end

-- Applications ------------------------------------------------------------------------------------------------------------

--- class application: one of ns-3's applications that runs on a simulated node.
-- @field node simulated  where it runs
-- @field type string     ns-3's name of it
-- @example ns-3
--   local net = ns3()
--   local s, a = net:node("s"), host("a")
--   net:csma { s, a }
--   local flow = s:on_off { to = a, rate = "1mbit" }
--   sleep(1)
--   flow:stop()
--   print(flow:report().tx_packets)
local App = { listens = false }
local app_class = classes.new("application", App)

function app_class.__tostring(self) return ("%s on %s"):format(self.type, self.node.name) end

local function check_app(self, method) classes.check(self, app_class, method) end

--- application:stop(): ends it.
function App:stop()
    check_app(self, "stop")
    self.node.net:call("stop", { application = self.number })
    if self.listens then self.node.listeners[self.listens] = nil end
end

--- application:report() -> table: what it has sent and received, { tx_packets=, tx_bytes=, rx_packets=, rx_bytes= }.
function App:report()
    check_app(self, "report")
    local report = self.node.net:call("report", { application = self.number })
    return report
end

local function start(self, kind, request)
    request.where, request.node, request.type = "application", self.name, kind
    local number = self.net:call("start", request)
    return setmetatable({ node = self, type = kind, number = number }, app_class)
end

-- One that has a port to itself: two would end the simulation.
local function listen(self, kind, protocol, port, attributes)
    local listens = ("%s port %d"):format(protocol:upper(), port)
    if self.listeners[listens] then
        errors.raise(("%s listens on %s already: %s"):format(self.name, listens, tostring(self.listeners[listens])))
    end
    local app = start(self, kind, { ["local"] = port, attributes = attributes })
    app.listens, self.listeners[listens] = listens, app
    return app
end

local APPLICATION = options.register({ to = { type = "any" }, port = { type = "integer", min = 1, max = 65535 },
    attributes = { type = "table" } }, "simulated:application")

--- simulated:application(type, opts) -> application: starts any application of ns-3's.
-- @param type  its name, as "ns3::UdpEchoClient"
-- @option to          the node or address that it sends to
-- @option port        there; without `to`, the one that it listens on
-- @option attributes  by ns-3's names
-- @error  no such application, attribute or value
-- @example ns-3
--   local net = ns3()
--   local s, a = net:node("s"), host("a")
--   net:csma { s, a }
--   s:application("ns3::UdpEchoClient", { to = a, port = 7, attributes = { MaxPackets = 5, Interval = "100ms" } })
function Simulated:application(type, opts)
    check_self(self, "application")
    local checked = options.check(opts, APPLICATION, "application", 2)
    local request = { attributes = checked.attributes }
    if checked.to then
        request.remote = { ip = simulated.address(self, checked.to, 2), port = checked.port or 9 }
    else
        request["local"] = checked.port
    end
    local app = start(self, type, request)
    return app
end

local PROTOCOLS = { udp = "ns3::UdpSocketFactory", tcp = "ns3::TcpSocketFactory" }
local RATE = impairment.OPTIONS.rate
local LONGEST = 1e9 -- seconds
local PROTOCOL = { type = "string", default = "udp", choices = { "udp", "tcp" } }
local ON_OFF = options.register({ to = { type = "any", required = true }, port = { type = "integer", default = 9, min = 1, max = 65535 },
    protocol = PROTOCOL, rate = { type = "rate", default = 1e6, min = RATE.min, max = RATE.max }, size = { type = "integer", default = 512, min = 1, max = 65000 },
    on = { type = "duration", default = 1, min = 1e-6, max = LONGEST }, off = { type = "duration", default = 0, max = LONGEST }, limit = { type = "size", default = 0 } }, "simulated:on_off")

local function constant(seconds) return ("ns3::ConstantRandomVariable[Constant=%.9f]"):format(seconds) end

--- simulated:on_off{ to=, ... } -> application: sends packets at a rate, by turns with silence.
-- @option to        a node or address
-- @option port      there
-- @option protocol  what carries them
-- @option rate      of what it sends, while it does
-- @option size      of a packet's payload, bytes
-- @option on        seconds of sending
-- @option off       and of silence
-- @option limit     bytes in all (0: none)
-- @example ns-3
--   local net = ns3()
--   local s, a = net:node("s"), host("a")
--   net:csma { s, a }
--   s:on_off { to = a, rate = "1mbit", on = 0.5, off = 0.5 }
function Simulated:on_off(opts)
    check_self(self, "on_off")
    local o = options.check(opts, ON_OFF, "on_off", 2)
    local app = start(self, "ns3::OnOffApplication", { remote = { ip = simulated.address(self, o.to, 2), port = o.port },
        attributes = { Protocol = PROTOCOLS[o.protocol], DataRate = ("%.0fbps"):format(o.rate), PacketSize = o.size,
            OnTime = constant(o.on), OffTime = constant(o.off), MaxBytes = o.limit } })
    return app
end

local BULK = options.register({ to = { type = "any", required = true }, port = { type = "integer", default = 9, min = 1, max = 65535 },
    size = { type = "size", default = 0 } }, "simulated:bulk_send")

--- simulated:bulk_send{ to=, ... } -> application: sends bytes by TCP, as fast as it can.
-- @option to    a node or address
-- @option port  there
-- @option size  how many (0: without end)
-- @example ns-3
--   local net = ns3()
--   local s, t = net:node("s"), net:node("t")
--   net:p2p(s, t)
--   t:sink { port = 9, protocol = "tcp" }
--   s:bulk_send { to = t, size = "1M" }
function Simulated:bulk_send(opts)
    check_self(self, "bulk_send")
    local o = options.check(opts, BULK, "bulk_send", 2)
    local app = start(self, "ns3::BulkSendApplication", { remote = { ip = simulated.address(self, o.to, 2), port = o.port },
        attributes = { Protocol = PROTOCOLS.tcp, MaxBytes = o.size } })
    return app
end

local SINK = options.register({ port = { type = "integer", default = 9, min = 1, max = 65535 }, protocol = PROTOCOL },
    "simulated:sink")

--- simulated:sink(opts) -> application: takes what comes to a port.
-- @option port      where
-- @option protocol  by what
-- @error  a port that it listens on already
-- @example ns-3
--   local net = ns3()
--   local s, a = net:node("s"), host("a")
--   net:csma { s, a }
--   local sink = s:sink { port = 5000, protocol = "tcp" }
--   a:run("head -c 1000 /dev/zero | nc -N s 5000")
--   print(sink:report().rx_bytes)
function Simulated:sink(opts)
    check_self(self, "sink")
    local o = options.check(opts, SINK, "sink", 2)
    local app = listen(self, "ns3::PacketSink", o.protocol, o.port, { Protocol = PROTOCOLS[o.protocol] })
    return app
end

local ECHO = options.register({ port = { type = "integer", default = 7, min = 1, max = 65535 } }, "simulated:echo")

--- simulated:echo(opts) -> application: sends back what comes to a UDP port.
-- @option port  where
-- @error  a port that it listens on already
-- @example ns-3
--   local net = ns3()
--   local s, a = net:node("s"), host("a")
--   net:csma { s, a }
--   s:echo()
--   a:run("echo hello | nc -u -w 1 s 7")
function Simulated:echo(opts)
    check_self(self, "echo")
    local o = options.check(opts, ECHO, "echo", 2)
    local app = listen(self, "ns3::UdpEchoServer", "udp", o.port)
    return app
end

return simulated
