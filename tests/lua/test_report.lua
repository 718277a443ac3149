-- SPDX-License-Identifier: MIT
-- report.html as it is written: nothing from a guest gets out of its place, what is much is bounded, and a run's folder has all
-- that the page needs. How it looks is for tests/report.

local core = require "qemunet.core"
local excerpt = require "qemunet.record.excerpt"
local files = require "folder"
local inventory = require "qemunet.report.inventory"
local page = require "qemunet.report.page"
local report = require "qemunet.report.report"
local thinning = require "qemunet.report.thinning"

local folder
setup(function()
    folder = files.make()
    assert(os.execute(("mkdir %s/console"):format(folder)))
end)
teardown(function() os.execute("rm -rf " .. folder) end)

local read = files.read
local ATTACK = "</script><script>alert('&amp;')</script><!-- \u{2028}\u{2029} \1\27[2J"

local function write(name, text) files.write(folder .. "/" .. name, text) end

local function lines(list) return table.concat(list, "\n") .. "\n" end

-- The text of one of the page's blocks of data.
local function block(text, id)
    return text:match(('<script type="application/json" id="%s">(.-)</script>'):format(id))
end

local function need_page()
    if not core.report_page("report") then skip "the program was built without npm" end
end

local function written()
    need_page()
    return read(assert(report.write(folder)))
end

-- What excerpt has recorded while fn(list of it) ran.
local function events_of(fn)
    local list, event = {}, core.event
    core.event = function(e) list[#list + 1] = e end
    local ok, why = pcall(fn, list)
    core.event = event
    excerpt.reset()
    if not ok then error(why, 0) end
    return list
end

test("what is escaped is the same JSON, without what HTML could read", function()
    local json = core.json_encode { [ATTACK] = ATTACK }
    local escaped = page.escape(json)
    check.equal(core.json_decode(escaped), core.json_decode(json))
    for _, bad in ipairs { "<", ">", "&", "\u{2028}", "\u{2029}" } do check.equal(escaped:find(bad, 1, true), nil) end
end)

test("hostile records stay in their block", function()
    local event = core.json_encode { t = 1, kind = "command", node = ATTACK, cmd = ATTACK, stdout = ATTACK }
    write("events.jsonl", lines { event, '{"broken":', event })
    write("result.json", core.json_encode { verdict = ATTACK, recorded = { [ATTACK] = ATTACK } })
    write("series.csv", lines { "t,series,unit,value", ('1.0,"%s",%s,2'):format(ATTACK:gsub('"', '""'), ATTACK), "x,y" })
    write("links.csv", lines { "t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max",
        ('0.1,0.1,"%s",ba,1,1,64,0,0,0.01,0.01'):format(ATTACK) })
    local text = written()
    local _, scripts = text:gsub("<script", "")
    local _, own = core.report_page("report"):gsub("<script", "")
    check.equal(scripts, own + 4)
    check.equal(select(2, block(text, "events"):gsub("\n", "")), 2)
    local run = core.json_decode(block(text, "run"))
    check.equal(run.result.verdict, ATTACK)
    check.equal(run.series.list[1].name, ATTACK)
    check.equal(run.links, { ATTACK })
    check.equal(core.json_decode(block(text, "series")), { { 0, 1.0, 2 } })
    check.equal(core.json_decode(block(text, "links")), { { 0.1, 0.1, 0, 1, 1, 1, 64, 0, 0, 0.01, 0.01 } })
end)

test("a policy allows one script and one style, and no address", function()
    need_page()
    local policy = core.report_page("report"):match('Security%-Policy" content="([^"]*)"')
    check.match(policy, "^default%-src 'none'; script%-src 'sha256%-[^']+'; style%-src 'sha256%-[^']+';")
    check.equal(policy:find("unsafe", 1, true), nil)
    check.less(#core.report_page("report"), 2e6)
end)

test("a run that was killed has a report as well", function()
    write("events.jsonl", '{"t":1,"kind":"mark","text":"x"}\n{"t":2,"ki')
    local text = written()
    check.equal(core.json_decode(block(text, "run")).result.verdict, "unfinished")
    check.equal(block(text, "events"), '{"t":1,"kind":"mark","text":"x"}\n')
end)

test("the page links to what is in the folder, also of a run that was killed", function()
    need_page()
    local there = folder .. "/there"
    assert(os.execute("mkdir -p " .. there .. "/console/folder"))
    for _, name in ipairs { "events.jsonl", "result.json.part", "report.html", "b.csv", "a #1.pcapng", "console/a.log" } do
        files.write(there .. "/" .. name, "")
    end
    local run = core.json_decode(block(read(assert(report.write(there))), "run"))
    check.equal(run.files, { "events.jsonl", "a #1.pcapng", "b.csv", "console/a.log" })
end)

test("a report that cannot be written says why, and leaves nothing", function()
    need_page()
    write("events.jsonl", "")
    os.execute(("ln -s /dev/full %s/report.html.part"):format(folder))
    local path, why = report.write(folder)
    check.equal(path, nil)
    check.match(why, "No space left")
    check.equal(core.stat(folder .. "/report.html.part"), nil)
    check.match(select(2, report.write(folder .. "/none")), "No such file")
end)

test("of too many events those are left out that can be many, and no failure", function()
    local list = { core.json_encode { t = 0, kind = "mark", text = "first" } }
    for i = 1, 2000 do
        list[#list + 1] = core.json_encode(i % 2 == 0 and { t = i, kind = "command", cmd = "true", status = i % 100 == 0 and 1 or 0 }
            or { t = i, kind = "task", name = "go", ended = i % 101 == 0 and "failed" or "returned" })
    end
    write("events.jsonl", lines(list))
    local whole = thinning.EVENTS
    thinning.EVENTS = 40000
    local kept = {}
    local ok, total, left_out = pcall(thinning.events, folder .. "/events.jsonl", function(line) kept[#kept + 1] = line end)
    thinning.EVENTS = whole
    check.equal({ ok, total }, { true, 2001 })
    check.equal(#kept + left_out, 2001)
    check.less(#table.concat(kept), 40000)
    check.less(500, #kept)
    check.equal(kept[1], list[1])
    local failures = 0
    for _, line in ipairs(kept) do
        local event = core.json_decode(line)
        if event.status == 1 or event.ended == "failed" then failures = failures + 1 end
    end
    check.equal(failures, 20 + 10)
end)

test("rows that broke off are left out, and the others are there", function()
    write("events.jsonl", "")
    write("series.csv", lines { "t,series,unit,value", "1.0,a,ms,-1.5e-07" } .. "2.0,a,ms,1.")
    local row = "0.1000,0.1000,a--b,ab,1,1,64,0,0,0.01,0.01"
    write("links.csv", lines { "t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max", row } .. row .. "e-")
    local text = written()
    check.equal(core.json_decode(block(text, "series")), { { 0, 1.0, -1.5e-7 } })
    check.equal(#core.json_decode(block(text, "links")), 1)
    for n = #row - 1, 1, -1 do
        write("links.csv", lines { "head", row } .. row:sub(1, n))
        check.equal(core.json_decode(block(written(), "links"))[1][1], 0.1)
    end
end)

test("of a run that goes on, the events that are new, each once, and whole ones alone", function()
    local function event(i) return ('{"t":%d,"kind":"mark","text":"x"}'):format(i) end
    local function look(from)
        local text = report.live_events(folder, from)
        local about = core.json_decode(block(text, "live"))
        return block(text, "events"), about.from, about.to
    end
    check.equal({ look(0) }, { "", 0, 0 })
    write("events.jsonl", event(1) .. "\n" .. event(2))
    local events, from, next_at = look(0)
    check.equal({ events, from, next_at }, { event(1) .. "\n", 0, #event(1) + 1 })
    write("events.jsonl", lines { event(1), event(2), event(3) })
    events, from, next_at = look(next_at)
    check.equal({ events, from, next_at }, { lines { event(2), event(3) }, #event(1) + 1, 3 * (#event(1) + 1) })
    check.equal({ look(next_at) }, { "", next_at, next_at })
    check.equal(look(next_at + 1), lines { event(1), event(2), event(3) }, "of a file that is shorter: all")
    local whole <const> = thinning.EVENTS
    local restore <close> = setmetatable({}, { __close = function() thinning.EVENTS = whole end })
    thinning.EVENTS = 2 * #event(1)
    check.equal({ select(2, look(next_at)) }, { 0, 0 })
end)

test("a line that is far too long is left out", function()
    write("events.jsonl", lines { '{"t":1,"kind":"mark","text":"' .. ("x"):rep(thinning.LINE) .. '"}', '{"t":2,"kind":"mark"}' })
    local kept = {}
    local total, left_out = thinning.events(folder .. "/events.jsonl", function(line) kept[#kept + 1] = line end)
    check.equal({ total, left_out }, { 2, 1 })
    check.equal(kept, { '{"t":2,"kind":"mark"}' })
end)

test("of too many values the least and the greatest stay", function()
    local list = { "t,series,unit,value" }
    for i = 1, 1000 do list[#list + 1] = ('%d,"a, \nb",ms,%d'):format(i, i == 501 and -7 or i == 502 and 99 or i % 3) end
    list[#list + 1] = "5,other,,0.5"
    write("series.csv", lines(list))
    local whole = thinning.VALUES
    thinning.VALUES = 100
    local values, low, high = 0, math.huge, -math.huge
    local ok, series, total, every = pcall(thinning.series, folder .. "/series.csv", function(number, _, value)
        values = values + 1
        if number == 0 then low, high = math.min(low, value), math.max(high, value) end
    end)
    thinning.VALUES = whole
    check.equal({ ok, total, every }, { true, 1001, 21 })
    check.equal({ low, high }, { -7, 99 })
    check.less(values, 110)
    check.equal({ series[1].name, series[1].unit, series[1].count }, { "a, \nb", "ms", 1000 })
    check.equal({ series[2].name, series[2].unit, series[2].count }, { "other", "", 1 })
end)

test("an output is kept in full, or its beginning and its end", function()
    check.equal(table.pack(excerpt.of("")), { n = 1 })
    check.equal({ excerpt.of("short") }, { "short" })
    local long = ("a"):rep(4095) .. "é" .. ("b"):rep(10000) .. "é" .. ("c"):rep(4095)
    local head, tail = excerpt.of(long)
    check.equal({ head, tail }, { ("a"):rep(4095), ("c"):rep(4095) })
    local all = ("x"):rep(8192)
    for _ = 1, excerpt.RUN // #all do excerpt.of(all) end
    check.equal(excerpt.of(all), nil)
    excerpt.reset()
    check.equal(excerpt.of("x"), "x")
end)

test("a console's lines are events, readable and not too many", function()
    local list = events_of(function()
        excerpt.console("a", "first\r\n\27[1;31mse")
        excerpt.console("a", "cond\27[0m\7\n   \n")
        excerpt.console("b", "other\npartial")
        excerpt.console("a", ("x"):rep(2000) .. "\n")
    end)
    check.equal(#list, 4)
    check.equal({ list[1].text, list[2].text, list[3].node, #list[4].text }, { "first", "second", "b", excerpt.LINE + 4 })
    list = events_of(function()
        for i = 1, 10000 do excerpt.console("a", "line " .. i .. "\n") end
    end)
    check.less(#list, excerpt.LINES_AT_ONCE + 100)
    local many, most = excerpt.LINES_AT_ONCE, excerpt.LINES
    list = events_of(function(told)
        excerpt.LINES_AT_ONCE = 2
        excerpt.reset()
        for i = 1, 5 do excerpt.console("a", "line " .. i .. "\n") end
        eventually(10, function() excerpt.console("a", "later\n") return #told == 3 end, { every = "5ms" })
    end)
    check.equal({ #list, list[1].dropped, list[3].text }, { 3, nil, "later" })
    check.less(2, list[3].dropped)
    excerpt.LINES_AT_ONCE, excerpt.LINES = many, 3
    list = events_of(function()
        excerpt.reset()
        for i = 1, 5 do excerpt.console("n" .. i, "x\n") end
    end)
    excerpt.LINES = most
    check.equal(#list, 3)
    -- In a time that grows with its square, this would take the time limit of a test.
    check.equal(events_of(function() excerpt.console("c", ("\0"):rep(16 << 20)) end), {})
end)

test("a run's folder has what the page needs", function()
    local script = folder .. "/script.lua"
    write("script.lua", [[
local a, b = host("a"), host("b")
local cable = link(a, b, { delay = "2ms", ab = { loss = "1%" } })
hub("old"):connect(a)
switch("new"):connect(a)
link(a, b):remove()
radio("air", { range = 100 }):join(responder("far"), { 30, 40 })
boot()
a:succeed("ping -c 2 -i 0.01 b")
a:run("echo out; echo err >&2; head -c 100000 /dev/zero; exit 3")
cable:set { delay = "3ms" }
cable:capture("cable.pcapng")
record { answer = 42 }
]])
    local program = "/proc/" .. read("/proc/self/stat"):match("^%d+") .. "/exe"
    local pipe <close> = assert(io.popen(("%s run --out %s/run %s 2>&1"):format(program, folder, script)))
    local name = core.report_page("report") and "report.html" or "result.json"
    check.match(pipe:read("a"), ("passed: %s/run/%s\n"):format(folder, name))
    local result = core.json_decode(read(folder .. "/run/result.json"))
    local node, cable = result.topology.nodes[1], result.topology.links[1]
    check.equal({ node.name, node.kind, cable.a, cable.b }, { "a", "host", "a", "b" })
    local others = {}
    for _, other in ipairs(result.topology.others) do others[other.name] = other.kind end
    check.equal(others, { old = "hub", new = "switch", air = "radio" })
    local removed = {}
    for _, one in ipairs(result.topology.links) do removed[#removed + 1] = one.removed and one.name end
    check.equal({ removed, result.topology.nodes[3].position }, { { "a--b-2" }, { x = 30, y = 40 } })
    check.near(cable.ab.delay, 0.003, 1e-9)
    local commands = {}
    for line in io.lines(folder .. "/run/events.jsonl") do
        local event = core.json_decode(line)
        if event.kind == "command" and not event.internal then commands[#commands + 1] = event end
    end
    check.match(commands[1].stdout, "2 packets transmitted")
    local failed = commands[2]
    check.equal({ failed.status, failed.stderr, failed.stdout:sub(1, 4), #failed.stdout_tail }, { 3, "err\n", "out\n", 4096 })
    check.match(read(folder .. "/run/links.csv"), "\n[0-9.]+,[0-9.]+,a%-%-b,ab,[0-9]+,")
    if core.report_page("report") then
        local text = read(folder .. "/run/report.html")
        check.match(text, "2 packets transmitted")
        check.match(block(text, "run"), '"files": %[[^%]]*"cable.pcapng"')
    else
        check.equal(core.stat(folder .. "/run/report.html"), nil)
    end
end)

test("a hub with the name of a node stays apart from it in the topology", function()
    local node = responder("same")
    hub("same"):connect(node)
    local all = inventory.collect()
    check.equal(all.others, { { name = "same (hub)", kind = "hub" } })
    check.equal({ all.links[1].a, all.links[1].b }, { "same", "same (hub)" })
end)

test("others have their turn while much is read", function()
    local rows = { "t,series,unit,value" }
    for i = 1, 25000 do rows[#rows + 1] = ("%d,rtt,ms,%d"):format(i, i) end
    write("series.csv", lines(rows))
    local turns = 0
    local other = go(function()
        while true do
            sleep(0)
            turns = turns + 1
        end
    end)
    thinning.series(folder .. "/series.csv", function() end)
    other:cancel()
    check.less(0, turns)
end)
