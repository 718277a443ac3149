-- A machine walks out of another's Wi-Fi range while it pings it. ns-3 simulates the radio: ad hoc 802.11a, a power that falls
-- with the logarithm of the distance. When does the last answer come, by the formula and by the ping?
local speed = param("speed", 10) -- metres per second
local exponent, near = 3, 30 -- it walks from here on
local interval = 0.05 -- between two pings

local base, walker = vm("base"), vm("walker")
local net = ns3()
local air = net:wifi { base, walker, positions = { { 0, 0 }, { near, 0 } }, loss = { "log-distance", exponent = exponent } }
boot()

-- A receiver hears no preamble below a power (ns-3's ThresholdPreambleDetectionModel), and from where on that is so follows
-- from the model: each tenfold distance takes 10 * exponent dB.
local phy = "/Names/base/DeviceList/*/$ns3::WifiNetDevice/Phy/"
local least = net:get(phy .. "PreambleDetectionModel/MinimumRssi")
local power = net:power(base, walker)
local range = near * 10 ^ ((power - least) / (10 * exponent))
local expected = (range - near) / speed

-- Pings until no answer has come for a second: the last one's time and place.
local function walk()
    local ping, last, begin = walker:spawn(("ping -i %g base"):format(interval)), nil, nil
    local lines = ping:lines()
    repeat local line = lines() until line:find("bytes from") -- it runs
    begin = now()
    walker:move(2 * range, 0, { speed = speed })
    go(function()
        for line in lines do
            if line:find("bytes from") then last = { at = now() - begin, where = (walker:position()) } end
        end
    end)
    eventually(120, function() return last and now() - begin - last.at > 1 end, { every = 0.1 })
    ping:kill("INT")
    return last
end

local last = walk()
print(("%.1f dBm at %g m, the least is %g dBm: the range is %.2f m"):format(power, near, least, range))
print(columns {
    { "last answer", "after", "where" },
    { "by the formula", ("%.2f s"):format(expected), ("%.2f m"):format(range) },
    { "by ping", ("%.2f s"):format(last.at), ("%.2f m"):format(last.where) },
})
record { range_m = range, expected_s = expected, last_answer_s = last.at, last_answer_m = last.where,
    lateness = net:stats().lateness }
-- An answer that was underway may be read late, and the last before the border may be missed, never one from behind it.
check.near(last.at, expected, 0.5)
check.is_true(net:power(base, walker) < least)
