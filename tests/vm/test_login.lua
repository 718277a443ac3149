-- SPDX-License-Identifier: MIT
-- Guests that nothing was prepared in: disk images with a getty on the serial console (tests/vm/login_image.sh makes them;
-- test_login.sh runs this, with QEMUNET_TEST_IMAGE naming their folder).

local folder = os.getenv("QEMUNET_TEST_IMAGE")
local PASSWORD = "secret 1"

-- A machine with that system; `variant` is what its kernel's command line says.
local function guest(name, variant, opts)
    local all = { disk = folder .. "/disk.img", kernel = folder .. "/kernel", initrd = folder .. "/initrd.gz", mem = "128M",
        template = false, append = "console=ttyS0 quiet panic=-1 norandmaps qn.variant=" .. variant }
    for key, value in pairs(opts or {}) do all[key] = value end
    return vm(name, all)
end

local every_byte = {}
for i = 0, 255 do every_byte[i + 1] = string.char(i) end
every_byte = table.concat(every_byte)

local serial_ones = {
    guest("serial", "novirtio,noisy", { password = PASSWORD }),
    guest("plainuser", "nobase64", { user = "plain" }),
}
local dan = guest("dan", "dash,menu", { user = "dan", password = "x" })
local ben = guest("ben", "bash,hash", { user = "ben", password = "x", prompt = "[#$] " })
link(dan, ben, { delay = "2ms" })
boot(serial_ones, dan, ben)

test("by way of the console the same shells are reached, of any kind, and the network is configured", function()
    check.equal(dan:succeed("readlink /bin/sh"), "dash\n")
    check.equal(ben:succeed("readlink /bin/sh"), "bash\n")
    for _, n in ipairs { dan, ben } do
        local r = n:run("echo out; echo err >&2; kill -9 $$")
        check.equal({ r.stdout, r.stderr, r.status, r.signal }, { "out\n", "err\n", 137, 9 })
        check.equal(n:succeed("hostname"), n.name .. "\n")
        check.equal(n:succeed("cat", { stdin = every_byte }), every_byte)
        check.less(n:run(":").duration, 1)
    end
    check.match(dan:succeed("ping -c 2 ben"), "2 packets received")
end)

test("each has a machine-id of its own, under which what its system logged before is found", function()
    local before, ids = ("0123456789abcdef"):rep(2), {}
    for i, n in ipairs { dan, ben } do
        ids[i] = n:succeed("cat /etc/machine-id")
        check.match(ids[i], "^%x+\n$")
        check.equal(#ids[i], 33)
        check.not_equal(ids[i], before .. "\n")
        check.equal(n:succeed("cat /var/log/journal/$(cat /etc/machine-id)/journal"), "entry 1\n")
    end
    check.not_equal(ids[1], ids[2])
end)

test("a copy of a guest that has its interface up itself has its own address of IPv6 there, and not the other's", function()
    local both = { guest("up1", "up", { password = PASSWORD }), guest("up2", "up", { password = PASSWORD }) }
    link(both[1], both[2])
    boot(both)
    for _, n in ipairs(both) do
        local a, b, c, d, e, f = n:succeed("cat /sys/class/net/eth0/address"):match("^(%x+):(%x+):(%x+):(%x+):(%x+):(%x+)\n$")
        local own = ("fe80000000000000%02x%s%sfffe%s%s%s"):format(tonumber(a, 16) ~ 2, b, c, d, e, f)
        -- The kernel makes it when it has seen the carrier.
        local seen
        eventually(20, function()
            seen = n:succeed("sed -n 's/ .* eth0$//p' /proc/net/if_inet6")
            return seen ~= ""
        end)
        check.equal(seen, own .. "\n")
    end
    both[1]:succeed("ping -c 1 up2")
end)

test("a link comes while they run, to those that are logged in to as root", function()
    local live = link(dan, ben)
    dan:succeed("ping -c 1 -W 10 " .. ben:ip(live))
    live:remove()
    check.raises(function() link(dan, serial_ones[2]) end,
        "link dan%-%-plainuser: plainuser: the user logged in there is not root.*log in as root")
    check.equal({ #dan.nics, #serial_ones[2].nics }, { 1, 0 })
end)

test("the console is the log-in's shell again", function()
    check.equal(dan.console:send("echo $((6 * 7))\n"), true)
    check.equal(dan.console:expect("\\n42\\b", 20).text, "\n42")
    check.match(dan.console:log(), "Small System")
end)

test("over the serial console: the same results, with noise on it, and as an ordinary user without base64", function()
    serial_ones[1]:succeed("touch /tmp/noise")
    for _, n in ipairs(serial_ones) do
        local r = n:run("echo out; echo err >&2; exit 7")
        check.equal({ r.stdout, r.stderr, r.status, r.signal, r.ok, r.error }, { "out\n", "err\n", 7, nil, false, nil })
        r = n:run("kill -9 $$")
        check.equal({ r.status, r.signal, r.stderr }, { 137, 9, "" })
        r = n:run("sh -c 'exit 200'")
        check.equal({ r.status, r.signal }, { 200, nil })
        check.equal(n:succeed("cat", { stdin = every_byte }), every_byte)
        check.equal(n:succeed("printf 'a\\0b'"), "a\0b")
        check.equal(n:run("head -c 5000 /dev/zero", { max_output = 1000 }).truncated, true)
        check.equal(n:succeed("echo $X; pwd", { env = { X = "a 'b" }, cwd = "/tmp" }), "a 'b\n/tmp\n")
        check.equal(n:succeed("echo '" .. ("long "):rep(1000) .. "'"), ("long "):rep(1000) .. "\n")
    end
    check.equal(serial_ones[2]:succeed("id -u"), "1000\n")
    check.equal(#serial_ones[1]:succeed("head -c 70000 /dev/urandom"), 70000)
end)

test("over the serial console: a timeout kills the process group", function()
    local n = serial_ones[1]
    local r = n:run("trap '' TERM; sleep 987 & sleep 987", { timeout = 1 })
    check.equal({ r.timed_out, r.status, r.error }, { true, 137, nil })
    check.equal(n:succeed("ps | grep -c '[s]leep 987' || true"), "0\n")
end)

test("over the serial console: many at once, lines as they come, input as it is written, signals", function()
    local n, jobs = serial_ones[1], {}
    for i = 1, 6 do jobs[i] = n:spawn(("echo up %d; read x; echo got $x; exit %d"):format(i, i)) end
    for i = 6, 1, -1 do
        check.equal(jobs[i]:expect("up \\d", 30).text, "up " .. i)
        jobs[i]:write("line " .. i .. "\n")
    end
    for i = 1, 6 do
        local r = jobs[i]:wait(30)
        check.equal({ r.status, r.stdout }, { i, ("up %d\ngot line %d\n"):format(i, i) })
    end
    local waits = n:spawn("trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 1; done")
    waits:expect("ready", 30)
    waits:kill("INT")
    check.equal(waits:wait(30).status, 5)
end)

test("over the serial console: a synchronised start", function()
    local n = serial_ones[1]
    local begun = sync { [n] = "echo a", [dan] = "echo b" }
    check.equal({ begun[n].stdout, begun[dan].stdout }, { "a\n", "b\n" })
end)

test("over the serial console: files both ways", function()
    local n = serial_ones[1]
    check.equal(n:write("/tmp/file", every_byte:rep(100)), true)
    check.equal(n:read("/tmp/file"), every_byte:rep(100))
    local sent, why = n.console:send("x")
    check.is_nil(sent)
    check.match(why, "carries its commands")
end)

test("nothing of a command over the console is left, and a machine that ends, ends its commands", function()
    local n = serial_ones[2]
    n:succeed("true")
    n:succeed("true")
    check.less(tonumber((n:succeed("ls /tmp/.qn.*/* | wc -l"))), 12)
    local waits = n:spawn("sleep 1000")
    n:crash()
    check.match(waits:wait(20).error, "plainuser")
    check.match(n:run("true").error, "plainuser")
end)

test("what is logged in to goes on from a template, too; also where /etc cannot be written to", function()
    local list = {}
    for i = 1, 2 do list[i] = guest("fixed" .. i, "dash,roetc", { user = "dan", password = "x", template = true }) end
    link(list[1], list[2])
    boot(list)
    check.is_true(list[1]:ok("ping -c 1 -W 10 " .. list[2]:ip()))
    local seen = {}
    for _, n in ipairs(list) do
        check.equal(n:succeed("hostname; readlink /bin/sh"), n.name .. "\ndash\n")
        check.is_true(n:fail("touch /etc/new") ~= nil)
        check.is_true(n:ok("echo $((6*7)) >/root/new && sync"))
        local random = n:succeed("od -An -tx1 -N16 /dev/urandom")
        check.is_nil(seen[random])
        seen[random] = true
        n:crash()
    end
    boot { list[1] }
    check.equal(list[1]:succeed("hostname; ls /root"), "fixed1\n") -- what the others wrote to the disk is not there
    list[1]:crash()
end)

local function boot_error(n)
    local ok, err = pcall(boot, n)
    check.is_true(not ok, "it booted")
    return tostring(err)
end

test("a log-in that does not work says at which step, and what to do", function()
    local wrong = guest("wrong", "x", { password = "guess" })
    local none = guest("none", "x")
    local late = guest("late", "x", { password = PASSWORD, prompt = { user = "who goes there" }, boot_timeout = "20s" })
    local said = {}
    for i, task in ipairs { go(boot_error, wrong), go(boot_error, none), go(boot_error, late) } do said[i] = task:join(120) end
    check.match(said[1], "vm wrong did not boot: log%-in: it refused the log%-in of root: wrong user= or password=")
    check.match(said[1], "Login incorrect")
    check.match(said[2], "it asks for the password of root: give password=")
    check.match(said[3], "no shell answered at its serial console within 15 s.*it showed no prompt.*give prompt=")
    check.equal({ wrong.state, none.state, late.state }, { "crashed", "crashed", "crashed" })
end)

test("a disk is written to only with persistent=true", function()
    local path = folder .. "/own.img"
    local function host(command) return (os.execute((command:gsub("OWN", path):gsub("DISK", folder .. "/disk.img"))) == true) end
    check.is_true(host "cp --sparse=always DISK OWN")
    for i, persistent in ipairs { true, false } do
        check.is_true(host "cp --sparse=always OWN OWN.before")
        local n = guest("disk" .. i, "x", { password = PASSWORD, disk = path, persistent = persistent })
        check.equal(n:run("test -e /root/kept").ok, i == 2)
        check.equal(n:succeed("cat /etc/machine-id") == ("0123456789abcdef"):rep(2) .. "\n", persistent)
        n:succeed("echo x >/root/kept; sync")
        n:shutdown()
        check.equal(host "cmp -s OWN OWN.before", not persistent)
    end
    host "rm OWN OWN.before"
end)

test("bad options", function()
    local function refused(opts, why) check.raises(function() vm("bad", opts) end, why) end
    refused({ disk = "/no/such.img" }, "vm bad: disk /no/such.img: No such file")
    refused({ disk = "/tmp" }, "vm bad: disk /tmp is a folder")
    refused({ persistent = true }, "vm bad: persistent= goes with disk=")
    refused({ password = "x" }, "vm bad: password= is for a guest that is logged in to")
    refused({ disk = folder .. "/disk.img", prompt = "(" }, "prompt: bad pattern")
    refused({ disk = folder .. "/disk.img", prompt = { usr = "x" } }, "usr.*did you mean .user")
    refused({ disk = folder .. "/disk.img", user = "a\nb" }, "user= has a control character")
end)
