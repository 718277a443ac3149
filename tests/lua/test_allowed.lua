-- SPDX-License-Identifier: MIT
-- With --allow-host all is Lua's own. Run by sandbox.sh.

local outside = os.getenv "QEMUNET_TEST_OUTSIDE" or skip "run by sandbox.sh"

test("commands, files, code and the library are in reach", function()
    check.is_true(os.execute("touch " .. outside .. "/allowed1"))
    check.equal(io.popen("echo x"):read("a"), "x\n")
    io.open(outside .. "/allowed2", "w"):close()
    check.equal(load(string.dump(function() return 5 end))(), 5)
    check.is_true(type(getmetatable("").__index) == "table" and debug.getregistry() ~= nil)
    check.is_true(type(require "qemunet.core".now) == "function")
    check.equal({ require "mods.one".vm == vm, require "qemunet".vm == vm }, { true, true })
    check.equal(vm("m", { qemu = { "-drive", "file=x" } }).state, "defined")
end)

test("a host's commands write this machine's files", function()
    local h = host("h")
    if not pcall(boot, h) then skip "no hosts on this machine" end
    h:succeed("touch " .. outside .. "/allowed3")
end)
