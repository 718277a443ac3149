-- SPDX-License-Identifier: MIT
-- Faults over time, from a seed: faults. What ran is in the run's faults.json, and can be replayed and shrunk.

local class = require "qemunet.class"
local core = require "qemunet.core"
local coroutines = require "qemunet.coroutines"
local effects = require "qemunet.faults.effects"
local entries = require "qemunet.faults.entries"
local errors = require "qemunet.errors"
local record = require "qemunet.faults.record"
local schedule = require "qemunet.faults.schedule"
local tasks = require "qemunet.tasks"
local units = require "qemunet.units"

local faults = {}

-- What the run was started with, and its storms in the order of their creation.
local run = { storms = {} }

--- Starts anew for a run. `opts`: {seed=, file=, params=, args=, replay= document or nil, folder= fn() -> the run's
-- folder}.
function faults.start(opts)
    run = { opts = opts, storms = {} }
end

--- Whether the run has had schedules of faults.
function faults.happened() return #run.storms > 0 end

-- The parameters and words that a run was started with, and its schedules.
local function document()
    local opts, schedules = run.opts, {}
    for i, storm in ipairs(run.storms) do schedules[i] = { during = storm.during or nil, faults = storm.schedule } end
    return { file = opts.file, seed = opts.seed, params = next(opts.params) and opts.params or nil,
        args = #opts.args > 0 and opts.args or nil, schedules = schedules }
end

local function write()
    local path = ("%s/%s"):format(run.opts.folder(), record.NAME)
    local why = record.write(path, document())
    if why then core.log(-1, ("cannot write %s: %s"):format(path, why)) end
end

-- What is replayed as schedule number n, or nil.
local function replayed(n)
    local replay = run.opts.replay
    if not replay then return nil end
    local one = replay.schedules[n]
    if not one then
        core.log(0, ("replay: there is no schedule for faults{} number %d: it is made from the seed"):format(n))
        return nil
    end
    local list = {}
    for i, given in ipairs(one.faults) do
        list[i] = { at = given.at, kind = given.kind, target = given.target, lasts = given.lasts, by = given.by,
            delay = given.delay, rate = given.rate, loss = given.loss }
    end
    return schedule.check_names(list, ("replay: schedule %d"):format(n))
end

--- class storm: faults that happen in time; what faults{} returns. As a <close> variable it is stopped at its end.
-- @field schedule table  what happens, in order: see faults
-- @field state string    "not started", "running" or "over"
-- @field during number   seconds, or false
-- @field seed integer    the run's
local Storm = {}
local meta = class.new("storm", Storm)

--- All of it, a line for each fault.
function meta.__tostring(self)
    local count = #self.schedule == 1 and "1 fault" or ("%d faults"):format(#self.schedule)
    local over = self.during and " over " .. units.format_duration(self.during) or ""
    return ("%s%s, seed %d (%s):\n%s"):format(count, over, self.seed, self.state, schedule.text(self.schedule))
end

--- A storm that goes out of scope (`local storm <close> = faults { ... }`) is stopped.
function meta.__close(self) self:stop() end

-- Fields that are nil until they are set.
for _, field in ipairs { "during", "began", "task" } do Storm[field] = false end

--- faults{ during=, every=, { kind, ... }, ... } -> storm: what goes wrong, and when.
-- Each entry is a kind of fault, for a target out of a list. With at= it happens at that time; without, it is random:
-- between two of these pass times of the exponential distribution, and each is one of the random entries, a target out
-- of its own, a duration out of its range. All is drawn from the run's seed when faults{} is called: the same seed gives
-- the same schedule. Kinds:
--   { "cut", link= }           the link is down
--   { "slow", link=, delay= }  it has so much more delay, each way; and with rate= at most this rate
--   { "lossy", link=, loss= }  it loses so many more of its packets
--   { "partition", groups= }   {{a}, {b, c}} do not reach each other; "random": nodes= (default: all) fall into two
--   { "crash", node= }         its power is cut (vm, host), and it is booted again afterwards
--   { "pause", node= }         it stands still (vm, host)
--   { "skew", node=, by= }     a vm's clock is stepped by "500ms" or "-2s", and back afterwards
-- Faults may overlap: a link is up again, and a machine goes on, when the last that holds it is over; delays and losses
-- add up. Afterwards each thing is as it was before. A crash of what is down already, and the like, is left out.
-- storm:start(), storm:wait() and storm:stop() run it. storm.schedule is the list of what happens, in order: each has at
-- (seconds after the start), kind, target (a name, or lists of names), lasts, by, delay, rate, loss, and when it ran
-- began and ended (seconds after the start), or skipped (why it was left out). storm.state is "not started", "running"
-- or "over". print(storm) shows all of it. The list is in faults.json of the run's folder: `qemunet run FILE --replay
-- FOLDER` repeats it, and --shrink finds the fewest faults that matter.
-- @option during  how long it goes on; all that is broken then is healed (duration; needed for random entries)
-- @option every   the mean time between two random faults (duration)
-- @param link    of an entry, its target: a link or its name; or links={...}, one of these at random
-- @param node    likewise: a node or its name; or nodes={...}
-- @param groups  of a partition: lists of nodes, or "random"
-- @param at      when, after the start (duration)
-- @param lasts   how long: a duration or {least, greatest}; default to the end
-- @param weight  how often, compared with the other random entries (default 1)
-- @param by      by which a clock is stepped: a duration that may be negative, or {least, greatest}
-- @param delay   more of it, one-way (duration or {least, greatest})
-- @param rate    at most this (rate or {least, greatest})
-- @param loss    more of it (fraction or {least, greatest})
-- @error   misuse raises, also skew of a host (it has no clock of its own), and names that a replayed schedule does not
--   find. A fault that cannot be done or undone ends the storm; storm:wait() and storm:stop() raise its error, which
--   fails the experiment if neither is called
-- @example
--   local a, b = responder("a"), responder("b")
--   local cable = link(a, b)
--   local storm = faults {
--       during = "40ms", every = "10ms",
--       { "cut", link = cable, lasts = { "5ms", "20ms" } },
--       { "lossy", link = cable, loss = "10%", lasts = "10ms", weight = 2 },
--       { "slow", link = cable, at = 0, delay = "5ms", lasts = "20ms" },
--   }
--   storm:start()
--   check.is_true(storm:wait(5))
--   check.is_true(cable.is_up)
function faults.faults(spec)
    local read = entries.read(spec, 2)
    local n = #run.storms + 1
    local self = setmetatable({ state = "not started", during = read.during or false, seed = run.opts.seed,
        stopping = core.future(), done = core.future() }, meta)
    self.schedule = replayed(n) or schedule.make(read, n)
    run.storms[n] = self
    write()
    return self
end

-- Running --------------------------------------------------------------------------------------------------------------

local function seconds_in(self) return core.now() - self.began end

local function tell(fault, event)
    core.event { t = core.now(), kind = "fault", event = event, fault = fault.kind, target = fault.target,
        lasts = fault.lasts, by = fault.by, delay = fault.delay, rate = fault.rate, loss = fault.loss,
        skipped = fault.skipped }
    core.log(1, ("fault: %s %s: %s%s"):format(fault.kind, schedule.target_text(fault), event,
        fault.skipped and ": " .. fault.skipped or ""))
end

-- Raises an error of a fault with its name before it.
local function named(self, fault, doing, fn, ...)
    local values = table.pack(coroutines.pcall(fn, ...))
    if values[1] then return table.unpack(values, 2, values.n) end
    local why = values[2]
    local text = ("faults: %s of %s at %.3f s could not be %s: %s"):format(fault.kind, schedule.target_text(fault),
        fault.at, doing, tostring(why))
    self.stopping:set()
    if errors.is_machinery(why) then errors.machinery(text) end
    error(text, 0)
end

-- One fault, from its time on to its end or the storm's. What it did is undone also when the run is over meanwhile.
local function run_fault(self, fault)
    if core.wait({ self.stopping }, math.max(0, self.began + fault.at - core.now())) then return end
    fault.began = seconds_in(self) -- before it is done: the script may see it, and fail, at once
    local undo, why = named(self, fault, "done", effects[fault.kind], fault)
    if not undo then
        fault.skipped, fault.began = why, nil
        return tell(fault, "skipped")
    end
    local is_over = false
    local guard <close> = setmetatable({}, { __close = function()
        if not is_over then undo(true) end
    end })
    tell(fault, "start")
    core.wait({ self.stopping }, fault.lasts and math.max(0, self.began + fault.at + fault.lasts - core.now()))
    is_over = true
    named(self, fault, "undone", undo, false)
    fault.ended = seconds_in(self)
    tell(fault, "end")
end

-- The first error of the faults' tasks, when all have ended.
local function first_error(list)
    local first
    for _, task in ipairs(list) do
        core.wait { task.done }
        local ok, why = pcall(task.outcome, task)
        if not ok then first = first or why end
    end
    return first
end

local function run_all(self)
    local list = {}
    local guard <close> = setmetatable({}, { __close = function()
        self.state = "over"
        write()
    end })
    for i, fault in ipairs(self.schedule) do list[i] = tasks.start(run_fault, self, fault) end
    local ends = self.during or schedule.ends(self.schedule)
    core.wait({ self.stopping }, ends and math.max(0, self.began + ends - core.now()))
    self.stopping:set()
    local failure = first_error(list)
    if failure then errors.again(failure) end
end

--- storm:start() -> storm: its time begins; it runs beside the script.
-- @error  when it was started before
-- @example
--   local cable = link(responder("a"), responder("b"))
--   faults({ { "cut", link = cable, at = 0, lasts = "1ms" } }):start():wait(5)
function Storm:start()
    class.check(self, meta, "start")
    if self.state ~= "not started" then errors.raise("start: this schedule of faults was started before") end
    self.state, self.began = "running", core.now()
    self.task = tasks.start(run_all, self)
    self.done = self.task.done
    return self
end

--- What all{} and any{} make of it.
function Storm:outcome()
    if self.task then self.task:outcome() end
    return true
end

--- storm:wait(timeout) -> true: waits until it is over and all is healed.
-- @param timeout  how long at most (duration; default: without end)
-- @return  nil, "timed out", "timeout" when the time has passed; it goes on
-- @error   the error of a fault; and when it was never started
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local storm = faults { { "cut", link = cable, at = 0, lasts = "1ms" } }
--   storm:start()
--   check.is_true(storm:wait(5))
function Storm:wait(timeout)
    class.check(self, meta, "wait")
    local seconds = timeout ~= nil and units.duration(timeout, "timeout", 2) or nil
    if self.state == "not started" then errors.raise("wait: this schedule of faults was not started: storm:start()") end
    local shown <close> = tasks.show_main(("waiting for %d faults"):format(#self.schedule))
    if not self.task:join(seconds) and not self.task.done:is_set() then return nil, "timed out", "timeout" end
    return true
end

--- storm:stop() -> true: ends it now, and waits until all that it broke is healed: machines that it crashed have booted.
-- @error  the error of a fault
-- @example
--   local cable = link(responder("a"), responder("b"))
--   local storm = faults { { "cut", link = cable, at = 0 } }
--   storm:start():stop()
function Storm:stop()
    class.check(self, meta, "stop")
    self.stopping:set()
    self.state = self.task and self.state or "over"
    if self.task then return self:wait() end
    self.done:set()
    return true
end

return faults
