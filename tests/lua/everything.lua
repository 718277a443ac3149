-- SPDX-License-Identifier: MIT
-- Does something of every kind that is recorded and needs no machine; test_formats looks at what that leaves. A suite, since
-- tests are recorded too.

local a, b, far = host("a"), host("b"), responder("far")
local cable = link(a, b, { delay = "1ms" })

test("commands, together, one after the other, badly", function()
    boot()
    a:succeed("printf out; printf err >&2")
    a:run("kill -9 $$")
    a:run("sleep 10", { timeout = "50ms" })
    local jobs = {}
    for i = 1, 4 do jobs[i] = a:spawn("sleep 0.0" .. i) end
    all(jobs)
    sync { [a] = "true", [b] = "true" }
    local ping = cable:on("icmp", { count = 1 })
    local task = go(sync, { [a] = "true", on = ping })
    b:succeed("ping -c 1 a")
    task:join(5)
    b:crash()
    b:run("true")
    b:boot()
end)

test("links, and what happens on them", function()
    cable:set { delay = "2ms", ab = { loss = "1%" } }
    cable:down()
    cable:up()
    local capture = cable:capture("cable.pcapng")
    partition(a, b):heal()
    local left = partition({ a }, { b })
    capture:stop()
    left:heal()
    local uplink = link(a, far)
    local flow = source(a, { to = far, rate = "1mbit", count = 5, start = true })
    eventually(5, function() return flow:report().received == 5 end)
    local call = voice(a, far)
    call:start()
    sleep("50ms")
    call:stop()
    uplink:remove()
    nat(a)
end)

test("faults", function()
    local faults <close> = faults { { "cut", link = cable, at = 0, lasts = "20ms" },
        { "slow", link = cable, at = "5ms", lasts = "30ms", delay = "1ms" },
        { "pause", node = b, at = "10ms", lasts = "10ms" }, { "crash", node = b, at = "30ms", lasts = "20ms" } }
    faults:start()
    faults:wait(10)
end)

test("places", function()
    local air = radio("air", { range = 100 })
    air:join(a, { 0, 0 })
    a:move(10, 0)
    a:move(10, 10, { speed = 1000 })
end)

test("a loop", function()
    local s = {}
    for i = 1, 3 do s[i] = switch("s" .. i) end
    for i = 1, 3 do link(s[i], s[i % 3 + 1]) end
    s[1]:connect(a)
    a:run("ping -c 1 -W 1 " .. a:ip(#a.nics):gsub("%d+$", "99"), { timeout = "300ms" })
    eventually(5, function() return s[1]:stats().storms + s[2]:stats().storms + s[3]:stats().storms > 0 end)
end)

test("tasks", function()
    local child
    local parent = go(function()
        child = go(function() sleep("30ms") end) -- outlives its parent
        sleep("10ms")
    end)
    parent:join(5)
    local cancelled = go(sleep, 1000)
    sleep(0)
    cancelled:cancel()
    after(1000, print):cancel()
    pcall(cancelled.join, cancelled)
    pcall(all, { go(error, "wrong") })
    child:join(5)
    at(0, function() mark("at once") end):join(5)
    for _ = 1, 1002 do go(math.abs, 1):join() end
    every(1000, print) -- until the end
end)

test("what the script records", function()
    mark("a mark")
    record { answer = 42, list = { 1, 2 } }
    series('odd, "quoted"\nname', "ms"):add(1.5):add(-2e-9)
    series("plain"):add(1)
    local n = 0
    repeat_until { metric = function() n = n + 1 return n % 2 end, min = 3, max = 3 }
end)

test("a test that is left out", function() skip("for this") end)
test("a test that fails", function() check.equal(1, 2) end)
