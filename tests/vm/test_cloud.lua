-- SPDX-License-Identifier: MIT
-- A vendor's disk image with systemd, unmodified: configured by its cloud-init, and by log-in at its serial console; booted,
-- and gone on with from templates. Run by test_seed.sh when QEMUNET_TEST_CLOUD names the folder of such a system, which
-- cloud_image.sh makes. It boots four times.

local folder = os.getenv "QEMUNET_TEST_CLOUD"
local BOOT_TIMEOUT = "15m"
defaults.timeout = 300

-- A machine with that system. `append`: for its kernel's command line.
local function guest(name, opts, append)
    local all = { disk = folder .. "/disk.img", kernel = folder .. "/kernel", initrd = folder .. "/initrd", mem = "512M",
        append = "console=ttyS0 root=/dev/vda rw norandmaps " .. (append or ""), boot_timeout = BOOT_TIMEOUT }
    for key, value in pairs(opts) do all[key] = value end
    return vm(name, all)
end

local function configured(name, opts)
    local all = { password = "it's 1", cloud_init = { user_data = {
        locale = "C.UTF-8",
        write_files = { { path = "/root/written", content = "by cloud-init\n" } },
        bootcmd = { "echo booted >>/root/booted" },
        runcmd = { "echo ran >>/root/ran" },
    } } }
    for key, value in pairs(opts or {}) do all[key] = value end
    return guest(name, all)
end

local function check_services(n)
    check.equal(n:succeed("systemctl is-system-running; systemctl is-active ssh"), "running\nactive\n")
    n:succeed("logger of-the-test; until journalctl -q -n 100 | grep -q of-the-test; do sleep 0.2; done", { timeout = 60 })
    check.match(n:succeed("journalctl -b -u ssh"), "Server listening")
    check.match(n:succeed("ip -br addr show dev " .. n:ifname()), n:ip():gsub("%.", "%%."))
end

local other = vm("other")
local place = switch("place")
link(other, place)

local function check_reached(n)
    check.match(other:succeed("ping -c 1 -W 20 " .. n.name), "1 packets received")
    check.match(other:succeed(("nc %s 22 </dev/null | head -n 1"):format(n.name)), "^SSH%-2%.0")
    check.match(n:read("/etc/hosts"), other:ip():gsub("%.", "%%.") .. " other")
end

test("cloud-init does what it is told, and the machine is one of ours", function()
    local n = configured("real")
    link(n, place)
    boot(n, other)
    local function check_all()
        check.equal(n:succeed("hostname; cat /root/written /root/ran /root/booted; cloud-id"),
            "real\nby cloud-init\nran\nbooted\nnocloud\n")
        check.match(n:succeed("cloud-init status"), "done")
        check.match(n:succeed("grep ^root: /etc/shadow"), "^root:%$")
        check.match(n:succeed("systemctl is-enabled systemd-networkd-wait-online || :"), "^masked%-runtime")
        check_services(n)
        check_reached(n)
    end
    check_all()
    local id, machine_id = n:succeed("cat /var/lib/cloud/data/instance-id"), n:read("/etc/machine-id")
    n:reboot()
    check_all() -- from its template: it has still run once
    check.equal(n:succeed("cat /var/lib/cloud/data/instance-id"), id)
    check.not_equal(n:read("/etc/machine-id"), machine_id)
end)

test("on a disk that is written to, cloud-init knows at its second boot that it has been there", function()
    local disk = folder .. "/own.img"
    assert(os.execute(("cp --sparse=always '%s/disk.img' '%s'"):format(folder, disk)))
    local n = configured("kept", { disk = disk, persistent = true })
    link(n, place)
    boot(n)
    local machine_id = n:read("/etc/machine-id")
    check.is_true(n:shutdown("5m"))
    boot(n)
    check.equal(n:succeed("hostname; cat /root/ran /root/booted"), "kept\nran\nbooted\nbooted\n")
    check.equal(n:read("/etc/machine-id"), machine_id)
    check_services(n)
    check_reached(n)
    os.remove(disk)
end)

test("with a log-in: machines go on from the first one's template, two at once, each with a disk of its own", function()
    local all = {}
    for i = 1, 3 do
        all[i] = guest("disk" .. i, { password = "secret" }, "cloud-init=disabled")
        link(all[i], place)
    end
    boot(all[1])
    all[1]:succeed("echo first >/root/first; sync")
    boot(all[2], all[3])
    check.equal(all[2]:succeed("cat /proc/sys/kernel/random/boot_id"), all[3]:succeed("cat /proc/sys/kernel/random/boot_id"))
    for _, n in ipairs(all) do
        check.equal(n:succeed("hostname; ls /root"), n.name .. (n == all[1] and "\nfirst\n" or "\n"))
        n:succeed("hostname >/root/own; sync; echo 3 >/proc/sys/vm/drop_caches")
    end
    for _, n in ipairs(all) do
        check.equal(n:read("/root/own"), n.name .. "\n")
        check_services(n)
        check_reached(n)
    end
    check.match(all[2]:succeed("ping -c 1 disk3"), "1 received")
end)
