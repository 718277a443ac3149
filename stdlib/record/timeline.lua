-- SPDX-License-Identifier: MIT
-- Writes a file in the Chrome trace event format: processes with threads, slices that nest on them, instants, counters. What
-- is open at one time is all that is kept.

local core = require "qemunet.core"

local timeline = {}

-- Texts are cut here, such as a command's.
local TEXT_MAX = 1000
-- After so many entries, whoever else waits has a turn.
local REST = 2000

local HEAD, FOOT = '{"displayTimeUnit":"ms","otherData":{"format":1},"traceEvents":[\n', "\n]}\n"

local Timeline = {}
Timeline.__index = Timeline

local function write(self, ...)
    local written, why = self.file:write(...)
    if not written then self.why = self.why or why end
end

local function put(self, entry)
    write(self, self.count > 0 and ",\n" or HEAD, core.json_encode(entry))
    self.count = self.count + 1
    if self.count % REST == 0 then core.wait({}, 0) end
end

--- Begins in an open file.
function timeline.new(file)
    return setmetatable({ file = file, count = 0, why = false, named = {}, threads = {}, lanes = {} }, Timeline)
end

-- In whole nanoseconds, two slices of which one ends when the other begins do not overlap.
local function nanoseconds(t) return math.floor(t * 1e9 + 0.5) end
local function microseconds(ns) return ns / 1000 end
local function stamp(t) return microseconds(nanoseconds(t)) end

local function put_meta(self, what, pid, tid, args)
    put(self, { ph = "M", name = what, pid = pid, tid = tid, ts = 0, args = args })
end

--- Names a process, which a viewer shows in the order of the numbers; once it is named, nothing.
function Timeline:process(pid, name)
    if self.named[pid] then return end
    self.named[pid] = { threads = 0 }
    put_meta(self, "process_name", pid, 0, { name = name })
    put_meta(self, "process_sort_index", pid, 0, { sort_index = pid })
end

local function new_thread(self, pid, name)
    local process = self.named[pid]
    process.threads = process.threads + 1
    put_meta(self, "thread_name", pid, process.threads, { name = name })
    return { pid = pid, tid = process.threads, open = 0 }
end

--- The one thread of that name in a process that was named.
function Timeline:thread(pid, name)
    local key = pid .. " " .. name
    self.threads[key] = self.threads[key] or new_thread(self, pid, name)
    return self.threads[key]
end

local function cut(value)
    if type(value) == "string" and #value > TEXT_MAX then return value:sub(1, TEXT_MAX) .. "..." end
    if type(value) ~= "table" then return value end
    local copy = {}
    for key, each in pairs(value) do copy[key] = cut(each) end
    return copy
end

-- All of an event but what its entry says itself.
local function args_of(event)
    local args = cut(event)
    args.t, args.kind = nil, nil
    return next(args) ~= nil and args or nil
end

local function put_at(self, phase, at, t, name, event, more)
    local entry = more or {}
    entry.ph, entry.pid, entry.tid, entry.ts = phase, at.pid, at.tid, stamp(t)
    if name then entry.name, entry.cat, entry.args = cut(name), event.kind, args_of(event) end
    put(self, entry)
end

--- A moment. `event`: what is told of it; `scope`: "t" the thread's (default), "p" the process's, "g" everyone's.
function Timeline:instant(at, t, name, event, scope) put_at(self, "i", at, t, name, event, { s = scope or "t" }) end

--- Opens a slice inside of what is open on a thread. The entries of one thread come in the order of their times.
function Timeline:open(at, t, name, event)
    at.open = at.open + 1
    put_at(self, "B", at, t, name, event)
end

--- Closes slices of a thread until so many are open.
function Timeline:close(at, t, open)
    while at.open > open do
        at.open = at.open - 1
        put_at(self, "E", at, t)
    end
end

-- How many of the lanes, which are in the order of their ends, are free from then on.
local function count_free(lanes, from)
    local free, all = 0, #lanes
    while free < all do
        local middle = (free + all + 1) // 2
        if lanes[middle].ended <= from then free = middle else all = middle - 1 end
    end
    return free
end

-- The thread of a group that is free from then on, and has been for the shortest time. Slices come in the order of their ends,
-- or nearly: so that is as few threads as there can be, and what ends last belongs last.
local function lane(self, pid, group, from, to)
    local key = pid .. " " .. group
    local lanes = self.lanes[key] or {}
    self.lanes[key] = lanes
    local free, place = count_free(lanes, from), #lanes + 1
    local name = place == 1 and group or ("%s %d"):format(group, place)
    local one = free > 0 and table.remove(lanes, free) or { at = new_thread(self, pid, name) }
    one.ended, place = to, #lanes + 1
    while place > 1 and lanes[place - 1].ended > to do place = place - 1 end
    table.insert(lanes, place, one)
    return one.at
end

--- A slice that may overlap others: on a thread of its group, "commands", "commands 2", ..., that has room for it.
function Timeline:span(pid, group, started, finished, name, event)
    local from, to = nanoseconds(started), nanoseconds(math.max(started, finished))
    put_at(self, "X", lane(self, pid, group, from, to), started, name, event, { dur = microseconds(to - from) })
end

--- A value of a counter.
function Timeline:counter(pid, t, name, unit, value)
    put(self, { ph = "C", name = name, cat = "series", pid = pid, tid = 0, ts = stamp(t), args = { [unit] = value } })
end

--- Closes all that is open. Returns nil, or why something could not be written.
function Timeline:finish(t)
    for _, at in pairs(self.threads) do self:close(at, t, 0) end
    write(self, self.count > 0 and FOOT or HEAD .. FOOT)
    return self.why
end

return timeline
