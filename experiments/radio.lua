-- A car drives out of the radio range of a base and comes back, while it pings the base. When is it cut off, and when does
-- it hear again: what the geometry says, and what the ping saw.
local range, speed = param("range", 100), param("speed", 30) -- metres, metres per second
local near, far = 0.75 * range, 1.4 * range -- it goes from here to there and back
local interval = 0.05 -- between two pings

local base, car = vm("base"), vm("car")
local air = radio("air", { range = range, rate = "6mbit" })
air:join(base, { 0, 0 })
air:join(car, { near, 0 })
boot()

-- Drives there and back: {at=, where=} for each answer.
local function drive()
    local ping, answers, back_at = car:spawn(("ping -i %g base"):format(interval)), {}, nil
    local lines = ping:lines()
    for line in lines do
        if line:find("bytes from") then break end -- it runs
    end
    local begin = now()
    go(function()
        sleep(car:move(far, 0, { speed = speed })) -- move says how long it takes
        sleep(car:move(near, 0, { speed = speed }))
        back_at = now() - begin
    end)
    timeout(60, function()
        for line in lines do
            if line:find("bytes from") then answers[#answers + 1] = { at = now() - begin, where = (car:position()) } end
            if back_at and answers[#answers].at > back_at then break end
        end
    end)
    ping:kill("INT")
    return answers
end

local answers = drive()

-- The longest gap: the answers before it and after it.
local before, after
for i = 2, #answers do
    local a, b = answers[i - 1], answers[i]
    if not before or b.at - a.at > after.at - before.at then before, after = a, b end
end

local out, back = (range - near) / speed, (2 * far - near - range) / speed
print(("from %g m to %g m and back at %g m/s, range %g m:"):format(near, far, speed, range))
print(columns {
    { "", "by geometry", "by ping", "where" },
    { "last answer", ("%.2f s"):format(out), ("%.2f s"):format(before.at), ("%.0f m"):format(before.where) },
    { "first again", ("%.2f s"):format(back), ("%.2f s"):format(after.at), ("%.0f m"):format(after.where) },
})
record { out_s = out, back_s = back, last_answer_s = before.at, first_answer_s = after.at, radio = air:stats() }

check.less(0.8 * (back - out), after.at - before.at, "the gap, in seconds,")
check.less(back - 0.01, after.at, "the first answer again: none comes from behind the border;")
