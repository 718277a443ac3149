-- Two machines, one link: measure it, cut it, and decide from the outage what to do next.
local a, b = vm("a"), vm("b")
local cable = link(a, b, { delay = "10ms" }) -- one way: a ping takes 20 ms
boot()

-- The least round-trip time of 20 pings in ms, after one that finds out b's MAC address: what the link itself takes.
local function round_trip()
    a:succeed("ping -c 1 b")
    local times = {}
    for ms in a:succeed("ping -c 20 -i 0.1 b"):gmatch("time=([%d.]+) ms") do times[#times + 1] = tonumber(ms) end
    return math.min(table.unpack(times))
end

-- Cuts the link for `cut` seconds under a continuous ping: the longest gap between two answers, in seconds.
local function outage(cut, interval)
    local ping, last, longest = a:spawn("ping -i " .. interval .. " b"), nil, 0
    after(1, function() cable:down() end)
    after(1 + cut, function() cable:up() end)
    after(3 + cut, function() ping:kill("INT") end)
    for line in ping:lines() do -- as they come, while the timers above go on
        if line:find("bytes from") then
            longest, last = math.max(longest, now() - (last or now())), now()
        end
    end
    return longest
end

local rtt, cut, interval = round_trip(), 1, 0.2
check.near(rtt, 20, 8, "round-trip time in ms") -- emulated guests need some ms themselves
local rows = { { "cut", "ping every", "outage seen" } }
repeat
    local seen = outage(cut, interval)
    rows[#rows + 1] = { cut .. " s", interval .. " s", ("%.2f s"):format(seen) }
    check.less(0.9 * cut, seen, "the ping sees the cut")
    record { rtt_ms = rtt, outage_s = seen, interval_s = interval }
    local explained = seen <= cut + 2 * interval
    interval = interval / 4 -- longer than the cut explains: once more, with a finer ping
until explained or interval < 0.05
print(("round-trip time over 2 x 10 ms: %.1f ms\n%s"):format(rtt, columns(rows)))
