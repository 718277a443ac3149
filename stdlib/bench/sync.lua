-- SPDX-License-Identifier: MIT
-- qemunet bench sync: one command on each of many machines at once, against the same on one.

local bench = require "qemunet.bench.shared"
local boot = require "qemunet.nodes.boot"
local core = require "qemunet.core"
local sync = require "qemunet.sync"
local vm = require "qemunet.nodes.vm"

local run = {}

run.about = "`:` on each of --vms machines (20) through sync, against one machine"

local PER_SECOND = 100 -- clock ticks of /proc, on every Linux

-- The processor time of our QEMUs until now, in seconds.
local function guest_time()
    local ticks, mine = 0, io.open("/proc/self/stat"):read("a"):match("^%d+")
    local children = io.popen("cat /proc/[0-9]*/stat 2>/dev/null")
    for line in children:lines() do
        local parent, user, system = line:match("^%d+ %(qemu.*%) %a (%d+) %-?%d+ %-?%d+ %-?%d+ %-?%d+ %d+ %d+ %d+ %d+ %d+ (%d+) (%d+)")
        if parent == mine then ticks = ticks + user + system end
    end
    children:close()
    return ticks / PER_SECOND
end

local function round(nodes)
    local commands = {}
    for _, node in ipairs(nodes) do commands[node] = ":" end
    return function()
        for node, result in pairs(sync.sync(commands)) do
            if not result.ok then error(("%s: %s"):format(node.name, result.error or result.stderr)) end
        end
    end
end

--- opts: {rounds=, vms=, json=}.
function run.run(opts)
    local nodes = vm.vms(opts.vms, "sync%d", { mem = "96M" })
    boot.boot(table.unpack(nodes))
    local one, all = round({ nodes[1] }), round(nodes)
    local rounds, cpu = math.max(1, opts.rounds // 4), 0
    local result = bench.compare({ { name = "one", run = one }, { name = "all", run = function()
        local before = guest_time()
        all()
        cpu = cpu + guest_time() - before
    end } }, rounds)
    local limit = 3 * result.one.median + cpu / rounds
    local rows = { { "sync of `:` on", "n", "median", "p95" },
        { "1 machine", rounds, bench.shown(result.one.median), bench.shown(result.one.p95) },
        { opts.vms .. " machines", rounds, bench.shown(result.all.median), bench.shown(result.all.p95) } }
    local bars = { { "bar", "measured", "wanted", "" }, { opts.vms .. " machines", bench.shown(result.all.median),
        ("at most %s: 3 x one + %s of the guests' processors"):format(bench.shown(limit), bench.shown(cpu / rounds)),
        result.all.median <= limit and "met" or "missed" } }
    core.log(1, "bench sync: done")
    bench.show(rows, bars, { results = result, guest_cpu = cpu / rounds, limit = limit, vms = opts.vms }, opts.json)
end

return run
