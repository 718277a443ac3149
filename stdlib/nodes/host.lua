-- SPDX-License-Identifier: MIT
-- Hosts: nodes that are namespaces on this machine instead of virtual machines: host, hosts.

local address = require "qemunet.network.address"
local computer = require "qemunet.nodes.computer"
local core = require "qemunet.core"
local coroutines = require "qemunet.coroutines"
local errors = require "qemunet.errors"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local paths = require "qemunet.paths"
local testbed = require "qemunet.testbed"

local host = {}

local OPTIONS = options.register({ files = { type = "table" }, setup = { type = "table" } }, "host", "hosts")

-- How long a host that is shut down waits for processes that do not end when they are asked to.
local PATIENCE_MS = 1000

-- How long an interface may take to leave a namespace that ends, in seconds.
local LEAVES = 5

--- Called before the first stack is made: whether this process has a network namespace of its own, and if not why; set by
--- the run.
host.prepare = function() return true end

--- class host: a node that is a set of namespaces on this machine; what host() returns. It has all that a node has, and:
local Host = {}
local class = computer.class("host", Host)

local function declare(name, opts, level)
    local checked = options.check(opts, OPTIONS, "host", level + 1)
    computer.check_configuration("host " .. name, checked, level + 1)
    local self = computer.add(class, name, checked, {})
    return self
end

--- host(name, opts) or host{ name, ... } -> host: declares a node like a vm that is a set of namespaces on this machine.
-- It has its own network, processes, host name and /etc/hosts, and boots in milliseconds. The files are this machine's,
-- which its commands read and do not write: what they leave in /tmp, /var/tmp, /run, /dev/shm, /etc, /var, /root and $HOME is
-- in memory (256 MiB in each of the first four, 512 MiB in all the others) and gone at its end. With --allow-host they write
-- them as any program.
-- @param name    as for vm
-- @option files  {[path] = other_path}, what it alone finds in place of files of this machine
-- @option setup  list of commands, run after each boot
-- @example vm
--   local a, b = host("a"), host { "b", setup = { "sysctl -qw net.ipv4.ip_forward=1" } }
--   link(a, b, { delay = "5ms" })
--   boot()
--   print(a:succeed("ping -c 1 b"))
host.host = computer.declaring("host", declare)

--- hosts(n, format, opts) -> host[]: declares n hosts, named by a format with 1 to n.
-- @param n       how many, at least 1
-- @param format  of their names (default "host%d")
-- @options host
-- @example vm
--   local many = hosts(50, "h%d")
--   lan(many, { rate = "100mbit" })
--   boot()
host.hosts = computer.declaring_many("host", "hosts", "host%d", declare)

--- Whether a value is a host.
function host.is(v) return getmetatable(v) == class end

local function machinery(self, what, why)
    errors.machinery(("host %s: cannot %s: %s"):format(self.name, what, why))
end

-- The kernel keeps the neighbours (ARP) of all namespaces in one table of bounded size, 1024 by default: when it is full,
-- packets to further ones are lost. Read while the process is in the machine's namespace.
local NEIGHBOURS = "net.ipv4.neigh.default.gc_thresh3"

local function read_setting(name)
    local file <close> = io.open("/proc/sys/" .. name:gsub("%.", "/"), "r")
    return file and tonumber(file:read("l"))
end

local neighbours_allowed = read_setting(NEIGHBOURS)
local warned = false

-- How many neighbours the hosts have if each talks to each on its switch.
local function count_neighbours()
    local count = 0
    for _, switch in ipairs(testbed.switches()) do
        local n = 0
        for _, l in ipairs(switch.links) do
            if l.nics[1] and host.is(l.nics[1].node) then n = n + 1 end
        end
        count = count + n * (#switch.links - 1)
    end
    return count
end

local function warn_of_neighbours()
    if warned or not neighbours_allowed then return end
    local count = count_neighbours()
    if count <= neighbours_allowed then return end
    warned = true
    core.log(0, ("if every host talks to every other, they need %d neighbour entries, and this machine's kernel has %d for all: " ..
        "packets may be lost; as root: sysctl %s=%d"):format(count, neighbours_allowed, NEIGHBOURS, 2 * count))
end

-- What to do where the kernel cannot keep its commands off this machine.
local function advice() return paths.is_allowed() and "" or "; without that protection: --allow-host" end

local function new_stack(self)
    local private, why = host.prepare()
    if not private then machinery(self, "have a network", why) end
    local stack
    stack, why = core.stack(not paths.is_allowed())
    if not stack then machinery(self, "have a network", why .. advice()) end
    return stack
end

-- Has a tap in the stack, wherever it was. A namespace of the host's own takes a moment to end, and the tap with it.
local function take_tap(self, stack, nic)
    local deadline = core.now() + LEAVES
    local ok, why = stack:take_tap(nic.fd, nic.ifname)
    while not ok and core.now() < deadline do
        core.wait({}, 0.01)
        ok, why = stack:take_tap(nic.fd, nic.ifname)
    end
    if not ok then machinery(self, "move its interface " .. nic.ifname, why) end
    self:set_carrier(nic, nic.link.is_up)
end

-- Its network, there from its first link on. After an end the taps, which its links hold, move to a fresh one, whatever
-- became of them, and all else that was configured in the old one is gone, as after a power loss.
local function fresh_stack(self)
    local old = self.stack
    if old and not self.stack_used then return old end
    local stack = new_stack(self)
    for _, nic in ipairs(old and self.nics or {}) do take_tap(self, stack, nic) end
    if old then old:close() end
    self.stack, self.stack_used = stack, false
    return stack
end

local function configure_nic(self, nic)
    local ok, why = self.stack:configure { name = nic.ifname, mac = address.mac_bytes(nic.mac), mtu = nic.link.mtu or nil,
        ip = nic.ip and address.ip_bytes(nic.ip), prefix = nic.ip and nic.subnet.len,
        gateway = nic.ip and nic.link.gateway and address.ip_bytes(nic.link.gateway) or nil }
    if not ok then machinery(self, "configure " .. nic.ifname, why) end
end

-- Whom a host that runs asks for names. A machine without the file has no place for it.
local function set_nameserver(self, nic)
    if not nic.ip or not nic.link.nameserver then return end
    local ok, why = coroutines.pcall(computer.internal, self, self:taking_file("/etc/resolv.conf"), "setting its nameserver",
        ("nameserver %s\n"):format(nic.link.nameserver))
    if not ok then core.log(0, tostring(why)) end
end

local function on_end(self, machine, state, why)
    if self.machine ~= machine then return end
    if why and why:find("^cannot set up") then why = why .. advice() end
    for _, nic in ipairs(self.nics) do core.quiet_tap(nic.fd) end
    computer.has_ended(self, state, why)
    self.is_up:set(false)
end

--- Starts it; returns when commands can be given.
function Host:power_on()
    warn_of_neighbours()
    local stack = fresh_stack(self)
    if self.machine then self.machine:close() end
    self.machine, self.why, self.expected_end = nil, nil, false
    self.is_up, self.ended, self.stack_used = core.future(), core.future(), true
    for _, nic in ipairs(self.nics) do configure_nic(self, nic) end
    local machine, why
    machine, why = core.container { name = self.name, stack = stack,
        confined = not paths.is_allowed(), on_up = function() self.is_up:set(true) end,
        on_end = function(state, reason) on_end(self, machine, state, reason) end }
    if not machine then machinery(self, "start", why) end
    self.machine = machine
    computer.set_state(self, "booting")
    self:update_hosts(testbed.hosts_of(self))
    core.wait { self.is_up }
    if not self.is_up:values() then computer.boot_failed(self) end
    for _, nic in ipairs(self.nics) do set_nameserver(self, nic) end
end

--- Has it know of names that came later.
function Host:update_hosts(text)
    if self.hosts_known == text and self.state ~= "booting" then return end
    self.hosts_known = text
    self.machine:set_hosts(text)
end

-- The file is in memory, mounted over the machine's; the folder that it is in, over /sys, is nowhere afterwards.
local OWN_FILE = [[[ -f %s ] || { echo "no such file on this machine, for the host to have its own in place of" >&2; exit 1; }
mount -t tmpfs qemunet /sys && cat >/sys/file && chmod 755 /sys/file && mount --bind /sys/file %s
s=$?; umount -l /sys; exit $s]]

function Host:taking_file(path)
    local quoted = node.quote(path)
    return OWN_FILE:format(quoted, quoted)
end

function Host:commander() return self.machine end

function Host:console_tail() return "" end

--- Asks its processes to end, and kills those that do not.
function Host:power_off() self.machine:shut_down(PATIENCE_MS) end

local function set_paused(self, paused)
    errors.check_colon(host.is(self), paused and "pause" or "resume", "host")
    local from, to = paused and "up" or "paused", paused and "paused" or "up"
    if self.state == to then return true end
    if self.state ~= from then return nil, ("host %s is %s"):format(self.name, self.state), "state" end
    self.machine:pause(paused)
    computer.set_state(self, to)
    return true
end

--- host:pause() -> true: stops its processes. Its network stack, which is the kernel's, goes on: it answers ping.
-- @return  nil, why, "state" when it does not run
-- @example vm
--   local a = host("a")
--   a:boot()
--   a:pause()
function Host:pause() return set_paused(self, true) end

--- host:resume() -> true: lets its processes go on.
-- @return  nil, why, "state" when it does not run
-- @example vm
--   local a = host("a")
--   a:boot()
--   a:pause()
--   a:resume()
function Host:resume() return set_paused(self, false) end

--- Plugs a network interface's cable in or out, as the host sees it. Returns nil, or why it failed.
function Host:set_carrier(nic, up)
    local _, why = core.set_carrier(nic.fd, up)
    return why
end

--- Adds a network interface for a link, while it runs too.
function Host:add_nic(link, subnet)
    if self.boot_task then core.wait { self.boot_task.done } end
    if not self.stack then self.stack = new_stack(self) end
    local nic = node.add_nic(self, link, subnet)
    local port, fd = self.stack:add_tap(nic.ifname)
    if not port then
        node.remove_nic(self, nic)
        machinery(self, "add the interface " .. nic.ifname, fd)
    end
    nic.port, nic.fd = port, fd
    nic.at = { "port", port }
    if computer.is_off(self) then return nic end
    local added = false
    local guard <close> = setmetatable({}, { __close = function()
        if not added then self:remove_nic(nic) end
    end })
    configure_nic(self, nic)
    set_nameserver(self, nic)
    added = true
    return nic
end

--- Takes an interface away, while it runs too.
function Host:remove_nic(nic)
    node.remove_nic(self, nic)
    if not nic.fd then return end
    core.release_tap(nic.fd)
    core.port_remove(nic.port)
    core.close_fd(nic.fd) -- the last of it: its end takes the kernel some time, which the fabric's thread has not
    nic.fd = false
end

--- Gives everything back.
function Host:close()
    if self.machine then self.machine:close() end
    for _, nic in ipairs(self.nics) do
        if nic.fd then
            core.close_fd(nic.fd)
            core.port_remove(nic.port)
        end
    end
    if self.stack then self.stack:close() end
    self.machine, self.stack, self.nics, self.state = nil, nil, {}, "down"
end

testbed.on_end(function() warned = false end)

-- Fields that are nil until they are set; a class has no unknown ones.
for _, field in ipairs { "stack", "stack_used", "is_up" } do
    Host[field] = false
end

return host
