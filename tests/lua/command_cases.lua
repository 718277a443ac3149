-- SPDX-License-Identifier: MIT
-- Commands on a node: what they did comes back complete and exact, whatever they do. Run by the tests of each kind of node
-- with one that is named "commands" and:
--   home: the folder that its commands begin in; pause: seconds -> a command that sleeps so long; nc: netcat;
--   users: whether there are others; signals: how often a signal is sent to a command that ends
local a, kind = ...
local pause = kind.pause

local every_byte = {}
for i = 0, 255 do every_byte[i + 1] = string.char(i) end
every_byte = table.concat(every_byte)

-- A folder of this machine for one test, removed with its files when the value is closed.
local function scratch(...)
    local self = setmetatable({ names = { ... } }, { __close = function(self)
        for _, name in ipairs(self.names) do os.remove(self.path .. "." .. name) end
        os.remove(self.path)
    end })
    self.path = os.tmpname()
    for _, name in ipairs(self.names) do self[name] = self.path .. "." .. name end
    return self
end

local function read_local(path)
    local file = assert(io.open(path, "rb"))
    local data = file:read("a")
    file:close()
    return data
end

local function write_local(path, data)
    local file = assert(io.open(path, "wb"))
    file:write(data)
    file:close()
end

test("status, output and error output, apart and exact", function()
    local r = a:run("echo out; echo err >&2; exit 7")
    check.equal({ r.ok, r.status, r.stdout, r.stderr }, { false, 7, "out\n", "err\n" })
    check.equal({ r.signal, r.timed_out, r.truncated, r.error }, { nil, false, false, nil })
    check.equal({ r.cmd, r.node }, { "echo out; echo err >&2; exit 7", "commands" })
    check.is_true(r.finished >= r.started and r.started > 0 and r.finished <= now())
    check.near(r.duration, r.finished - r.started, 1e-9)
    check.is_true(a:run("true").ok)
    check.equal(a:run("exit 255").status, 255)
    check.equal(a.state, "up")
end)

test("no output, none with a final newline, only newlines", function()
    check.equal(a:run("").stdout, "")
    check.equal(a:run("# a comment").status, 0)
    check.equal(a:run("printf x").stdout, "x")
    check.equal(a:run("printf x >&2").stderr, "x")
    check.equal(a:run("printf '\\n\\n'").stdout, "\n\n")
end)

test("every byte value, NUL too, both ways", function()
    local r = a:run("tee /dev/stderr", { stdin = every_byte })
    check.equal(r.stdout, every_byte)
    check.equal(r.stderr, every_byte)
    check.equal(a:succeed("printf 'a\\0b'"), "a\0b")
end)

test("an exit status over 128 is no signal, and a signal is one", function()
    local r = a:run("exit 130")
    check.equal({ r.status, r.signal }, { 130, nil })
    r = a:run("kill -9 $$")
    check.equal({ r.status, r.signal, r.ok }, { 137, 9, false })
    r = a:run("kill -TERM $$")
    check.equal({ r.status, r.signal }, { 143, 15 })
    r = a:run("sh -c 'kill -9 $$'")
    check.equal({ r.status, r.signal }, { 137, 9 })
    r = a:run("sh -c 'kill -9 $$'; exit $?")
    check.equal({ r.status, r.signal }, { 137, nil })
    check.equal(a:run("true").signal, nil)
end)

test("a command leaves nothing of its shell to the next", function()
    local first = a:run("echo $$; cd /tmp; X=1; export Y=2; umask 0; set -e; trap 'echo trapped' EXIT; f() { :; }; exec 5>&1")
    local next_one = a:succeed("echo $$; pwd; echo ${X-unset} ${Y-unset}; umask; false; type f >/dev/null 2>&1 || echo no f; :")
    check.match(first.stdout, "^%d+\ntrapped\n$")
    check.match(next_one, "^%d+\n" .. kind.home .. "\nunset unset\n0022\nno f\n$")
    check.is_true(first.stdout:match("%d+") ~= next_one:match("%d+"), "the same process")
end)

test("a command sees nothing of ours: variables, descriptors, standard input", function()
    check.equal(a:succeed("set | grep -c '^qn_' ; ls /proc/self/fd | wc -l"), "0\n4\n")
    check.equal(a:succeed("cat; readlink /proc/self/fd/0"), "/dev/null\n")
    check.is_true(not a:ok("read -r line"))
end)

test("standard input: data, nothing, more than is read", function()
    check.equal(a:succeed("cat", { stdin = "one\ntwo" }), "one\ntwo")
    check.equal(a:succeed("cat", { stdin = "" }), "")
    check.equal(a:succeed("read -r line; echo \"$line\"", { stdin = "first\nsecond\n" }), "first\n")
    check.equal(a:run("exit 3", { stdin = ("x"):rep(300000) }).status, 3)
    check.equal(a:succeed("wc -c", { stdin = ("y"):rep(2000000) }), "2000000\n")
    check.equal(a:succeed("cat", { stdin = "after" }), "after")
end)

test("standard input of a killed command does not reach the next", function()
    for i = 1, 20 do
        local job = a:spawn("echo begun; exec cat")
        job:write("for the first")
        job:lines()()
        job:kill("KILL")
        check.equal(job:wait(20).signal, 9)
        check.equal(a:succeed("cat", { stdin = "for number " .. i }), "for number " .. i)
    end
end)

test("cwd, env and user", function()
    check.equal(a:succeed("pwd", { cwd = "/tmp" }), "/tmp\n")
    local r = a:run("echo no", { cwd = "/not/there" })
    check.equal({ r.status, r.stdout }, { 1, "" })
    check.match(r.stderr, "/not/there")
    local value = "it's \"two\"\n$(lines) `x` \\"
    check.equal(a:succeed("printf %s \"$VALUE\"; printf ,%s $N", { env = { VALUE = value, N = 5 } }), value .. ",5")
    if not kind.users then return end
    check.equal(a:succeed("id -u; echo \"it's\" '$X'; pwd", { user = "nobody", cwd = "/tmp", env = { X = 1 } }),
        "65534\nit's $X\n/tmp\n")
    check.equal(a:run("exit 4", { user = "nobody" }).status, 4)
    check.is_true(not a:run("true", { user = "no-such-user" }).ok)
    check.equal(a:succeed("cat; echo $V", { user = "nobody", stdin = "in ", env = { V = "v" } }), "in v\n")
end)

test("text that is hard for a shell channel", function()
    local r = a:run("echo 'unclosed")
    check.is_true(not r.ok and r.stderr ~= "", "an unclosed quote")
    check.is_true(not a:run("if true; then").ok)
    check.is_true(not a:run(")").ok)
    check.equal(a:succeed("cat <<END\n$((1 + 1))\n'x'\nEND"), "2\n'x'\n")
    check.equal(a:succeed("cat <<END\nlast\nEND\n"), "last\n")
    check.equal(a:succeed("echo one\n\n# comment\necho two \\\nthree\n"), "one\ntwo three\n")
    check.equal(a:succeed("printf '%s' 'back\\slash \"quotes\" $dollar !'"), "back\\slash \"quotes\" $dollar !")
    check.equal(a:succeed("echo gr\u{fc}\u{df} '\t'; echo \r | wc -c"), "gr\u{fc}\u{df} \t\n2\n")
    check.equal(a:succeed("  echo led"), "led\n")
    check.equal(a:succeed("exec echo become"), "become\n")
end)

test("long commands, of one line and of many", function()
    local long = ("x"):rep(100000)
    check.equal(a:succeed("echo " .. long), long .. "\n")
    local lines = ("echo line\n"):rep(3000)
    check.equal(a:succeed(lines), ("line\n"):rep(3000))
    for _, n in ipairs { 2030, 2040, 2047, 2048, 2049, 4096 } do
        check.equal(a:succeed("echo " .. ("y"):rep(n - 5)), ("y"):rep(n - 5) .. "\n", n .. " bytes")
    end
end)

test("output that imitates the channel's own messages is output", function()
    local key = "\x1e" .. ("0123456789abcdef"):rep(2)
    local text = key .. " end 0 0 e\n" .. key .. " ready 1 99\n\x1e" .. ("\x1e"):rep(40) .. "ready\nlines 1 0\n0\n"
    check.equal(a:succeed("cat", { stdin = text }), text)
    check.equal(a:run("cat >&2", { stdin = text }).stderr, text)
    check.equal(a:succeed("printf '\\036'"), "\x1e")
end)

test("much output on both streams at once", function()
    local r = a:run("yes out | head -c 8388608 & yes err | head -c 8388608 >&2; wait", { timeout = 120 })
    check.equal({ r.status, #r.stdout, #r.stderr, r.truncated }, { 0, 8388608, 8388608, false })
    check.is_true(r.stdout == ("out\n"):rep(2097152) and r.stderr == ("err\n"):rep(2097152), "the bytes")
end)

test("max_output keeps the beginning and says so", function()
    local r = a:run("yes | head -c 100000; yes e | head -c 900 >&2", { max_output = "1K" })
    check.equal({ r.ok, r.truncated, r.stdout, #r.stderr }, { true, true, ("y\n"):rep(512), 900 })
    check.equal(a:run("printf 12345678", { max_output = 8 }).truncated, false)
    check.equal(a:run("true", { max_output = 0 }).truncated, false)
    check.equal(a:run("echo x", { max_output = 0 }).stdout, "")
end)

test("/dev/stdout and /dev/stderr can be opened", function()
    local r = a:run("echo one >/dev/stdout; echo two >/dev/stderr; echo three >>/dev/stderr")
    check.equal({ r.stdout, r.stderr }, { "one\n", "two\nthree\n" })
end)

-- Waits until none of the processes, whose numbers the text has, is left.
local function wait_gone(pids)
    for pid in pids:gmatch("%d+") do a:wait_until(("[ ! -e /proc/%s ]"):format(pid), 10) end
end

test("a timeout kills the whole process group, and the next command runs at once", function()
    local begin = now()
    local r = a:run("sleep 1000 & echo $$ $!; sleep 1000", { timeout = "300ms" })
    check.equal({ r.ok, r.timed_out }, { false, true })
    check.is_true(now() - begin >= 0.3)
    check.less(a:run("echo next").duration, 5)
    check.match(r.stdout, "^%d+ %d+\n$")
    wait_gone(r.stdout)
end)

test("a timeout also ends what ignores signals, and what waits for input", function()
    local r = a:run("trap '' TERM INT HUP; echo $$; while :; do sleep 1000; done", { timeout = "200ms" })
    check.is_true(r.timed_out)
    wait_gone(r.stdout)
    r = a:spawn("cat", { timeout = "200ms" }):wait(20)
    check.equal({ r.ok, r.timed_out }, { false, true })
    check.is_true(a:ok("true"))
end)

test("what a cancelled task waits for is killed; what it has spawned goes on", function()
    local said, spawned = event("said"), nil
    local waiting = go(function()
        spawned = a:spawn("sleep 1000")
        a:run("sleep 1000 & echo $$ $!; sleep 1000", { on_line = function(line) said:set(line) end })
    end)
    local pids = said:wait(20)
    waiting:cancel()
    wait_gone(pids)
    check.is_true(spawned.running)
    spawned:kill()
    check.equal(spawned:wait(20).signal, 15)
    check.raises(function() timeout("100ms", function() a:run("sleep 1000") end) end, "timed out")
end)

test("a command ends when it ends, whoever holds its output", function()
    local pids = {}
    for i = 1, 10 do
        local r = a:run("sleep 1000 & echo $!", { timeout = 20 })
        check.equal({ r.ok, r.timed_out }, { true, false })
        pids[i] = r.stdout:match("^(%d+)\n$")
    end
    local list = table.concat(pids, " ")
    check.equal(#pids, 10)
    a:succeed("kill -0 " .. list)
    a:succeed("kill " .. list)
    wait_gone(list)
end)

test("a command ends when it ends, also when what it left writes without end", function()
    local r = a:run("yes & sleep 0.2 2>/dev/null || sleep 1; echo $! >/tmp/yes", { timeout = 20, max_output = 1000 })
    check.equal({ r.status, r.timed_out, r.truncated, r.stdout }, { 0, false, true, ("y\n"):rep(500) })
    a:succeed("kill $(cat /tmp/yes)")
end)

test("a signal that comes when the command is at its end is for no other", function()
    for i = 1, kind.signals do
        a:run("echo x", { timeout = 0.0001 * (i % 40) })
        check.equal(a:run("echo next", { timeout = 20 }).stdout, "next\n")
    end
end)

test("what a background process writes later is in no other command's output", function()
    a:succeed("(while [ ! -e /tmp/go ]; do " .. pause(0.01) .. "; done; echo late; echo late >&2; touch /tmp/gone) &")
    a:succeed("touch /tmp/go")
    a:wait_file("/tmp/gone", 10)
    for _ = 1, 10 do
        local r = a:run("echo mine; " .. pause(0.002))
        check.equal({ r.stdout, r.stderr }, { "mine\n", "" })
    end
end)

test("more commands at once than there are command units", function()
    a:succeed("mkdir /tmp/party")
    local jobs = {}
    for i = 1, 14 do
        jobs[i] = a:spawn(("touch /tmp/party/%d; while [ $(ls /tmp/party | wc -l) -lt 14 ]; do " .. pause(0.05) .. "; done; echo %d")
            :format(i, i), { timeout = 60 })
    end
    for i, r in ipairs(all(jobs)) do check.equal({ r.ok, r.stdout }, { true, i .. "\n" }) end
end)

test("commands from several tasks do not mix", function()
    local tasks = {}
    for i = 1, 8 do
        tasks[i] = go(function()
            for k = 1, 4 do check.equal(a:succeed(("echo %d.%d"):format(i, k)), ("%d.%d\n"):format(i, k)) end
        end)
    end
    all(tasks)
end)

test("on_line hands over each line as it comes", function()
    local lines, first = {}, event("first")
    local done = go(function()
        return a:run("echo one; echo two >&2; while [ ! -e /tmp/seen ]; do " .. pause(0.01) .. "; done; printf three", {
            on_line = function(line, stream)
                lines[#lines + 1] = stream .. " " .. line
                if #lines == 2 then first:set() end
            end,
        })
    end)
    check.is_true(first:wait(20), "lines come before the end")
    a:succeed("touch /tmp/seen")
    check.is_true(done:join(20).ok)
    table.sort(lines)
    check.equal(lines, { "stderr two", "stdout one", "stdout three" })
    check.raises(function() a:run("echo x", { on_line = function() error("in on_line") end }) end, "in on_line")
end)

test("spawn: write, read lines, close the input", function()
    local job = a:spawn("while read -r line; do echo \"got $line\"; done; echo end")
    check.is_true(job.running)
    local next_line = job:lines()
    check.equal(job:write("a\n"), true)
    check.equal({ next_line() }, { "got a", "stdout" })
    check.equal({ job:wait("10ms") }, { nil, "timed out", "timeout" })
    job:write("b\nc")
    job:write("\n")
    job:close_stdin()
    check.is_nil(job:write("after the end"))
    check.equal({ next_line(), next_line(), next_line() }, { "got b", "got c", "end", "stdout" })
    check.is_nil(next_line())
    check.equal(job:wait(10).stdout, "got a\ngot b\ngot c\nend\n")
    check.is_true(not job.running)
    check.is_nil(job:write("late"))
    job:kill()
end)

test("spawn: lines without a reader are kept, with their stream", function()
    local job = a:spawn("echo 1; echo 2; echo e >&2; printf 3")
    check.is_true(job:wait(20).ok)
    local out = {}
    for line, stream in job:lines() do out[#out + 1] = stream:sub(4) .. line end
    table.sort(out)
    check.equal(out, { "err" .. "e", "out1", "out2", "out3" })
end)

test("lines: as long as they are, empty ones, and the last without its end", function()
    local job, seen = a:spawn("head -c 2000000 /dev/zero; echo; echo; echo end >&2; printf last"), {}
    for line, stream in job:lines() do seen[#seen + 1] = ("%s %d"):format(stream, #line) end
    table.sort(seen)
    check.equal(seen, { "stderr 3", "stdout 0", "stdout 2000000", "stdout 4" })
end)

test("job:kill signals the whole group", function()
    local job = a:spawn("sleep 1000 & echo $!; sleep 1000")
    local pid = job:lines()()
    job:kill()
    local r = job:wait(10)
    check.equal({ r.ok, r.signal }, { false, 15 })
    wait_gone(pid)
    job = a:spawn("trap 'echo caught; exit 9' INT; echo ready; while :; do " .. pause(0.05) .. "; done")
    check.equal(job:lines()(), "ready")
    job:kill("SIGINT")
    r = job:wait(10)
    check.equal({ r.status, r.signal, r.stdout }, { 9, nil, "ready\ncaught\n" })
    job = a:spawn("sleep 1000")
    job:kill(9)
    check.equal(job:wait(10).signal, 9)
    check.raises(function() a:spawn("sleep 1"):kill("TREM") end, 'unknown signal "TREM"; did you mean "TERM"')
end)

test("succeed, fail and ok: values and messages", function()
    local out, r = a:succeed("echo fine")
    check.equal({ out, r.status }, { "fine\n", 0 })
    check.equal(a:fail("exit 3").status, 3)
    check.equal({ a:ok("true"), a:ok("false") }, { true, false })
    local message = check.raises(function() a:succeed("echo why >&2; exit 3") end, "command_cases%.lua:%d+: ")
    check.match(message, "commands: command ended with status 3: echo why >&2; exit 3\n")
    check.match(message, "standard error:\n    why")
    check.raises(function() a:succeed("kill -9 $$") end, "killed by signal 9")
    check.raises(function() a:succeed("sleep 100", { timeout = "100ms" }) end, "timed out after %d")
    check.raises(function() a:fail("true") end, "command_cases%.lua:%d+: commands: command succeeded, and was to fail: true")
    check.raises(function() a:fail("sleep 100", { timeout = "100ms" }) end, "timed out")
end)

test("wait_until, wait_file and wait_port", function()
    local maker = a:spawn("while [ ! -e /tmp/a ]; do " .. pause(0.01) .. "; done; touch /tmp/b")
    a:spawn("touch /tmp/a")
    a:wait_file("/tmp/b", 20)
    check.is_true(maker:wait(5).ok)
    a:wait_until("[ -e /tmp/a ] && [ -e /tmp/b ]", 5)
    check.raises(function() a:wait_until("false", "50ms") end, "command_cases%.lua:%d+: commands: wait_until false: not within 50 ms; ")
    check.raises(function() a:wait_until("echo no such host >&2; exit 6", 2) end, "not within 2 s; status 6: no such host$")
    check.raises(function() a:wait_file("/tmp/never", "50ms") end, "wait_file /tmp/never: not within 50 ms; ")
    check.raises(function() a:wait_port(4321, "50ms") end, "wait_port 4321: not within")
    local server = a:spawn(kind.nc .. " -l -p 4321")
    a:wait_port(4321, 20)
    server:kill("KILL")
end)

test("read and write: the bytes, and why not", function()
    check.equal({ a:write("/tmp/it's here", every_byte:rep(500)) }, { true })
    check.equal(a:read("/tmp/it's here"), every_byte:rep(500))
    check.equal(a:write("/tmp/empty", ""), true)
    check.equal(a:read("/tmp/empty"), "")
    local value, why, code = a:read("/not/there")
    check.equal({ value, code }, { nil, "read" })
    check.match(why, "/not/there")
    value, why = a:write("/not/there", "x")
    check.is_nil(value)
    check.match(why, "/not/there")
    check.equal(a:succeed("ls /tmp | grep -c qn || true"), "0\n")
end)

test("write: a file that is there keeps its mode, a link leads on, a folder is none", function()
    a:succeed("cd /tmp && rm -rf kept && mkdir -p kept/folder && cd kept && echo >script && chmod 750 script &&" ..
        " ln -s script link && ln -s nowhere/else dead")
    check.is_true(a:write("/tmp/kept/script", "echo one") and a:write("/tmp/kept/link", "echo two"))
    check.equal(a:succeed("cd /tmp/kept && readlink link && stat -c %a script && cat script"), "script\n750\necho two")
    check.is_true(a:write("/tmp/kept/dead", "x") and a:write("/tmp/kept/new", "y"))
    check.equal(a:succeed("cd /tmp/kept && cat dead new && stat -c %a new"), "xy644\n")
    local ok, why = a:write("/tmp/kept/folder", "x")
    check.equal({ ok, why }, { nil, "/tmp/kept/folder is a folder" })
    check.equal(a:succeed("ls -A /tmp/kept /tmp/kept/folder | grep -c qn || true"), "0\n")
end)

test("put and get: files there and back", function()
    local here <close> = scratch("back")
    write_local(here.path, every_byte:rep(1000))
    check.equal(a:put(here.path, "/tmp/put"), true)
    check.equal(a:succeed("wc -c </tmp/put"), "256000\n")
    check.equal(a:get("/tmp/put", here.back), true)
    check.is_true(read_local(here.back) == every_byte:rep(1000), "the bytes")
    check.raises(function() a:put("/no/such/file", "/tmp/x") end, "put: /no/such/file")
    check.raises(function() a:put("/dev/zero", "/tmp/x") end, "put: /dev/zero is neither a file nor a folder")
    check.raises(function() a:get("/tmp/put", "/no/such/folder/x") end, "get: /no/such/folder/x")
    check.is_nil((a:get("/not/there", here.back)))
    check.equal({ a:get("/dev/zero", here.back) }, { nil, "/dev/zero is neither a file nor a folder", "transfer" })
end)

test("a hundred and more commands in a row", function()
    for i = 1, 220 do check.equal(a:succeed("echo " .. i), i .. "\n") end
end)
