-- SPDX-License-Identifier: MIT
-- What every node can do, whatever it is made of: run commands, move files, say its addresses. A kind of node (vm) adds
-- how it starts, and gives
--   channel()               the machine that commands go to, or nil and why not
--   add_nic(link, subnet)   an interface for a link, with `at`, its place in the fabric; configured with the link's mtu,
--                           gateway and nameserver, if these are not false
--   plug(nic)               only for those that it has marked `unplugged`: makes it usable, or returns why not
--   set_carrier(nic, up)    what becomes of the cable; returns nil, or why it failed
--   remove_nic(nic)         the end of an interface; may return a future that is set when it is gone

local address = require "qemunet.network.address"
local known = require "qemunet.class"
local conditions = require "qemunet.conditions"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local files = require "qemunet.nodes.files"
local job = require "qemunet.nodes.job"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"

local node = {}

node.defaults = {}

local function reset_defaults() node.defaults.timeout, node.defaults.max_output = 60, 64 << 20 end

reset_defaults()
testbed.on_end(reset_defaults)

local COMMAND = options.register({
    timeout = { type = "duration" },
    stdin = { type = "string" },
    env = { type = "table" },
    cwd = { type = "string" },
    user = { type = "string" },
    on_line = { type = "function" },
    max_output = { type = "size" },
}, "node:run", "node:succeed", "node:fail", "node:ok", "node:spawn")

local classes = {} -- {[metatable]=true}

--- class node: what vm(), host() and responder() have in common.
-- @field name string    its name
-- @field state string   "defined", "booting", "up", "paused", "down", "crashed" or "panicked"
-- @field nics table     its network interfaces in the order of its links: each has link, ip ("10.0.0.1" or nil), mac, ifname
-- @field number integer  its place among the nodes, from 1
local Node = {}
node.methods = Node
known.register("node", Node)

local quote = text.quote
node.quote = quote

local function check_command(self, cmd, where)
    if not node.is(self) then errors.raise(("%s: call it with a colon, node:%s(...)"):format(where, where)) end
    if type(cmd) ~= "string" then
        errors.raise(("%s: %s: want a command, a string, not %s"):format(self.name, where, type(cmd)))
    end
    if cmd:find("\0", 1, true) then errors.raise(("%s: %s: the command has a NUL byte"):format(self.name, where)) end
end

local function environment(env)
    local names, parts = {}, {}
    for name, value in pairs(env) do
        if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
            errors.raise(("env: bad variable name %q"):format(tostring(name)))
        end
        if tostring(value):find("\0", 1, true) then errors.raise(("env: %s has a NUL byte"):format(name)) end
        names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do parts[i] = ("export %s=%s; "):format(name, quote(tostring(env[name]))) end
    return table.concat(parts)
end

-- The text that the guest's shell runs for a command and its options.
local function shell_text(cmd, opts)
    local text = opts.env and environment(opts.env) or ""
    if opts.cwd then text = text .. ("cd -- %s || exit 1; "):format(quote(opts.cwd)) end
    if opts.user then return text .. ("exec su -s /bin/sh %s -c %s"):format(quote(opts.user), quote(cmd)) end
    return text .. cmd
end

local function spec_of(self, cmd, opts, where)
    check_command(self, cmd, where)
    local checked = options.check(opts, COMMAND, self.name .. ": " .. where, 3)
    return {
        cmd = cmd, text = shell_text(cmd, checked), stdin = checked.stdin, on_line = checked.on_line,
        timeout = checked.timeout or units.duration(node.defaults.timeout, "defaults.timeout", 3),
        max_output = checked.max_output or units.size(node.defaults.max_output, "defaults.max_output", 3),
    }
end

-- Lines are handed over in a task of their own, so that the callback may wait.
local function read_lines(running, on_line)
    return tasks.start(function()
        for line, stream in running:lines() do on_line(line, stream) end
    end)
end

-- Who was to have the result is gone, cancelled: the command goes, too.
local abandoned = { __close = function(self)
    if self.job.running then self.job:kill("KILL") end
end }

local function run(self, spec)
    local machine, why = self:channel()
    spec.stream = spec.on_line ~= nil
    local running = job.start(self, machine, spec, why)
    local wanted <close> = setmetatable({ job = running }, abandoned)
    local reader = spec.on_line and read_lines(running, spec.on_line)
    local shown <close> = tasks.showing(("%s: %s"):format(self.name, job.short(spec.cmd)), true)
    core.wait { running.done }
    if reader then reader:join() end
    return running.result
end

--- node:run(cmd, opts) -> result: runs a shell command in the node and waits for its end; never raises for what it does.
-- A command that times out is killed with all its processes, as is one whose task is cancelled meanwhile. One whose background
-- children keep its output open ends when it ends itself. A node that is down gives a result with an error, at once.
-- @param cmd         text for sh
-- @option timeout    how long it may run (default: defaults.timeout)
-- @option stdin      its standard input, bytes; none: it is empty
-- @option env        {NAME = value}, added to its environment
-- @option cwd        the folder in which it runs
-- @option user       as whom it runs (default root)
-- @option on_line    function(line, "stdout" or "stderr"), called with each line as it comes; it may wait
-- @option max_output bytes of each of its outputs that are kept (default: defaults.max_output)
-- @error  misuse only: what is no text, unknown options
-- @example vm
--   local a = vm("a")
--   local result = a:run("ping -c 3 -i 0.2 b", { timeout = "10s" })
--   if not result.ok then print(result.status, result.stderr) end
function Node:run(cmd, opts)
    local spec = spec_of(self, cmd, opts, "run")
    return run(self, spec)
end

local function outcome_text(result)
    if result.timed_out then return ("timed out after %s"):format(units.format_duration(result.duration)) end
    if result.error then return "failed: " .. result.error end
    if result.signal then return ("was killed by signal %d"):format(result.signal) end
    return ("ended with status %d"):format(result.status)
end

-- What else an error says comes below the command; the console's end is among it then.
local function failure_text(self, result)
    local outcome, more = outcome_text(result):match("^([^\n]*)\n*(.*)$")
    local parts = { ("%s: command %s: %s"):format(self.name, outcome, result.cmd) }
    if more ~= "" then parts[#parts + 1] = "  " .. more:gsub("\n", "\n  ") end
    if result.stderr ~= "" then parts[#parts + 1] = "  standard error:\n    " .. text.tail(result.stderr, 20, "\n    ") end
    local console = more == "" and self:console_tail() or ""
    if console ~= "" then parts[#parts + 1] = "  console:\n    " .. text.tail(console, 8, "\n    ") end
    return table.concat(parts, "\n")
end

--- node:succeed(cmd, opts) -> text, result: as node:run, but raises unless the status is 0.
-- @param cmd  text for sh
-- @options node:run
-- @return  its standard output, and the result
-- @error   the command, how it ended, its standard error, and the end of the console
-- @example vm
--   local a = vm("a")
--   local kernel = a:succeed("uname -r")
function Node:succeed(cmd, opts)
    local spec = spec_of(self, cmd, opts, "succeed")
    local result = run(self, spec)
    if not result.ok then error(failure_text(self, result), 2) end
    return result.stdout, result
end

--- node:fail(cmd, opts) -> result: as node:run, but raises when the status is 0, and when it did not end by itself.
-- @param cmd  text for sh
-- @options node:run
-- @error  that it succeeded, timed out, or could not be run
-- @example vm
--   local a = vm("a")
--   a:fail("ping -c 1 -W 1 192.0.2.1")
function Node:fail(cmd, opts)
    local spec = spec_of(self, cmd, opts, "fail")
    local result = run(self, spec)
    if result.ok then error(("%s: command succeeded, and was to fail: %s"):format(self.name, cmd), 2) end
    if result.error or result.timed_out then error(failure_text(self, result), 2) end
    return result
end

--- node:ok(cmd, opts) -> boolean: runs a command as node:run does, and says whether the status is 0.
-- @param cmd  text for sh
-- @options node:run
-- @example vm
--   local a = vm("a")
--   eventually("30s", function() return a:ok("ping -c 1 -W 1 b") end)
function Node:ok(cmd, opts)
    local spec = spec_of(self, cmd, opts, "ok")
    return run(self, spec).ok
end

--- Checks a command and its options, and returns what starts it: fn() -> job on node `self` that waits there for :release().
--- `where` names the caller in errors.
function node.holding(self, cmd, opts, where)
    local spec = spec_of(self, cmd, opts, where)
    spec.hold = true
    return function()
        local machine, why = self:channel()
        return job.start(self, machine, spec, why)
    end
end

--- node:spawn(cmd, opts) -> job: starts a command and goes on; any number may run in a node at once.
-- Its standard input is open for job:write, unless stdin= is given. It has no time limit unless one is given.
-- @param cmd  text for sh
-- @options node:run
-- @example vm
--   local a = vm("a")
--   local server = a:spawn("nc -l -p 80")
--   a:wait_port(80)
--   server:kill()
function Node:spawn(cmd, opts)
    local spec = spec_of(self, cmd, opts, "spawn")
    if not (opts and opts.timeout) then spec.timeout = nil end
    spec.pipe, spec.stream = spec.stdin == nil, true
    local machine, why = self:channel()
    local running = job.start(self, machine, spec, why)
    if spec.on_line then read_lines(running, spec.on_line) end
    return running
end

-- How a command ended that was to succeed, in a line; `failed`: what it means that it did not.
local function last_try(result, failed)
    if not result then return "the first try did not end" end
    if result.error or result.timed_out or result.signal then return job.how_ended(result):match("^[^\n]*") end
    return failed or text.tail(("status %d\n%s"):format(result.status, text.tail(result.stderr, 1)), 2, ": ")
end

-- Runs a command until it succeeds.
local function poll(self, what, timeout, cmd, failed)
    local seconds, last = units.duration(timeout or node.defaults.timeout, "timeout", 3), nil
    local ok, err = pcall(conditions.eventually, seconds, function()
        last = self:run(cmd)
        return last.ok
    end, { every = 0.1 })
    if ok then return end
    if err == errors.CANCEL then errors.again(err) end
    error(("%s: %s: not within %s; %s"):format(self.name, what, units.format_duration(seconds), last_try(last, failed)), 3)
end

--- node:wait_until(cmd, timeout) -> true: runs a command again and again until its status is 0.
-- @param cmd      text for sh
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @error  when the time has passed, with how it ended last
-- @example vm
--   local a = vm("a")
--   a:wait_until("ip route | grep -q 10.0.5.0", "30s")
function Node:wait_until(cmd, timeout)
    check_command(self, cmd, "wait_until")
    poll(self, "wait_until " .. cmd, timeout, cmd)
    return true
end

--- node:wait_port(port, timeout) -> true: waits until something in the node listens on a TCP port.
-- @param port     1 to 65535
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @error  when the time has passed
-- @example vm
--   local a = vm("a")
--   a:spawn("httpd -f -p 8080")
--   a:wait_port(8080)
function Node:wait_port(port, timeout)
    if math.type(port) ~= "integer" or port < 1 or port > 65535 then error("wait_port: want a port, 1 to 65535", 2) end
    local cmd = ("grep -qE '^ *[0-9]+: [0-9A-F]+:%04X [0-9A-F:]+ 0A' /proc/net/tcp /proc/net/tcp6"):format(port)
    poll(self, ("wait_port %d"):format(port), timeout, cmd, "nothing listens there")
    return true
end

--- node:wait_file(path, timeout) -> true: waits until a path exists in the node.
-- @param path     in the node
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @error  when the time has passed
-- @example vm
--   local a = vm("a")
--   a:wait_file("/run/ready", "20s")
function Node:wait_file(path, timeout)
    if type(path) ~= "string" then error("wait_file: want a path", 2) end
    poll(self, "wait_file " .. path, timeout, ("[ -e %s ]"):format(quote(path)), "it is not there")
    return true
end

--- See files for these four.
Node.read, Node.write, Node.put, Node.get = files.read, files.write, files.put, files.get

-- The network interface on a link or switch, or with a number; raises at the caller's caller.
local function find_nic(self, key, where)
    errors.check_colon(node.is(self), where, "node")
    if key == nil then key = 1 end
    for i, nic in ipairs(self.nics) do
        if i == key or nic.link == key or nic.link.switch == key and key ~= nil then return nic end
    end
    error(("%s: %s: no network interface %s (it has %d)"):format(self.name, where, tostring(key), #self.nics), 3)
end

--- node:ip(link_or_index=1) -> string: its address on a link, as "10.0.0.1".
-- @param link_or_index  a link, a switch, or the number of an interface, from 1
-- @return  nil on a link without addresses
-- @error   when it has no such interface
-- @example
--   local a, b = responder("a"), responder("b")
--   local cable = link(a, b, { subnet = "10.5.0.0/24" })
--   check.equal({ a:ip(), b:ip(cable) }, { "10.5.0.1", "10.5.0.2" })
function Node:ip(key)
    local nic = find_nic(self, key, "ip")
    return nic.ip
end

--- node:ifname(link_or_index=1) -> string: the name of an interface in the node, as "eth0".
-- @param link_or_index  as for node:ip
-- @error  when it has no such interface
-- @example
--   local a = responder("a")
--   link(a, responder("b"))
--   check.equal(a:ifname(1), "eth0")
function Node:ifname(key)
    local nic = find_nic(self, key, "ifname")
    return nic.ifname
end

local function free_index(self, taken)
    local used = {}
    for _, nic in ipairs(self.nics) do used[nic.index] = true end
    local index = 1
    while used[index] or taken[index] do index = index + 1 end
    return index
end

--- A network interface more for a node, not on any end of the fabric yet: { node, index, link, subnet, ip, mac, ifname }.
--- Its index, from 1, is the lowest that is free: not of another interface, nor in `taken`. Raises when the subnet has no
--- address left.
function node.add_nic(self, link, subnet, taken)
    local ip
    if subnet then
        ip = subnet:next_host()
        if not ip then errors.raise(("link: no free address left in the subnet %s"):format(tostring(subnet))) end
    end
    local index = free_index(self, taken or {})
    local nic = { node = self, index = index, link = link, subnet = subnet, ip = ip,
        mac = address.mac(self.number, index), ifname = "eth" .. (index - 1) }
    self.nics[#self.nics + 1] = nic
    return nic
end

--- Takes an interface out of a node's list; the ones behind it move up. Its address is free again.
function node.remove_nic(self, nic)
    self.nics = testbed.without(self.nics, nic)
    if nic.ip then nic.subnet:release(nic.ip) end
end

--- The end of an interface, of a kind of node whose interfaces stay: it has no carrier.
function Node:remove_nic(nic) self:set_carrier(nic, false) end

--- Whether a value is a node of any kind.
function node.is(v)
    local class = getmetatable(v)
    return type(class) == "table" and classes[class] == true
end

--- Makes a class of nodes with a readable error for what it does not have.
function node.class(name, methods)
    local class = { __name = name }
    classes[class] = true
    known.register(name, methods, class, "node")
    local all = setmetatable(methods, { __index = Node })
    function class.__index(self, key)
        local value = all[key]
        if value ~= nil then return value end
        errors.raise(("%s %s has no field or method %q%s"):format(name, rawget(self, "name"), tostring(key),
            options.hint(key, methods, Node)))
    end
    function class.__tostring(self) return ("%s %s (%s)"):format(name, self.name, self.state) end
    return class
end

return node
