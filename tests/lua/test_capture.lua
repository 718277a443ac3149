-- SPDX-License-Identifier: MIT
-- Captures: what is in the file, where it is, and several at once.

local core = require "qemunet.core"
local frames = require "frames"
local pcapng = require "pcapng"
local recorder = require "qemunet.record.recorder"

local a, b = responder("a"), responder("b")
local cable = link(a, b)
local na, nb = a.nics[1], b.nics[1]

local function send(l, frame) core.link_send(l.id, 0, frame or frames.datagram(l.nics[1], l.nics[2])) end

local function arrive(l)
    eventually(5, function()
        local s = l:stats()
        return s.ab.in_flight + s.ba.in_flight == 0
    end, { every = "1ms" })
end

local function comments(file)
    local list = {}
    for i, p in ipairs(file.packets) do list[i] = (p.comment or "-"):gsub("%d+%.%d+ ms", "T") end
    return list
end

test("every packet once, with its direction, bytes and time", function()
    local c = cable:capture("plain.pcapng")
    check.equal(c.path, recorder.folder() .. "/plain.pcapng")
    check.match(tostring(c), "^capture to .*plain.pcapng$")
    send(cable, frames.arp(na, nb))
    send(cable, frames.ping(na, nb))
    local large = frames.datagram(na, nb, 60001)
    send(cable, large)
    check.equal(c:stop(), { seen = 5, dropped = 0 })
    check.equal(c:stop(), { seen = 5, dropped = 0 })
    send(cable)
    local file = pcapng.read(c.path)
    check.match(file.section[4], "^qemunet ")
    check.equal(file.interfaces, { { name = "a--b ab", seen = 3, dropped = 0 }, { name = "a--b ba", seen = 2, dropped = 0 } })
    local dirs, last = {}, 0
    for i, p in ipairs(file.packets) do
        dirs[i] = p.dir
        check.equal(p.interface, "a--b " .. p.dir)
        check.is_true(p.time >= last)
        last = p.time
    end
    check.equal(dirs, { "ab", "ba", "ab", "ba", "ab" })
    check.equal({ file.packets[1].data, file.packets[5].data }, { frames.arp(na, nb), large })
    check.near(last / 1e9, core.wall_start() + now(), 5)
end)

test("a delayed packet has the time of its arrival, to the nanosecond, and says when it had entered", function()
    local l = link(a, b, { delay = "3ms" })
    local h, c = l:on(""), l:capture("delayed.pcapng")
    send(l)
    local pkt = h:wait(5)
    arrive(l)
    c:stop()
    local file = pcapng.read(c.path)
    check.near(file.packets[1].time / 1e9 - core.wall_start(), pkt.time + 0.003, 2e-6) -- what a float can tell
    check.equal(file.packets[1].comment, "entered 3.000 ms before")
    h:cancel()
end)

test("what the link did is in the comments", function()
    local l = link(a, b, { mtu = 200, ba = { loss = 1 } })
    local c = l:capture("fates.pcapng")
    local function with(opts, frame)
        l.ab:set(opts)
        send(l, frame)
        arrive(l)
    end
    with { loss = 1 }
    with { loss = 0, corrupt = 1, duplicate = 1 }
    with { corrupt = 0, duplicate = 0, delay = "1ms" }
    with({ delay = 0 }, frames.datagram(l.nics[1], l.nics[2], 300))
    with({}, frames.ping(l.nics[1], l.nics[2])) -- its answer is lost
    l.ab:set { rate = "100bit", queue = 1 }
    for _ = 1, 3 do send(l) end
    l:down()
    send(l)
    l:up()
    l.ab:set { rate = "100gbit" }
    local verdicts = { "drop", "pass", { delay = "2ms" }, { data = frames.datagram(l.nics[1], l.nics[2], 70) } }
    local h = l:on("", { dir = "ab", hold = true, count = 4 }, function(pkt) return verdicts[#pkt.data - 60] end)
    for i = 1, 4 do send(l, frames.datagram(l.nics[1], l.nics[2], 60 + i)) end
    eventually(5, function() return h.count == 4 end, { every = "1ms" })
    arrive(l)
    c:stop()
    local got = comments(pcapng.read(c.path))
    local held = {}
    for i = 1, 4 do held[i] = table.remove(got) end
    table.sort(held)
    check.equal(got, {
        "dropped: loss", "corrupted", "duplicate", "entered T before", "dropped: larger than the mtu", "-", "dropped: loss",
        "dropped: queue full", "dropped: link down, entered T before", "dropped: link down, entered T before",
        "dropped: link down",
    })
    check.match(held[1], "^dropped: by a trigger, held by a trigger")
    check.match(held[2], "^held by a trigger, changed by a trigger")
    check.match(held[3], "^held by a trigger, delayed by a trigger")
    check.match(held[4], "^held by a trigger")
end)

test("several at once; a link that comes later is in the capture of all", function()
    local all_of_them, one = capture_all("all.pcapng"), cable:capture("one.pcapng")
    local late = link(a, b)
    local again = late:capture("late.pcapng")
    send(cable)
    send(late)
    send(late)
    late:remove()
    check.equal({ all_of_them:stop().seen, one:stop().seen, again:stop().seen }, { 3, 1, 2 })
    local file, names = pcapng.read(all_of_them.path), {}
    for _, interface in ipairs(file.interfaces) do names[interface.name] = interface.seen end
    check.equal({ names["a--b ab"], names[late.name .. " ab"], names[late.name .. " ba"] }, { 1, 2, 0 })
    check.equal({ file.packets[1].link, file.packets[2].link }, { "a--b", late.name })
    check.equal(#pcapng.read(again.path).packets, 2)
end)

test("an absolute path; a file that cannot be; one that is in use", function()
    local path = os.tmpname()
    local c = cable:capture(path)
    check.equal(c.path, path)
    check.raises(function() cable:capture(path) end, "test_capture.lua:%d+: capture: there is a capture to " .. path)
    c:stop()
    check.equal(#pcapng.read(path).packets, 0)
    os.remove(path)
    check.match(cable:capture("a/b/c.pcapng"):stop() and cable:capture("a/b/d.pcapng").path, "/a/b/d%.pcapng$")
    check.raises(function() cable:capture("../no/such.pcapng") end,
        "test_capture.lua:%d+: capture: .*/no/such.pcapng: No such file or directory")
    check.raises(function() capture_all("/proc/x.pcapng") end, "test_capture.lua:%d+: capture_all: /proc/x.pcapng: ")
    check.raises(function() cable:capture() end, "test_capture.lua:%d+: capture: want the path of a file")
    check.raises(function() capture_all("") end, "test_capture.lua:%d+: capture_all: want the path of a file")
    check.raises(function() c:stpo() end, 'a capture has no field or method "stpo"; did you mean "stop"') -- no check
    check.raises(function() c.stop() end, "stop: call it with a colon")
end)

test("a full disk: the run goes on, and stop says so", function()
    local c = cable:capture("/dev/full")
    send(cable)
    check.match(c:stop().error, "No space left")
end)
