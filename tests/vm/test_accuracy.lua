-- SPDX-License-Identifier: MIT
-- Links between two machines: what was configured against what the guests measured themselves, each direction apart.
-- tests/accuracy measures more, and more closely, without machines. What a machine adds to a time is measured without a
-- delay first; no time has a tight upper bound, since the machines share the host's processors with others.

local a, b = vm("a"), vm("b")
local cable = link(a, b)
boot()

local function pings(n, interval)
    local times = {}
    local out = a:succeed(("ping -c %d -i %g -W 5 %s"):format(n, interval, b:ip(cable)))
    for ms in out:gmatch("time=([%d.]+) ms") do times[#times + 1] = tonumber(ms) end
    check.equal(#times, n, "answers")
    return times
end

local function least(times) return math.min(table.unpack(times)) end

local function echo_number(pkt) return (string.unpack(">I2", pkt.data, 14 + 20 + 6 + 1)) end

-- The least time that a request took to b with the answer it met there, by the cable, and the least round trip, by a.
local function halves(fn)
    local asked, there = {}, {}
    local out = cable:on("icmp[icmptype] == icmp-echo", { dir = "ab" }, function(pkt) asked[echo_number(pkt)] = pkt.time end)
    local back = cable:on("icmp[icmptype] == icmp-echoreply", { dir = "ba" },
        function(pkt) there[#there + 1] = (pkt.time - asked[echo_number(pkt)]) * 1000 end)
    local values = fn()
    out:cancel()
    back:cancel()
    check.equal(#there, #values, "answers seen on the cable")
    return least(there), least(values)
end

local bare_there, bare -- without a delay, ms

test("control: what the machines take by themselves", function()
    pings(5, 0.02)
    bare_there, bare = halves(function() return pings(30, 0.02) end)
    check.less(bare, 20, "least round trip")
end)

test("delay: each direction has its own", function()
    cable:set { ab = { delay = "40ms" }, ba = { delay = "90ms" } }
    local there, both = halves(function() return pings(15, 0.15) end)
    print(("delay: configured 40 + 90 ms; measured %.2f + %.2f ms beyond the machines' own %.2f ms"):format(
        there - bare_there, (both - there) - (bare - bare_there), bare))
    check.is_true(there >= 40 and both >= 130, ("early: %.3f, %.3f ms"):format(there, both))
    check.near(there - bare_there, 40, 10)
    check.near(both - bare, 130, 15)
end)

test("jitter stays within its bounds, and moves", function()
    cable:set { delay = 0, ab = { delay = "40ms", jitter = "30ms" } }
    local times = pings(40, 0.05)
    print(("jitter: configured 10 to 70 ms; measured %.2f to %.2f ms"):format(least(times), math.max(table.unpack(times))))
    check.is_true(least(times) >= 10, "early: " .. least(times))
    check.less(25, stats.stdev(times) * math.sqrt(12), "the width of an equal distribution")
    cable:set { delay = 0, jitter = 0 }
end)

-- The probability of at most k of n, each with probability p.
local function at_most(k, n, p)
    local log, sum = n * math.log(1 - p), 0
    for i = 0, k do
        sum = sum + math.exp(log)
        log = log + math.log((n - i) / (i + 1)) + math.log(p / (1 - p))
    end
    return sum
end

-- Whether k is one of the 99 % of values in the middle of the binomial distribution.
local function is_likely(k, n, p) return at_most(k, n, p) > 0.005 and 1 - at_most(k - 1, n, p) > 0.005 end

-- Floods b and returns how many answers came of how many, and what the cable counted.
local function flood(n)
    local before = cable:stats()
    local out = a:run(("ping -q -c %d -i 0.002 -s 16 -W 1 %s"):format(n, b:ip(cable))).stdout
    local sent, got = out:match("(%d+) packets transmitted, (%d+) packets received")
    local after, counted = cable:stats(), {}
    for _, way in ipairs { "ab", "ba" } do
        counted[way] = { sent = after[way].sent - before[way].sent, lost = after[way].lost - before[way].lost,
            delivered = after[way].delivered - before[way].delivered }
    end
    return tonumber(sent), tonumber(got), counted
end

-- One run in a hundred is outside a bound of 99 %: outside three times is wrong.
local function likely(what, fn)
    for _ = 1, 3 do
        local k, n, p = fn()
        print(("%s: configured %.2f %%, measured %.2f %% (%d of %d)"):format(what, 100 * p, 100 * k / n, k, n))
        if is_likely(k, n, p) then return end
    end
    error(what .. ": outside the binomial 99 % interval three times")
end

test("loss: each direction has its own, and the guests agree with the counters", function()
    cable:set { ab = { loss = "20%" }, ba = { loss = "10%" } }
    local counted
    likely("answers", function()
        local sent, got
        sent, got, counted = flood(600)
        -- What else went over the cable: requests for addresses.
        check.is_true(counted.ab.sent - sent >= 0 and counted.ab.sent - sent < 50)
        check.is_true(counted.ba.delivered - got >= 0 and counted.ba.delivered - got < 50)
        return got, sent, 0.8 * 0.9
    end)
    likely("lost from a to b", function()
        if not counted then counted = select(3, flood(600)) end
        local ab = counted.ab
        counted = nil
        return ab.lost, ab.sent, 0.2
    end)
    likely("lost from b to a", function()
        local ba = select(3, flood(600)).ba
        return ba.lost, ba.sent, 0.1
    end)
    cable:set { loss = 0 }
end)

local SECONDS = 1.5

-- How fast bytes go from one to the other, in bit/s, by the time that the receiver takes.
local function throughput_once(from, to, port, rate)
    local bytes = math.floor(rate / 8 * SECONDS)
    local receiver = to:spawn(("nc -l -p %d | wc -c"):format(port))
    to:wait_port(port, 20)
    from:succeed(("head -c %d /dev/zero >/tmp/data"):format(bytes))
    local begun = now()
    from:succeed(("nc %s %d </tmp/data"):format(to:ip(cable), port))
    local result = receiver:wait(60)
    check.equal(tonumber(result.stdout), bytes)
    return bytes * 8 / (now() - begun)
end

-- The most of some times, until it is close to the rate: guests that wait for a processor are slow.
local function throughput(from, to, port, rate)
    local most = 0
    for _ = 1, 5 do
        most = math.max(most, throughput_once(from, to, port, rate))
        if most >= rate * 0.5 then break end
    end
    return most
end

test("rate: TCP comes close to it and never over it, each direction apart", function()
    local rates = { ab = 8e6, ba = 3e6 }
    cable:set { ab = { rate = rates.ab }, ba = { rate = rates.ba } }
    local got = { ab = throughput(a, b, 5001, rates.ab), ba = throughput(b, a, 5002, rates.ba) }
    for way, rate in pairs(rates) do
        print(("rate %s: configured %.1f Mbit/s, TCP's payload at %.2f Mbit/s"):format(way, rate / 1e6, got[way] / 1e6))
        -- 1448 bytes of payload are in a frame of 1514.
        check.is_true(got[way] <= rate * 1448 / 1514, way .. " is too fast")
        check.is_true(got[way] >= rate * 0.5, way .. " is too slow")
    end
end)
