-- Four routers in a ring, a--b--c--d--a. Traffic from a to c goes by b; when that path is cut, how long until it goes by d?
-- Each end probes the far end over both paths, and routes over the first that answers: path tracking, as routers do it.
local probe = param("probe", 0.25) -- seconds between two probes
-- It is measured until the confidence interval is within this part of the mean on either side, or so many times.
local width, rounds = param("width", 0.25), param("rounds", 10)

local a, b, c, d = table.unpack(vms(4, "r%d"))
local ab, bc = link(a, b, { delay = "2ms" }), link(b, c, { delay = "2ms" })
local cd, da = link(c, d, { delay = "5ms" }), link(d, a, { delay = "5ms" })
boot()

-- What each end is known by, whatever path leads there.
local service = { [a] = "10.255.0.1", [c] = "10.255.0.3" }
for _, r in ipairs { a, b, c, d } do r:succeed("echo 1 >/proc/sys/net/ipv4/ip_forward") end

local function via(r, target, gateway, more)
    r:succeed(("ip route replace %s via %s %s"):format(target, gateway, more or ""))
end

-- Routes that never change: each path's far subnet through its own neighbour, so that a probe tests that path.
via(a, "10.0.1.0/24", b:ip(ab)) via(a, "10.0.2.0/24", d:ip(da))
via(c, "10.0.0.0/24", b:ip(bc)) via(c, "10.0.3.0/24", d:ip(cd))
for r, ends in pairs { [b] = { a:ip(ab), c:ip(bc) }, [d] = { a:ip(da), c:ip(cd) } } do
    via(r, service[a], ends[1]) via(r, service[c], ends[2])
end

-- The tracker of one end: probes the far end over the main path, and moves the route to its service address.
local function track(r, other, far, main, spare)
    r:succeed(("ip addr add %s/32 dev lo"):format(service[r]))
    via(r, service[other], main, "src " .. service[r])
    return r:spawn(([[
        now=%s
        while :; do
            if ping -c 1 -W 1 %s >/dev/null 2>&1; then want=%s; else want=%s; fi
            [ $want = $now ] || { ip route replace %s via $want src %s; now=$want; }
            sleep %g
        done]]):format(main, far, main, spare, service[other], service[r], probe))
end
local trackers = {
    track(a, c, c:ip(bc), b:ip(ab), d:ip(da)),
    track(c, a, a:ip(ab), b:ip(bc), d:ip(cd)),
}

-- Cuts the active path under a continuous ping between the service addresses: seconds until answers come again.
local function recovery()
    eventually(20, function() return a:succeed("ip route get " .. service[c]):find(b:ip(ab), 1, true) end)
    local ping, cut_at, seconds = a:spawn(("ping -i 0.05 -I %s %s"):format(service[a], service[c])), nil, nil
    after(0.5, function() bc:down() cut_at = now() end)
    timeout(30, function()
        for line in ping:lines() do
            -- What was already under way when the path was cut still comes: an answer counts after a gap.
            if line:find("bytes from") and cut_at and now() - cut_at > 0.1 then
                seconds = now() - cut_at
                break
            end
        end
    end)
    ping:kill("INT")
    ping:wait(5)
    bc:up()
    return seconds
end

local result = repeat_until { metric = recovery, ci = width, min = math.min(5, rounds), max = rounds, name = "recovery" }

print(("recovery over the other path: %.2f s, 95 %% confidence %.2f to %.2f s (%d rounds, a probe every %g s)"):format(
    result.mean, result.lo, result.hi, result.n, probe))
record { recovery_s = result.values, mean_s = result.mean, ci95_s = { result.lo, result.hi } }
for _, tracker in ipairs(trackers) do tracker:kill() end
