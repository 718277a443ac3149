-- SPDX-License-Identifier: MIT
-- Machines that go on from warm templates: each is one of its own, and does all that a machine does that has booted. Run by
-- test_template.sh with a cache of its own, so that the first of a kind boots.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "?.lua;" .. package.path
local clones = require "clones"
local core = require "qemunet.core"

local MEM, machines, boot_making, all_differ = clones.MEM, clones.machines, clones.boot_making, clones.all_differ

local plain = machines(4, "plain")
local extra = vm("extra", { mem = MEM, files = { ["/tmp/given"] = "/etc/passwd" }, setup = { "cp /tmp/given /tmp/copy" } })

test("one boots, the others go on from it", function()
    for i, node in ipairs(plain) do
        node.opts.setup = { "od -An -tx1 -N32 /dev/urandom | tr -d '\\n' >/tmp/first", "echo " .. i .. " >/tmp/mine" }
    end
    boot_making(1, plain)
    for i, node in ipairs(plain) do check.equal(node:succeed("cat /tmp/mine; hostname"), ("%d\nplain%d\n"):format(i, i)) end
    boot_making(0, { extra })
    check.equal(extra:succeed("ls /tmp/mine 2>/dev/null; grep -c root: /tmp/copy"), "1\n")
    check.is_nil(plain[1]:succeed("ls /tmp"):find("given"))
end)

test("what is one machine's own", function()
    all_differ(plain, "hostname")
    all_differ(plain, "cat /etc/machine-id")
    all_differ(plain, "cat /etc/hosts")
    for _, node in ipairs(plain) do check.match(node:succeed("cat /etc/hosts"), "\n127%.0%.1%.1 " .. node.name .. "\n") end
end)

test("no two have the same random bytes", function()
    all_differ(plain, "cat /tmp/first")
    local cmds = { "od -An -tx1 -N64 /dev/urandom", "od -An -tx1 -N64 /dev/random", "cat /proc/sys/kernel/random/uuid",
        "cat /proc/sys/kernel/random/boot_id", "mktemp -u /tmp/XXXXXXXXXXXX",
        "for i in 1 2 3 4 5; do od -An -tx1 -N8 /dev/urandom; done" }
    for _, cmd in ipairs(cmds) do all_differ(plain, cmd) end
    -- On the processors' own generators too, and all bytes of all reads.
    local seen = {}
    for _, node in ipairs(plain) do
        for line in node:succeed("od -An -v -tx1 -w8 -N4096 /dev/urandom"):gmatch("[^\n]+") do
            check.is_nil(seen[line], line)
            seen[line] = true
        end
    end
end)

-- By the guest's own adjtimex: what its clock can be ahead of ours, least and most, in s.
local function clock_bounds(node)
    local least, most = -math.huge, math.huge
    for _ = 1, 8 do
        local before = core.wall()
        local out = node:succeed("adjtimex")
        check.match(out, "%(UNSYNC%)") -- STA_NANO is not left in its state
        check.equal(tonumber(out:match("status: +(%d+)")), 64)
        local after = core.wall()
        local theirs = (out:match("tv_sec: +(%d+)") * 1000000 + out:match("tv_usec: +(%d+)")) * 1000
        least, most = math.max(least, (theirs - after) / 1e9), math.min(most, (theirs + 1000 - before) / 1e9)
    end
    return least, most
end

test("the time of day is the host's, and they have not been up for long", function()
    for _, node in ipairs(plain) do
        local least, most = clock_bounds(node)
        local doubt = 0.005 + math.max(node.clock_doubt, 0.005) -- it says itself when it could not be had better
        check.is_true(least <= doubt and most >= -doubt, ("%s: between %g and %g s ahead"):format(node.name, least, most))
        local up = tonumber(node:succeed("cat /proc/uptime"):match("^[%d.]+"))
        check.less(up, now() + 60)
        local booted = tonumber(node:succeed("grep btime /proc/stat"):match("btime (%d+)"))
        check.near(os.time() - booted, up, 30)
    end
end)

test("the console has shown the boot", function()
    for _, node in ipairs(plain) do
        check.match(node.console:log(), "BusyBox")
        check.equal(node.console:expect("(BusyBox) v", 20)[1], "BusyBox")
        node.console:send("echo on $((40+2)) $(hostname)\n")
        check.equal(node.console:expect("on 42 (\\w+)\r", 20)[1], node.name)
    end
end)

test("commands, as on any other", function()
    local a, lines = plain[1], {}
    a:succeed("for i in 1 2 3; do echo $i; done", { on_line = function(line) lines[#lines + 1] = line end })
    check.equal(lines, { "1", "2", "3" })
    local big = ("0123456789abcde\n"):rep(1 << 16)
    check.equal(a:succeed("cat", { stdin = big }), big)
    local r = a:run("echo out; echo err >&2; exit 7")
    check.equal({ r.status, r.stdout, r.stderr }, { 7, "out\n", "err\n" })
    local job = a:spawn("read x; echo got $x; sleep 1000")
    job:write("this\n")
    check.equal(job:expect("got (\\w+)", 20)[1], "this")
    job:kill("KILL")
    check.equal(job:wait(20).signal, 9)
    check.is_true(a:run("sleep 1000", { timeout = 0.5 }).timed_out)
end)

test("more at once than units were saved, on two clones", function()
    local jobs = {}
    for i = 1, 8 do
        for _, node in ipairs { plain[1], plain[2] } do
            jobs[#jobs + 1] = { node = node, i = i, job = node:spawn(("read x; echo $x %d $(hostname)"):format(i)) }
        end
    end
    for _, one in ipairs(jobs) do one.job:write("go\n") end
    for _, one in ipairs(jobs) do
        check.equal(one.job:wait(60).stdout, ("go %d %s\n"):format(one.i, one.node.name))
    end
end)

test("kill -9 of a unit's program", function()
    local a = plain[2]
    for _ = 1, 2 do
        check.match(a:run("kill -9 $PPID; sleep 50", { timeout = 30 }).error or "no error", "unit")
        check.equal(a:succeed("echo again"), "again\n")
    end
end)

test("pause, resume, crash, reboot and panic", function()
    local a, b, c = plain[1], plain[2], plain[3]
    check.is_true(a:pause())
    check.equal(a.state, "paused")
    check.is_true(a:resume())
    check.equal(a:succeed("hostname"), "plain1\n")
    local id = a:succeed("cat /etc/machine-id")
    a:crash()
    check.equal(a.state, "crashed")
    boot_making(0, { a })
    check.is_true(a:succeed("cat /etc/machine-id") ~= id)
    b:reboot()
    check.equal(b:succeed("hostname; ls /tmp/mine"), "plain2\n/tmp/mine\n")
    local job = c:spawn("sleep 1000")
    c:spawn("echo c >/proc/sysrq-trigger")
    check.equal(job:wait(30).ok, false)
    check.equal(c:wait_shutdown(30), "panicked")
    boot_making(0, { c })
    check.equal(c:succeed("hostname"), "plain3\n")
    check.equal(plain[4]:shutdown(30), true)
    for _, node in ipairs(plain) do node:crash() end
    extra:crash()
end)

test("power cut while it goes on from a template", function()
    local booting = go(boot, plain[1])
    eventually(20, function() return plain[1].machine and plain[1].state == "booting" end, { every = 0.001 })
    plain[1]:crash()
    check.raises(function() booting:join() end, "vm plain1 did not boot")
    check.equal(plain[1].state, "crashed")
    boot_making(0, { plain[1] })
    check.is_true(plain[1].came_from ~= false, "its template is still there")
    plain[1]:crash()
end)

test("template=false boots; a kernel that has measured its processor wrong finds that out", function()
    local cold = vm("cold", { template = false, append = "tsc_early_khz=400000" })
    boot_making(0, { cold })
    check.equal(cold:succeed("hostname"), "cold\n")
    eventually(60, function()
        local before = clock_bounds(cold)
        sleep(0.5)
        local _, after = clock_bounds(cold)
        return math.abs(after - before) < 0.5 -- some 2 s if the clock ran as the kernel was told
    end)
    cold:crash()
end)
