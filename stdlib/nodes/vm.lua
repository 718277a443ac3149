-- SPDX-License-Identifier: MIT
-- QEMU virtual machines: vm, vms.

local computer = require "qemunet.nodes.computer"
local console = require "qemunet.nodes.console"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local image = require "qemunet.nodes.image"
local job = require "qemunet.nodes.job"
local login = require "qemunet.nodes.login"
local nic = require "qemunet.nodes.nic"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local qmp = require "qemunet.nodes.qmp"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local vm = {}

-- What a kernel of ours is told. norandmaps: address-space randomisation makes QEMU's translator start over at each exec
-- (measured with bash: 50 ms, without 8 ms). no_timer_check: on a machine that is short of processors the kernel finds its
-- timer too slow and panics ("IO-APIC + timer doesn't work", 1 of 20 booted at once). cryptomgr.notests: without the kernel's
-- tests of ciphers a cold boot takes 2.09 s of processor time, not 2.35 s. nokaslr: a kernel at its usual place leaves 23
-- MB untouched (medians of 12 boots in turn). panic=-1: a panicked guest ends at once instead of hanging. No difference beyond
-- the noise of 5 boots: mitigations=off, transparent_hugepage=never, tsc=reliable, lpj=, nohz=off, init_on_alloc=0, audit=0,
-- QEMU's tb-size.
local APPEND = "console=ttyS0 quiet panic=-1"
local APPEND_TCG = " norandmaps nokaslr no_timer_check cryptomgr.notests"

-- A cold boot took 2.1 to 2.7 s of processor time under TCG; many may share few cores.
local BOOT_TIMEOUT, BOOT_TIMEOUT_EACH = 60, 6
-- A distribution's own system: Debian 12 took 35 to 60 s from power-on to its log-in under TCG.
local BOOT_TIMEOUT_SYSTEM = 180
-- How long before the machine's own deadline its log-in gives up, so that the error says at which step.
local LOGIN_MARGIN = 5

local OPTIONS = {
    image = { type = { "string", "table" }, default = "tiny" },
    mem = { type = "size", default = 256 << 20, min = 1 << 20 },
    cpus = { type = "integer", default = 1, min = 1, max = 64 },
    accel = { type = "string", choices = { "auto", "kvm", "tcg" } },
    template = { type = "boolean" },
    kernel = { type = "string" },
    initrd = { type = "string" },
    append = { type = "string" },
    disk = { type = "string" },
    persistent = { type = "boolean" },
    user = { type = "string" },
    password = { type = "string" },
    prompt = { type = { "string", "table" } },
    files = { type = "table" },
    setup = { type = "table" },
    qemu = { type = "table" },
    boot_timeout = { type = "duration" },
}

vm.accel = "auto" -- set by --accel
vm.prepare = function() end -- called before each machine or link is made; set by the run

local VM = {}
local class = computer.class("vm", VM)

local machine_states = { booting = "booting", up = "booting", paused = "paused", down = "down", reset = "down",
    panicked = "panicked", crashed = "crashed" }

local accel_found -- {kvm=} once "auto" was looked up

local function find_accel()
    if accel_found then return accel_found.kvm end
    local qemu, missing = core.qemu_version()
    if not qemu then errors.machinery(missing) end
    local kvm, why = core.accel("/dev/kvm")
    if kvm == nil then errors.machinery("cannot find out whether KVM works: " .. why) end
    accel_found = { kvm = kvm }
    core.event { t = core.now(), kind = "accel", kvm = kvm, why = why }
    core.log(0, kvm and "accelerator: KVM" or ("accelerator: TCG, software emulation (%s)"):format(why))
    return kvm
end

local function wants_kvm(self)
    local accel = self.opts.accel or vm.accel
    if accel == "auto" then return find_accel() end
    return accel == "kvm"
end

--- What a run records of the accelerator: "kvm", "tcg" or nil when no machine has asked.
function vm.accel_used() return accel_found and (accel_found.kvm and "kvm" or "tcg") or vm.accel ~= "auto" and vm.accel or nil end

-- Of these, only a guest that is logged in to makes use.
local LOGIN_OPTIONS = { "user", "password", "prompt" }

local function check_disk(name, checked, prepared, level)
    for _, option in ipairs(LOGIN_OPTIONS) do
        if checked[option] and prepared then
            local text = "vm %s: %s= is for a guest that is logged in to (disk= or kernel=); the %s guest needs no log-in"
            error(text:format(name, option, prepared.name), level + 1)
        end
    end
    login.check(checked, "vm " .. name, level + 1)
    if checked.persistent and not checked.disk then error(("vm %s: persistent= goes with disk="):format(name), level + 1) end
    if not checked.disk then return end
    local kind, why = core.stat(checked.disk)
    if not kind then error(("vm %s: disk %s: %s"):format(name, checked.disk, why), level + 1) end
    if kind == "folder" then error(("vm %s: disk %s is a folder"):format(name, checked.disk), level + 1) end
end

-- The image that boots, or nil for a guest that nothing is known of; checked.disk is set for another's disk.
local function image_of(name, opts, checked, level)
    local found = image.find(checked.image, "vm", level + 1)
    if opts.image and found.name ~= "tiny" and (checked.kernel or found.path and checked.disk) then
        error(("vm %s: image= goes with neither kernel= nor a second disk="):format(name), level + 1)
    end
    if found.path then checked.disk = found.path end
    if found.path or checked.kernel or checked.disk and not opts.image then return nil end
    return found
end

local function declare(name, opts, level)
    local checked = options.check(opts, OPTIONS, "vm", level + 1)
    local prepared = image_of(name, opts, checked, level + 1)
    check_disk(name, checked, prepared, level + 1)
    if prepared and checked.mem < prepared.minimum then
        error(("vm %s: mem %s is too small: the %s guest needs at least %s to boot"):format(name,
            units.format_size(checked.mem), prepared.name, units.format_size(prepared.minimum)), level + 1)
    end
    local self = computer.add(class, name, checked, { image = prepared or false, parting = {}, gone = {} })
    self.console = console.new(self, function() return vm.console_path and vm.console_path(name) end)
    return self
end

--- vm(name, opts): declares a virtual machine; it boots on boot() or at its first use.
--- opts: image="tiny", or what image{} has returned or its name, or one that was built on the command line, or the path of
--- another's disk image; mem="256M", cpus=1, accel="auto"|"kvm"|"tcg", kernel=, initrd=, append= (added to the kernel's
--- command line; the word "randmaps" in it is ours: address-space randomisation under TCG too), disk=path of an image to
--- boot from, which is written to only if persistent=true (with kernel= or an image of ours a disk beside it), user="root",
--- password=, prompt= for its log-in at the serial console (see login), files={[guest_path]=host_path},
--- setup={"command", ...} run after each boot, qemu={extra arguments}, boot_timeout="60s".
vm.vm = computer.declaring("vm", declare)

--- vms(n, "node%d", opts): declares n of them; their names are the format with 1 to n. Returns an array.
vm.vms = computer.declaring_many("vm", "machines", "node%d", declare)

-- Booting ------------------------------------------------------------------------------------------------------------

--- Whether a value is a machine.
function vm.is(v) return getmetatable(v) == class end

--- Finds the tiny image, which builds it at its first use on this machine. `advice`: what else to say if it cannot be.
function vm.find_image(advice)
    local tiny, why = core.tiny()
    if not tiny then errors.machinery(("cannot build the tiny guest image: %s%s"):format(why, advice or "")) end
    vm.kernel_version = tiny.version
end

-- Kernel, initramfs, the machine's own command line of the kernel, and the shared root.
local function kernel_of(self)
    local opts = self.opts
    if opts.kernel then return opts.kernel, opts.initrd, opts.append end
    if not self.image then return end
    local files = self.image:files()
    return files.kernel, opts.initrd or files.initrd, nil, files.root
end

-- The formats that QEMU would find by itself, but a raw image can have any first bytes, by its guest's will.
local MAGIC = { ["QFI\xfb"] = "qcow2", ["KDMV"] = "vmdk", ["vhdx"] = "vhdx" }

local function disk_format(path)
    local file <close> = assert(io.open(path, "rb"))
    return MAGIC[file:read(4)] or "raw"
end

-- The kernel knows only how to switch the randomisation off.
local function with_randomisation(text, extra)
    local rest, found = (" " .. extra .. " "):gsub("%srandmaps%f[%s]", "")
    if found == 0 then return text .. " " .. extra end
    return text:gsub(" norandmaps", "") .. rest
end

local function append_of(self, kvm, own)
    if own or not (self.image or self.opts.kernel) then return own end
    local text = APPEND .. (kvm and "" or APPEND_TCG)
    if self.opts.disk and self.opts.kernel and not self.opts.initrd then text = text .. " root=/dev/vda rw" end
    return self.opts.append and with_randomisation(text, self.opts.append) or text
end

local function on_machine_state(self, machine, state, why)
    if self.machine ~= machine then return end
    if state == "up" and self.state == "booting" then
        self.shell_up:set(true)
    elseif state == "up" then
        computer.set_state(self, "up")
    else
        self.why = why
        if state == "paused" or state == "booting" then return computer.set_state(self, machine_states[state], why) end
        nic.desert_all(self)
        computer.has_ended(self, machine_states[state], why)
        self.shell_up:set(false)
        self.console.stream:finish("the machine is " .. self.state)
        if self.line then self.line:close(("vm %s is %s: %s"):format(self.name, self.state, why or "")) end
    end
end

local function on_event(self, name, data)
    core.event { t = core.now(), kind = "qmp", node = self.name, event = name, data = data }
    nic.on_event(self, name, data)
end

-- Whether it is up only when an init of its own has started services.
local function boots_services(self) return not self.image or self.image:files().system end

-- The boots under way share the processor, and so the patience with each grows with their number.
local function boot_timeout(self)
    local alone = boots_services(self) and BOOT_TIMEOUT_SYSTEM or BOOT_TIMEOUT
    return self.opts.boot_timeout or alone + BOOT_TIMEOUT_EACH * computer.booting
end

-- What carries commands is not for the console's readers.
local function on_console(self, data)
    if self.watcher then self.watcher(data) end
    if not self.line then self.console.stream:feed(data) end
end

local function start_machine(self)
    vm.prepare()
    local kvm = wants_kvm(self)
    local kernel, initrd, own_append, root = kernel_of(self)
    if self.machine then self.machine:close() end
    self.machine, self.why, self.expected_end, self.not_root = nil, nil, false, false
    self.shell_up, self.ended = core.future(), core.future()
    self.console.stream:restart()
    self.line, self.watcher = false, false
    local disk = self.opts.disk
    local machine, why
    machine, why = core.machine {
        name = self.name, kernel = kernel, initrd = initrd, append = append_of(self, kvm, own_append),
        disk = disk, disk_format = disk and disk_format(disk), disk_writable = self.opts.persistent, root = root,
        memory = self.opts.mem, cpus = self.opts.cpus, kvm = kvm, nics = nic.take_all(self),
        extra = self.opts.qemu, console_log = vm.console_path and vm.console_path(self.name),
        boot_timeout = boot_timeout(self),
        on_state = function(state, reason) on_machine_state(self, machine, state, reason) end,
        on_event = function(name, data) on_event(self, name, data) end,
        on_console = function(data) on_console(self, data) end,
    }
    if not machine then errors.machinery(("vm %s: cannot start: %s"):format(self.name, why)) end
    self.machine = machine
    computer.set_state(self, "booting")
end

local NOT_ROOT = "not root"

-- A shell script that gives the guest its name, addresses and hosts file, and prints the name of each interface of the list.
local function configuration(self, nics)
    local hosts = ("printf %%s %s >/etc/hosts"):format(node.quote(testbed.hosts_of(self)))
    local lines = { ("hostname %s 2>/dev/null || echo %s >/proc/sys/kernel/hostname"):format(self.name, self.name) }
    if self.image then
        lines[2] = hosts
    else
        table.insert(lines, 1, ('[ "$(id -u)" = 0 ] || { echo %s; exit 0; }'):format(NOT_ROOT))
        lines[3] = ("{ %s; } 2>/dev/null || :"):format(hosts) -- which may be read-only there
    end
    return "set -e; " .. table.concat(lines, "; ") .. "\n" .. nic.script(nics)
end

local function configure(self)
    local nics = nic.plugged(self)
    local names = computer.internal(self, configuration(self, nics), "the configuration of its network")
    self.not_root = names == NOT_ROOT .. "\n"
    if self.not_root then
        return core.log(0, ("%s: the user logged in is not root: the name and addresses are left as they are"):format(self.name))
    end
    local i = 0
    for name in names:gmatch("[^\n]+") do
        i = i + 1
        nics[i].ifname = name
    end
    for _, one in ipairs(nics) do
        if not one.link.is_up and not one.link.removed then one.link:carrier(one, false) end
    end
end

-- Until commands can be given; a guest that is not ours may have to be logged in to for that.
local function await_shell(self)
    local entry
    if not self.image then
        entry = login.enter(self, core.now() + math.max(boot_timeout(self) - LOGIN_MARGIN, 0))
        core.wait { self.shell_up, entry.done }
        if not self.shell_up:is_set() and entry.problem then
            self:crash()
            self.why = entry.problem
            computer.boot_failed(self)
        end
    end
    core.wait { self.shell_up }
    if entry then entry:cancel() end
    if not self.shell_up:values() then computer.boot_failed(self) end
end

--- Starts it; returns when it is configured.
function VM:power_on()
    start_machine(self)
    await_shell(self)
    self.hosts_known = testbed.hosts_of(self)
    configure(self)
    local setup = self.image and self.image.setup or {}
    for _, cmd in ipairs(setup) do computer.internal(self, cmd, "its image's setup command") end
end

-- Writes the guest's hosts file, again as long as there is news.
local function write_hosts(self)
    repeat
        local text = self.hosts_known
        local running = job.start(self, self:commander(), { cmd = "update /etc/hosts", timeout = 60, max_output = 1 << 16,
            text = ("printf %%s %s >/etc/hosts"):format(node.quote(text)) })
        core.wait { running.done }
    until self.hosts_known == text
    self.hosts_task = false
end

--- Has a running guest know of names that came later. Returns the task that tells it, or nothing when it knows.
function VM:update_hosts(text)
    if self.hosts_known ~= text then
        self.hosts_known = text
        self.hosts_task = self.hosts_task or tasks.detach(write_hosts, self)
    end
    return self.hosts_task or nil
end

-- Methods ------------------------------------------------------------------------------------------------------------

--- What takes commands: the machine, or the line over its console.
function VM:commander() return self.line or self.machine end

function VM:console_tail() return self.machine and self.machine:console_tail() or "" end

--- Asks the guest to power itself off.
function VM:power_off() self.machine:poweroff() end

local function control(self, command, wanted)
    if self.state ~= "up" and self.state ~= "paused" then
        return nil, ("vm %s is %s"):format(self.name, self.state), "state"
    end
    local err = qmp.command(self, command)
    while not err and self.state ~= wanted and not self.ended:is_set() do
        if not core.wait({ self.changed }, 10) then err = "its state did not change" end
    end
    if err then return nil, ("vm %s: %s: %s"):format(self.name, command, err), "qmp" end
    return true
end

--- v:pause(): stops its processors.
function VM:pause()
    errors.check_colon(vm.is(self), "pause", "vm")
    return control(self, "stop", "paused")
end

--- v:resume(): lets them go on.
function VM:resume()
    errors.check_colon(vm.is(self), "resume", "vm")
    return control(self, "cont", "up")
end

--- Plugs a network interface's cable in or out, as the guest sees it. Returns nil, or why it failed.
function VM:set_carrier(one, up) return nic.set_carrier(one, up) end

--- See nic for these three.
function VM:add_nic(link, subnet)
    vm.prepare()
    local added = nic.add(self, link, subnet)
    return added
end

function VM:plug(one) return nic.plug(one) end

function VM:remove_nic(one) return nic.remove(one) end

--- Gives everything back.
function VM:close()
    if self.machine then self.machine:close() end
    nic.release_all(self)
    if self.ended and not self.ended:is_set() then self.ended:set("down") end
    self.machine, self.nics, self.state = nil, {}, "down"
end

-- Fields that are nil until they are set; a class has no unknown ones.
for _, field in ipairs { "shell_up", "hosts_task", "line", "not_root", "watcher" } do
    VM[field] = false
end

return vm
