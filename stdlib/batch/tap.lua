-- SPDX-License-Identifier: MIT
-- The Test Anything Protocol, version 14: a line a test on standard output, with a block of YAML below what failed.

local core = require "qemunet.core"
local runner = require "qemunet.suite.runner"

local tap = {}

local function say(line) core.print(line .. "\n") end

-- JSON is YAML.
local function field(name, value)
    if value == nil then return end
    say(("  %s: %s"):format(name, assert(core.json_encode(value))))
end

local function consoles_of(result)
    if not result.consoles or #result.consoles == 0 then return nil end
    local texts = {}
    for _, console in ipairs(result.consoles) do texts[console.node] = console.text end
    return texts
end

local function diagnose(result)
    say "  ---"
    field("message", result.message)
    field("severity", "fail")
    field("at", result.line and { file = result.file, line = result.line })
    field("duration_ms", math.floor(result.duration * 1000 + 0.5))
    field("trace", result.traceback)
    field("consoles", consoles_of(result))
    field("folder", result.folder)
    say "  ..."
end

function tap.begin() say "TAP version 14" end

--- A result that counts, the number-th.
function tap.result(number, result)
    local name = result.number == 0 and result.file or ("%s: %s"):format(result.file, result.name)
    local line = ("%s %d - %s"):format(result.outcome == "failed" and "not ok" or "ok", number, runner.tap_text(name))
    if result.outcome == "skipped" then line = ("%s # SKIP %s"):format(line, runner.tap_text(result.why or "")) end
    say((line:gsub("%s+$", "")))
    if result.outcome == "failed" then diagnose(result) end
end

--- The end, after n results; `stopped`: why it came early, or nil.
function tap.finish(n, stopped)
    if stopped then say("Bail out! " .. stopped) end
    say(n == 0 and "1..0 # SKIP no tests" or ("1..%d"):format(n))
end

return tap
