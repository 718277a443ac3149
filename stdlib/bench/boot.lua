-- SPDX-License-Identifier: MIT
-- qemunet bench boot: machines from a warm template against the same machines booted, in one run.

local bench = require "qemunet.bench.shared"
local boot = require "qemunet.nodes.boot"
local core = require "qemunet.core"
local stats = require "qemunet.stats"
local template = require "qemunet.nodes.template"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"
local vm = require "qemunet.nodes.vm"
local wiring = require "qemunet.network.wiring"

local run = {}

run.about = "machines from a template and booted: one, many (--vms, 100), first use, idle, a suite"
run.rounds, run.vms = 5, 100

-- Seconds, at most: until what a boot leaves to do is done; over which processors are watched.
local QUIET, IDLE = 3, 5

local function say(what) core.log(0, ("%s: %s"):format(units.format_duration(core.now()), what)) end

-- Machines -----------------------------------------------------------------------------------------------------------

-- Boots n machines on a switch, of which each then answers a command. Returns them, and the seconds that it took.
local function start(n, opts)
    local nodes = vm.vms(n, "vm%d", opts)
    wiring.lan(nodes)
    local jobs, begun = {}, core.now()
    boot.boot(nodes)
    for i, node in ipairs(nodes) do jobs[i] = node:spawn(":") end
    for _, job in ipairs(jobs) do assert(assert(job:wait(600)).ok) end
    return nodes, core.now() - begun
end

-- The seconds that start() took, and what `watch`, if it is given, makes of the machines before they go.
local function timed(n, opts, watch)
    local nodes, took = start(n, opts)
    local seen = watch and watch(nodes)
    testbed.teardown()
    return took, seen
end

local COLD = { template = false }

local function way(name, n, opts) return { name = name, run = function() return timed(n, opts) end } end

-- As bench.compare, by the machines' own times.
local function compare(ways, rounds)
    local times, result = {}, {}
    for _ = 1, rounds do
        for _, one in ipairs(ways) do
            times[one.name] = times[one.name] or {}
            table.insert(times[one.name], (one.run()))
        end
    end
    for name, list in pairs(times) do
        result[name] = { n = #list, median = stats.median(list), least = math.min(table.unpack(list)),
            most = math.max(table.unpack(list)) }
    end
    return result
end

-- What is measured ---------------------------------------------------------------------------------------------------

-- The word makes the configuration one that nobody has a template of; it goes again.
local function first_use()
    local nodes, took = start(1, { template = true, append = ("qemunet.bench=%016x"):format(core.random_seed()) })
    local made = nodes[1].came_from
    testbed.teardown()
    if made then template.distrust(made) end
    return took
end

local function one(report, rounds)
    say "one machine"
    timed(1) -- so that there is a template
    local result = compare({ way("one, from a template", 1), way("one, booted", 1, COLD),
        { name = "one, first use of its image", run = first_use } }, rounds)
    report:add(result, { "one, from a template", "one, first use of its image", "one, booted" })
    local cold = result["one, booted"].median
    report:bar("one, template / booted", result["one, from a template"].median / cold, 0.15)
    report:bar("first use / booted", result["one, first use of its image"].median / cold, 1.3)
end

local function of_processes(nodes)
    local cpu, memory = 0, 0
    for _, node in ipairs(nodes) do
        local usage = assert(node:usage())
        cpu, memory = cpu + usage.cpu, memory + usage.memory
    end
    return cpu, memory
end

-- What an idle machine takes: bytes, and the share of a processor.
local function watch_idle(nodes, rounds)
    core.wait({}, math.min(QUIET, rounds))
    local before, begun = of_processes(nodes), core.now()
    core.wait({}, math.min(IDLE, rounds))
    local after, memory = of_processes(nodes)
    return { memory = memory / #nodes, cpu = (after - before) / #nodes / (core.now() - begun) }
end

-- Sizes as a part of all: with 100 machines, 10, 20 and 100 from a template, and 20 booted.
local function many(report, rounds, all)
    local few, some = math.max(1, all // 10), math.max(2, all // 5)
    local function name(n, how) return ("%d together, %s"):format(n, how) end
    local warm_few, warm_some = name(few, "from a template"), name(some, "from a template")
    local warm_all, cold = name(all, "from a template"), name(some, "booted")
    say(warm_few .. " and " .. warm_some)
    local result = compare({ way(warm_few, few), way(warm_some, some) }, rounds)
    say(cold)
    result[cold] = compare({ way(cold, some, COLD) }, 1)[cold]
    say(warm_all)
    local idle
    result[warm_all] = compare({ way(warm_all, all) }, math.max(1, rounds // 2))[warm_all]
    say "idle machines"
    _, idle = timed(some, nil, function(nodes) return watch_idle(nodes, rounds) end)
    report:add(result, { warm_few, warm_some, warm_all, cold })
    local per_few, per_some = result[warm_few].median / few, result[warm_some].median / some
    local per_all, per_cold = result[warm_all].median / all, result[cold].median / some
    report:bar(("%d together, template / booted"):format(some), per_some / per_cold, 0.15)
    report:bar(("%d together, template / booted, scaled from %d"):format(all, some), per_all / per_cold, 0.15)
    report:bar(("cost of a machine, %d / %d together"):format(all, few), per_all / per_few, 1.3)
    report:bar(("memory of an idle one (of %d), MB"):format(some), idle.memory / 1e6, 55)
    report:bar(("processor of an idle one (of %d), %%"):format(some), idle.cpu * 100, 1)
    report.outcome.idle = idle
end

-- Suites -------------------------------------------------------------------------------------------------------------

local SUITE = [[
local nodes = vms(3, "n%d")
lan(nodes)
test("all three reach the first", function()
    for _, n in ipairs(nodes) do n:succeed("ping -c 1 -W 20 n1") end
end)
]]

-- Writes the suite: so many files, each with three machines of its own. Returns their paths.
local function write_suite(tests)
    local paths = {}
    for i = 1, tests do
        paths[i] = os.tmpname()
        local file <close> = assert(io.open(paths[i], "w"))
        file:write(SUITE)
    end
    return paths
end

-- The program that runs this is the one that is measured.
local function run_suite(paths, options)
    local me = io.open("/proc/self/stat"):read("a"):match("^%d+")
    local begun = core.now()
    local out <close> = assert(io.popen(("/proc/%s/exe test -q %s %s"):format(me, options, table.concat(paths, " "))))
    local said = out:read("a")
    local took = core.now() - begun
    if not said:find(("%d passed, 0 failed"):format(#paths), 1, true) then error("the suite did not pass:\n" .. said) end
    return took
end

local function suites(report, tests)
    say(("a suite of %d tests"):format(tests))
    local paths = write_suite(tests)
    local gone <close> = setmetatable({}, { __close = function()
        for _, path in ipairs(paths) do os.remove(path) end
    end })
    local function suite(name, options) return { name = name, run = function() return run_suite(paths, options) end } end
    local warm, cold = ("suite of %d, with templates"):format(tests), ("suite of %d, without"):format(tests)
    local result = compare({ suite(warm, ""), suite(cold, "--no-templates") }, 1)
    report:add(result, { warm, cold })
    report:bar("suite, without / with templates", result[cold].median / result[warm].median, 5, true)
end

-- Outcome ------------------------------------------------------------------------------------------------------------

local Report = {}
Report.__index = Report

function Report:add(result, names)
    for _, name in ipairs(names) do
        local r = result[name]
        table.insert(self.rows, { name, r.n, bench.shown(r.median), bench.shown(r.least), bench.shown(r.most) })
        self.outcome.results[name] = r
    end
end

function Report:bar(name, value, limit, at_least)
    local met = value <= limit
    if at_least then met = value >= limit end
    table.insert(self.bars, { name, ("%.2f"):format(value), ("%s %g"):format(at_least and "at least" or "at most", limit),
        met and "met" or "missed" })
end

--- opts: {rounds=, vms=, json=}.
function run.run(opts)
    local report = setmetatable({ rows = { { "machines", "n", "median", "least", "most" } },
        bars = { { "bar", "measured", "wanted", "" } }, outcome = { results = {} } }, Report)
    one(report, opts.rounds)
    suites(report, math.max(1, opts.vms // 5))
    many(report, opts.rounds, opts.vms)
    report.outcome.bars = report.bars
    bench.show(report.rows, report.bars, report.outcome, opts.json)
end

return run
