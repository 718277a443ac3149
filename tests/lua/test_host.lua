-- SPDX-License-Identifier: MIT
-- Hosts: namespaces, network, states; test_host_commands has their commands.

local core = require "qemunet.core"
local job = require "qemunet.nodes.job"

-- The tools that the machine may not have. Files of a test's commands are not left on the machine.
local BUSYBOX = "busybox "
local PRIVATE_TMP = "mount -t tmpfs tmpfs /tmp"

local a, b, third = host("a"), host("b"), host("third", { setup = { PRIVATE_TMP } })
local cable = link(a, b, { delay = "5ms", mtu = 1400, subnet = "10.77.0.0/24" })

-- Where namespaces or taps are not allowed there is nothing to test.
do
    local ok, why = pcall(boot)
    if not ok and (why:find("namespaces", 1, true) or why:find("/dev/net/tun", 1, true)) then skip(why) end
    if not ok then error(why, 0) end
end

-- What ping measured, in ms.
local function ping(from, to)
    return tonumber(from:succeed(BUSYBOX .. "ping -c 1 -W 10 " .. to):match("time=([%d.]+) ms"))
end

local function local_output(command)
    local pipe <close> = assert(io.popen(command))
    return pipe:read("a")
end

test("its name, processes and addresses are its own; the machine's are as they were", function()
    check.equal(a:succeed("hostname; ls /sys/class/net; echo $PPID"), "a\neth0\nlo\n1\n")
    check.equal({ a:ip(), b:ip(), a:ifname(), a.state }, { "10.77.0.1", "10.77.0.2", "eth0", "up" })
    check.match(a:succeed("cat /etc/hosts"), "127%.0%.1%.1 a\n10%.77%.0%.2 b\n")
    check.equal(a:succeed("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address"), "1400\n" .. a.nics[1].mac .. "\n")
    check.is_true(local_output("hostname") ~= "a\n" and not local_output("cat /etc/hosts"):find("10.77.0.2", 1, true))
    check.is_true(not a:ok("kill -9 1; kill -TERM 1; sleep 0.01; false") and a:ok("true"), "its first process ended")
    check.raises(function() return a.consol end, 'host a has no field or method "consol"')
    check.raises(function() host("c", { mem = "1G" }) end, 'unknown option "mem"') -- no check
end)

test("packets take the link, which loses its carrier and finds it again", function()
    check.is_true(ping(a, "b") >= 10)
    check.is_true(ping(b, "a") >= 10)
    cable:down()
    check.equal(a:succeed("cat /sys/class/net/eth0/carrier"), "0\n")
    check.equal(b:succeed("cat /sys/class/net/eth0/carrier"), "0\n")
    cable:up()
    check.equal(a:succeed("cat /sys/class/net/eth0/carrier"), "1\n")
    check.is_true(ping(a, "b") >= 10)
end)

test("nobody looks for routers or for a twin of its address", function()
    local c, d = host("quiet1"), host("quiet2")
    local l = link(c, d, { ip = false })
    local seen = 0
    local watch = l:on("icmp6 and (ip6[40] = 133 or ip6[40] = 135)", {}, function() seen = seen + 1 end)
    boot(c, d)
    sleep("300ms")
    watch:cancel()
    check.equal(seen, 0)
end)

test("links come and go while hosts run", function()
    local before = a:succeed("echo $$")
    local sw = switch("middle", { subnet = "10.78.0.0/24" })
    local late, other = host("late"), switch("other")
    local l = sw:connect(a)
    other:connect(sw)
    sw:connect(late, { delay = "1ms" })
    check.equal({ a:ifname(sw), a:ip(l), late.state }, { "eth1", "10.78.0.1", "defined" })
    boot(late)
    check.match(a:succeed("cat /etc/hosts"), "10%.78%.0%.2 late\n")
    check.is_true(ping(a, "late") >= 2)
    l:remove()
    check.is_true(not a:ok("[ -e /sys/class/net/eth1 ]"))
    check.equal(#a.nics, 1)
    local between = link(a, late)
    check.match(a:succeed("cat /etc/hosts"), between.nics[2].ip:gsub("%.", "%%.") .. " late\n")
    between:remove()
    check.is_true(before ~= a:succeed("echo $$") and a.state == "up")
end)

test("crash: everything in it is gone, its network too; it boots again, as new", function()
    local job = b:spawn("(setsid sleep 1000 &) ; echo $$; sleep 1000")
    check.match(job:lines()(), "^%d+$")
    b:succeed("hostname other; ip route add 10.99.0.0/16 via 10.77.0.1 2>/dev/null || :; echo x >>/etc/hosts")
    b:crash()
    local r = job:wait(10)
    check.equal({ b.state, r.ok, r.status }, { "crashed", false, nil })
    check.match(r.error, "killed")
    check.match(b:run("true").error, "host b is crashed")
    check.is_true(not a:ok(BUSYBOX .. "ping -c 1 b", { timeout = "100ms" }))
    b:boot()
    check.equal(b.state, "up")
    check.equal(b:succeed("hostname; cat /proc/[0-9]*/comm | grep -c sleep; grep -c x /etc/hosts || :"), "b\n0\n0\n")
    check.is_true(not b:succeed("cat /proc/net/route"):find("0000630A", 1, true), "the route is still there")
    check.is_true(ping(a, "b") >= 10)
    b:reboot()
    check.is_true(ping(b, "a") >= 10)
end)

test("a link that is down at a crash is down afterwards", function()
    cable:down()
    b:reboot()
    check.equal(b:succeed("cat /sys/class/net/eth0/carrier"), "0\n")
    cable:up()
    check.is_true(ping(a, "b") >= 10)
end)

test("interfaces that a host renames or deletes are whole after its next boot", function()
    local c = host("careless")
    local deleted, renamed = link(a, c), link(a, c)
    c:boot()
    local ip = BUSYBOX .. "ip link "
    c:succeed(ip .. "set eth1 down && " .. ip .. "set eth1 name other && " .. ip .. "set other up && " .. ip .. "del eth0")
    local turns = core.fabric_totals().turns
    sleep("50ms")
    check.less(core.fabric_totals().turns - turns, 2000, "the fabric is busy with what is not there")
    deleted:down()
    c:reboot()
    check.equal(c:succeed("ls /sys/class/net; cat /sys/class/net/eth0/carrier"), "eth0\neth1\nlo\n0\n")
    deleted:up()
    for i = 1, 2 do check.is_true(a:ok(BUSYBOX .. "ping -c 1 -W 10 " .. c:ip(i))) end
    c:succeed(BUSYBOX .. "ip link del eth0")
    deleted:remove()
    renamed:remove()
end)

test("shutdown asks first; the system call of a shut-down works too", function()
    local polite = b:spawn("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
    local stubborn = b:spawn("trap '' TERM; echo ready; while :; do sleep 1; done")
    polite:lines()()
    stubborn:lines()()
    check.equal({ b:shutdown() }, { true })
    check.equal({ b.state, polite.result.status, polite.result.stdout }, { "down", 3, "ready\nbye\n" })
    check.equal(stubborn.result.signal, 9)
    check.equal({ b:shutdown(), b:wait_shutdown(1) }, { true, "down" })
    b:boot()
    b:spawn(BUSYBOX .. "poweroff -f")
    check.equal(b:wait_shutdown(10), "down")
    b:boot()
end)

test("a host that runs nothing is shut down at once, not when patience has ended", function()
    local idle, least = host("idle"), math.huge
    for _ = 1, 3 do
        idle:boot()
        local began = now()
        idle:shutdown()
        least = math.min(least, now() - began)
    end
    check.less(least, 0.9)
end)

test("pause stops its processes, until resume", function()
    local ticks = a:spawn("while :; do echo tick; sleep 0.01; done")
    local next_line = ticks:lines()
    next_line()
    check.equal({ a:pause(), a.state }, { true, "paused" })
    local held = a:spawn("echo late")
    check.is_nil((held:wait("100ms")))
    check.equal(a:run("true", { timeout = "100ms" }).timed_out, true)
    check.equal({ a:resume(), a.state }, { true, "up" })
    check.equal(held:wait(10).stdout, "late\n")
    check.equal(next_line(), "tick")
    ticks:kill("KILL")
    check.equal(ticks:wait(10).signal, 9)
    b:crash()
    check.equal({ select(3, b:pause()) }, { "state" })
    b:boot()
end)

test("sync: commands that are ready wait for each other", function()
    local results, spread = sync { [a] = "echo a", [b] = "echo b; exit 3", [third] = "cat" }
    check.equal({ results[a].stdout, results[b].status, results[third].stdout }, { "a\n", 3, "" })
    check.is_true(spread >= 0 and spread < 5)
    local go_on = event("go on")
    after("100ms", function() go_on:set() end)
    local begin = now()
    results = sync { [a] = "echo a", on = go_on }
    check.is_true(results[a].started >= begin + 0.1 and results[a].ok)
    -- A script that is busy has them all end in one turn of the loop.
    local busy = go(function()
        while true do
            local begun = now()
            repeat until now() - begun > 0.02
            sleep(0)
        end
    end)
    results = sync { [a] = "echo a", [b] = "echo b", [third] = ":", on = event("never"), timeout = "100ms" }
    busy:cancel()
    for _, h in ipairs { a, b, third } do check.equal({ results[h].timed_out, results[h].stdout }, { true, "" }) end
end)

test("sync that is left early leaves nothing in the nodes; wrong commands are wrong before it begins", function()
    local slow = host("slow", { setup = { "sleep 0.3" } })
    local jobs, start = {}, job.start
    local restore <close> = setmetatable({}, { __close = function() job.start = start end })
    job.start = function(...)
        jobs[#jobs + 1] = start(...)
        return jobs[#jobs]
    end
    check.raises(function()
        timeout("50ms", function() sync { [a] = "echo a", [slow] = "echo slow" } end)
    end, "timed out")
    eventually(10, function() return slow.state == "up" end)
    slow:succeed("true")
    eventually(10, function()
        for _, each in ipairs(jobs) do
            if each.running then return false end
        end
        return true
    end)
    check.raises(function() sync { [a] = 5 } end, "test_host%.lua:%d+: a: sync: want a command, a string, not number")
    check.raises(function() sync { [5] = "echo" } end, "test_host%.lua:%d+: sync: 5 is not a node")
    check.raises(function() sync({ [a] = "echo" }, { timeout = 5 }) end, "test_host%.lua:%d+: sync: options are in the same table")
end)

test("a boot that nobody waits for to the end goes on, and does not stand in the way of the next", function()
    local slow = host("slower", { setup = { "sleep 0.2" } })
    check.raises(function() timeout("50ms", function() boot(slow) end) end, "timed out")
    eventually(10, function() return slow.state == "up" end)
    slow:crash()
    slow:boot()
    check.equal(slow.state, "up")
end)

test("switches that are joined are one network", function()
    local left, right = switch("left"), switch("right")
    left:connect(right)
    local near, far = host("near"), host("far")
    left:connect(near)
    right:connect(far)
    boot(near, far)
    check.is_true(ping(near, "far") >= 0)
end)

test("many hosts on two switches reach each other", function()
    local many = hosts(20, "m%d")
    link(lan(many, { subnet = "10.79.0.0/24" }), switch("others", { ip = false }))
    boot(many)
    local jobs = {}
    for i, h in ipairs(many) do jobs[i] = h:spawn((BUSYBOX .. "ping -c 1 -W 20 m%d"):format(i % #many + 1)) end
    for _, r in ipairs(all(jobs)) do check.equal({ r.status, r.error }, { 0, nil }) end
end)

test("more commands than its socket holds at once", function()
    local jobs = {}
    for i = 1, 300 do jobs[i] = a:spawn(": " .. ("x"):rep(4000) .. "; echo " .. i) end
    for i, r in ipairs(all(jobs)) do check.equal(r.stdout, i .. "\n") end
end)

test("a file of its own in place of the machine's", function()
    local mine = host("mine", { files = { ["/etc/passwd"] = "/etc/hostname" } })
    mine:boot()
    check.equal(mine:succeed("cat /etc/passwd; echo more >>/etc/passwd; mount | grep -c ' on /sys '"),
        a:succeed("cat /etc/hostname") .. a:succeed("mount | grep -c ' on /sys '"))
    check.is_true(not a:succeed("cat /etc/passwd"):find("more\n", 1, true), "the machine's file was written to")
    check.raises(function() host("none", { files = { ["/etc/no-such"] = "/etc/hostname" } }):boot() end,
        "host none: the copy of /etc/hostname failed: no such file on this machine")
    check.raises(function() host("endless", { files = { ["/etc/passwd"] = "/dev/zero" } }):boot() end,
        "host endless: files: /dev/zero: this is no file")
end)

test("a command's limit of files is the usual one; a setup command that fails is the machinery's failure", function()
    check.equal(a:succeed("ulimit -Sn"), "1024\n")
    check.raises(function() host("bad", { setup = { "echo no >&2; false" } }):boot() end,
        "test_host%.lua:%d+: host bad: its setup command .* failed: no")
    local silent = host("silent", { setup = { "exit 4" } })
    for _ = 1, 2 do
        check.raises(function() silent:boot() end, 'host silent: its setup command "exit 4" failed: status 4')
        check.equal(silent.state, "crashed")
    end
    check.raises(function() host("shape", { setup = { x = "true" } }) end, "host shape: setup: want a list of commands")
    check.raises(function() host("shape", { files = { "/etc/hosts" } }) end, "host shape: files: want { %[path in it%]")
end)

test("a neighbour that never booted is named at the end of the run", function()
    local script = os.tmpname()
    do
        local file <close> = assert(io.open(script, "w"))
        file:write 'local a, b = host("a"), host("b") link(a, b) host("alone") a:ok("true")'
    end
    local said = local_output(("%s run %s --out %s.out 2>&1"):format(core.real_path("/proc/self/exe"), script, script))
    os.execute(("rm -rf %s %s.out"):format(script, script))
    check.match(said, "^never booted, nor used: b; boot%(%) boots all nodes\npassed: ")
end)
