-- SPDX-License-Identifier: MIT
-- How machines start and end, and what is said about it. Each machine here meets another end.

local recorder = require "qemunet.record.recorder"

local SMALL = { mem = "128M" }
-- A name that no other process has on its command line.
local killed_name = ("killed-%d"):format(math.random(1 << 40))

local crashed, asked, off, reset, panicked = vm("crashed", SMALL), vm("asked", SMALL), vm("off", SMALL),
    vm("reset", SMALL), vm("panicked", SMALL)
local killed = vm(killed_name, SMALL)
local paused = vm("paused", { mem = "128M", files = { ["/tmp/given"] = "/etc/passwd", ["/opt/new/true"] = "/bin/true" },
    setup = { "cp /tmp/given /tmp/copy" } })

local function read_lines(path)
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    return lines
end

-- The events so far that have these fields.
local function events(fields)
    local found = {}
    for _, line in ipairs(read_lines(recorder.made() .. "/events.jsonl")) do
        local event, fits = json.decode(line), true
        for name, value in pairs(fields) do fits = fits and event[name] == value end
        if fits then found[#found + 1] = event end
    end
    return found
end

-- The machine takes no command any more, and says so at once.
local function refuses(node, pattern)
    local begin = now()
    local r = node:run("echo no", { timeout = 50 })
    check.equal({ r.ok, r.status, r.stdout, r.timed_out }, { false, nil, "", false })
    check.match(r.error, pattern)
    check.less(now() - begin, 5)
    check.raises(function() node:succeed("echo no") end, "test_lifecycle%.lua:%d+: .*" .. pattern)
    check.raises(function() node:fail("echo no") end, pattern)
    check.equal(node:ok("echo no"), false)
end

-- Starts what ends the machine, with a command under way, and returns what became of that.
local function end_by(node, fn)
    local job = node:spawn("echo begun; sleep 1000")
    check.equal(job:lines()(), "begun")
    fn()
    local r = job:wait(30)
    check.is_true(r ~= nil, "the command hangs")
    check.equal({ r.ok, r.status, r.stdout }, { false, nil, "begun\n" })
    return r
end

test("machines boot together, on boot or at their first use", function()
    check.equal(crashed.state, "defined")
    boot { crashed, asked, off, reset }
    check.equal({ crashed.state, reset.state, killed.state }, { "up", "up", "defined" })
    boot()
    for _, node in ipairs { crashed, asked, off, reset, panicked, killed, paused } do
        check.equal(node:succeed("hostname"), node.name .. "\n")
    end
    crashed:boot()
    check.equal(crashed:succeed("cut -d. -f1 /proc/uptime | grep -c ."), "1\n")
end)

test("files and setup commands are there after the boot", function()
    check.match(paused:succeed("cat /tmp/copy"), "root:")
    check.is_true(paused:ok("test -x /opt/new/true && ! test -x /tmp/given"), "the files' permissions")
end)

test("crash cuts the power", function()
    local r = end_by(crashed, function() crashed:crash() end)
    check.match(r.error, "power cut")
    check.equal(crashed.state, "crashed")
    refuses(crashed, "vm crashed is crashed: power cut")
    crashed:crash()
    check.equal(crashed:wait_shutdown(1), "crashed")
    check.equal(#events { kind = "crash", node = "crashed" }, 1)
end)

test("a command that was not waited for ends with its machine, and so does one that waits for its turn", function()
    local jobs = {}
    for i = 1, 20 do jobs[i] = killed:spawn("sleep 1000") end
    local search = io.popen(("grep -lzs '^%s,debug-threads' /proc/[0-9]*/cmdline"):format(killed_name))
    local pid = tonumber(search:read("a"):match("^/proc/(%d+)/cmdline\n$"))
    search:close()
    check.equal(math.type(pid), "integer")
    os.execute(("kill -KILL %d"):format(pid))
    for _, r in ipairs(all(jobs)) do
        check.equal({ r.ok, r.status }, { false, nil })
        check.match(r.error, "QEMU was killed by signal 9")
    end
    check.equal(killed.state, "crashed")
    refuses(killed, "QEMU was killed by signal 9")
end)

test("shutdown asks the guest", function()
    end_by(asked, function() check.equal(asked:shutdown(30), true) end)
    check.equal(asked.state, "down")
    refuses(asked, "vm asked is down")
    check.equal(asked:shutdown(), true)
end)

test("a guest that powers itself off is down", function()
    local r = end_by(off, function() off:spawn("poweroff") end)
    check.match(r.error, "the guest asked for power%-off")
    check.equal({ off:wait_shutdown(30), off.state }, { "down", "down" })
    check.match(off.why, "the guest asked for power%-off")
    local message = check.raises(function() off:succeed("uptime") end, "command failed: vm off is down: [^\n]*: uptime\n")
    check.equal(select(2, message:gsub("reboot: Power down", "")), 1, "the console's end is told once")
    check.raises(function() off:wait_until("true", "50ms") end, "wait_until true: not within 50 ms; vm off is down: [^\n]*$")
end)

test("a guest that reboots itself is seen as such", function()
    local r = end_by(reset, function() reset:spawn("reboot") end)
    check.match(r.error, "the guest asked for a reset")
    check.equal(reset:wait_shutdown(30), "down")
    refuses(reset, "the guest asked for a reset")
end)

test("a guest whose kernel panics is panicked, and the console says why", function()
    local r = panicked:run("echo c >/proc/sysrq-trigger", { timeout = 50 })
    check.equal({ r.ok, r.status, r.timed_out }, { false, nil, false })
    check.match(r.error, "the guest's kernel panicked")
    check.equal(panicked.state, "panicked")
    check.match(panicked:console_tail(), "Kernel panic")
    refuses(panicked, "vm panicked is panicked: the guest's kernel panicked")
end)

test("a paused machine does nothing until it is resumed", function()
    check.equal({ paused:pause(), paused.state }, { true, "paused" })
    local job = paused:spawn("echo awake")
    check.is_nil((job:wait("300ms")))
    check.equal({ paused:shutdown() }, { nil, "vm paused is paused: resume it first", "state" })
    check.equal({ paused:resume(), paused.state }, { true, "up" })
    check.equal(job:wait(20).stdout, "awake\n")
    check.equal(paused:resume(), true)
    check.equal({ crashed:pause() }, { nil, "vm crashed is crashed", "state" })
end)

test("wait_shutdown says when it does not end", function()
    check.equal({ paused:wait_shutdown("100ms") }, { nil, "vm paused is still up", "timeout" })
end)

test("reboot is a new start, setup included", function()
    local before = paused:succeed("cat /proc/sys/kernel/random/boot_id; touch /tmp/mark")
    paused:reboot()
    check.equal(paused.state, "up")
    check.not_equal(paused:succeed("cat /proc/sys/kernel/random/boot_id"), before)
    check.equal(paused:succeed("ls /tmp | sort"), "copy\ngiven\n")
end)

test("what has panicked can be booted again", function()
    panicked:boot()
    check.equal(panicked.state, "up")
    check.equal(panicked:succeed("echo back"), "back\n")
end)

test("QEMU's own words when it does not start", function()
    local bad = vm("bad-option", { qemu = { "-nonsense" } })
    check.raises(function() bad:boot() end, "vm bad%-option did not boot: .*%-nonsense: invalid option")
    check.equal(bad.state, "crashed")
    refuses(bad, "vm bad%-option is crashed")
    bad = vm("bad-kernel", { kernel = "/no/such/kernel" })
    check.raises(function() bad:run("true") end, "vm bad%-kernel did not boot: .*/no/such/kernel")
end)

test("the console's last lines when the guest dies while booting", function()
    local bad = vm("bad-init", { mem = "128M", append = "rdinit=/no/such/init root=/dev/nothing" })
    check.raises(function() bad:boot() end, "vm bad%-init did not boot: .*Kernel panic")
end)

test("a guest that never reaches its shell", function()
    local bad = vm("slow", { mem = "128M", boot_timeout = "200ms", template = false })
    check.raises(function() bad:boot() end, "vm slow did not boot: its shell did not answer within 0%.2 s .*try a larger mem")
    check.equal(bad.state, "crashed")
end)

test("a disk with nothing to boot is given its time, also a short one", function()
    local bad = vm("blank", { mem = "128M", disk = "/etc/passwd", boot_timeout = "2s" })
    check.raises(function() bad:boot() end, "vm blank did not boot: .*no shell answered .* within 1%.?%d* s of power%-on")
end)

test("a setup command that fails is named", function()
    local bad = vm("bad-setup", { mem = "128M", setup = { "echo reason >&2; false" } })
    check.raises(function() bad:boot() end, "vm bad%-setup: .*setup command .* failed: .*reason")
end)

test("events: every state, command and QMP event, in the order of time", function()
    local states = {}
    for _, event in ipairs(events { kind = "vm", node = "panicked" }) do states[#states + 1] = event.state end
    check.equal(states, { "booting", "up", "panicked", "booting", "up" })
    check.equal(#events { kind = "qmp", node = "panicked", event = "GUEST_PANICKED" }, 1)
    local command = events { kind = "command", node = "panicked", cmd = "echo back" }[1]
    check.equal({ command.status, command.stdout_bytes, command.stderr_bytes }, { 0, 5, 0 })
    check.is_true(command.finished >= command.started and command.started > 0)
    local last = 0
    for _, event in ipairs(events {}) do
        check.is_true(event.t >= last, "an event before the one before it")
        last = event.t
    end
end)

test("console logs are kept, a file each", function()
    local text = table.concat(read_lines(recorder.made() .. "/console/panicked.log"), "\n")
    check.match(text, "Kernel panic")
end)
