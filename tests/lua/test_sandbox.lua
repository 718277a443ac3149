-- SPDX-License-Identifier: MIT
-- What an experiment cannot do without --allow-host. Run by sandbox.sh, which gives a folder outside the run's, with modules
-- beside this file, and looks afterwards whether anything is left there.

local outside = os.getenv "QEMUNET_TEST_OUTSIDE" or skip "run by sandbox.sh"
local mark = outside .. "/mark"

local function count()
    local n = 0
    return function() n = n + 1 return n end
end

-- A new name for what an attempt would leave.
local next_number = count()
local function fresh() return ("%s%d"):format(mark, next_number()) end

local function refused(name, fn, pattern)
    test(name, function() check.raises(fn, pattern or "give %-%-allow%-host") end)
end

-- What would reach the machine, each under its own name in an experiment.
for name, fn in pairs { ["os.execute"] = os.execute, ["io.popen"] = io.popen } do
    refused(name, function() fn("touch " .. fresh()) end, "test_sandbox%.lua:%d+: " .. name .. ": not in an experiment; run it in a node")
end
refused("package.loadlib", function() package.loadlib("libc.so.6", "*") end)
refused("string.dump", function() string.dump(function() end) end)
refused("string.dump of a string", function() (""):dump() end)
for _, name in ipairs { "getlocal", "getupvalue", "setupvalue", "getregistry", "sethook", "getmetatable", "setmetatable",
    "upvaluejoin", "setlocal", "getuservalue", "debug" } do
    refused("debug." .. name, function() debug[name](1, 1) end)
end

-- Paths ---------------------------------------------------------------------------------------------------------------

local ways = { "w", "a", "w+", "a+", "wb", "r+" }
for _, mode in ipairs(ways) do
    refused("io.open with " .. mode, function() io.open(outside .. "/there", mode) end, "is outside the run's folder")
end
refused("a path with ..", function() io.open("../../mark", "w") end, "is outside the run's folder")
refused("a path with .. in it", function() io.open("./../../mark", "w") end, "is outside the run's folder")
refused("io.output", function() io.output(fresh()) end, "is outside the run's folder")
refused("os.remove", function() os.remove(outside .. "/there") end, "is outside the run's folder")
refused("os.rename away", function() os.rename(outside .. "/there", "mine") end, "is outside the run's folder")
refused("os.rename to there", function()
    io.open("mine", "w"):close()
    os.rename("mine", fresh())
end, "is outside the run's folder")
refused("the process's own memory", function() io.open("/proc/self/mem", "r+") end, "is outside the run's folder")
refused("a path with a NUL", function() io.open("x\0y", "w") end, "want the path of a file")
refused("a device is not opened", function()
    if not io.open("/dev/kmsg") then skip "there is none" end
end, "is a device of this machine")
refused("a capture", function() capture_all(fresh()) end, "is outside the run's folder")

test("what is written by a relative path is in the run's folder, and is found there first", function()
    local file <close> = assert(io.open("note.txt", "w"))
    file:write("one\ntwo\n")
    file:close()
    local lines = {}
    for line in io.lines("note.txt") do lines[#lines + 1] = line end
    check.equal(lines, { "one", "two" })
    check.equal(io.open("beside.txt"):read("a"), "of the current directory\n")
    io.open("beside.txt", "w"):write("mine"):close()
    check.equal(io.open("beside.txt"):read("a"), "mine")
    check.equal({ os.rename("note.txt", "other.txt"), os.remove("other.txt") }, { true, true })
    check.is_nil((io.open("no/such/folder/x", "w")))
    check.is_nil((os.remove("not there")))
    check.is_nil((io.open("/not/there")))
    local path = os.tmpname()
    check.is_true(path:find("/runs/", 1, true) ~= nil and io.open(path) ~= nil, path)
end)

test("io.output and io.write write there; /dev/null can be written", function()
    local standard = io.output()
    io.output("written")
    io.write("a", 1, "\n")
    io.close()
    io.output(standard)
    check.equal(io.open("written"):read("a"), "a1\n")
    io.open("/dev/null", "w"):write("x"):close()
    check.equal(io.tmpfile():write("x"):seek("end"), 1)
end)

-- Metatables and code ------------------------------------------------------------------------------------------------

test("the metatables of the library are not in reach", function()
    for _, value in ipairs { "", io.stdout, _G, _ENV, check, vm("shown"), defaults, (go(function() end)) } do
        check.is_true(type(getmetatable(value)) ~= "table", inspect(value))
    end
    check.raises(function() setmetatable(vm("other"), {}) end, "protected metatable")
    check.raises(function() setmetatable(check, {}) end, "protected metatable")
end)

test("metatables of the script's own are as ever", function()
    local meta = { __index = { a = 1 } }
    local t = setmetatable({}, meta)
    check.equal({ t.a, getmetatable(t) == meta, getmetatable({}) }, { 1, true, nil })
    setmetatable(t, { __metatable = "locked" })
    check.equal(getmetatable(t), "locked")
    check.raises(function() setmetatable(t, nil) end, "protected metatable")
    local own = setmetatable({}, { __gc = function() pcall(os.execute, "touch " .. fresh()) end })
    own = own and nil
    collectgarbage()
end)

test("what is done to Lua's libraries is the script's alone", function()
    local format, concat = string.format, table.concat
    string.format, table.concat, string.gsub = error, error, nil
    function string.twice(s) return s .. s end
    local ok, shown = pcall(tostring, link(responder("r1"), responder("r2")))
    string.format, table.concat = format, concat
    check.equal({ ok, shown, ("ab"):twice() }, { true, "link r1--r2 (up)", "abab" })
end)

test("only text is loaded, and sees the script's globals", function()
    check.equal({ load("return _G")() == _G, load("return vm")() == vm, load("return x", "=", "t", { x = 1 })() }, { true, true, 1 })
    local binary = "\27Lua\x54\0\x19\x93\r\n\x1a\n"
    check.match(select(2, load(binary)), "binary chunk")
    local sent = false
    check.match(select(2, load(function()
        if sent then return nil end
        sent = true
        return binary
    end)), "binary chunk")
    check.raises(function() load(binary, "=", "b") end, "only the text")
    check.raises(function() loadfile("x", "b") end, "only the text")
    io.open("chunk.lua", "w"):write("#!/x\nreturn vm, ..."):close()
    check.equal(loadfile("chunk.lua")(5) == vm, true)
    check.equal(dofile("chunk.lua") == vm, true)
    io.open("marked.lua", "w"):write("\u{FEFF}#!/x\nreturn 7"):close()
    check.equal(dofile("marked.lua"), 7)
    check.is_nil((loadfile("/not/there")))
    check.match(select(2, load("return " .. ("("):rep(300))), "C stack overflow$")
    check.raises(function() load {} end, "test_sandbox%.lua:%d+: bad argument #1 to 'load'") -- no check
end)

test("no function or variable of the library is shown", function()
    check.equal({ debug.getinfo(1, "f").func, debug.getinfo(1, "Slf").func, debug.getinfo(2).func }, {})
    check.match(debug.getinfo(1, "S").source, "test_sandbox%.lua$")
    check.is_nil(debug.getinfo(1, ">f").func)
    local seen = table.pack(xpcall(error, function() return pcall(debug.getlocal, 2, 1) end, "x"))
    check.equal({ seen[1], seen[2] }, { false, false })
    check.match(debug.traceback("here"), "^here\nstack traceback:")
end)

test("a task is not for a script to resume or close", function()
    check.equal({ coroutine.resume(coroutine.running()) }, { false, "cannot resume a task" })
    check.raises(function() coroutine.close(coroutine.running()) end, "cannot close a task")
    local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) sleep(0.001) return b end)
    check.equal({ coroutine.resume(co, 1) }, { true, 2 })
    check.equal({ coroutine.resume(co, "end") }, { true, "end" })
    check.equal({ coroutine.close(co) }, { true })
end)

test("the collector and the locale are the language's", function()
    check.is_true(collectgarbage("count") > 0 and collectgarbage() == 0)
    check.raises(function() collectgarbage("stop") end, "not for an experiment")
    check.raises(function() os.setlocale("de_DE") end, "locale")
end)

-- Modules ------------------------------------------------------------------------------------------------------------

test("require finds modules beside the file, which see the names of the language", function()
    local one = require "mods.one"
    check.equal({ one.vm == vm, one.two == require "two", require "mods.one" == one, one.times }, { true, true, true, 1 })
    check.equal({ require "qemunet".vm == vm, require "string" == string, package.loaded["mods.one"] == one }, { true, true, true })
    package.preload.ours = function(name) return name .. "!" end
    check.equal(require "ours", "ours!")
end)
refused("require of what is not there", function() require "not.there" end,
    "test_sandbox%.lua:%d+: module 'not%.there' not found:.*preload.*no file '.-/not/there%.lua'")
refused("a circle of modules", function() require "circle1" end, "circular require: circle1 %-> circle2 %-> circle1")
refused("a module with a mistake", function() require "wrong" end, "error loading module 'wrong':.*wrong%.lua:1:")
refused("the library's modules", function() require "qemunet.core" end, "the library's own modules.*give %-%-allow%-host")

-- Machines -----------------------------------------------------------------------------------------------------------

local numbers = count()
local function machine(opts) return vm("m" .. numbers(), opts) end

for _, words in ipairs { { "-drive", "file=x" }, { "-chardev", "file,id=a,path=x" }, { "-device", "vfio-pci" },
    { "-device", "edu,driver=vfio-pci" }, { "-device", "e1000,romfile=x" }, { "-device", '{"driver":"vfio-pci"}' },
    { "-global", "virtio-net-pci.romfile=/etc/passwd" }, { "-object", "memory-backend-file,id=a" }, { "disk.img" },
    { "-object", "iothread,qom-type=memory-backend-file,mem-path=x" }, { "-icount", "1,rr=record,rrfile=x" }, { "-D", "x" },
    { "-cpu", "max", "-monitor", "stdio" }, { "--netdev", "tap,script=x" }, { "-smbios", "file=x" }, { "-boot", "splash=x" },
    { "-machine", "dumpdtb=x" }, { "-sandbox", "off" }, { "-readconfig", "x" }, { "-accel", "kvm,device=/x" } } do
    refused("qemu= " .. table.concat(words, " "), function() machine { qemu = words } end,
        "vm m%d+: qemu: [^;]* could reach .*give %-%-allow%-host")
end

test("harmless words of QEMU's are allowed", function()
    for _, words in ipairs { { "-device", "pci-testdev" }, { "-cpu", "max,+avx" }, { "-smp", "2,sockets=2" }, { "--rtc", "base=utc" },
        { "-global", "kvm-pit.lost_tick_policy=delay" }, { "-smbios", "type=1,serial=x" }, { "-no-hpet", "-vga", "std" } } do
        check.equal(machine { qemu = words }.state, "defined")
    end
end)

refused("a disk that is written to, elsewhere", function() machine { disk = outside .. "/there", persistent = true } end,
    "outside the run's folder")
refused("a disk that has another file written to", function()
    io.open("disk.img", "wb"):write("QFI\xfb\0\0\0\3", ("\0"):rep(71), "\4", ("\0"):rep(100)):close()
    machine { disk = "disk.img", persistent = true }
end, "without a data file")
test("a disk of the run's folder can be written to", function()
    io.open("raw.img", "wb"):write(("\0"):rep(512)):close()
    check.equal(machine { disk = "raw.img", persistent = true }.state, "defined")
end)
test("a machine's monitor is not in reach", function() check.is_nil(rawget(machine {}, "machine")) end)

-- Hosts --------------------------------------------------------------------------------------------------------------

local a, b = host("a"), host("b")
link(a, b)
local hosts = pcall(boot, a, b)

local function on_hosts(name, fn)
    test(name, function()
        if not hosts then skip "no hosts on this machine" end
        fn()
    end)
end

-- Were they to succeed, they would do no harm.
for _, attempt in ipairs { "touch MARK", "mount -o remount,rw,bind / ; touch MARK", "umount -l /tmp / /etc; touch MARK",
    "touch /proc/1/rootMARK", "chroot /proc/1/root touch MARK", "nsenter -t 1 -m -U -- touch MARK",
    "unshare -m sh -c 'mount -o remount,rw,bind /; touch MARK'", "unshare -Urm sh -c 'mount -o remount,rw,bind /; touch MARK'",
    "mkdir -p /tmp/m && mount --bind / /tmp/m; mount -o remount,rw,bind /tmp/m; touch /tmp/mMARK",
    "mkdir -p /tmp/o /tmp/w && mount -t overlay o -o lowerdir=/tmp/w,upperdir=OUTSIDE,workdir=OUTSIDE/w /tmp/o && touch /tmp/o/mark",
    "ln -s OUTSIDE /tmp/l; touch /tmp/l/mark", "rm OUTSIDE/there", "mv OUTSIDE/there /tmp/", "chmod 0 OUTSIDE/there",
    "mknod /root/n c 1 3", "kill -0 $QEMUNET_TEST_PID", "[ -n \"$(find /dev -type b)\" ]",
    "cat /proc/sys/kernel/ostype >/proc/sys/kernel/ostype", "cat /proc/sys/vm/swappiness >/proc/sys/vm/swappiness",
    "f=/sys/kernel/profiling; cat $f >$f", "nsenter --mount=/proc/1/ns/mnt touch MARK", "touch mark" } do
    on_hosts("host: " .. attempt, function()
        local cmd = attempt:gsub("MARK", fresh()):gsub("OUTSIDE", outside)
        check.is_true(not a:ok(cmd), "it succeeded")
    end)
end

on_hosts("programs find places to write, of the host's own", function()
    -- Below /tmp, as of a checkout there, $HOME is hidden with it.
    a:succeed "for d in /tmp /var/tmp /run /dev/shm ${HOME%%/tmp/*}; do echo x >$d/qn-test || exit 1; done"
    if a:ok "[ -O /var/lib ]" then a:succeed "echo x >/etc/qn-test && echo x >/var/lib/qn-test && echo >>/etc/passwd" end
    check.is_true(not b:ok "ls /tmp/qn-test || ls /run/qn-test || ls /etc/qn-test", "b sees them")
    a:succeed "echo 1 >/proc/sys/net/ipv4/ip_forward && echo >/dev/null && hostname other"
    a:succeed "ip link add qn0 type bridge 2>/dev/null || busybox ip link add qn0 type bridge || true"
    a:succeed "mount -t tmpfs none /mnt && umount /mnt"
    check.equal(a:succeed "pwd; cat beside.txt", outside:gsub("/outside$", "/work") .. "\nof the current directory\n")
end)

on_hosts("files go to a host and come back into the run's folder", function()
    io.open("up", "w"):write("bytes"):close()
    check.equal({ a:put("up", "/tmp/up"), a:get("/tmp/up", "down"), a:read("/tmp/up") }, { true, true, "bytes" })
    check.equal(io.open("down"):read("a"), "bytes")
    check.raises(function() a:get("/tmp/up", fresh()) end, "get: .* is outside the run's folder")
    check.raises(function() a:get("/tmp/up", "../../mark") end, "outside the run's folder")
end)

on_hosts("a link that came from a node leads nowhere", function()
    a:succeed(("mkdir -p /tmp/t/d && ln -s %s /tmp/t/l && ln -s %s/mark0 /tmp/t/f"):format(outside, outside))
    check.equal(a:get("/tmp/t", "tree"), true)
    check.raises(function() io.open("tree/l/mark", "w") end, "outside the run's folder")
    check.raises(function() io.open("tree/f", "w") end, "is a symbolic link")
    check.raises(function() os.remove("tree/l/there") end, "outside the run's folder")
    check.raises(function() a:get("/tmp/t/d", "tree/l") end, "is a symbolic link")
    a:succeed "rm /tmp/t/l /tmp/t/f && mkdir /tmp/t/l && echo >/tmp/t/l/mark && echo >/tmp/t/f"
    a:get("/tmp/t", "tree") -- what is in the folder l would go through the link
    check.equal(os.remove("tree/l"), true)
end)
