-- Commands in two machines that start with an event inside a simulation: a simulated node turns round, and a flow of
-- its begins. How long after the event, which has an exact instant, do they begin?
local rounds = param("rounds", 5)

local a, b = vm("a"), vm("b")
local net = ns3()
local patrol = net:node("patrol")
local air = net:wifi { a, b, patrol, positions = { { 0, 0 }, { 10, 0 }, { 5, 5 } } }
boot()

local offsets = { turn = {}, packet = {}, instant = {} }

local function note(kind, results)
    for _, n in ipairs { a, b } do table.insert(offsets[kind], results[n].offset) end
end

for i = 1, rounds do
    -- The patrol turns round in a tenth of a second, when the commands have been ready for long.
    local turn = net:on("course_change", { node = patrol, nth = 2 })
    go(function()
        sleep("0.5s")
        patrol:move(5 + i % 2, 5, { over = "0.1s" })
    end)
    note("turn", turn:release(sync { [a] = "date", [b] = "date" }))

    -- The first packet of a flow leaves the patrol.
    local flow = go(function()
        sleep("0.5s")
        return patrol:on_off { to = b, rate = "100kbit", size = 500 }
    end)
    note("packet", net:on("tx", { node = patrol, nth = 1 }):release(sync { [a] = "date", [b] = "date" }))
    flow:join():stop()

    -- An instant of the simulation.
    note("instant", net:at(now() + 0.5, { [a] = "date", [b] = "date" }):join())
end

local rows = { { "commands start with", "median", "worst" } }
for _, kind in ipairs { "turn", "packet", "instant" } do
    rows[#rows + 1] = { kind, ("%.2f ms"):format(1e3 * stats.median(offsets[kind])),
        ("%.2f ms"):format(1e3 * math.max(table.unpack(offsets[kind]))) }
end
print(columns(rows))
record { offsets = offsets, lateness = net:stats().lateness }
for _, list in pairs(offsets) do
    check.equal(#list, 2 * rounds)
    check.is_true(math.min(table.unpack(list)) > 0, "no command begins before its event")
end
