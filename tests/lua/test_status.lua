-- SPDX-License-Identifier: MIT
-- The status of a run on a terminal, and what it leaves there.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "../tty/?.lua;" .. package.path
local session = require "session"
local status = require "qemunet.live.status"

local folder
setup(function() folder = session.folder() end)
teardown(function() session.remove_folder(folder) end)

local QEMUNET = os.getenv("QEMUNET")

local EXPERIMENT = [[
    local a, b = responder("a"), responder("b")
    local l = link(a, b, { rate = "1mbit", queue = 1 })
    local s = source(l.ab, { to = b, rate = "4mbit", size = 1000 })
    print("one")
    s:start()
    io.write("half")
    sleep(param("pause", 0.6))
    print(" whole")
    for i = 1, 3 do sleep(param("pause", 0.6)) print("line " .. i) end
    s:stop()
    print("two")
]]

-- What is on the screen, with all that has been scrolled out of it, after these bytes; of what the program uses.
local function screen_of(bytes)
    local lines, row, column = { "" }, 1, 1
    local at = 1
    local function put(c)
        lines[row] = (lines[row] .. (" "):rep(column)):sub(1, math.max(#lines[row], column - 1))
        lines[row] = lines[row]:sub(1, column - 1) .. c .. lines[row]:sub(column + 1)
        column = column + 1
    end
    while at <= #bytes do
        local count, letter, behind = bytes:match("^\27%[(%d*)(%a)()", at)
        local c = bytes:sub(at, at)
        at = behind or at + 1
        if letter == "A" then
            row = math.max(1, row - (tonumber(count) or 1))
        elseif letter == "K" or letter == "J" then
            lines[row] = lines[row]:sub(1, column - 1)
            if letter == "J" then lines = table.move(lines, 1, row, 1, {}) end
        elseif letter then -- a colour
        elseif c == "\r" then
            column = 1
        elseif c == "\n" then
            row = row + 1
            lines[row] = lines[row] or ""
        else
            put(c)
        end
    end
    return lines
end

local function write_experiment(text)
    local file <close> = assert(io.open(folder .. "/x.lua", "w"))
    file:write(text)
end

local function listen_to(p)
    local bytes = {}
    p.screen:listen(function(data) bytes[#bytes + 1] = data end)
    return p, bytes
end

local function run(...)
    write_experiment(EXPERIMENT)
    return listen_to(session.start(folder, "run", "x.lua", ...))
end

local function printed(bytes)
    local kept = {}
    for _, line in ipairs(screen_of(table.concat(bytes))) do
        if line ~= "" and not line:find("^%[%w+ %d+") and not line:find("^%a+: ") then kept[#kept + 1] = line end
    end
    return kept
end

local PRINTED = { "one", "half whole", "line 1", "line 2", "line 3", "two" }

test("the status is shown below the output, and is gone afterwards", function()
    local p, bytes = run("--out", "out")
    p:see("  0:0\\d    2 responders up; 1 link: [\\d.]+ [kM]?bit/s, [\\d.]+ lost/s")
    p:see("a--b: ab [\\d.]+ [kM]?bit/s, ba 0 bit/s, [\\d.]+ lost/s")
    p:see("line 2")
    p:signal("WINCH")
    check.equal({ p:finish() }, { 0, "kept" })
    local all = table.concat(bytes)
    check.equal(printed(bytes), PRINTED)
    check.is_true(not all:find("\27[2m", 1, true), "no colours with NO_COLOR")
    check.is_true(not all:find("half[^w]*0:0", 1), "a line that has not ended is not written behind")
end)

test("stopped by Ctrl-Z, it leaves its place to the shell", function()
    write_experiment('print("one") link(responder("a"), responder("b")) sleep(60)')
    local p, bytes = listen_to(session.start_program(folder, "/bin/sh", "-mc",
        session.QEMUNET .. " run x.lua --out stopped; echo in the shell; read x; fg"))
    p:see("1 link")
    p:type("\26")
    p:see("in the shell")
    check.is_true(not table.concat(screen_of(table.concat(bytes)), "\n"):find("1 link", 1, true), "the status is gone")
    p:type("\r")
    p:see("1 link")
    p:type("\3")
    check.equal({ p:finish() }, { 130, "kept" })
end)

test("the busiest links come first, with what each direction carries; of many commands, the oldest", function()
    local a, b, h = responder("a"), responder("b"), host("h")
    local calm, busy, idle = link(a, b), link(a, b), link(a, h)
    local possible, why = pcall(boot)
    if not possible then skip(why) end
    local sources = { source(calm.ab, { to = b, rate = "80kbit", size = 500 }), source(busy.ba, { to = a, rate = "800kbit", size = 500 }) }
    for _, each in ipairs(sources) do each:start() end
    local jobs = {}
    for i = 1, 5 do jobs[i] = h:spawn("sleep 1000; : " .. i) end
    -- On a machine that stands still at times, what there is of a second differs.
    local found = eventually(20, function()
        local lines = {}
        for line in status.lines():gmatch("[^\n]+") do lines[#lines + 1] = line end
        local rate = tonumber(lines[2]:match("^ +a%-%-b%-2: ab 0 bit/s, ba ([%d.]+) kbit/s$"))
        return rate and math.abs(rate - 800) < 200 and #lines == 7 and lines
    end)
    check.match(found[3], "^ +a%-%-b: ab [%d.]+ kbit/s, ba 0 bit/s$")
    check.match(found[1], "; 3 links: [%d.]+ kbit/s; 5 commands$")
    check.match(found[4], "^ +[%d.]+ s  h: sleep 1000; : 1$")
    check.equal(found[7], "          and 2 more")
    for _, each in ipairs(jobs) do each:kill("KILL") end
    check.is_true(idle.is_up)
end)

test("a terminal does not obey what a failure quotes", function()
    write_experiment('error("\\27]0;title\\7 and \\27[2J and \\u{9b}2J\\r\\nend")')
    local p, bytes = listen_to(session.start(folder, "run", "x.lua", "--out", "quoted"))
    check.equal({ p:finish() }, { 1, "kept" })
    local all = table.concat(bytes)
    check.is_true(all:find("^[]0;title^G and ^[[2J and ?2J\r\nend", 1, true) ~= nil, all)
    check.is_true(not all:find("\27]", 1, true) and not all:find("\27[2J", 1, true))
end)

test("there is none with -q, nor anything of a terminal on a pipe", function()
    local p, bytes = run("--out", "quiet", "-q", "--param", "pause=0.01")
    check.equal(p:finish(), 0)
    check.is_true(not table.concat(bytes):find("\27", 1, true))
    check.equal(printed(bytes), PRINTED)
    local pipe <close> = io.popen(("cd '%s' && %s run x.lua --out pipe --param pause=0.01 2>&1 | cat"):format(folder, QEMUNET))
    local text = pipe:read("a")
    check.is_true(not text:find("[\27\r]"))
    check.match(text, "^one\nhalf whole\nline 1\nline 2\nline 3\ntwo\n")
end)
