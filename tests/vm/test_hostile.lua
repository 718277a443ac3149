-- SPDX-License-Identifier: MIT
-- Guests that misbehave: each ends in a result or an error that says what happened, within its time; the others go on.

local a, b = vm("a", { mem = "192M" }), vm("b", { mem = "128M" })
boot()

-- Kills the shell on the port of the given name, or says that there is none.
local PORT_SHELL = [[
for p in /proc/[0-9]*; do
    case $(readlink "$p/fd/0") in
    /dev/vport*) kill -9 "${p#/proc/}" && exit ;;
    esac
done
echo "no such shell" >&2; exit 1]]

local function memory()
    local file <close> = assert(io.open("/proc/self/status"))
    return tonumber(file:read("a"):match("VmRSS:%s*(%d+)")) * 1024
end

local function takes_commands(n, times)
    for i = 1, times or 3 do check.equal(n:succeed("echo " .. i), i .. "\n") end
end

-- A sanitizer keeps what is freed.
local sanitized = assert(io.open("/proc/self/maps")):read("a"):find("libasan", 1, true) ~= nil

local function check_memory(growth, limit)
    if not sanitized then check.less(growth, limit) end
end

test("kill -9 of the port shell: running commands go on, and more units can be added", function()
    local sleeping = a:spawn("sleep 1; echo slept")
    a:succeed(PORT_SHELL)
    local jobs = {}
    for i = 1, 8 do jobs[i] = a:spawn(("echo up %d; read x; echo %d"):format(i, i)) end
    for i = 1, 8 do check.equal(jobs[i]:expect("up " .. i, 40).text, "up " .. i) end
    check.equal(sleeping:wait(20).stdout, "slept\n")
    for i = 8, 1, -1 do jobs[i]:close_stdin() end
    for i = 1, 8 do check.match(jobs[i]:wait(40).stdout, "\n" .. i .. "\n$") end
end)

test("kill -9 of the unit that runs the command: an error, and the next command runs", function()
    for _, after in ipairs { "sleep 50", "kill -9 $$", "exit 3" } do
        local begun = now()
        local r = a:run("echo before; kill -9 $PPID; " .. after, { timeout = 30 })
        check.equal({ r.ok, r.status }, { false, nil })
        check.match(r.error, "its command unit in the guest was killed")
        check.less(now() - begun, 20)
        takes_commands(a)
    end
end)

test("a guest that floods a unit's port with garbage", function()
    local before = memory()
    local job = a:spawn([[kill -9 $PPID; for d in /dev/vport*; do (exec timeout 3 cat /dev/urandom >"$d") 2>/dev/null & done; wait]],
        { timeout = 20, max_output = "1M" })
    local r = job:wait(30)
    check.match(r.error, "its command unit in the guest was killed")
    takes_commands(a)
    sleep(3)
    takes_commands(a)
    check_memory(memory() - before, 64e6)
end)

test("a guest that floods its console", function()
    local before = memory()
    local r = a:run("yes 'a line of garbage' >/dev/ttyS0", { timeout = 3 })
    check.equal(r.timed_out, true)
    takes_commands(a)
    check_memory(memory() - before, 64e6)
end)

test("endless output is cut at max_output, and the command still ends", function()
    local before = memory()
    local r = a:run("cat /dev/zero", { timeout = 2, max_output = "1M" })
    check.equal({ r.timed_out, r.truncated, #r.stdout }, { true, true, 1 << 20 })
    check_memory(memory() - before, 64e6)
    takes_commands(a)
end)

test("a paused machine: a time-out that says that the guest did not answer", function()
    b:pause()
    local begun = now()
    local r = b:run("echo x", { timeout = 0.5 })
    check.equal({ r.ok, r.timed_out }, { false, true })
    check.match(r.error, "did not confirm")
    check.less(now() - begun, 12)
    b:resume()
    takes_commands(b)
end)

test("a fork bomb ends with its time, and the machine can be booted anew", function()
    local begun = now()
    local r = b:run("f() { f | f & }; f; sleep 60", { timeout = 5 })
    check.equal(r.ok, false)
    check.less(now() - begun, 25)
    b:crash()
    check.equal(b.state ~= "up", true)
    b:boot()
    takes_commands(b)
end)
