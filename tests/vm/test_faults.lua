-- SPDX-License-Identifier: MIT
-- Faults of virtual machines: what their guests see, and that all is as before afterwards.

local v, w = vm("v"), host("w")
local cable = link(v, w)
boot()

-- How far the guest's clock is ahead of the host's, in seconds.
local function ahead()
    local before = os.time()
    local theirs = tonumber((v:succeed("date +%s")))
    return theirs - before
end

local function began(storm)
    storm:start()
    eventually(20, function()
        for _, one in ipairs(storm.schedule) do
            if not one.began then return false end
        end
        return true
    end)
end

test("a guest's clock is set forward, and back afterwards; two add up", function()
    local storm = faults { during = 60, { "skew", node = v, by = "100s", at = 0 },
        { "skew", node = "v", by = "-30s", at = 0 } }
    began(storm)
    sleep(0.2)
    eventually(10, function() return math.abs(ahead() - 70) <= 2 end)
    storm:stop()
    check.near(ahead(), 0, 2)
end)

test("a machine that stands still answers when it goes on; a clock is set back after that", function()
    local storm = faults { during = "1s", { "skew", node = v, by = "100s", at = 0, lasts = "0.2s" },
        { "pause", node = v, at = "0.1s", lasts = "0.3s" }, { "cut", link = cable, at = "0.1s", lasts = "0.2s" } }
    storm:start()
    eventually(10, function() return v.state == "paused" end, { every = 0.01 })
    check.is_true(storm:wait(20))
    check.equal({ v.state, cable.is_up }, { "up", true })
    check.near(ahead(), 0, 2)
    w:succeed("ping -c 1 -W 10 " .. v:ip(cable))
end)

test("a crashed machine boots again, with the right time, and takes its links along", function()
    v:succeed("echo here >/tmp/mark")
    local storm = faults { { "skew", node = v, by = "1000s", at = 0, lasts = "10s" },
        { "crash", node = v, at = "0.5s", lasts = "0.1s" } }
    began(storm)
    storm:stop()
    check.equal(v.state, "up")
    check.near(ahead(), 0, 2)
    check.equal(v:ok("test -e /tmp/mark"), false)
    w:succeed("ping -c 1 -W 10 " .. v:ip(cable))
end)
