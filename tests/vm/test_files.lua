-- SPDX-License-Identifier: MIT
-- Files and folders that go to a machine and come back.

local a = vm("a", { mem = "512M" })

local function here(command)
    local process = assert(io.popen(command, "r"))
    local output = process:read("a")
    assert(process:close(), command)
    return output
end

local folder = here("mktemp -d"):gsub("\n", "")
-- Removed at the very end: the tests use it one after the other.
local guard = setmetatable({}, { __gc = function() os.execute("rm -rf " .. folder) end })

local function spill(path, data)
    local file = assert(io.open(path, "wb"))
    file:write(data)
    file:close()
end

local function slurp(path)
    local file = assert(io.open(path, "rb"))
    local data = file:read("a")
    file:close()
    return data
end

-- No temporary file is left in a folder of the machine, nor in ours.
local function is_clean(where)
    assert(guard)
    check.equal(a:succeed("find " .. where .. " -name '*.qn-*'"), "")
    check.equal(here("find " .. folder .. " -name '*.qn-*'"), "")
end

local every_byte = {}
for i = 0, 255 do every_byte[i + 1] = string.char(i) end
every_byte = table.concat(every_byte)

-- A sanitizer keeps what is freed.
local sanitized = assert(io.open("/proc/self/maps")):read("a"):find("libasan", 1, true) ~= nil

local function check_memory(growth, limit)
    if not sanitized then check.less(growth, limit) end
end

test("write and read: every byte, nothing, much", function()
    for _, data in ipairs { "", every_byte, ("x\n"):rep(3 << 20) } do
        check.equal(a:write("/tmp/w", data), true)
        check.equal(a:read("/tmp/w") == data, true)
    end
    check.equal(a:succeed("stat -c %a /tmp/w"), "644\n")
    is_clean("/tmp")
end)

test("a file that changes as it is read, and one that has no size", function()
    check.match(a:read("/proc/uptime"), "^%d+%.%d+ ")
    check.match(a:read("/proc/version"), "^Linux")
    check.equal(a:read("/dev/null"), "")
    check.equal(a:write("/proc/sys/kernel/hostname", "renamed"), true)
    check.equal(a:succeed("hostname"), "renamed\n")
    check.equal(a:write("/dev/null", "gone"), true)
    check.equal(a:ok("[ -c /dev/null ]"), true)
end)

test("names that are hard for a shell", function()
    for _, name in ipairs { "a b", "-n", "q'q\"q", "$HOME", "new\nline", "ü", "\xff\xfe", "*" } do
        spill(folder .. "/one", name)
        check.equal(a:succeed("mkdir -p /tmp/names && echo ok"), "ok\n")
        check.equal(a:put(folder .. "/one", "/tmp/names/" .. name), true)
        check.equal(a:read("/tmp/names/" .. name), name)
        check.equal(a:get("/tmp/names/" .. name, folder .. "/" .. name), true)
        check.equal(slurp(folder .. "/" .. name), name)
    end
end)

test("permissions, and a target that is a folder", function()
    spill(folder .. "/script", "#!/bin/sh\necho ran\n")
    here("chmod 750 " .. folder .. "/script")
    check.equal(a:put(folder .. "/script", "/tmp"), true)
    check.equal(a:succeed("/tmp/script; stat -c %a /tmp/script"), "ran\n750\n")
    here("mkdir " .. folder .. "/into")
    check.equal(a:get("/tmp/script", folder .. "/into"), true)
    check.equal(here("stat -c %a " .. folder .. "/into/script"), "750\n")
    check.equal(a:put(folder .. "/script", "/tmp/"), true)
    is_clean("/tmp")
end)

test("100 MB there and back, without as much memory here", function()
    here(("head -c 100000000 /dev/urandom >%s/big"):format(folder))
    local function resident() return tonumber(slurp("/proc/self/status"):match("VmHWM:%s*(%d+)")) * 1024 end
    collectgarbage()
    local before = resident()
    check.equal(a:put(folder .. "/big", "/tmp/big"), true)
    check.equal(a:get("/tmp/big", folder .. "/back"), true)
    check_memory(resident() - before, 60e6)
    check.equal(here(("cmp %s/big %s/back && echo same"):format(folder, folder)), "same\n")
    a:succeed("rm /tmp/big")
    is_clean("/tmp")
end)

test("a folder there and back, links and odd names included", function()
    local tree = folder .. "/tree"
    here(([[mkdir -p %s/sub/empty && cd %s && echo 1 >one && printf '\000\377' >'sub/b c' && ln -s ../one sub/link &&
        echo 2 >'sub/new
line' && chmod 700 one]]):format(tree, tree))
    check.equal(a:put(tree, "/tmp/tree"), true)
    check.equal(a:succeed("cd /tmp/tree && readlink sub/link && stat -c %a one && ls -d sub/empty"), "../one\n700\nsub/empty\n")
    check.equal(a:get("/tmp/tree", folder .. "/tree2"), true)
    check.equal(here(("diff -r --no-dereference %s %s/tree2 && echo same"):format(tree, folder)), "same\n")
    is_clean("/tmp")
end)

test("a folder onto a folder: its contents go in", function()
    spill(folder .. "/tree/one", "new\n")
    a:succeed("echo kept >/tmp/tree/other")
    check.equal(a:put(folder .. "/tree", "/tmp/tree"), true)
    check.equal(a:succeed("cd /tmp/tree && cat one other"), "new\nkept\n")
    check.equal(a:get("/tmp/tree", folder .. "/tree"), true)
    check.equal(slurp(folder .. "/tree/other"), "kept\n")
    is_clean("/tmp")
end)

test("what cannot be is said, and leaves nothing", function()
    local ok, why = a:read("/none")
    check.equal(ok, nil)
    check.match(why, "No such file")
    ok, why = a:get("/none", folder .. "/none")
    check.equal(ok, nil)
    check.match(why, "No such file")
    ok, why = a:write("/none/there", "x")
    check.equal(ok, nil)
    check.match(why, "nonexistent directory")
    check.raises(function() a:put(folder .. "/missing", "/tmp/x") end, "test_files.lua:%d+: put: .*No such file")
    check.raises(function() a:get("/etc/hosts", folder .. "/no/where") end, "test_files.lua:%d+: get: .*No such file")
    check.raises(function() a:write("/tmp/x", 1) end, "want a string, not number")
    check.raises(function() a:put("a\0b", "/tmp/x") end, "NUL")
    is_clean("/tmp")
end)

test("a full disk in the guest", function()
    a:succeed("mkdir /tmp/small && mount -t tmpfs -o size=1m small /tmp/small && echo old >/tmp/small/f")
    local ok, why = a:write("/tmp/small/f", ("x"):rep(2 << 20))
    check.equal(ok, nil)
    check.match(why, "No space left")
    check.equal(a:read("/tmp/small/f"), "old\n")
    eventually(10, function() return a:succeed("ls -A /tmp/small") == "f\n" end)
end)

test("a machine that ends in the middle", function()
    local copying = go(function() return a:put(folder .. "/big", "/tmp/big") end)
    eventually(30, function() return a:ok("ls /tmp/big.qn-*") end)
    a:crash()
    local ok, why = copying:join(30)
    check.equal(ok, nil)
    check.match(why, "power cut")
end)
