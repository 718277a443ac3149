-- SPDX-License-Identifier: MIT
-- What a run's folder says of what was recorded, whatever the script does to it later, and what the run says of a disk that
-- takes no more.

local core = require "qemunet.core"
local files = require "folder"
local output = require "qemunet.output"
local trace = require "qemunet.record.trace"

local top
setup(function() top = files.make() end)
teardown(function() os.execute(("rm -rf %s"):format(top)) end)

local QEMUNET = "/proc/" .. files.read("/proc/self/stat"):match("^%d+") .. "/exe"

-- Runs a script in a folder of that name, behind words of the shell's. Returns what was said, the status, and the folder.
local function run(name, script, before)
    local folder = ("%s/%s"):format(top, name)
    files.write(folder .. ".lua", script)
    local pipe = assert(io.popen(("%s %s run --out %s %s.lua 2>&1"):format(before or "", QEMUNET, folder, folder)))
    local said = pipe:read("a")
    return said, select(3, pipe:close()), folder
end

local function result_of(folder) return core.json_decode(files.read(folder .. "/result.json")) end

-- A folder in which nothing can be written to the files of those names.
local function full(name, ...)
    local folder = ("%s/%s"):format(top, name)
    assert(os.execute("mkdir " .. folder))
    for _, file in ipairs { ... } do assert(os.execute(("ln -s /dev/full %s/%s"):format(folder, file))) end
    return folder
end

test("values are recorded as they were then", function()
    local _, status, folder = run("later", [[
        local list, own = { 1, 2 }, param("own", { 3 })
        record { list = list, deep = { list = list } }
        list[1], list[3] = print, 4
        own[1] = print
    ]])
    local result = result_of(folder)
    check.equal({ status, result.recorded, result.parameters },
        { 0, { list = { 1, 2 }, deep = { list = { 1, 2 } } }, { own = { 3 } } })
end)

-- The entries of the trace that is made of such events, by their names.
local function trace_of(events)
    local entries, lines = {}, {}
    for i, event in ipairs(events) do lines[i] = core.json_encode(event) end
    files.write(top .. "/events.jsonl", table.concat(lines, "\n") .. "\n")
    check.is_nil(trace.write(top))
    for _, e in ipairs(core.json_decode(files.read(top .. "/trace.json")).traceEvents) do
        if e.name then entries[e.name] = e end
    end
    return entries
end

test("trace.json: what has not ended lasts to the end, what is no running state is a moment, long texts are cut", function()
    local entries = trace_of {
        { t = 0, kind = "start", file = "x.lua" }, { t = 1, kind = "vm", node = "a", state = "booting" },
        { t = 2, kind = "fault", event = "start", fault = "cut", target = "l" }, { t = 3, kind = "vm", node = "a", state = "crashed" },
        { t = 4, kind = "command", node = "a", cmd = ("x"):rep(5000), started = 3, finished = 4, stdout = ("y"):rep(5000) },
        { t = 5, kind = "mark", text = "last" } }
    check.equal({ entries["cut l"].ph, entries["cut l"].ts, entries["cut l"].dur }, { "X", 2e6, 3e6 })
    check.equal({ entries.crashed.ph, entries.booting.ph }, { "i", "B" })
    local cut = ("x"):rep(1000) .. "..."
    check.equal({ entries[cut].args.cmd, #entries[cut].args.stdout }, { cut, 1003 })
end)

test("trace.json: of records that are damaged", function()
    local function entries_of(text)
        files.write(top .. "/events.jsonl", text)
        check.is_nil(trace.write(top))
        return #core.json_decode(files.read(top .. "/trace.json")).traceEvents
    end
    local none = entries_of("")
    check.less(none, entries_of('{"t":1,"kind":"mark","text":"x"}\n'))
    check.equal(entries_of('{"kind":"mark"}\n7\n"x"\n{"t":2,"ki'), none)
    files.write(top .. "/events.jsonl", '{"t":1,"kind":"fidelity"}\n')
    check.is_true(trace.write(top) ~= nil)
    check.equal(core.stat(top .. "/trace.json.part"), nil)
end)

test("a disk that is full: the run says so as soon as an event is lost, and has not passed", function()
    local said, status, folder = run("events", [[
        for i = 1, 300 do mark(("x"):rep(1000)) end
        io.stderr:write("it goes on\n")
    ]], "trap '' XFSZ; ulimit -f 100;")
    check.match(said, "^cannot write events%.jsonl: File too large; from here on .-\nit goes on\n")
    check.match(said, "machinery failed: what this run recorded is incomplete; see above\n")
    check.equal({ select(2, said:gsub("events%.jsonl", "")), status }, { 1, 3 })
    check.equal(result_of(folder).verdict, "machinery failed")
end)

test("a disk that is full at the end: no file is there by half, and the run has not passed", function()
    local folder = full("result", "result.json.part", "trace.json.part", "report.html.part")
    local said, status = run("result", "record { n = 1 }")
    check.match(said, "cannot write result%.json: No space left on device\n")
    check.match(said, "cannot write trace%.json: No space left on device\n")
    check.match(said, ("machinery failed: %s\n$"):format(folder))
    check.equal(status, 3)
    local names = core.names(folder)
    table.sort(names)
    check.equal(names, { "console", "events.jsonl" })
end)

test("a full standard output is told of once, and the run has not passed; one that nobody reads is no matter", function()
    local script = 'print("lost") print("lost, too")'
    local said, status, folder = run("printed", script, [[sh -c '"$@" 2>&1 >/dev/full' sh]])
    check.match(said, "^cannot write the standard output: No space left on device; what is printed is lost\nmachinery failed: ")
    check.equal({ status, result_of(folder).verdict }, { 3, "machinery failed" })
    local pipe = assert(io.popen(("%s run -q --out %s/unread %s.lua"):format(QEMUNET, top, folder), "r"))
    check.is_true(pipe:close())
end)

test("a run that failed anyway keeps its verdict", function()
    full("failed", "result.json.part")
    local said, status = run("failed", 'error("its own")')
    check.match(said, "its own")
    check.equal(status, 1)
end)

test("a file takes its place when it is whole, and else is as it was", function()
    local path = top .. "/file"
    files.write(path, "before")
    local function replace(fn) return output.replace(path, fn) end
    check.equal({ replace(function(file) file:write("by half") error("why", 0) end) }, { nil, "why" })
    check.equal({ replace(function(file) file:write("by half") return "why not" end) }, { nil, "why not" })
    check.equal(files.read(path), "before")
    assert(os.execute(("ln -s /dev/full %s.part"):format(path)))
    check.match(select(2, replace(function(file) file:write("lost") end)), "No space left")
    check.match(select(2, output.replace(top .. "/none/x", error)), "/none/x%.part: No such file")
    check.equal(files.read(path), "before")
    check.is_nil((core.stat(path .. ".part")))
    check.equal({ replace(function(file) file:write("whole") end), files.read(path) }, { path, "whole" })
end)
