-- SPDX-License-Identifier: MIT
-- cloud_init=: run by test_seed.sh, which makes what QEMUNET_TEST_KERNEL and QEMUNET_TEST_INITRD name (a guest with a getty,
-- and a rc that runs the hook in vendor-data).

local kernel, initrd = os.getenv "QEMUNET_TEST_KERNEL", os.getenv "QEMUNET_TEST_INITRD"

local function hooked(name, cloud_init, opts)
    local all = { kernel = kernel, initrd = initrd, mem = "128M", cloud_init = cloud_init }
    for key, value in pairs(opts or {}) do all[key] = value end
    return vm(name, all)
end

local seen = vm("seen", { mem = "128M",
    cloud_init = { user_data = "#!/bin/sh\necho hi\n", meta_data = { zone = "z1" } } })
local hook = hooked("hooked", { user_data = { runcmd = { "echo 'ran'" } }, network_config = { version = 2 } },
    { password = "it's 1 %s" })
link(seen, hook, { delay = "1ms" })
boot(seen, hook)

test("a volume with the label CIDATA holds the files", function()
    seen:succeed("modprobe -a isofs; mount -t iso9660 -o ro $(findfs LABEL=CIDATA) /mnt")
    check.equal(seen:succeed("ls /mnt"), "meta-data\nnetwork-config\nuser-data\nvendor-data\n")
    check.equal(seen:read("/mnt/user-data"), "#!/bin/sh\necho hi\n")
    check.equal(seen:read("/mnt/network-config"), "config: disabled\n")
    local meta = json.decode(seen:read("/mnt/meta-data"))
    check.equal({ meta["local-hostname"], meta.zone, meta.dsmode }, { "seen", "z1", "local" })
    check.match(meta["instance-id"], "^qemunet%-seen%-%x+$")
    check.is_true(seen:ok("sh -n /mnt/vendor-data"))
    check.is_true(not seen:ok("mount -o remount,rw /mnt && touch /mnt/x"), "it can be written to")
end)

test("the hook of vendor-data takes the place of a log-in", function()
    check.equal(hook:succeed("hostname; cat /run/asked"), "hooked\nstatus --long result.json\n")
    check.match(hook:succeed("ping -c 1 seen"), "1 packets received")
    local config, rest = hook:read("/mnt/user-data"):match("^(#cloud%-config\n)(.*)$")
    check.is_true(config ~= nil)
    check.equal(json.decode(rest).runcmd[1], "echo 'ran'")
    check.equal(json.decode(hook:read("/mnt/network-config")), { version = 2 })
    check.is_nil(json.decode(hook:read("/mnt/meta-data")).dsmode)
end)

test("nothing waits for a network, unless the script has cloud-init configure it", function()
    check.equal(seen:succeed("grep -c 'mask.*networkd-wait-online' /mnt/vendor-data"), "1\n")
    check.equal(hook:run("grep -c wait-online /mnt/vendor-data").stdout, "0\n")
end)

test("password= becomes root's", function()
    check.equal(hook:read("/run/passwords"), "root:it's 1 %s\n")
end)

test("what cannot work is refused", function()
    local n = 0
    local function refused(opts, why)
        n = n + 1
        check.raises(function() hooked("bad" .. n, opts.cloud_init, opts) end, why)
    end
    refused({ cloud_init = { user_data = "runcmd: [x]" } }, "bad1: cloud_init: user_data: .*does not begin with")
    refused({ cloud_init = { userdata = "" } }, 'cloud_init: unknown option "userdata"; did you mean "user_data"')
    refused({ cloud_init = { meta_data = { x = print } } }, "cloud_init: meta_data: ")
    refused({ cloud_init = true, user = "x" }, "cloud_init: user= is for a log%-in")
    refused({ cloud_init = "yes" }, "cloud_init: bad value")
end)
