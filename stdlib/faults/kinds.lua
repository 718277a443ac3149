-- SPDX-License-Identifier: MIT
-- The kinds of faults: what each is done to, and what it needs.

local errors = require "qemunet.errors"
local link = require "qemunet.network.link"
local testbed = require "qemunet.testbed"
local traces = require "qemunet.network.traces"
local units = require "qemunet.units"

local kinds = {}

local function number_reader(kind)
    return function(v) return units.parse(kind, v) end
end

local function show_signed(v) return (v < 0 and "-" or "+") .. units.format_duration(math.abs(v)) end

--- What some kinds need: how to read a value of it, and how to show one.
kinds.PARAMETERS = {
    by = { read = traces.signed_duration, show = show_signed },
    delay = { read = number_reader "duration", show = units.format_duration },
    rate = { read = number_reader "rate", show = units.format_rate },
    loss = { read = number_reader "fraction", show = function(v) return ("%.4g %%"):format(100 * v) end },
}

--- What each is done to; `needs`: all of these parameters; `takes`: one of these at least.
kinds.ALL = {
    cut = { of = "link" },
    crash = { of = "node" },
    pause = { of = "node" },
    partition = { of = "groups" },
    skew = { of = "node", needs = { "by" } },
    slow = { of = "link", takes = { "delay", "rate" } },
    lossy = { of = "link", needs = { "loss" } },
}

local function find_link(v)
    if type(v) == "table" and link.is_link(v) then return v end
    for _, each in ipairs(testbed.links()) do
        if each.name == v then return each end
    end
end

local function find_node(v)
    if type(v) == "string" then return testbed.find(v) end
    if type(v) == "table" and type(rawget(v, "nics")) == "table" and testbed.find(rawget(v, "name")) == v then return v end
end

local FIND = { link = find_link, node = find_node }

--- The link or node ("link", "node") that v, one itself or a name, is; nil when there is none.
function kinds.find(what, v) return FIND[what](v) end

--- Raises unless a kind can be done to the node of that name. `where`: what the error begins with.
function kinds.check_node(kind, name, where)
    local class = getmetatable(testbed.find(name)).__name
    if class == "vm" or class == "host" and kind ~= "skew" then return end
    local why = class == "host" and "its clock is this machine's" or "it is simulated"
    errors.raise(("%s: %s %s cannot have this fault: %s"):format(where, class, name, why))
end

return kinds
