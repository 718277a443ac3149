-- SPDX-License-Identifier: MIT
-- The prompt: reads what a person types, runs it as a task, shows what it gave. Everything else goes on meanwhile.

local commands = require "qemunet.repl.commands"
local completion = require "qemunet.repl.completion"
local core = require "qemunet.core"
local display = require "qemunet.repl.display"
local entry = require "qemunet.repl.entry"
local errors = require "qemunet.errors"
local modules = require "qemunet.program.modules"
local scopes = require "qemunet.repl.scope"
local tasks = require "qemunet.tasks"
local terminal = require "qemunet.repl.terminal"

local repl = {}

local PROMPT, MORE = "qemunet> ", "      >> "

-- No entry may be longer, in bytes, nor may a line.
local LONGEST = 1 << 20
local NAME = "=input"

local Session = {}
Session.__index = Session

-- The sessions that are there, innermost last; Tab is for the last.
local sessions = {}

-- Whether an entry is being run: failures of tasks that nobody has joined are told of when it has ended.
local evaluating = 0

-- What is said ------------------------------------------------------------------------------------------------------

local function message_of(failure)
    local err = failure.message
    return type(err) == "string" and err or display.text(err)
end

-- A trace says nothing when all of it is the line that was typed.
local function trace_of(failure)
    local trace = failure.trace or ""
    for line in trace:gmatch("[^\n]+") do
        if not line:find("^    input:") then return "\n  where:\n" .. trace end
    end
    return ""
end

local function report(failure, prefix)
    core.log(-1, (prefix or "") .. message_of(failure) .. trace_of(failure))
end

local function report_unjoined()
    for _, failure in ipairs(tasks.take_unjoined()) do report(failure, "a task failed: ") end
end

-- Takes the place of what ends a run when a task fails. Returns what to close when it is to be as before.
local function keep_going()
    local before, unjoined = tasks.on_failure, tasks.on_unjoined
    tasks.on_failure = function(failure) report(failure, "a task failed: ") end
    tasks.on_unjoined = function()
        if evaluating == 0 then report_unjoined() end
    end
    return setmetatable({}, { __close = function() tasks.on_failure, tasks.on_unjoined = before, unjoined end })
end

-- Running -----------------------------------------------------------------------------------------------------------

-- Runs fn as a task that Ctrl-C ends. Returns its values, packed; or nil and its failure.
local function run_entry(fn)
    evaluating = evaluating + 1
    local done <close> = setmetatable({}, { __close = function() evaluating = evaluating - 1 end })
    local task = tasks.start(function()
        tasks.show_waits()
        return fn()
    end)
    core.foreground(task.done)
    local values, failure = tasks.settle(task)
    core.foreground()
    return values, failure
end

-- Whether the whole run is to end.
local function check_stopped(failure)
    if failure.message == errors.CANCEL and core.stop_reason() then error(errors.CANCEL, 0) end
end

function Session:fail(failure)
    check_stopped(failure)
    self.failures = self.failures + 1
    if failure.message == errors.CANCEL then return core.log(-1, "interrupted") end
    report(failure)
end

--- Shows values, packed, and keeps the last one as `_`. A call that gives nothing but nil shows nothing.
function Session:show(values, text)
    if values.n == 0 or values.n == 1 and values[1] == nil and (text or ""):find("%)%s*$") then return end
    self.scope:declare { "_" }
    self.scope.values._ = values[1]
    local lines = {}
    for i = 1, values.n do lines[i] = display.text(values[i]) end
    core.print(table.concat(lines, "\n") .. "\n")
end

--- Runs a text as if it had been typed.
function Session:evaluate(text)
    local fn, how = entry.compile(text, self.scope, NAME)
    if not fn then return self:fail { message = how } end
    local values, failure = run_entry(fn)
    if failure then return self:fail(failure) end
    self:show(values, text)
end

-- A command may wait as an entry does.
local function run_command(self, line)
    local values, failure = run_entry(function() return errors.try(commands.run, self, line) end)
    if not failure and not values[1] then failure = { message = values[2] } end
    if failure then self:fail(failure) end
end

--- Runs a file with the session's variables; those that are local at its top level are there afterwards.
function Session:load(path)
    local text, why = modules.read_text(path)
    if not text then return self:fail { message = why } end
    local promoted, names = entry.promote(text)
    self.scope:declare(names)
    local fn, problem = errors.load(promoted, "@" .. path, "t", self.scope.env)
    if not fn then return self:fail { message = problem } end
    local _, failure = run_entry(fn)
    if failure then self:fail(failure) end
end

--- Has the variables of a frame in reach.
function Session:enter(frame)
    self.scope = scopes.new(frame and frame:globals() or self.globals, frame)
end

-- Reading -----------------------------------------------------------------------------------------------------------

-- What is typed up to the end of a statement; "" when it was discarded; nil at the end of the input, which is also where
-- what comes cannot have been typed.
local function read_entry(self)
    self.lines = {}
    local size = 0
    while true do
        local how, line = self.owner:read(#self.lines == 0 and self.prompt or MORE)
        if how == "interrupted" then return "" end
        if how == "end" and #self.lines == 0 then return nil end
        size = size + #(line or "") + 1
        if how == "too long" or size > LONGEST then
            self:fail { message = ("input: an entry of more than %d bytes"):format(LONGEST) }
            return nil
        end
        if how == "line" then self.lines[#self.lines + 1] = line end
        local text = table.concat(self.lines, "\n")
        if how == "end" or commands.is_one(text) or not entry.is_unfinished(text) then return text end
    end
end

local function remember(text)
    local line = entry.one_line(text)
    if line then return terminal.remember(line) end
    for each in text:gmatch("[^\n]+") do terminal.remember(each) end
end

local function do_entry(self, text)
    if not text:find("%S") then return end
    remember(text)
    if commands.is_one(text) then run_command(self, text) else self:evaluate(text) end
    if evaluating == 0 then report_unjoined() end
end

local function complete(before)
    local self = sessions[#sessions]
    if not self then return end
    local whole = table.concat(self.lines, "\n") .. (#self.lines > 0 and "\n" or "") .. before
    completion.complete(whole, self.scope, commands.names(self))
end

-- Whether there is a prompt to go back to.
local function enter(self)
    terminal.open()
    terminal.complete = complete
    self.owner = terminal.claim()
    sessions[#sessions + 1] = self
    core.prompting(true)
    return setmetatable({}, { __close = function()
        for i, each in ipairs(sessions) do
            if each == self then table.remove(sessions, i) end
        end
        self.owner:__close()
        core.prompting(#sessions > 0)
    end })
end

--- A session in the globals of a script. `frames`: the script's, if it is at a place in a script (see frames).
function repl.new(globals, frames, prompt)
    local self = setmetatable({ globals = globals, frames = frames or false, prompt = prompt or PROMPT, lines = {}, failures = 0,
        over = false, scope = false, owner = false }, Session)
    self:enter(frames and frames[1] or nil)
    return self
end

--- Reads and runs entries until the person ends it. `first`: a function to be called before the first.
function Session:loop(first)
    local inside <close> = enter(self)
    local going <close> = keep_going()
    if first then first() end
    while not self.over do
        local text = read_entry(self)
        if not text then break end
        do_entry(self, text)
    end
end

--- The whole of `qemunet repl`. `env`: the script's globals; `file`: to be run first, or nil. Raises when the input is no
--- terminal and an entry failed.
function repl.run(env, file)
    local self = repl.new(env)
    if core.is_terminal() then
        core.print(("qemunet %s; :help says what a line can be, Ctrl-D ends\n"):format(core.VERSION))
    end
    self:loop(file and function() self:load(file) end)
    if self.failures > 0 and not core.is_terminal() then
        error(self.failures == 1 and "one entry failed" or ("%d entries failed"):format(self.failures), 0)
    end
end

return repl
