-- SPDX-License-Identifier: MIT
-- Scripts that do not want to end are ended all the same, and those that want all memory do not get it.

package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "?.lua;" .. package.path
local core = require "qemunet.core"
local folder = require "folder"

local QEMUNET = os.getenv("QEMUNET") or core.real_path("/proc/self/exe")

local place
setup(function() place = folder.make() end)
teardown(function() os.execute("rm -rf " .. place) end)

-- Runs a script that may look into the library. Returns its exit status, and what it said.
local function run(script)
    folder.write(place .. "/script.lua", script)
    local told <close> = io.popen(("cd %s && timeout 100 %s run --allow-host script.lua --out run 2>&1; echo status $?"):format(
        place, QEMUNET))
    local said = told:read("a")
    return tonumber(said:match("status (%d+)\n$")), said
end

local function result_is_there() return core.stat(place .. "/run/result.json") == "file" end

-- So that a test need not wait as long as people do.
local IMPATIENT = 'local core = require "qemunet.core" core.stop_within(1, 3) '

-- Begins the time limit when the script is where it counts.
local LATE = 'core.time_limit(0.1)\n'

test("a call that nothing can interrupt ends with the process", function()
    local status, said = run(IMPATIENT .. LATE .. 'string.find(("a"):rep(40), ("a-"):rep(30) .. "b")')
    check.equal(status, 4)
    check.match(said, "killed: long after it was stopped, the script had not ended")
    check.is_true(not result_is_there())
end)

test("what computes without end while it tidies up is interrupted, and the run is recorded", function()
    local status, said = run(IMPATIENT .. LATE .. [[
local stubborn <close> = setmetatable({}, { __close = function() while true do end end })
sleep(1000)]])
    check.equal(status, 4)
    check.match(said, "timed out: the experiment's time limit has passed")
    check.is_true(result_is_there())
end)

test("tasks that start tasks and never wait end with their run", function()
    local status, said = run(IMPATIENT .. LATE .. [[
local function twice() go(twice) go(twice) end
twice()
sleep(1000)]])
    check.equal(status, 4)
    check.match(said, "timed out: the experiment's time limit has passed")
end)

test("a stop comes between tasks that are ready, and those that had not begun do not", function()
    local status, said = run(IMPATIENT .. [[
local begun = 0
for i = 1, 1000 do
    go(function()
        begun = begun + 1
        local since = os.clock()
        while os.clock() - since < 0.05 do end
    end)
end
local told <close> = setmetatable({}, { __close = function() print("begun:", begun) end })
core.time_limit(0.3)
sleep(1000)]])
    check.equal(status, 4)
    check.less(tonumber(said:match("begun:\t(%d+)")), 500)
end)

test("there is a bound on tasks", function()
    local status, said = run("for i = 1, 300000 do go(function() end) end")
    check.equal(status, 1)
    check.match(said, "script.lua:1: more than 200000 tasks at once")
end)

test("a script that takes more memory than its share is told so, and may go on", function()
    local status, said = run([[
local part = ("x"):rep(1 << 28)
local too_much = load("local part = ... return part" .. (" .. part"):rep(149))
print(pcall(too_much, part))
print(#(part .. "x"))
go(too_much, part):join()]])
    check.equal(status, 1)
    check.match(said, "false\tnot enough memory\n268435457\n")
    check.match(said, "failed: not enough memory: what a script holds may take a quarter of this machine's\n")
end)
