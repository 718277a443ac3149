-- SPDX-License-Identifier: MIT
-- What makes a guest this machine and no other: its name, hosts file, machine-id, addresses, random seed and clock. A guest
-- that runs our program takes it by system calls (runtime/guest/identity.h); any other by a shell script, which can set
-- neither seed nor clock: no copies are made of such a guest.

local computer = require "qemunet.nodes.computer"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local job = require "qemunet.nodes.job"
local nic = require "qemunet.nodes.nic"
local node = require "qemunet.nodes.node"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"

local identity = {}

local PATIENCE = 60

-- The clock is right within half of the time that the guest took to say its own: 5 ms at most, if one of so many tries
-- shows it (a machine that shares its processor with a hundred others answers late now and then).
local CLOCK_ERROR, CLOCK_TRIES = 0.005, 10

local ENTROPY = 64 -- bytes; the kernel's generator has a key of 32

local NOT_ROOT = "not root"

-- What /dev/urandom gives.
local function random_bytes(n)
    local file <close> = assert(io.open("/dev/urandom", "rb"))
    return file:read(n)
end

local function block(what, data) return ("%s %d\n%s"):format(what, #data, data) end

local function nic_line(self, old)
    local link = self.link
    return ("nic %s %s %d %s %d %s\n"):format(old, self.mac, link.mtu or 0, self.ip or "-", self.ip and self.subnet.len or 0,
        self.ip and link.gateway or "-")
end

local function lines_of(self, nics, known_as)
    local file = self.image and "file " or "try-file "
    local parts = {
        ("hostname %s\n"):format(self.name), block(file .. "/etc/hosts", self.hosts_known),
        block("entropy", random_bytes(ENTROPY)),
    }
    -- One with a disk of its own has that disk's.
    if not self.opts.persistent then parts[#parts + 1] = ("machine-id %s\n"):format(text.hex(random_bytes(16))) end
    for _, one in ipairs(nics) do
        parts[#parts + 1] = nic_line(one, known_as and known_as[one.mac] or one.mac)
        if one.link.nameserver then
            parts[#parts + 1] = block("try-file /etc/resolv.conf", ("nameserver %s\n"):format(one.link.nameserver))
        end
    end
    return table.concat(parts)
end

-- Has the guest's program take lines. Returns the job.
local function start(self, cmd, lines, timeout)
    return job.start(self, self.machine, { cmd = cmd, text = lines, identity = true, timeout = timeout, max_output = 1 << 16 })
end

-- The same, to its end. Returns the result.
local function take(self, cmd, lines)
    local running = start(self, cmd, lines, PATIENCE)
    core.wait { running.done }
    return running.result
end

local function check(self, what, result)
    if result.ok then return result.stdout end
    errors.machinery(("vm %s: %s could not be set in its guest: %s"):format(self.name, what,
        result.error or result.timed_out and "no answer" or ("%s (errno %d)"):format(result.stderr, result.status)))
end

-- Of a guest's answer: how far its time of day is behind ours, in ns; the experiment second at which its clock that nobody
-- sets was 0; and the most that either may be wrong, in s. Nil for no such answer.
local function read_clocks(result)
    local theirs, unset = result.stdout:match("^(%d+)\n(%d+)\n$")
    if not result.ok or not theirs then return nil end
    local middle = (result.started + result.finished) / 2
    local ours = core.wall() - math.floor((core.now() - middle) * 1e9)
    return { lag = ours - math.tointeger(tonumber(theirs)), began = middle - tonumber(unset) / 1e9, doubt = result.duration / 2 }
end

local function ask_clocks(self)
    local result = take(self, "read its clocks", "clock\n")
    check(self, "the clock", result)
    return read_clocks(result) or errors.machinery(("vm %s: its guest does not say its time"):format(self.name))
end

local function set_clock(self)
    local best
    for _ = 1, CLOCK_TRIES do
        local this = ask_clocks(self)
        if not best or this.doubt < best.doubt then best = this end
        if best.doubt <= CLOCK_ERROR then break end
    end
    local sign = best.lag < 0 and "-" or "+"
    check(self, "the clock", take(self, "set its clock", ("step %s %d\n"):format(sign, math.abs(best.lag))))
    self.clock_doubt, self.clock_began = best.doubt, best.began
end

-- A shell script that gives the guest its name, addresses and hosts file, and prints the name of each interface of the list.
local function script(self, nics)
    local hosts = ("printf %%s %s >/etc/hosts"):format(node.quote(self.hosts_known))
    local lines = { ("hostname %s 2>/dev/null || echo %s >/proc/sys/kernel/hostname"):format(self.name, self.name) }
    if self.image then
        lines[2] = hosts
    else
        table.insert(lines, 1, ('[ "$(id -u)" = 0 ] || { echo %s; exit 0; }'):format(NOT_ROOT))
        lines[3] = ("{ %s; } 2>/dev/null || :"):format(hosts) -- which may be read-only there
    end
    return "set -e; " .. table.concat(lines, "; ") .. "\n" .. nic.script(nics)
end

local function note_names(nics, names)
    local i = 0
    for name in names:gmatch("[^\n]+") do
        i = i + 1
        if nics[i] then nics[i].ifname = name end
    end
end

--- Steps the clock of a machine that answers by so many seconds. Returns nil, or why it failed.
function identity.step_clock(self, seconds)
    if not identity.is_served(self) then return "its guest's clock cannot be set: it does not run our program" end
    local result = take(self, "step its clock", ("step %s %.0f\n"):format(seconds < 0 and "-" or "+", math.abs(seconds) * 1e9))
    if result.ok then return nil end
    return result.error or result.timed_out and "no answer" or ("%s (errno %d)"):format(result.stderr, result.status)
end

--- How far the clocks of these machines have gone from ours since they booted, as far as they say so within `patience`
--- seconds: {[name] = { drift = s, ahead of ours, doubt = the most that this may be wrong }}.
function identity.drifts(machines, patience)
    local asked, drifts, deadline = {}, {}, core.now() + patience
    for _, self in ipairs(machines) do asked[self] = start(self, "read its clocks", "clock\n", patience) end
    for self, running in pairs(asked) do
        local answered = core.wait({ running.done }, math.max(deadline - core.now(), 0))
        local clocks = answered and read_clocks(running.result)
        if clocks then
            drifts[self.name] = { drift = self.clock_began - clocks.began, doubt = self.clock_doubt + clocks.doubt }
        end
    end
    return drifts
end

--- Whether its guest takes an identity as another machine's copy.
function identity.is_served(self) return not self.line and self.machine:is_served() end

--- Whether the one who is logged in there is root.
function identity.is_root(self)
    return self.image or computer.internal(self, "id -u", "the question who is logged in") == "0\n"
end

--- Gives a machine that answers what is its own. `known_as`: what a copied guest, which was saved because it takes an
--- identity, takes its interfaces' addresses for, {[address]= of the machine that was saved}.
function identity.give(self, known_as)
    local nics = nic.plugged(self)
    self.hosts_known = testbed.hosts_of(self)
    if known_as or identity.is_served(self) and identity.is_root(self) then
        local taken = take(self, "take its identity", lines_of(self, nics, known_as))
        note_names(nics, check(self, "its name and addresses", taken))
        set_clock(self)
    else
        local names = computer.internal(self, script(self, nics), "the configuration of its network")
        self.not_root = names == NOT_ROOT .. "\n"
        if self.not_root then
            local words = "%s: the user logged in is not root: the name and addresses are left as they are"
            return core.log(0, words:format(self.name))
        end
        note_names(nics, names)
    end
    for _, one in ipairs(nics) do
        if not one.link.is_up and not one.link.removed then one.link:carrier(one, false) end
    end
end

return identity
