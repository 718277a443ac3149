-- SPDX-License-Identifier: MIT
-- comparison.html as it is written: which runs are repetitions, what differs, means and intervals as computed by hand, and what
-- is said of folders that cannot be compared. How it looks is for tests/report.

local comparison = require "qemunet.report.comparison"
local core = require "qemunet.core"
local files = require "folder"
local groups = require "qemunet.report.groups"
local recorded = require "qemunet.report.recorded"
local rows = require "qemunet.report.rows"

local top
setup(function() top = files.make() end)
teardown(function() os.execute("rm -rf " .. top) end)

local read = files.read
local LINKS_HEAD = "t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max\n"
local ATTACK = "</script><script>alert('&amp;')</script><!-- \u{2028} \1\27[2J"

local function write(path, text) files.write(top .. "/" .. path, text) end

-- A run's folder; `result` over what every run has.
local function make(name, result)
    local whole = { format = 1, verdict = "passed", status = 0, file = "x.lua", seed = 1, duration = 2.5 }
    for key, v in pairs(result or {}) do whole[key] = v end
    assert(os.execute(("mkdir -p '%s/%s'"):format(top, name)))
    write(name .. "/result.json", core.json_encode(whole))
    return top .. "/" .. name
end

local function made(list)
    local folders = {}
    for i, result in ipairs(list) do folders[i] = make("run" .. i, result) end
    return assert(comparison.read(folders))
end

local function compare(list)
    local runs = made(list)
    local by_name = {}
    for _, row in ipairs((recorded.compare(runs, groups.of(runs)))) do by_name[row.name] = row end
    return by_name
end

local function of_page(runs)
    if not core.report_page("comparison") then skip "the program was built without npm" end
    local text = read(assert(comparison.write(runs, top .. "/page.html")))
    return core.json_decode(text:match('id="comparison">(.-)</script>')), text
end

test("runs of the same file, parameters and arguments are repetitions", function()
    local runs = made { { parameters = { delay = 10, n = 3 }, seed = 1 }, { parameters = { delay = 20, n = 3 } },
        { parameters = { n = 3, delay = 10 }, seed = 2 }, { parameters = { delay = "10", n = 3 }, args = { "-f" } } }
    local found = groups.of(runs)
    local labels, members = {}, {}
    for i, group in ipairs(found) do labels[i], members[i] = group.label, group.runs end
    check.equal(labels, { "delay=10", "delay=20", "delay=10, -f" })
    check.equal(members, { { 1, 3 }, { 2 }, { 4 } })
    check.equal(runs[3].group, 1)
    check.equal(groups.of(made { {}, { seed = 2 } })[1].label, "all runs")
end)

test("lists: mean, Student's interval, and Welch's of the difference", function()
    local row = compare { { parameters = { n = 1 }, recorded = { rtt = { 1, 2, 3 } } },
        { parameters = { n = 2 }, recorded = { rtt = { 4, 5, 6 } } }, { parameters = { n = 3 }, recorded = {} } }.rtt
    -- 2 degrees of freedom: t is 4.302653; with 4, of the difference, 2.776445.
    local half, welch = 4.302653 / math.sqrt(3), 2.776445 * math.sqrt(2 / 3)
    local first, second = row.groups[1], row.groups[2]
    check.equal({ row.differs, first.n, first.mean, row.runs[3], row.groups[3] }, { true, 3, 2, false, false })
    check.near(first.lo, 2 - half, 1e-6)
    check.near(first.hi, 2 + half, 1e-6)
    check.equal({ second.difference.value, second.difference.relative }, { 3, 1.5 })
    check.near(second.difference.lo, 3 - welch, 1e-6)
    check.near(second.difference.hi, 3 + welch, 1e-6)
    check.near(second.difference.p, 0.0213, 1e-4)
end)

test("repetitions: mean and interval over the runs, a list counting by its mean", function()
    local one, two = { n = 1 }, { n = 2 }
    local all = compare { { parameters = one, recorded = { s = 1, list = { 0, 2 } } },
        { parameters = one, recorded = { s = 2, list = { 2 } } },
        { parameters = one, recorded = { s = 3, list = { 3, 3, 3 } } },
        { parameters = two, recorded = { s = 8, list = { 1, 5 } } } }
    for _, name in ipairs { "s", "list" } do
        local first, second = all[name].groups[1], all[name].groups[2]
        check.equal({ first.n, first.mean, second.n, second.lo }, { 3, 2, 1 })
        check.near(first.hi, 2 + 4.302653 / math.sqrt(3), 1e-6)
        check.equal(second.difference, { value = second.mean - 2, relative = (second.mean - 2) / 2 })
    end
    check.equal(all.list.runs[1].n, 2)
end)

test("what has no interval: one value, values that are all the same, texts, tables", function()
    local deep = { er = { x = 1 } }
    local all = compare { { recorded = { zero = 0, flat = { 1, 1 }, text = "a", deep = deep, mixed = 1, list = { "a", 1 } } },
        { parameters = { n = 2 },
            recorded = { zero = 2, flat = { 2, 2 }, text = "b", deep = deep, mixed = "one", list = { "a", 2 } } } }
    check.equal(all.zero.groups[2].difference, { value = 2 })
    check.equal(all.flat.groups[2].difference, { value = 1, relative = 1.0 })
    check.equal({ all.text.groups[1].texts, all.text.groups[2].texts }, { { "a" }, { "b" } })
    check.equal({ all["deep.er.x"].differs, all["deep.er.x"].groups[2].mean }, { false, 1 })
    check.equal({ all.mixed.groups[1].texts, all.mixed.groups[2].texts }, { { "1" }, { "one" } })
    check.equal(all.list.differs, true)
end)

test("of very many names some are left out, which is said", function()
    local many = {}
    for i = 1, recorded.NAMES + 5 do many["v" .. i] = i end
    local runs = made { { recorded = many }, {} }
    local list, left_out = recorded.compare(runs, groups.of(runs))
    check.equal({ #list, left_out }, { recorded.NAMES, 5 })
end)

test("the page has what differs, tests too, and hostile names stay in their block", function()
    local passed, failed = { name = "t", outcome = "passed" }, { name = "t", outcome = "failed" }
    local host = { memory = 1024 }
    local runs = made { { parameters = { [ATTACK] = ATTACK, same = 1 }, recorded = { [ATTACK] = ATTACK }, host = host,
            tests = { passed, failed, { name = ATTACK, outcome = ATTACK } } },
        { parameters = { same = 1 }, host = host, tests = { failed }, seed = 2 } }
    write("run1/series.csv", 't,series,unit,value\n0.5,"' .. ATTACK .. '",ms,2\n')
    write("run2/series.csv", "t,series,unit,value\n0.25,rtt,ms,4\n")
    write("run1/links.csv", LINKS_HEAD .. "0.1,0.1,a--b,ab,1,1,64,0,0,0.01,0.01\n")
    local data, text = of_page(runs)
    check.equal(select(2, text:gsub("<script", "")), select(2, core.report_page("comparison"):gsub("<script", "")) + 3)
    local differs = {}
    for _, fact in ipairs(data.facts) do differs[fact.name] = fact.differs end
    check.equal({ differs[ATTACK], differs.same, differs.seed, differs.memory }, { true, false, true, false })
    check.equal(data.tests[1], { name = "t", values = { "passed", "failed" }, differs = true })
    check.equal(data.tests[2], { name = "t (2)", values = { "failed", false }, differs = true })
    check.equal({ data.recorded[1].name, data.runs[1].series[1].name, data.runs[1].links[1] }, { ATTACK, ATTACK, "a--b" })
    check.equal(core.json_decode(text:match('id="series">(.-)</script>')), { { { 0, 0.5, 2 } }, { { 0, 0.25, 4 } } })
    check.equal(core.json_decode(text:match('id="links">(.-)</script>')),
        { { { 0.1, 0.1, 0, 0, 1, 1, 64, 0, 0, 0.01, 0.01 } }, {} })
    check.less(#core.report_page("comparison"), 2e6)
end)

test("of too many rows of links several become one", function()
    make("run1")
    local list = {}
    for i = 0, 9 do
        list[#list + 1] = ("%.1f,0.1,l,ab,2,%d,100,1,%d,%s,0.5\n"):format(i / 10, i % 2, i, i % 2 == 1 and "0.02" or "0")
    end
    write("run1/links.csv", LINKS_HEAD .. table.concat(list))
    local text = {}
    local out = { put = function(_, ...) text[#text + 1] = table.concat({ ... }) end, rest = function() end }
    check.equal({ rows.links(out, top .. "/run1", 3) }, { { "l" }, 4 })
    local found = core.json_decode(table.concat(text))
    check.equal(found[1], { 0.0, 0.4, 0, 0, 8, 2, 400, 4, 3, 0.02, 0.5 })
    check.equal(found[3], { 0.8, 0.2, 0, 0, 4, 1, 200, 2, 9, 0.02, 0.5 })
end)

test("what cannot be compared is said with its folder", function()
    local good = make("good")
    local function problem(...) return select(2, comparison.read { good, ... }) end
    assert(os.execute(("mkdir %s/empty"):format(top)))
    make("odd", { format = "x" })
    check.match(problem(top .. "/none"), "/none: there is no such folder$")
    check.match(problem(top .. "/empty"), "/empty: no result%.json")
    for _, text in ipairs { "", "{", "[]", "7" } do
        write("empty/result.json", text)
        check.match(problem(top .. "/empty"), "/empty: its result%.json is damaged: ")
    end
    check.match(problem(top .. "/odd"), "it has no format or no verdict$")
    check.match(problem(good), "/good is given twice$")
    check.match(problem(top .. "/empty/../good/"), "/good/ is given twice$")
    assert(os.execute(("mkdir %s/other"):format(top)))
    local runs = assert(comparison.read { good, make("other/good", { format = 2 }) })
    check.equal(runs[1].name, good)
    local notes = comparison.notes(runs)
    check.match(notes[1], "is of format 2; this program knows formats up to 1")
    check.match(notes[2], "different formats.*: 1 of .*/good; 2 of .*/other/good$")
    check.equal(comparison.notes(assert(comparison.read { good, make("third") })), {})
end)

test("results of other shapes than ours do no harm", function()
    local odd = { parameters = "x", args = 7, recorded = { 1, "two", { 3 } }, tests = { 5, {} }, host = false, versions = {},
        fidelity = "y", duration = {}, seed = {}, error = {} }
    of_page(made { odd, {}, { tests = "no", recorded = "none" } })
end)

test("the command line", function()
    local program = "/proc/" .. read("/proc/self/stat"):match("^%d+") .. "/exe"
    local one, two = make("one"), make("two", { seed = 2 })
    local function run(words)
        local pipe = assert(io.popen(("cd %s && %s report %s 2>&1; echo status $?"):format(top, program, words)))
        local text = pipe:read("a")
        pipe:close()
        return text
    end
    check.match(run(one .. " " .. top .. "/none"), "report: .*/none: there is no such folder\n.*status 2\n$")
    check.match(run(one .. " --out x.html"), "%-%-out is for several runs.*status 2\n$")
    check.match(run((one .. " "):rep(comparison.RUNS + 1)), "compares 20 runs at most, not 21\n.*status 2\n$")
    if not core.report_page("comparison") then skip "the program was built without npm" end
    files.write(one .. "/report.html", "")
    check.equal(run("one two/"), "comparison.html\nstatus 0\n")
    local function links_of(page)
        local data = core.json_decode(read(top .. "/" .. page):match('id="comparison">(.-)</script>'))
        return { data.runs[1].report, data.runs[2].report }
    end
    check.equal(links_of("comparison.html"), { "one/report.html", false })
    run("../" .. top:match("[^/]+$") .. "/one two")
    check.equal(links_of("comparison.html"), { false, false })
    check.equal(run(one .. " " .. two .. " --out other.html"), "other.html\nstatus 0\n")
    check.equal(core.stat(top .. "/other.html"), "file")
    check.match(run("one two --out none/x.html"), "No such file.*status 3\n$")
end)
