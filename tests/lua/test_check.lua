-- SPDX-License-Identifier: MIT
-- qemunet check: what it finds without running, and that it finds nothing where there is nothing.

local check_module = require "qemunet.check.check"
local class = require "qemunet.class"
local core = require "qemunet.core"
local library = require "qemunet.docs.library"
local parser = require "qemunet.check.parser"

local checker = check_module.new(require "qemunet")
local ROOT = debug.getinfo(1, "S").source:match("^@(.*)tests/lua/")

-- The findings in a text: "line:column: message" each.
local function found(text)
    local list = {}
    for i, finding in ipairs(checker:text(text)) do
        list[i] = ("%d:%d: %s"):format(finding.line, finding.column, finding.message)
    end
    return list
end

local function finds(text, ...) check.equal(found(text), { ... }, text:sub(1, 100)) end

test("syntax errors, where they are", function()
    finds("local x =\n  = 5", "2:3: unexpected symbol near '='")
    finds("print('a", "1:7: unfinished string near <eof>")
    finds("for i = 1 do end", "1:11: ',' expected near 'do'")
    finds("goto nowhere", "1:1: no visible label 'nowhere' for <goto> at line 1")
end)

test("globals that there are not", function()
    finds("slep(1)", '1:1: undefined global "slep" (did you mean "sleep"?)')
    finds("print(\n    no_such_thing_at_all)", '2:5: undefined global "no_such_thing_at_all"')
    finds("mine = 1\nprint(mine)\nfunction f() return later end\nlater = f")
    finds("local sleeep = sleep\nsleeep(1)\nprint { slep = 1 }\ngoto slep\n::slep::")
    finds("do local x end print(x)", '1:22: undefined global "x"')
    finds("for i = 1, 2 do print(i) end\nprint(i)", '2:7: undefined global "i"')
    finds("repeat local done = true until done\nprint(done)", '2:7: undefined global "done"')
    finds("local function f(a, ...) return a, ... end f(a)", '1:46: undefined global "a"')
    finds("local _ENV = {}\nanything()")
    finds("x.y = 1", '1:1: undefined global "x"')
end)

test("functions of libraries", function()
    finds("stats.maen {}", '1:7: stats has no "maen" (did you mean "mean"?)')
    finds("check.equals(1, 1) string.gsubb('', '')", '1:7: check has no "equals" (did you mean "equal"?)',
        '1:27: string has no "gsubb" (did you mean "gsub"?)')
    finds("defaults.timout = 5\ndefaults.timeout = 5", '1:10: defaults has no "timout" (did you mean "timeout"?)')
    finds("function string.mine() end\nstring.mine()")
    finds("local stats = {} stats.own()")
end)

test("methods of what is evidently an object", function()
    finds('local a = vm("a")\na:succed("x")', '2:3: a vm has no method "succed" (did you mean "succeed"?)')
    finds('local a, b = vm "a", host "b"\na:run "x" b:usage()', '2:13: a host has no method "usage"')
    finds('vm("a"):spawn("x"):waitt()', '1:20: a job has no method "waitt" (did you mean "wait"?)')
    finds('link("a", "b").ab:stat()', '1:19: a direction has no method "stat" (did you mean "stats"?)')
    finds('vm("a").console:sent("")', '1:17: a console has no method "sent" (did you mean "send"?)')
    finds("local list = vms(3)\nlist[2]:rum('x')", '2:9: a vm has no method "rum" (did you mean "run"?)')
    finds("for i, n in ipairs(hosts(3)) do n:rum('x') end", '1:35: a host has no method "rum" (did you mean "run"?)')
    finds("rng:pik {}", '1:5: a rng has no method "pik" (did you mean "pick"?)')
    finds('for _, n in ipairs(topology("x").nodes) do n:crash() n:crush() end',
        '1:56: a node has no method "crush" (did you mean "crash"?)')
end)

test("fields of results and packets", function()
    finds('local r = vm("a"):run("x")\nprint(r.stdot, r.stdout)', '2:9: a result has no field "stdot" (did you mean "stdout"?)')
    finds('local out, r = vm("a"):succeed("x") print(out.any, r.statsu)',
        '1:54: a result has no field "statsu" (did you mean "status"?)')
    finds('local job = vm("a"):spawn("x") print(job.result.ok, job:wait().duratoin)',
        '1:64: a result has no field "duratoin" (did you mean "duration"?)')
    finds('local r = vm("a"):run("x") r.mine = 1 print(r.mine)')
end)

test("no methods of what is not evident", function()
    finds('local a = vm("a")\na = {}\na:anything()')
    finds("local function f(n) n:anything() end f()")
    finds('local a = vm("a")\nfunction a:own() end\na:own()')
    finds('local link = function() return {} end\nlink():anything()')
    finds('vm = function() return {} end vm("a", { any = 1 }):anything()')
end)

test("options", function()
    finds('vm("a", { memory = "1G", cpus = 2 })', '1:11: vm: unknown option "memory" (did you mean "mem"?)')
    finds('vm { "a", cpu = 2 }', '1:11: vm: unknown option "cpu" (did you mean "cpus"?)')
    finds('vm { name = "a", mem = "1G" }')
    finds('local a = vm("a")\na:run("x", { timout = 1 })', '2:14: node:run: unknown option "timout" (did you mean "timeout"?)')
    finds('link("a", "b", { burst = { q = 1 } })', '1:28: link: burst: unknown option "q"')
    finds('link("a", "b", { ab = { dealy = 1 } })', '1:25: link: ab: unknown option "dealy" (did you mean "delay"?)')
    finds('repeat_until { metric = now, maxx = 5 }', '1:30: repeat_until: unknown option "maxx" (did you mean "max"?)')
    finds('local opts = { memory = 1 } vm("a", opts)')
    finds('sync { a = "true", ["b"] = "true", timeout = 5 }')
    finds('stats.bootstrap({}, nil, { sample = 1 })', '1:28: stats.bootstrap: unknown option "sample" (did you mean "samples"?)')
end)

test("what faults{} is to do", function()
    finds('faults { during = 5, { "cut", link = "a--b", lasts = { 1, 2 } }, { "skew", node = "a", by = "2s", at = 1 } }')
    finds('faults { { "ctu", link = 1 }, { "cut", lnik = 1 } }', '1:12: faults: unknown kind "ctu" (did you mean "cut"?)',
        '1:40: faults: cut: unknown option "lnik" (did you mean "link"?)')
end)

test("values", function()
    finds('link("a", "b", { delay = "20mz" })',
        '1:26: link: delay: bad duration "20mz" (want seconds or "200us", "20ms", "1.5s", "2m")')
    finds('link("a", "b", { loss = 2, jitter = false })', '1:25: link: loss: bad fraction 2 (want 0 to 1 or "0%" to "100%")')
    finds('vm("a", { accel = "kmv" })', '1:19: vm: accel: bad value "kmv" (want "auto", "kvm" or "tcg"); did you mean "kvm"?')
    finds('vm("a", { cpus = 0, mem = 2 ^ 30, template = not true })', "1:18: vm: cpus: must be at least 1, got 0")
    finds('sleep("20mz")', '1:7: sleep: d: bad duration "20mz" (want seconds or "200us", "20ms", "1.5s", "2m")')
    finds('link("a", "b", { delay = "20" .. unit() })', '1:34: undefined global "unit"')
end)

test("excused lines", function()
    finds("slep(1) -- no check\nslep(2)", '2:1: undefined global "slep" (did you mean "sleep"?)')
    finds("-- no check\nslep(1)\nslep(2)\n-- check\nslep(3)", '5:1: undefined global "slep" (did you mean "sleep"?)')
end)

test("all of Lua's syntax is read", function()
    finds([==[#!/usr/bin/env qemunet
        local a <const>, b <close> = 0x1p4 // 1 ~ ~2, nil;
        local s = [[long]] .. 'a\z
            b' .. "\u{48}\x41\065\n" .. 3 .. .5 .. 1e-3
        --[=[ a ]] comment ]=] --
        ::top:: while a < 1 do goto top end
        for k, v in next, {} do if k then break elseif v then else return end end
        for i = 1, 2, 3 do repeat local x = i until x >= 1 or not x end
        function math.own(...) return ({ ... })[1], #s end
        print(("x"):rep(2), -a ^ -2, a << 1 >> 1 & 3 | 4, a ~= b, function() end, { [1] = 2, x = 3; 4, print "5" })
        return s
    ]==])
end)

test("what is nested deeply, and what is long, ends in a finding or in nothing", function()
    for _, nested in ipairs { ("("):rep(1000) .. "1" .. (")"):rep(1000), ("{"):rep(1000) .. ("}"):rep(1000),
        ("not "):rep(1000) .. "1", ("function() return "):rep(500) .. "1" .. (" end"):rep(500), ("- "):rep(3000) .. "1" } do
        check.is_true(#found("local x = " .. nested) <= 1)
    end
    finds("local x = 1" .. ("+ 1"):rep(3000))
    finds("local x = print" .. ("()"):rep(3000))
    finds("local x = rng" .. (":stream(1)"):rep(3000))
    finds(("if true then elseif false then end\n"):rep(1000))
    check.match(found(("x"):rep(check_module.LARGEST + 1))[1], "^1:1: it has %d+ bytes")
    check.is_nil(parser.facts(("do "):rep(3000)))
end)

test("bytes at random end in a finding, where they are no Lua, or in nothing", function()
    local words = { "a", "(", ")", "{", "}", "[", "]", "'", '"', "--", "[[", "]]", "=", ".", ":", ",", "end", "function", "local",
        "for", "in", "do", "if", "then", "1", "0x", "\\", "\n", "\0", "\xff", "~", "<", "goto", "::", "..", "..." }
    local draw = rng:stream(7)
    for _ = 1, 500 do
        local parts = {}
        for i = 1, draw(20) do parts[i] = draw:pick(words) end
        local text = table.concat(parts, draw(2) == 1 and " " or "")
        local findings = found(text)
        check.is_true(load(text) ~= nil or #findings > 0, text)
    end
end)

-- The Lua files below a folder of the tree.
local function files_in(folder)
    local list = {}
    local listed <close> = assert(io.popen(("find '%s%s' -name '*.lua'"):format(ROOT, folder)))
    for path in listed:lines() do list[#list + 1] = path end
    check.less(0, #list)
    return list
end

test("nothing is found in the experiments and the tests", function()
    local all = {}
    for _, folder in ipairs { "experiments", "tests" } do
        for _, path in ipairs(files_in(folder)) do
            local file <close> = assert(io.open(path, "rb"))
            for _, finding in ipairs(found(file:read("a"))) do all[#all + 1] = path .. ":" .. finding end
        end
    end
    check.equal(all, {})
end)

test("nothing is found in the examples of the documentation", function()
    local all = {}
    local function look(entry)
        for _, example in ipairs(entry and entry.examples or {}) do
            for _, finding in ipairs(found(table.concat(example.lines, "\n"))) do all[#all + 1] = entry.name .. ": " .. finding end
        end
    end
    for _, binding in ipairs(library.names(require "qemunet")) do look(binding.entry) end
    for name in pairs(class.all) do
        look(library.find("class " .. name))
        for _, method in ipairs(library.methods(name)) do look(method.entry) end
    end
    check.equal(all, {})
end)

test("the command: its lines and its status", function()
    local program = core.real_path("/proc/self/exe")
    local path = os.tmpname()
    local function run(text)
        local file <close> = assert(io.open(path, "w"))
        file:write(text)
        file:close()
        local said <close> = assert(io.popen(("'%s' check '%s' 2>&1; echo $?"):format(program, path)))
        return said:read("a"):gsub(path, "FILE", 1)
    end
    check.equal(run("sleep(1)"), "0\n")
    check.equal(run("slep(1)"), 'FILE:1:1: undefined global "slep" (did you mean "sleep"?)\n1\n')
    os.remove(path)
    local said <close> = assert(io.popen(("'%s' check /nowhere/x.lua 2>&1; echo $?"):format(program)))
    check.match(said:read("a"), "/nowhere/x.lua: No such file or directory\n2\n$")
end)
