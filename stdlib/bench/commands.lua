-- SPDX-License-Identifier: MIT
-- qemunet bench commands: a command's round trip, through qemunet and in other ways, all on one guest in one run.

local bench = require "qemunet.bench.shared"
local boot = require "qemunet.nodes.boot"
local core = require "qemunet.core"
local units = require "qemunet.units"
local vm = require "qemunet.nodes.vm"

local commands = {}

commands.about = "one command's round trip: a bare port, qemunet, and as pexpect and the NixOS test driver do it"

local DEADLINE = 60
local LOSSY_DEADLINE = 10
local PAUSE = 0.02
local SETTLE = 0.05 -- until the guest has started its next shell, which is part of no way

-- Ways ---------------------------------------------------------------------------------------------------------------

-- A character device of the guest as a stream of bytes, and a wait for the last line of an answer.
local Line = {}
Line.__index = Line

local function open_line(name)
    local self = setmetatable({ parts = {}, tail = "", news = core.future() }, Line)
    self.stream = assert(core.connect(name, function(data)
        self.parts[#self.parts + 1] = data
        self.tail = (self.tail .. data):sub(-80)
        self.news:set()
    end))
    return self
end

-- Sends `words` and waits for an answer whose end matches `ending`. Returns all of the answer.
function Line:ask(words, ending)
    self.parts, self.tail = {}, ""
    self.stream:write(words)
    local deadline = core.now() + (self.lossy and LOSSY_DEADLINE or DEADLINE)
    while not self.tail:find(ending) do
        self.news = core.future()
        if not core.wait({ self.news }, deadline - core.now()) then
            if self.lossy then return "" end
            error(("no answer to %q; %q came"):format(words:sub(1, 60), self.tail))
        end
    end
    return table.concat(self.parts)
end

local function bare_way(line)
    local mark = ("%016x"):format(core.random_seed())
    local ending = mark .. "0\n$"
    return function(cmd)
        local answer = line:ask(("%s; echo %s$?\n"):format(cmd, mark), ending)
        return #answer - #mark - 2
    end
end

local function qemunet_way(node)
    return function(cmd) return #node:succeed(cmd, { max_output = "200M" }) end
end

-- As scripts with pexpect do it: type the command and a marker, and look for what the marker becomes in the echo.
local function pexpect_way(node)
    local count = 0
    return function(cmd)
        count = count + 1
        node.console:send(("%s; echo MARK-%d-$?\n"):format(cmd, count))
        node.console:expect(("MARK-%d-0\\r?\\n"):format(count), DEADLINE)
    end
end

-- As the NixOS test driver does it (nixos/lib/test-driver, Machine.execute): base64 of the output in one line, and the
-- status by a second exchange; in a bash whose guest has randomised addresses, which the tiny guest has not.
-- QEMU drops what a virtio console says faster than its reader takes it, so an answer may come short.
local function nixos_way(node, line)
    local way = {}
    line.lossy = true
    function way.before() node:succeed("echo 2 >/proc/sys/kernel/randomize_va_space") end
    function way.after()
        node:succeed("echo 0 >/proc/sys/kernel/randomize_va_space")
        core.wait({}, SETTLE)
    end
    function way.ask(cmd)
        local answer = line:ask(("( set -euo pipefail; timeout 900 bash -c '%s' ) | (base64 -w 0; echo)\n"):format(cmd), "\n$")
        line:ask("echo ${PIPESTATUS[0]}\n", "%f[%d]0\n$")
        return #answer * 3 // 4
    end
    return way
end

-- This machine's bash, with its libraries.
local function put_bash(node)
    local paths, libraries = { "/bin/bash" }, io.popen("ldd /bin/bash")
    for path in libraries:read("a"):gmatch("(/%S+) %(0x") do paths[#paths + 1] = path end
    libraries:close()
    for _, path in ipairs(paths) do
        node:succeed("mkdir -p " .. path:match("^(.*)/"))
        assert(node:put(path, path))
    end
end

local function open_ways(rounds)
    local tag = ("qemunet-bench-%016x-"):format(core.random_seed())
    local function socket(id) return ("socket,id=%s,path=%s%s,abstract=on,server=on,wait=off"):format(id, tag, id) end
    local node = vm.vm("bench", { mem = "512M", qemu = {
        "-chardev", socket("bare"), "-device", "virtserialport,bus=qnserial.0,chardev=bare,name=bench.bare",
        "-chardev", socket("hvc"), "-device", "virtconsole,bus=qnserial.0,chardev=hvc" } })
    boot.boot(node)
    put_bash(node)
    -- A port that nobody is connected to reads as ended.
    local bare, hvc = open_line(tag .. "bare"), open_line(tag .. "hvc")
    node:succeed([[for p in /sys/class/virtio-ports/*; do
        [ "$(cat "$p/name" 2>/dev/null)" != bench.bare ] || d=/dev/${p##*/}; done
        setsid sh <>"$d" >&0 2>&1 &
        setsid sh -c 'exec >/dev/hvc0; stty -F /dev/hvc0 raw -echo; exec bash /dev/hvc0' </dev/null 2>/dev/null &
        head -c 1000000 /dev/zero >/dev/shm/1M; head -c 100000000 /dev/zero >/dev/shm/100M]])
    local nixos = nixos_way(node, hvc)
    return {
        { name = "bare port", ask = bare_way(bare), large = true },
        { name = "qemunet", ask = qemunet_way(node), large = true },
        { name = "pexpect-like, ttyS0", ask = pexpect_way(node), few = math.min(rounds, 3) },
        { name = "NixOS-like, hvc0", ask = nixos.ask, before = nixos.before, after = nixos.after, lossy = true },
    }
end

-- Loads --------------------------------------------------------------------------------------------------------------

local LOADS = {
    { name = ":", cmd = ":", rounds = 1 },
    { name = ": after 20 ms", cmd = ":", rounds = 0.5, pause = PAUSE },
    { name = "/bin/true", cmd = "/bin/true", rounds = 1 },
    { name = "/bin/true after 20 ms", cmd = "/bin/true", rounds = 0.5, pause = PAUSE },
    { name = "1 MB, cat", cmd = "cat /dev/shm/1M", rounds = 0.1, bytes = 1000000 },
    { name = "1 MB, head -c", cmd = "head -c 1000000 /dev/zero", rounds = 0.1, bytes = 1000000 },
    { name = "100 MB, cat", cmd = "cat /dev/shm/100M", rounds = 0.02, bytes = 100000000, large = true },
}

local function timed(way, load)
    return { name = way.name, before = way.before, after = way.after, run = function()
        local n = way.ask(load.cmd)
        local short = load.bytes and n and n < load.bytes
        if short and not way.lossy then error(("%s: %d bytes of %d came"):format(way.name, n, load.bytes)) end
        return not short
    end }
end

-- Ways that take very long for much output are measured apart, a few times.
local function measure(load, ways, rounds)
    local times, quick, slow = math.max(1, math.ceil(rounds * load.rounds)), {}, {}
    for _, way in ipairs(ways) do
        if not load.large or way.large then
            table.insert(load.bytes and way.few and slow or quick, timed(way, load))
        end
    end
    local result = bench.compare(quick, times, load.pause)
    for name, measured in pairs(bench.compare(slow, math.min(times, 3))) do result[name] = measured end
    return result
end

-- The growth of this process for 100 MB of output, relative to them.
local function measure_memory(ways)
    collectgarbage()
    collectgarbage()
    local before = bench.peak_memory(true)
    ways[2].ask("cat /dev/shm/100M")
    return (bench.peak_memory() - before) / 100000000
end

-- Outcome ------------------------------------------------------------------------------------------------------------

local function table_rows(ways, results)
    local rows = { { "command" } }
    for _, way in ipairs(ways) do table.insert(rows[1], way.name) end
    table.insert(rows[1], "n")
    table.insert(rows[1], "qemunet/bare")
    for _, load in ipairs(LOADS) do
        local result, row = results[load.name], { load.name }
        for _, way in ipairs(ways) do row[#row + 1] = bench.shown(result[way.name] and result[way.name].median) end
        row[#row + 1] = result["qemunet"].n
        row[#row + 1] = ("%.2f"):format(result["qemunet"].median / result["bare port"].median)
        rows[#rows + 1] = row
    end
    return rows
end

local function best_other(result)
    return math.min(result["pexpect-like, ttyS0"].median, result["NixOS-like, hvc0"].median)
end

local function bar_rows(results, memory)
    local function ratio(load, other) return results[load][other].median / results[load]["qemunet"].median end
    local bars = { { "bar", "measured", "wanted", "" } }
    local function at_most(name, value, limit)
        bars[#bars + 1] = { name, ("%.2f"):format(value), ("at most %g"):format(limit), value <= limit and "met" or "missed" }
    end
    local function at_least(name, value, limit)
        bars[#bars + 1] = { name, ("%.1f"):format(value), ("at least %g"):format(limit), value >= limit and "met" or "missed" }
    end
    at_most(": / bare port", 1 / ratio(":", "bare port"), 4)
    at_least(": NixOS-like / qemunet", ratio(":", "NixOS-like, hvc0"), 50)
    at_most("/bin/true / bare port", 1 / ratio("/bin/true", "bare port"), 1.3)
    for _, load in ipairs { "1 MB, cat", "1 MB, head -c", "100 MB, cat" } do
        at_most(load .. " / bare port", 1 / ratio(load, "bare port"), 1.5)
    end
    local one = results["1 MB, cat"]
    at_least("1 MB, cat: best other way / qemunet", best_other(one) / one["qemunet"].median, 8)
    at_most("memory for 100 MB / 100 MB", memory, 1.2)
    return bars
end

--- opts: {rounds=, json=}. Raises when a way gives a wrong result.
function commands.run(opts)
    local ways = open_ways(opts.rounds)
    local results = {}
    for _, load in ipairs(LOADS) do
        core.log(0, ("%s: %s"):format(units.format_duration(core.now()), load.name))
        results[load.name] = measure(load, ways, opts.rounds)
    end
    local memory = measure_memory(ways)
    local bars = bar_rows(results, memory)
    bench.show(table_rows(ways, results), bars, { results = results, memory = memory, bars = bars }, opts.json)
end

return commands
