-- SPDX-License-Identifier: MIT
-- Links and switches between simulated nodes: what the language takes and refuses, names, counts, changes.

local core = require "qemunet.core"
local frames = require "frames"

local numbers = { node = 0 }

-- Two nodes, new to the file, and a link of them.
local function pair(opts)
    local nodes = {}
    for i = 1, 2 do
        numbers.node = numbers.node + 1
        nodes[i] = responder("r" .. numbers.node)
    end
    return link(nodes[1], nodes[2], opts), nodes[1], nodes[2]
end

-- Sends n datagrams, or as often the frame, into the direction 0 (ab) or 1.
local function send(l, dir, n, size)
    local from, to = l.nics[1], l.nics[2]
    if dir == 1 then from, to = to, from end
    local frame = type(size) == "string" and size or frames.datagram(from, to, size)
    for _ = 1, n do assert(core.link_send(l.id, dir, frame)) end
end

local function settled(l, way)
    return eventually(5, function()
        local s = l:stats()[way or "ab"]
        return s.in_flight == 0 and s
    end, { every = "1ms" })
end

-- fn raises exactly this, at a line of this file.
local function refuses(fn, text)
    local message = check.raises(fn)
    check.equal(message:gsub("^.-test_link%.lua:%d+: ", "", 1), text)
    check.match(message, "^[^ ]*test_link%.lua:%d+: ")
end

test("a link has a name of its own, and knows its ends", function()
    local l, a, b = pair()
    check.equal({ l.name, l.a.name, l.b.name }, { a.name .. "--" .. b.name, a.name, b.name })
    local second, third = link(a, b), link(a, b)
    check.equal({ second.name, third.name }, { l.name .. "-2", l.name .. "-3" })
    check.equal({ tostring(l), tostring(second.ab) }, { "link " .. l.name .. " (up)", "ab of link " .. second.name })
    local mean = responder("x-2") -- whose name looks like the number of a second link
    link(responder("y"), mean)
    check.equal(link("y", responder("x")).name, "y--x")
    check.equal(link("y", "x").name, "y--x-3")
end)

test("each direction has its own settings; set merges", function()
    local l = pair { loss = 0.5, ab = { loss = 1 }, ba = { loss = 0 } }
    send(l, 0, 20)
    send(l, 1, 20)
    local s = l:stats()
    check.equal({ s.ab.sent, s.ab.lost, s.ba.lost, s.ba.delivered }, { 20, 20, 0, 20 })
    l.ab:set { delay = "1ms" } -- the loss stays
    send(l, 0, 5)
    check.equal(l.ab:stats().lost, 25)
    l:set { loss = 0, ba = { loss = "100%" } }
    send(l, 0, 5)
    send(l, 1, 5)
    check.equal({ settled(l).delivered, l:stats().ba.lost }, { 5, 5 })
    l:set { ba = { loss = false } } -- as if it had never been given
    send(l, 1, 5)
    check.equal(l.ba:stats().delivered, 25)
end)

test("a set that fails changes nothing", function()
    local l = pair { delay = 0 }
    check.raises(function() l:set { loss = 1, ba = { reorder = 0.1 } } end, "reorder needs a delay")
    check.raises(function() l:set { loss = 1, delya = 0 } end, 'did you mean "delay"')
    check.raises(function() l.ab:set { loss = 1, burst = { p = 0.1, r = 0 } } end, "burst never ends")
    send(l, 0, 5)
    check.equal(l:stats().ab.delivered, 5)
    l:set { loss = 0 } -- and the settings in the library are those in force
    check.is_nil(l.config.ab.values.burst)
end)

local FRACTION, DURATION = ' (want 0 to 1 or "0%" to "100%")', ' (want seconds or "200us", "20ms", "1.5s", "2m")'
local RATE = ' (want bit/s above 0 or "500kbit", "10mbit", "1.5gbit")'

test("impossible settings name the value and the range, at the script's line", function()
    local l = pair()
    local cases = {
        { { loss = 1.5 }, "loss: bad fraction 1.5" .. FRACTION },
        { { corrupt = "101%" }, 'corrupt: bad fraction "101%"' .. FRACTION },
        { { delay = -1 }, "delay: bad duration -1" .. DURATION },
        { { delay = "5 parsecs" }, 'delay: bad duration "5 parsecs"' .. DURATION },
        { { delay = 0 / 0 }, "delay: bad duration nan" .. DURATION },
        { { delay = "2h" }, 'delay: must be at most 3600, got "2h"' },
        { { rate = 0 }, "rate: bad rate 0" .. RATE },
        { { rate = "10mb" }, 'rate: bad rate "10mb"' .. RATE },
        { { rate = 0.5 }, "rate: must be at least 1, got 0.5" },
        { { rate = "2tbit" }, 'rate: must be at most 1000000000000, got "2tbit"' },
        { { burst = { r = 0.5 } }, 'burst: option "p" is missing' },
        { { burst = { p = 2 } }, "burst: p: bad fraction 2" .. FRACTION },
        { { burst = { p = 0.1, r = 0 } },
            "ab: burst never ends: its r is 0 (burst = { h = 0, k = 1, p = 0.1, r = 0 })" },
        { { reorder = 0.5 }, "ab: reorder needs a delay: a frame overtakes those that travel (reorder = 0.5)" },
        { { ba = { reorder = 0.5 } }, "ba: reorder needs a delay: a frame overtakes those that travel (reorder = 0.5)" },
        { { queue = 0 }, "queue: must be at least 1, got 0" },
        { { queue = 1 << 30 }, "queue: must be at most 16777216 packets, got 1073741824" },
        { { queue = "17G" }, "queue: must be at most 16G, got 17G" },
        { { mtu = 10 }, "mtu: must be at least 68, got 10" },
        { { mtu = 1e6 }, "mtu: must be at most 65535, got 1000000.0" },
        { { correlation = 1 }, "ab: correlation is not between 0 and below 1 (correlation = 1)" },
        { { distribution = "gauss" },
            'distribution: bad value "gauss" (want "uniform", "normal", "pareto" or "trace")' },
        { { distribution = "trace" }, 'ab: distribution "trace" has no samples: give samples= (distribution = "trace")' },
        { { distribution = "normal", samples = { 1 } }, 'samples: it is for distribution="trace", not "normal"' },
        { { red = { min = 9, max = 5 } }, "ab: red: min is not below max (red = { max = 5, min = 9 })" },
        { { discipline = "codel", red = { max = 5 } }, 'red: it is for discipline="red", not "codel"' },
        { { codel = { intervall = 1 } }, 'codel: unknown option "intervall"; did you mean "interval"?' },
        { { dealy = 1 }, 'unknown option "dealy"; did you mean "delay"?' },
    }
    for _, case in ipairs(cases) do
        refuses(function() l:set(case[1]) end, "set: " .. case[2])
        refuses(function() link(l.a, l.b, case[1]) end, "link: " .. case[2])
    end
    check.match(check.raises(function() l:set { subnet = "10.0.0.0/24" } end), "set: unknown option \"subnet\"")
    send(l, 0, 1)
    check.equal(l:stats().ab.delivered, 1)
end)

test("methods called wrongly, unknown names, no table", function()
    local l, a = pair()
    refuses(function() l.set { delay = 1 } end, "set: call it with a colon, on a link")
    refuses(function() l.ab.set { delay = 1 } end, "set: call it with a colon, on a direction of a link")
    refuses(function() l.stats() end, "stats: call it with a colon, on a link")
    refuses(function() l:set() end, "set: want a table of options, not nil")
    refuses(function() l:set(3) end, "set: want a table of options, not number")
    refuses(function() l:donw() end, 'a link has no field or method "donw"; did you mean "down"?')
    refuses(function() l.ab:sett() end, 'a direction of a link has no field or method "sett"; did you mean "set"?')
    refuses(function() l.ab.stats() end, "stats: call it with a colon, on a direction")
    refuses(function() l.delay = "5ms" end, "a link's delay cannot be assigned: :set { delay = ... } changes it")
    refuses(function() l.ab.loss = 0 end, "a link's loss cannot be assigned: :set { loss = ... } changes it")
    refuses(function() link(a, a) end, "link: both ends are " .. a.name)
    refuses(function() link(a) end, "link: the second argument is not a node, but nil")
    refuses(function() link(a, "nobody") end, 'link: the second argument is not a node: there is none named "nobody"')
    refuses(function() link(a, l.b, { subnet = "10.1.0.1/24" }) end,
        'link: bad subnet "10.1.0.1/24": it has host bits set; its network is "10.1.0.0/24"')
    refuses(function() lan({}) end, "lan: want an array of nodes")
    refuses(function() lan({ a, 7 }) end, "lan: node 2 is not a node, but a number")
    refuses(function() lan({ a, nil, l.b }) end, "lan: node 2 is not a node, but nil")
    refuses(function() lan({ a }, { los = 1 }) end, 'lan: unknown option "los"; did you mean "loss"?') -- no check
    refuses(function() lan({ a }, { delay = -1 }) end, "lan: delay: bad duration -1" .. DURATION) -- no check
    refuses(function() switch() end, "switch: want a name")
    refuses(function() hub("h", { ageing = 3 }) end, 'hub: unknown option "ageing" (known: ip, subnet)') -- no check
    refuses(function() switch("s0"):connect(a, { subnet = "10.9.0.0/24" }) end, "connect: give subnet= to the switch")
    refuses(function() switch("s0") end, 'there is a switch "s0" already')
end)

test("a removed link: counts stay readable, all else raises", function()
    local l = pair()
    send(l, 0, 3)
    l:remove()
    check.equal({ l.removed, l:stats().ab.delivered, l.ab:stats().sent }, { true, 3, 3 })
    local said = "link " .. l.name .. " was removed"
    refuses(function() l:set { delay = 1 } end, said)
    refuses(function() l.ab:set { delay = 1 } end, said)
    refuses(function() l:up() end, said)
    refuses(function() l:down() end, said)
    refuses(function() l:on("") end, said)
    refuses(function() l:capture("x.pcapng") end, said)
    refuses(function() l:remove() end, said)
end)

test("down drops what travels, and what comes; up lets pass again", function()
    local l = pair { delay = "30s" }
    send(l, 0, 4)
    check.equal(l:stats().ab.in_flight, 4)
    l:down()
    send(l, 0, 2)
    check.equal({ l.is_up, l:stats().ab.in_flight, l:stats().ab.down_drops }, { false, 0, 6 })
    l:set { delay = 0 }
    l:up()
    send(l, 0, 1)
    check.equal({ l.is_up, l:stats().ab.delivered }, { true, 1 })
end)

test("mtu: what is larger is dropped, in the direction that it is set for", function()
    local l = pair { ab = { mtu = 100 } }
    check.equal(l.mtu, false) -- the interfaces keep theirs
    send(l, 0, 1, 114)
    send(l, 0, 1, 115)
    send(l, 1, 1, 115)
    local s = l:stats()
    check.equal({ s.ab.delivered, s.ab.mtu_drops, s.ba.delivered }, { 1, 1, 1 })
    check.equal(pair { mtu = 1400 }.mtu, 1400)
end)

test("queue: packets as a number, bytes with a unit", function()
    for _, queue in ipairs { 3, "3", "300B" } do
        local l = pair { ab = { rate = "8bit", queue = queue } } -- a byte a second
        send(l, 0, 10, 100)
        check.equal({ l:stats().ab.in_flight, l:stats().ab.queue_drops }, { 4, 6 }, tostring(queue))
        l:down()
    end
end)

test("codel= and red= stand for their disciplines, samples= for the distribution", function()
    local l = pair { ab = { rate = "10mbit", red = { min = 1, max = 2, p = 1, weight = 1 } } }
    send(l, 0, 50, 1000)
    check.is_true(l:stats().ab.early_drops > 0)
    l = pair { samples = { 0.002 } }
    local begin = now()
    send(l, 0, 1)
    settled(l)
    check.is_true(now() - begin >= 0.002)
end)

test("duplicates and corruption are counted", function()
    local l = pair { ab = { duplicate = 1, corrupt = 1 } }
    send(l, 0, 10)
    local s = l:stats().ab
    check.equal({ s.sent, s.duplicated, s.delivered, s.corrupted }, { 10, 10, 20, 10 })
end)

test("a switch learns, a hub does not; both connect nodes and each other", function()
    for _, make in ipairs { switch, hub } do
        local name = make == hub and "hub1" or "sw1"
        local s = make(name, { subnet = "10.50.0.0/24" })
        local cables, nodes = {}, {}
        for i = 1, 3 do
            nodes[i] = responder(name .. "-" .. i)
            cables[i] = s:connect(nodes[i])
        end
        check.equal({ cables[2].name, cables[2].switch == s, #s.links }, { name .. "-2--" .. name, true, 3 })
        check.equal({ nodes[2]:ip(s), nodes[3]:ip(cables[3]) }, { "10.50.0.2", "10.50.0.3" })
        local one, two = cables[1].nics[1], cables[2].nics[1]
        core.link_send(cables[1].id, 0, frames.arp(one, two)) -- a broadcast, answered
        core.link_send(cables[1].id, 0, frames.ping(one, two))
        local third = cables[3]:stats().ba
        check.equal(third.sent, make == hub and 4 or 1, name)
        check.equal(cables[1]:stats().ba.delivered, 2, name)
    end
end)

test("switches in a row are one network: one subnet, frames pass", function()
    local s1, s2, s3 = switch("row1"), switch("row2"), switch("row3")
    local a, b = responder("row-a"), responder("row-b")
    link(s2, s3)
    s1:connect(s2)
    local la, lb = link(a, s1), link(s3, b, { delay = "1ms" })
    check.equal({ la.a == a, la.b == s1, lb.a == s3, lb.b == b }, { true, true, true, true })
    check.equal(a:ip():match("^(.*)%."), b:ip():match("^(.*)%."))
    check.not_equal(a:ip(), b:ip())
    core.link_send(la.id, 0, frames.ping(a.nics[1], b.nics[1]))
    eventually(5, function() return la:stats().ba.delivered == 1 end, { every = "1ms" })
    check.equal(lb:stats().ba.sent, 1)
end)

test("switches that are connected after their nodes are one network, too", function()
    local core_switch, nodes = switch("tree", { subnet = "10.70.0.0/24" }), hosts(4, "leaf%d")
    for i = 1, 2 do
        local leaf = switch("leaf" .. i)
        leaf:connect(nodes[2 * i - 1])
        leaf:connect(nodes[2 * i])
        core_switch:connect(leaf)
    end
    for i, node in ipairs(nodes) do check.equal(node:ip(), "10.70.0." .. i) end
end)

test("a lan of many has addresses for all of them", function()
    local nodes = {}
    for i = 1, 300 do nodes[i] = responder("of-many" .. i) end
    local many = lan(nodes)
    check.equal(many.subnet.len, 23)
    check.not_equal(nodes[1]:ip(), nodes[257]:ip())
end)

test("a switch forgets a station after ageing", function()
    local s = switch("forgetful", { ageing = "1ms", ip = false })
    local cables = {}
    for i = 1, 3 do cables[i] = s:connect(responder("f" .. i)) end
    check.is_nil(cables[1].nics[1].ip)
    local function say(from, to)
        local frame = frames.eth(cables[to].nics[1].mac, cables[from].nics[1].mac, 0x88b5, ("x"):rep(46))
        core.link_send(cables[from].id, 0, frame)
    end
    say(2, 1)
    sleep(0.002)
    say(1, 2)
    check.equal(cables[3]:stats().ba.sent, 2)
    local lasting = switch("lasting", { ip = false })
    check.match(tostring(lasting), "^switch lasting %(0 links%)$")
end)

test("a lan joins all its nodes", function()
    local nodes = { responder("n1"), responder("n2"), responder("n3") }
    local office = lan(nodes, { delay = "1ms", subnet = "10.60.0.0/24" })
    check.equal({ #office.links, nodes[3]:ip(office) }, { 3, "10.60.0.3" })
    check.equal(office.links[1].config.ba.values.delay, 0.001)
    check.not_equal(lan { nodes[1] }.name, office.name)
end)
