-- SPDX-License-Identifier: MIT
-- Files of times: mahimahi's links and lists of delays, read and in force.

local core = require "qemunet.core"
local frames = require "frames"
local pcapng = require "pcapng"
local traces = require "qemunet.network.traces"

local files = {}
teardown(function()
    for _, path in ipairs(files) do os.remove(path) end
end)

local function file(text)
    local path = os.tmpname()
    files[#files + 1] = path
    local handle = assert(io.open(path, "wb"))
    handle:write(text)
    handle:close()
    return path
end

local function wrong(reader, text)
    local path = file(text)
    local list, why = reader(path)
    check.is_nil(list)
    return (why:gsub("^" .. path:gsub("%p", "%%%0"), "F"))
end

test("mahimahi: whole milliseconds, ascending; comments, empty lines and CRLF do not matter", function()
    check.equal(traces.mahimahi(file "0\n1\n1\n\n# more\n 20 \r\n"), { 0, 0.001, 0.001, 0.02 })
    check.equal(traces.mahimahi(file "\u{FEFF}5"), { 0.005 })
    check.equal(wrong(traces.mahimahi, "1\n2\nx\n"), 'F:3: want a whole number of milliseconds, not "x"')
    check.equal(wrong(traces.mahimahi, "-1\n"), 'F:1: want a whole number of milliseconds, not "-1"')
    check.equal(wrong(traces.mahimahi, "1.5\n"), 'F:1: want a whole number of milliseconds, not "1.5"')
    check.equal(wrong(traces.mahimahi, ("9"):rep(30)), ('F:1: want a whole number of milliseconds, not "%s"'):format(("9"):rep(30)))
    check.equal(wrong(traces.mahimahi, "5\n\n3\n"), "F:3: 3 comes after 5: a trace goes forward")
    check.equal(wrong(traces.mahimahi, "#\n"), "F: there is nothing in it")
    check.equal(wrong(traces.mahimahi, "0\n0\n"), "F: it lasts 0 ms, and can not be repeated")
    check.match(select(2, traces.mahimahi("/no/such")), "^/no/such: No such file")
    check.match(select(2, traces.mahimahi("/tmp")), "^/tmp: ")
end)

test("lists of durations: with units, and negative ones", function()
    check.equal(traces.durations(file "0.5\n-2ms\n+3us\n"), { 0.5, -0.002, 0.000003 })
    check.equal(wrong(traces.durations, "1\n2 parsecs\n"),
        'F:2: bad duration "2 parsecs" (want seconds or "200us", "20ms", "1.5s", "2m")')
    check.equal(wrong(traces.durations, "\n"), "F: there is nothing in it")
end)

local a, b = responder("a"), responder("b")

-- Sends n frames of so many bytes at once and returns what a capture has of them, and whether all were sent before one left.
local function captured(l, n, size)
    local path = os.tmpname()
    files[#files + 1] = path
    local c = l:capture(path)
    local frame = frames.datagram(l.nics[1], l.nics[2], size)
    for _ = 1, n do core.link_send(l.id, 0, frame) end
    local sent = now()
    eventually(5, function() return l:stats().ab.delivered == n end, { every = "1ms" })
    c:stop()
    local packets = pcapng.read(path).packets
    return packets, packets[1].time / 1e9 - core.wall_start() > sent
end

test("trace=: packets leave when the trace lets them, and it begins anew after its end", function()
    local path = file "30\n60\n60\n"
    local l, packets, at_once
    for _ = 1, 10 do -- until this machine is in time
        l = link(a, b, { trace = path, ba = { rate = "1mbit" } })
        packets, at_once = captured(l, 7, 1514)
        if at_once then break end
    end
    check.is_nil(l.config.ba.values.trace)
    local gaps = {}
    for i = 2, #packets do gaps[i - 1] = (packets[i].time - packets[i - 1].time) // 1000000 end
    local rhythm, seen = ("0 30 30 "):rep(4), table.concat(gaps, " ")
    check.is_true(rhythm:find(seen, 1, true) ~= nil, seen)
    l:set { rate = "1gbit" } -- takes the trace's place
    check.is_nil(l.config.ab.values.trace)
    l.ab:set { trace = path }
    check.is_nil(l.config.ab.values.rate)
    check.raises(function() l:set { trace = path, rate = 5 } end,
        "test_traces.lua:%d+: set: ab: trace and rate exclude each other")
    check.raises(function() l:set { trace = file "1\n0\n" } end, "test_traces.lua:%d+: set: trace: /[^ ]*:2: 0 comes after 1")
    check.raises(function() l:set { trace = "/no/such" } end, "test_traces.lua:%d+: set: trace: /no/such: No such file")
end)

test("samples=: added to the delay in order, and over again; in a table or a file", function()
    for _, samples in ipairs { { 0.001, "-1ms", 0 }, file "1ms\n-0.001\n0\n" } do
        local l = link(a, b, { delay = "3ms", samples = samples, distribution = "trace" })
        local delays = {}
        for i, p in ipairs(captured(l, 6)) do delays[i] = p.comment:match("entered (.*) ms before") end
        table.sort(delays)
        check.equal(table.concat(delays, " "), "2.000 2.000 3.000 3.000 4.000 4.000")
    end
    local l = link(a, b)
    check.raises(function() l:set { samples = {} } end, "test_traces.lua:%d+: set: samples: there are none")
    check.raises(function() l:set { samples = { 1, "x" } } end, "test_traces.lua:%d+: set: samples%[2%]: bad duration \"x\"")
    check.raises(function() l:set { samples = { 1, true } } end, "samples%[2%]: bad duration true")
    check.raises(function() l:set { samples = { 1e9 } } end, "test_traces.lua:%d+: set: samples: number 1 is out of range")
    check.raises(function() l:set { samples = "/no/such" } end, "test_traces.lua:%d+: set: samples: /no/such")
end)
