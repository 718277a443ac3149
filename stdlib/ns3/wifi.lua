-- SPDX-License-Identifier: MIT
-- net:wifi: Wi-Fi of ns-3's, ad hoc or with an access point.

local link = require "qemunet.network.link"
local medium = require "qemunet.ns3.medium"
local options = require "qemunet.options"
local radio = require "qemunet.network.radio"

local wifi = {}

local STANDARDS = { "802.11a", "802.11b", "802.11g", "802.11n", "802.11ac", "802.11ax", "802.11p" }

--- The options of Wi-Fi alone.
wifi.SPEC = {
    standard = { type = "string", default = "802.11a", choices = STANDARDS },
    mode = { type = "string", default = "adhoc", choices = { "adhoc", "infrastructure" } },
    positions = { type = "table" },
    mobility = { type = { "string", "table" } },
    loss = { type = { "string", "table" }, default = "log-distance" },
    manager = { type = { "string", "table" }, default = "ns3::IdealWifiManager" },
    phy = { type = "table" },
    ap = { type = "any" },
}

-- Metres between nodes for which no positions are given.
local SPACING = 5

-- Models of loss by the names that radio has, with the names of their options, as ns-3 has them.
local MODELS = {
    ["log-distance"] = { type = "ns3::LogDistancePropagationLossModel", exponent = "Exponent", reference = "ReferenceDistance",
        reference_loss = "ReferenceLoss" },
    range = { type = "ns3::RangePropagationLossModel", range = "MaxRange" },
    friis = { type = "ns3::FriisPropagationLossModel", frequency = "Frequency" },
}

-- "name" or { "name", option=value, ... } as { type=, attributes= }; `known`: names of ours.
local function object(v, known, where, level)
    local name, attributes = v, {}
    if type(v) == "table" then name = v.model or v[1] or v.type end
    local model = known[name] or { type = name }
    if type(model.type) ~= "string" or not (known[name] or model.type:find("^ns3::")) then
        error(('%s: want a name, or { name, option=value }; of ns-3\'s as "ns3::Name", not %s%s'):format(where, tostring(name),
            options.hint(name, known)), level + 1)
    end
    for key, value in pairs(type(v) == "table" and v or {}) do
        if type(key) == "string" and key ~= "model" and key ~= "type" then attributes[model[key] or key] = tostring(value) end
    end
    return { type = model.type, attributes = attributes }
end

local function check_place(at, where, level)
    if type(at) ~= "table" then error(where .. ": want places, {x, y}", level + 1) end
    return radio.coordinate(at[1], "x", where, level + 1), radio.coordinate(at[2], "y", where, level + 1)
end

-- Where a node is to be: as positions= says, by node, name or place in the list; else where it is in another radio.
local function place_of(other, i, checked)
    local positions = checked.positions or {}
    local at = positions[other] or positions[other.name] or positions[i]
    if at then return check_place(at, "net:wifi: positions", 4) end
    if radio.has_place(other) then return radio.place_of(other) end
    return (i - 1) * SPACING, 0
end

local function find_ap(checked, given, level)
    if checked.mode == "adhoc" then
        if checked.ap then error('net:wifi: ap= goes with mode="infrastructure"', level + 1) end
        return nil
    end
    local ap = link.check_node(checked.ap or given[1], "net:wifi", "ap", level + 1)
    for _, v in ipairs(given) do
        if v == ap or v == ap.name then return ap end
    end
    error("net:wifi: ap: " .. ap.name .. " is not among the nodes", level + 1)
end

--- What net:wifi does; `spec`: its options.
function wifi.make(net, given, spec, level)
    local ap
    local function request(checked)
        ap = find_ap(checked, given, level + 3)
        local phy = {}
        for name, value in pairs(checked.phy or {}) do phy[name] = tostring(value) end
        return { standard = checked.standard, mode = checked.mode, phy = phy,
            loss = object(checked.loss, MODELS, "net:wifi: loss", level + 3),
            manager = object(checked.manager, {}, "net:wifi: manager", level + 3) }
    end
    local function more_of(other, i, checked)
        local x, y = place_of(other, i, checked)
        local mobility = checked.mobility and object(checked.mobility, {}, "net:wifi: mobility", 4)
        return { x = x, y = y, mobility = mobility, ap = other == ap }
    end
    local made = medium.make(net, "wifi", given, spec, request, more_of, level + 1)
    return made
end

return wifi
