-- SPDX-License-Identifier: MIT
-- The interfaces and disks of machines that go on from warm templates. Run by test_template_devices.sh with a cache of its own,
-- so that the first of a kind boots.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "?.lua;" .. package.path
local clones = require "clones"

local MEM, machines, boot_making, all_differ = clones.MEM, clones.machines, clones.boot_making, clones.all_differ

local function pings(from, to, size) return from:ok(("ping -c 1 -W 10 -s %d %s"):format(size or 56, to)) end

local function pings_both_ways(a, b, cable)
    check.is_true(pings(a, b:ip(cable)) and pings(b, a:ip(cable)), ("%s and %s"):format(a.name, b.name))
end

local function crash_all(list)
    for _, node in ipairs(list) do node:crash() end
end

local r, s = table.unpack(machines(2, "one"))
local first = link(r, s, { mtu = 1400 })

test("links come and go while a template is made and others wait for it", function()
    local list = machines(2, "early", { mem = "112M" })
    local a, b = list[1], list[2]
    local parting, staying = link(a, b), link(a, b)
    local booting = go(boot, list)
    local function await(node, state) eventually(60, function() return node.state == state end) end
    await(a, "booting")
    check.equal(b.state, "defined")
    local late = go(link, a, b)
    parting:remove()
    booting:join(120)
    local added = late:join(60)
    for _, cable in ipairs { staying, added } do pings_both_ways(a, b, cable) end
    check.equal(#a.nics, 2)
    for _, node in ipairs(list) do node:crash() end
    boot(list)
    for _, cable in ipairs { staying, added } do pings_both_ways(a, b, cable) end
    for _, node in ipairs(list) do node:crash() end
end)

test("one interface", function()
    boot_making(1, { r, s })
    all_differ({ r, s }, "cat /sys/class/net/eth0/address")
    for _, node in ipairs { r, s } do
        local shown = node:succeed("ip addr show dev " .. node:ifname(first))
        check.match(shown, node.nics[1].mac)
        check.match(shown, "mtu 1400")
        check.match(shown, "inet " .. node:ip(first):gsub("%.", "%%.") .. "/24 ")
    end
    pings_both_ways(r, s, first)
    check.is_true(pings(r, "one2", 1372))
    first:down()
    r:wait_until("[ $(cat /sys/class/net/eth0/carrier) = 0 ]", 20)
    first:up()
    check.is_true(pings(r, "one2"))
end)

test("interfaces that come and go on clones", function()
    local second = link(r, s)
    pings_both_ways(r, s, second)
    first:remove()
    eventually(30, function() return not r:ok("ls /sys/class/net/eth0") and not s:ok("ls /sys/class/net/eth0") end)
    pings_both_ways(r, s, second)
    local third, fourth = link(r, s), link(r, s)
    for _, cable in ipairs { second, third, fourth } do pings_both_ways(r, s, cable) end
    second:remove()
    third:remove()
    pings_both_ways(r, s, fourth)
    local again = link(r, s)
    pings_both_ways(r, s, again)
    fourth:remove()
    pings_both_ways(r, s, again)
    again:remove()
    check.equal(r:succeed("ls /sys/class/net"), "lo\n")
    r:crash()
    s:crash()
end)

-- Each cable is behind the interface that has its address.
local function check_cables(a, b, cables)
    for _, cable in ipairs(cables) do
        pings_both_ways(a, b, cable)
        local before = cable:stats().ab.delivered
        check.is_true(a:ok(("ping -c 3 -i 0.05 -I %s %s"):format(a:ifname(cable), b:ip(cable))))
        check.less(before + 2, cable:stats().ab.delivered)
    end
end

test("five interfaces, two processors, more memory; an interface that went and came", function()
    local list, cables = machines(2, "many", { cpus = 2, mem = "160M" }), {}
    for i = 1, 5 do cables[i] = link(list[1], list[2], { subnet = ("10.5%d.0.0/24"):format(i) }) end
    boot_making(1, list)
    for _, node in ipairs(list) do
        check.equal(node:succeed("nproc"), "2\n")
        check.is_true(node:ok("taskset 1 true && taskset 2 true"))
        check.less(110000, tonumber(node:succeed("grep MemTotal /proc/meminfo"):match("%d+")))
    end
    check_cables(list[1], list[2], cables)
    crash_all(list)
    cables[1]:remove()
    cables[1] = link(list[1], list[2], { subnet = "10.60.0.0/24" }) -- in its place, but behind the others
    boot(list)
    check_cables(list[1], list[2], cables)
    crash_all(list)
end)

test("what one writes to its disk, no other reads, nor is it in the image", function()
    local disk = os.tmpname()
    local function host(cmd) check.is_true(os.execute((cmd:gsub("%%s", disk))) == true, cmd) end
    host "truncate -s 16M %s && PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q %s"
    host "echo original | dd of=%s bs=1 seek=15M conv=notrunc status=none"
    host "sha256sum %s >%s.sum"
    local a, b = vm("diskA", { image = "tiny", mem = MEM, disk = disk }),
        vm("diskB", { image = "tiny", mem = MEM, disk = disk })
    local READ = "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=1M skip=15 count=1 2>/dev/null | head -n 1"
    boot_making(1, { a, b })
    for _, node in ipairs { a, b } do
        node:succeed("modprobe ext4; mkdir -p /mnt/d; mount /dev/vda /mnt/d")
        check.equal(node:succeed(READ), "original\n")
        node:succeed("hostname >/mnt/d/who; dd if=/dev/urandom of=/mnt/d/much bs=1M count=2 2>/dev/null; sync")
    end
    for _, node in ipairs { a, b } do
        check.equal(node:succeed("echo 3 >/proc/sys/vm/drop_caches; cat /mnt/d/who"), node.name .. "\n")
        check.equal(node:succeed(READ), "original\n")
    end
    all_differ({ a, b }, "sha256sum /mnt/d/much")
    host "sha256sum --status -c %s.sum"
    a:crash()
    boot_making(0, { a })
    check.equal(a:succeed("modprobe ext4; mkdir -p /mnt/d; mount /dev/vda /mnt/d; ls /mnt/d"), "lost+found\n")
    check.equal(b:succeed("cat /mnt/d/who"), "diskB\n")
    a:crash()
    b:crash()
    host "echo changed. | dd of=%s bs=1 seek=15M conv=notrunc status=none"
    boot_making(1, { a })
    check.equal(a:succeed(READ), "changed.\n")
    a:crash()
    host "rm -f %s %s.sum"
end)
