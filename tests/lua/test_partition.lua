-- SPDX-License-Identifier: MIT
-- Partitions of simulated nodes: who still hears whom.

local core = require "qemunet.core"
local frames = require "frames"

local nodes, office = {}, switch("office")
for i = 1, 4 do
    nodes[i] = responder("n" .. i)
    office:connect(nodes[i])
end
local a, b, c, d = table.unpack(nodes)

local BROADCAST = { mac = "ff:ff:ff:ff:ff:ff", ip = "10.0.0.255" }

-- Whether what `from` sends reaches `to`, over their cables to the switch; of what is no answer.
local function hears(to, from, target)
    local near, far = from.nics[1].link, to.nics[1].link
    local before = far.ba:stats().delivered
    core.link_send(near.id, 0, frames.datagram(from.nics[1], target or to.nics[1]))
    return far.ba:stats().delivered > before
end

-- "a>b" for each pair that hears, of the nodes by number.
local function reach(list)
    local pairs_that_hear = {}
    for i, from in ipairs(list) do
        for j, to in ipairs(list) do
            if i ~= j and hears(to, from) then pairs_that_hear[#pairs_that_hear + 1] = i .. ">" .. j end
        end
    end
    return table.concat(pairs_that_hear, " ")
end

local ALL = "1>2 1>3 1>4 2>1 2>3 2>4 3>1 3>2 3>4 4>1 4>2 4>3"

test("groups do not reach each other; within one, and to a node in none, all pass; healing ends it", function()
    check.equal(reach(nodes), ALL)
    local p = partition({ a, b }, { "n3" })
    check.equal(tostring(p), "partition of 2 groups (in force)")
    check.equal(reach(nodes), "1>2 1>4 2>1 2>4 3>4 4>1 4>2 4>3")
    check.equal(p.groups, { { "n1", "n2" }, { "n3" } })
    local before = c.nics[1].link.ba:stats().trigger_drops
    check.equal({ hears(c, a, BROADCAST), hears(b, a, BROADCAST) }, { false, true })
    core.link_send(a.nics[1].link.id, 0, frames.arp(a.nics[1], c.nics[1]))
    check.equal(c.nics[1].link.ba:stats().trigger_drops, before + 3)
    p:heal()
    p:heal()
    check.equal({ reach(nodes), p.healed }, { ALL, true })
end)

test("three groups, one a node by itself; partitions overlap", function()
    local p = partition(a, { b }, { c, d })
    check.equal(reach(nodes), "3>4 4>3")
    local q = partition({ a, b, c }, { d })
    p:heal()
    check.equal(reach(nodes), "1>2 1>3 2>1 2>3 3>1 3>2")
    local r = partition("n1", "n2")
    check.equal(reach(nodes), "1>3 2>3 3>1 3>2")
    q:heal()
    check.equal(reach(nodes), "1>3 1>4 2>3 2>4 3>1 3>2 3>4 4>1 4>2 4>3")
    r:heal()
    check.equal(reach(nodes), ALL)
end)

test("a link that comes during a partition is cut too; a removed one does not matter", function()
    local p = partition({ a }, { b }, {})
    local direct = link(a, b)
    local gone = link(a, b)
    gone:remove()
    local function passes()
        local before = direct.ab:stats().delivered
        core.link_send(direct.id, 0, frames.datagram(direct.nics[1], direct.nics[2]))
        return direct.ab:stats().delivered > before
    end
    check.equal(passes(), false)
    local other = partition({ c }, { d })
    other:heal()
    check.equal(passes(), false)
    p:heal()
    check.equal(passes(), true)
    direct:remove()
    partition({ a }, { b }):heal()
end)

test("what a router passes on is known by its sender's address", function()
    local router = responder("router")
    local near, far = link(a, router), link(router, d)
    local p = partition({ a }, { d })
    local packet = frames.udp(a:ip(near), d:ip(far), 9, 9, ("d"):rep(20))
    local from, to = router.nics[2], d.nics[#d.nics]
    local function passes(payload, kind)
        local before = far.ab:stats().delivered
        core.link_send(far.id, 0, frames.eth(to.mac, from.mac, kind or 0x0800, payload))
        return far.ab:stats().delivered > before
    end
    check.equal(passes(packet), false)
    check.equal(passes(frames.udp(router:ip(far), d:ip(far), 9, 9, "x")), true)
    check.equal(passes(("x"):rep(46), 0x88b5), true)
    p:heal()
    check.equal(passes(packet), true)
end)

test("forty nodes, half and half", function()
    local many, halves = switch("many", { subnet = "10.90.0.0/24" }), { {}, {} }
    for i = 1, 40 do
        local n = responder("m" .. i)
        many:connect(n)
        halves[i % 2 + 1][i // 2 + 1 - (i % 2 == 0 and 1 or 0)] = n
    end
    local p = partition(halves[1], halves[2])
    check.equal({ hears(halves[1][1], halves[2][20]), hears(halves[1][1], halves[1][20]) }, { false, true })
    p:heal()
    check.equal(hears(halves[1][1], halves[2][20]), true)
end)

test("misuse raises at the script's line", function()
    local cases = {
        { {}, "partition: want two groups of nodes or more" },
        { { { a } }, "partition: want two groups" },
        { { { a }, 3 }, "partition: group 2 is no table of nodes, but a number" },
        { { { a }, nil, { b }, n = 3 }, "partition: group 2 is no table of nodes, but a nil" },
        { { { a }, { "nobody" } }, 'partition: a member of group 2 is not a node: there is none named "nobody"' },
        { { { a }, office }, "partition: a member of group 2 is not a node, but switch office" },
        { { { a, b }, { b } }, "partition: n2 is there twice" },
        { { { a, a }, { b } }, "partition: n1 is there twice" },
    }
    for _, case in ipairs(cases) do
        local groups = case[1]
        check.raises(function()
            local p = partition(table.unpack(groups, 1, groups.n or #groups))
            p:heal()
        end, "test_partition.lua:%d+: " .. case[2])
    end
    local p = partition(a, b)
    check.raises(function() p:hael() end, 'test_partition.lua:%d+: a partition has no field or method "hael"') -- no check
    check.raises(function() p.heal() end, "test_partition.lua:%d+: heal: call it with a colon")
    p:heal()
    check.equal(reach(nodes), ALL)
end)
