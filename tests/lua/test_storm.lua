-- SPDX-License-Identifier: MIT
-- The warning of loops of switches, and what a switch says of itself.

local core = require "qemunet.core"
local storm = require "qemunet.network.storm"

local broadcast = ("\xff"):rep(6) .. "\2\0\0\0\0\1\x88\xb5" .. ("\0"):rep(46)

local function broadcasts(l, n)
    for _ = 1, n do core.link_send(l.id, 0, broadcast) end
end

test("a switch says what it did", function()
    local sw, a, b = switch("quiet", { ip = false }), responder("qa"), responder("qb")
    local l = sw:connect(a)
    sw:connect(b)
    broadcasts(l, 500)
    check.equal(sw:stats(), { frames = 500, floods = 500, moves = 0, hop_drops = 0, storms = 0, storm_drops = 0 })
end)

test("the loop is found among the cables", function()
    local s = {}
    for i = 1, 5 do s[i] = switch("find" .. i, { ip = false }) end
    link(s[1], s[2])
    link(s[2], s[3])
    link(s[3], s[4])
    check.is_nil(storm.loop_of(s[1]))
    local closing = link(s[4], s[2])
    check.equal(storm.loop_of(s[3]), { "find3", "find2", "find4", "find3" })
    check.is_nil(storm.loop_of(s[1]), "beside the loop")
    closing:down()
    check.is_nil(storm.loop_of(s[3]))
    link(s[1], s[2])
    check.equal(storm.loop_of(s[1]), { "find1", "find2", "find1" })
end)

test("a storm is warned of", function()
    local s, node = {}, responder("node")
    local edge
    for i = 1, 3 do s[i] = switch("ring" .. i, { ip = false }) end
    for i = 1, 3 do link(s[i], s[i % 3 + 1]) end
    edge = s[1]:connect(node)
    broadcasts(edge, 1000)
    local function storms() return s[1]:stats().storms + s[2]:stats().storms + s[3]:stats().storms end
    eventually(5, function() return storms() > 0 end)
    check.less(0, core.fabric_totals().storm_drops)
end)
