-- SPDX-License-Identifier: MIT
-- QEMU virtual machines: vm, vms.

local accelerator = require "qemunet.nodes.accelerator"
local arch = require "qemunet.nodes.arch"
local computer = require "qemunet.nodes.computer"
local console = require "qemunet.nodes.console"
local core = require "qemunet.core"
local disk = require "qemunet.nodes.disk"
local errors = require "qemunet.errors"
local excerpt = require "qemunet.record.excerpt"
local identity = require "qemunet.nodes.identity"
local image = require "qemunet.nodes.image"
local inspect = require "qemunet.inspect"
local job = require "qemunet.nodes.job"
local kernel = require "qemunet.nodes.kernel"
local login = require "qemunet.nodes.login"
local nic = require "qemunet.nodes.nic"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local paths = require "qemunet.paths"
local qemu_options = require "qemunet.nodes.qemu_options"
local qmp = require "qemunet.nodes.qmp"
local seed = require "qemunet.nodes.seed"
local tasks = require "qemunet.tasks"
local template = require "qemunet.nodes.template"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local vm = {}

-- A cold boot took 2.1 to 2.7 s of processor time under TCG; many may share few cores.
local BOOT_TIMEOUT, BOOT_TIMEOUT_EACH = 60, 6
-- A distribution's own system: Debian 12 took 35 to 60 s from power-on to its log-in under TCG.
local BOOT_TIMEOUT_SYSTEM = 180
-- How long before the machine's own deadline its log-in gives up, so that the error says at which step.
local LOGIN_MARGIN = 5

local TICKS = 100 -- of /proc, in a second, on every Linux

local OPTIONS = options.register({
    image = { type = { "string", "table" }, default = "tiny" },
    mem = { type = "size", default = 256 << 20, min = 1 },
    cpus = { type = "integer", default = 1, min = 1, max = 64 },
    arch = { type = "string", default = "x86_64", choices = arch.NAMES },
    accel = { type = "string", choices = { "auto", "kvm", "tcg" } },
    template = { type = "boolean" },
    kernel = { type = "string" },
    initrd = { type = "string" },
    append = { type = "string" },
    disk = { type = "string" },
    persistent = { type = "boolean" },
    user = { type = "string" },
    password = { type = "string" },
    prompt = { type = { "string", "table" }, of = login.PROMPT_OPTIONS },
    cloud_init = { type = { "boolean", "table" }, of = seed.OPTIONS },
    files = { type = "table" },
    setup = { type = "table" },
    qemu = { type = "table" },
    boot_timeout = { type = "duration" },
}, "vm", "vms")

vm.templates = true -- set to false by --no-templates
vm.prepare = function() end -- called before each machine or link is made; set by the run

--- class vm: a virtual machine; what vm() returns. It has all that a node has, and:
-- @field console console  its serial console
local VM = {}
local class = computer.class("vm", VM)

local machine_states = { booting = "booting", up = "booting", paused = "paused", down = "down", reset = "down",
    panicked = "panicked", crashed = "crashed" }

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
    if not checked.disk then
        if checked.persistent then error(("vm %s: persistent= goes with disk="):format(name), level + 1) end
        return
    end
    if checked.persistent and checked.template then
        error(("vm %s: a machine with persistent=true has no template: its disk changes"):format(name), level + 1)
    end
    checked.disk = disk.check(checked.disk, "vm " .. name, level + 1)
end

-- The image that boots, or nil for a guest that nothing is known of; checked.disk is set for another's disk.
local function image_of(name, opts, checked, level)
    local found = image.find(checked.image, "vm", level + 1)
    if opts.image and found.name ~= "tiny" and (checked.kernel or found.path and checked.disk) then
        error(("vm %s: image= goes with neither kernel= nor a second disk="):format(name), level + 1)
    end
    found = image.of_arch(found, checked.arch, "vm " .. name, level + 1)
    if found.path then checked.disk = found.path end
    if found.path or checked.kernel or checked.disk and not opts.image then return nil end
    return found
end

local declared = {} -- architectures, in this experiment
testbed.on_end(function() declared = {} end)

local function declare(name, opts, level)
    local checked = options.check(opts, OPTIONS, "vm", level + 1)
    if checked.mem < 1 << 20 then
        error(('vm %s: mem: %d bytes; did you mean "%dM"?'):format(name, checked.mem, checked.mem), level + 1)
    end
    local prepared = image_of(name, opts, checked, level + 1)
    check_disk(name, checked, prepared, level + 1)
    if checked.persistent then disk.to_write(checked.disk, "vm " .. name) end
    qemu_options.checked(checked.qemu, "vm " .. name)
    arch.check(name, checked, prepared, level + 1)
    computer.check_configuration("vm " .. name, checked, level + 1)
    if prepared and checked.mem < prepared.minimum then
        error(("vm %s: mem %s is too small: the %s guest needs at least %s to boot"):format(name,
            units.format_size(checked.mem), prepared.name, units.format_size(prepared.minimum)), level + 1)
    end
    local self = computer.add(class, name, checked, { image = prepared or false, parting = {}, gone = {},
        seed = seed.check(checked, name, level + 1) })
    declared[checked.arch] = true
    self.console = console.new(self, function() return vm.console_path and vm.console_path(name) end)
    return self
end

--- vm(name, opts) or vm{ name, ... } -> vm: declares a QEMU virtual machine; it boots on boot() or at its first use.
-- @param name  its name, and its host name: letters, digits and "-", a letter first, at most 63
-- @option image  "tiny", what image{} returned or its name, one built on the command line, or the path of a disk image
-- @option mem    its memory, in bytes: the tiny guest needs 96 MiB at least
-- @option cpus   how many processors it has
-- @option arch   its architecture
-- @option accel  what runs it: KVM, TCG (emulation), or whichever works here (default: that of --accel, "auto")
-- @option template  false: boot it each time, instead of going on from a warm template; true: a template also with qemu=
-- @option kernel   path of a kernel, for a guest of one's own
-- @option initrd   path of its initial RAM disk
-- @option append   added to the kernel's command line; with kernel= all of it. "randmaps" has TCG randomise address spaces
-- @option disk     path of an image to boot from, of any distribution; with an image of ours or kernel=, a disk beside it
-- @option persistent  true: what is written to disk= stays; else it is gone at the machine's end
-- @option user      who logs in at the serial console (default "root"), for disk= and kernel=
-- @option password  their password; with cloud_init=, root's
-- @option prompt    regular expression of the shell's prompt, or of each prompt by its kind
-- @option prompt.user      that asks for the user
-- @option prompt.password  that asks for the password
-- @option prompt.shell     of the shell
-- @option cloud_init  true, or a table, for a disk= that uses cloud-init: it needs no log-in then
-- @option cloud_init.user_data       text ("#cloud-config...", "#!...") or a table
-- @option cloud_init.meta_data       text, or a table that is added to instance-id and local-hostname
-- @option cloud_init.network_config  text or a table (default: cloud-init leaves the network alone)
-- @option files  {[path in it] = path on this machine}, copied at each boot, permissions included
-- @option setup  list of commands, run after each boot
-- @option qemu   list of more arguments for QEMU
-- @option boot_timeout  how long its boot may take (default 60 s and more; 180 s for disk=)
-- @error  a name that is taken; too little memory; options that exclude each other
-- @example vm
--   local a = vm("a")
--   local b = vm { "b", mem = "128M", setup = { "sysctl -w net.ipv4.tcp_congestion_control=reno" } }
--   link(a, b, { delay = "20ms" })
--   boot()
--   print(a:succeed("ping -c 3 b"))
vm.vm = computer.declaring("vm", declare)

--- vms(n, format, opts) -> vm[]: declares n virtual machines, named by a format with 1 to n.
-- @param n       how many, at least 1
-- @param format  of their names (default "node%d")
-- @options vm
-- @example vm
--   local nodes = vms(4, "n%d", { mem = "128M" })
--   lan(nodes)
--   boot()
--   for _, node in ipairs(nodes) do print(node.name, node:ip()) end
vm.vms = computer.declaring_many("vm", "machines", "node%d", declare)

-- Booting ------------------------------------------------------------------------------------------------------------

--- Whether a value is a machine.
function vm.is(v) return getmetatable(v) == class end

--- Finds the tiny image of each architecture that a machine was declared of, which builds it at its first use on this
--- machine; but not where QEMU for it is missing, which only those machines have to say that boot.
function vm.find_images()
    local versions = {}
    for _, guest in ipairs(arch.NAMES) do
        if declared[guest] and (core.arch_is_native(guest) or core.qemu_version(guest)) then
            versions[#versions + 1] = image.tiny(guest):files().version
        end
    end
    vm.kernel_version = versions[1] and table.concat(versions, ", ")
end

local function on_machine_state(self, machine, state, why)
    if self.machine ~= machine then return end
    if self.saving and state == "paused" then return end
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
    if self.line then return end
    excerpt.console(self.name, data)
    self.console.stream:feed(data)
end

-- What the machine is, as core.machine takes it. What is not for every experiment is checked here too: a script can have set
-- the fields of its nodes.
local function configuration(self)
    local kvm = accelerator.is_kvm(self)
    local boots = kernel.of(self, kvm)
    local where = "vm " .. tostring(self.name)
    local own, writable = self.opts.disk, self.opts.persistent and true
    if writable then own = disk.to_write(own, where) end
    return {
        name = self.name, arch = self.opts.arch, kernel = boots.kernel, initrd = boots.initrd, append = boots.append,
        root = boots.root, disk = own, disk_format = own and disk.format(own), disk_writable = writable,
        seed = self.seed or nil, memory = self.opts.mem, cpus = self.opts.cpus, kvm = kvm, nics = nic.for_machine(self),
        extra = qemu_options.checked(self.opts.qemu, where), confined = not paths.is_allowed(),
        console_log = vm.console_path and vm.console_path(self.name), boot_timeout = boot_timeout(self),
        generation_id = not self.image, -- Debian's cloud kernel, which ours have, does not know it
    }
end

local function forget_machine(self)
    local machine = self.machine
    self.machine = nil
    if machine then machine:close() end
end

-- Starts QEMU. `config`: as from configuration(), and what there is of template=, channel_note=, draft=.
local function start_machine(self, config)
    forget_machine(self)
    self.why, self.expected_end, self.not_root, self.saving, self.came_from = nil, false, false, false, false
    self.shell_up, self.ended = core.future(), core.future()
    self.console.stream:restart()
    self.line, self.watcher = false, false
    nic.take_all(self)
    local machine, why
    config.on_state = function(state, reason) on_machine_state(self, machine, state, reason) end
    config.on_event = function(name, data) on_event(self, name, data) end
    config.on_console = function(data) on_console(self, data) end
    machine, why = core.machine(config)
    if not machine then errors.machinery(("vm %s: cannot start: %s"):format(self.name, why)) end
    self.machine = machine
    computer.set_state(self, "booting")
end

-- Until commands can be given; a guest that is not ours may have to be logged in to for that.
local function await_shell(self)
    local entry
    if not self.image and not self.seed then
        local patience = boot_timeout(self)
        entry = login.enter(self, core.now() + patience - math.min(LOGIN_MARGIN, patience / 4))
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
    if self.seed then seed.await(self, boot_timeout(self)) end
end

-- Templates -----------------------------------------------------------------------------------------------------------

-- A disk that is written to has no state that could be gone on from; whether what qemu= adds can be saved, the script has to
-- know. The program that takes identities is of this machine's architecture.
local function may_be_cloned(self)
    local opts = self.opts
    if not vm.templates or not core.arch_is_native(opts.arch) then return false end
    if opts.template ~= nil then return opts.template end
    return not opts.persistent and not opts.qemu
end

local function image_setup(self) return self.image and self.image.setup or {} end

-- What makes a difference to a booted machine besides QEMU's command line: a text, none of whose parts can be taken for
-- another.
local function particulars(self)
    local opts = self.opts
    local prompt = type(opts.prompt) == "table" and opts.prompt or { shell = opts.prompt }
    local parts = { core.VERSION, core.guest_version(), opts.user or "", opts.password or "", prompt.user or "",
        prompt.password or "", prompt.shell or "" }
    for _, cmd in ipairs(image_setup(self)) do parts[#parts + 1] = cmd end
    for _, file in ipairs(inspect.keys(self.seed or {}, 0)) do parts[#parts + 1] = file .. "=" .. self.seed[file] end
    for i, part in ipairs(parts) do parts[i] = ("%q"):format(part) end
    return table.concat(parts, ",")
end

-- Adds what the saved machine showed to the log of one that did not boot itself.
local function log_console(self, text)
    local path = vm.console_path and vm.console_path(self.name)
    local log = path and io.open(path, "ab")
    if not log then return end
    log:write(text)
    log:close()
end

-- What a clone takes the addresses of its interfaces for: those of the machine that was saved.
local function known_addresses(config, saved)
    local known = {}
    for i, one in ipairs(config.nics) do known[one.mac] = saved[i] end
    return known
end

-- Starts it as a clone. `has_shown`: this machine has booted itself until now, and what it showed is in its log. Returns the
-- addresses by which its guest knows its interfaces, or nil if it does not come to life.
local function start_clone(self, config, found, has_shown)
    local note = template.note(found)
    config.template, config.channel_note, config.draft = found, note.channel, nil
    if not has_shown then log_console(self, note.console) end
    start_machine(self, config)
    self.came_from = found
    self.console.stream:feed(note.console)
    core.wait { self.shell_up }
    if self.shell_up:values() then return known_addresses(config, note.macs) end
    if self.expected_end then computer.boot_failed(self) end
    core.log(0, ("%s: could not go on from its template, which is removed: %s"):format(self.name, self.why or self.state))
    template.distrust(found)
end

-- Boots it by itself. What its image sets up is part of a template, and so comes before all that is the machine's own.
local function start_cold(self, config)
    start_machine(self, config)
    await_shell(self)
    for _, cmd in ipairs(image_setup(self)) do computer.internal(self, cmd, "its image's setup command") end
end

-- A log-in is answered before all services are up; what a template has not done yet, each of its clones would do again.
local SERVICES_PATIENCE = 30
local AWAIT_SERVICES = [[
! command -v systemctl >/dev/null || timeout %d systemctl is-system-running --wait >/dev/null 2>&1 || :]]

local function await_services(self)
    if not boots_services(self) then return end
    computer.internal(self, AWAIT_SERVICES:format(SERVICES_PATIENCE), "the question whether its services are up")
end

-- Starts it, as a clone if it can be one, and waits until it can be commanded. Returns the addresses by which a clone's guest
-- knows its interfaces.
local function start(self, config)
    local found, draft
    if may_be_cloned(self) then found, draft = template.obtain(self.name, config, particulars(self)) end
    local guard <close> = draft
    if not found then
        config.draft = draft and draft.handle
        start_cold(self, config)
        if not draft then return end
        await_services(self)
        found = template.save(self, draft)
        if not found then return end
    end
    local known_as = start_clone(self, config, found, draft ~= nil)
    if known_as then return known_as end
    config.template, config.channel_note = nil, nil
    start_cold(self, config)
end

--- Starts it; returns when it is configured.
function VM:power_on()
    vm.prepare()
    identity.give(self, start(self, configuration(self)))
end

-- Writes the guest's hosts file, again as long as there is news.
local function write_hosts(self)
    repeat
        local text = self.hosts_known
        local running = job.start(self, self:commander(), { cmd = "update /etc/hosts", timeout = 60, max_output = 1 << 16,
            internal = true, text = ("printf %%s %s >/etc/hosts"):format(node.quote(text)) })
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

-- What /proc says of QEMU, or "" when it has ended.
local function of_process(self, what)
    local pid = self.machine and self.machine:pid()
    local file <close> = pid and io.open(("/proc/%d/%s"):format(pid, what)) or nil
    return file and file:read("a") or ""
end

--- vm:usage() -> table: what the machine costs at the moment.
-- @return  { cpu = seconds of this machine's processors that it has used, memory = bytes of its own, with its share of what
--   it has in common with others }; nil, why, "state" when it does not run
-- @example vm
--   local a = vm("a")
--   a:boot()
--   print(a:usage().memory)
function VM:usage()
    errors.check_colon(vm.is(self), "usage", "vm")
    local user, system = of_process(self, "stat"):match("%) %a" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
    local memory = of_process(self, "smaps_rollup"):match("Pss:%s*(%d+)")
    if not user or not memory then return nil, ("vm %s is %s"):format(self.name, self.state), "state" end
    return { cpu = (user + system) / TICKS, memory = memory * 1024 }
end

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

--- vm:pause() -> true: stops its processors; its clock stands still with them.
-- @return  nil, why, "state" when it does not run
-- @example vm
--   local a = vm("a")
--   a:boot()
--   a:pause()
--   sleep("2s")
--   a:resume()
function VM:pause()
    errors.check_colon(vm.is(self), "pause", "vm")
    return control(self, "stop", "paused")
end

--- vm:resume() -> true: lets its processors go on.
-- @return  nil, why, "state" when it does not run
-- @example vm
--   local a = vm("a")
--   a:boot()
--   a:pause()
--   a:resume()
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
for _, field in ipairs { "shell_up", "hosts_task", "line", "not_root", "watcher", "saving", "clock_doubt", "clock_began",
    "slots_settled", "came_from" } do
    VM[field] = false
end

return vm
