-- SPDX-License-Identifier: MIT
-- The language's names, its options, and what it says about misuse. No machine is started here.

local blames = require "blames".matching

local a, b = vm("a"), vm { "b", mem = "128M" }

test("every name of this version is a global, and in require 'qemunet'", function()
    local library = require "qemunet"
    for _, name in ipairs { "vm", "vms", "boot", "link", "switch", "lan", "hub", "now", "sleep", "after", "at", "every", "go",
        "all", "any", "event", "barrier", "timeout", "eventually", "always", "mark", "record", "stats", "json", "param", "args",
        "test", "setup", "teardown", "skip", "check", "defaults", "print", "columns", "inspect" } do
        check.is_true(library[name] ~= nil, name)
        check.is_true(rawequal(library[name], _ENV[name]), name)
    end
    check.is_true(rawequal(require "qemunet", library))
    blames(function() return library.slep end, '^qemunet has no function "slep"; did you mean "sleep"%?$')
end)

-- What the contract has of the network: what a call looks like, and of what the method is, if it is one.
local function network()
    local n, air, cable = responder("of-network"), radio("of-network"), link(responder("of-net1"), responder("of-net2"))
    air:join(n, { 0, 0 })
    local pkt = require "qemunet.network.packet".new(0, "ab", "")
    return {
        { "link" }, { "switch" }, { "lan" }, { "hub" }, { "radio" }, { "mobility" }, { "capture_all" }, { "partition" }, { "nat" },
        { "topology" }, { "source" }, { "sink" }, { "voice" }, { "video" }, { "host" }, { "hosts" }, { "responder" },
        { "s:connect", switch("of-network") }, { "r:join", air }, { "n:move", n }, { "n:ip", n }, { "n:ifname", n },
        { "l:set", cable }, { "l.ab:set", cable.ab }, { "l:down", cable }, { "l:up", cable }, { "l:remove", cable },
        { "l:stats", cable }, { "l:capture", cable }, { "l:on", cable }, { "h:cancel", cable:on("") }, { "h:wait", cable:on("") },
        { "p:heal", partition({ n }, {}) }, { "pkt:ip", pkt }, { "pkt:tcp", pkt }, { "pkt:udp", pkt },
        { "t:start", source(n, { rate = 1, to = "192.0.2.1", gateway = n }) }, { "t:stop", source(cable.ab, { rate = 1 }) },
        { "t:report", voice(cable.ab) }, { "k:report", sink(n) },
    }
end

test("all of the contract's network is there", function()
    for _, entry in ipairs(network()) do
        local call, of = entry[1], entry[2]
        local found = of and of[call:match(":(%a+)$")] or not of and _ENV[call]
        check.is_true(found ~= nil and found ~= false, call)
    end
end)

test("a misspelt global says where, and what was meant", function()
    blames(function() return slep end, '^undefined global "slep" %(did you mean "sleep"%?%)$') -- no check
    blames(function() slep(1) end, '^undefined global "slep" %(did you mean "sleep"%?%)$') -- no check
    blames(function() return nothing_like_it end, '^undefined global "nothing_like_it"$') -- no check
    own_global = 5
    check.equal(own_global, 5)
    own_global = nil
    check.is_nil(own_global)
end)

test("Lua's own libraries are there", function()
    for _, name in ipairs { "string", "table", "math", "io", "os", "utf8", "coroutine", "debug", "package", "require", "load",
        "dofile", "select", "tostring", "pairs", "setmetatable", "rawget", "assert", "error", "pcall" } do
        check.is_true(_ENV[name] ~= nil, name)
    end
    check.is_true(rawequal(_G, _ENV))
end)

test("nodes: what they say of themselves", function()
    check.equal({ a.name, a.state, #a.nics }, { "a", "defined", 0 })
    check.equal(tostring(a), "vm a (defined)")
    check.equal(b.name, "b")
    local list = vms(3, "n%d", { mem = "128M" })
    check.equal({ list[1].name, list[3].name, #list }, { "n1", "n3", 3 })
    check.equal(vms(2)[2].name, "node2")
end)

test("nodes: a name once, and one that is a host name", function()
    blames(function() vm("a") end, '^there is a node "a" already$')
    for _, name in ipairs { "", "1a", "a b", "a.b", "a_b", "-a", "a\n", "localhost", ("x"):rep(64) } do
        blames(function() vm(name) end, "^bad node name ")
    end
    blames(function() vm() end, "^vm: want a name")
    blames(function() vm { mem = "128M" } end, "^vm: want a name")
    blames(function() vm(5) end, "^vm: want a name")
    blames(function() boot(nil) end, "^boot: want nodes, not nil")
    blames(function() boot("a", "a") end, "^boot: want nodes, not a$")
    blames(function() vms(0) end, "^vms: want a number of machines")
    blames(function() vms(2, "same") end, "^vms: want a format for the names")
end)

test("nodes: a misspelt method", function()
    blames(function() a:runn("x") end, '^vm a has no field or method "runn"; did you mean "run"%?$') -- no check
    blames(function() return a.nic end, '^vm a has no field or method "nic"')
end)

test("nodes: a method called with a dot", function()
    for _, name in ipairs { "run", "ip", "boot", "crash", "reboot", "shutdown", "pause", "resume" } do
        blames(function() a[name]("x") end, "^" .. name .. ": call it with a colon")
    end
    blames(function() a.console.send("x") end, "^send: call it with a colon, on a console$")
end)

test("nodes: what is asked of the network before there is one", function()
    blames(function() a:ip() end, "^a: ip: no network interface 1 %(it has 0%)$")
    blames(function() a:ifname(2) end, "^a: ifname: no network interface 2 %(it has 0%)$")
end)

test("vm: unknown options, types and values", function()
    blames(function() vm("x", { memory = "1G" }) end, '^vm: unknown option "memory"') -- no check
    blames(function() vm("x", { cpu = 2 }) end, '^vm: unknown option "cpu"; did you mean "cpus"%?$') -- no check
    blames(function() vm { "x", kernal = "/k" } end, '^vm: unknown option "kernal"; did you mean "kernel"%?$') -- no check
    blames(function() vm("x", { mem = "12Q" }) end, '^vm: mem: bad size "12Q"') -- no check
    blames(function() vm("x", { mem = {} }) end, "^vm: mem: bad size")
    blames(function() vm("x", { mem = 256 }) end, '^vm x: mem: 256 bytes; did you mean "256M"%?$')
    blames(function() vm("x", { cpus = 0 }) end, "^vm: cpus: must be at least 1, got 0") -- no check
    blames(function() vm("x", { accel = "kmv" }) end, '^vm: accel: .*did you mean "kvm"%?$') -- no check
    blames(function() vm("x", { arch = "aarch46" }) end, '^vm: arch: .*did you mean "aarch64"%?$') -- no check
    blames(function() vm("x", { image = "tiny-aarch64" }) end, "^vm x: the image tiny%-aarch64 is of aarch64, not of x86_64$")
    blames(function() vm("x", { arch = "aarch64", disk = "/dev/null" }) end, "^vm x: an aarch64 machine has no firmware")
    blames(function() vm("x", { persistent = true }) end, "^vm x: persistent= goes with disk=$")
    blames(function() vm("x", { disk = "/dev/null", persistent = true, template = true }) end,
        "^vm x: a machine with persistent=true has no template: its disk changes$")
    for _, words in ipairs { { ["-cpu"] = "max" }, { "-m", 5 }, { nil, "-cpu" } } do
        blames(function() vm("x", { qemu = words }) end, "^vm x: qemu: want a list of QEMU's words")
    end
    blames(function() vm("x", 5) end, "^vm: want vm%(name, options%)$")
    blames(function() vm("x", { image = "huge" }) end, '^vm: unknown image "huge"')
    check.equal(vm("x").name, "x", "none of those took the name")
end)

test("vm: too little memory for the kernel says so", function()
    local text = "vm small: mem 48 MiB is too small: the tiny guest needs at least (%d+) MiB to boot$"
    blames(function() vm("small", { mem = "48M" }) end, "^" .. text)
    local _, message = pcall(vm, "small", { mem = "48M" })
    check.equal(vm("enough", { mem = message:match(text) .. "M" }).name, "enough")
end)

test("link: unknown options, units and nodes, before anything is made", function()
    blames(function() link(a, b, { dealy = "1ms" }) end, '^link: unknown option "dealy"; did you mean "delay"%?$') -- no check
    blames(function() link(a, b, { delay = "1 fortnight" }) end, '^link: delay: bad duration "1 fortnight"') -- no check
    blames(function() link(a, b, { rate = "10mbits" }) end, '^link: rate: bad rate "10mbits"') -- no check
    blames(function() link(a, b, { loss = 2 }) end, "^link: loss: ") -- no check
    blames(function() link(a, b, { loss = "101%" }) end, "^link: loss: ") -- no check
    blames(function() link(a, b, { mtu = 10 }) end, "^link: mtu: must be at least 68") -- no check
    blames(function() link(a, b, { ab = { los = 1 } }) end, '^link: ab: unknown option "los"; did you mean "loss"%?$') -- no check
    blames(function() link(a, b, { ip = "no" }) end, "^link: ip: ") -- no check
    blames(function() link(a, b, 5) end, "^link: options must be a table")
    blames(function() link(a) end, "^link: the second argument is not a node")
    blames(function() link(a, "nobody") end, '^link: the second argument is not a node: there is none named "nobody"$')
    blames(function() link(a, a) end, "^link: both ends are a$")
    blames(function() lan {} end, "^lan: want an array of nodes$")
    blames(function() switch("s", { subnett = "x" }) end, -- no check
        '^switch: unknown option "subnett"; did you mean "subnet"%?$')
    blames(function() switch("s", { subnet = "10.0.0.1/24" }) end, '^switch: bad subnet "10.0.0.1/24"')
    check.equal(#a.nics, 0)
end)

test("run: unknown options and bad values, before the machine is started", function()
    blames(function() a:run("x", { timout = 1 }) end, '^a: run: unknown option "timout"; did you mean "timeout"%?$') -- no check
    blames(function() a:run("x", { timeout = "soon" }) end, '^a: run: timeout: bad duration "soon"') -- no check
    blames(function() a:succeed("x", { stdinn = "" }) end, -- no check
        '^a: succeed: unknown option "stdinn"; did you mean "stdin"%?$')
    blames(function() a:spawn("x", { env = 5 }) end, "^a: spawn: env: ") -- no check
    blames(function() a:run(5) end, "^a: run: want a command, a string, not number$")
    blames(function() a:run() end, "^a: run: want a command, a string, not nil$")
    blames(function() a:run("a\0b") end, "^a: run: the command has a NUL byte$")
    blames(function() a:run("x", { env = { ["a b"] = 1 } }) end, '^env: bad variable name "a b"$')
    blames(function() a:wait_port(0) end, "^wait_port: want a port")
    blames(function() a:wait_file() end, "^wait_file: want a path$")
    blames(function() a:write("/x") end, "^write: want a string, not nil$")
    check.equal(a.state, "defined")
end)

test("boot: what is not a node", function()
    blames(function() boot(5) end, "^boot: want nodes, not 5$")
    blames(function() boot { a, "b" } end, "^boot: want nodes, not b$")
end)

test("what has not been booted is down, and stays so", function()
    check.equal(a:shutdown(), true)
    a:crash()
    check.equal(a.state, "defined")
    check.equal({ a:pause() }, { nil, "vm a is defined", "state" })
end)

test("defaults: known ones only", function()
    local before = defaults.timeout
    defaults.timeout = "90s"
    check.equal(defaults.timeout, "90s")
    defaults.timeout = before
    blames(function() defaults.timeut = 5 end, '^defaults has no "timeut"; did you mean "timeout"%?$') -- no check
    blames(function() return defaults.timeut end, '^defaults has no "timeut"; did you mean "timeout"%?$') -- no check
    blames(function() defaults.timeout = "soon" end, '^defaults.timeout: bad duration "soon"') -- no check
    blames(function() defaults.max_output = nil end, "^defaults.max_output: bad size nil") -- no check
end)

test("libraries: a misspelt function", function()
    blames(function() stats.men { 1 } end, '^stats has no function "men"; did you mean "mean"%?$') -- no check
    blames(function() return json.decod "1" end, '^json has no function "decod"; did you mean "decode"%?$') -- no check
    blames(function() columns(1) end, "^columns: want a list of rows, got 1$")
end)

test("param: the default, and what has none is needed", function()
    check.equal(param("rounds", 3), 3)
    check.equal(param("name", "x"), "x")
    check.equal(param("fast", false), false)
    blames(function() param("needed") end, "^param: needed is needed: give %-%-param needed=VALUE$")
    blames(function() param() end, "^param: want a name$")
    blames(function() param("a\0b", 1) end, "^param: want a name$")
    for _, make in ipairs { switch, hub, radio } do blames(function() make("a\0b") end, "^%a+: want a name$") end
    blames(function() param("fn", print) end, "^param: fn: functions, tasks and other objects have no form in JSON$")
    check.equal(args, {})
end)

test("record and mark: what cannot be recorded", function()
    blames(function() record("x") end, "^record: want a table")
    blames(function() record { 1 } end, "^record: the keys must be names$")
    blames(function() record { fn = print } end, "^record: fn: ")
    local loop = {}
    loop.loop = loop
    blames(function() record { loop = loop } end, "^record: loop: ")
    blames(function() mark(5) end, "^mark: want a text$")
end)

test("json: there and back", function()
    local value = { list = { 1, 2.5, "x" }, text = 'a"\n\u{e9}', yes = true, nested = { { a = 1 } }, big = 1 << 53 }
    check.equal(json.decode(json.encode(value)), value)
    check.equal(json.decode(json.encode(value, true)), value)
    check.equal(json.encode { 1, 2 }, "[1, 2]")
    check.equal(json.encode {}, "{}")
    check.equal(json.encode("\xff"), '"\u{fffd}"')
    check.equal(json.encode { 0 / 0, 1 / 0 }, "[null, null]")
    check.raises(function() json.encode { ["a\0b"] = 1 } end, "zero byte")
    check.equal(json.decode "[0.1]", { 0.1 })
    check.equal({ json.encode(0.1), json.encode { 0.1, { 0.5 } } }, { "0.1", "[0.1, [0.5]]" })
    local exact = { 1 / 3, 0.1 + 0.2, 2.0 ^ 53 + 2, 1e300 / 3, math.pi, { math.exp(1) } }
    check.equal(json.decode(json.encode(exact)), exact)
    check.equal(math.type(json.decode("[3]")[1]), "integer")
end)

test("json: what is not", function()
    for _, text in ipairs { "", "{", "[1,]", "{'a': 1}", "[1] x" } do
        local value, why, code = json.decode(text)
        check.is_nil(value, text)
        check.equal({ type(why), code }, { "string", "format" }, text)
    end
    blames(function() json.decode(5) end, "^json.decode: want a string$")
    blames(function() json.encode(print) end, "^json.encode: ")
    blames(function() json.encode { a = { [{}] = 1 } } end, "^json.encode: ")
end)

test("the clock goes on", function()
    local first = now()
    check.is_true(math.type(first) == "float" and first >= 0)
    check.is_true(now() >= first)
end)
