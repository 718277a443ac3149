-- SPDX-License-Identifier: MIT
-- A way out of the experiment, into this machine's network: nat. The run's own network is private; a process that stays
-- outside of it carries what such a link's node sends, as connections of its own.

local address = require "qemunet.network.address"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local nat = {}

local OWN = { host_loopback = { type = "boolean", default = true } }
local ALL = options.register({ host_loopback = OWN.host_loopback }, "nat")
for name, entry in pairs(options.specs.link) do ALL[name] = entry end

-- Places in the subnet; the node's address is the first.
local GATEWAY, NAMESERVER = 2, 3

--- Called before a link is made, which the process has to be there for; set by the run.
nat.ready = function() end

local outside, problem -- the process, or why there is none
local open, count = {}, 0 -- links with a gateway: {[link]=function that ends it}; subnets given so far

--- Leaves a process behind, before the run leaves this machine's network.
function nat.prepare()
    outside, problem = core.nat_start()
end

-- The options of the link, and those that are nat's own.
local function split(opts)
    if opts ~= nil and type(opts) ~= "table" then error("nat: want nat(node, options)", 3) end
    local own, cable = {}, {}
    for key, value in pairs(opts or {}) do
        if OWN[key] then own[key] = value else cable[key] = value end
    end
    return options.check(own, OWN, "nat", 3), cable
end

local function subnet_of(given, level)
    local subnet, why
    if given then subnet, why = address.subnet(given) else subnet, why = address.shared(count), "no subnet is left" end
    if not subnet then error("nat: " .. why, level + 1) end
    if subnet.len > 29 then error(("nat: subnet %q is too small (want /29 or larger)"):format(given), level + 1) end
    if not given then count = count + 1 end
    return subnet
end

-- Has a gateway serve the far end of a link. Returns that end.
local function open_gateway(self, config)
    local port, fd = core.port_add()
    local gateway, why = outside:open(config, fd, function()
        core.event { t = core.now(), kind = "link", link = self.name, event = "gateway ended" }
        core.log(0, ("nat: the process behind link %s has ended: nothing passes there any more"):format(self.name))
    end)
    core.close_fd(fd)
    open[self] = function()
        if gateway then gateway:close() end
        core.port_remove(port)
        open[self] = nil
    end
    self.on_remove = open[self]
    if not gateway then errors.machinery("nat: cannot start the process that carries its packets: " .. why) end
    return { "port", port }
end

--- nat(node, opts) -> link: gives a node a way into this machine's network, through a router that translates addresses.
-- The node is end a; it gets an address, a default route and a nameserver. link.gateway is the router's address.
-- @param node  a node or its name
-- @options link
-- @option host_loopback  whether the router's address leads to what listens at this machine's 127.0.0.1
-- @error  an ordinary user's run needs it before the first node boots
-- @example vm
--   local a = vm("a")
--   nat(a)
--   print(a:succeed("wget -qO- http://example.org"))
function nat.nat(target, opts)
    target = link.check_node(target, "nat", "the first argument", 2)
    local own, cable = split(opts)
    nat.ready()
    if not outside then errors.machinery("nat: there is no process outside of the run's network: " .. tostring(problem)) end
    local self, both = link.new(target.name .. "--nat", cable, "nat", 2)
    self.a = target
    local subnet = subnet_of(both.subnet, 2)
    self.gateway, self.nameserver = subnet:host(GATEWAY), subnet:host(NAMESERVER)
    local made <close> = link.making { self }
    local near = link.attach(self, target, both.ip ~= false and subnet or nil)
    local far = open_gateway(self, { network = subnet:host(0), mask = subnet:mask(), gateway = self.gateway,
        nameserver = self.nameserver, node = subnet:host(1), mtu = self.mtu or nil, host_loopback = own.host_loopback })
    link.connect(self, near, far)
    made:finish()
    return self
end

testbed.on_end(function()
    for _, close in pairs(open) do close() end
    count = 0
end)

return nat
