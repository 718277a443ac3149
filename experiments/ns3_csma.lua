-- Two machines on a CSMA bus that ns-3 simulates, with a third node that is simulated as a whole. Both ping it, and each other;
-- then one is flooded by the simulated node, and the bus says how busy it was.
local rate = param("rate", "10mbit")

local a, b = vm("a"), vm("b")
local net = ns3 { pcap = true } -- each device's frames go into the run's folder
local c = net:node("c")
local bus = net:csma { a, b, c, rate = rate, delay = "1us" }
boot()

local function rtt(from, to)
    local out = from:succeed("ping -c 5 -i 0.2 " .. to.name)
    return tonumber(out:match("min/avg/max%S* = [%d.]+/([%d.]+)"))
end

local rtts = { ["a-b"] = rtt(a, b), ["a-c"] = rtt(a, c), ["b-c"] = rtt(b, c) }
print(columns {
    { "ping", "ms" },
    { "a to b", ("%.2f"):format(rtts["a-b"]) },
    { "a to c, which is simulated", ("%.2f"):format(rtts["a-c"]) },
    { "b to c, which is simulated", ("%.2f"):format(rtts["b-c"]) },
})

-- The simulated node sends more than the bus takes: its queue fills, and what finds no room is dropped.
local flood = c:on_off { to = a, port = 9, rate = "20mbit", size = 1400 }
local dropped = net:on("drop", { node = c, count = 1 }):wait(30)
local queue = net:queues(c)[bus]
flood:stop()
print(("the first drop: %s of %d bytes; waiting then: %d packets in the device, %d in front of it"):format(dropped.source,
    dropped.size, queue.packets, queue.discipline.packets))

record { rtt_ms = rtts, flood = flood:report(), counters = { a = net:counters(a)[bus], c = net:counters(c)[bus] },
    lateness = net:stats().lateness }
check.is_true(rtts["a-c"] > 0 and rtts["b-c"] > 0)
