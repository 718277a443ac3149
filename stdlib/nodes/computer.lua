-- SPDX-License-Identifier: MIT
-- What the kinds of node have in common that run a system, and boot and end: vm, host. A kind gives power_on(), which returns
-- once commands can be given, commander(), what takes them, power_off(), which asks it to end, and once it was on `machine` and
-- `ended`, a future.

local boot = require "qemunet.nodes.boot"
local core = require "qemunet.core"
local coroutines = require "qemunet.coroutines"
local errors = require "qemunet.errors"
local job = require "qemunet.nodes.job"
local node = require "qemunet.nodes.node"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local computer = {}

local Computer = {}

computer.booting = 0 -- how many are at the moment

-- Declaring ----------------------------------------------------------------------------------------------------------

-- ("a", {...}), ("a"), { "a", ... }
local function arguments(name, opts)
    if type(name) ~= "table" then return name, opts or {} end
    local rest = {}
    for key, value in pairs(name) do rest[key] = value end
    rest[1], rest.name = nil, nil
    return name[1] or name.name, rest
end

--- The function of the language that declares one. `declare`: fn(name, opts, level).
function computer.declaring(kind, declare)
    return function(name, opts)
        name, opts = arguments(name, opts)
        if type(name) ~= "string" then error(('%s: want a name, as %s("a")'):format(kind, kind), 2) end
        if type(opts) ~= "table" then error(("%s: want %s(name, options)"):format(kind, kind), 2) end
        local self = declare(name, opts, 2)
        return self
    end
end

--- The function that declares n of them: their names are the format with 1 to n. Returns an array.
function computer.declaring_many(kind, what, default_format, declare)
    local where = kind .. "s"
    return function(n, format, opts)
        if math.type(n) ~= "integer" or n < 1 then error(("%s: want a number of %s, at least 1"):format(where, what), 2) end
        format = format or default_format
        if type(format) ~= "string" or not pcall(string.format, format, 1) or format:format(1) == format:format(2) then
            error(('%s: want a format for the names, as "%s"'):format(where, default_format), 2)
        end
        local list = {}
        for i = 1, n do list[i] = declare(format:format(i), opts or {}, 2) end
        return list
    end
end

--- Adds a node of this class to the testbed. `fields`: what else it has.
function computer.add(class, name, opts, fields)
    local self = setmetatable(fields, class)
    self.name, self.opts, self.state, self.nics, self.changed = name, opts, "defined", {}, core.future()
    self.number = testbed.add_node(self)
    return self
end

--- Makes a class of such nodes.
function computer.class(kind, methods)
    for name, method in pairs(Computer) do methods[name] = methods[name] or method end
    return node.class(kind, methods)
end

local function kind_and_name(self) return ("%s %s"):format(getmetatable(self).__name, self.name) end

-- Booting ------------------------------------------------------------------------------------------------------------

function computer.set_state(self, state, why)
    if self.state == state then return end
    self.state = state
    core.event { t = core.now(), kind = getmetatable(self).__name, node = self.name, state = state, why = why }
    testbed.tell_state(self)
    self.changed:set()
    self.changed = core.future()
end

--- Has the end seen by all who wait for it.
function computer.has_ended(self, state, why)
    local was = self.state
    self.why = why
    computer.set_state(self, state, why)
    self.ended:set(state)
    if not self.expected_end and was ~= "booting" then
        core.log(0, ("%s: %s: %s"):format(self.name, self.state, (why or ""):match("[^\n]*")))
    end
end

local function why_failed(result)
    if result.error or result.timed_out or result.stderr == "" then return job.how_ended(result) end
    return (result.stderr:gsub("%s+$", ""))
end

--- Runs a command of our own during the boot. Returns its output; a failure is the machinery's.
function computer.internal(self, cmd, what, stdin)
    local running = job.start(self, self:commander(), { cmd = cmd, text = cmd, stdin = stdin, timeout = 60, max_output = 1 << 20,
        internal = true })
    core.wait { running.done }
    local result = running.result
    if not result.ok then
        errors.machinery(("%s: %s failed: %s"):format(kind_and_name(self), what, why_failed(result)))
    end
    return result.stdout
end

--- Checks the shape of files= and setup=, raising at `level`. `where`: "vm a".
function computer.check_configuration(where, opts, level)
    for guest_path, host_path in pairs(opts.files or {}) do
        if type(guest_path) ~= "string" or type(host_path) ~= "string" then
            error(where .. ": files: want { [path in it] = path on this machine }", level + 1)
        end
    end
    for key, cmd in pairs(opts.setup or {}) do
        if math.type(key) ~= "integer" or type(cmd) ~= "string" then
            error(where .. ": setup: want a list of commands", level + 1)
        end
    end
end

-- The bytes of a file of this machine, and its mode. What is no file may have no end.
local function read_local(self, path)
    local kind, mode = core.stat(path) -- or nil and why
    local file, problem = nil, ("%s: %s"):format(path, kind and "this is no file" or mode)
    if kind == "file" then file, problem = io.open(path, "rb") end
    if not file then errors.raise(("%s: files: %s"):format(kind_and_name(self), problem)) end
    local close <close> = file
    return file:read("a"), mode
end

local function set_up(self)
    for guest_path, host_path in pairs(self.opts.files or {}) do
        local data, mode = read_local(self, host_path)
        computer.internal(self, self:taking_file(guest_path, mode), "the copy of " .. host_path, data)
    end
    for _, cmd in ipairs(self.opts.setup or {}) do computer.internal(self, cmd, ("its setup command %q"):format(cmd)) end
end

function computer.boot_failed(self)
    errors.machinery(("%s did not boot: %s"):format(kind_and_name(self), self.why or self.state))
end

local NAMED = 3 -- of many that boot

local under_way, begun = {}, 0 -- nodes that boot; how many began since none did

-- One line of progress, however many there are.
local function show_boots()
    computer.booting = #under_way
    if #under_way == 0 then
        begun = 0
        return core.waiting("boot")
    end
    local names = {}
    for i = 1, math.min(#under_way, NAMED) do names[i] = under_way[i].name end
    local text = table.concat(names, ", ")
    if #under_way > NAMED then text = ("%s and %d more"):format(text, #under_way - NAMED) end
    local booted = begun > 1 and (" (%d of %d have booted)"):format(begun - #under_way, begun) or ""
    core.waiting("boot", text .. ": booting" .. booted)
end

local function bring_up(self)
    self:power_on()
    set_up(self)
    if self.ended:is_set() then computer.boot_failed(self) end
    computer.set_state(self, "up")
end

local function boot_one(self)
    local started = core.now()
    begun = begun + 1
    table.insert(under_way, self)
    local done <close> = setmetatable({}, { __close = function()
        under_way = testbed.without(under_way, self)
        self.boot_task = false
        show_boots()
    end })
    show_boots()
    local ok, err = coroutines.pcall(bring_up, self)
    if not ok then
        self:crash() -- half configured, it would neither take commands nor boot again
        errors.again(err)
    end
    core.log(1, ("%s: up after %s"):format(self.name, units.format_duration(core.now() - started)))
end

local OFF = { defined = true, down = true, crashed = true, panicked = true }

--- Whether it does not run, nor is about to.
function computer.is_off(self) return OFF[self.state] == true and not self.boot_task end

--- Boots it if it is not up, and waits; one boot at a time: whoever else wants it meanwhile waits for that one.
function Computer:start_up()
    if computer.is_off(self) then self.boot_task = tasks.start(boot_one, self) end
    local task = self.boot_task
    if not task then return end
    core.wait { task.done }
    task:outcome()
end

local function check_self(self, method) errors.check_colon(node.is(self), method, "node") end

-- Running and ending -------------------------------------------------------------------------------------------------

--- What takes commands, booted if this is its first use; or nil and why it takes none.
function Computer:channel()
    if self.state == "defined" then boot.boot(self) end
    if self.boot_task then core.wait { self.boot_task.done } end
    if self.state == "up" or self.state == "paused" then return self:commander() end
    return nil, ("%s is %s%s"):format(kind_and_name(self), self.state, self.why and ": " .. self.why or "")
end

--- Waits at most so long for its end. Returns whether it came.
function computer.wait_end(self, seconds)
    if not self.machine or self.ended:is_set() then return true end
    return core.wait({ self.ended }, seconds) ~= nil
end

--- node:crash(): cuts the power of a vm or host: whatever runs in it ends at once.
-- @example vm
--   local a = vm("a")
--   a:boot()
--   a:crash()
--   check.equal(a.state, "crashed")
function Computer:crash()
    check_self(self, "crash")
    if not self.machine or self.ended:is_set() then return end
    self.expected_end = true
    core.event { t = core.now(), kind = "crash", node = self.name }
    self.machine:crash()
    computer.wait_end(self, 10)
end

--- node:shutdown(timeout=30) -> true: asks a vm or host to end by itself, and waits.
-- @param timeout  how long at most (duration)
-- @return  nil, why, "timeout" when it has not ended in time; nil, why, "state" when it is paused
-- @example vm
--   local a = vm("a")
--   a:boot()
--   assert(a:shutdown("20s"))
function Computer:shutdown(timeout)
    check_self(self, "shutdown")
    local seconds = units.duration(timeout or 30, "timeout", 2)
    if not self.machine or self.ended:is_set() then return true end
    if self.state == "paused" then return nil, kind_and_name(self) .. " is paused: resume it first", "state" end
    self.expected_end = true
    self:power_off()
    if computer.wait_end(self, seconds) then return true end
    self.expected_end = false
    return nil, ("%s did not power itself off within %s"):format(kind_and_name(self), units.format_duration(seconds)), "timeout"
end

--- node:wait_shutdown(timeout) -> string: waits until a vm or host has ended, for whatever reason.
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @return  its state; nil, why, "timeout" when it runs still
-- @example vm
--   local a = vm("a")
--   a:spawn("sleep 1; poweroff -f")
--   print(a:wait_shutdown("30s"))
function Computer:wait_shutdown(timeout)
    check_self(self, "wait_shutdown")
    local seconds = units.duration(timeout or node.defaults.timeout, "timeout", 2)
    if computer.wait_end(self, seconds) then return self.state end
    return nil, ("%s is still %s"):format(kind_and_name(self), self.state), "timeout"
end

--- node:reboot(): cuts the power of a vm or host and boots it again.
-- @error  when it does not boot
-- @example vm
--   local a = vm("a")
--   a:boot()
--   a:reboot()
function Computer:reboot()
    check_self(self, "reboot")
    self:crash()
    boot.boot(self)
end

--- The command that makes its standard input the file of this path, with this mode.
function Computer:taking_file(path, mode)
    local quoted = node.quote(path)
    return ('mkdir -p "$(dirname %s)" && cat >%s && chmod %o %s'):format(quoted, quoted, mode, quoted)
end

--- Cuts the power without waiting. `why`: while the experiment goes on, for its record.
function Computer:cut(why)
    self.expected_end = true
    if why and self.machine and not self.ended:is_set() then computer.set_state(self, "down", why) end
    if self.machine then self.machine:crash() end
end

-- Fields that are nil until they are set; a class has no unknown ones.
for _, field in ipairs { "machine", "why", "expected_end", "ended", "boot_task", "hosts_known" } do
    Computer[field] = false
end

return computer
