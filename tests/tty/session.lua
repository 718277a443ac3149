-- SPDX-License-Identifier: MIT
-- A person at a terminal, for tests: starts the program on one (see pty.c), types, and looks at what the screen is told.

local conditions = require "qemunet.conditions"
local console = require "qemunet.nodes.console"
local core = require "qemunet.core"

local session = {}

--- The program, and what gives it a terminal: those that were built together.
session.QEMUNET = os.getenv("QEMUNET") or core.real_path("/proc/self/exe")
local PTY = os.getenv("PTY") or session.QEMUNET:gsub("[^/]*$", "tests/tty/pty")

-- What is there already need not be made again.
local CACHE = os.getenv("XDG_CACHE_HOME") or os.getenv("HOME") .. "/.cache"

local Session = {}
Session.__index = Session

--- A new, empty folder; remove it with session.remove_folder(path).
function session.folder()
    local file <close> = io.popen("mktemp -d")
    return file:read("l")
end

function session.remove_folder(path) os.execute("rm -rf '" .. path .. "'") end

local count = 0

-- Runs fn until it gives a stream: the other end listens a moment after it has started.
local function connect(name, feed)
    return conditions.eventually(20, function() return core.connect(name, feed) end, { every = "2ms" })
end

--- Starts a program in a folder, where its history and runs are too.
function session.start_program(folder, ...)
    count = count + 1
    local name = ("qemunet-tty-%s-%d"):format(folder:match("[^/]*$"), count)
    local words = { PTY, name, "/usr/bin/env", "-C", folder, "XDG_STATE_HOME=" .. folder, "HOME=" .. folder,
        "XDG_CACHE_HOME=" .. CACHE, "XDG_RUNTIME_DIR=" .. folder, "TERM=xterm", "NO_COLOR=1", ... }
    local self = setmetatable({ screen = console.stream("terminal"), over = core.future() }, Session)
    words.output, words.on_end = folder .. "/pty.log", function(...) self.over:set(...) end
    self.process = assert(core.process(words))
    self.stream = connect(name, function(data) self.screen:feed(data) end)
    self.pid = tonumber(self:see("\\[pid (\\d+)\\]")[1])
    return self
end

--- Starts `qemunet ...` there.
function session.start(folder, ...) return session.start_program(folder, session.QEMUNET, ...) end

-- What the terminal is told for the status of the run (runtime/footer.c): its lines, whole, and that they are taken away.
local STATUS = "(?:(?:\r(?:[^\n]*\\x1b\\[K\r?\n)*[^\n]*\\x1b\\[K\\x1b\\[J(?:\\x1b\\[\\d+A)?\r)*(?:\r\\x1b\\[J)*)"

--- Waits for a match of a PCRE2 pattern in what comes from now on. The status may come, and go, wherever the pattern has the end
--- of a line and goes on. A pattern that begins with a line break matches at the beginning of a line, also where the status was
--- taken away from there.
function Session:see(pattern)
    return self.screen:expect((pattern:gsub("\r\n()", function(after)
        return after <= #pattern and "\r\n" .. STATUS or nil
    end):gsub("^\n", "(?:\n|\\x1b\\[J)")), 30)
end

--- Waits for the next prompt. Not by what the line ends with: whether more of it will come is found out by waiting.
function Session:see_prompt() self:see("(?:qemunet|lua:\\d+|>)> ") end

function Session:type(text) assert(self.stream:write(text)) end

--- Types a line, once there is a prompt, and sees its echo.
function Session:enter(line)
    self:see_prompt()
    self:type(line .. "\r")
end

--- Types a line, and waits for an answer.
function Session:ask(line, pattern)
    self:enter(line)
    return self:see(pattern)
end

--- Takes the terminal away.
function Session:hang_up() self:type("\0") end

function Session:signal(name) os.execute(("kill -%s %d"):format(name, self.pid)) end

--- Waits for its end. Returns the exit status, and "kept" or "changed", of the terminal's modes.
function Session:finish()
    local found = self:see("\\[status (\\d+), modes (\\w+)\\]")
    core.wait { self.over }
    self.stream:close()
    return tonumber(found[1]), found[2]
end

return session
