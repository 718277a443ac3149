-- SPDX-License-Identifier: MIT
-- Radio media, and the places of the nodes in them: radio, node:move, node:position. Metres, and metres per second.

local class = require "qemunet.class"
local core = require "qemunet.core"
local declarations = require "qemunet.declarations"
local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local radio = {}

-- What the fabric takes: metres from the origin and a second (as in fabric.h), and seconds that a way takes: three years.
local FARTHEST, FASTEST, LONGEST = 1e9, 1e9, 1e8
radio.PLANNED = 16

-- ns-3's: LogDistancePropagationLossModel, whose loss over 1 m is Friis' in free space at 5.15 GHz, and the power and
-- sensitivity of its WifiPhy. They carry 221 m.
local LOG_DISTANCE = {
    exponent = { type = "number", default = 3 },
    reference = { type = "number", default = 1 },
    reference_loss = { type = "number", default = 46.6777 },
    tx = { type = "number", default = 16.0206 },
    sensitivity = { type = "number", default = -101 },
    shadowing = { type = "number", default = 0, min = 0 },
}

-- As a table says one.
local LOSS_MODEL = { model = { type = "string" } }
for name, entry in pairs(LOG_DISTANCE) do LOSS_MODEL[name] = entry end

local MODELS = { range = {}, ["log-distance"] = LOG_DISTANCE }

local RADIO = options.register({
    range = { type = "number", min = 0 },
    loss_model = { type = { "string", "table" }, default = "range", of = LOSS_MODEL },
    rate = { type = "rate" },
    queue = { type = "integer", min = 1 },
    promiscuous = { type = "boolean" },
    subnet = { type = "string" },
    ip = { type = "boolean" },
}, "radio")

--- class radio: a medium that nodes share; what radio() returns.
-- @field name string   its name
-- @field links table   the links of its nodes
-- @field subnet table  its subnet, or false with ip=false
local Radio = {}
local meta = class.new("radio", Radio)

--- Whether a value is a radio.
function radio.is(v) return getmetatable(v) == meta end

-- The links that are in the radio now.
local function members(self)
    local list = {}
    for _, l in ipairs(self.links) do
        if not l.removed then list[#list + 1] = l end
    end
    return list
end

function meta.__tostring(self) return ("radio %s (%d members)"):format(self.name, #members(self)) end

-- How each node moves: {[node]={ motions={...}, halted= }}. A motion is { x=, y=, vx=, vy=, start=, duration= }; the first
-- is the present one, or over, and each holds until the next starts. `halted` is called when something else begins to move
-- the node.
local places = setmetatable({}, { __mode = "k" })

-- Media whose members have places, by their metatables: {[metatable]={ has_places=fn(medium), move=fn(link, motion),
-- place_of=fn(link) -> x, y }}.
local kinds = {
    [meta] = {
        has_places = function() return true end,
        move = function(l, m) core.radio_move(l.switch.id, l.id, m.x, m.y, m.vx, m.vy, m.start, m.duration) end,
        place_of = function(l) return core.radio_position(l.switch.id, l.id) end,
    },
}

--- Makes another kind of medium one whose members have places.
function radio.add_kind(of, functions) kinds[of] = functions end

local function kind_of(medium) return type(medium) == "table" and kinds[getmetatable(medium)] end

-- A node's links to radios.
local function links_of(self)
    local list = {}
    for _, nic in ipairs(self.nics) do
        local medium = nic.link.switch
        local kind = not nic.link.removed and kind_of(medium)
        if kind and kind.has_places(medium) then list[#list + 1] = nic.link end
    end
    return list
end

local function apply(l, m) kind_of(l.switch).move(l, m) end

--- Has a node move so, in all its radios. A motion that starts later than now follows those that start before it, and
--- replaces those that were to start later. The fabric keeps radio.PLANNED of them, the present one included.
function radio.set_motion(self, motion)
    local place, now, kept = places[self] or {}, core.now(), {}
    for i, m in ipairs(place.motions or {}) do
        local next = place.motions[i + 1]
        local is_over = next and next.start <= now
        if motion.start > now and not is_over and (m.start <= now or m.start < motion.start) then kept[#kept + 1] = m end
    end
    kept[#kept + 1] = motion
    place.motions = kept
    places[self] = place
    for _, l in ipairs(links_of(self)) do apply(l, motion) end
end

--- Makes halted() what is called when something else begins to move the node; calls the one before.
function radio.drive(self, halted)
    local place = places[self]
    local before = place.halted
    place.halted = halted
    if before then before() end
end

--- A motion that stays where it is.
function radio.standing(x, y, start) return { x = x, y = y, vx = 0, vy = 0, start = start, duration = 0 } end

--- Whether a node is in a radio.
function radio.has_place(self) return #links_of(self) > 0 end

--- Where a node is; nil when it is in no radio.
function radio.place_of(self)
    local l = links_of(self)[1]
    if l then return kind_of(l.switch).place_of(l) end
end

-- One coordinate; `where` begins the error.
local function coordinate(v, name, where, level)
    if type(v) ~= "number" or not (math.abs(v) <= FARTHEST) then
        error(("%s: %s: want metres, a number, not %s"):format(where, name, tostring(v)), level + 1)
    end
    return v
end
radio.coordinate = coordinate

local function read_model(v, level)
    local given, name = {}, v
    if type(v) == "table" then
        name = v.model or v[1]
        for key, value in pairs(v) do
            if key ~= "model" and key ~= 1 then given[key] = value end
        end
    end
    local spec = MODELS[name]
    if not spec then
        error(('radio: loss_model: want "range" or "log-distance", not %s%s'):format(tostring(name),
            options.hint(name, MODELS)), level + 1)
    end
    local checked = options.check(given, spec, "radio: loss_model", level + 1)
    checked.log_distance = spec == LOG_DISTANCE
    return checked
end

local function read_options(opts, level)
    local checked = options.check(opts, RADIO, "radio", level + 1)
    if checked.range == 0 then error("radio: range: must be above 0", level + 1) end
    local config = read_model(checked.loss_model, level + 1)
    for _, name in ipairs { "range", "rate", "queue", "promiscuous" } do config[name] = checked[name] end
    return checked, config
end

local radios = {}

local function remove(self)
    for _, l in ipairs(self.links) do l:take_away() end
    core.radio_remove(self.id)
    radios = testbed.without(radios, self)
end

--- radio(name, opts) -> radio: a medium that nodes join at places; places are in metres.
-- @param name  a text
-- @option range        metres; who is farther hears nothing (default: all hear)
-- @option loss_model   "range", or "log-distance" as a name or as a table with parameters, { "log-distance", exponent = 2 }
-- @option loss_model.model           its name, in place of the first element
-- @option loss_model.exponent        of the distance
-- @option loss_model.reference       metres at which the loss is reference_loss
-- @option loss_model.reference_loss  dB
-- @option loss_model.tx              power of a sender, dBm
-- @option loss_model.sensitivity     least power that is heard, dBm
-- @option loss_model.shadowing       standard deviation of each frame's and receiver's loss, dB
-- @option rate         what all share, frame by frame in turns (default: unlimited)
-- @option queue        frames of one member that wait (default 1000)
-- @option promiscuous  true: members are given what is for others, too
-- @option subnet       of all its nodes (default: the next free one)
-- @option ip           false: no addresses
-- @error  a name that another radio has
-- @example
--   local air = radio("air", { range = 100, rate = "11mbit" })
--   air:join(responder("a"), { 0, 0 })
--   air:join(responder("b"), { 60, 80 })
function radio.radio(name, opts)
    if not options.is_name(name) then error("radio: want a name", 2) end
    for _, other in ipairs(radios) do
        if other.name == name and not declarations.make_way(other) then
            error(("there is a radio %q already"):format(name), 2)
        end
    end
    local checked, config = read_options(opts, 2)
    local subnet = testbed.subnet(checked, "radio") or false
    testbed.prepare()
    local ok, id = pcall(core.radio_add, config)
    if not ok then error("radio: " .. id, 2) end
    local self = setmetatable({ name = name, id = id, links = {}, subnet = subnet }, meta)
    radios[#radios + 1] = self
    declarations.add(self, remove)
    core.event { t = core.now(), kind = "radio", radio = name, event = "added", config = config }
    return self
end

-- The motion that a new member begins with: where it is to be, or that of its other radios.
local function first_place(self, at, level)
    if at == nil and radio.has_place(self) then return nil end
    if type(at) ~= "table" then error("join: want a place, {x, y}, behind the node", level + 1) end
    local x, y = coordinate(at[1], "x", "join", level + 1), coordinate(at[2], "y", "join", level + 1)
    return radio.standing(x, y, core.now())
end

local function check_new(self, other, level)
    for _, l in ipairs(members(self)) do
        if l.nics[1].node == other then
            error(("join: %s is in radio %s already"):format(other.name, self.name), level + 1)
        end
    end
end

local function move_at_once(self, motion)
    radio.set_motion(self, motion)
    radio.drive(self, nil)
end

--- Puts the node at a link's end somewhere, in all its radios.
function radio.place(l, x, y) move_at_once(l.a, radio.standing(x, y, core.now())) end

--- radio:join(node, place, opts) -> link: puts a node at a place, and joins it (end a) to the radio (end b).
-- A node is at one place in all its radios.
-- @param node   a node or its name
-- @param place  {x, y} in metres; without it the node stays where it is in another radio
-- @options link
-- @example
--   radio("air"):join(responder("a"), { 0, 0 }, { delay = "1ms" })
function Radio:join(other, at, opts)
    class.check(self, meta, "join")
    other = link.check_node(other, "join", "the first argument", 2)
    check_new(self, other, 2)
    local motion = first_place(other, at, 2)
    local l, both = link.new(other.name .. "--" .. self.name, opts, "join", 2)
    l.a, l.b, l.switch = other, self, self
    if both.subnet then error("join: give subnet= to the radio", 2) end
    local made <close> = link.making { l }
    link.connect(l, link.attach(l, other, both.ip ~= false and self.subnet or nil), { "radio", self.id })
    self.links[#self.links + 1] = l
    if motion then
        move_at_once(other, motion)
    else
        for _, m in ipairs(places[other].motions) do apply(l, m) end
    end
    made:finish()
    local x, y = other:position()
    core.event { t = core.now(), kind = "radio", radio = self.name, event = "joined", node = other.name, at = { x, y } }
    return l
end

-- Drops a link that was removed.
function Radio:forget(l) self.links = testbed.without(self.links, l) end

--- radio:leave(node): takes a node out of the radio, as the :remove() of its link.
-- @param node  a node or its name
-- @error  a node that is not in it
-- @example
--   local air, a = radio("air"), responder("a")
--   air:join(a, { 0, 0 })
--   air:leave(a)
function Radio:leave(other)
    class.check(self, meta, "leave")
    other = link.check_node(other, "leave", "the first argument", 2)
    for _, l in ipairs(members(self)) do
        if l.nics[1].node == other then return l:remove() end
    end
    error(("leave: %s is not in radio %s"):format(other.name, self.name), 2)
end

--- radio:stats() -> table: what has become of the frames, in all and of each member.
-- @return  { sent = frames that were on the air, unheard = those that nobody heard, dropped = those that its queue had no room
--   for or that were cut off, heard = others' that a member heard, missed = those for it or for all that it was too far away
--   to hear, waiting = those that wait for the air, members = { [node's name] = the same of it } }
-- @example
--   local air = radio("air")
--   air:join(responder("a"), { 0, 0 })
--   check.equal(air:stats().members.a.sent, 0)
function Radio:stats()
    class.check(self, meta, "stats")
    local sum = { sent = 0, unheard = 0, dropped = 0, heard = 0, missed = 0, waiting = 0 }
    local each = {}
    for _, l in ipairs(members(self)) do
        local one = core.radio_stats(self.id, l.id)
        each[l.nics[1].node.name] = one
        for name in pairs(sum) do sum[name] = sum[name] + one[name] end
    end
    sum.members = each
    return sum
end

local MOVE = options.register({ speed = { type = "number" }, over = { type = "duration" } }, "node:move")

-- How long a way takes.
local function duration_of(distance, opts, level)
    local checked = options.check(opts, MOVE, "move", level + 1)
    if checked.speed and checked.over then error("move: give speed= or over=, not both", level + 1) end
    if checked.over then return checked.over end
    if not checked.speed then return 0 end
    if not (checked.speed > 0) then error("move: speed: must be above 0 m/s", level + 1) end
    return distance / checked.speed
end

local function distance_of(x1, y1, x2, y2) return math.sqrt((x2 - x1) ^ 2 + (y2 - y1) ^ 2) end

--- The motion on a straight way from (x, y), at `start`, to (to_x, to_y) in so many seconds; at once in none.
function radio.straight(x, y, to_x, to_y, start, duration)
    duration = math.ceil(duration * 1e9) / 1e9 -- the fabric's nanoseconds, so that it ends where it is to end
    if distance_of(x, y, to_x, to_y) >= FASTEST * duration then return radio.standing(to_x, to_y, start) end
    return { x = x, y = y, vx = (to_x - x) / duration, vy = (to_y - y) / duration, start = start, duration = duration }
end

local function need_place(self)
    if not radio.has_place(self) then
        errors.raise(("%s is in no radio: it has no place; r:join(%s, {x, y}) gives it one"):format(self.name, self.name))
    end
end

--- node:move(x, y, opts) -> number: moves a node that is in a radio, at once or on a straight way from now on.
-- It ends what else moves the node.
-- @param x       metres
-- @param y       metres
-- @option speed  of the way, metres per second
-- @option over   how long the way takes, instead
-- @return  the seconds that it takes
-- @error   a node that is in no radio
-- @example
--   local a = responder("a")
--   radio("air"):join(a, { 0, 0 })
--   check.equal(a:move(30, 40, { speed = 25 }), 2)
function node.methods:move(x, y, opts)
    errors.check_colon(node.is(self), "move", "node")
    coordinate(x, "x", "move", 2)
    coordinate(y, "y", "move", 2)
    need_place(self)
    local from_x, from_y = radio.place_of(self)
    local start, seconds = core.now(), duration_of(distance_of(from_x, from_y, x, y), opts, 2)
    if seconds > LONGEST then error(("move: it would take %g s"):format(seconds), 2) end
    move_at_once(self, radio.straight(from_x, from_y, x, y, start, seconds))
    core.event { t = start, kind = "move", node = self.name, from = { from_x, from_y }, to = { x, y }, duration = seconds }
    return seconds
end

--- node:position() -> x, y: where a node that is in a radio is now, in metres.
-- @error  a node that is in no radio
-- @example
--   local a = responder("a")
--   radio("air"):join(a, { 3, 4 })
--   check.equal({ a:position() }, { 3, 4 })
function node.methods:position()
    errors.check_colon(node.is(self), "position", "node")
    need_place(self)
    local x, y = radio.place_of(self)
    return x, y
end

testbed.on_end(function()
    for _, self in ipairs(radios) do core.radio_remove(self.id) end
    radios = {}
end)

return radio
