-- SPDX-License-Identifier: MIT
-- trace.json: a run's events and series as a timeline, for Perfetto. Made of events.jsonl and series.csv, a line at a time;
-- FORMATS.md says what becomes of what.

local core = require "qemunet.core"
local csv = require "qemunet.csv"
local output = require "qemunet.output"
local timeline = require "qemunet.record.timeline"

local trace = {}

-- The processes that a viewer shows, in this order.
local EXPERIMENT, TASKS, LINKS, FAULTS, NODES = 1, 2, 3, 4, 10

-- A trace is `to`, the timeline; `nodes`, their processes; `began`, faults that have not ended; `last`, its latest moment.

local function experiment(self) return self.to:thread(EXPERIMENT, "experiment") end

local function link_thread(self, name)
    self.to:process(LINKS, "links")
    return self.to:thread(LINKS, name)
end

local function node_process(self, name)
    local pid = self.nodes[name]
    if not pid then
        pid = NODES + self.n_nodes
        self.nodes[name], self.n_nodes = pid, self.n_nodes + 1
        self.to:process(pid, name)
    end
    return pid
end

local function node_thread(self, name) return self.to:thread(node_process(self, name), "state") end

-- Events ---------------------------------------------------------------------------------------------------------------

local kinds = {}

-- A node is one slice from its boot to its end, with one for each state inside.
local RUNNING = { booting = true, up = true, paused = true }
local function change_state(self, e)
    local at = node_thread(self, e.node)
    if not RUNNING[e.state] then
        self.to:close(at, e.t, 0)
        return self.to:instant(at, e.t, e.state, e)
    end
    if at.open == 0 then self.to:open(at, e.t, e.kind .. " " .. e.node, { kind = e.kind }) end
    self.to:close(at, e.t, 1)
    self.to:open(at, e.t, e.state, e)
end
kinds.vm, kinds.host = change_state, change_state

function kinds.command(self, e)
    if not e.started then return self.to:instant(node_thread(self, e.node), e.t, e.cmd, e) end
    self.to:span(node_process(self, e.node), "commands", e.started, e.finished, e.cmd, e)
end

local SLICES = { added = "up", up = "up", down = "down" }
function kinds.link(self, e)
    local at, slice = link_thread(self, e.link), SLICES[e.event]
    if slice or e.event == "removed" then self.to:close(at, e.t, 0) end
    if slice then return self.to:open(at, e.t, slice, e) end
    self.to:instant(at, e.t, e.event, e)
end

local function at_link(self, e) self.to:instant(link_thread(self, e.link), e.t, e.kind, e) end
kinds.packet, kinds.trigger = at_link, at_link

-- What begins with one event and ends with another, of the same name: a slice from the one to the other, with the first one's
-- fields. What did not begin is an instant.
local function pair(self, group, e, name, begins)
    local key = group .. " " .. name
    local began = self.began[key]
    self.to:process(FAULTS, "faults")
    if begins then
        self.began[key] = { group = group, name = name, event = e }
    elseif began then
        self.began[key] = nil
        self.to:span(FAULTS, group, began.event.t, e.t, name, began.event)
    else
        self.to:instant(self.to:thread(FAULTS, "instants"), e.t, ("%s: %s"):format(name, e.event), e)
    end
end

function kinds.fault(self, e)
    local target = type(e.target) == "table" and core.json_encode(e.target) or tostring(e.target)
    pair(self, "faults", e, e.fault .. " " .. target, e.event == "start")
end

function kinds.partition(self, e)
    pair(self, "partitions", e, "partition " .. core.json_encode(e.groups), e.event == "cut")
end

function kinds.sync(self, e)
    if e.started then self.to:span(EXPERIMENT, "sync", e.started, e.finished, "sync", e) end
end

function kinds.test(self, e) self.to:span(EXPERIMENT, "tests", math.max(e.t - e.duration, 0), e.t, e.name, e) end

function kinds.busy(self, e) self.to:span(EXPERIMENT, "busy", math.max(e.t - e.seconds, 0), e.t, "busy " .. e.where, e) end

-- Each is on a thread with those that had ended before it began: one that started another may end before or after that.
function kinds.task(self, e)
    local name = e.name .. " " .. e.where
    self.to:process(TASKS, "tasks")
    if not e.started then return self.to:instant(self.to:thread(TASKS, "never begun"), e.t, name, e) end
    self.to:span(TASKS, "tasks", e.started, e.t, name, e)
end

function kinds.tasks(self, e)
    self.to:process(TASKS, "tasks")
    self.to:instant(self.to:thread(TASKS, "left out"), e.t, ("%d of %s %s, %s"):format(e.count, e.name, e.where, e.ended), e)
end

function kinds.mark(self, e) self.to:instant(experiment(self), e.t, e.text, e, "g") end

-- The reasons at their moments.
function kinds.fidelity(self, e)
    for _, reason in ipairs(e.reasons) do self.to:instant(experiment(self), reason.t or e.t, reason.text, reason, "p") end
end

function kinds.start(self, e) self.to:open(experiment(self), e.t, e.file, e) end

-- What else there is: at its node, or at the experiment.
local function other(self, e)
    local at = e.node and node_thread(self, e.node) or experiment(self)
    local own = e.kind == "qmp" and e.event or e.kind == "console" and e.text
    local name = own or e.event and ("%s %s"):format(e.kind, e.event) or e.kind
    self.to:instant(at, e.t, name, e)
end

local function is_event(e) return type(e) == "table" and type(e.t) == "number" and type(e.kind) == "string" end

local function put_events(self, lines)
    for text in lines do
        local event = core.json_decode(text)
        if is_event(event) then
            self.last = math.max(self.last, event.t)
            local put = kinds[event.kind] or other
            put(self, event)
        end
    end
    for _, one in pairs(self.began) do
        self.to:span(FAULTS, one.group, one.event.t, self.last, one.name, one.event)
    end
end

-- Series ---------------------------------------------------------------------------------------------------------------

local function put_samples(self, lines)
    lines() -- the head
    for row in csv.rows(lines) do
        local t, name, unit, value = table.unpack(csv.cells(row))
        self.to:counter(EXPERIMENT, tonumber(t), name, unit ~= "" and unit or "value", tonumber(value))
    end
end

-- The file -------------------------------------------------------------------------------------------------------------

local function with_lines(path, fn, self)
    local file <close> = io.open(path, "rb")
    if file then fn(self, file:lines()) end
end

-- Returns nil, or why it failed.
local function write(file, folder)
    local self = { to = timeline.new(file), nodes = {}, n_nodes = 0, began = {}, last = 0 }
    self.to:process(EXPERIMENT, "experiment")
    with_lines(folder .. "/events.jsonl", put_events, self)
    with_lines(folder .. "/series.csv", put_samples, self)
    return self.to:finish(self.last)
end

--- Writes trace.json of the events and series in a run's folder, whole or not at all. Returns nil, or why it failed.
function trace.write(folder)
    return select(2, output.replace(folder .. "/trace.json", function(file) return write(file, folder) end))
end

return trace
