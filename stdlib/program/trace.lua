-- SPDX-License-Identifier: MIT
-- trace.json: a run's events and series in the Chrome trace event format, for Perfetto. Made of events.jsonl and series.csv,
-- a line at a time; what is open at one time is all that is kept. FORMATS.md says what becomes of what.

local core = require "qemunet.core"

local trace = {}

-- A command's text and other long ones are cut here.
local TEXT_MAX = 1000

-- After so many, whoever else waits has a turn.
local REST = 2000

-- The processes that a viewer shows, in this order; those of nodes follow.
local EXPERIMENT, LINKS, FAULTS, NODES = 1, 2, 3, 10

local function put(self, event)
    self.file:write(self.count > 0 and ",\n" or "", core.json_encode(event))
    self.count = self.count + 1
    if self.count % REST == 0 then core.wait({}, 0) end
end

-- The microseconds of an experiment second, without what would have neighbours overlap: whole nanoseconds.
local function nanoseconds(t) return math.floor(t * 1e9 + 0.5) end
local function microseconds(ns) return ns / 1000 end

local function name_it(self, what, pid, tid, name)
    put(self, { ph = "M", name = what, pid = pid, tid = tid, ts = 0, args = { name = name } })
end

local function process(self, pid, name)
    if self.named[pid] then return end
    self.named[pid] = { threads = 0 }
    name_it(self, "process_name", pid, 0, name)
    put(self, { ph = "M", name = "process_sort_index", pid = pid, tid = 0, ts = 0, args = { sort_index = pid } })
end

local function new_thread(self, pid, name)
    local of = self.named[pid]
    of.threads = of.threads + 1
    name_it(self, "thread_name", pid, of.threads, name)
    return { pid = pid, tid = of.threads, open = {} }
end

-- The one thread of that name in a process.
local function thread(self, pid, name)
    local key = pid .. " " .. name
    self.threads[key] = self.threads[key] or new_thread(self, pid, name)
    return self.threads[key]
end

local function experiment(self) return thread(self, EXPERIMENT, "experiment") end

local function link_thread(self, name)
    process(self, LINKS, "links")
    return thread(self, LINKS, name)
end

local function node_pid(self, name)
    local pid = self.nodes[name]
    if not pid then
        pid = NODES + self.n_nodes
        self.nodes[name], self.n_nodes = pid, self.n_nodes + 1
        process(self, pid, name)
    end
    return pid
end

local function node_thread(self, name) return thread(self, node_pid(self, name), "state") end

local function cut(value)
    if type(value) == "string" and #value > TEXT_MAX then return value:sub(1, TEXT_MAX) .. "..." end
    return value
end

-- All of an event but what the slice says itself.
local OWN = { t = true, kind = true }
local function args_of(event)
    local args
    for key, value in pairs(event) do
        if not OWN[key] then
            args = args or {}
            args[key] = cut(value)
        end
    end
    return args
end

-- Slices ---------------------------------------------------------------------------------------------------------------

local function instant(self, at, t, name, event, scope)
    put(self, { ph = "i", s = scope or "t", name = name, cat = event.kind, pid = at.pid, tid = at.tid,
        ts = microseconds(nanoseconds(t)), args = args_of(event) })
end

-- Slices that open and close as the events come: they nest in the order in which they were opened.
local function open(self, at, t, name, event)
    at.open[#at.open + 1] = name
    put(self, { ph = "B", name = name, cat = event.kind, pid = at.pid, tid = at.tid, ts = microseconds(nanoseconds(t)),
        args = args_of(event) })
end

local function close(self, at, t, down_to)
    for i = #at.open, down_to + 1, -1 do
        at.open[i] = nil
        put(self, { ph = "E", pid = at.pid, tid = at.tid, ts = microseconds(nanoseconds(t)) })
    end
end

-- Slices that may overlap others: each goes to the first lane whose last one had ended when it began.
local function lane(self, pid, name, from, to)
    local key = pid .. " " .. name
    local lanes = self.lanes[key] or {}
    self.lanes[key] = lanes
    local i = 1
    while lanes[i] and lanes[i].ended > from do i = i + 1 end
    lanes[i] = lanes[i] or { at = new_thread(self, pid, i == 1 and name or ("%s %d"):format(name, i)) }
    lanes[i].ended = to
    return lanes[i].at
end

local function span(self, pid, group, started, finished, name, event)
    local from, to = nanoseconds(started), nanoseconds(math.max(started, finished))
    local at = lane(self, pid, group, from, to)
    put(self, { ph = "X", name = cut(name), cat = event.kind, pid = at.pid, tid = at.tid, ts = microseconds(from),
        dur = microseconds(to - from), args = args_of(event) })
end

-- Events ---------------------------------------------------------------------------------------------------------------

local kinds = {}

-- A node is one slice from its boot to its end, with one for each state inside.
local RUNNING = { booting = true, up = true, paused = true }
local function state_change(self, e)
    local at = node_thread(self, e.node)
    if not RUNNING[e.state] then
        close(self, at, e.t, 0)
        return instant(self, at, e.t, e.state, e)
    end
    if #at.open == 0 then open(self, at, e.t, e.kind .. " " .. e.node, { kind = e.kind }) end
    close(self, at, e.t, 1)
    open(self, at, e.t, e.state, e)
end
kinds.vm, kinds.host = state_change, state_change

function kinds.command(self, e)
    local pid = node_pid(self, e.node)
    if not e.started then return instant(self, node_thread(self, e.node), e.t, e.cmd, e) end
    span(self, pid, "commands", e.started, e.finished or e.t, e.cmd, e)
end

function kinds.link(self, e)
    local at = link_thread(self, e.link)
    if e.event == "added" or e.event == "up" or e.event == "down" then
        close(self, at, e.t, 0)
        open(self, at, e.t, e.event == "added" and "up" or e.event, e)
    elseif e.event == "removed" then
        close(self, at, e.t, 0)
    else
        instant(self, at, e.t, e.event, e)
    end
end

local function packet(self, e) instant(self, link_thread(self, e.link), e.t, e.kind, e) end
kinds.packet, kinds.trigger = packet, packet

-- From its begin to its end; what was never seen to begin is an instant.
local function paired(group, is_begin, key_of, name_of)
    return function(self, e)
        local key = group .. " " .. key_of(e)
        local began = self.began[key]
        process(self, FAULTS, "faults")
        if is_begin(e) then
            self.began[key] = e
        elseif began then
            self.began[key] = nil
            span(self, FAULTS, group, began.t, e.t, name_of(e), began)
        else
            instant(self, thread(self, FAULTS, "instants"), e.t, ("%s: %s"):format(name_of(e), e.event), e)
        end
    end
end

local function target_text(e) return type(e.target) == "table" and core.json_encode(e.target) or tostring(e.target) end
kinds.fault = paired("faults", function(e) return e.event == "start" end,
    function(e) return e.fault .. " " .. target_text(e) end, function(e) return e.fault .. " " .. target_text(e) end)
kinds.partition = paired("partitions", function(e) return e.event == "cut" end,
    function(e) return core.json_encode(e.groups) end, function() return "partition" end)

function kinds.sync(self, e)
    if e.started then span(self, EXPERIMENT, "sync", e.started, e.finished, "sync", e) end
end

function kinds.test(self, e) span(self, EXPERIMENT, "tests", math.max(e.t - e.duration, 0), e.t, e.name, e) end

function kinds.busy(self, e) span(self, EXPERIMENT, "busy", math.max(e.t - e.seconds, 0), e.t, "busy " .. e.where, e) end

function kinds.mark(self, e) instant(self, experiment(self), e.t, e.text, e, "g") end

-- The reasons at their moments.
function kinds.fidelity(self, e)
    for _, reason in ipairs(e.reasons) do instant(self, experiment(self), reason.t or e.t, reason.text, reason, "p") end
end

function kinds.start(self, e) open(self, experiment(self), e.t, e.file, e) end

-- What else there is: at its node, or at the experiment.
local function other(self, e)
    local at = e.node and node_thread(self, e.node) or experiment(self)
    local name = e.kind == "qmp" and e.event or e.event and ("%s %s"):format(e.kind, e.event) or e.kind
    instant(self, at, e.t, name, e)
end

-- Series ---------------------------------------------------------------------------------------------------------------

-- A cell in quotes, a doubled one standing for one inside, and where the next cell begins.
local function quoted(text, at)
    local to = at
    repeat
        to = assert(text:find('"', to + 1, true))
        local doubled = text:sub(to + 1, to + 1) == '"'
        if doubled then to = to + 1 end
    until not doubled
    return text:sub(at + 1, to - 1):gsub('""', '"'), to + 2
end

-- The cells of a line of series.csv.
local function cells_of(text)
    local cells, at = {}, 1
    while at <= #text do
        local is_quoted = text:sub(at, at) == '"'
        if is_quoted then
            cells[#cells + 1], at = quoted(text, at)
        else
            cells[#cells + 1], at = text:match("^([^,]*),?()", at)
        end
    end
    return cells
end

local function is_whole(text) return select(2, text:gsub('"', "")) % 2 == 0 end

local function put_samples(self, lines)
    local part
    lines() -- the head
    for text in lines do
        part = part and part .. "\n" .. text or text
        if is_whole(part) then
            local t, name, unit, value = table.unpack(cells_of(part))
            put(self, { ph = "C", name = name, cat = "series", pid = EXPERIMENT, tid = 0, ts = microseconds(nanoseconds(tonumber(t))),
                args = { [unit ~= "" and unit or "value"] = tonumber(value) } })
            part = nil
        end
    end
end

-- The file --------------------------------------------------------------------------------------------------------------

-- What is open still, is until the last event.
local function close_all(self, t)
    for _, at in pairs(self.threads) do close(self, at, t, 0) end
    for key, began in pairs(self.began) do
        local name = began.fault and began.fault .. " " .. target_text(began) or began.kind
        span(self, FAULTS, key:match("^%a+"), began.t, t, name, began)
    end
end

local function put_events(self, lines)
    local last = 0
    for text in lines do
        local event = core.json_decode(text)
        if event then
            last = math.max(last, event.t)
            local kind = kinds[event.kind] or other
            kind(self, event)
        end
    end
    close_all(self, last)
end

local function lines_of(path)
    local file = io.open(path, "rb")
    return file and file:lines() or function() end, nil, nil, file
end

local function write(self, folder)
    self.file:write('{"displayTimeUnit":"ms","otherData":{"format":1},"traceEvents":[\n')
    process(self, EXPERIMENT, "experiment")
    do
        local lines, _, _, file <close> = lines_of(folder .. "/events.jsonl")
        put_events(self, lines)
    end
    local lines, _, _, file <close> = lines_of(folder .. "/series.csv")
    put_samples(self, lines)
    return self.file:write("\n]}\n")
end

--- Writes trace.json of the events and series in a run's folder, whole or not at all. Returns nil, or why it failed.
function trace.write(folder)
    local path = folder .. "/trace.json"
    local file, why = io.open(path .. ".part", "wb")
    if not file then return why end
    local self = { file = file, count = 0, named = {}, threads = {}, nodes = {}, n_nodes = 0, lanes = {}, began = {} }
    local written, early = write(self, folder)
    local closed, late = file:close()
    if not (written and closed) then return early or late end
    local renamed, problem = os.rename(path .. ".part", path)
    if not renamed then return problem end
end

return trace
