-- SPDX-License-Identifier: MIT
-- A machine of another architecture beside one of this: both emulated alike, on one link.

local function is_here(program) return os.execute("command -v " .. program .. " >/dev/null") end

if not is_here "qemu-system-aarch64" then skip "qemu-system-aarch64 is not here: install the package qemu-system-arm" end

local arm, pc = vm("arm", { arch = "aarch64", mem = "128M" }), vm("pc", { mem = "128M" })
local cable = link(arm, pc)
boot()

local function reaches(from, to, count) return from:ok(("ping -c %d -i 0.1 -W 10 %s"):format(count or 2, to)) end

test("it is what was asked for", function()
    check.equal(arm:succeed("uname -m"), "aarch64\n")
    check.equal(pc:succeed("uname -m"), "x86_64\n")
    if io.popen("uname -m"):read() ~= "aarch64" then
        check.raises(function() vm("fast", { arch = "aarch64", accel = "kvm" }) end,
            'vm fast: accel="kvm" cannot run arch="aarch64" here')
    end
end)

test("commands end as they do elsewhere", function()
    local r = arm:run("cat; echo err >&2; exit 3", { stdin = "in\0put" })
    check.equal({ r.status, r.stdout, r.stderr }, { 3, "in\0put", "err\n" })
    r = arm:run("sleep 100", { timeout = 1 })
    check.equal({ r.ok, r.timed_out }, { false, true })
    check.equal(arm:run("kill -TERM $$").signal, 15)
    arm:write("/tmp/file", ("x"):rep(70000))
    check.equal(#arm:read("/tmp/file"), 70000)
end)

test("a link to a machine of this architecture", function()
    check.is_true(reaches(arm, "pc") and reaches(pc, "arm"))
    cable:down()
    arm:wait_until(('[ "$(cat /sys/class/net/%s/carrier)" = 0 ]'):format(arm:ifname(cable)), 20)
    cable:up()
    arm:wait_until("ping -c 1 -W 1 pc", 20)
end)

test("an interface is plugged in while it runs", function()
    local second = link(arm, pc)
    check.is_true(reaches(arm, pc:ip(second)) and reaches(pc, arm:ip(second)))
end)

test("it powers off, and boots again", function()
    arm:shutdown(20)
    check.equal(arm.state, "down")
    arm:boot()
    check.is_true(reaches(arm, "pc"))
end)

test("a panic is one", function()
    arm.console:send("echo c >/proc/sysrq-trigger\n")
    arm:wait_shutdown(20)
    check.equal(arm.state, "panicked")
end)
