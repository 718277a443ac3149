-- SPDX-License-Identifier: MIT
-- Hosts: the commands of every node (see command_cases), and what is theirs.

-- Files of a test's commands are not left on the machine.
local commands = host("commands", { setup = { "mount -t tmpfs tmpfs /tmp" } })

-- Where namespaces or taps are not allowed there is nothing to test.
do
    local ok, why = pcall(boot)
    if not ok and (why:find("namespaces", 1, true) or why:find("/dev/net/tun", 1, true)) then skip(why) end
    if not ok then error(why, 0) end
end

local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or ""
assert(loadfile(folder .. "command_cases.lua", "t", _ENV))(commands, {
    home = "[^\n]*", users = commands:ok("su -s /bin/sh nobody -c :"), nc = "busybox nc", signals = 40,
    pause = function(seconds) return ("sleep %g"):format(seconds) end,
})

test("read: what has no end is not read on and on", function()
    local data, why, code = commands:read("/dev/zero")
    check.equal({ data, why, code }, { nil, "/dev/zero is larger than 256 MiB: node:get copies it", "read" })
    check.is_true(commands:ok("true"))
end)

test("a command longer than an argument can be", function()
    local long = ("x"):rep(300000)
    check.is_true(commands:succeed("echo '" .. long .. "'") == long .. "\n", "the bytes")
    check.equal(commands:succeed("cat; : " .. long, { stdin = "to it" }), "to it")
    check.equal(commands:succeed("ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; : " .. long), "4\n/dev/null\n")
    check.equal(commands:run("exit 7; : " .. long).status, 7)
end)
