-- Four routers in a ring, a--b--c--d--a. Traffic from a to c goes by b; when that path is cut, how long until it goes by d?
-- Each end probes the far end over both paths, and routes over the first that answers: path tracking, as routers do it.
local probe = param("probe", 0.25) -- seconds between two probes
-- It is measured until the confidence interval is within this part of the mean on either side, or so many times.
local width, rounds = param("width", 0.25), param("rounds", 10)

local a, b, c, d = table.unpack(vms(4, "r%d", { setup = { "echo 1 >/proc/sys/net/ipv4/ip_forward" } }))
local ab, bc = link(a, b, { delay = "2ms" }), link(b, c, { delay = "2ms" })
local cd, da = link(c, d, { delay = "5ms" }), link(d, a, { delay = "5ms" })
boot()

-- What each end is known by, whatever path leads there.
local service = { [a] = "10.255.0.1", [c] = "10.255.0.3" }

local function via(r, target, gateway, more)
    r:succeed(("ip route replace %s via %s %s"):format(target, gateway, more or ""))
end

-- Routes that never change: each path's far subnet through its own neighbour, so that a probe tests that path.
via(a, "10.0.1.0/24", b:ip(ab)) via(a, "10.0.2.0/24", d:ip(da))
via(c, "10.0.0.0/24", b:ip(bc)) via(c, "10.0.3.0/24", d:ip(cd))
via(b, service[a], a:ip(ab)) via(b, service[c], c:ip(bc))
via(d, service[a], a:ip(da)) via(d, service[c], c:ip(cd))

-- The tracker of one end: probes the far end over the main path, and moves the route to its service address.
local function track(r, other, far, main, spare)
    r:succeed(("ip addr add %s/32 dev lo"):format(service[r]))
    via(r, service[other], main, "src " .. service[r])
    r:spawn(([[
        now=%s
        while :; do
            if ping -c 1 -W 1 %s >/dev/null 2>&1; then want=%s; else want=%s; fi
            [ $want = $now ] || { ip route replace %s via $want src %s; now=$want; }
            sleep %g
        done]]):format(main, far, main, spare, service[other], service[r], probe))
end
track(a, c, c:ip(bc), b:ip(ab), d:ip(da))
track(c, a, a:ip(ab), b:ip(bc), d:ip(cd))

-- Cuts the active path under a continuous ping between the service addresses: seconds until answers come again.
local function recovery()
    eventually(20, function() return a:succeed("ip route get " .. service[c]):find(b:ip(ab), 1, true) end)
    local ping, cut_at = a:spawn(("ping -i 0.05 -I %s %s"):format(service[a], service[c])), nil
    after(0.5, function() bc:down() cut_at = now() end)
    local seconds = timeout(30, function()
        for line in ping:lines() do -- what was already under way when the path was cut still comes: one after a gap counts
            if line:find("bytes from") and cut_at and now() - cut_at > 0.1 then return now() - cut_at end
        end
    end)
    ping:kill("INT")
    bc:up()
    return seconds
end

local found = repeat_until { metric = recovery, ci = width, min = math.min(5, rounds), max = rounds, name = "recovery" }
print(("recovery over the other path: %.2f s, 95 %% confidence %.2f to %.2f s (%d rounds)"):format(found.mean, found.lo,
    found.hi, found.n))
record { recovery_s = found.values, mean_s = found.mean, ci95_s = { found.lo, found.hi } }
