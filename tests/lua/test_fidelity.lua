-- SPDX-License-Identifier: MIT
-- What is counted and measured of how this machine keeps up, and the verdict on it.

local core = require "qemunet.core"
local fidelity = require "qemunet.fidelity.fidelity"
local strain = require "qemunet.fidelity.strain"

local frame = "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5" .. ("\0"):rep(46)

local function send(l, dir, n)
    for _ = 1, n do core.link_send(l.id, dir, frame) end
end

local function in_total() local t = core.fabric_totals(); return t and t.lateness.count or 0 end

local function lateness(count, p99)
    return { ab = { lateness = { count = count, p99 = p99, max = p99, max_at = 3 } }, ba = { lateness = { count = 0, p99 = 0 } } }
end

-- The fabric's counts, beside 1000 frames.
local function fabric(counts)
    counts.lateness = { count = 1000 }
    return { fabric = counts }
end

-- Judges, and gives each reason in a text: what, verdict, where, when.
local function judged(verdict, counters)
    local result, reasons = fidelity.judge(counters), {}
    check.equal(result.verdict, verdict)
    for i, one in ipairs(result.reasons) do
        reasons[i] = ("%s %s %s %s"):format(one.what, one.verdict, one.link or one.node or "-", one.t and one.t + 0.0 or "-")
    end
    return reasons, result
end

local function is_sound(counters) check.equal((judged("sound", counters)), {}) end

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
    local kept = strain.collect().links["ra--rb"]
    check.equal({ kept.ab.sent, kept.ab.lateness.count, kept.ba.sent }, { 30, 30, 0 })
end)

test("links of one name are told apart", function()
    local a, b = responder("ta"), responder("tb")
    local one, two = link(a, b), link(a, b)
    send(one, 0, 1)
    send(two, 0, 2)
    local links, sent = strain.collect().links, {}
    for name, stats in pairs(links) do
        if name:find("^ta") then sent[#sent + 1] = stats.ab.sent end
    end
    table.sort(sent)
    check.equal(sent, { 1, 2 })
end)

test("the control loop's lag is measured, as a share of the time", function()
    link(responder("la"), responder("lb"))
    local from = now()
    local till = core.now() + 0.3
    while core.now() < till do end
    sleep("1ms")
    local loop = strain.collect().loop
    check.less(0.2, loop.max)
    check.less(0.2, loop.p99)
    check.near(loop.max_at, from + 0.3, 5)
    check.less(5, loop.count, "those that should have come meanwhile count")
    check.is_nil(strain.collect().loop, "it has ended")
end)

test("a process's waiting is measured until it is not watched any more", function()
    local file <close> = io.open("/proc/self/stat")
    local pid = math.tointeger(file:read("n"))
    check.is_nil((core.strain_watch(pid)), "nothing is measured")
    core.strain_start()
    core.strain_watch(pid)
    sleep("1ms")
    local waits = core.strain_unwatch(pid)
    check.less(0.0009, waits.watched)
    check.less(-1e-12, waits.waited)
    check.is_true(waits.waited <= waits.watched)
    if waits.watched < 0.5 then check.equal(waits.worst, 0.0, "a share of so short a time says nothing:") end
    check.is_nil(core.strain_unwatch(pid))
    core.strain_watch(pid) -- the end of the measuring ends it
    check.is_true(strain.collect().loop ~= nil)
end)

-- Processes that compute, all on one processor, until the value that is returned is closed; their numbers.
local function hogs(n)
    local pids = {}
    local file <close> = io.popen(([[
        cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
        for i in $(seq %d); do taskset -c "$cpu" sh -c 'ulimit -t 30; while :; do :; done' >/dev/null & echo $!; done
    ]]):format(n))
    for line in file:lines() do pids[#pids + 1] = math.tointeger(tonumber(line)) end
    return setmetatable(pids, { __close = function() os.execute("kill -9 " .. table.concat(pids, " ")) end })
end

test("a process that shares a processor with three others waits for most of its time", function()
    core.strain_start()
    local pids <close> = hogs(4)
    core.strain_watch(pids[1])
    local waits = eventually(30, function()
        local found = core.strain_unwatch(pids[1])
        core.strain_watch(pids[1])
        return found.waited > 0.5 * found.watched and found.worst > 0.5 and found
    end, { every = "600ms" })
    check.less(waits.waited, waits.watched + 1e-9)
    check.less(0, waits.worst_at)
    core.strain_unwatch(pids[1])
    os.execute("kill -STOP " .. pids[1]) -- which it does when it has the processor next
    eventually(30, function()
        local file <close> = io.open(("/proc/%d/stat"):format(pids[1]))
        return file:read("a"):find(") T ", 1, true)
    end)
    core.strain_watch(pids[1])
    sleep("1ms")
    check.equal(core.strain_unwatch(pids[1]).waited, 0.0, "what it had waited before does not count")
    check.is_true(strain.collect().loop ~= nil)
end)

test("nothing emulated, nothing counted: sound", function()
    local result = fidelity.judge {}
    check.equal({ result.verdict, #result.reasons, next(result.measures) }, { "sound", 0, nil })
    check.is_nil(fidelity.words(result))
    check.equal(json.encode(result.reasons), "[]")
end)

test("what is within its limit is sound", function()
    is_sound(fabric { overruns = 0 })
    is_sound { links = { x = lateness(99, 0.5) } } -- too few to say
    is_sound { links = { x = lateness(1000, 2 ^ 20 / 1e9) } }
    is_sound { waits = { a = { watched = 0.9, waited = 0.9, worst = 1, worst_at = 1 } } } -- too short to say
    is_sound { waits = { a = { watched = 10, waited = 1, worst = 0.9, worst_at = 1 } } }
    is_sound { drifts = { a = { drift = -0.03, doubt = 0.025 } } } -- it may have been 5 ms
end)

test("each measure is judged by how far it is beyond its limit, with where and when", function()
    local reasons, result = judged("unsound", { links = { x = lateness(100, 0.002), y = lateness(500, 0.008) },
        waits = { a = { watched = 10, waited = 3, worst = 1, worst_at = 2 },
            b = { watched = 10, waited = 2.5, worst = 1, worst_at = 1 } },
        drifts = { a = { drift = -0.02, doubt = 0.005 } }, loop = { p99 = 0.2, max = 0.4, max_at = 4.25 } })
    check.equal(reasons, { "cpu_wait doubtful a 2.0", "lateness unsound y 3.0", "loop_lag doubtful - 4.25", "drift doubtful a -" })
    check.equal(fidelity.words(result), "unsound: machine a waited for a processor 30% of its time (worst at 2.0 s); " ..
        "the frames of link y were late, 99% of them by up to 8 ms (worst at 3.0 s); " ..
        "the control loop was up to 400 ms late (worst at 4.2 s); " ..
        "the clock of a drifted by 15 ms")
    check.near(result.reasons[4].value, 0.015, 1e-12)
    check.equal(result.reasons[1].threshold, 0.25)
end)

test("frames lost to this machine are a share of all", function()
    local reasons, result = judged("unsound", fabric { overruns = 3, verdicts_missed = 1, lost_at = 7.5 })
    check.equal(reasons, { "losses unsound - 7.5" })
    check.equal(result.reasons[1].text, "3 frames were dropped because their receiver took them too slowly, " ..
        "1 held packets went on without a verdict")
    check.equal(result.measures.losses.counts, { overruns = 3, verdicts_missed = 1 })
    local many = fabric { overruns = 2 }
    many.fabric.lateness.count = 100000
    check.equal(judged("doubtful", many), { "losses doubtful - -" })
    many = fabric { overruns = 1 }
    many.ns3 = { a = { lateness = { count = 0 }, overruns = 2, missed = 3 }, b = { lateness = { count = 0 }, missed = 1 },
        silent = { silent = 0.009 } }
    reasons, result = judged("unsound", many)
    check.equal(result.measures.losses.counts, { overruns = 3, events_missed = 4 })
    check.equal(result.measures.ns3_lateness, { value = 0.009, max = 0.009, simulation = "silent" })
    check.match(result.reasons[1].text, "4 events of a simulation could not be told of")
end)

test("limits are set, and forgotten with the run; what they cannot be", function()
    fidelity.fidelity { lateness = "20ms", losses = "1%" }
    is_sound { links = { x = lateness(1000, 0.019) } }
    is_sound(fabric { overruns = 10 })
    judged("doubtful", { loop = { p99 = 0.11, max = 0.11, max_at = 1 } })
    fidelity.fidelity { loop_lag = 1 }
    is_sound { links = { x = lateness(1000, 0.019) }, loop = { p99 = 0.9, max = 0.9, max_at = 1 } }
    fidelity.reset()
    judged("unsound", { links = { x = lateness(1000, 0.019) } })
    local set = require("qemunet").fidelity
    check.raises(function() set { latenes = 1 } end,
        'test_fidelity.lua:%d+: fidelity: unknown option "latenes"; did you mean "lateness"?')
    check.raises(function() set { drift = "5 apples" } end, "test_fidelity.lua:%d+: fidelity: drift: ")
    check.raises(function() set { cpu_wait = 2 } end, "fidelity: cpu_wait: ")
end)

test("with --strict an unsound run fails, and says why, also where nothing else is said", function()
    local name = os.tmpname()
    local file <close> = assert(io.open(name, "w"))
    file:write [[
        fidelity { lateness = "1ns" }
        local cable = link(responder("a"), responder("b"))
        local flow = source(cable.ab, { rate = "10mbit", count = 200, start = true })
        eventually(20, function() return flow:report().received == 200 end)
    ]]
    file:close()
    local pipe = io.popen(("%s run -q --strict --out %s.run %s 2>&1"):format(core.real_path("/proc/self/exe"), name, name))
    local said = pipe:read("a")
    local _, _, status = pipe:close()
    os.execute(("rm -rf %s %s.run"):format(name, name))
    check.equal(status, 5)
    check.match(said, "^unsound: this machine did not keep up: .*the frames of link a%-%-b were late, 99%% of them by up to ")
end)
