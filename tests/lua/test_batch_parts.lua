-- SPDX-License-Identifier: MIT
-- The parts of a batch of test files that need no process: memory, output, messages, order, XML. test_batch has the rest.

local budget = require "qemunet.batch.budget"
local core = require "qemunet.core"
local job = require "qemunet.batch.job"
local junit = require "qemunet.batch.junit"
local limit = require "qemunet.suite.limit"
local messages = require "qemunet.batch.messages"
local shuffle = require "qemunet.batch.shuffle"
local spool = require "qemunet.batch.spool"
local summary = require "qemunet.batch.summary"
local worker = require "qemunet.batch.worker"

test("memory: what fits starts, and who wants more waits for it", function()
    local bank, granted = budget.new(1000), {}
    local function note(name) return function() granted[#granted + 1] = name end end
    bank:take("a", 300)
    check.is_true(bank:has_room(700))
    check.equal(bank:has_room(701), false)
    bank:take("b", 300)
    bank:raise("a", 700, note "a")
    check.equal(granted, { "a" })
    bank:raise("b", 400, note "b")
    check.equal(granted, { "a" })
    check.equal(bank:has_room(0), false, "none starts while one waits")
    bank:give_back("a")
    check.equal(granted, { "a", "b" })
    bank:give_back("b")
    check.equal(bank.claimed, 0)
end)

test("memory: one that wants more than there is runs alone, and none waits for ever", function()
    local bank, granted = budget.new(1000), {}
    check.is_true(bank:has_room(5000), "alone")
    for _, name in ipairs { "a", "b", "c" } do
        bank:take(name, 300)
    end
    for i, name in ipairs { "a", "b", "c" } do
        bank:raise(name, 5000, function() granted[#granted + 1] = name end)
        check.equal(#granted, i < 3 and 0 or 1, "the others are waiting too")
    end
    for _, name in ipairs { "a", "b" } do bank:give_back(name) end
    check.equal(granted, { "a", "b", "c" })
    bank:give_back("c")
    check.equal({ bank.claimed, bank.n_holders }, { 0, 0 })
end)

test("memory: who ends while it waits, waits no more", function()
    local bank = budget.new(1000)
    bank:take("a", 900)
    bank:take("b", 100)
    bank:raise("b", 500, function() error "granted" end)
    bank:give_back("b")
    bank:give_back("a")
    check.is_true(bank:has_room(1000))
end)

local function pieces(made)
    local list = {}
    made:replay(function(kind, data) list[#list + 1] = kind .. ":" .. data end)
    return list
end

test("what a file is shown to do: its test, and that it waits for memory only as long as it does", function()
    local waiting, run, shown = core.waiting, worker.run, {}
    local restore <close> = setmetatable({}, { __close = function() core.waiting, worker.run = waiting, run end })
    function core.waiting(_, text) shown[#shown + 1] = text end
    function worker.run(_, watch)
        watch.started("one")
        watch.claim(1, function() end)
        watch.result { number = 1, name = "one", outcome = "passed" }
    end
    local file = job.new { file = "f" }
    local closing <close> = setmetatable({}, { __close = function() file:close() end })
    file:run(0, { raise = function(_, _, _, granted) granted() end })
    check.equal(shown, { "f", "f: one", "f: waits for memory", "f: one", "f" })
end)

test("output: all of it, in its order, with its marks", function()
    local made = spool.new()
    made:add("stdout", "one\0\n")
    made:add("stderr", "two")
    made:add("mark", "1")
    made:add("stdout", "")
    check.equal(pieces(made), { "stdout:one\0\n", "stderr:two", "mark:1" })
    made:add("stderr", "three")
    check.equal(made:text("stderr", 100), "twothree")
    check.equal(made:text("stderr", 4), "twot\n[more came]\n")
    made:close()
end)

test("output: of very much, the beginning and the end", function()
    local head, tail = spool.HEAD, spool.TAIL
    local back <close> = setmetatable({}, { __close = function() spool.HEAD, spool.TAIL = head, tail end })
    spool.HEAD, spool.TAIL = 10, 10
    local made = spool.new()
    for i = 1, 9 do
        made:add("stdout", ("%d234"):format(i))
        made:add("mark", tostring(i))
    end
    check.equal(pieces(made), { "stdout:1234", "mark:1", "stdout:2234", "mark:2", "stderr:\n[20 bytes are left out here]\n",
        "mark:3", "mark:4", "mark:5", "mark:6", "mark:7", "stdout:8234", "mark:8", "stdout:9234", "mark:9" })
    made:close()
end)

test("messages: lines, however they are cut", function()
    local text = messages.line { kind = "a", text = "x\ny\xff" } .. messages.line { kind = "b" }
    for size = 1, #text do
        local got = {}
        local read = messages.reader(function(message) got[#got + 1] = message end, error)
        for from = 1, #text, size do read(text:sub(from, from + size - 1)) end
        check.equal(got, { { kind = "a", text = "x\ny\xef\xbf\xbd" }, { kind = "b" } })
    end
end)

test("messages: what is none", function()
    local wrong = {}
    local read = messages.reader(error, function(why) wrong[#wrong + 1] = why end)
    read "nonsense\n[1]\n"
    check.equal(#wrong, 2)
    check.match(wrong[1], "no message: nonsense")
    for _ = 1, 65 do read(("x"):rep(1 << 16)) end
    check.match(wrong[3], "too long")
    local clipped = messages.clip(("a"):rep(1 << 20) .. "end")
    check.is_true(#clipped < 1 << 17 and clipped:find("left out here]\na+end$") ~= nil)
end)

test("shuffle: an order of all, the same for the same seed, whatever else is there", function()
    local list = {}
    for i = 1, 50 do list[i] = ("file %d"):format(i) end
    local function name(item) return item end
    local once = shuffle(list, 1, name)
    check.equal(shuffle(list, 1, name), once)
    check.not_equal(shuffle(list, 2, name), once)
    local sorted = table.move(once, 1, #once, 1, {})
    table.sort(sorted)
    local wanted = table.move(list, 1, #list, 1, {})
    table.sort(wanted)
    check.equal(sorted, wanted)
    local few, kept = shuffle({ list[7], list[33], list[2] }, 1, name), {}
    for _, item in ipairs(once) do
        if item == list[7] or item == list[33] or item == list[2] then kept[#kept + 1] = item end
    end
    check.equal(few, kept)
end)

test("XML: what it forbids is replaced, what means something is escaped", function()
    check.equal(junit.escape([[a<b>&"c"]]), "a&lt;b&gt;&amp;&quot;c&quot;")
    check.equal(junit.escape("tab\tline\nreturn\r"), "tab\tline\nreturn&#13;")
    local replaced = "\xef\xbf\xbd"
    check.equal(junit.escape("a\0b\27c\127"), ("a%sb%sc\127"):format(replaced, replaced))
    check.equal(junit.escape("\xff\xc3(\xe2\x82\xac\xed\xa0\x80"), (("??(\xe2\x82\xac???"):gsub("%?", replaced)))
    check.equal(junit.escape("\xef\xbf\xbe\xef\xbf\xbf"), replaced .. replaced)
end)

test("the command that runs a test again names it exactly", function()
    local opts = { params = { b = "2 3", a = "it's" }, args = { "--x" }, seed = 5, accel = "tcg", allow_host = true }
    local result = { file = "a b.lua", name = "50% (of [x]) it's\nhere", number = 3 }
    local command = summary.command(result, opts)
    check.equal(command, [[qemunet test 'a b.lua' --filter '^50% \(of \[x\]\) it'\''s\x0ahere$' --seed 5 --param 'a=it'\''s' ]] ..
        [[--param 'b=2 3' --accel tcg --allow-host -- --x]])
    check.is_true(core.regex([[^50% \(of \[x\]\) it's\x0ahere$]]):find(result.name, 1) == 1)
    result.number = 0
    check.match(summary.command(result, { params = {}, args = {}, seed = 1 }), "^qemunet test 'a b.lua' %-%-seed 1$")
end)

test("a time limit cancels what waits, and does not count what is excused", function()
    local cleaned = false
    local in_time = limit.run(0.02, function()
        local guard <close> = setmetatable({}, { __close = function() cleaned = true end })
        pcall(sleep, 60)
    end)
    check.equal({ in_time, cleaned }, { false, true })
    check.is_true(limit.run(0.05, function()
        local excused <close> = limit.excuse()
        sleep(0.1)
    end))
    check.is_true(limit.run(60, function() end))
end)
