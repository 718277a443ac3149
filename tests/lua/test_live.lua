-- SPDX-License-Identifier: MIT
-- Links that come and go, on simulated nodes.

local function indexes(node)
    local list = {}
    for i, nic in ipairs(node.nics) do list[i] = nic.index end
    return list
end

test("an interface goes with its link; the ones behind it move up, and its number is free", function()
    local a, b = responder("a"), responder("b")
    local first, second, third = link(a, b), link(a, b), link(a, b)
    local mac = a.nics[2].mac
    second:remove()
    check.equal({ indexes(a), indexes(b) }, { { 1, 3 }, { 1, 3 } })
    check.equal(a:ip(2), a:ip(third))
    check.raises(function() a:ip(second) end, "test_live%.lua:%d+: a: ip: no network interface link a%-%-b%-2 %(removed%)")
    check.raises(function() second:remove() end, "test_live%.lua:%d+: link a%-%-b%-2 was removed")
    second = link(a, b)
    check.equal({ indexes(a), a.nics[3].mac }, { { 1, 3, 2 }, mac })
    for _, nic in ipairs(a.nics) do nic.link:remove() end
    check.equal({ #a.nics, #b.nics, first.removed }, { 0, 0, true })
end)

test("a switch forgets a link that was removed, and its addresses last", function()
    local a, s = responder("c"), switch("s", { subnet = "10.7.0.0/30" })
    for _ = 1, 5 do s:connect(a):remove() end
    check.equal({ #s.links, #a.nics }, { 0, 0 })
    local others = lan({ a, responder("d") })
    for _, l in ipairs(others.links) do l:remove() end
    check.equal({ #others.links, #a.nics }, { 0, 0 })
end)

test("links that cannot all be made are not there at all", function()
    local a, b, c = responder("e"), responder("f"), responder("g")
    check.raises(function() lan({ a, b, c }, { subnet = "10.8.0.0/30" }) end, "test_live%.lua:%d+: link: no free address")
    check.raises(function() lan { a, b, "nobody" } end, "there is none named .nobody.")
    check.equal({ #a.nics, #b.nics, #c.nics }, { 0, 0, 0 })
end)

test("a partition heals after a link in it has gone", function()
    local a, b = responder("h"), responder("i")
    local l = link(a, b)
    local cut = partition(a, b)
    link(a, b)
    l:remove()
    cut:heal()
    check.equal(#a.nics, 1)
end)
