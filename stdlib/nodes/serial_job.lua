-- SPDX-License-Identifier: MIT
-- Commands over a line of requests (see serial): the same as a machine of the core runs over its ports, slower. What a
-- command writes is gathered in files of the guest and fetched from there.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local quote = require "qemunet.text".quote
local serial = require "qemunet.nodes.serial"

local serial_job = {}

local POLL, POLL_STREAM = 1, 0.2 -- the guest says when a command has ended, unless that is lost
local KILL_GRACE = 10
local STDIN_MAX = 64 << 20
local STREAMS = { { "stdout", "o" }, { "stderr", "e" } }

local Handle = {}
Handle.__index = Handle

local function wake(self)
    self.news:set()
    self.news = core.future()
end

--- Queues bytes for its standard input. Returns true; nil and why.
function Handle:write(data)
    if self.ended or self.stdin_closed then return nil, "its standard input is closed" end
    if self.stdin_waits + #data > STDIN_MAX then return nil, "the command does not read its standard input" end
    table.insert(self.stdin, data)
    self.stdin_waits = self.stdin_waits + #data
    wake(self)
    return true
end

--- Bytes of its standard input that the guest does not have yet.
function Handle:pending() return self.stdin_waits end

function Handle:close_stdin()
    self.stdin_closed = true
    wake(self)
    return true
end

--- Signals its process group, by the signal's name without SIG.
function Handle:kill(name)
    if self.ended then return nil, "it has ended" end
    table.insert(self.signals, name)
    wake(self)
    return true
end

--- Lets a held command begin. Returns true; nil and why.
function Handle:release()
    if self.ended or self.hold ~= "armed" then return nil, "it is not armed" end
    self.hold = "released"
    wake(self)
    return true
end

-- The command's script; see console.sh for the files.
local function script_of(self)
    local base = quote(self.line.folder .. "/" .. self.id)
    local lines = { ("echo $$ >%s.p"):format(base) }
    if self.hold then lines[#lines + 1] = ("read -r qn <%s.g; : >%s.b; unset qn"):format(base, base) end
    if core.needs_shell(self.spec.command) then
        lines[#lines + 1] = ("trap '[ $? -le 128 ] || : >%s.x' EXIT"):format(base:gsub("'", "'\\''"))
        lines[#lines + 1] = ("eval %s; exit"):format(quote(self.spec.command))
    else
        lines[#lines + 1] = "exec " .. self.spec.command
    end
    return table.concat(lines, "\n") .. "\n"
end

local function ask(self, request, pattern) return self.line:ask(request, serial.words(pattern)) end

-- Raised through the steps below, and the command's error then.
local function want(value, why)
    if value == nil then errors.problem(why) end
    return value
end

local function send_stdin(self)
    local since = core.now()
    while self.stdin[1] and core.now() - since < POLL_STREAM do
        local data = self.stdin[1]
        local taken = want(self.line:append(self.id .. ".w", self.stdin_sent, data, self.stdin_at))
        self.stdin_at, self.stdin_sent = self.stdin_at + taken, self.stdin_sent + taken
        self.stdin_waits = self.stdin_waits - taken
        if self.stdin_at > #data then
            table.remove(self.stdin, 1)
            self.stdin_at = 1
        end
    end
    if not self.stdin[1] and self.stdin_closed and not self.stdin_told then
        want(ask(self, (": >>\"$qn_d/%d.w0\"; qn_fed %d; echo closed ."):format(self.id, self.id), "(closed)"))
        self.stdin_told = true
    end
end

local function send_signals(self)
    while self.signals[1] do
        local pid = want(ask(self, ("qn_kill %d %s"):format(self.id, self.signals[1]), "signalled (%S+)"))
        if pid == "-" then return end -- has not begun yet
        table.remove(self.signals, 1)
    end
end

-- Fetches what there is of its output, up to the given sizes.
local function fetch(self, sizes)
    for i, stream in ipairs(STREAMS) do
        local most = self.spec.max_output
        if sizes[i] > most then self.truncated = true end
        local upto = self.spec.output and sizes[i] or math.min(sizes[i], most)
        while self.got[i] < upto do
            local data = want(self.line:get(self.id .. "." .. stream[2], self.got[i], upto))
            local room = math.max(0, most - self.got[i])
            self.got[i] = self.got[i] + #data
            if room > 0 then table.insert(self.parts[i], data:sub(1, room)) end
            if self.spec.output then self.spec.output(stream[1], data) end
        end
    end
end

-- Returns its end's kind and status once it has ended.
local function look(self)
    local out, err, pid, begun, ended = self.line:ask("qn_look " .. self.id,
        serial.words "look (%d+) (%d+) (%S+) ([b-]) (%S+ ?%d*)")
    want(out, err)
    if pid ~= "-" and self.hold == "held" then
        self.hold = "armed"
        if self.spec.armed then self.spec.armed() end
    end
    if begun == "b" and self.hold == "gone" then
        self.hold, self.started = false, core.now()
    end
    local kind, status = ended:match("^(%l+) (%d+)$")
    if kind or self.spec.output then fetch(self, { tonumber(out), tonumber(err) }) end
    return kind, tonumber(status)
end

local function past_deadline(self)
    if not self.deadline or core.now() < self.deadline then return end
    if self.timed_out then errors.problem("timed out, and the guest did not confirm that it was killed") end
    self.timed_out = true
    self.deadline = core.now() + KILL_GRACE
    table.insert(self.signals, "KILL")
end

local function await_news(self, since)
    if self.stdin[1] or self.signals[1] and core.now() - since < 0.05 then return end
    local poll = (self.spec.output or self.hold or self.signals[1]) and POLL_STREAM or POLL
    if self.deadline then poll = math.min(poll, self.deadline - core.now()) end
    if self.news == self.seen then core.wait({ self.news }, math.max(poll, 0)) end
end

local function let_go(self)
    if self.hold ~= "released" then return end
    want(ask(self, "qn_go " .. self.id, "(went)"))
    self.hold = "gone"
    self.deadline = self.spec.timeout and core.now() + self.spec.timeout
end

local function run(self)
    local flags = "-" .. (self.spec.stdin and "i" or "") .. (self.hold and "h" or "")
    want(self.line:put(self.id .. ".c", script_of(self)))
    local old = table.concat(self.line.stale, " ")
    self.line.stale = {}
    want(ask(self, ('%sqn_run %d %s'):format(old ~= "" and ("(cd \"$qn_d\" && rm -f %s); "):format(old) or "", self.id, flags),
        "(started)"))
    self.started = core.now()
    while true do
        local since = core.now()
        self.seen = self.news
        send_stdin(self)
        let_go(self)
        past_deadline(self)
        send_signals(self)
        local kind, status = look(self)
        if kind then return kind, status end
        await_news(self, since)
    end
end

local function finish(self, ok, kind, status)
    local result = { stdout = table.concat(self.parts[1]), stderr = table.concat(self.parts[2]), started = self.started or nil,
        finished = core.now(), truncated = self.truncated, timed_out = self.timed_out }
    if ok then
        result.status = status
        result.signal = kind == "killed" and status > 128 and status <= 192 and status - 128 or nil
    else
        -- A cancelled task's error is no text.
        result.error = self.line.closed or type(kind) == "string" and kind or "it was given up"
    end
    self.ended = true
    self.line.listeners[self.id] = nil
    table.insert(self.line.stale, ("%d.*"):format(self.id))
    self.spec.done(result)
end

local function drive(self)
    local done <close> = setmetatable({}, { __close = function()
        if not self.ended then finish(self, false, "it was given up") end
    end })
    finish(self, errors.try(run, self))
end

--- Starts a command over a line; `spec` is that of a machine's start() in the core. Returns its handle.
function serial_job.start(line, spec)
    if line.closed then return nil, line.closed end
    line.jobs = line.jobs + 1
    local self = setmetatable({ line = line, spec = spec, id = line.jobs, news = core.future(), stdin = {}, stdin_at = 1,
        stdin_sent = 0, stdin_waits = 0, stdin_closed = not spec.stdin, stdin_told = not spec.stdin, signals = {}, got = { 0, 0 },
        parts = { {}, {} }, truncated = false, timed_out = false, hold = spec.hold and "held" or false,
        deadline = spec.timeout and core.now() + spec.timeout, started = false, ended = false, seen = false }, Handle)
    line.listeners[self.id] = function() wake(self) end
    core.spawn(drive, self)
    return self
end

return serial_job
