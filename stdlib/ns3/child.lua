-- SPDX-License-Identifier: MIT
-- The process that simulates, qemunet-ns3, and what is said to it: requests with their replies, and events. Lines of JSON; see
-- runtime/ns3/control.hh.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local tasks = require "qemunet.tasks"
local text = require "qemunet.text"

local child = {}

-- A reply may take so long; so may the first, until the libraries are loaded.
local DEADLINE, START = 10, 30
-- The end takes so long at most; by itself it takes less.
local END = 5
-- A line has at most so many bytes, and of what the process says on its standard error the last so many are kept.
local LINE_MAX, SAID_MAX = 1 << 20, 1 << 14

local PROGRAM = "qemunet-ns3"
local ABSENT = "ns3: this qemunet was built without ns-3: there is no %s. On Debian: apt-get install libns3-dev g++, " ..
    "and build it again"

local LATE = "ns3: %s: the simulation did not answer within %g s: it is so far behind real time, or stuck; give it less to do"

local function folder_of(path) return path:match("^(.*)/[^/]*$") or "." end

--- The program: beside our own while building, in libexec when installed. Returns its path, or nil and where it is not.
function child.find_program()
    local told = os.getenv "QEMUNET_NS3"
    local folder = folder_of(core.program() or "")
    local places = told and { told } or { folder .. "/" .. PROGRAM, folder .. "/../libexec/qemunet/" .. PROGRAM }
    for _, path in ipairs(places) do
        if core.stat(path) == "file" then return path end
    end
    return nil, table.concat(places, ", nor ")
end

local Child = {}
Child.__index = Child

local function said(self)
    local words = text.tail(self.said, 20, "\n    ")
    return words == "" and "" or ":\n    " .. words
end

-- What ns-3 says, as its logging components do where NS_LOG asks for it.
local function note(self, data)
    self.said = (self.said .. data):sub(-SAID_MAX)
    core.log(1, ("%s says: %s"):format(self.name, text.tail(data, 100, "\n    ")))
end

-- What it was asked for and has not answered, for a message: it may be what it died of.
local function asked(self)
    local names = {}
    for _, waiting in pairs(self.waiting) do names[#names + 1] = waiting.where end
    table.sort(names)
    return #names > 0 and ", asked for " .. table.concat(names, ", ") or ""
end

-- All who wait hear of the end; unless it was asked for, the run ends with it.
local function fail(self, why)
    if self.ended then return end
    self.ended = ("ns-3 %s%s%s"):format(why, asked(self), said(self))
    for _, waiting in pairs(self.waiting) do waiting.reply:set() end
    self.over:set()
    core.event { t = core.now(), kind = "ns3", net = self.name, event = "ended", why = self.ended }
    if self.closing then return end
    tasks.detach(function() errors.machinery(self.ended) end)
end

local function how(status, signal)
    if signal == 6 then return "ended the simulation" end -- SIGABRT: what its fatal errors do
    return signal ~= 0 and ("was killed by signal %d"):format(signal) or ("ended with status %d"):format(status)
end

local function take_line(self, line)
    local message, why = core.json_decode(line)
    if type(message) ~= "table" then
        self.process:kill()
        return fail(self, ("answered what is not JSON, %q: %s"):format(line:sub(1, 80), tostring(why)))
    end
    if message.event then return self.on_event(message) end
    local waiting = self.waiting[message.id]
    if waiting then waiting.reply:set(message) end
end

local function take(self, data)
    local buffer, from = self.input .. data, 1
    while true do
        local at = buffer:find("\n", from, true)
        if not at then break end
        take_line(self, buffer:sub(from, at - 1))
        from = at + 1
    end
    self.input = buffer:sub(from)
    if #self.input <= LINE_MAX or self.ended then return end
    self.process:kill()
    fail(self, ("answered with a line of more than %d bytes"):format(LINE_MAX))
end

-- The descriptor goes with the line, as soon as what was written before has been taken.
local function send(self, line, fd)
    local deadline = core.now() + DEADLINE
    while true do
        local sent, why = self.process:write(line, fd)
        if sent or self.ended then return end
        if core.now() > deadline then errors.machinery("ns3: cannot hand over a request: " .. why) end
        core.wait({}, 0.001)
    end
end

local function encode(request, where)
    local line, why = core.json_encode(request)
    if line and #line > LINE_MAX then line, why = nil, ("it takes %d bytes, and %d are possible"):format(#line, LINE_MAX) end
    return line or errors.raise(("%s: this cannot be told to the simulation: %s"):format(where, why))
end

--- c:call(name, request, fd, patience) -> its reply, for which it waits so many seconds. Raises what the simulation has against
--- it, at the script's line, behind `where` if the request has one.
function Child:call(name, request, fd, patience)
    if self.closing then errors.raise(("ns3: %s was closed"):format(self.name)) end
    if self.ended then errors.machinery(self.ended) end
    request = request or {}
    self.last = self.last + 1
    local id, where, reply = self.last, request.where or name, core.future()
    request.id, request.call, request.fd, request.where = id, name, fd ~= nil, nil
    self.waiting[id] = { reply = reply, where = where }
    local forget <close> = setmetatable({}, { __close = function() self.waiting[id] = nil end })
    send(self, encode(request, where) .. "\n", fd)
    patience = patience or name == "hello" and START or DEADLINE
    local answered = tasks.wait(reply, patience)
    if self.ended then errors.machinery(self.ended) end
    if not answered then errors.machinery(LATE:format(where, patience)) end
    local message = reply:values()
    if message.error then errors.raise(("%s: %s"):format(where, message.error)) end
    return message.value
end

--- c:stop(): begins to end the simulation in good order.
function Child:stop()
    self.closing = true
    self.process:stop()
end

--- c:wait(): waits until it has ended, in good order or by force: its files are complete then.
function Child:wait()
    self:stop()
    tasks.wait(self.over, END)
    self:close()
end

--- c:close(): the same, at the run's end: nothing else goes on meanwhile.
function Child:close()
    self.closing = true
    self.process:close()
end

--- child.start(name, options, on_event) -> c. `name`: the simulation's; `options`: those of the program; on_event(event) is
--- called for each event.
function child.start(name, options, on_event)
    local program, absent = child.find_program()
    if not program then errors.machinery(ABSENT:format(absent)) end
    local self = setmetatable({ name = name, on_event = on_event, input = "", said = "", last = 0, waiting = {}, ended = false,
        over = core.future(), closing = false }, Child)
    local process, why = core.process {
        program, assert(core.json_encode(options)),
        on_message = function(data) take(self, data) end,
        on_output = function(data) note(self, data) end,
        on_end = function(status, signal) fail(self, how(status, signal)) end,
    }
    if not process then errors.machinery("ns3: cannot start the simulation: " .. why) end
    self.process = process
    return self
end

return child
