-- SPDX-License-Identifier: MIT
-- The counters of lateness and losses, per link and in total, and what is said of them.

local core = require "qemunet.core"
local fidelity = require "qemunet.program.fidelity"

local frame = "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5" .. ("\0"):rep(46)

local function send(l, dir, n)
    for _ = 1, n do core.link_send(l.id, dir, frame) end
end

local function in_total() local t = core.fabric_totals(); return t and t.lateness.count or 0 end

local function lateness(count, p99) return { ab = { lateness = { count = count, p99 = p99 } }, ba = { lateness = { count = 0, p99 = 0 } } } end

local function counters(fields, links)
    local totals = { lateness = { count = 1000, p99 = 1e-5 } }
    for key, value in pairs(fields) do totals[key] = value end
    return { fabric = totals, links = links }
end

test("lateness is counted per link and in total, also of what goes through switches", function()
    local sw, a, b = switch("counting", { ip = false }), responder("ca"), responder("cb")
    local first, second = sw:connect(a), sw:connect(b, { delay = "1ms" })
    local before = in_total()
    send(first, 0, 50)
    eventually(5, function() return second:stats().ba.lateness.count == 50 end)
    local late = first:stats().ab.lateness
    check.equal({ late.count, first:stats().ba.lateness.count }, { 50, 0 })
    check.is_true(late.p50 <= late.p99 and late.mean <= late.max and late.p99 <= late.max)
    local sum = 0
    for _, bucket in ipairs(late.histogram) do sum = sum + bucket.count end
    check.equal(sum, 50)
    check.equal(in_total() - before, 100)
end)

test("what a removed link did stays", function()
    local l = link(responder("ra"), responder("rb"))
    send(l, 0, 30)
    local before = in_total()
    l:remove()
    check.equal(in_total(), before)
    local kept = fidelity.collect().links["ra--rb"]
    check.equal({ kept.ab.sent, kept.ab.lateness.count, kept.ba.sent }, { 30, 30, 0 })
end)

test("links of one name are told apart", function()
    local a, b = responder("ta"), responder("tb")
    local one, two = link(a, b), link(a, b)
    send(one, 0, 1)
    send(two, 0, 2)
    local links, sent = fidelity.collect().links, {}
    for name, stats in pairs(links) do
        if name:find("^ta") then sent[#sent + 1] = stats.ab.sent end
    end
    table.sort(sent)
    check.equal(sent, { 1, 2 })
end)

test("a sound run has no problems", function()
    check.equal(fidelity.problems {}, {})
    check.equal(fidelity.problems(counters({ overruns = 0 })), {})
    check.equal(fidelity.problems(counters({}, { x = lateness(99, 0.5) })), {}, "too few to say")
    check.equal(fidelity.problems(counters({}, { x = lateness(1000, 2 ^ 20 / 1e9) })), {}, "at the bound")
end)

test("lateness and losses are named", function()
    check.equal(fidelity.problems(counters({ overruns = 3 }, { x = lateness(100, 0.002), y = lateness(500, 0.008) })),
        { "the frames of link y were late, 99% of them by up to 8.0 ms",
            "3 frames were dropped because their receiver took them too slowly" })
    check.equal(#fidelity.problems(counters { no_memory = 1, triggers_missed = 1, verdicts_missed = 1, hop_drops = 1,
        storm_drops = 1 }), 5)
end)
