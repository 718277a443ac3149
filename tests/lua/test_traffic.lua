-- SPDX-License-Identifier: MIT
-- Sources, sinks, voice and video between simulated nodes. Delays and losses inside the fabric go by due times, so that they
-- are exact on a busy machine too; only how much is sent within a time of the wall clock is not.

local blames = require "blames".matching
local emodel = require "qemunet.traffic.emodel"

local number = 0
local function nodes(n)
    local list = {}
    for i = 1, n do
        number = number + 1
        list[i] = responder("n" .. number)
    end
    return table.unpack(list)
end

-- The report of what ends by itself.
local function finished(t)
    t:start()
    eventually(10, function() return not t:report().running end, { every = 0.005 })
    return t:report()
end

test("a source counts, and measures the link's delay exactly", function()
    local a, b = nodes(2)
    local l = link(a, b, { delay = "5ms" })
    local r = finished(source(a, { rate = "8mbit", size = 100, count = 500 }))
    check.equal({ r.sent, r.received, r.lost, r.loss, r.in_flight, r.duplicated, r.reordered, r.bytes },
        { 500, 500, 0, 0, 0, 0, 0, 50000 })
    check.equal({ r.delay.min, r.delay.p50, r.delay.p95, r.delay.p99, r.delay.max, r.jitter }, { 0.005, 0.005, 0.005, 0.005,
        0.005, 0 })
    check.near(r.rate, 8e6, 1)
    check.equal(l:stats().ab.delivered, 500)
    check.equal(l:stats().ba.sent, 0)
end)

test("loss, jitter and percentiles are those configured", function()
    local a, b = nodes(2)
    local l = link(a, b, { ab = { delay = "20ms", jitter = "6ms", loss = "10%" } })
    local r = finished(source(a, { rate = "40mbit", size = 100, count = 3000 }))
    check.equal(r.sent, r.received + r.lost)
    check.near(r.loss, 0.1, 0.03) -- 5 standard deviations
    check.equal(r.lost, l:stats().ab.lost)
    check.near(r.delay.mean, 0.020, 0.0004)
    check.near(r.delay.p50, 0.020, 0.0006)
    check.near(r.delay.p95, 0.0254, 0.0003)
    check.near(r.delay.p99, 0.02588, 0.0002)
    check.is_true(r.delay.min >= 0.014 and r.delay.max <= 0.026)
    check.is_true(r.reordered > 100)
end)

test("RFC 3550's jitter of uniform delays is two thirds of their reach", function()
    local a, b = nodes(2)
    link(a, b, { ab = { delay = "0.2ms", jitter = "40us" } })
    local r = finished(source(a, { rate = "8mbit", size = 100, count = 1000 })) -- 100 us apart: none overtakes another
    check.equal(r.reordered, 0)
    check.near(r.jitter, 40e-6 * 2 / 3, 5e-6)
end)

test("a link that cannot carry it loses the rest, and delays by its queue", function()
    local a, b = nodes(2)
    link(a, b, { rate = "4mbit", queue = 50 })
    local r = finished(source(a, { rate = "8mbit", size = 500, count = 400 }))
    check.near(r.rate, 4e6, 4e4)
    check.near(r.delay.max, 0.0505, 0.0005001) -- 49 before it in the queue, itself, and the rest of one being sent
    check.near(r.lost, 150, 3) -- half of them, but for the queue's
end)

test("patterns: Poisson and on/off keep their mean rates", function()
    local a, b = nodes(2)
    link(a, b)
    local poisson = source(a, { pattern = "poisson", rate = "40mbit", size = 100, count = 5000, start = true })
    local onoff = source(a, { pattern = "onoff", rate = "80mbit", size = 100, count = 5000, on = "10us", off = "30us" })
    check.near(finished(onoff).rate, 20e6, 1.6e6)
    check.near(finished(poisson).rate, 40e6, 3.2e6)
end)

test("start, stop and start again", function()
    local a, b = nodes(2)
    link(a, b, { delay = "10ms" })
    local s = source(a, { rate = "8mbit", size = 100 })
    check.equal(s:report().sent, 0)
    check.equal(s:report().delay, {})
    check.is_nil(s:report().jitter)
    s:start():start()
    eventually(10, function() return s:report().received >= 10 end, { every = 0.005 })
    local r = s:stop():stop():report()
    check.is_true(not r.running)
    check.equal({ r.in_flight, r.lost, r.received }, { 0, 0, r.sent })
    s:start()
    eventually(10, function() return s:report().received >= r.received + 10 end, { every = 0.005 })
    check.equal(s:stop():report().lost, 0)
    check.equal(tostring(s), ("source %s > %s"):format(a.name, b.name))
end)

test("what a dead link swallows is lost", function()
    local a, b = nodes(2)
    local l = link(a, b, { delay = "1h" })
    local s = source(a, { rate = "80mbit", size = 100, count = 20, start = true })
    eventually(10, function() return l:stats().ab.in_flight == 20 end, { every = 0.005 })
    l:down()
    local r = s:report()
    check.equal({ r.sent, r.received, r.lost, r.in_flight, r.loss }, { 20, 0, 20, 0, 1 })
    l:remove()
    check.equal(s:report().lost, 20)
    check.match(check.raises(function() s:start() end), "source: link .* was removed$")
    blames(function() source(l.ab, { rate = 1e6 }) end, "^source: link .* was removed$")
    blames(function() source(a, { rate = 1e6 }) end, "^source: n%d+ has no link$")
end)

test("over a switch: it learns, and the others hear nothing", function()
    local a, b, c = nodes(3)
    local s = lan({ a, b, c }, { delay = "1ms" })
    local k = sink(b)
    local one = source(a, { rate = "8mbit", size = 100, count = 100, to = k })
    local two = source(c, { rate = "8mbit", size = 100, count = 100, to = k })
    one:start()
    eventually(5, function() return s.links[1]:stats().ba.delivered == 1 end, { every = 0.005 }) -- b's answer to ARP
    finished(one)
    finished(two)
    local r = k:report()
    check.equal({ r.sources, r.sent, r.received, r.lost, r.delay.min, r.delay.max }, { 2, 200, 200, 0, 0.002, 0.002 })
    check.equal(one:report().received, 100)
    check.is_true(s.links[3]:stats().ba.delivered < 30, "c heard little")
    check.equal(k:stop():report().received, 200)
    check.equal(tostring(k), ("sink at %s (2 sources)"):format(tostring(b)))
    check.equal(sink(a):report().received, 0)
end)

test("of several interfaces, the one that leads to the target, or to the router", function()
    local a, b, c, far = nodes(4)
    link(a, b, { delay = "1ms" })
    local s = lan({ a, c }, { delay = "2ms" })
    local beyond = link(c, far)
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = c })).delay.max, 0.004)
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = c:ip(s) })).delay.max, 0.004)
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = b })).delay.max, 0.001)
    local sent = s.links[1]:stats().ab.sent
    finished(source(a, { rate = 1e8, size = 100, count = 10, to = far:ip(beyond), gateway = c }))
    check.equal(s.links[1]:stats().ab.sent - sent, 10)
end)

test("link ends: in at one, measured at another", function()
    local a, b = nodes(2)
    local s = lan({ a, b }, { ab = { delay = "1ms" }, ba = { delay = "3ms" } })
    local up, down = s.links[1], s.links[2]
    check.equal(finished(source(up.ab, { rate = 1e8, size = 100, count = 10 })).delay.max, 0.001)
    check.equal(finished(source(up.ba, { rate = 1e8, size = 100, count = 10 })).delay.max, 0.003)
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = up.ab })).delay.max, 0.001)
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = down.ba })).delay.max, 0.004)
    check.equal(finished(source(b, { rate = 1e8, size = 100, count = 10, to = a:ip() })).delay.max, 0.004)
end)

test("a cable that begins at a switch: its node is at the far end", function()
    local a, b = nodes(2)
    local s = switch("first")
    local la, lb = link(s, a, { ab = { delay = "1ms" }, ba = { delay = "3ms" } }), link(s, b, { delay = "2ms" })
    check.equal(finished(source(a, { rate = 1e8, size = 100, count = 10, to = b })).delay.max, 0.005)
    check.equal(finished(source(b, { rate = 1e8, size = 100, count = 10, to = la.ab })).delay.max, 0.003)
    check.equal(finished(source(lb.ba, { rate = 1e8, size = 100, count = 10, to = a })).delay.max, 0.003)
    check.equal({ la:stats().ba.sent >= 10, lb:stats().ba.sent >= 20 }, { true, true })
end)

test("the packets are real: a responder echoes them, a trigger reads them", function()
    local a, b = nodes(2)
    local l = link(a, b, { delay = "1ms" })
    local seen = l:on("udp", { nth = 1, dir = "ab" })
    local r = finished(source(a, { rate = 1e8, size = 200, count = 50, port = 7, deliver = true }))
    check.equal(r.received, 50)
    local pkt = seen:wait(5)
    local udp = pkt:udp()
    check.equal({ #pkt.data, udp.src, udp.dst, udp.length, udp.ip.src, udp.ip.dst, udp.ip.ttl, udp.ip.dont_fragment },
        { 200, 40000, 7, 200 - 34, a:ip(), b:ip(), 64, true })
    eventually(5, function() return l:stats().ba.delivered == 50 end, { every = 0.005 })
end)

test("an address that nobody has, by a gateway: what was sent is known", function()
    local a, b = nodes(2)
    link(a, b)
    blames(function() source(a, { rate = 1e6, to = "192.0.2.1" }) end, "^source: 192.0.2.1 is on no subnet of n%d+: give gateway=")
    local r = finished(source(a, { rate = 1e8, count = 5, to = "192.0.2.1", gateway = b }))
    check.equal({ r.sent, r.received }, { 5 })
end)

test("voice: packets by the RFCs, and how it sounds", function()
    local a, b = nodes(2)
    local l = link(a, b, { delay = "20ms" })
    local seen = l:on("udp", { nth = 1, dir = "ab" })
    local v = voice(a, b, { codec = "g729", streams = 20, both = true, start = true })
    local udp = seen:wait(5):udp()
    check.equal(#udp.payload, 12 + 20)
    check.equal({ udp.dst, udp.payload:byte(1, 2) }, { 5004, 0x80, 18 })
    sleep(0.1)
    local r = v:stop():report()
    check.equal({ r.received, r.lost, r.late, r.back.lost }, { r.sent, 0, 0, 0 })
    check.is_true(r.sent >= 80 and r.sent % 20 >= 0 and r.back.sent >= 80)
    check.near(r.delay.max, 0.020, 1e-9)
    check.near(r.r, emodel.rating(0.020 + 0.060 + 0.035, 0, 1, 11, 19), 1e-6)
    check.near(r.mos, 4.0, 0.01)
    check.near(r.back.mos, r.mos, 1e-9)
    local better = voice(a, b, { start = true })
    eventually(5, function() return better:report().received > 3 end, { every = 0.005 })
    check.near(better:stop():report().rate, 8 * 214 / 0.02, 1)
    check.near(better:report().mos, emodel.mos(emodel.rating(0.100, 0, 1, 0, 25.1)), 1e-9)
    check.is_true(better:report().mos > r.mos)
end)

test("voice: loss, lateness and silence cost", function()
    local a, b = nodes(2)
    local l = link(a, b, { delay = "10ms", loss = "5%", ba = { jitter = "10ms" } })
    local v = voice(a, b, { streams = 200, both = true, playout = "10ms", start = true })
    local bare = voice(a, b, { streams = 200, plc = false, start = true })
    eventually(20, function() return v:report().back.received > 1400 and bare:report().received > 1400 end, { every = 0.005 })
    local r, without = v:stop():report(), bare:stop():report()
    check.near(r.loss, 0.05, 0.025)
    check.equal(r.late, 0)
    check.near(r.mos, 3.9, 0.25)
    check.is_true(without.mos < r.mos - 0.8, "no concealment")
    check.is_true(r.back.late > 0.2 * r.back.sent and r.back.mos < r.mos - 0.5, "a buffer that is too short")
    l:down()
    local dead = voice(a, b, { start = true })
    eventually(5, function() return dead:report().lost > 0 end, { every = 0.005 })
    check.equal({ dead:stop():report().mos, dead:report().r }, { 1, 0 })
    check.is_nil(voice(a, b):report().mos)
end)

test("video: pictures, and their rate", function()
    local a, b = nodes(2)
    local l = link(a, b)
    local sizes, marks = {}, 0
    local v = video(a, b, { rate = "20mbit", fps = 500, key_interval = 4, key_ratio = 3, size = 1000 })
    l:on("udp", { count = 100 }, function(pkt)
        sizes[marks + 1] = (sizes[marks + 1] or 0) + #pkt.data
        if pkt.data:byte(44) & 0x80 ~= 0 then marks = marks + 1 end
    end)
    v:start()
    eventually(5, function() return marks >= 9 end, { every = 0.005 })
    for i = 1, 9 do check.near(sizes[i], i % 4 == 1 and 10000 or 10000 / 3, 80) end
    check.equal(v:stop():report().lost, 0)
end)

test("sources do not keep an experiment waiting that nothing can wake", function()
    local a, b = nodes(2)
    link(a, b)
    source(a, { rate = 1e6, start = true })
    check.is_nil((event("never"):wait(0.02)))
end)

test("misuse names what is wrong, and where", function()
    local a, b, c = nodes(3)
    local l, far = link(a, b), link(b, c)
    blames(function() source(a, { rat = 1 }) end, '^source: unknown option "rat"; did you mean "rate"%?$') -- no check
    blames(function() source(a) end, '^source: option "rate" is missing$')
    blames(function() source(5, { rate = 1 }) end, "^source: the place to send from is not a node")
    blames(function() source(l, { rate = 1 }) end, "^source: the place to send from is not a node")
    blames(function() source(a, { rate = 1, size = 10 }) end, "^source: size: must be at least 62, got 10$") -- no check
    blames(function() source(a, { rate = 1, to = a }) end, "^source: both ends are n%d+$")
    blames(function() source(a, { rate = 1, to = c }) end, "^source: n%d+ is on no subnet of n%d+: give gateway=")
    blames(function() source(a, { rate = 1, to = c, gateway = c }) end, "^source: gateway n%d+ is on no subnet of n%d+$")
    blames(function() source(a, { rate = 1, to = b, link = far }) end, "^source: n%d+ has no link link n%d+%-%-n%d+")
    blames(function() source(a, { rate = 1, on = 1 }) end, '^source: on= goes with pattern="onoff"$')
    blames(function() source(a, { rate = 1, pattern = "onoff" }) end, "^source: on= is below a thousandth")
    blames(function() source(a, { rate = 1, pattern = "brst" }) end, "^source: pattern: bad value") -- no check
    blames(function() sink(5) end, "^sink: the first argument is not a node")
    blames(function() voice(a, b, { codec = "g722" }) end, "^voice: codec: bad value") -- no check
    blames(function() voice(a, b, { codec = "g729", plc = true }) end, "^voice: plc= goes with g711")
    blames(function() voice(l.ab, b, { both = true }) end, "^voice: both=true wants two nodes")
    blames(function() voice(a, c) end, "^voice: n%d+ is on no subnet of n%d+: give gateway=")
    blames(function() video(a, b, { rate = 1000 }) end, "^video: rate= is too low")
    blames(function() return source(a, { rate = 1 }).strat end, '^a source has no field or method "strat"; did you mean "start"%?$')
    blames(function() source(a, { rate = 1 }).start() end, "^start: call it with a colon, on a source, voice or video$")
    blames(function() sink(a).report() end, "^report: call it with a colon, on a sink$")
    blames(function() return sink(a).raport end, '^a sink has no field or method "raport"; did you mean "report"%?$')
    local s = switch("alone")
    local up = s:connect(a)
    blames(function() source(a, { rate = 1, link = up }) end, "^source: to= is missing")
    check.equal(finished(source(a, { rate = 1e8, count = 3, to = b, gateway = b })).received, 3)
end)

-- The E-model: ITU-T G.107, 7.7: the default values give R = 93.2 and, by annex B, table B.1, these scores. The delays' ratings
-- are those of its simplification, R. Cole, J. Rosenbluth: Voice over IP Performance Monitoring, 2001, which is near to it
-- up to 300 ms: 93.2 - 0.024 d - 0.11 (d - 177.3) above 177.3 ms.
test("the E-model gives the published values", function()
    check.near(emodel.rating(0, 0, 1, 0, 25.1), 93.2, 0.05)
    for r, mos in pairs { [93.2] = 4.41, [90] = 4.34, [80] = 4.03, [70] = 3.60, [60] = 3.10, [50] = 2.58 } do
        check.near(emodel.mos(r), mos, 0.006, "R = " .. r)
    end
    check.equal({ emodel.mos(-5), emodel.mos(0), emodel.mos(100), emodel.mos(5) }, { 1, 1, 4.5, 1 })
    for d = 0, 300, 25 do
        check.near(emodel.rating(d / 1000, 0, 1, 0, 25.1), 93.2 - 0.024 * d - 0.11 * math.max(0, d - 177.3), 0.8, d .. " ms")
    end
    check.near(emodel.rating(0, 0, 1, 11, 19), 93.2 - 11, 0.05)
    check.near(emodel.rating(0, 0.02, 1, 0, 4.3), 93.2 - 95 * 2 / 6.3, 0.05)
    check.is_true(emodel.rating(0, 0.02, 2, 0, 4.3) < emodel.rating(0, 0.02, 1, 0, 4.3), "bursts are worse")
    check.near(emodel.burst_ratio(100, 100 * 0.9, 0.1), 1, 1e-9)
    check.near(emodel.burst_ratio(100, 25, 0.1), 3.6, 1e-9)
    check.equal(emodel.burst_ratio(0, 0, 0), 1)
end)
