-- SPDX-License-Identifier: MIT
-- Waiting for text in a stream: a machine's serial console, and a job's output.
--
-- A match that more bytes could change ("foo\d+" at the end of what has come, and "# $" too) is taken once the stream has
-- been silent for a moment, or has ended, or the time is over; any other is taken at once. So neither is a match cut
-- short where a piece of the stream ends, nor is a prompt waited for in vain.

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local console = {}

-- The moment: pieces of one line came up to 3 ms apart from a machine with the processor to itself, and more when many
-- machines share it.
local SILENCE = 0.03

local TAIL_BYTES, TAIL_LINES = 2000, 10
local QUOTED = 100 -- so much of a pattern is shown

-- Streams ------------------------------------------------------------------------------------------------------------

local Stream = {}
Stream.__index = Stream

--- A stream called `name` in errors.
function console.stream(name)
    return setmetatable({ name = name, window = core.expect(), news = core.future(), state = "none", failure = false,
        fed = 0, waiting = false, settling = false, ended = false, listeners = {} }, Stream)
end

local function wake(self)
    self.news:set()
    self.news = core.future()
end

-- Takes the outcome of a search.
local function note(self, state, why) self.state, self.failure = state or "failed", why or false end

local Listener = {}
Listener.__index = Listener

--- Has fn(data) called for all that comes, until what it returns is closed.
function Stream:listen(fn)
    local listener = setmetatable({ listeners = self.listeners }, Listener)
    self.listeners[listener] = fn
    return listener
end

function Listener:close() self.listeners[self] = nil end
Listener.__close = Listener.close

--- Bytes came.
function Stream:feed(data)
    for _, fn in pairs(self.listeners) do fn(data) end
    local state, why = self.window:feed(data)
    self.fed = core.now()
    if not self.waiting or self.state == "matched" or self.failure then return end
    note(self, state, why)
    if state ~= "none" and not (state == "undecided" and self.settling) then wake(self) end
end

--- No more will come; `why` says so in errors.
function Stream:finish(why)
    self.ended = why
    wake(self)
end

--- A new stream takes its place.
function Stream:restart()
    self.window:reset()
    self.ended = false
    if self.waiting then self.window:arm(self.waiting) end
end

local function printable(text)
    return (text:gsub("\r", ""):gsub("[^\n\t\x20-\x7e\x80-\xff]", function(c) return ("\\x%02x"):format(c:byte()) end))
end

local function tail_text(self)
    local lines = {}
    for line in printable(self.window:tail(TAIL_BYTES)):gmatch("[^\n]+") do lines[#lines + 1] = line end
    if #lines == 0 then return "\n  nothing came" end
    return "\n  the end of what came:\n    " .. table.concat(lines, "\n    ", math.max(1, #lines - TAIL_LINES + 1))
end

local function shown(patterns)
    local quoted = {}
    for i, pattern in ipairs(patterns) do quoted[i] = inspect.quote(pattern, QUOTED) end
    return table.concat(quoted, " or ")
end

local function check_patterns(self, patterns)
    if type(patterns) == "string" then patterns = { patterns } end
    if type(patterns) ~= "table" or #patterns == 0 then
        errors.raise(("%s: expect: want a pattern or a list of patterns, not %s"):format(self.name,
            type(patterns) == "table" and "an empty table" or type(patterns)))
    end
    local regexes = {}
    for i, pattern in ipairs(patterns) do
        if type(pattern) ~= "string" then
            errors.raise(("%s: expect: pattern %d is a %s, not a string"):format(self.name, i, type(pattern)))
        end
        local regex, why, offset = core.regex(pattern, true)
        if not regex then
            errors.raise(("%s: expect: bad pattern %s: %s at offset %d"):format(self.name, inspect.quote(pattern, QUOTED),
                why, offset))
        end
        regexes[i] = regex
    end
    return patterns, regexes
end

-- Whether nothing came since `fed`, also when what came before this task ran is let in.
local function is_silent(self, fed)
    core.wait({ self.news }, 0.001)
    return self.fed == fed
end

-- Returns the match; nil, and why when the search itself failed.
local function await(self, deadline)
    note(self, self.window:search(false))
    while self.state ~= "matched" do
        if self.failure then return nil, self.failure end
        local now, fed = core.now(), self.fed
        local undecided = self.state == "undecided"
        local decide = undecided and math.min(fed + SILENCE, deadline) or deadline
        self.settling = undecided
        if now < decide and not self.ended then
            core.wait({ self.news }, decide - now)
        elseif self.ended or now >= deadline or is_silent(self, fed) then
            note(self, self.window:search(true))
            if self.state == "none" and (self.ended or now >= deadline) then return nil end
        end
    end
    return self.window:matched()
end

-- How long to wait when the script does not say; node requires this module.
local function default_timeout()
    local node = require "qemunet.nodes.node"
    return node.defaults.timeout
end

-- Returns the match, or nil, why if the search itself failed, and the patterns.
local function search(self, given, seconds)
    local patterns, regexes = check_patterns(self, given)
    if self.waiting then errors.raise(self.name .. ": another task waits in expect") end
    self.waiting = regexes
    self.window:arm(regexes)
    local guard <close> = setmetatable({}, { __close = function()
        self.window:disarm()
        self.waiting, self.settling = false, false
    end })
    local on_screen <close> = tasks.show_main(("%s: expecting %s"):format(self.name, shown(patterns):sub(1, 60)))
    local match, why = await(self, core.now() + seconds)
    return match, why, patterns
end

--- Waits until one of the patterns matches, `seconds` at most. Returns the match (see console:expect), or nil.
function Stream:seek(patterns, seconds)
    local match = search(self, patterns, seconds)
    return match
end

--- The end of what came, for people.
function Stream:tail() return tail_text(self) end

--- Waits until one of the patterns matches; see console:expect.
function Stream:expect(given, timeout)
    local seconds = units.duration(timeout or default_timeout(), "timeout", 3)
    local match, why, patterns = search(self, given, seconds)
    if match then return match end
    local how = why and ("expect %s: %s"):format(shown(patterns), why) or
        ("no match for %s%s"):format(shown(patterns), self.ended and "; " .. self.ended or
            " within " .. units.format_duration(seconds))
    errors.raise(("%s: %s%s"):format(self.name, how, tail_text(self)))
end

-- Consoles -----------------------------------------------------------------------------------------------------------

--- class console: the serial console of a virtual machine, vm.console.
-- @field vm vm  its machine
-- @example vm
--   local a = vm("a")
--   a.console:send("echo $((6*7))\n")
--   check.equal(a.console:expect("(?<sum>\\d+)\n", "10s").sum, "42")
--   check.match(a.console:log(), "echo")
local Console = { __name = "console" }
class.register("console", Console, Console)

function Console:__index(key)
    if Console[key] == nil then
        errors.raise(("a console has no field or method %q%s"):format(tostring(key), options.hint(key, Console)))
    end
    return Console[key]
end

function Console:__tostring() return self.stream.name end

--- The console of a virtual machine, which feeds its field `stream`; `log_path` gives the path of its log, or nil.
function console.new(vm, log_path)
    return setmetatable({ vm = vm, log_path = log_path, stream = console.stream(vm.name .. ": console") }, Console)
end

local function check_self(self, method) errors.check_colon(getmetatable(self) == Console, method, "console") end

local function boot_if_first(self)
    if self.vm.state == "defined" then self.vm:boot() end
end

--- console:send(text) -> true: types a text at the console. Boots the machine, if this is its first use.
-- @param text  bytes; "\n" is Enter
-- @return  nil, why, "state" when the machine is down or its console carries its commands
function Console:send(text)
    check_self(self, "send")
    if type(text) ~= "string" then errors.raise(("%s: send: want a string, not %s"):format(self.stream.name, type(text))) end
    boot_if_first(self)
    local vm = self.vm
    if vm.line then return nil, ("the console of vm %s carries its commands"):format(vm.name), "state" end
    if not vm.machine or self.stream.ended then return nil, ("vm %s is %s"):format(vm.name, vm.state), "state" end
    local sent, why = vm.machine:console_write(text)
    if not sent then return nil, why, "console" end
    return true
end

--- console:expect(pattern, timeout) -> table: waits until the console has shown what a pattern matches.
-- It searches from the end of the last match on, at first from the machine's start, for what starts first. ^ and $ match at
-- lines. A match that more bytes could change is taken after a moment of silence.
-- @param pattern  a regular expression (PCRE2), or a list of them
-- @param timeout  how long at most (duration; default: defaults.timeout)
-- @return  { index = which pattern, text = what it matched, before = what came between the last match and this one, truncated =
--   whether that is not all of it (the last 64K at least are kept), [1] and so on: its groups, NAME = each named group }
-- @error   when the time has passed or the machine ends, with the end of what came
function Console:expect(pattern, timeout)
    check_self(self, "expect")
    boot_if_first(self)
    local match = self.stream:expect(pattern, timeout)
    return match
end

--- console:log() -> string: all that the console has shown in this run.
function Console:log()
    check_self(self, "log")
    local path = self.log_path()
    local file = path and io.open(path, "rb")
    if not file then return self.stream.window:tail(math.maxinteger) end
    local text = file:read("a")
    file:close()
    return text
end

return console
