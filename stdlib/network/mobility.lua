-- SPDX-License-Identifier: MIT
-- What moves nodes: mobility. A way is an iterator of points t, x, y, the time counted from the start: the node goes
-- straight from each to the next. The fabric is told of each stretch once, ahead of its time, and so keeps it to the
-- nanosecond.

local class = require "qemunet.class"
local core = require "qemunet.core"
local link = require "qemunet.network.link"
local mobility_traces = require "qemunet.network.mobility_traces"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local radio = require "qemunet.network.radio"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"

local mobility = {}

-- The first of the generators' numbers that are the library's; see core.generator.
local GENERATORS = 1 << 62
-- Seconds that a stretch takes at most, so that the fabric can take it: three years.
local LONGEST = 1e8
-- Seconds that the fabric knows a way ahead, so that a script that is busy for a while does not hold its nodes up; and in
-- how many stretches at most.
local AHEAD, MOST_AHEAD = 2, radio.PLANNED - 2

--- class mobility: the movement of nodes; what mobility() returns. all{} and any{} wait for its end.
-- @field nodes table  the nodes
-- @field kind string  the model's name
local Mobility = {}
local meta = class.new("mobility", Mobility)

function meta:__tostring()
    return ("mobility of %s (%s)"):format(text.count(#self.nodes, "node"), self.done:is_set() and "ended" or self.kind)
end

local active = {} -- {[mover]=true}

-- A mover has one node; the handle ends with the last.
local function finish(mover)
    if not active[mover] then return end
    active[mover] = nil
    local handle = mover.handle
    handle.moving = handle.moving - 1
    if handle.moving == 0 then handle.done:set(handle) end
end

local function halt(mover)
    if mover.task then mover.task:cancel() end
    finish(mover)
end

local function wait_until(t) core.wait({}, math.max(0, t - core.now())) end

local function record(name, t, x, y, to_x, to_y, duration)
    core.event { t = t, kind = "move", node = name, from = { x, y }, to = { to_x, to_y }, duration = duration }
end

-- A mover stands at the point (t, x, y), or is on its way there; the way goes on to (to_t, to_x, to_y), nil at its end.
-- `planned` are the stretches that the fabric was told of and that have not begun.
local function advance(mover, way)
    mover.t, mover.x, mover.y = mover.to_t, mover.to_x, mover.to_y
    mover.to_t, mover.to_x, mover.to_y = way()
end

local function add_stretch(mover)
    local start, duration = mover.begin + mover.t, mover.to_t - mover.t
    radio.set_motion(mover.node, radio.straight(mover.x, mover.y, mover.to_x, mover.to_y, start, duration))
    mover.planned[#mover.planned + 1] = { start = start, x = mover.x, y = mover.y, to_x = mover.to_x, to_y = mover.to_y,
        duration = duration }
end

-- Tells the fabric of the stretches that begin within AHEAD seconds.
local function plan(mover, way)
    while mover.to_t and #mover.planned < MOST_AHEAD and mover.begin + mover.t <= core.now() + AHEAD do
        if mover.to_x ~= mover.x or mover.to_y ~= mover.y then add_stretch(mover) end
        advance(mover, way)
    end
end

local function record_begun(mover)
    while mover.planned[1] and mover.planned[1].start <= core.now() do
        local s = table.remove(mover.planned, 1)
        record(mover.node.name, s.start, s.x, s.y, s.to_x, s.to_y, s.duration)
    end
end

-- When there is something to do again; nil: never.
local function next_turn(mover)
    local begins = mover.planned[1] and mover.planned[1].start
    if not mover.to_t or #mover.planned == MOST_AHEAD then return begins end
    return math.min(begins or math.huge, mover.begin + mover.t - AHEAD)
end

local function follow(mover, way)
    while active[mover] do -- it may have been halted before this task has begun
        record_begun(mover)
        plan(mover, way)
        local turn = next_turn(mover)
        if not turn then return wait_until(mover.begin + mover.t) end
        wait_until(turn)
    end
end

-- Puts the node where its way begins, and moves it from there in a task.
local function start(handle, self, way)
    local mover = { handle = handle, node = self, begin = handle.begin, planned = {} }
    active[mover] = true
    handle.movers[#handle.movers + 1] = mover
    mover.to_t, mover.to_x, mover.to_y = way()
    if mover.to_t then radio.set_motion(self, radio.standing(mover.to_x, mover.to_y, core.now())) end
    radio.drive(self, function() halt(mover) end)
    if not mover.to_t then return end
    advance(mover, way)
    plan(mover, way) -- already here: the task may begin late
    mover.task = tasks.detach(function()
        local ended <close> = setmetatable({}, { __close = function() finish(mover) end })
        follow(mover, way)
    end)
end

--- mobility:stop(): the nodes halt where they are. :cancel() is the same.
-- @example
--   local air, a = radio("air"), responder("a")
--   air:join(a, { 0, 0 })
--   local walk = mobility({ a }, { "random_waypoint", area = { 100, 100 }, speed = 1 })
--   walk:stop()
--   check.is_true(walk:wait(1))
function Mobility:stop()
    class.check(self, meta, "stop")
    for _, mover in ipairs(self.movers) do
        if active[mover] then
            local x, y = radio.place_of(mover.node)
            if x then radio.set_motion(mover.node, radio.standing(x, y, core.now())) end
            radio.drive(mover.node, nil)
            if x then record(mover.node.name, core.now(), x, y, x, y, 0) end
        end
    end
end
Mobility.cancel = Mobility.stop

--- What all{} and any{} give for it.
function Mobility:outcome() return true end

--- mobility:wait(timeout) -> true: waits until the nodes have arrived or were stopped.
-- @param timeout  how long at most (duration; default: without end)
-- @return  nil, "timed out" when the time has passed
-- @example
--   local air, a = radio("air"), responder("a")
--   air:join(a, { 0, 0 })
--   local walk = mobility({ a }, { "random_waypoint", area = { 100, 100 }, speed = 1 })
--   check.equal(select(2, walk:wait("1ms")), "timed out")
--   walk:cancel()
function Mobility:wait(timeout)
    class.check(self, meta, "wait")
    local seconds = timeout ~= nil and units.duration(timeout, "timeout", 2) or nil
    local shown <close> = tasks.show_main("waiting for nodes to arrive")
    if not tasks.wait(self.done, seconds) then return nil, "timed out", "timeout" end
    return true
end

-- A number that is one value or {least, most}, read by read(v, what, level).
local function interval(v, read, what, level)
    local least, most = v, v
    if type(v) == "table" then least, most = v[1], v[2] end
    least, most = read(least, what, level + 1), read(most, what, level + 1)
    if most < least then error(("%s: want {least, most}, not {%g, %g}"):format(what, least, most), level + 1) end
    return { least, most }
end

local function speed(v, what, level)
    if type(v) ~= "number" or not (v > 0 and v <= 1e9) then
        error(("%s: want m/s above 0, a number or {least, most}, not %s"):format(what, tostring(v)), level + 1)
    end
    return v
end

local function area(v, level)
    local x1, y1, x2, y2 = 0, 0, v[1], v[2]
    if #v == 4 then x1, y1, x2, y2 = table.unpack(v) end
    for i = 1, math.max(2, #v) do radio.coordinate(v[i], "area", "mobility", level + 1) end
    if (#v ~= 2 and #v ~= 4) or x2 < x1 or y2 < y1 or x2 - x1 + y2 - y1 == 0 then
        error("mobility: area: want {width, height} or {x1, y1, x2, y2}, not empty", level + 1)
    end
    return { x = { x1, x2 }, y = { y1, y2 } }
end

local function between(generator, limits) return limits[1] + generator:unit() * (limits[2] - limits[1]) end

local calls = setmetatable({}, { __mode = "k" }) -- how often a node was given a generator

-- Each node draws from a generator of its own: its way follows from the seed, whatever else the script draws or moves.
local function generator_of(self)
    calls[self] = (calls[self] or 0) + 1
    return core.generator(GENERATORS | self.number << 20 | calls[self])
end

-- The random waypoint model: from where the node is to a random point of the area at a random speed, a pause, and so on.
local function random_waypoint(self, model)
    local generator, t, x, y = generator_of(self), 0, nil, nil
    local walked = false
    return function()
        if not x then
            x, y = radio.place_of(self)
        elseif walked then
            t, walked = t + between(generator, model.pause), false
        else
            local to_x, to_y = between(generator, model.area.x), between(generator, model.area.y)
            local seconds = math.sqrt((to_x - x) ^ 2 + (to_y - y) ^ 2) / between(generator, model.speed)
            t, x, y, walked = t + math.min(seconds, LONGEST), to_x, to_y, true
        end
        return t, x, y
    end
end

local RANDOM_WAYPOINT = {
    area = { type = "table", required = true },
    speed = { type = { "number", "table" }, required = true },
    pause = { type = { "duration", "table" }, default = 0 },
}

local MODEL = options.register({ model = { type = "string" }, ns2 = { type = "string" }, bonnmotion = { type = "string" } },
    "mobility")
for name, entry in pairs(RANDOM_WAYPOINT) do MODEL[name] = { type = entry.type, default = entry.default } end

local function without_name(model)
    local rest = {}
    for key, value in pairs(model) do
        if key ~= "model" and key ~= 1 then rest[key] = value end
    end
    return rest
end

-- Speeds must stay away from 0: nodes with slow ways are ever longer on them, so that the mean speed decays, to 0 where the
-- least is 0, and nothing that is measured meanwhile holds (J. Yoon, M. Liu, B. Noble: Random Waypoint Considered Harmful,
-- INFOCOM 2003).
local function read_random_waypoint(model, level)
    local checked = options.check(without_name(model), RANDOM_WAYPOINT, "mobility", level + 1)
    local read = {
        area = area(checked.area, level + 1),
        speed = interval(checked.speed, speed, "mobility: speed", level + 1),
        pause = interval(checked.pause, units.duration, "mobility: pause", level + 1),
    }
    if read.pause[2] > LONGEST then error("mobility: pause: at most three years", level + 1) end
    return function(nodes)
        local ways = {}
        for i, self in ipairs(nodes) do ways[i] = random_waypoint(self, read) end
        return ways
    end
end

-- An iterator over a flat list t, x, y, ...
local function points(list)
    local i = -3
    return function()
        i = i + 3
        if list[i + 1] then return list[i + 1], list[i + 2], list[i + 3] end
    end
end

local FILES = { ns2 = mobility_traces.ns2, bonnmotion = mobility_traces.bonnmotion }

local function read_file(kind, path, level)
    if type(path) ~= "string" then error(("mobility: %s: want the path of a file"):format(kind), level + 1) end
    local lists, why = FILES[kind](path)
    if not lists then error("mobility: " .. why, level + 1) end
    return function(nodes, level_of_call)
        if #nodes ~= #lists then
            error(("mobility: %s moves %d nodes, and %d were given"):format(path, #lists, #nodes), level_of_call + 1)
        end
        local ways = {}
        for i, list in ipairs(lists) do ways[i] = points(list) end
        return ways
    end
end

local MODELS = { random_waypoint = true }

-- Returns fn(nodes, level) -> their ways, and the model's name.
local function read_model(model, level)
    if type(model) ~= "table" then
        error('mobility: want a model, as {"random_waypoint", area={100, 100}, speed={1, 2}}', level + 1)
    end
    for kind in pairs(FILES) do
        if model[kind] ~= nil then
            options.check(model, { [kind] = {} }, "mobility", level + 1)
            return read_file(kind, model[kind], level + 1), kind
        end
    end
    local name = model.model or model[1]
    if not MODELS[name] then
        error(('mobility: want {"random_waypoint", ...}, {ns2=file} or {bonnmotion=file}, not %s%s'):format(tostring(name),
            options.hint(name, MODELS, FILES)), level + 1)
    end
    return read_random_waypoint(model, level + 1), name
end

local function read_nodes(v, level)
    local list, seen = {}, {}
    if type(v) ~= "table" or node.is(v) then v = { v } end
    for i, item in ipairs(v) do
        list[i] = link.check_node(item, "mobility", ("node %d"):format(i), level + 1)
        if not radio.has_place(list[i]) then error(("mobility: %s is in no radio"):format(list[i].name), level + 1) end
        if seen[list[i]] then error(("mobility: %s is given twice"):format(list[i].name), level + 1) end
        seen[list[i]] = true
    end
    if #list == 0 then error("mobility: want a node or an array of nodes", level + 1) end
    return list
end

--- mobility(nodes, model) -> mobility: moves nodes that are in a radio, from now on.
-- The model is { "random_waypoint", area = , speed = , pause = }, { ns2 = file } or { bonnmotion = file }.
-- @param nodes  a node, or an array of them; a file's nodes 0, 1, ... are those of the array
-- @param model  see above and the options
-- @option model       in place of the first element: "random_waypoint", whose ways follow from the run's seed
-- @option area        {width, height} or {x1, y1, x2, y2}, in metres
-- @option speed       metres per second, above 0, or {least, most}
-- @option pause       at each point: a duration, or {least, most} (default 0)
-- @option ns2         the path of a movement file of ns-2
-- @option bonnmotion  the path of a .movements file of BonnMotion
-- @error  nodes that are in no radio; a file with another number of nodes
-- @example
--   local air, a = radio("air"), responder("a")
--   air:join(a, { 0, 0 })
--   local walk = mobility(a, { "random_waypoint", area = { 100, 100 }, speed = { 1, 2 }, pause = "5s" })
--   walk:stop()
function mobility.mobility(nodes, model)
    local list = read_nodes(nodes, 2)
    local make_ways, kind = read_model(model, 2)
    local ways = make_ways(list, 2)
    local handle = setmetatable({ nodes = list, kind = kind, movers = {}, moving = #list, begin = core.now(),
        done = core.future() }, meta)
    for i, self in ipairs(list) do start(handle, self, ways[i]) end
    for i, mover in ipairs(handle.movers) do
        if not mover.task then finish(mover) end -- the file says nothing of it
    end
    return handle
end

testbed.on_end(function()
    for mover in pairs(active) do
        if mover.task then mover.task:cancel() end
    end
    active = {}
end)

return mobility
