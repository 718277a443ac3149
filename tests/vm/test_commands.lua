-- SPDX-License-Identifier: MIT
-- Commands on a machine: see command_cases.

-- QEMUNET_TEST_GUEST: a file that returns the options of another guest than the tiny one.
local guest = os.getenv("QEMUNET_TEST_GUEST")
local commands = vm("commands", guest and dofile(guest) or {})
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or ""

assert(loadfile(folder .. "../lua/command_cases.lua", "t", _ENV))(commands, {
    home = "/root", users = true, nc = "nc", signals = guest and 100 or 300,
    pause = function(seconds) return ("usleep %d"):format(seconds * 1000000) end,
})

test("the user has a name", function()
    check.equal(commands:succeed("whoami"), "root\n")
end)
