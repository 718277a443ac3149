-- SPDX-License-Identifier: MIT
-- The run's side of its control socket: what it answers to `qemunet ps`, `attach` and `watch`. A visitor sends lines of JSON,
-- {"want": ...}, and gets a line for each, {"error": why} if it cannot be; once attached, it sends keys and gets what the console
-- shows. Nothing that a visitor does, or does not do, keeps the run waiting.

local consoles = require "qemunet.live.consoles"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local state = require "qemunet.live.state"
local testbed = require "qemunet.testbed"

local control = {}

-- Before the process has other numbers in a namespace of its own.
control.FOLDER = core.control_folder()

-- Bounds: of visitors, of a request's bytes, of the bytes that one who is attached may be behind by, of the typed bytes that a
-- guest has not read.
local VISITORS, REQUEST, BEHIND, TYPED = 64, 4096, 256 << 10, 64 << 10

local socket, run_folder
local visitors, count = {}, 0

local Visitor = {}
Visitor.__index = Visitor

local function forget(self)
    if self.listener then self.listener:close() end
    if visitors[self.stream] then
        visitors[self.stream] = nil
        count = count - 1
    end
    self.stream:close()
end

function Visitor:answer(value) self.stream:write(assert(core.json_encode(value)) .. "\n") end

-- The last that it is told. What is queued goes out as it reads; nothing is added.
function Visitor:cut_off(why)
    if self.listener then self.listener:close() end
    self.over, self.listener = true, nil
    self.stream:write(("\r\n[%s]\r\n"):format(why))
    self.stream:finish()
end

function Visitor:show(data)
    if self.over then return end
    if self.stream:pending() + #data > BEHIND then return self:cut_off("cut off: this terminal takes too slowly what comes") end
    self.stream:write(data)
end

-- To a machine that is not running, keys go nowhere; its boot is the experiment's to say.
function Visitor:type_in(data)
    local machine = self.node.machine
    if self.over or not machine or self.node.console.stream.ended or rawget(self.node, "line") then return end
    if machine:console_pending() + #data > TYPED then return self:show("\a") end
    machine:console_write(data)
end

local WANTS = {}

function WANTS.state(self) self:answer(state.collect(run_folder)) end

function WANTS.page(self, request)
    if type(request.since) ~= "number" then errors.problem("page wants since, a number") end
    self:answer(state.collect_page(request.since))
end

function WANTS.attach(self, request)
    if type(request.node) ~= "string" then errors.problem("attach wants a node") end
    local console, node = consoles.of(request.node)
    self:answer { attached = tostring(node) }
    self.node = node
    self:show(console.stream.window:tail(consoles.SHOWN))
    self.listener = console.stream:listen(function(data) self:show(data) end)
end

local function serve(self, line)
    local request = core.json_decode(line)
    local want = type(request) == "table" and WANTS[request.want]
    if not want then errors.problem("unknown request" .. options.hint(type(request) == "table" and request.want, WANTS)) end
    want(self, request)
end

-- Who asks again while the answer is on its way gets none, and is gone: nothing piles up here.
local function take_lines(self, data)
    local text, from = self.partial .. data, 1
    local at = text:find("\n", 1, true)
    while at and not self.node and self.stream:pending() == 0 do
        local ok, why = errors.try(serve, self, text:sub(from, at - 1))
        if not ok then self:answer { error = tostring(why) } end
        from = at + 1
        at = text:find("\n", from, true)
    end
    self.partial = text:sub(from)
    if at and not self.node or #self.partial > REQUEST then forget(self) end
end

local function on_data(stream, data)
    local self = visitors[stream]
    if not self and count >= VISITORS then return stream:close() end
    if not self then
        self = setmetatable({ stream = stream, partial = "", node = false }, Visitor)
        visitors[stream], count = self, count + 1
    end
    if not data then return forget(self) end
    if self.node then return self:type_in(data) end
    take_lines(self, data)
end

testbed.on_state(function(node)
    for _, visitor in pairs(visitors) do
        if visitor.node == node then visitor:show(("\r\n[%s]\r\n"):format(tostring(node))) end
    end
end)

--- control.pids() -> list of the processes whose sockets are there, in no order. Removes those that killed runs have left.
function control.pids()
    local list = {}
    for _, name in ipairs(core.names(control.FOLDER) or {}) do
        local pid, path = name:match("^%d+$") and math.tointeger(tonumber(name)), control.FOLDER .. "/" .. name
        local stream, _, is_gone
        -- A process in a container that shares the folder is there though it cannot be seen.
        if pid and not core.is_process(pid) then stream, _, is_gone = core.control_connect(path, function() end) end
        if stream then stream:close() end
        if is_gone then os.remove(path) elseif pid then list[#list + 1] = pid end
    end
    return list
end

--- Lets the run in that folder be asked. Where that cannot be, the run goes on without, and says so.
function control.open(folder)
    local why
    run_folder = folder
    if socket then return end
    control.pids()
    socket, why = core.control_open(control.FOLDER, on_data)
    if not socket then core.log(0, ("qemunet ps will not know of this run: %s: %s"):format(control.FOLDER, why)) end
end

--- The run is over: takes the socket away, and tells who is attached.
function control.close()
    if socket then socket:close() end
    socket, run_folder = nil, nil
    for _, visitor in pairs(visitors) do
        if visitor.node and not visitor.over then visitor:cut_off("the run has ended") end
        forget(visitor)
    end
end

return control
