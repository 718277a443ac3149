-- SPDX-License-Identifier: MIT
-- Values over time: series(name, unit), probe(name, every, fn). They go into the run's series.csv as they come.

local class = require "qemunet.class"
local core = require "qemunet.core"
local csv = require "qemunet.csv"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local options = require "qemunet.options"
local recorder = require "qemunet.record.recorder"
local tasks = require "qemunet.tasks"
local exact = require("qemunet.text").exact
local units = require "qemunet.units"

local series = {}

--- Kept in memory at most, of one series; series.csv has them all.
series.KEPT = 1000000

--- class series: values over time; what series() returns. #series is how many it has.
-- @field name string    what is measured
-- @field unit string    its unit, "" for none
-- @field count integer  how many values it has been given
local Series = {}
local meta = class.new("series", Series)

local by_name = {}

--- Forgets the series of the run before.
function series.reset() by_name = {} end

local function check_self(self, method) class.check(self, meta, method) end

local function check_name(name, where)
    if not options.is_name(name) then errors.raise(where .. ": want a name") end
end

--- series(name, unit) -> series: values over time, kept for the script and written to the run's series.csv.
-- Called again with a name, it gives the same series.
-- @param name  what is measured, such as "rtt"
-- @param unit  such as "ms" (default: none); a name keeps its first
-- @example
--   local rtt = series("rtt", "ms")
--   rtt:add(20.1)
--   rtt:add(20.4)
--   check.near(stats.mean(rtt:values()), 20.25, 1e-9)
function series.series(name, unit)
    check_name(name, "series")
    if unit ~= nil and type(unit) ~= "string" then errors.raise("series: want the unit as a text") end
    local self = by_name[name]
    if not self then
        self = setmetatable({ name = name, unit = unit or "", times = {}, kept = {}, count = 0, newest = false, at = false,
            sum = 0.0, least = math.huge, most = -math.huge }, meta)
        self.head = csv.encode({ { name, self.unit } }):gsub("\r\n$", "")
        by_name[name] = self
    elseif unit and unit ~= self.unit then
        errors.raise(("series: %q is in %q already, not in %q"):format(name, self.unit, unit))
    end
    return self
end

--- series:add(value, t) -> series: adds a value.
-- @param value  a number (nan and infinity are refused)
-- @param t      its experiment second (default: now)
-- @example
--   series("loss"):add(0.01):add(0.02)
function Series:add(value, t)
    check_self(self, "add")
    if type(value) ~= "number" or value - value ~= 0 then
        errors.raise(("series %q: want a number, not %s"):format(self.name, inspect(value, { depth = 1, string = 60 })))
    end
    local at = t == nil and core.now() or units.duration(t, "series:add", 2)
    self.count, self.sum, self.newest, self.at = self.count + 1, self.sum + value, value, at
    self.least, self.most = math.min(self.least, value), math.max(self.most, value)
    if self.count <= series.KEPT then self.times[self.count], self.kept[self.count] = at, value end
    recorder.folder()
    local written, why = core.sample(("%.6f,%s,%s\n"):format(at, self.head, exact(value)))
    if not written then errors.raise("series: cannot write series.csv: " .. why) end
    return self
end

--- series:values(from, to) -> list: the values, in the order in which they came.
-- @param from  those from this experiment second on (default: all)
-- @param to    those up to this one, included (default: all)
-- @example
--   check.equal(series("queue"):add(3, 0):add(5, 1):values(0.5), { 5 })
function Series:values(from, to)
    check_self(self, "values")
    from = from and units.duration(from, "series:values", 2) or -math.huge
    to = to and units.duration(to, "series:values", 2) or math.huge
    local list = {}
    for i, at in ipairs(self.times) do
        if at >= from and at <= to then list[#list + 1] = self.kept[i] end
    end
    return list
end

--- series:last() -> value, t: the newest value and its experiment second; nil when there is none.
-- @example
--   check.equal(series("load"):add(0.5):last(), 0.5)
function Series:last()
    check_self(self, "last")
    if self.count > 0 then return self.newest, self.at end
end

function meta.__len(self) return self.count end

function meta.__tostring(self)
    return ("series %s: %d value%s%s"):format(self.name, self.count, self.count == 1 and "" or "s",
        self.unit ~= "" and " in " .. self.unit or "")
end

local PROBE = options.register({ unit = { type = "string" } }, "probe")

--- probe(name, every, fn, opts) -> task: adds what fn gives to the series `name`, at once and then each `every`, until :cancel().
-- @param name   of the series, such as "queue"
-- @param every  the period (duration)
-- @param fn     gives a number, or nil for none this time; it may wait, and instants that pass meanwhile are left out
-- @option unit  the series' unit
-- @return  a task; its `series` field is the series
-- @example
--   local n = 0
--   local count = probe("count", "2ms", function() n = n + 1 return n end)
--   eventually(5, function() return #count.series >= 3 end)
--   count:cancel()
function series.probe(name, every, fn, opts)
    check_name(name, "probe")
    local own = series.series(name, options.check(opts, PROBE, "probe", 2).unit)
    local function take()
        local value = fn()
        if value ~= nil then own:add(value) end
    end
    if type(fn) ~= "function" then take = fn end
    local task = tasks.periodic("probe", every, take, 0, "probe " .. name)
    task.series = own
    return task
end

--- What the run's result says of each series: {[name] = { unit =, count =, mean =, min =, max =, last = }}; nil without any.
function series.summary()
    local all
    for name, self in pairs(by_name) do
        all = all or {}
        all[name] = { unit = self.unit, count = self.count, last = self:last() }
        if self.count > 0 then
            all[name].mean, all[name].min, all[name].max = self.sum / self.count, self.least, self.most
        end
    end
    return all
end

return series
