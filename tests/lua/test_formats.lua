-- SPDX-License-Identifier: MIT
-- A run's folder holds what stdlib/record/FORMATS.md says, and nothing else.

local formats = require "formats"

local function names(set)
    local list = {}
    for name in pairs(set) do list[#list + 1] = name end
    table.sort(list)
    return list
end

local probe = host("probe")
local possible, why = pcall(boot, probe)
if not possible and (why:find("namespaces", 1, true) or why:find("/dev/net/tun", 1, true)) then skip(why) end

local folder, status = formats.run("everything.lua")

test("the run, one of whose tests fails", function() check.equal(status, 1) end)

test("every event is documented, and every kind that needs no machine was there", function()
    local kinds = formats.check_events(folder)
    check.equal(names(kinds), { "capture", "command", "crash", "end", "fault", "fidelity", "host", "link", "mark", "move",
        "packet", "partition", "radio", "record", "repetition", "start", "storm", "sync",
        "task", "tasks", "teardown", "test", "traffic", "trigger" })
    check.equal({ kinds.start, kinds["end"], kinds.fidelity }, { 1, 1, 1 })
end)

local function tasks_of(events)
    local list = {}
    for line in io.lines(events) do
        local event = json.decode(line)
        if event.kind == "task" then list[#list + 1] = event end
    end
    return list
end

test("each task, and how it ended", function()
    local by_number, by_end, child = {}, {}, nil
    for _, each in ipairs(tasks_of(folder .. "/events.jsonl")) do
        by_end[each.ended] = by_end[each.ended] or {}
        table.insert(by_end[each.ended], each)
        by_number[each.task], child = each, each.parent and each or child
        check.match(each.where, "everything%.lua:%d+$")
    end
    check.equal({ #by_end.failed, #by_end.cancelled, #by_end["cut off"] }, { 1, 2, 1 })
    check.equal({ by_end.failed[1].name, by_end.failed[1].error }, { "go", "wrong" })
    check.equal(by_end["cut off"][1].name, "every")
    local never = by_end.cancelled[1].started and by_end.cancelled[2] or by_end.cancelled[1]
    check.equal({ never.name, never.started }, { "after", nil })
    local parent = by_number[child.parent]
    check.equal({ parent.name, parent.parent, child.name, child.task - parent.task }, { "go", nil, "go", 1 })
    check.less(parent.t, child.t)
end)

test("of a thousand tasks that end in the same way, the others are counted", function()
    local of_line, left_out = {}
    for _, each in ipairs(tasks_of(folder .. "/events.jsonl")) do of_line[each.where] = (of_line[each.where] or 0) + 1 end
    for line in io.lines(folder .. "/events.jsonl") do
        local event = json.decode(line)
        if event.kind == "tasks" then left_out = event end
    end
    check.equal({ left_out.count, left_out.ended, of_line[left_out.where] }, { 2, "returned", 1000 })
end)

test("result.json", function()
    local result = formats.check_result(folder)
    check.equal({ result.verdict, #result.tests, result.args }, { "failed", 9, {} })
    check.equal(names(result.series), { 'odd, "quoted"\nname', "plain" })
end)

test("series.csv", function() check.equal(formats.check_series(folder), 3) end)

test("trace.json: slices nest, and everything has its place", function()
    local slices, instants, counters = formats.check_trace(folder)
    check.equal(names(slices), { "a", "b", "experiment", "faults", "links", "tasks" })
    check.equal(names(slices.a)[1], "commands")
    check.less(3, #names(slices.a), "four commands at one time have four threads")
    check.less(2, slices.b.state)
    check.equal({ slices.experiment.tests, slices.experiment.sync, slices.experiment.experiment }, { 9, 2, 1 })
    check.less(2, slices.links["a--b"])
    check.equal(formats.count(slices.faults, "faults"), 4)
    check.less(2, #names(slices.tasks), "a task and what outlives it have two threads")
    check.is_true(instants["a mark"] and counters.plain and counters['odd, "quoted"\nname'])
end)

test("what is not documented is found", function()
    local copy = folder .. "/console"
    local function is_wrong(event, pattern)
        local file = assert(io.open(copy .. "/events.jsonl", "wb"))
        file:write(json.encode { t = 0, kind = "start", format = 1, file = "x", seed = 1 }, "\n", json.encode(event), "\n")
        file:close()
        check.raises(function() formats.check_events(copy) end, pattern)
    end
    is_wrong({ t = 1, kind = "nonsense" }, "event 2: the kind is not in FORMATS.md")
    is_wrong({ t = 1, kind = "mark", text = "x", more = 1 }, "event 2: more is not in FORMATS.md")
    is_wrong({ t = 1, kind = "mark", text = 1 }, "event 2: text is no string: 1")
    is_wrong({ t = 1, kind = "mark" }, "event 2: text is missing")
end)
