-- Three steps, each from what the one before found. A link of unknown rate: how fast is it? What happens just above and just
-- below that rate? And if its queue is what hurts, does a shorter one help?
local a, b = responder("a"), responder("b")
local cable = link(a, b, { delay = "10ms", rate = rng:uniform(2e6, 20e6), queue = 200 })
boot()

-- Sends at a rate, in bit/s, for a while: the report of what arrived.
local function send(rate, seconds)
    local flow = source(a, { to = b, rate = rate }):start()
    sleep(seconds)
    return flow:stop():report()
end

-- Step 1: more than the link can take; what arrives is its rate.
local capacity = send(40e6, 2).rate
print(("step 1: about %.2f Mbit/s arrive"):format(capacity / 1e6))
sleep(1) -- the queue empties

-- Step 2: around that rate, which step 1 found.
local rows = { { "load", "lost", "delay, median", "99 %" } }
local delay = {}
for _, load in ipairs { 0.8, 0.95, 1.1 } do
    local seen = send(load * capacity, 2)
    delay[load] = seen.delay.p99
    rows[#rows + 1] = { ("%.0f %%"):format(100 * load), ("%.1f %%"):format(100 * seen.loss),
        ("%.1f ms"):format(1000 * seen.delay.p50), ("%.1f ms"):format(1000 * seen.delay.p99) }
    sleep(1)
end
print("step 2: loads around it\n" .. columns(rows))

-- Step 3: only if the queue costs more than the way itself: one as long as what the link takes in 10 ms.
local shorter
if delay[1.1] > 0.02 then
    local packets = math.max(2, math.ceil(capacity * 0.01 / 8000))
    cable:set { queue = packets }
    shorter = send(1.1 * capacity, 2).delay.p99
    print(("step 3: the queue made it %.0f ms; with %d packets it is %.0f ms"):format(1000 * delay[1.1], packets, 1000 * shorter))
    check.less(shorter, delay[1.1])
else
    print("step 3: not needed")
end
record { capacity = capacity, overloaded_s = delay[1.1], shorter_s = shorter }
