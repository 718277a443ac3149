-- SPDX-License-Identifier: MIT
-- Nodes and switches wired with links: link, switch, hub, lan.

local class = require "qemunet.class"
local core = require "qemunet.core"
local link = require "qemunet.network.link"
local options = require "qemunet.options"
local storm = require "qemunet.network.storm"
local testbed = require "qemunet.testbed"

local wiring = {}

-- How long a switch remembers a station: IEEE 802.1D-2004, table 7-5.
local AGEING = 300

--- class switch: a switch or hub; what switch(), hub() and lan() return.
-- @field name string   its name
-- @field links table   its links
-- @field subnet table  its subnet, or false with ip=false
local Switch = {}
local switch_meta = class.new("switch", Switch)

function switch_meta.__tostring(self) return ("switch %s (%d links)"):format(self.name, #self.links) end

local function is_switch(v) return getmetatable(v) == switch_meta end

local function check_end(v, where, which, level)
    if is_switch(v) then return v end
    local found = link.check_node(v, where, which, level + 1)
    return found
end

-- The interfaces that have addresses of a subnet.
local function interfaces_on(subnet)
    local list = {}
    for _, node in ipairs(testbed.nodes()) do
        for _, nic in ipairs(node.nics) do
            if nic.subnet == subnet then list[#list + 1] = nic end
        end
    end
    return list
end

-- Whether what is on the switch's subnet can be on that of `other`: nobody asked for the one that it is on, or it is the same
-- again, and no node has seen its address yet.
local function may_give_up(switch, other)
    local own, new = switch.subnet, other.subnet
    if not own or not new then return false end
    if not (switch.subnet_is_automatic or own.base == new.base and own.len == new.len) then return false end
    local moving = interfaces_on(own)
    for _, nic in ipairs(moving) do
        if nic.node.state ~= "defined" then return false end
    end
    return #moving <= new:room()
end

local function move_all(old, new)
    for _, nic in ipairs(interfaces_on(old)) do
        nic.subnet, nic.ip = new, new:next_host()
    end
end

-- The cable is there, and whoever wired it should know that pings through it find no way.
local function tell_apart(a, b)
    if not (a.subnet and b.subnet and (a.subnet_is_automatic or b.subnet_is_automatic)) then return end
    core.log(0, ("%s and %s: their nodes have addresses in two subnets, %s and %s: connect switches before their nodes boot, " ..
        "or give them one subnet="):format(a.name, b.name, tostring(a.subnet), tostring(b.subnet)))
end

-- Two switches are one network: all that is on the subnet of one goes to the other's.
local function share_subnet(a, b)
    if a.subnet == b.subnet then return end
    local keep, give = a, b
    if not may_give_up(give, keep) then keep, give = b, a end
    if not may_give_up(give, keep) then return tell_apart(a, b) end
    local old = give.subnet
    move_all(old, keep.subnet)
    for _, switch in ipairs(testbed.switches()) do
        if switch.subnet == old then
            switch.subnet, switch.subnet_is_automatic = keep.subnet, keep.subnet_is_automatic
        end
    end
end

local function subnet_for(a, b, both, where, level)
    local switch = is_switch(a) and a or is_switch(b) and b
    if not switch then return testbed.subnet(both, where) end
    if both.subnet then error(where .. ": give subnet= to the switch", level + 1) end
    return both.ip ~= false and switch.subnet or nil
end

-- Adds the link to a node or switch at an end. Returns that, as core.link_add takes it.
local function attach(self, at, subnet)
    if not is_switch(at) then return link.attach(self, at, subnet) end
    self.switch = self.switch or at
    at.links[#at.links + 1] = self
    return { "switch", at.id }
end

-- A cable between any two of nodes and switches; it is added to those that are being made.
local function join(a, b, opts, made, where, level)
    if a == b then error(("%s: both ends are %s"):format(where, a.name), level + 1) end
    local self, both = link.new(a.name .. "--" .. b.name, opts, where, level + 1)
    self.a, self.b = a, b
    local subnet = subnet_for(a, b, both, where, level + 1)
    if is_switch(a) and is_switch(b) then share_subnet(a, b) end
    made.links[#made.links + 1] = self
    local end_a = attach(self, a, subnet)
    return link.connect(self, end_a, attach(self, b, subnet))
end

--- link(a, b, opts) -> link: a cable between two nodes or switches; without options it is perfect.
-- The options are of both directions, or of one in ab={...}, ba={...}. Delay is one-way: a ping over delay="20ms" takes 40 ms.
-- The nodes may run already; they are given addresses, and all others learn of their names.
-- @param a  end a: a node or its name, or a switch
-- @param b  end b
-- @option ab  options of the direction from a to b
-- @option ba  options of the direction from b to a
-- @option delay         one-way (default 0)
-- @option jitter        how far the delay varies (default 0)
-- @option distribution  of the jitter: "uniform" (default: between -jitter and jitter), "normal" or "pareto" (jitter is the
--   standard deviation), or "trace": samples are added to the delay in turn
-- @option samples       of distribution="trace": a list of durations, or the path of a file with one on each line
-- @option correlation   of each packet's jitter with the one before (default 0)
-- @option reorder       which part of the packets does not wait for its delay (default 0)
-- @option loss          which part of the packets is lost, each independently (default 0)
-- @option burst         losses in bursts, by the Gilbert-Elliott model
-- @option burst.p       the probability of turning bad
-- @option burst.r       the probability of turning good again (default 1 - p)
-- @option burst.h       the probability that a packet passes while it is bad (default 0)
-- @option burst.k       the probability that a packet passes while it is good (default 1)
-- @option duplicate     which part of the packets comes twice (default 0)
-- @option corrupt       which part of the packets has one bit flipped (default 0)
-- @option rate          of Ethernet frames (default: unlimited)
-- @option trace         in place of rate: the path of a file in mahimahi's format
-- @option queue         how many packets may wait while one is sent, or bytes with a unit (default 1000 packets)
-- @option discipline    of that queue (default "fifo")
-- @option red           of discipline="red"
-- @option red.min       length of the queue from which packets are dropped (default 1/12 of queue)
-- @option red.max       length from which the probability is p (default 1/4 of queue)
-- @option red.p         (default 0.1)
-- @option red.weight    of the newest length in the mean (default 0.002)
-- @option codel         of discipline="codel"
-- @option codel.target    how long packets may wait (default 5 ms)
-- @option codel.interval  for how long they may wait longer (default 100 ms)
-- @option mtu     bytes of the largest packet (default: any). For both directions it is also that of the nodes' interfaces at
--   their boot; in ab, in ba and by set it is the link's alone, which drops what is larger
-- @option subnet  as "10.1.0.0/24" (default: the next free one of 10.0.0.0/8)
-- @option ip      false: no addresses
-- @error  what is no node; one node at both ends; unknown options and bad values
-- @example
--   local a, b = responder("a"), responder("b")
--   local cable = link(a, b, { delay = "20ms", loss = "1%", ab = { rate = "10mbit", queue = "64K" } })
--   check.equal(cable.name, "a--b")
function wiring.link(a, b, opts)
    a, b = check_end(a, "link", "the first argument", 2), check_end(b, "link", "the second argument", 2)
    local made <close> = link.making {}
    local self = join(a, b, opts, made, "link", 2)
    made:finish()
    return self
end

--- switch:connect(node, opts) -> link: a cable from a node (end a), or another switch, to the switch (end b).
-- @param node  a node or its name, or a switch
-- @options link
-- @example
--   local s = switch("core")
--   local cable = s:connect(responder("a"), { delay = "1ms" })
--   check.equal(cable.b, s)
function Switch:connect(other, opts)
    class.check(self, switch_meta, "connect")
    other = check_end(other, "connect", "the first argument", 2)
    local made <close> = link.making {}
    local l = join(other, self, opts, made, "connect", 2)
    made:finish()
    return l
end

-- Drops a link that was removed.
function Switch:forget(l) self.links = testbed.without(self.links, l) end

--- Takes it away, at the experiment's end, with the links that are still there.
function Switch:close()
    if self.id then core.switch_remove(self.id) end
end

Switch.id = false

--- switch:stats() -> table: what the switch has done.
-- @return  { frames = that came in, floods = those sent everywhere, moves = how often a station was heard from another link than
--   before, hop_drops = frames that went round for too long, storms = how often storm control began, storm_drops = frames that
--   it did not flood }
-- @example
--   check.equal(switch("core"):stats().frames, 0)
function Switch:stats()
    class.check(self, switch_meta, "stats")
    return core.switch_stats(self.id)
end

local HUB = options.register({ subnet = { type = "string" }, ip = { type = "boolean" } }, "hub")
local SWITCH = options.register({ subnet = HUB.subnet, ip = HUB.ip, ageing = { type = "duration" } }, "switch")
local LAN = options.register({ ageing = SWITCH.ageing }, "lan")
for name, entry in pairs(link.OPTIONS) do LAN[name] = entry end

-- `hosts`: for how many its automatic subnet is, at least.
local function new_switch(name, opts, where, level, hosts)
    if not options.is_name(name) then error(where .. ": want a name", level + 1) end
    local checked = options.check(opts, where == "hub" and HUB or SWITCH, where, level + 1)
    testbed.prepare()
    local self = { name = name, is_hub = where == "hub", links = {}, subnet = testbed.subnet(checked, where, hosts) or false,
        subnet_is_automatic = not checked.subnet and checked.ip ~= false }
    testbed.add_switch(setmetatable(self, switch_meta))
    self.id = core.switch_add(checked.ageing or AGEING, self.is_hub)
    storm.listen()
    return self
end

--- switch(name, opts) -> switch: a learning switch.
-- @param name  a text
-- @option subnet  of all its nodes, as "10.1.0.0/24" (default: the next free one of 10.0.0.0/8)
-- @option ip      false: no addresses
-- @option ageing  how long it remembers where a station is (default 300 s; 0: for ever)
-- @error  a name that another switch has
-- @example
--   local s = switch("core", { subnet = "10.9.0.0/16" })
--   for i = 1, 3 do s:connect(responder("n" .. i)) end
--   check.equal(#s.links, 3)
function wiring.switch(name, opts)
    local self = new_switch(name, opts, "switch", 2)
    return self
end

--- hub(name, opts) -> switch: as a switch, but it sends every frame everywhere.
-- @param name  a text
-- @option subnet  of all its nodes (default: the next free one)
-- @option ip      false: no addresses
-- @example
--   hub("old"):connect(responder("a"))
function wiring.hub(name, opts)
    local self = new_switch(name, opts, "hub", 2)
    return self
end

-- The options of lan, for each cable and for the switch.
local function split_lan(opts, level)
    if opts ~= nil and type(opts) ~= "table" then error("lan: options must be a table, not " .. type(opts), level + 1) end
    local cable, own = {}, {}
    for key, value in pairs(opts or {}) do
        if SWITCH[key] then own[key] = value else cable[key] = value end
    end
    return cable, own
end

local function lan_name()
    local n = #testbed.switches() + 1
    while testbed.find_switch("lan" .. n) do n = n + 1 end
    return "lan" .. n
end

--- lan(nodes, opts) -> switch: a switch with all the nodes connected.
-- @param nodes  an array of them
-- @options link switch
-- @example
--   local s = lan({ responder("a"), responder("b"), responder("c") }, { delay = "1ms" })
--   check.equal(#s.links, 3)
function wiring.lan(nodes, opts)
    if type(nodes) ~= "table" or #nodes == 0 then error("lan: want an array of nodes", 2) end
    local cable, own = split_lan(opts, 2)
    local members = {}
    for i = 1, #nodes do members[i] = check_end(nodes[i], "lan", "node " .. i, 2) end
    local self = new_switch(lan_name(), own, "lan", 2, #members)
    local made <close> = link.making {}
    for _, member in ipairs(members) do join(member, self, cable, made, "lan", 2) end
    made:finish()
    return self
end

return wiring
