-- A suite of tests of a link, for `qemunet test experiments/suite.lua`; `qemunet run` does it too.
local a, b = host("a"), host("b")
local cable = link(a, b, { delay = "5ms" })
boot()

-- Before each test: the cable is plugged in and has its settings, whatever the test before did.
setup(function()
    cable:up()
    cable:set { delay = "5ms", loss = 0 }
    a:succeed("ping -c 1 -W 5 b")
end)

local function rtt(count)
    local text = a:succeed(("ping -q -i 0.05 -c %d -W 5 b"):format(count or 5))
    return tonumber(text:match("= [%d.]+/([%d.]+)/"))
end

test("names and addresses", function()
    check.equal(a:succeed("getent hosts b"):match("^%S+"), b:ip(cable))
    check.equal(b:ip(1), b:ip(cable))
end)

test("delay is one way: a ping takes it twice", function()
    check.near(rtt(), 10, 5)
    cable:set { delay = "30ms" }
    check.near(rtt(), 60, 10)
end)

test("what is cut is lost, and comes again", function()
    local before = cable:stats().ab.delivered
    cable:down()
    a:fail("ping -c 1 -W 0.2 b")
    check.equal(cable:stats().ab.delivered, before)
    cable:up()
    eventually(5, function() return a:ok("ping -c 1 -W 1 b") end)
end)

test("loss in one direction alone", function()
    cable.ba:set { loss = 1 }
    a:fail("ping -c 2 -i 0.1 -W 0.2 b")
    local stats = cable:stats()
    check.less(1, stats.ba.lost)
    check.equal(stats.ab.lost, 0)
end)

test("the same with IPv6", function()
    skip("links give their nodes IPv4 addresses alone")
end)
