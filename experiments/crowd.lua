-- A hundred machines at once on a small computer: each with a cable to the next, in a ring, and one to a switch that all
-- share. All answer; cables are changed, cut, added and removed while they run; and what the crowd takes is recorded.
local n, watch = param("machines", 100), param("watch", 5)

local nodes = vms(n, "m%d")
local net, ring = switch("net", { subnet = "10.50.0.0/16" }), {}
for i, m in ipairs(nodes) do
    net:connect(m)
    ring[i] = link(m, nodes[i % n + 1])
end

local begun = now()
boot()
local boot_s = now() - begun

-- All answer at once, to us and to each other: each asks the next one along the ring.
local jobs, asked = {}, now()
for i, m in ipairs(nodes) do jobs[i] = m:spawn(("ping -c 1 -W 60 %s"):format(nodes[i % n + 1]:ip(ring[i]))) end
for i, job in ipairs(jobs) do check.equal({ nodes[i].name, job:wait(120).status }, { nodes[i].name, 0 }) end
local answers_s = now() - asked

-- What the crowd takes when it has nothing to do.
local function usage()
    local cpu, memory = 0, 0
    for _, m in ipairs(nodes) do
        local one = m:usage()
        cpu, memory = cpu + one.cpu, memory + one.memory
    end
    return cpu, memory
end
sleep(watch)
local at, before = now(), usage()
sleep(watch)
local after, memory = usage()
local idle = (after - before) / (now() - at) -- processors

-- Cables while they are in use.
local a, b, cable = nodes[1], nodes[2], ring[1]
local to_b = ("ping -c %%d -W %%d %s"):format(b:ip(cable))
cable:set { delay = "100ms" }
local rtt = tonumber(a:succeed(to_b:format(5, 20)):match("= ([%d.]+)/")) -- the least: machines wait for each other
check.near(rtt, 200, 100, "over 100 ms a way")
cable:set { delay = 0 }
cable:down()
a:fail(to_b:format(1, 1))
cable:up()
eventually(60, function() return a:ok(to_b:format(1, 1)) end)

local far = nodes[n // 2 + 1]
local chord = link(a, far)
a:succeed(("ping -c 1 -W 60 %s"):format(far:ip(chord)))
local gone = far:ip(chord)
chord:remove()
a:fail(("ping -c 1 -W 1 %s"):format(gone))

record { machines = n, boot_s = boot_s, boot_each_s = boot_s / n, answers_s = answers_s, memory_mb = memory / 1e6,
    memory_each_mb = memory / n / 1e6, idle_processors = idle, idle_percent_each = 100 * idle / n, rtt_ms = rtt }
print(("%d machines: up in %.1f s, all answered in %.1f s; idle: %.0f MB (%.1f each), %.2f processors (%.2f %% each)")
    :format(n, boot_s, answers_s, memory / 1e6, memory / n / 1e6, idle, 100 * idle / n))
