-- SPDX-License-Identifier: MIT
-- The names that an experiment sees: one table, the globals of the script and what require "qemunet" gives.

local boot = require "qemunet.nodes.boot"
local capture = require "qemunet.network.capture"
local core = require "qemunet.core"
local csv = require "qemunet.csv"
local exit = require "qemunet.program.exit"
local faults = require "qemunet.faults.faults"
local host = require "qemunet.nodes.host"
local image = require "qemunet.nodes.image"
local inspect = require "qemunet.inspect"
local link = require "qemunet.network.link"
local mobility = require "qemunet.network.mobility"
local nat = require "qemunet.network.nat"
local node = require "qemunet.nodes.node"
local ns3 = require "qemunet.ns3.ns3"
local options = require "qemunet.options"
local partition = require "qemunet.network.partition"
local radio = require "qemunet.network.radio"
local random = require "qemunet.random"
local re = require "qemunet.re"
local recorder = require "qemunet.program.recorder"
local repetition = require "qemunet.repetition"
local responder = require "qemunet.nodes.responder"
local series = require "qemunet.program.series"
local sandbox = require "qemunet.program.sandbox"
local stats = require "qemunet.stats"
local sync = require "qemunet.sync"
local tasks = require "qemunet.tasks"
local text = require "qemunet.text"
local topology = require "qemunet.topology.topology"
local traffic = require "qemunet.traffic.source"
local video = require "qemunet.traffic.video"
local vm = require "qemunet.nodes.vm"
local voice = require "qemunet.traffic.voice"

local language = {}

-- Setting a default that does not exist is a typing error.
local function strict_defaults()
    return setmetatable({}, {
        __index = function(_, key)
            if node.defaults[key] == nil then error(("defaults has no %q"):format(tostring(key)), 2) end
            return node.defaults[key]
        end,
        __newindex = function(_, key, value)
            if node.defaults[key] == nil then
                error(("defaults has no %q%s"):format(tostring(key), options.hint(key, node.defaults)), 2)
            end
            node.defaults[key] = value
        end,
    })
end

local json = {}

--- json.encode(value, pretty) -> text.
function json.encode(value, pretty)
    local encoded, why = core.json_encode(value, pretty)
    if not encoded then error("json.encode: " .. why, 2) end
    return encoded
end

--- json.decode(text) -> value; nil and why for what is not JSON.
function json.decode(encoded)
    if type(encoded) ~= "string" then error("json.decode: want a string", 2) end
    return core.json_decode(encoded)
end

local function print_values(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    core.print(table.concat(parts, "\t", 1, parts.n) .. "\n")
end

-- A table of functions that the library uses itself: what a script changes in it is the script's alone.
local function own_copy(value)
    if type(value) ~= "table" or getmetatable(value) then return value end
    local own = {}
    for name, each in pairs(value) do own[name] = each end
    return own
end

--- The names of the language. `suite`: the suite's globals; `args`: the words after "--".
function language.names(suite, args)
    local names = {
        vm = vm.vm, vms = vm.vms, image = image.image, host = host.host, hosts = host.hosts,
        responder = responder.responder, boot = boot.boot,
        link = link.link, switch = link.switch, hub = link.hub, lan = link.lan, nat = nat.nat,
        partition = partition.partition, faults = faults.faults, radio = radio.radio, mobility = mobility.mobility,
        ns3 = ns3.ns3,
        capture_all = capture.all, topology = topology,
        source = traffic.source, sink = traffic.sink, voice = voice.voice, video = video.video,
        now = core.now, sleep = tasks.sleep, after = tasks.after, at = tasks.at, every = tasks.every, go = tasks.go,
        all = tasks.all, any = tasks.any, event = tasks.event, barrier = tasks.barrier, timeout = tasks.timeout,
        eventually = tasks.eventually, always = tasks.always, sync = sync.sync,
        mark = recorder.mark, record = recorder.record, param = recorder.param, series = series.series, probe = series.probe,
        repeat_until = repetition.repeat_until, stats = stats, rng = random.new(), re = re, json = json,
        csv = { encode = csv.encode, write = csv.write }, inspect = inspect, columns = text.columns,
        defaults = strict_defaults(), args = args, print = print_values,
    }
    for name, value in pairs(names) do names[name] = own_copy(value) end
    for name, value in pairs(suite) do names[name] = value end
    return names
end

--- The environment of a script in `folder`: what it may have of Lua (see sandbox), and the language's names; reading an
--- unknown one raises.
function language.environment(names, folder)
    local env = sandbox.environment(names, folder)
    package.loaded.qemunet = names
    env.os.exit = exit.exit
    local function known()
        local list = {}
        for name in pairs(env) do list[#list + 1] = name end
        return list
    end
    return options.strict(env, known) or env
end

return language
