-- SPDX-License-Identifier: MIT
-- Radio media and mobility, between simulated nodes: who hears what, and who is where when.

local address = require "qemunet.network.address"
local core = require "qemunet.core"
local mobility_traces = require "qemunet.network.mobility_traces"

local count = 0

-- A radio with a member at each place; its links.
local function field(opts, places)
    count = count + 1
    local r, nodes, links = radio("air" .. count, opts), {}, {}
    for i, place in ipairs(places) do
        nodes[i] = responder(("n%d-%d"):format(count, i))
        links[i] = r:join(nodes[i], place)
    end
    return r, nodes, links
end

local BROADCAST = ("\xff"):rep(6)

local function frame_from(l, to, size)
    return (to or BROADCAST) .. address.mac_bytes(l.nics[1].mac) .. "\x88\xb5" .. ("x"):rep((size or 64) - 14)
end

-- A frame of a member's; on a radio without a rate it has been heard when this returns.
local function send(l, to, size) core.link_send(l.id, 0, frame_from(l, to, size)) end

-- What each node has heard, in the order of the list.
local function heard(r, nodes)
    local list, members = {}, r:stats().members
    for i, n in ipairs(nodes) do list[i] = members[n.name].heard end
    return list
end

-- What fn() says is recorded while it runs.
local function events_of(kind, fn)
    local list, before = {}, core.event
    local restore <close> = setmetatable({}, { __close = function() core.event = before end })
    core.event = function(e)
        if e.kind == kind then list[#list + 1] = e end
        before(e)
    end
    fn()
    return list
end

local function raises_with(pattern, fn, ...)
    local args = table.pack(...)
    local ok, why = pcall(function()
        fn(table.unpack(args, 1, args.n))
        return true
    end)
    check.is_true(not ok, "it did not raise: " .. pattern)
    check.match(tostring(why), pattern)
    check.match(tostring(why), "test_radio%.lua:%d+: ")
end

local function distance(x1, y1, x2, y2) return math.sqrt((x2 - x1) ^ 2 + (y2 - y1) ^ 2) end

test("who is in range hears, and what is missed is counted", function()
    local r, nodes, links = field({ range = 100 }, { { 0, 0 }, { 60, 80 }, { 60, 81 } })
    send(links[1])
    check.equal(heard(r, nodes), { 0, 1, 0 })
    local s = r:stats()
    check.equal({ s.sent, s.heard, s.missed, s.unheard, s.dropped, s.waiting }, { 1, 1, 1, 0, 0, 0 })
    check.equal(links[2]:stats().ba.delivered, 1)
    check.equal(links[3]:stats().ba.sent, 0)
    nodes[1]:move(-1000, 0)
    send(links[1])
    check.equal(r:stats().members[nodes[1].name].unheard, 1)
    check.match(tostring(r), "^radio air%d+ %(3 members%)$")
end)

test("without a range all hear all", function()
    local r, nodes, links = field(nil, { { 0, 0 }, { 1e6, -1e6 } })
    send(links[2])
    check.equal(heard(r, nodes), { 1, 0 })
    check.equal(nodes[1]:ip(r), nodes[1]:ip(links[1]))
    check.match(nodes[1]:ip(r), "^10%.%d+%.%d+%.1$")
end)

test("stations that are known are sent to alone, but for promiscuous members", function()
    for _, promiscuous in ipairs { false, true } do
        local r, nodes, links = field({ range = 10, promiscuous = promiscuous }, { { 0, 0 }, { 1, 0 }, { 2, 0 } })
        send(links[2])
        send(links[1], address.mac_bytes(nodes[2].nics[1].mac))
        check.equal(heard(r, nodes), { 1, 1, promiscuous and 2 or 1 })
    end
end)

test("links to a radio have the options and methods of links", function()
    local r, nodes, links = field({ range = 10 }, { { 0, 0 }, { 1, 0 } })
    links[1]:set { ab = { loss = 1 } }
    send(links[1])
    check.equal(heard(r, nodes), { 0, 0 })
    links[1]:set { ab = { loss = 0 } }
    links[2]:down()
    send(links[1])
    check.equal(links[2]:stats().ba.down_drops, 1)
    links[2]:up()
    local packet = links[2]:on("ether broadcast", { dir = "ba", count = 1 })
    send(links[1])
    check.equal(packet:wait(5).dir, "ba")
end)

-- The standard normal distribution, by the series of Abramowitz and Stegun, 26.2.10.
local function normal_below(x)
    local sum, term = x, x
    for n = 1, 60 do
        term = -term * x * x / (2 * n)
        sum = sum + term / (2 * n + 1)
    end
    return 0.5 + sum / math.sqrt(2 * math.pi)
end

test("log-distance with shadowing is heard as often as the formula says", function()
    local places, frames = { { 0, 0 } }, 1500
    for _, x in ipairs { 20, 60, 100, 150, 221, 300, 500 } do places[#places + 1] = { x, 0 } end
    local r, nodes, links = field({ loss_model = { "log-distance", shadowing = 7 } }, places)
    for _ = 1, frames do send(links[1]) end
    for i, got in ipairs(heard(r, nodes)) do
        if i > 1 then
            local x = places[i][1]
            local p = normal_below((16.0206 - 46.6777 - 30 * math.log(x, 10) + 101) / 7)
            -- 5 deviations: one run in a million is farther off; the seed is the run's
            check.near(got / frames, p, 5 * math.sqrt(p * (1 - p) / frames) + 2 / frames, ("heard at %d m"):format(x))
        end
    end
end)

test("log-distance alone has a border, of ns-3's 221 m", function()
    local r, nodes, links = field({ loss_model = "log-distance" }, { { 0, 0 }, { 221.1, 0 }, { 0, 221.3 } })
    send(links[1])
    check.equal(heard(r, nodes), { 0, 1, 0 })
    local near, close_by, at = field({ loss_model = { model = "log-distance", tx = 0, sensitivity = -80, exponent = 2,
        reference = 10, reference_loss = 60 }, range = 90 }, { { 0, 0 }, { 89, 0 }, { 91, 0 } })
    send(at[1])
    check.equal(heard(near, close_by), { 0, 1, 0 })
end)

test("two senders share the rate evenly, whatever one of them sends", function()
    local r, nodes, links = field({ rate = "1mbit", queue = 5 }, { { 0, 0 }, { 1, 0 } })
    local begin = now()
    local header = BROADCAST .. ("\0"):rep(36)
    for i, rate in ipairs { 50e6, 2e6 } do
        local flow = core.flow_add { from = links[i].id, from_dir = 0, to = -1, header = header, pattern = "cbr",
            rate = rate, size = 250 }
        core.flow_run(flow, true)
    end
    local function members()
        local s = r:stats().members
        return s[nodes[1].name], s[nodes[2].name]
    end
    eventually(10, function() return select(2, members()).waiting > 0 end, { every = 0.01 })
    local one_before, other_before = members()
    eventually(10, function() return select(2, members()).sent >= other_before.sent + 20 end, { every = 0.01 })
    local s = r:stats()
    local took = now() - begin
    local one, other = s.members[nodes[1].name], s.members[nodes[2].name]
    check.near(one.sent - one_before.sent, other.sent - other_before.sent, 3, "frames of each")
    check.is_true(s.sent * 250 * 8 <= took * 1e6 + 4000, "faster than the rate")
    check.less(0, one.dropped)
    check.is_true(one.waiting <= 5)
end)

test("a node that goes at a speed is where it should be, and leaves the range then", function()
    local r, nodes, links = field({ range = 50 }, { { 0, 0 }, { 40, 30 } })
    local begin = now()
    check.near(nodes[2]:move(240, 30, { speed = 2000 }), 0.1, 1e-9)
    local begun = now()
    local lost = 0
    repeat
        local before = now()
        local x, y = nodes[2]:position()
        local after = now()
        check.is_true(x >= math.min(40 + 2000 * (before - begun), 240) - 1e-3, "too slow")
        check.is_true(x <= math.min(40 + 2000 * (after - begin), 240) + 1e-3, "too fast")
        check.equal(y, 30)
        local had = heard(r, nodes)[2]
        before = now()
        send(links[1])
        after = now()
        local hears = heard(r, nodes)[2] > had
        if x > 40 then check.is_true(not hears, "heard from behind the border") end
        if before > begun then check.is_true(not hears) end
        lost = lost + (hears and 0 or 1)
    until before > begun + 0.11
    check.equal({ nodes[2]:position() }, { 240, 30 })
    check.less(0, lost)
    check.equal(nodes[2]:move(0, 0), 0)
    check.equal({ nodes[2]:position() }, { 0, 0 })
    check.equal(nodes[2]:move(3, 4, { over = "20ms" }), 0.02)
    sleep(0.03)
    local x, y = nodes[2]:position()
    check.near(x, 3, 1e-6) check.near(y, 4, 1e-6)
end)

test("a node is at one place in all its radios", function()
    local r, nodes = field({ range = 50 }, { { 0, 0 }, { 10, 0 } })
    local other = radio("other", { range = 50 })
    nodes[2]:move(1010, 0, { speed = 100 })
    local l = other:join(nodes[2])
    local x1, x2, x3 = core.radio_position(r.id, nodes[2].nics[1].link.id), core.radio_position(other.id, l.id),
        core.radio_position(r.id, nodes[2].nics[1].link.id)
    check.is_true(x1 <= x2 and x2 <= x3)
    nodes[2]:move(5, 6)
    check.equal({ core.radio_position(other.id, l.id) }, { 5, 6 })
    r:leave(nodes[2])
    check.match(tostring(r), "1 members")
    check.equal({ nodes[2]:position() }, { 5, 6 })
    l:remove()
    raises_with("is in no radio", nodes[2].position, nodes[2])
    r:join(nodes[2], { 1, 2 })
    check.equal({ nodes[2]:position() }, { 1, 2 })
end)

test("random waypoints stay in the area and keep the speeds", function()
    local _, nodes = field(nil, { { 0, 0 }, { 60, 20 }, { 70, 30 }, { 20, 20 }, { 30, 30 } })
    local handle, last = nil, {}
    local legs = events_of("move", function()
        handle = mobility(nodes, { "random_waypoint", area = { -20, 10, 80, 60 }, speed = { 200, 400 },
            pause = { 0.001, 0.004 } })
        local begin = now()
        repeat
            for i, n in ipairs(nodes) do
                local before = now()
                local x, y = n:position()
                local t = now()
                if last[i] then check.is_true(distance(x, y, last[i].x, last[i].y) <= 400 * (t - last[i].t) + 1e-3) end
                last[i] = { x = x, y = y, t = before }
            end
            sleep(0.005)
        until now() - begin > 0.4
    end)
    local at = {}
    for _, leg in ipairs(legs) do
        local speed = distance(leg.from[1], leg.from[2], leg.to[1], leg.to[2]) / leg.duration
        check.is_true(speed > 199.999 and speed < 400.001, "speed " .. speed)
        check.is_true(leg.to[1] >= -20 and leg.to[1] <= 80 and leg.to[2] >= 10 and leg.to[2] <= 60, "out of the area")
        local before = at[leg.node]
        if before then
            check.equal(leg.from, before.to)
            local pause = leg.t - before.t - before.duration
            check.is_true(pause > 0.001 - 1e-6 and pause < 0.004 + 1e-6, "pause " .. pause)
        end
        at[leg.node] = leg
    end
    check.less(4, #legs)
    handle:stop()
    local x, y = nodes[1]:position()
    sleep(0.01)
    check.equal({ nodes[1]:position() }, { x, y })
    check.is_true(handle:wait(1))
end)

test("a random way follows from the seed and the node alone", function()
    local _, nodes = field(nil, { { 0, 0 }, { 1, 1 } })
    math.random()
    local g = core.generator(1 << 62 | nodes[2].number << 20 | 1)
    local want = {}
    for i = 1, 6 do
        want[i] = { 100 * g:unit(), 50 * g:unit() }
        g:unit() -- the speed
        g:unit() -- the pause
    end
    local legs = events_of("move", function()
        local handle = mobility(nodes, { model = "random_waypoint", area = { 100, 50 }, speed = 1e5 })
        for _ = 1, 20 do math.random() sleep(0.001) end
        handle:cancel()
    end)
    local got = {}
    for _, leg in ipairs(legs) do
        if leg.node == nodes[2].name then got[#got + 1] = leg.to end
    end
    for i = 1, math.min(#got - 1, 6) do check.equal(got[i], want[i]) end -- the last may be where it was stopped
    check.less(2, #got)
    local a, b, c = core.generator(7), core.generator(7), core.generator(8)
    check.equal(a:unit(), b:unit())
    check.is_true(a:unit() ~= c:unit())
end)

local function file(text)
    local path = os.tmpname()
    local f <close> = io.open(path, "wb")
    f:write(text)
    return path
end

local function read(kind, text)
    local path = file(text)
    local ways, why = mobility_traces[kind](path)
    os.remove(path)
    return ways, why and why:gsub("^" .. path:gsub("%p", "%%%0"), "FILE") or nil
end

test("BonnMotion's files are read", function()
    check.equal(read("bonnmotion", "0 1 2 10.5 3e1 -4\n\n# a comment\n0 0 0\n"), { { 0, 1, 2, 10.5, 30, -4 }, { 0, 0, 0 } })
    for text, wrong in pairs {
        [""] = "FILE: there is nothing in it",
        ["0 1 2\n0 1"] = "FILE:2: want triples of time, x and y, not 2 numbers",
        ["0 1 2 3 4 nan"] = 'FILE:1: y: want a number, not "nan"',
        ["0 1 0x10"] = 'FILE:1: y: want a number, not "0x10"',
        ["-1 1 2"] = 'FILE:1: time: "-1" is negative',
        ["0 1e300 2"] = 'FILE:1: x: "1e300" is out of range',
        ["0 1e400 2"] = 'FILE:1: x: want a number, not "1e400"',
        ["0 1 2 3 4 5 2 4 5"] = "FILE:1: time 2 comes after 3: want time, x and y in two dimensions",
        ["0 0 0 1e-9 1e9 0"] = "FILE:1: it would go at 1e+18 m/s",
    } do
        local ways, why = read("bonnmotion", text)
        check.is_nil(ways)
        check.equal(why, wrong)
    end
end)

test("ns-2's files are read", function()
    check.equal(read("ns2", [[
# nodes: 2
$node_(0) set X_ 10.0
$node_(0) set Y_ 20
$node_(0) set Z_ 0.000000000000
$node_(2) set X_ 1; $node_(2) set Y_ 2 ;# placed
$god_ set-dist 0 1 2
$ns_ at 8.0 "$god_ set-dist 0 1 1"
$ns_ at 5.0 "$node_(0) setdest 10 120 10.0"
$ns_ at 1.0 "$node_(0) setdest 60.0 20.0 5.0"
$ns_ at 7.0 "$node_(0) setdest 10 120 0"
$ns_ at 9.0 "$node_(0) set X_ 0"
$ns at 1 "$node_(2) setdest 1 12 10"
]]), {
        -- Turned aside at 5 s, after 20 of its 50 m; halted at 7 s; put elsewhere at 9 s.
        { 0, 10, 20, 1, 10, 20, 5, 30, 20, 7, 30 - 20 * 20 / math.sqrt(10400), 20 + 100 * 20 / math.sqrt(10400),
            9, 30 - 20 * 20 / math.sqrt(10400), 20 + 100 * 20 / math.sqrt(10400), 9, 0, 20 + 100 * 20 / math.sqrt(10400) },
        {},
        { 0, 1, 2, 1, 1, 2, 2, 1, 12 },
    })
    local unknown = 'want $node_(N) set X_ METRES, or $ns_ at TIME "$node_(N) setdest X Y SPEED", not '
    for text, wrong in pairs {
        ["# only this"] = "FILE: there is no node in it",
        ["$node_(0) set X_ 1\nset val(x) 3"] = "FILE:2: " .. unknown .. '"set val(x) 3"',
        ["$node_(0) set W_ 1"] = "FILE:1: " .. unknown .. '"$node_(0) set W_ 1"',
        ["$node_(0) set X_ one"] = 'FILE:1: X_: want a number, not "one"',
        ["$node_(99999) set X_ 1"] = 'FILE:1: node "99999": there are at most 65535',
        ["$node_(99999999999999999999) set X_ 1"] = 'FILE:1: node "99999999999999999999": there are at most 65535',
        ['$ns_ at soon "$node_(0) setdest 1 2 3"'] = 'FILE:1: time: want a number, not "soon"',
        ['$ns_ at 1 "$node_(0) setdest 1 2 -3"'] = 'FILE:1: speed: "-3" is negative',
        ['\n$ns_ at 1 "$node_(0) setdest 1e9 2 0.001"'] = "FILE:2: it would take 1e+12 s",
        ["$node_(0) setdest 1 2 3"] = "FILE:1: " .. unknown .. '"$node_(0) setdest 1 2 3"',
    } do
        local ways, why = read("ns2", text)
        check.is_nil(ways)
        check.equal(why, wrong)
    end
end)

test("no bytes crash the readers", function()
    local pieces = { "$node_(", "0) ", "set X_ ", "1", "\n", '$ns_ at ', '"', "setdest ", " ", ";", "\0", "\xff", "#", "-", ".",
        "e9", "$god_ ", "9", "nan", "(", "%" }
    for i = 1, 300 do
        local text = {}
        for k = 1, i % 40 do text[k] = pieces[math.random(#pieces)] end
        for _, kind in ipairs { "ns2", "bonnmotion" } do
            local ways, why = read(kind, table.concat(text))
            check.is_true(ways or why:find("^FILE:") ~= nil, why)
        end
    end
    local long = (" "):rep(1 << 18)
    local texts = { long, "0" .. long .. "0", '$ns_ at 1 "' .. long .. "x", '"' .. long, (";"):rep(#long) }
    for _, text in ipairs(texts) do
        for _, kind in ipairs { "ns2", "bonnmotion" } do check.is_nil((read(kind, text))) end
    end
    for _, path in ipairs { "/dev/null", "/tmp", "/nowhere" } do
        local ways, why = mobility_traces.ns2(path)
        check.is_nil(ways)
        check.match(why, "^" .. path .. ": ")
    end
end)

test("a trace is followed, to its end", function()
    local _, nodes = field(nil, { { 5, 5 }, { 6, 6 } })
    local path = file("0 0 0 0.05 100 0 0.1 100 0 0.1 0 50 0.15 0 100\n0.02 7 7\n")
    local handle
    local legs = events_of("move", function()
        handle = mobility(nodes, { bonnmotion = path })
        check.equal({ nodes[2]:position() }, { 7, 7 })
        check.equal(all { handle, timeout = 10 }, { true })
    end)
    os.remove(path)
    local x, y = nodes[1]:position()
    check.near(x, 0, 1e-9) check.near(y, 100, 1e-9)
    local from, to = {}, {}
    for i, leg in ipairs(legs) do from[i], to[i] = leg.from, leg.to end
    check.equal(from, { { 0, 0 }, { 100, 0 }, { 0, 50 } })
    check.equal(to, { { 100, 0 }, { 0, 50 }, { 0, 100 } })
    check.near(legs[3].t - legs[1].t, 0.1, 1e-9)
    check.match(tostring(handle), "ended")
end)

test("what moves a node gives way to what comes after it", function()
    local _, nodes = field(nil, { { 0, 0 }, { 0, 0 } })
    local path = file('$ns_ at 0 "$node_(0) setdest 900 0 1"\n$ns_ at 0 "$node_(1) setdest 900 0 1"\n')
    local first = mobility(nodes, { ns2 = path })
    os.remove(path)
    nodes[1]:move(3, 3)
    check.is_nil((first:wait(0)))
    local second = mobility(nodes[2], { "random_waypoint", area = { 10, 10 }, speed = 1 })
    check.is_true(first:wait(5))
    check.equal({ nodes[1]:position() }, { 3, 3 })
    second:stop()
    second:stop()
    check.is_true(second:wait(5))
end)

test("misuse raises, at the script's line", function()
    local r, nodes, links = field({ range = 10 }, { { 0, 0 }, { 0, 0 } })
    local lone = responder("lone")
    raises_with("radio: want a name", radio, 5)
    raises_with("radio: want a name", radio, "")
    raises_with('there is a radio "twice" already', function()
        radio("twice")
        radio("twice")
    end)
    raises_with("join: call it with a colon, on a radio", function() radio("colon").join(responder("colon"), { 0, 0 }) end)
    raises_with('a mobility has no field or method "pasue"', function()
        local n = responder("walker")
        radio("walk"):join(n, { 0, 0 })
        mobility(n, { "random_waypoint", area = { 9, 9 }, speed = 1 }):pasue() -- no check
    end)
    raises_with('responder: unknown option "delay"', responder, "options", { delay = 1 })
    raises_with('unknown option "rnage"; did you mean "range"', radio, "x", { rnage = 1 })
    raises_with("range: must be above 0", radio, "x", { range = 0 })
    raises_with('did you mean "log%-distance"', radio, "x", { loss_model = "log_distance" })
    raises_with('unknown option "sigma"', radio, "x", { loss_model = { "log-distance", sigma = 1 } })
    raises_with("exponent is not above 0", radio, "x", { loss_model = { "log-distance", exponent = 0 } })
    raises_with("tx: bad value nan", radio, "x", { loss_model = { "log-distance", tx = 0 / 0 } })
    raises_with("join: call it with a colon, on a radio", r.join, nodes[1], { 0, 0 })
    raises_with("move: call it with a colon, on a node", nodes[1].move, 1, 2)
    raises_with("no field or method \"jion\"; did you mean \"join\"", function() return r.jion end)
    raises_with("want a place, {x, y}", r.join, r, lone)
    raises_with("x: want metres", r.join, r, lone, { "a", 2 })
    raises_with("is in radio air%d+ already", r.join, r, nodes[1], { 0, 0 })
    raises_with("give subnet= to the radio", r.join, r, lone, { 0, 0 }, { subnet = "10.9.0.0/24" })
    raises_with("lone is not in radio", r.leave, r, lone)
    raises_with("lone is in no radio", lone.move, lone, 1, 2)
    raises_with("y: want metres, a number, not nil", nodes[1].move, nodes[1], 1)
    raises_with("speed: must be above 0", nodes[1].move, nodes[1], 1, 2, { speed = 0 })
    raises_with("speed= or over=, not both", nodes[1].move, nodes[1], 1, 2, { speed = 1, over = 1 })
    raises_with("it would take 1e%+12 s", nodes[1].move, nodes[1], 0, 1e9, { speed = 0.001 })
    raises_with("lone is in no radio", mobility, lone, { "random_waypoint", area = { 1, 1 }, speed = 1 })
    raises_with("is given twice", mobility, { nodes[1], nodes[1] }, { "random_waypoint", area = { 1, 1 }, speed = 1 })
    raises_with("want a node or an array", mobility, {}, { "random_waypoint", area = { 1, 1 }, speed = 1 })
    raises_with('random_waypiont; did you mean "random_waypoint"', mobility, nodes, { "random_waypiont" })
    raises_with("want a model", mobility, nodes, "random_waypoint")
    raises_with("option \"area\" is missing", mobility, nodes, { "random_waypoint", speed = 1 })
    raises_with("area: want {width, height}", mobility, nodes, { "random_waypoint", area = { 0, 0 }, speed = 1 })
    raises_with("area: want {width, height}", mobility, nodes, { "random_waypoint", area = { 1, 1, 0, 2 }, speed = 1 })
    raises_with("speed: want m/s above 0", mobility, nodes, { "random_waypoint", area = { 1, 1 }, speed = { 0, 20 } })
    raises_with("want {least, most}", mobility, nodes, { "random_waypoint", area = { 1, 1 }, speed = { 2, 1 } })
    raises_with("bad duration", mobility, nodes, { "random_waypoint", area = { 1, 1 }, speed = 1, pause = { 1, "x" } })
    raises_with("/nowhere: No such file", mobility, nodes, { ns2 = "/nowhere" })
    raises_with("want the path of a file", mobility, nodes, { bonnmotion = 5 })
    local path = file("0 0 0\n0 0 0\n0 0 0\n")
    raises_with("moves 3 nodes, and 2 were given", mobility, nodes, { bonnmotion = path })
    os.remove(path)
    check.is_true(not links[1].removed)
end)

test("what still moves at the end keeps nothing from ending", function()
    local _, nodes = field(nil, { { 0, 0 } })
    mobility(nodes, { "random_waypoint", area = { 10, 10 }, speed = 1 })
    nodes[1]:position()
end)
