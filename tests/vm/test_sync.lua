-- SPDX-License-Identifier: MIT
-- Synchronised starts, and what can release them.

local a, b = vm("a", { mem = "128M" }), vm("b", { mem = "128M" })
local cable = link(a, b)
boot()

local function count(results)
    local n = 0
    for _ in pairs(results) do n = n + 1 end
    return n
end

-- Whether no shell of ours waits with a command that was never begun: the node runs as many at once as before.
local function takes_commands(n)
    for _ = 1, 5 do check.equal(n:run("true").ok, true) end
end

test("all at one instant, each with its own result", function()
    local results, spread = sync { [a] = "echo of a; exit 3", [b] = "echo of b >&2" }
    check.equal({ results[a].stdout, results[a].status }, { "of a\n", 3 })
    check.equal({ results[b].stderr, results[b].ok }, { "of b\n", true })
    check.equal(spread >= 0 and spread < 1, true)
    check.near(spread, math.abs(results[a].started - results[b].started), 1e-9)
end)

test("an event releases them, and not before", function()
    local go_on, released = event("go on"), nil
    after(0.3, function()
        released = now()
        go_on:set()
    end)
    local results = sync { [a] = "echo a", [b] = "echo b", on = go_on }
    check.equal(count(results), 2)
    check.equal(results[a].started >= released and results[b].started >= released, true)
    results = sync { [a] = "echo again", on = go_on }
    check.equal(results[a].stdout, "again\n")
end)

test("a barrier: they count as one that waits", function()
    local gate, passed = barrier(2), nil
    go(function()
        sleep(0.2)
        passed = now()
        gate:wait()
    end)
    local results = sync { [a] = "true", [b] = "true", on = gate }
    check.equal(results[a].started >= passed and results[b].started >= passed, true)
end)

test("a task, a job, a handle and a function", function()
    check.equal(sync { [a] = "echo 1", on = go(function() sleep(0.05) end) }[a].stdout, "1\n")
    check.equal(sync { [a] = "echo 2", on = b:spawn("true") }[a].stdout, "2\n")
    check.equal(sync { [a] = "echo 3", on = after(0.05, function() end) }[a].stdout, "3\n")
    check.equal(sync { [a] = "echo 4", on = function() sleep(0.05) end }[a].stdout, "4\n")
end)

test("a packet releases them, and each start's offset from it is known", function()
    local ping <const> = a:spawn("ping -i 0.05 b")
    local h, offsets = cable:on("icmp and icmp[0] == 8", { dir = "ab" }), {}
    for _ = 1, 5 do
        local results, _, pkt = sync { [a] = "echo a", [b] = "echo b", on = h }
        check.equal({ results[a].stdout, results[b].stdout, pkt.dir, pkt:ip().dst }, { "a\n", "b\n", "ab", b:ip() })
        for _, n in ipairs { a, b } do
            check.near(results[n].offset, results[n].started - pkt.time, 1e-9)
            check.is_true(results[n].offset > 0, "it began before the packet")
            offsets[#offsets + 1] = results[n].offset * 1000
        end
    end
    print(("# packet to start: median %.1f ms, least %.1f ms"):format(stats.median(offsets), math.min(table.unpack(offsets))))
    h:cancel()
    local again, _, pkt = sync { [a] = "true", on = h } -- it fires no more: its last packet counts
    check.equal({ again[a].ok, pkt == h.last }, { true, true })
    ping:kill()
end)

test("a packet that never comes: killed unstarted when the timeout passes", function()
    local results, spread, pkt = sync { [a] = "echo a", on = cable:on("udp port 4711"), timeout = 0.3 }
    check.equal({ results[a].timed_out, results[a].offset, spread, pkt }, { true, nil, 0 })
    takes_commands(a)
end)

test("what never comes: killed unstarted when the timeout passes", function()
    local results = sync { [a] = "touch /tmp/began", [b] = "touch /tmp/began", on = event("never"), timeout = 0.5 }
    check.equal({ results[a].timed_out, results[b].timed_out }, { true, true })
    check.equal({ a:ok("[ -e /tmp/began ]"), b:ok("[ -e /tmp/began ]") }, { false, false })
    takes_commands(a)
end)

test("the wait does not count as the command's time", function()
    local results = sync { [a] = "sleep 0.5", on = function() sleep(2) end, timeout = 2.4 }
    check.equal({ results[a].timed_out, results[a].ok }, { false, true })
end)

test("a trigger that raises: nothing stays armed", function()
    check.raises(function() sync { [a] = "touch /tmp/raised", on = function() error("no go") end } end, "no go")
    takes_commands(a)
    check.equal(a:ok("[ -e /tmp/raised ]"), false)
end)

test("misuse", function()
    check.raises(function() sync { [a] = "true", on = 3 } end, "test_sync.lua:%d+: sync: on: want an event")
    check.raises(function() sync { [a] = "true", [b] = 7 } end, "want a command, a string")
    check.raises(function() sync { nobody = "true" } end, "is not a node")
    takes_commands(a)
end)

test("a machine that dies while it is armed has its own result; the other runs", function()
    local go_on = event("go on")
    after(0.3, function()
        b:crash()
        go_on:set()
    end)
    local results = sync { [a] = "echo alive", [b] = "echo dead", on = go_on }
    check.equal(results[a].stdout, "alive\n")
    check.equal({ results[b].ok, results[b].status }, { false, nil })
    check.match(results[b].error, "power cut")
end)
