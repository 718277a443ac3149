-- SPDX-License-Identifier: MIT
-- Files of times: the links of mahimahi, and lists of durations. Every reader returns what it read, or nil and what is
-- wrong, as "file:line: ...".

local units = require "qemunet.units"

local traces = {}

local MAX_LINES = 1 << 24

--- Calls fn(line, number) for each line that is not empty and no comment ("#"); a string that fn returns is what is wrong
--- with the line. Returns true, or nil and why.
function traces.each_line(path, fn)
    local file, why = io.open(path, "r")
    if not file then return nil, why end
    local close <close> = file
    local number = 0
    local ok, problem = pcall(function()
        for line in file:lines() do
            number = number + 1
            if number > MAX_LINES then return ("more than %d lines"):format(MAX_LINES) end
            local text = line:gsub("^\u{FEFF}", ""):match("^%s*(.-)%s*$")
            local wrong = text ~= "" and text:sub(1, 1) ~= "#" and fn(text, number)
            if wrong then return wrong end
        end
    end)
    if not ok then return nil, ("%s: %s"):format(path, problem) end -- as a folder
    if problem then return nil, ("%s:%d: %s"):format(path, number, problem) end
    return true
end

local function shown(text) return ("%q"):format(#text > 40 and text:sub(1, 40) .. "..." or text) end

--- A trace of mahimahi's: on each line a millisecond, from the trace's start, at which 1500 bytes can be sent.
--- Returns the times in seconds.
function traces.mahimahi(path)
    local times, last = {}, 0
    local ok, why = traces.each_line(path, function(line)
        local ms = line:match("^%d+$") and math.tointeger(tonumber(line))
        if not ms then return ("want a whole number of milliseconds, not %s"):format(shown(line)) end
        if ms < last then return ("%d comes after %d: a trace goes forward"):format(ms, last) end
        last = ms
        times[#times + 1] = ms / 1000
    end)
    if not ok then return nil, why end
    if #times == 0 then return nil, path .. ": there is nothing in it" end
    if last == 0 then return nil, path .. ": it lasts 0 ms, and can not be repeated" end
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

--- A list of durations, one on each line: seconds, or with a unit; they may be negative. Returns them in seconds.
function traces.durations(path)
    local list = {}
    local ok, why = traces.each_line(path, function(line)
        local seconds, problem = traces.signed_duration(line)
        if not seconds then return problem end
        list[#list + 1] = seconds
    end)
    if not ok then return nil, why end
    if #list == 0 then return nil, path .. ": there is nothing in it" end
    return list
end

return traces
