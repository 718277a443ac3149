-- SPDX-License-Identifier: MIT
-- The names that an experiment sees: one table, the globals of the script and what require "qemunet" gives.

local boot = require "qemunet.nodes.boot"
local capture = require "qemunet.network.capture"
local conditions = require "qemunet.conditions"
local core = require "qemunet.core"
local csv = require "qemunet.csv"
local events = require "qemunet.events"
local exit = require "qemunet.program.exit"
local faults = require "qemunet.faults.faults"
local fidelity = require "qemunet.fidelity.fidelity"
local host = require "qemunet.nodes.host"
local image = require "qemunet.nodes.image"
local inspect = require "qemunet.inspect"
local mobility = require "qemunet.network.mobility"
local nat = require "qemunet.network.nat"
local node = require "qemunet.nodes.node"
local ns3 = require "qemunet.ns3.ns3"
local options = require "qemunet.options"
local partition = require "qemunet.network.partition"
local radio = require "qemunet.network.radio"
local random = require "qemunet.random"
local re = require "qemunet.re"
local recorder = require "qemunet.record.recorder"
local repetition = require "qemunet.repetition"
local responder = require "qemunet.nodes.responder"
local series = require "qemunet.record.series"
local sandbox = require "qemunet.program.sandbox"
local stats = require "qemunet.stats"
local sync = require "qemunet.sync"
local tasks = require "qemunet.tasks"
local text = require "qemunet.text"
local topology = require "qemunet.topology.topology"
local traffic = require "qemunet.traffic.source"
local video = require "qemunet.traffic.video"
local vm = require "qemunet.nodes.vm"
local wiring = require "qemunet.network.wiring"
local voice = require "qemunet.traffic.voice"

--- now() -> number: experiment seconds, 0 at the start.
-- @example
--   local begin = now()
--   check.is_true(now() >= begin)

--- print(...): writes values to standard output, with tabs between them, as Lua does.
-- @param ...  any values
-- @example
--   print("seconds:", now())

--- args: the words behind "--" on the command line, a list of texts.
-- @example
--   print(#args, args[1])

--- defaults: what calls take where they are not told; assigning changes it for the experiment.
-- @field timeout duration  of commands, and of waits (60 s)
-- @field max_output size   bytes of each of a command's outputs that are kept ("64M")
-- @example
--   defaults.timeout = "2m"

--- stats: statistics of lists of numbers. They leave a list as it is, and raise for an empty one and for what is no number.
-- Results are in the unit of the values.
-- @example
--   print(stats.mean { 1, 2, 3 }, stats.quantile({ 1, 2, 3 }, "95%"))

--- re: regular expressions (PCRE2) on strings. They see bytes; a pattern that starts with "(*UTF)" sees characters.
-- @example
--   check.equal(re.match("rtt 20.4 ms", "(?<rtt>[0-9.]+) ms").rtt, "20.4")

--- json: JSON, there and back.
-- @example
--   check.equal(json.decode('[1, {"a": true}]'), { 1, { a = true } })

--- csv: tables of comma-separated values (RFC 4180).
-- @example
--   check.equal(csv.encode { { "a", 1 } }, "a,1\r\n")

--- check: assertions, which raise with what was found and what was wanted.
-- @example
--   check.equal(1 + 1, 2)

local language = {}

--- The globals of the script that runs.
language.globals = false

options.register({ width = { type = "number", default = 100 }, depth = { type = "integer", default = 6 },
    max = { type = "integer", default = 2000 }, string = { type = "integer", default = 4096 },
    indent = { type = "string", default = "  " } }, "inspect")

local DEFAULTS = { timeout = { type = "duration" }, max_output = { type = "size" } }

local function check_default(key, level)
    if node.defaults[key] ~= nil then return end
    error(("defaults has no %q%s"):format(tostring(key), options.hint(key, node.defaults)), level)
end

-- A default that does not exist is a typing error.
local function strict_defaults()
    return setmetatable({}, {
        __index = function(_, key)
            check_default(key, 3)
            return node.defaults[key]
        end,
        __newindex = function(_, key, value)
            check_default(key, 3)
            local problem = options.problem(value, DEFAULTS[key])
            if problem then error(("defaults.%s: %s"):format(key, problem), 2) end
            node.defaults[key] = value
        end,
    })
end

local json = {}

--- json.encode(value, pretty) -> text: a value as JSON.
-- nan and infinity become null, bytes that are no UTF-8 the replacement character.
-- @param value   texts, numbers, booleans, and tables of these; an empty table is an object
-- @param pretty  true: indented, on several lines (default false)
-- @error  functions and the like; tables that contain themselves
-- @example
--   check.equal(json.encode { 1, 2 }, "[1, 2]")
function json.encode(value, pretty)
    local encoded, why = core.json_encode(value, pretty)
    if not encoded then error("json.encode: " .. why, 2) end
    return encoded
end

--- json.decode(text) -> value: what a text of JSON says.
-- @param text  JSON
-- @return  nil, why and "format", when it is none
-- @example
--   check.equal(json.decode('{"a": [1, 2.5]}'), { a = { 1, 2.5 } })
function json.decode(encoded)
    if type(encoded) ~= "string" then error("json.decode: want a string", 2) end
    local value, why = core.json_decode(encoded)
    if why then return nil, why, "format" end
    return value
end

local function print_values(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    core.print(table.concat(parts, "\t", 1, parts.n) .. "\n")
end

-- Read from the library's sources when it is asked for.
local function show_help(...) return require "qemunet.docs.help".help(...) end

-- The prompt is loaded when one is opened.
local function open_prompt() return require "qemunet.repl.breakpoint".breakpoint() end

-- Reading a key of the table that it does not have is an error.
local function strict(name, own)
    return setmetatable(own, { __index = function(_, key)
        error(("%s has no function %q%s"):format(name, tostring(key), options.hint(key, own)), 2)
    end })
end

-- A table of functions that the library uses itself: what a script changes in it is the script's alone, and what it misspells
-- is an error.
local function own_copy(name, value)
    if type(value) ~= "table" or getmetatable(value) then return value end
    local own = {}
    for each, fn in pairs(value) do own[each] = fn end
    if name == "args" then return own end
    return strict(name, own)
end

--- The names of the language. `suite`: the suite's globals; `args`: the words after "--".
function language.names(suite, args)
    local names = {
        vm = vm.vm, vms = vm.vms, image = image.image, host = host.host, hosts = host.hosts,
        responder = responder.responder, boot = boot.boot,
        link = wiring.link, switch = wiring.switch, hub = wiring.hub, lan = wiring.lan, nat = nat.nat,
        partition = partition.partition, faults = faults.faults, radio = radio.radio, mobility = mobility.mobility,
        ns3 = ns3.ns3,
        capture_all = capture.all, topology = topology,
        source = traffic.source, sink = traffic.sink, voice = voice.voice, video = video.video,
        now = core.now, sleep = tasks.sleep, after = tasks.after, at = tasks.at, every = tasks.every, go = tasks.go,
        all = tasks.all, any = tasks.any, event = events.event, barrier = events.barrier, timeout = tasks.timeout,
        eventually = conditions.eventually, always = conditions.always, sync = sync.sync,
        mark = recorder.mark, record = recorder.record, param = recorder.param,
        fidelity = fidelity.fidelity, series = series.series, probe = series.probe,
        repeat_until = repetition.repeat_until, stats = stats, rng = random.new(), re = re, json = json,
        csv = { encode = csv.encode, write = csv.write }, inspect = inspect, columns = text.columns,
        defaults = strict_defaults(), args = args, print = print_values, help = show_help,
        breakpoint = open_prompt,
    }
    for name, value in pairs(names) do names[name] = own_copy(name, value) end
    for name, value in pairs(suite) do names[name] = value end
    return names
end

--- The environment of a script in `folder`: what it may have of Lua (see sandbox), and the language's names; reading an
--- unknown one raises.
function language.environment(names, folder)
    local env = sandbox.environment(names, folder)
    package.loaded.qemunet = strict("qemunet", names)
    env.os.exit = exit.exit
    language.globals = env
    local function known()
        local list = {}
        for name in pairs(env) do list[#list + 1] = name end
        return list
    end
    return options.strict(env, known) or env
end

return language
