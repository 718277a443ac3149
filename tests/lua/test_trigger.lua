-- SPDX-License-Identifier: MIT
-- Packet triggers: which packets they fire for, what a verdict does, and how they are waited for.

local core = require "qemunet.core"
local frames = require "frames"
local tasks = require "qemunet.tasks"

local a, b = responder("a"), responder("b")
local cable = link(a, b)
local na, nb = a.nics[1], b.nics[1]

local function ping(number, data) core.link_send(cable.id, 0, frames.ping(na, nb, number, data)) end
local function datagram(size) core.link_send(cable.id, 0, frames.datagram(na, nb, size)) end

-- Runs fn and returns by how much each count of a direction grew.
local function growth(way, fn)
    local before = cable[way]:stats()
    fn()
    local after = cable[way]:stats()
    local grown = {}
    for name, n in pairs(after) do
        if type(n) == "number" then grown[name] = n - before[name] end
    end
    return grown
end

local function until_true(fn) return eventually(5, fn, { every = "1ms" }) end

local function number_of(pkt) return (string.unpack(">I2", pkt:icmp().payload, 3)) end

-- The numbers of the next n echo packets that the handle sees, "!" at answers.
local function numbers(h, n)
    local seen = {}
    for i = 1, n do
        local pkt = assert(h:wait(5))
        seen[i] = (pkt.dir == "ba" and "!" or "") .. number_of(pkt)
    end
    return table.concat(seen, " ")
end

test("fires for what the filter takes, in both directions, with the packet", function()
    local h, before = cable:on("icmp"), now()
    datagram()
    ping(1)
    local request, answer = h:wait(5), h:wait(5)
    check.equal({ request.dir, answer.dir, h.count }, { "ab", "ba", 2 })
    check.is_true(request.time >= before and request.time <= answer.time and answer.time <= now())
    check.equal(request.data, frames.ping(na, nb, 1))
    check.equal({ answer:ip().src, answer:ip().dst, answer:icmp().type }, { nb.ip, na.ip, 0 })
    check.equal(h.last == answer, true)
    h:cancel()
    ping(2)
    local none, why, code = h:wait(5)
    check.equal({ none, why, code }, { nil, 'trigger "icmp": no packet: it was cancelled', "ended" })
    check.equal(h.count, 2)
    check.match(tostring(h), '^trigger "icmp" on a%-%-b %(2 packets%)$')
end)

test("dir, nth and count", function()
    local only = cable:on("icmp", { dir = "ba" })
    local third = cable:on("icmp", { dir = "ab", nth = 3 })
    local some = cable:on("icmp", { dir = "ab", nth = 2, count = 2 })
    local first = cable:on("icmp", { count = 1 })
    for i = 1, 6 do ping(i) end
    check.equal(numbers(only, 6), "!1 !2 !3 !4 !5 !6")
    check.equal({ numbers(third, 1), numbers(some, 2), numbers(first, 1) }, { "3", "2 3", "1" })
    for _, h in ipairs { third, some, first } do
        local none, _, code = h:wait(5)
        check.equal({ none, code, h.ended }, { nil, "ended", "it has fired as often as it was to" })
    end
    only:cancel()
end)

test("wait gives up when the time has passed, and goes on when a packet comes", function()
    local h = cable:on("udp")
    check.equal({ h:wait("1ms") }, { nil, "timed out", "timeout" })
    local waiter = go(function() return h:wait(5) end)
    sleep("1ms")
    datagram(99)
    check.equal(#waiter:join(5).data, 99)
    check.raises(function() h:wait("5 bananas") end, "test_trigger.lua:%d+: timeout: bad duration") -- no check
    h:cancel()
end)

test("what no wait takes is bounded: the newest stay", function()
    local h = cable:on("udp")
    for i = 1, 20 do datagram(60000 + i) end
    until_true(function() return h.count == 20 end)
    local seen = {}
    while true do
        local pkt = h:wait(0)
        if not pkt then break end
        seen[#seen + 1] = #pkt.data
    end
    check.equal({ #seen, seen[#seen] }, { 17, 60020 }) -- 1 MiB
    h:cancel()
end)

test("handles in all and any", function()
    local one, two = cable:on("icmp", { nth = 1 }), cable:on("udp port 4711")
    after("1ms", function() ping(7) end)
    local place, pkt = any { two, one }
    check.equal({ place, number_of(pkt) }, { 2, 7 })
    check.equal(all({ one, timeout = 5 })[1] == pkt, true)
    two:cancel()
end)

test("fn is called in a task of its own, with each packet", function()
    local seen = {}
    local h = cable:on("icmp and icmp[0] == 8", function(pkt)
        sleep("1ms")
        seen[#seen + 1] = number_of(pkt)
    end)
    for i = 1, 3 do ping(i) end
    until_true(function() return #seen == 3 end)
    check.equal(seen, { 1, 2, 3 })
    h:cancel()
end)

test("cancel inside fn: it fires no more", function()
    local calls, h = 0, nil
    h = cable:on("udp", function()
        calls = calls + 1
        h:cancel()
    end)
    datagram()
    until_true(function() return calls == 1 end)
    datagram()
    local fence = cable:on("udp")
    datagram()
    fence:wait(5)
    check.equal({ calls, h.ended }, { 1, "it was cancelled" })
    fence:cancel()
end)

test("hold: pass, true and nothing let the packet go on; drop does not", function()
    for _, verdict in ipairs { "pass", true, false } do
        local grown = growth("ab", function()
            local h = cable:on("udp", { hold = true, nth = 1 }, function()
                if verdict then return verdict end
            end)
            datagram()
            h:wait(5)
            until_true(function() return cable:stats().ab.in_flight == 0 end)
        end)
        check.equal({ grown.sent, grown.delivered, grown.trigger_drops }, { 1, 1, 0 }, tostring(verdict))
    end
    local grown = growth("ab", function()
        local h = cable:on("udp", { hold = true }, function() return "drop" end)
        datagram()
        datagram()
        until_true(function() return h.count == 2 and cable:stats().ab.in_flight == 0 end)
        h:cancel()
    end)
    check.equal({ grown.sent, grown.delivered, grown.trigger_drops }, { 2, 0, 2 })
end)

test("hold: a delay is counted from when the packet came", function()
    local h = cable:on("icmp and icmp[0] == 8", { hold = true }, function()
        sleep("2ms")
        return { delay = "6ms" }
    end)
    local answers = cable:on("icmp", { dir = "ba" })
    ping(1)
    local request, answer = h:wait(5), answers:wait(5)
    local took = answer.time - request.time
    check.is_true(took >= 0.005999, "took " .. took)
    h:cancel()
    answers:cancel()
end)

test("hold: other bytes", function()
    local h = cable:on("icmp and icmp[0] == 8", { hold = true }, function(pkt)
        return { data = pkt:replace(#pkt.data - 3, "qemu") }
    end)
    local answers = cable:on("icmp", { dir = "ba" })
    ping(1, "some words here")
    local answer = answers:wait(5)
    check.equal(answer:icmp().payload:sub(5), "some words qemu")
    h:cancel()
    answers:cancel()
end)

test("hold: a packet that waits does not hold the others up", function()
    local go_on = event("go on")
    local held = cable:on("icmp and icmp[0] == 8", { hold = true, nth = 1 }, function() go_on:wait() end)
    local h = cable:on("icmp", { dir = "ba" })
    ping(1) -- held
    for i = 2, 4 do ping(i) end
    check.equal(numbers(h, 3), "!2 !3 !4")
    check.equal(cable:stats().ab.in_flight, 1)
    go_on:set()
    check.equal(numbers(h, 1), "!1")
    check.equal(held.count, 1)
    h:cancel()
end)

test("hold: cancelled while packets are held, they go on; unplugged, they are lost", function()
    local go_on, h = event("go on"), nil
    h = cable:on("udp", { hold = true }, function() go_on:wait() end)
    local grown = growth("ab", function()
        datagram()
        h:wait(5)
        h:cancel()
        go_on:set()
        until_true(function() return cable:stats().ab.in_flight == 0 end)
    end)
    check.equal(grown.delivered, 1)
    local ended, unplugged = 0, event("unplugged")
    h = cable:on("udp", { hold = true }, function(pkt)
        unplugged:wait()
        ended = ended + 1
        return { data = pkt.data } -- too late, and no failure
    end)
    grown = growth("ab", function()
        datagram()
        h:wait(5)
        cable:down()
        cable:up()
        unplugged:set()
    end)
    check.equal({ grown.delivered, grown.down_drops, grown.in_flight }, { 0, 1, 0 })
    until_true(function() return ended == 1 end)
    h:cancel()
end)

test("two triggers see one packet; a dropping one wins", function()
    local seen = cable:on("udp")
    local h = cable:on("udp", { hold = true }, function() return "drop" end)
    local grown = growth("ab", function()
        datagram()
        seen:wait(5)
        until_true(function() return cable:stats().ab.in_flight == 0 end)
    end)
    check.equal({ grown.trigger_drops, grown.delivered, h.count }, { 1, 0, 1 })
    seen:cancel()
    h:cancel()
end)

test("a removed link ends its triggers", function()
    local l = link(a, b)
    local h = l:on("")
    local waiter = go(function() return h:wait(5) end)
    sleep("1ms")
    l:remove()
    local none, why = waiter:join(5)
    check.equal({ none, why }, { nil, 'trigger "": no packet: the link was removed' })
    check.equal({ any { event("never"), h } }, { 2 })
    h:cancel()
end)

test("misuse raises at the script's line", function()
    local cases = {
        { "tcp prot 80", nil, nil, 'on: bad filter "tcp prot 80": ' },
        { 7, nil, nil, "on: want a filter in pcap's syntax" },
        { "tcp", { nht = 1 }, nil, 'on: unknown option "nht"; did you mean "nth"' },
        { "tcp", { nth = 0 }, nil, "on: nth: must be at least 1, got 0" },
        { "tcp", { count = 1.5 }, nil, "on: count: bad value 1.5 %(want a whole number%)" },
        { "tcp", { dir = "up" }, nil, 'on: dir: bad value "up"' },
        { "tcp", { hold = true }, nil, "on: hold=true wants a function" },
        { "tcp", {}, 7, "on: want a function, not number" },
        { "tcp", 7, nil, "on: options must be a table, got 7" },
    }
    for _, case in ipairs(cases) do
        check.raises(function() cable:on(case[1], case[2], case[3]) end, "test_trigger.lua:%d+: " .. case[4])
    end
    local h = cable:on("")
    check.raises(function() h:cancle() end, 'test_trigger.lua:%d+: a trigger has no field or method "cancle"') -- no check
    check.raises(function() h.wait(3) end, "test_trigger.lua:%d+: wait: call it with a colon")
    h:cancel()
end)

test("many packets at once: none is lost, and tasks have their turn", function()
    local seen, beats = 0, 0
    local h = cable:on("udp", function() seen = seen + 1 end)
    local beat = go(function()
        while seen < 2000 do
            beats = beats + 1
            sleep(0)
        end
    end)
    for _ = 1, 2000 do datagram() end
    beat:join(20)
    check.equal({ h.count, h.missed }, { 2000, 0 })
    h:cancel()
end)

test("calls that never end are bounded: the packets go on and are counted", function()
    local go_on = event("go on")
    local h = cable:on("udp", { hold = true }, function()
        go_on:wait()
        return "drop"
    end)
    local grown = growth("ab", function()
        for _ = 1, 1030 do datagram() end
        until_true(function() return h.count == 1030 end)
        go_on:set()
        until_true(function() return cable:stats().ab.in_flight == 0 end)
    end)
    check.equal({ h.missed, grown.delivered, grown.trigger_drops }, { 6, 6, 1024 })
    h:cancel()
end)

-- What would fail the experiment: the failure of the function that a trigger calls for one packet.
local function failure_of(opts, fn)
    local usual, caught = tasks.on_failure, event("failure")
    tasks.on_failure = function(failure) caught:set(failure.message) end
    local h = cable:on("udp", opts, fn)
    local grown = growth("ab", function()
        datagram()
        caught:wait(5)
        until_true(function() return cable:stats().ab.in_flight == 0 end)
    end)
    tasks.on_failure = usual
    h:cancel()
    check.equal(grown.delivered, 1) -- whatever happens, the packet goes on
    return caught:wait(5)
end

test("an error in fn, and an impossible verdict, fail the experiment at fn's line", function()
    check.match(failure_of(nil, function() error("no good") end), "test_trigger.lua:%d+: no good$")
    local hold = { hold = true }
    check.match(failure_of(hold, function() error("no good") end), "test_trigger.lua:%d+: no good$")
    check.match(failure_of(hold, function() return "dorp" end), "^[^ ]*test_trigger.lua:%d+: bad verdict dorp %(want")
    check.match(failure_of(hold, function() return { dealy = 1 } end),
        '^[^ ]*test_trigger.lua:%d+: verdict: unknown option "dealy"; did you mean "delay"')
    check.match(failure_of(hold, function() return { delay = -1 } end), ": verdict: delay: bad duration %-1")
    check.match(failure_of(hold, function() return { data = "short" } end), "a frame has 14 to 69632 bytes, not 5$")
end)
