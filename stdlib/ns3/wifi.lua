-- SPDX-License-Identifier: MIT
-- net:wifi: Wi-Fi of ns-3's, ad hoc or with an access point.

local errors = require "qemunet.errors"
local medium = require "qemunet.ns3.medium"
local mobility = require "qemunet.network.mobility"
local options = require "qemunet.options"
local radio = require "qemunet.network.radio"
local testbed = require "qemunet.testbed"

local wifi = {}

--- The options of Wi-Fi alone.
wifi.SPEC = {
    standard = { type = "string", default = "802.11a" },
    mode = { type = "string", default = "adhoc", choices = { "adhoc", "infrastructure" } },
    positions = { type = "table" },
    mobility = { type = { "string", "table" } },
    loss = { type = { "string", "table" }, default = "log-distance" },
    manager = { type = { "string", "table" }, default = "ns3::IdealWifiManager" },
    phy = { type = "table" },
    ap = { type = "any" },
}

-- Metres between nodes for which no positions are given, and from the origin.
local SPACING, FARTHEST = 5, 1e9

-- Models of loss by the names that radio has, with the names of their options, as ns-3 has them.
local MODELS = {
    ["log-distance"] = { type = "ns3::LogDistancePropagationLossModel", exponent = "Exponent", reference = "ReferenceDistance",
        reference_loss = "ReferenceLoss" },
    range = { type = "ns3::RangePropagationLossModel", range = "MaxRange" },
    friis = { type = "ns3::FriisPropagationLossModel", frequency = "Frequency" },
}

-- Whether it is a name of ns-3's: "ns3::Type", or "Type".
local function is_type(name) return name:find("^ns3::%u") ~= nil or name:find("^%u") ~= nil end

-- "name" or { "name", option=value, ... } as { type=, attributes= }; `known`: names of ours.
local function object(v, known, where)
    local name, attributes = v, {}
    if type(v) == "table" then name = v.model or v[1] or v.type end
    local model = known[name] or { type = name }
    if type(model.type) ~= "string" or not (known[name] or is_type(model.type)) then
        errors.raise(('%s: want a name, or { name, option=value }; of ns-3\'s as "ns3::Name", not %s%s'):format(where,
            tostring(name), options.hint(name, known)))
    end
    for key, value in pairs(type(v) == "table" and v or {}) do
        if type(key) == "string" and key ~= "model" and key ~= "type" then attributes[model[key] or key] = tostring(value) end
    end
    return { type = model.type, attributes = attributes }
end

local function coordinate(v)
    if type(v) ~= "number" or not (math.abs(v) <= FARTHEST) then
        errors.raise("net:wifi: positions: want metres, a number, not " .. tostring(v))
    end
    return v
end

local function check_place(at)
    if type(at) ~= "table" then errors.raise("net:wifi: positions: want places, {x, y}, not " .. tostring(at)) end
    return coordinate(at[1]), coordinate(at[2])
end

-- Where a node is to be: as positions= says, by node, name or place in the list; else where it is in another radio.
local function place_of(other, i, checked)
    local positions = checked.positions or {}
    local at = positions[other] or positions[other.name] or positions[i]
    if at then return check_place(at) end
    if radio.has_place(other) then return radio.place_of(other) end
    return (i - 1) * SPACING, 0
end

-- Raises unless each place that is given for a node, or by a name, is one of `nodes`.
local function check_positions(positions, nodes)
    for key in pairs(positions or {}) do
        local other = type(key) == "string" and testbed.find(key) or key
        local known = math.type(key) == "integer"
        for _, each in ipairs(nodes) do known = known or each == other end
        if not known then errors.raise(("net:wifi: positions: %s is not among the nodes"):format(tostring(key))) end
    end
end

local function find_ap(checked, nodes)
    if checked.mode == "adhoc" then
        if checked.ap then errors.raise('net:wifi: ap= goes with mode="infrastructure"') end
        return nil
    end
    local ap = checked.ap or nodes[1]
    if type(ap) == "string" then ap = testbed.find(ap) or ap end
    for _, each in ipairs(nodes) do
        if each == ap then return ap end
    end
    errors.raise(("net:wifi: ap: %s is not among the nodes"):format(tostring(ap)))
end

-- "802.11a", however it is written: "80211a", "a".
local function standard_of(v)
    local letters = v:match("^802%.?11(%l+)$") or v:match("^%l%l?$")
    return letters and "802.11" .. letters or v
end

local function moves_by_ns3(model)
    local name = type(model) == "table" and (model[1] or model.type) or model
    return type(name) == "string" and is_type(name)
end

--- What net:wifi does; `spec`: its options.
function wifi.make(net, given, spec, level)
    local ap
    local function request(checked, nodes)
        ap = find_ap(checked, nodes)
        check_positions(checked.positions, nodes)
        local phy = {}
        for name, value in pairs(checked.phy or {}) do phy[name] = tostring(value) end
        return { standard = standard_of(checked.standard), mode = checked.mode, phy = phy,
            loss = object(checked.loss, MODELS, "net:wifi: loss"),
            manager = object(checked.manager, {}, "net:wifi: manager") }
    end
    local function more_of(other, i, checked)
        local x, y = place_of(other, i, checked)
        local model = moves_by_ns3(checked.mobility) and object(checked.mobility, {}, "net:wifi: mobility") or nil
        return { x = x, y = y, mobility = model, ap = other == ap }
    end
    local made, nodes = medium.make(net, "wifi", given, spec, request, more_of, level + 1)
    local model = made.opts.mobility
    if model and not moves_by_ns3(model) then mobility.mobility(nodes, model) end
    return made
end

return wifi
