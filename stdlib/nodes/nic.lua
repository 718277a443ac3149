-- SPDX-License-Identifier: MIT
-- The network interfaces of a virtual machine: a port of the fabric each; how they are configured in the guest, and how they
-- come and go while it runs; one that does not run has those that it will boot with. In QEMU, interface n is the device nicN
-- with the backend netN.

local arch = require "qemunet.nodes.arch"
local computer = require "qemunet.nodes.computer"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local job = require "qemunet.nodes.job"
local node = require "qemunet.nodes.node"
local qmp = require "qemunet.nodes.qmp"
local tasks = require "qemunet.tasks"

local nic = {}

-- How long a guest may take until it shows a new interface, and until it lets one go.
local APPEARS, LEAVES = 30, 15

-- Sets i to the name of the interface with this hardware address.
local FIND = [[
qn_nic() {
    for i in /sys/class/net/*; do
        { read -r m <"$i/address"; } 2>/dev/null && [ "$m" = "$1" ] && i=${i##*/} && return
    done
    return 1
}
]]

-- A system that renames what is new does it at once.
local AWAIT = [[
until qn_nic %s; do sleep 0.05 2>/dev/null || sleep 1; done
! command -v udevadm >/dev/null || { udevadm settle --timeout=10; qn_nic %s; }
]]

local ABSENT = [[
qn_nic %s || { echo "no interface has the address %s: has its kernel a driver for virtio-net?" >&2; exit 1; }
]]

-- Configures interface $i, and prints its name.
local function settings(self)
    local link, lines = self.link, { 'echo "$i"' }
    local function add(...) lines[#lines + 1] = (...):format(select(2, ...)) end
    if link.mtu then add('ip link set "$i" mtu %d', link.mtu) end
    add 'ip link set "$i" up'
    if self.ip then
        add('ip addr add %s/%d broadcast + dev "$i"', self.ip, self.subnet.len)
        if link.gateway then add('ip route replace default via %s dev "$i"', link.gateway) end
        if link.nameserver then add("{ echo nameserver %s >/etc/resolv.conf; } 2>/dev/null || :", link.nameserver) end
    end
    return table.concat(lines, "\n") .. "\n"
end

--- A shell script that configures the interfaces of the list, which the guest has, and prints their names.
function nic.script(list)
    local parts = { "set -e\n", FIND }
    for _, self in ipairs(list) do
        parts[#parts + 1] = ABSENT:format(self.mac, self.mac)
        parts[#parts + 1] = settings(self)
    end
    return table.concat(parts)
end

local function plug_script(self) return "set -e\n" .. FIND .. AWAIT:format(self.mac, self.mac) .. settings(self) end

--- Those that the machine has, or boots with.
function nic.plugged(vm)
    local list = {}
    for _, self in ipairs(vm.nics) do
        if not self.unplugged then list[#list + 1] = self end
    end
    return list
end

-- The machine has it from now on, with none of what came before.
local function take(self)
    core.port_drain(self.fd)
    core.port_desert(self.port, false)
    self.unplugged = false
end

--- The machine has ended: what comes for its interfaces has no reader.
function nic.desert_all(vm)
    for _, self in ipairs(vm.nics) do
        if self.fd then core.port_desert(self.port, true) end
    end
end

--- Those that the machine is about to start with, as core.machine takes them. Others come and go once it runs.
function nic.for_machine(vm)
    local list = {}
    for i, self in ipairs(vm.nics) do
        self.unplugged = false
        list[i] = { number = self.index - 1, fd = self.fd, mac = self.mac }
    end
    return list
end

--- The machine starts, and has them from now on.
function nic.take_all(vm)
    for _, self in ipairs(nic.plugged(vm)) do take(self) end
end

local function release(self)
    if not self.fd then return end
    core.close_fd(self.fd)
    core.port_remove(self.port)
    self.fd = false
end

--- Gives back all that the fabric lent.
function nic.release_all(vm)
    for _, self in ipairs(vm.nics) do release(self) end
    for _, self in pairs(vm.parting) do release(self) end
end

--- Adds an interface for a link. A machine that runs or boots is to be given it by nic.plug().
function nic.add(vm, link, subnet)
    local port, fd = core.port_add()
    local made, self = pcall(node.add_nic, vm, link, subnet, vm.parting)
    if not made then
        release { port = port, fd = fd }
        errors.again(self)
    end
    core.port_desert(port, true)
    self.port, self.fd, self.at = port, fd, { "port", port }
    self.unplugged = not computer.is_off(vm)
    return self
end

local function device(self) return "nic" .. self.index - 1 end
local function backend(self) return "net" .. self.index - 1 end

--- Switches an interface's carrier, as its guest sees it. Returns nil, or why it failed.
function nic.set_carrier(self, up)
    local vm = self.node
    if self.unplugged or not vm.machine or vm.ended:is_set() then return end
    return qmp.command(vm, "set_link", { name = device(self), up = up })
end

local NO_PORT = "its machine has no port left for one more interface: declare some links before it boots"

local function in_words(why)
    if why:find("^Bus 'plug%d+' not found") then return NO_PORT end
    return why:find("no slot", 1, true) and "no PCI slot is left for one more interface" or "QEMU: " .. why
end

-- Runs fn(...) once all that was asked of the machine's PCI slots before is done. Each time that QEMU tells its guest of a
-- slot, it names again those that the guest was asked to empty and has not yet. The guest empties a slot as often as it was
-- told to, and so takes out what was put in there meanwhile. Asked for one thing at a time, it hears of each just once.
local function in_turn(vm, fn, ...)
    local before, done = vm.slots_settled, core.future()
    vm.slots_settled = done
    local turn <close> = setmetatable({}, { __close = function() done:set() end })
    if before then core.wait { before } end
    return (fn(...)) -- not a tail call, which would end the turn
end

-- Returns a future that is set when QEMU has let go of the device.
local function watch(self)
    local gone = core.future()
    self.node.gone[device(self)] = gone
    return gone
end

-- Has QEMU put the device in. Returns nil or why not, and a future that is set when it is out again.
local function put_in(self)
    local vm, name, gone = self.node, backend(self), watch(self)
    take(self)
    local sent, why = core.machine_pass_fd(vm.machine, name, self.fd)
    why = not sent and why
        or qmp.command(vm, "netdev_add", { type = "dgram", id = name, ["local"] = { type = "fd", str = name } })
        or qmp.command(vm, "device_add",
            { driver = "virtio-net-pci", id = device(self), netdev = name, romfile = "", mac = self.mac,
                bus = arch.bus(vm.opts.arch, self.index - 1) })
    return why and in_words(why), gone
end

local NOT_SHOWN = ("its guest shows no new interface after %d s: its kernel needs PCI hot-plug by ACPI, and a driver " ..
    "for virtio-net"):format(APPEARS)

-- Puts the device in, waits until the guest has it, and configures it; again, if a guest that was very late to empty the slot
-- for another takes it out at once. Returns nil or why it could not.
local function install(self)
    local vm = self.node
    local why, gone = put_in(self)
    if why then return why end
    local running = job.start(vm, vm:commander(),
        { cmd = "configure " .. self.mac, text = plug_script(self), timeout = APPEARS, max_output = 1 << 16,
            internal = true })
    while core.wait { running.done, gone } == 2 do
        qmp.command(vm, "netdev_del", { id = backend(self) })
        why, gone = put_in(self)
        if why then
            running:kill()
            return why
        end
    end
    local result = running.result
    if result.ok then
        self.ifname = result.stdout:match("[^\n]+")
    elseif result.timed_out then
        return NOT_SHOWN
    else
        return result.error or "its new interface could not be configured: " .. result.stderr
    end
end

local NOT_ROOT = "the user logged in there is not root, so that a new interface cannot be configured: " ..
    "log in as root (user=), or make the link before it boots"

-- `ended`: the future of the machine that it was asked for. Returns nil or why it could not be.
local function plug(self, ended)
    if not self.fd then return end -- it was removed before its turn came
    local vm, why = self.node, nil
    if not ended:is_set() then why = install(self) end
    if ended:is_set() then return ("it is %s: %s"):format(vm.state, (vm.why or "it has ended"):match("[^\n]*")) end
    if not why and not self.link.is_up then why = nic.set_carrier(self, false) end
    return why
end

--- Gives a machine that runs an interface that was added: waits, if it boots, and until the guest can use it. That goes on
--- when the calling task is cancelled: what a guest is to let go, it has to have seen. Returns nil, also when the machine has
--- ended and will boot with it; or why it cannot be.
function nic.plug(self)
    local vm = self.node
    if vm.boot_task then core.wait { vm.boot_task.done } end
    if not self.unplugged or computer.is_off(vm) then return end
    if vm.state ~= "up" then return ("it is %s: resume it first"):format(vm.state) end
    if vm.not_root then return NOT_ROOT end
    local plugging = tasks.start(in_turn, vm, plug, self, vm.ended)
    core.wait { plugging.done }
    return plugging:outcome()
end

-- Asks the guest to let go of the device. Returns a future that is set when it is gone; others have their turn at the latest
-- after a while.
local function ask_out(self, ended)
    local gone = watch(self)
    if ended:is_set() or qmp.command(self.node, "device_del", { id = device(self) }) then gone:set() end
    core.wait({ gone, ended }, LEAVES)
    return gone
end

-- Returns when the machine has it no more; `tell` is called when that takes long.
local function take_out(self, tell)
    local vm = self.node
    local ended = vm.ended
    nic.set_carrier(self, false)
    local gone = in_turn(vm, ask_out, self, ended)
    if not gone:is_set() and not ended:is_set() then
        tell()
        core.wait { gone, ended }
    end
    vm.gone[device(self)] = nil
    if not ended:is_set() then qmp.command(vm, "netdev_del", { id = backend(self) }) end
end

local function part(self, left)
    local vm = self.node
    if vm.boot_task then core.wait { vm.boot_task.done } end
    if vm.state == "paused" then left:set() end
    if not computer.is_off(vm) and not vm.ended:is_set() then
        take_out(self, function()
            left:set()
            core.log(0, ("%s: its guest does not let go of %s, whose link was removed: it stays, without a carrier"):format(
                vm.name, self.ifname))
        end)
    end
    release(self)
    vm.parting[self.index] = nil
    left:set()
end

--- Takes an interface away. Returns a future that is set when it is gone; also when it will be gone only later, because the
--- machine is paused or its guest does not let go of it.
function nic.remove(self)
    local vm, left = self.node, core.future()
    node.remove_nic(vm, self)
    if self.unplugged or computer.is_off(vm) then
        release(self)
        left:set()
    else
        vm.parting[self.index] = self
        tasks.detach(part, self, left)
    end
    return left
end

--- What a QMP event says of the interfaces.
function nic.on_event(vm, name, data)
    local gone = name == "DEVICE_DELETED" and vm.gone[data.device or ""]
    if gone then gone:set() end
end

return nic
