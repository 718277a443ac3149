-- SPDX-License-Identifier: MIT
-- What is recorded of machines is what FORMATS.md says; what is recorded without any is test_formats' of suite lua.

package.path = debug.getinfo(1, "S").source:match("^@(.*)vm/") .. "lua/?.lua;" .. package.path

local formats = require "formats"
local recorder = require "qemunet.record.recorder"

local SCRIPT = [[
local a, b = vm("a"), vm("b")
link(a, b, { delay = "1ms" })
boot()
b:succeed("ping -c 2 a")
a:spawn("sleep 1000")
b:pause()
b:resume()
local faults <close> = faults { { "skew", node = b, by = "1s", at = 0, lasts = "50ms" } }
faults:start()
faults:wait(20)
link(a, b)
a:crash()
a:boot()
b:shutdown()
local till = now() + 1.1
while now() < till do end
]]

local path = recorder.folder() .. "/machines.lua"
local file = assert(io.open(path, "wb"))
file:write(SCRIPT)
file:close()
local folder, status = formats.run(path)

test("the run", function() check.equal(status, 0) end)

test("every event of machines is documented", function()
    local kinds = formats.check_events(folder)
    for _, kind in ipairs { "accel", "busy", "command", "crash", "fault", "qmp", "vm" } do
        check.less(0, kinds[kind] or 0, kind)
    end
end)

test("the results, with how machines fared", function()
    local fidelity = formats.check_result(folder).fidelity
    local waits, drift = fidelity.measures.cpu_wait, fidelity.measures.drift
    check.less(0, waits.nodes.a.watched)
    check.is_nil(drift and drift.nodes.b, "it stood still, and is off")
    check.is_true(drift == nil or drift.nodes.a.doubt > 0)
end)

test("the trace has a slice for each boot, and for the states inside", function()
    local slices = formats.check_trace(folder)
    check.equal({ slices.a.state, slices.b.state }, { 6, 5 })
    check.less(4, formats.count(slices.a, "commands"))
end)
