-- SPDX-License-Identifier: MIT
-- Runs to be compared: what it records follows from its parameters, and some of it is what a page could stumble over.
local delay, note, rounds = param("delay", 10), param("note", "plain"), param("rounds", 20)
local a, b = host("a"), host("b")
link(a, b, { delay = delay .. "ms" })
boot()

local ATTACK = [[</script><script>alert("ran")</script><img src=x onerror=alert(1)><!--]]

a:succeed("ping -c 3 -i 0.05 b")
record { rtt_ms = { 2 * delay - 1, 2 * delay, 2 * delay + 1 }, delay_ms = delay, nested = { answer = 42 }, [ATTACK] = note }
local rtt = series("rtt", "ms")
for i = 1, rounds do rtt:add(2 * delay + i % 3, i / 40) end
test("always", function() check.equal(1, 1) end)
test("fast " .. ATTACK, function() check.less(delay, 15) end)
