-- Six routers on a ring with chords speak OSPF. A link of the path in use is unplugged, or a router on it loses its power:
-- how long until packets go another way? It depends on how soon a silent neighbour is given up for dead. Where that changes
-- the answer much from one setting to the next, settings between the two are measured as well.
local n, repetitions = param("routers", 6), param("repetitions", 10)
local default, tuned = param("default", 40), param("tuned", 1) -- seconds until a silent neighbour is dead
local steps = param("steps", 2) -- how many times a step between two settings may be halved
local interval = param("interval", 0.05) -- seconds between two pings: the resolution
local settle = param("settle", 5) -- seconds; a router tells of a change once in 5 s at most (RFC 2328: MinLSInterval)

-- A ring of r1 to rN, with chords across. The half of it that costs less leads from r1 to the router that is far off.
image { "routers", packages = { "bird2" } }
local routers, cost, ring = vms(n, "r%d", { image = "routers" }), {}, {}
local function cable(i, j, price)
    local l = link(routers[i], routers[j], { delay = "2ms" })
    cost[l] = price
    return l
end
local far = n // 2 + 1
for i = 1, n do ring[i] = cable(i, i % n + 1, i < far and 10 or 12) end
for i = 2, far - 1 do cable(i, n + 2 - i, 20) end
local first, last = routers[1], routers[far]
local broken_link, broken_router = ring[far - 2], routers[far - 1]

-- What a router is known by, whatever path leads there.
local function address(r) return "10.255.0." .. r.name:sub(2) end

-- BIRD counts whole seconds, and four hellos until a neighbour is dead; for less there is BFD, which counts five packets.
local function configuration(r, dead)
    local bfd = dead < 4
    local lines = { ([[
        router id %s;
        protocol device {}
        protocol kernel { ipv4 { import none; export all; }; }
        protocol bfd { interface "*" { interval %d ms; multiplier 5; }; }
        protocol ospf { ipv4; area 0 { interface "lo" { stub; };]]):format(address(r), dead * 1000 // 5) }
    for i, nic in ipairs(r.nics) do
        lines[#lines + 1] = ('interface "%s" { type ptp; cost %d; hello %d; dead %d; bfd %s; };'):format(r:ifname(i),
            cost[nic.link], bfd and 1 or dead // 4, bfd and 4 or dead, bfd and "yes" or "no")
    end
    return table.concat(lines, "\n") .. "}; }\n"
end

local function start(r, dead)
    r:write("/etc/bird/bird.conf", configuration(r, dead))
    r:succeed(("ip addr add %s/32 dev lo; echo 1 >/proc/sys/net/ipv4/ip_forward"):format(address(r)))
    r:succeed("mkdir -p /run/bird; bird")
end

local function reconfigure(r, dead)
    r:write("/etc/bird/bird.conf", configuration(r, dead))
    r:succeed("birdc configure")
end

local function knows_all(r)
    local _, known = r:succeed("birdc show ospf neighbors"):gsub("Full/", "")
    return known == #r.nics
end

local function routes_by(from, to, gateway)
    return from:succeed("ip route get " .. address(to)):find("via " .. gateway .. " ", 1, true)
end

local function in_use()
    return routes_by(first, last, routers[2]:ip(ring[1])) and routes_by(last, first, broken_router:ip(ring[far - 1]))
end

local function on_each(fn, ...)
    local list = {}
    for i, r in ipairs(routers) do list[i] = go(fn, r, ...) end
    all(list)
end

-- Waits until each router knows all its neighbours, and the path that costs least has been in use for a while.
local function converge(dead)
    on_each(function(r) eventually(3 * dead + 60, function() return knows_all(r) end, { every = 0.5 }) end)
    eventually(120 + 2 * settle, function()
        if not in_use() then return false end
        sleep(settle)
        return in_use()
    end)
end

-- Lets fail() happen under a continuous ping: the longest gap between two answers, in seconds, once they have come again
-- for a second.
local function outage(fail, dead)
    local ping = first:spawn(("ping -i %g -I %s %s"):format(interval, address(first), address(last)))
    local failed, before, longest, over = nil, nil, 0, 0
    timeout(3 * dead + 60, function()
        for line in ping:lines() do
            if line:find("bytes from") then
                -- At whatever point of the routers' timers.
                if not before then after(1 + math.random(), function() fail() failed = now() end) end
                local gap = now() - (before or now())
                if failed and gap > longest then longest, over = gap, now() end
                if failed and now() > math.max(failed, over) + 1 then break end
                before = now()
            end
        end
    end)
    ping:kill()
    ping:wait(5)
    return longest
end

local failures = {
    { name = "link unplugged", fail = function() broken_link:down() end, mend = function() broken_link:up() end },
    { name = "router crashed", fail = function() broken_router:crash() end, mend = function(dead)
        broken_router:boot()
        start(broken_router, dead)
    end },
}

local function measure(failure, dead)
    on_each(reconfigure, dead)
    local times = {}
    for i = 1, repetitions do
        converge(dead)
        times[i] = outage(failure.fail, dead)
        failure.mend(dead)
        mark(("%s, dead after %g s, %d: %.2f s"):format(failure.name, dead, i, times[i]))
    end
    return { dead_s = dead, outage_s = times, median_s = stats.median(times),
        ci95_s = repetitions > 1 and { stats.ci95(times) } or nil }
end

-- Between two settings: half the way on a logarithmic scale.
local function middle(a, b)
    local m = math.sqrt(a * b)
    return m < 4 and math.floor(10 * m + 0.5) / 10 or math.floor(m + 0.5)
end

-- Adds to a list what was measured for the quicker of two settings; before that, where it is less than half of that for the
-- slower, what is measured for settings between.
local function refine(list, failure, slow, quick, depth)
    local dead = middle(slow.dead_s, quick.dead_s)
    if depth > 0 and quick.median_s < slow.median_s / 2 and dead < slow.dead_s and dead > quick.dead_s then
        local between = measure(failure, dead)
        refine(list, failure, slow, between, depth - 1)
        refine(list, failure, between, quick, depth - 1)
    else
        list[#list + 1] = quick
    end
end

boot()
on_each(start, default)
local rows, results = { { "failure", "neighbour dead after", "outage (median)", "95 % confidence (mean)" } }, {}
for _, failure in ipairs(failures) do
    local slow, quick = measure(failure, default), measure(failure, tuned)
    local list = { slow }
    refine(list, failure, slow, quick, steps)
    for _, found in ipairs(list) do
        rows[#rows + 1] = { failure.name, found.dead_s .. " s", ("%.2f s"):format(found.median_s),
            found.ci95_s and ("%.2f to %.2f s"):format(table.unpack(found.ci95_s)) }
        check.less(found.median_s, found.dead_s + 10, "the outage, in seconds,")
    end
    results[failure.name] = list
end
print(columns(rows))
record { outages = results }
