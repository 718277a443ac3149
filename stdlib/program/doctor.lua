-- SPDX-License-Identifier: MIT
-- qemunet doctor: what this host can do for experiments, and what to change. Each check tries the thing itself where that is
-- possible, and gives a finding: {name=, status="ok"|"warning"|"missing", text= what it means, advice= what to do, or nil}.
-- "missing" is what no experiment can do without.

local accelerator = require "qemunet.nodes.accelerator"
local boot = require "qemunet.nodes.boot"
local child = require "qemunet.ns3.child"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local nat = require "qemunet.network.nat"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"
local vm = require "qemunet.nodes.vm"

local doctor = {}

-- What a tiny machine of 256M takes, measured with QEMU 7.2: memory of its own when booted cold, and as a clone of a warm
-- template; descriptors in QEMU and in this process; threads.
local MEMORY_COLD, MEMORY_CLONE = 170 << 20, 43 << 20
local FILES_OF_QEMU, FILES_OURS, THREADS = 27, 14, 4
-- What the trial machine is given, and what the image with its kernel package takes while it is made.
local MEMORY_TRIAL, DISK_IMAGE = 128 << 20, 500 << 20
local QEMU_WANTED = { 7, 2 } -- the first with -netdev dgram, which links are made of

local function ok(name, words, advice) return { name = name, status = "ok", text = words, advice = advice } end
local function warning(name, words, advice) return { name = name, status = "warning", text = words, advice = advice } end
local function missing(name, words, advice) return { name = name, status = "missing", text = words, advice = advice } end

-- Reading the system --------------------------------------------------------------------------------------------------

local function read(path)
    local file <close> = io.open(path, "rb")
    return file and file:read("a")
end

local function setting(name) return tonumber(read("/proc/sys/" .. name:gsub("%.", "/")) or nil) end

local function is_root() return (read("/proc/self/status") or ""):match("\nUid:%s+%d+%s+(%d+)") == "0" end

-- A command for the administrator.
local function as_root(command) return is_root() and command or "sudo " .. command end

local function install(...) return as_root("apt-get install " .. table.concat({ ... }, " ")) end

local function find_program(name)
    for folder in (os.getenv("PATH") or "/usr/bin:/bin"):gmatch("[^:]+") do
        local kind, mode = core.stat(folder .. "/" .. name)
        if kind == "file" and mode & 73 ~= 0 then return folder .. "/" .. name end -- 0111: may be executed
    end
end

-- What a command prints, without the last newline.
local function output(command)
    local pipe <close> = assert(io.popen(command .. " 2>/dev/null"))
    return (pipe:read("a"):gsub("\n$", ""))
end

-- A limit of this process that may be raised up to; math.huge: unlimited.
local function limit(name)
    local hard = (read("/proc/self/limits") or ""):match(name .. " +%w+ +(%w+)")
    return tonumber(hard) or math.huge
end

local function size(bytes) return units.format_size(bytes) end

-- The checks ----------------------------------------------------------------------------------------------------------
-- Each takes what is known so far: {qemu=version text, image=whether there is one, kvm=, cache=path, private=}.

local checks = {}

function checks.processors()
    local facts = core.host_facts()
    local words = ("%d %s, Linux %s"):format(facts.cpus, facts.machine, facts.kernel)
    if facts.cpus > 1 then return ok("processors", words) end
    return warning("processors", words .. ": machines and packets share one, which shows in delays")
end

-- What a control group leaves of it, where there is one that counts (cgroup 2).
local function memory_of_group()
    local group = (read("/proc/self/cgroup") or ""):match("0::(/[^\n]*)")
    local folder = group and "/sys/fs/cgroup" .. group or ""
    local most, used = tonumber(read(folder .. "/memory.max") or ""), tonumber(read(folder .. "/memory.current") or "")
    return most and used and most - used or math.huge
end

function checks.memory()
    local available = (tonumber((read("/proc/meminfo") or ""):match("MemAvailable:%s+(%d+)")) or 0) * 1024
    available = math.min(available, memory_of_group())
    local words = ("%s available: some %d tiny machines booted cold, or %d from warm templates"):format(size(available),
        available // MEMORY_COLD, available // MEMORY_CLONE)
    if available >= 4 * MEMORY_COLD then return ok("memory", words) end
    local kind = available >= MEMORY_TRIAL and warning or missing
    return kind("memory", words, "end what else uses memory")
end

function checks.qemu(known)
    local version, why = core.qemu_version()
    if not version then return missing("QEMU", why, install "qemu-system-x86") end
    local major, minor = version:match("^(%d+)%.(%d+)")
    major, minor = tonumber(major), tonumber(minor)
    if major < QEMU_WANTED[1] or major == QEMU_WANTED[1] and minor < QEMU_WANTED[2] then
        return missing("QEMU", ("%s is too old: links need 7.2 or newer"):format(version), "use Debian 12 or newer")
    end
    known.qemu = version
    return ok("QEMU", version .. ": x86_64 machines, links, warm templates (x-ignore-shared)")
end

function checks.aarch64()
    if not find_program "qemu-system-aarch64" then
        return warning("QEMU aarch64", 'not installed: no machines with arch="aarch64"', install "qemu-system-arm")
    end
    local version = output("qemu-system-aarch64 --version"):match("version (%S+)")
    if version then return ok("QEMU aarch64", version .. ': machines with arch="aarch64", emulated') end
    return warning("QEMU aarch64", "qemu-system-aarch64 is there but does not run", install "--reinstall qemu-system-arm")
end

function checks.ns3()
    local path = child.find_program()
    if path then return ok("ns-3", path .. ": ns3{} joins nodes through a simulation") end
    return warning("ns-3", "this qemunet was built without it: no ns3{}", install("libns3-dev", "g++") .. ", and build it again")
end

function checks.cache(known)
    local folder, why = core.cache_folder()
    if not folder then
        return missing("cache folder", ("cannot be written to: %s; images and templates are kept there"):format(why),
            "set HOME or XDG_CACHE_HOME to a folder of yours")
    end
    known.cache = folder
    local free = core.disk_free(folder)
    local words = ("%s, %s free"):format(folder, size(free))
    if free >= 4 << 30 then return ok("cache folder", words) end
    return warning("cache folder", words .. ": too little for images and templates of any number",
        "set XDG_CACHE_HOME to a folder on a larger disk")
end

-- What makes the image: program, and its package.
local IMAGE_TOOLS = { { "apt-get", "apt" }, { "dpkg-deb", "dpkg" }, { "depmod", "kmod" }, { "cpio", "cpio" },
    { "busybox", "busybox-static" }, { "xz", "xz-utils" } }
local KERNEL = "linux-image-cloud-amd64"

local function packages_for_image()
    local packages = {}
    for _, tool in ipairs(IMAGE_TOOLS) do
        if not find_program(tool[1]) and not core.stat("/usr/sbin/" .. tool[1]) and not core.stat("/sbin/" .. tool[1]) then
            packages[#packages + 1] = tool[2]
        end
    end
    return packages
end

local function image_to_be_made(known)
    local packages = packages_for_image()
    if packages[1] then
        return missing("guest image", "not made yet, and cannot be: programs are missing", install(table.unpack(packages)))
    end
    if not output("LC_ALL=C apt-cache policy " .. KERNEL):find("Candidate: [^(]") then
        return missing("guest image", "not made yet, and cannot be: apt knows no " .. KERNEL, as_root "apt-get update")
    end
    if core.disk_free(known.cache) < DISK_IMAGE then
        return missing("guest image", "not made yet, and there is no room for it in the cache folder")
    end
    return warning("guest image", "not made yet: the first machine downloads a kernel package and makes it; until then " ..
        "nothing can be tried with a machine", "qemunet image build tiny, then qemunet doctor again")
end

local function has_tiny_image()
    for _, one in ipairs(core.images() or {}) do
        if one.recipe == "tiny" then return true end
    end
    return false
end

function checks.image(known)
    if not known.cache then return nil end
    if not has_tiny_image() then return image_to_be_made(known) end
    local image, why = core.tiny("x86_64") -- made anew if the recipe has changed
    if not image then return missing("guest image", "cannot be made: " .. text.tail(why, 1, "")) end
    known.image = true
    return ok("guest image", ("tiny, with kernel %s"):format(image.version))
end

-- mmdebstrap makes images of packages without root where it may map a range of users.
function checks.image_tools()
    if not find_program "mmdebstrap" then
        return warning("image tools", "no mmdebstrap: no images of Debian packages (qemunet image build NAME)",
            install "mmdebstrap")
    end
    if not find_program "mkfs.erofs" then
        return warning("image tools", "no mkfs.erofs: no images of Debian packages", install "erofs-utils")
    end
    if not is_root() and not find_program "newuidmap" then
        return warning("image tools", "no newuidmap: no images of Debian packages without root", install "uidmap")
    end
    return ok("image tools", "mmdebstrap: images of Debian packages")
end

local function kvm_does_not_open(why)
    local words = ("%s: machines are emulated (TCG), many times slower"):format(why)
    if why:find("Permission denied", 1, true) then
        return warning("KVM", words, as_root(("usermod -aG kvm %s, then log in again"):format(os.getenv("USER") or "USER")))
    end
    return warning("KVM", words, "switch virtualisation on in the firmware (in a virtual machine: nested virtualisation, in " ..
        "its host), and load kvm_intel or kvm_amd")
end

function checks.kvm(known)
    local device, why = io.open("/dev/kvm", "r+b")
    if not device then return kvm_does_not_open(why) end
    device:close()
    if not known.qemu or not known.image then
        return warning("KVM", "/dev/kvm opens, which proves nothing without QEMU and the guest image")
    end
    local kvm, problem, probed = core.accel("/dev/kvm")
    known.kvm = kvm
    local how = probed and "a guest was booted to find out" or "found out earlier since this host's boot"
    if kvm then return ok("KVM", ("proven: a guest under it reached its shell (%s)"):format(how)) end
    return warning("KVM", ("%s (%s): machines are emulated (TCG), many times slower"):format(problem or "?", how),
        "in a virtual machine there may be nothing to do: its host must nest well; elsewhere: dmesg | grep -i kvm")
end

-- netns.c and stack.c say what to do behind their reason.
local function split(why)
    local reason, advice = why:match("^(.-); set it with: (.*)$")
    if reason then return reason, as_root(advice) end
    reason, advice = why:match("^(.-) %(.*; as root: (.*)%)$")
    if reason then return reason, as_root(advice) end
    return why
end

function checks.namespaces(known)
    local works, why = core.try_user_namespace()
    if works then
        known.private = true
        return ok("namespaces",
            "an ordinary user may have a network namespace: runs are set apart from this host's network")
    end
    local reason, advice = split(why)
    if is_root() then
        known.private = true
        return warning("namespaces", reason .. ": only root's runs are set apart from this host's network", advice)
    end
    local queue = setting "net.unix.max_dgram_qlen" or 0
    local slow = queue >= 512 and "" or
        (", and links are slower (net.unix.max_dgram_qlen is %d, 512 is better)"):format(queue)
    return warning("namespaces", ("%s: hosts (host) are not possible%s; machines are"):format(reason, slow), advice)
end

function checks.tun(known)
    if not known.private then
        return warning("/dev/net/tun", "cannot be tried without a namespace; hosts (host) need both")
    end
    local works, why = core.try_tap()
    if works then return ok("/dev/net/tun", "makes taps: hosts (host) have networks") end
    local reason, advice = split(why)
    return warning("/dev/net/tun", reason .. ": hosts (host) cannot have interfaces; machines can", advice)
end

function checks.files()
    local most = limit "Max open files"
    if most < FILES_OF_QEMU + 100 then
        return warning("open files", ("at most %d: QEMU needs some %d"):format(most, FILES_OF_QEMU),
            "ulimit -Hn 20000 (as root)")
    end
    local machines = math.min((most - 100) // FILES_OURS, (setting "fs.file-max" or math.huge) // FILES_OF_QEMU)
    return ok("open files", ("at most %.0f a process: some %.0f machines"):format(most, machines))
end

function checks.processes()
    local most = math.min(limit "Max processes", setting "kernel.pid_max" or math.huge,
        setting "kernel.threads-max" or math.huge)
    local machines = most // THREADS
    local words = ("at most %d, threads too: some %d machines"):format(most, machines)
    if machines >= 100 then return ok("processes", words) end
    return warning("processes", words, "ulimit -Hu 100000 (as root), sysctl kernel.pid_max=4194304")
end

-- The trial -----------------------------------------------------------------------------------------------------------

local function try_machine(known)
    accelerator.default = known.kvm and "kvm" or "tcg"
    local v = vm.vm("doctor", { mem = MEMORY_TRIAL })
    vm.find_images()
    nat.prepare()
    core.isolate()
    local way_out = nat.nat(v)
    local began = core.now()
    boot.boot(v)
    local took = core.now() - began
    return took, v:run("ping -c 1 -W 5 " .. way_out.gateway).ok
end

-- One line of what an error says, without the place in our own files.
local function first_line(err) return (tostring(err):match("[^\n]*"):gsub("^[%w/_.-]+:%d+: ", "")) end

function checks.machine(known)
    if not known.qemu or not known.image then return nil end
    local done <close> = setmetatable({}, { __close = function()
        tasks.end_all()
        testbed.teardown()
    end })
    core.set_seed(1)
    local worked, took, answered = xpcall(try_machine, function(err) return { err = err } end, known)
    if not worked then
        local err = took.err
        if err == errors.CANCEL then errors.again(err) end
        return missing("machine", first_line(err), "see above; qemunet run -v with a script of one vm tells more")
    end
    local machine = ok("machine", ("one booted under %s and took commands after %.1f s"):format(known.kvm and "KVM" or "TCG",
        took))
    if answered then return { machine, ok("nat", "its packets went through a link to libslirp and back") } end
    return { machine, warning("nat", "nothing came back from the router behind its link: nat(node) does not work") }
end

-- The report ----------------------------------------------------------------------------------------------------------

local ORDER = { "processors", "memory", "files", "processes", "qemu", "aarch64", "ns3", "cache", "image", "image_tools", "kvm",
    "namespaces", "tun", "machine" }

--- Does all checks. Returns the findings, in order.
function doctor.examine()
    local findings, known = {}, {}
    for _, name in ipairs(ORDER) do
        local found = checks[name](known) or {}
        for _, finding in ipairs(found.name and { found } or found) do findings[#findings + 1] = finding end
    end
    return findings
end

local WIDTH, NAME_AT, TEXT_AT = 80, 10, 25

-- Breaks words into lines that fit behind the columns.
local function wrapped(words)
    local lines, line = {}, ""
    for word in words:gmatch("%S+") do
        if line ~= "" and text.width(line) + 1 + text.width(word) > WIDTH - TEXT_AT then
            lines[#lines + 1], line = line, ""
        end
        line = line == "" and word or line .. " " .. word
    end
    lines[#lines + 1] = line
    return lines
end

local function show(finding)
    local head = ("%%-%ds%%-%ds"):format(NAME_AT, TEXT_AT - NAME_AT):format(finding.status, finding.name)
    local margin, out = (" "):rep(TEXT_AT), {}
    for i, line in ipairs(wrapped(finding.text)) do out[i] = (i == 1 and head or margin) .. line end
    if finding.advice then
        for i, line in ipairs(wrapped(finding.advice)) do
            out[#out + 1] = margin:sub(4) .. (i == 1 and "-> " or "   ") .. line
        end
    end
    return table.concat(out, "\n") .. "\n"
end

local function count(findings, status)
    local n = 0
    for _, finding in ipairs(findings) do n = n + (finding.status == status and 1 or 0) end
    return n
end

local function verdict(findings)
    local lacking, warnings = count(findings, "missing"), count(findings, "warning")
    if lacking > 0 then return ("experiments cannot run: %s missing"):format(text.count(lacking, "essential thing")) end
    return "experiments can run" .. (warnings > 0 and ", with " .. text.count(warnings, "warning") or "")
end

--- Examines, and prints what was found, as text for people or as JSON. Returns whether experiments can run.
function doctor.report(as_json)
    local findings = doctor.examine()
    local fit = count(findings, "missing") == 0
    if as_json then
        core.print(core.json_encode({ version = core.VERSION, can_run = fit, findings = findings }, true) .. "\n")
        return fit
    end
    for _, finding in ipairs(findings) do core.print(show(finding)) end
    core.print(("\n%s (checked in %.1f s)\n"):format(verdict(findings), core.now()))
    return fit
end

return doctor
