-- SPDX-License-Identifier: MIT
-- Files of times: the links of mahimahi, and lists of durations. Every reader returns what it read, or nil and what is
-- wrong, as "file:line: ...". Each has a form for a text that is there already; its second argument names it in errors.

local input = require "qemunet.input"
local units = require "qemunet.units"

local traces = {}

local MAX_DURATION = 100 -- bytes: the time to read one grows with the square of its length

--- traces.parse_mahimahi(text, name) -> times: see traces.mahimahi.
function traces.parse_mahimahi(text, name)
    local times, last = {}, 0
    local ok, why = input.each_line(text, name, function(line)
        local ms = input.whole(line)
        if not ms then return ("want a whole number of milliseconds, not %s"):format(input.quote(line)) end
        if ms < last then return ("%d comes after %d: a trace goes forward"):format(ms, last) end
        last = ms
        times[#times + 1] = ms / 1000
    end)
    if not ok then return nil, why end
    if #times == 0 then return nil, name .. ": there is nothing in it" end
    if last == 0 then return nil, name .. ": it lasts 0 ms, and can not be repeated" end
    return times
end

--- A duration that may be negative: seconds, or text as "-2ms". Returns seconds, or nil and what is wrong.
function traces.signed_duration(v)
    if type(v) == "number" and v < 0 then v = ("-%.17g"):format(-v) end
    local sign, text = "", v
    if type(v) == "string" then sign, text = v:match("^%s*([+-]?)(.*)$") end
    local seconds, problem = units.parse("duration", text)
    if not seconds then return nil, problem end
    return sign == "-" and -seconds or seconds
end

--- traces.parse_durations(text, name) -> list: see traces.durations.
function traces.parse_durations(text, name)
    local list = {}
    local ok, why = input.each_line(text, name, function(line)
        if #line > MAX_DURATION then return ("bad duration %s"):format(input.quote(line)) end
        local seconds, problem = traces.signed_duration(line)
        if not seconds then return problem end
        list[#list + 1] = seconds
    end)
    if not ok then return nil, why end
    if #list == 0 then return nil, name .. ": there is nothing in it" end
    return list
end

--- A trace of mahimahi's: on each line a millisecond, from the trace's start, at which 1500 bytes can be sent.
--- Returns the times in seconds.
function traces.mahimahi(path) return input.parse(path, traces.parse_mahimahi) end

--- A list of durations, one on each line: seconds, or with a unit; they may be negative. Returns them in seconds.
function traces.durations(path) return input.parse(path, traces.parse_durations) end

return traces
