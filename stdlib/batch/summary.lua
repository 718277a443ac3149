-- SPDX-License-Identifier: MIT
-- The end of a batch: what was slow, what is flaky, what failed and how to run it again, and how many there were.

local command_words = require "qemunet.program.words"
local units = require "qemunet.units"

local summary = {}

local SLOWEST, SLOW = 5, 1 -- so many, of those that took at least so many seconds

local function quote(word)
    if word:find("^[%w_./:=,+-]+$") then return word end
    return "'" .. word:gsub("'", [['\'']]) .. "'"
end

-- A pattern that this name matches, and no other.
local function pattern_of(name)
    local escaped = name:gsub("[%^%$%.%[%]|()?*+{}\\]", "\\%0"):gsub("%c", function(c) return ("\\x%02x"):format(c:byte()) end)
    return "^" .. escaped .. "$"
end

--- The command line that runs a result's test again, as it was run. `opts`: those of the batch.
function summary.command(result, opts)
    local words = { "qemunet", "test", quote(result.file) }
    local function add(...)
        for _, word in ipairs { ... } do words[#words + 1] = quote(tostring(word)) end
    end
    if result.number ~= 0 then add("--filter", pattern_of(result.name)) end
    add(table.unpack(command_words.of(opts)))
    if opts.strict then add "--strict" end
    if #opts.args > 0 then add("--", table.unpack(opts.args)) end
    return table.concat(words, " ")
end

local function title(result)
    if result.number == 0 then return result.file end
    return ("%s: %s"):format(result.file, (result.name:gsub("%c", " ")))
end

local function print_slowest(results, say)
    local list = {}
    for _, result in ipairs(results) do
        if result.duration >= SLOW then list[#list + 1] = result end
    end
    if #list == 0 or #results == 1 then return end
    table.sort(list, function(a, b) return a.duration > b.duration end)
    say "the slowest:"
    for i = 1, math.min(SLOWEST, #list) do
        say(("  %-8s %s"):format(units.format_duration(list[i].duration), title(list[i])))
    end
end

local function print_flaky(flaky, say)
    if #flaky == 0 then return end
    say "flaky, as they failed and passed when they were run again:"
    for _, result in ipairs(flaky) do
        say(("  %s: %s"):format(title(result), result.failures[1]:match("^[^\n]*")))
    end
end

local function print_failed(results, opts, say)
    local any = false
    for _, result in ipairs(results) do
        if result.outcome == "failed" then
            if not any then say "failed:" end
            any = true
            say("  " .. title(result))
            say("    " .. summary.command(result, opts))
        end
    end
end

--- Prints by say(line) what is worth knowing of the results, and of those that were flaky.
function summary.print(results, flaky, opts, say)
    print_slowest(results, say)
    print_flaky(flaky, say)
    print_failed(results, opts, say)
end

--- The counts: { passed =, failed =, skipped = }.
function summary.count(results)
    local counts = { passed = 0, failed = 0, skipped = 0 }
    for _, result in ipairs(results) do counts[result.outcome] = counts[result.outcome] + 1 end
    return counts
end

--- "3 passed, 1 failed, 2 skipped".
function summary.line(counts)
    return ("%d passed, %d failed%s"):format(counts.passed, counts.failed,
        counts.skipped > 0 and (", %d skipped"):format(counts.skipped) or "")
end

return summary
