-- SPDX-License-Identifier: MIT
-- Options: specifications, normalised values, the nearest name, and globals that must be defined to be read.

local blames = require "blames".exactly
local options = require "qemunet.options"

local SPEC = {
    delay = { type = "duration", default = "20ms" },
    loss = { type = "fraction" },
    rate = { type = "rate" },
    queue = { type = { "integer", "size" }, min = 1, max = 1 << 30 },
    discipline = { type = "string", choices = { "fifo", "red", "codel" } },
    ip = { type = "boolean", default = true },
    ab = { type = "table" },
    on_drop = { type = "function" },
    note = {},
}

-- A library function as an experiment sees one: the error must name the line that calls it.
local function link(opts)
    local checked = options.check(opts, SPEC, "link", 2)
    return checked
end

test("nearest finds swaps, omissions and other cases", function()
    local names = { "delay", "jitter", "loss", "rate", "queue", "reorder", "max_output" }
    check.equal(options.nearest("dealy", names), "delay")
    check.equal(options.nearest("dely", names), "delay")
    check.equal(options.nearest("DELAY", names), "delay")
    check.equal(options.nearest("los", names), "loss")
    check.equal(options.nearest("maxoutput", names), "max_output")
    check.equal(options.nearest("reodrer", names), "reorder")
    check.equal(options.nearest("lnk", { "link", "lan" }), "link")
end)

test("nearest finds nothing where nothing is near", function()
    check.is_nil(options.nearest("bandwidth", { "delay", "rate" }))
    check.is_nil(options.nearest("x", { "y" }))
    check.is_nil(options.nearest("", { "y" }))
    check.is_nil(options.nearest(7, { "y" }))
    check.is_nil(options.nearest("delay", {}))
    check.is_nil(options.nearest(("x"):rep(1000000), { "delay" }))
end)

test("nearest takes the first of equally near names, whatever their order", function()
    check.equal(options.nearest("bat", { "cat", "bar", "bad" }), "bad")
    check.equal(options.nearest("bat", { "bad", "bar", "cat" }), "bad")
end)

test("nearest knows abbreviations and long forms, of three letters at least", function()
    check.equal(options.nearest("memory", { "mem", "me", "append" }), "mem")
    check.equal(options.nearest("param", { "parameters", "args" }), "parameters")
    check.equal(options.nearest("timeout_seconds", { "time", "timeout" }), "timeout")
    check.is_nil(options.nearest("mechanics", { "me", "x" }))
end)

test("values are normalised and defaults filled in", function()
    check.equal(link {}, { delay = 0.02, ip = true })
    check.equal(link(nil), { delay = 0.02, ip = true })
    local got = link {
        delay = "5ms", loss = "1%", rate = "10mbit", queue = "64K", ip = false, discipline = "red", note = 7,
    }
    check.equal(got, {
        delay = 0.005, loss = 0.01, rate = 10000000, queue = 65536, ip = false, discipline = "red", note = 7,
    })
    check.equal(math.type(link({ queue = 3.0 }).queue), "integer")
end)

test("the script's table is left alone, and default tables are not shared", function()
    local given = { delay = "5ms" }
    link(given)
    check.equal(given, { delay = "5ms" })
    local spec = { list = { type = "table", default = {} } }
    options.check({}, spec).list.changed = true
    check.equal(options.check({}, spec), { list = {} })
end)

test("an unknown option raises and names the nearest", function()
    blames(function() link { dealy = "20ms" } end, 'link: unknown option "dealy"; did you mean "delay"?')
    blames(function() link { zzzzzz = 1 } end,
        'link: unknown option "zzzzzz" (known: ab, delay, discipline, ip, loss, note, on_drop, queue, rate)')
    blames(function() link { "n1" } end,
        "link: unknown option 1 (known: ab, delay, discipline, ip, loss, note, on_drop, queue, rate)")
    blames(function() options.check({ x = 1 }, {}) end, 'unknown option "x" (it takes none)')
end)

test("wrong values raise, naming option, value and what is wanted", function()
    local cases = {
        { { delay = "20mss" }, 'delay: bad duration "20mss" (want seconds or "200us", "20ms", "1.5s", "2m")' },
        { { loss = 2 }, 'loss: bad fraction 2 (want 0 to 1 or "0%" to "100%")' },
        { { queue = "many" }, 'queue: bad value "many" (want a whole number or a size such as "64K")' },
        { { queue = 0 }, "queue: must be at least 1, got 0" },
        { { queue = "2G" }, 'queue: must be at most 1073741824, got "2G"' },
        { { ip = "no" }, 'ip: bad value "no" (want true or false)' },
        { { ab = 1 }, "ab: bad value 1 (want a table)" },
        { { on_drop = "f" }, 'on_drop: bad value "f" (want a function)' },
        { { discipline = 1 }, "discipline: bad value 1 (want a string)" },
        { { discipline = "codle" },
            'discipline: bad value "codle" (want "fifo", "red" or "codel"); did you mean "codel"?' },
    }
    for _, case in ipairs(cases) do
        blames(function() link(case[1]) end, "link: " .. case[2])
    end
    blames(function() link "20ms" end, 'link: options must be a table, got "20ms"')
    blames(function() options.check({ n = 0 / 0 }, { n = { type = "number" } }) end, "n: bad value nan (want a number)")
    blames(function() options.check({ n = 1.5 }, { n = { type = "integer" } }) end,
        "n: bad value 1.5 (want a whole number)")
end)

test("a required option must be there, and integer names work", function()
    local spec = { { type = "string", required = true } }
    check.equal(options.check({ "n1" }, spec), { "n1" })
    blames(function() options.check({}, spec, "vm") end, "vm: option 1 is missing")
end)

test("strict globals", function()
    local env = options.strict({ link = 1, check = check }, function() return { "radio" } end)
    local function compile(text) return assert(load(text, "=script", "t", env)) end
    check.equal(check.raises(compile "\nreturn lnk"), 'script:2: undefined global "lnk" (did you mean "link"?)')
    check.equal(check.raises(compile "return raido"), 'script:1: undefined global "raido" (did you mean "radio"?)')
    check.equal(check.raises(compile "return zzz"), 'script:1: undefined global "zzz"')
    check.equal(check.raises(compile "return _ENV.zzz ~= nil"), 'script:1: undefined global "zzz"')
    check.equal(compile "mine = 5; return mine" (), 5)
    check.equal(compile "mine = nil; return mine" (), nil)
    check.equal(compile "later = nil; return later" (), nil)
    check.is_nil(rawget(env, "zzz"))
end)
