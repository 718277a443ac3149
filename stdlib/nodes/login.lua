-- SPDX-License-Identifier: MIT
-- The way into a guest that nothing was prepared in: log in at its serial console, and start from there the shell on the
-- port that commands go to; or, where it has no such port, keep the console for the commands.

local console = require "qemunet.nodes.console"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local serial = require "qemunet.nodes.serial"
local serial_job = require "qemunet.nodes.serial_job"
local units = require "qemunet.units"

local login = {}

-- Regular expressions for the end of what a console shows. A prompt may be followed by what moves the cursor.
local AFTER = [[[ \t]*(?:\x1b\[[0-9;?]*[A-Za-z])*$]]
local PROMPTS = {
    user = [[(?i)(?:login|user ?name|user)[ \t]*:]] .. AFTER,
    password = [[(?i)pass(?:word|phrase)[^\n]{0,40}:]] .. AFTER,
    shell = [=[[#$%>]]=] .. AFTER,
}
local REFUSED = [[(?i)(?:login incorrect|login failed|authentication failure|access denied|account (?:is )?(?:locked|disabled))]]

local NUDGE = 5 -- after so many seconds of silence, Enter is pressed: some consoles wait for it
local PORTS_PATIENCE = 60

login.PROMPT_OPTIONS = { user = { type = "string" }, password = { type = "string" }, shell = { type = "string" } }

-- The prompts that the script gives, by their kinds.
local function own_prompts(opts) return type(opts.prompt) == "table" and opts.prompt or { shell = opts.prompt } end

--- Checks a machine's options of the log-in: user=, password=, prompt= a regular expression of the shell's prompt, or
--- {user=, password=, shell=}, of each. Raises at `level`.
function login.check(opts, where, level)
    if opts.user and opts.user:find("%c") then error(where .. ": user= has a control character", level + 1) end
    if opts.password and opts.password:find("[\r\n]") then error(where .. ": password= has more than one line", level + 1) end
    for name, pattern in pairs(options.check(own_prompts(opts), login.PROMPT_OPTIONS, where .. ": prompt", level + 1)) do
        local regex, why, offset = core.regex(pattern, true)
        if not regex then
            error(("%s: prompt: bad pattern %q for %s: %s at offset %d"):format(where, pattern, name, why, offset), level + 1)
        end
    end
end

-- A problem that ends the log-in.
local function fail(...) errors.problem((...):format(select(2, ...))) end

local function prompts_of(opts)
    local own = own_prompts(opts)
    local function one(name) return own[name] and "(?:" .. own[name] .. ")" .. AFTER or PROMPTS[name] end
    return { one "user", one "password", REFUSED, one "shell" }
end

local Entry = {}
Entry.__index = Entry

local function type_line(self, text) self.vm.machine:console_write(text .. "\n") end

-- Has a shell compute. Returns 0 when one answers; 1 or 2 when it was no shell's prompt, as what asks for a user or a password
-- comes; nil when nothing does.
local function question_shell(self)
    local a, b = 1000 + core.random_seed() % 1000, 1000 + core.random_seed() % 1000
    type_line(self, ("echo qn-$((%d*%d))-qn"):format(a, b))
    local match = self.stream:seek({ ("qn-%d-qn"):format(a * b), self.prompts[1], self.prompts[2] }, NUDGE)
    return match and match.index - 1
end

local answer = {}

answer[1] = function(self)
    self.asked_user = self.asked_user + 1
    if self.asked_user > 3 then fail("it asks for a user name again and again; is %s one of its users?", self.user) end
    self.step = ("it was given the user name %s"):format(self.user)
    type_line(self, self.user)
end

answer[2] = function(self)
    if not self.vm.opts.password then
        fail("it asks for the password of %s: give password= (and user=, if it is not %s)", self.user, self.user)
    end
    self.step = ("it was given the password of %s"):format(self.user)
    type_line(self, self.vm.opts.password)
end

-- Once may be for an Enter that was pressed at the wrong moment.
answer[3] = function(self)
    self.refused = self.refused + 1
    if self.refused > 1 then fail("it refused the log-in of %s: wrong user= or password=", self.user) end
end

answer[4] = function(self)
    self.step = "it showed what looks like a shell's prompt"
    local index = question_shell(self)
    return index == 0 or index and answer[index](self)
end

-- Until a shell answers at the console.
local function reach_shell(self)
    while core.now() < self.deadline do
        local match = self.stream:seek(self.prompts, math.min(NUDGE, self.deadline - core.now()))
        if match and answer[match.index](self) then return end
        if not match and not self.vm.ended:is_set() then type_line(self, "") end
    end
    fail("no shell answered at its serial console within %s of power-on; %s (give prompt= if its prompts are unusual, " ..
        "boot_timeout= if it is slow)", units.format_duration(self.seconds), self.step)
end

-- Has the guest start the shell on its port. Returns "started", or why it cannot, of REASONS.
local function start_ports(self, line)
    self.step = "its shell was asked for the virtio console"
    local outcome, why = line:ask("qn_ports", serial.words "ports (%l+)", 3)
    if not outcome then fail("after the log-in: %s", why) end
    return outcome
end

local REASONS = {
    none = "its kernel has no virtio console",
    denied = "its user may not open the virtio console's ports",
}

local function enter(self)
    local vm = self.vm
    reach_shell(self)
    self.step = "its shell was given the reader of requests"
    local line = serial.line(function(text) return vm.machine:console_write(text) end)
    function line:start(spec) return serial_job.start(self, spec) end
    vm.watcher = function(data) line:feed(data) end
    local begun, why = line:begin()
    if not begun then fail("after the log-in: %s", why) end
    local outcome = start_ports(self, line)
    if outcome == "started" then
        line:leave()
        if not core.wait({ vm.shell_up }, PORTS_PATIENCE) then fail("after the log-in: the shell on its virtio port does not answer") end
        return
    end
    core.log(0, ("%s: %s: commands go over its serial console, which is slow"):format(vm.name, REASONS[outcome]))
    line:ask("dmesg -n 1; echo silenced .", serial.words ".*(silenced)", 1)
    vm.line = line
    vm.machine:settle()
end

--- Begins to log in to a machine that boots, and gives up at `deadline` (experiment seconds). Returns an entry: its future
--- `done`, its field `problem` (what went wrong, or false), and :cancel(). The machine's shell_up is set when it worked.
function login.enter(vm, deadline)
    local self = setmetatable({ vm = vm, deadline = deadline, seconds = deadline - core.now(), done = core.future(),
        problem = false, user = vm.opts.user or "root", asked_user = 0, refused = 0, step = "it showed no prompt",
        prompts = prompts_of(vm.opts), stream = console.stream(vm.name .. ": log-in") }, Entry)
    vm.watcher = function(data) self.stream:feed(data) end
    self.thread = core.spawn(function()
        local ok, why = errors.try(enter, self)
        if not ok then self.problem = ("log-in: %s%s"):format(tostring(why), self.stream:tail()) end
        self.done:set()
    end)
    return self
end

--- The guest needs no log-in.
function Entry:cancel()
    if self.done:is_set() then return end
    core.cancel(self.thread)
    self.vm.watcher = false
end

return login
