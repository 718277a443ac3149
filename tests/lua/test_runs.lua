-- SPDX-License-Identifier: MIT
-- Experiments that run, as other processes of the same user see them; attach itself is in suite vm.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "../tty/?.lua;" .. package.path
local core = require "qemunet.core"
local session = require "session"
local text = require "qemunet.text"

local folder
setup(function() folder = session.folder() end)
teardown(function() session.remove_folder(folder) end)


local function write(name, content)
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(content)
end

-- A shell's output and status.
local function shell(command)
    local file = io.popen(("cd %s; export XDG_RUNTIME_DIR=$PWD; { %s; } 2>&1 </dev/null"):format(text.quote(folder), command))
    local output = file:read("a")
    return output, select(3, file:close())
end

local function qemunet(words) return shell(session.QEMUNET .. " " .. words) end

local function listed() return json.decode((qemunet("ps --json"))) end

-- An experiment that goes on until it is told to end.
local EXPERIMENT = [[
    local a = responder("alpha")
    responder("beta")
    link(a, switch("middle"))
    test("one", function() check.equal(1, 1) end)
    test("two", function() print("ready") eventually("1m", function() return io.open("go") end) end)
]]

local function begin(out)
    write("x.lua", EXPERIMENT)
    local p = session.start(folder, "run", "--allow-host", "-q", "x.lua", "--out", out or "out")
    p:see("ready")
    return p
end

local function finish(p)
    write("go", "")
    local status = p:finish()
    os.remove(folder .. "/go")
    return status
end

local function sockets() return core.names(folder .. "/qemunet") end

test("ps lists an experiment while it runs", function()
    check.equal(qemunet("ps"), "no experiment of this user is running\n")
    local p = begin()
    local run = listed()[1]
    local real = core.real_path(folder)
    check.equal({ run.file, run.folder, run.verdict, run.summary, run.links, #run.nodes },
        { real .. "/x.lua", real .. "/out", "1 passed", "2 responders up", 1, 2 })
    check.equal(run.nodes[2], { name = "beta", kind = "responder", state = "up" })
    check.match(qemunet("ps"), "^ *PID +TIME +NODES +SO FAR +FILE +FOLDER\n *" .. run.pid ..
        " +0:%d%d +2 responders up +1 passed +%S+/x.lua +%S+/out\n$")
    check.equal(finish(p), 0)
    check.equal(listed(), {})
    check.equal(sockets(), nil, "what is left")
end)

test("who reads the standard input waits alone, and a stop ends that too", function()
    write("read.lua", [[
        after(0, function() io.open("others go on", "w"):close() end)
        print(io.read(), io.read("n"), io.lines()(), io.stdin:read("a"))
    ]])
    local said = shell(([[mkfifo in
        { until [ -e "read/others go on" ]; do sleep 0.02; done; printf "one\\n2\\nthree\\nfour"; } > in &
        timeout 60 %s run -q --out read read.lua < in]]):format(session.QEMUNET))
    check.equal(said, "one\t2\t\tthree\nfour\n")
    said = shell(([[mkfifo never
        sleep 60 > never &
        timeout 30 %s run -q --timeout 4 --out late read.lua < never
        echo $?
        kill $!]]):format(session.QEMUNET))
    check.match(said, "time limit has passed\n.*read.lua:2: in the file's main part\n4\n$")
end)

test("nothing is left however a run ends, but where it was killed, and that is removed", function()
    for _, signal in ipairs { "INT", "TERM", "HUP" } do
        local p = begin(signal)
        p:signal(signal)
        check.equal(p:finish(), 130)
        check.equal(sockets(), nil, signal)
    end
    for _, remover in ipairs { "ps", "run" } do
        local p = begin("killed by " .. remover)
        p:signal("KILL")
        check.equal(p:finish(), 137)
        check.equal(#sockets(), 1)
        if remover == "ps" then
            check.equal(listed(), {})
            check.equal(sockets(), {})
        end
    end
    local p = begin("next")
    check.equal(#sockets(), 1)
    check.equal(finish(p), 0)
    check.equal(sockets(), nil)
end)

test("the run that is meant is the only one, the only one with that node, or the one that is named", function()
    local message, status = qemunet("attach alpha")
    check.equal({ message, status }, { "qemunet: attach: standard input and output must be a terminal\n", 1 })
    local first = session.start(folder, "attach", "alpha")
    first:see("qemunet: attach: no experiment of this user is running")
    check.equal({ first:finish() }, { 1, "kept" })
    local runs = { begin("one"), begin("two") }
    local pids = { listed()[1].pid, listed()[2].pid }
    local cases = {
        { "alpha", ("several experiments are running; say which:\r\n  %d  .*/one\r\n  %d  .*/two\r\n"):format(pids[1], pids[2]) },
        { "alpha", "alpha is a responder: only a virtual machine \\(vm\\) has a console", "--run", "two" },
        { "alpha", "alpha is a responder", "--run", tostring(pids[1]) },
        { "alpho", 'there is no node "alpho"; did you mean "alpha".\r\n', "--run", "one/" },
        { "middle", "middle is a switch: only a virtual machine", "--run", "one/" },
        { "alpha", "no experiment three is running; there are:", "--run", "three" },
    }
    for _, case in ipairs(cases) do
        local p = session.start(folder, "attach", case[1], table.unpack(case, 3))
        p:see(case[2])
        check.equal({ p:finish() }, { 1, "kept" }, case[2])
    end
    write("go", "")
    for _, p in ipairs(runs) do check.equal(p:finish(), 0) end
end)

test("nonsense at the socket does no harm", function()
    local p = begin()
    local path = folder .. "/qemunet/" .. listed()[1].pid
    local function ask(what) return (shell(("{ %s; } 2>/dev/null | timeout 10 nc -N -U %s"):format(what, path))) end
    check.match(ask("echo '{\"want\": \"stat\"}'"), 'unknown request; did you mean \\"state\\"')
    check.equal(ask("printf '%s\\n' '[[[[' '{}' '7' '{\"want\":{}}'"), ('{"error": "unknown request"}\n'):rep(4))
    check.match(ask("echo '{\"want\": \"attach\", \"node\": [1]}'"), "attach wants a node")
    check.equal(ask("head -c 100000 /dev/zero"), "")
    check.equal(ask("true"), "")
    check.equal(#listed(), 1)
    check.equal(finish(p), 0)
end)

-- Visitors of the run with that process, each of whom has sent a text: { answer= what has come back, is_over= }.
local function visit(pid, n, request)
    local list, path = {}, ("%s/qemunet/%d"):format(folder, pid)
    for i = 1, n do
        local one = { answer = "", is_over = false }
        local function take(_, data) one.answer, one.is_over = one.answer .. (data or ""), not data end
        -- The run takes them in as fast as it can.
        one.stream = eventually(20, function() return (core.control_connect(path, take)) end, { every = "5ms" })
        one.stream:write(request)
        list[i] = one
    end
    return list
end

local function leave(visitors)
    for _, one in ipairs(visitors) do one.stream:close() end
end

test("those who come and say nothing count", function()
    local p = begin()
    local visitors = visit(listed()[1].pid, 70, "")
    eventually(20, function()
        local n = 0
        for _, one in ipairs(visitors) do n = n + (one.is_over and 1 or 0) end
        return n == 6
    end)
    leave(visitors)
    eventually(20, function() return #listed() == 1 and listed()[1].verdict end)
    check.equal(finish(p), 0)
end)

test("too many visitors, and too long a request, are refused", function()
    local p = begin()
    local pid = listed()[1].pid
    local visitors = visit(pid, 70, '{"want": "state"}\n')
    local function count(is_one)
        local n = 0
        for _, one in ipairs(visitors) do n = n + (is_one(one) and 1 or 0) end
        return n
    end
    eventually(20, function() return count(function(one) return one.is_over end) == 6 end)
    eventually(20, function() return count(function(one) return one.answer:find("\n") end) == 64 end)
    leave(visitors)
    check.equal(#listed(), 1)
    local long = visit(pid, 1, ("x"):rep(5000))
    eventually(20, function() return long[1].is_over end)
    leave(long)
    check.equal(finish(p), 0)
end)

test("ps shows a hostile name, which the terminal does not obey", function()
    write("odd\27[2J.lua", 'print("ready") eventually("1m", function() return io.open("go") end)')
    local p = session.start(folder, "run", "--allow-host", "-q", "odd\27[2J.lua", "--out", "odd")
    p:see("ready")
    local text = qemunet("ps")
    check.match(text, "odd\\x1B%[2J%.lua")
    check.equal(text:find("\27", 1, true), nil)
    check.equal(finish(p), 0)
end)

test("one who asks again and again, and does not read, is cut off: nothing piles up", function()
    local p = begin()
    local pid = math.tointeger(sockets()[1])
    local function connections() return tonumber((shell(("ls -l /proc/%d/fd | grep -c socket:"):format(pid)))) end
    local before = connections() -- nobody has asked yet
    write("ask.sh", ([[
        yes '{"want": "page", "since": 0}' | timeout 60 nc -U qemunet/%d |
            { head -c 100000 >/dev/null; : >asked; until [ -e go ]; do sleep 0.05; done; }
    ]]):format(pid))
    shell("sh ask.sh >ask.log 2>&1 & true")
    eventually(20, function() return core.stat(folder .. "/asked") end)
    eventually(20, function() return connections() == before end)
    check.equal(#listed(), 1)
    check.equal(finish(p), 0)
end)

test("other users are refused", function()
    if shell("id -u") ~= "0\n" then skip("only root can be another user") end
    local p = begin()
    local path = folder .. "/qemunet/" .. listed()[1].pid
    local other = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- "
    -- What is refused may be closed before anything is written.
    local ask = ("{ echo '{\"want\": \"state\"}'; } 2>/dev/null | %s timeout 10 nc -N -U %s"):format(other, path)
    check.match(shell("chmod 755 .; " .. ask), "Permission denied")
    check.equal(shell(("chmod 755 . qemunet; chmod 777 %s; %s"):format(path, ask)), "")
    check.match(qemunet("ps"), "want a folder of this user alone")
    shell("chmod 700 qemunet")
    check.equal(finish(p), 0)
    shell("mkdir qemunet; chmod 700 qemunet; chown 65534 qemunet")
    check.match(qemunet("ps"), "want a folder of this user alone")
    write("y.lua", 'record { it = "runs" }')
    check.match(qemunet("run y.lua --out y"), "qemunet ps will not know of this run: .*Operation not permitted")
    check.equal(core.stat(folder .. "/y/report.html"), "file")
end)

test("watch serves the report as it grows, to who knows its address, until the run ends", function()
    if not core.report_page "report" then skip("built without the page, which needs npm") end
    local none = session.start(folder, "watch")
    none:see("qemunet: watch: no experiment of this user is running")
    check.equal(none:finish(), 1)
    local p = begin()
    local w = session.start(folder, "watch", "out")
    local at = w:see("http://(127\\.0\\.0\\.1:(\\d+))/([0-9a-f]{32})/\\s")
    local host, port, token = at[1], at[2], at[3]
    local function ask(method, path, ...)
        local head = table.concat({ method .. " " .. path .. " HTTP/1.1", "Connection: close", ... }, "\r\n") .. "\r\n\r\n"
        write("request", head)
        return (shell(("timeout 10 nc -N 127.0.0.1 %s <request"):format(port)))
    end
    local ours, page = "Host: " .. host, "/" .. token .. "/"
    local answer = ask("GET", page, ours)
    check.match(answer, "^HTTP/1.1 200 ")
    check.match(answer, "\r\nContent%-Security%-Policy: default%-src 'none'; connect%-src 'self'; script%-src 'sha256%-")
    check.match(answer, "\r\nContent%-Security%-Policy: [^\r]*; frame%-ancestors 'none'\r\n")
    check.match(answer, '"verdict": "running"')
    check.match(answer, '"name": "beta"')
    check.match(ask("GET", page .. "data/0", ours, "Origin: http://" .. host, "Sec-Fetch-Site: same-origin"), "^HTTP/1.1 200 ")
    local other = (token:sub(1, 1) == "0" and "1" or "0") .. token:sub(2)
    local refused = {
        { 403, "GET", page, "Host: localhost:" .. port },
        { 403, "GET", page, "Host: 127.0.0.1.example.org:" .. port },
        { 403, "GET", page, ours, "Origin: http://example.org" },
        { 403, "GET", page .. "data/0", ours, "Origin: null" },
        { 403, "GET", page .. "data/0", ours, "Sec-Fetch-Site: cross-site" },
        { 403, "GET", "/", ours },
        { 403, "GET", "/" .. other .. "/", ours },
        { 403, "GET", "/" .. token, ours },
        { 403, "GET", "/" .. token .. "x", ours },
        { 403, "GET", "/" .. token:sub(1, 31) .. "/", ours },
        { 404, "GET", page .. "../events.jsonl", ours },
        { 404, "GET", page .. "%2e%2e/etc/passwd", ours },
        { 405, "POST", page, ours, "Content-Length: 0" },
        { 405, "OPTIONS", page, ours },
    }
    for _, case in ipairs(refused) do
        check.match(ask(table.unpack(case, 2)), "^HTTP/1.1 " .. case[1] .. " ", table.concat(case, " "))
    end
    check.match(ask("GET", page), "^HTTP/1.1 40%d ")
    check.equal(finish(p), 0)
    eventually(10, function() return ask("GET", page .. "data/0", ours):find('"verdict": "passed"', 1, true) end)
    w:see("out: passed")
    check.equal({ w:finish() }, { 0, "kept" })
    p = begin("again")
    w = session.start(folder, "watch")
    w:see("http://")
    w:type("\3")
    check.equal({ w:finish() }, { 130, "kept" })
    check.equal(finish(p), 0)
end)
