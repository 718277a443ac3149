-- SPDX-License-Identifier: MIT
-- What the experiment has declared, as result.json has it: its nodes and links, with what the report draws of them.

local radio = require "qemunet.network.radio"
local testbed = require "qemunet.testbed"

local inventory = {}

local function kind_of(object) return rawget(object, "is_hub") and "hub" or getmetatable(object).__name end

-- Where it is: in a radio, or on the map that it was read from.
local function position(node)
    if not radio.has_place(node) then return rawget(node, "place") end
    local x, y = radio.place_of(node)
    return { x = x, y = y }
end

local function addresses(node)
    local list
    for _, nic in ipairs(node.nics) do
        if nic.ip then
            list = list or {}
            list[#list + 1] = tostring(nic.ip)
        end
    end
    return list
end

local function node_entry(node)
    local opts, image = rawget(node, "opts") or {}, rawget(node, "image")
    return { name = node.name, kind = kind_of(node), state = rawget(node, "state"), mem = opts.mem, cpus = opts.cpus,
        image = image and image.name or nil, ip = addresses(node), position = position(node) }
end

-- A switch, a hub or a radio may have the name of a node, or of another of these.
local function name_of(at, taken)
    local name = at.name
    if testbed.find(name) or taken[name] then name = ("%s (%s)"):format(name, kind_of(at)) end
    taken[name] = true
    return name
end

-- What is at an end of a link: a node, a switch, a hub, a radio; nothing where a gateway leads out of the experiment.
local function end_entry(at, seen, others)
    if not at then return nil end
    if rawget(at, "nics") then return at.name end
    if not seen[at] then
        seen[at] = name_of(at, seen)
        others[#others + 1] = { name = seen[at], kind = kind_of(at) }
    end
    return seen[at]
end

-- The end that is false is nat's.
local function link_entry(link, seen, others)
    return { name = link.name, a = end_entry(link.a, seen, others), b = end_entry(link.b, seen, others),
        ab = link.config.ab.values, ba = link.config.ba.values, up = link.is_up, removed = link.removed or nil }
end

-- The joints of nodes that ns-3 simulates, which no link of the fabric is for.
local function add_simulated(links, node, seen, others)
    for _, nic in ipairs(node.nics) do
        local l = nic.link
        links[#links + 1] = { name = l.name, a = node.name, b = end_entry(l.b, seen, others), up = l.is_up }
    end
end

--- inventory.collect() -> { nodes = {...}, others = switches and radios, links = {...} }, or nil when there is nothing.
--- A node: name, kind, state, mem, cpus, image, ip, position ({x, y} in metres or {longitude, latitude}). A link: name, a, b
--- (names of its ends; none: the way out of the experiment), ab, ba (settings; none: as the simulation has it), up, removed.
function inventory.collect()
    local nodes, others, links, seen = {}, {}, {}, {}
    for i, node in ipairs(testbed.nodes()) do
        nodes[i] = node_entry(node)
        if kind_of(node) == "simulated" then add_simulated(links, node, seen, others) end
    end
    for _, list in ipairs { testbed.links(), testbed.removed_links() } do
        for _, link in ipairs(list) do links[#links + 1] = link_entry(link, seen, others) end
    end
    if #nodes + #links == 0 then return nil end
    return { nodes = nodes, others = others, links = links }
end

return inventory
