-- SPDX-License-Identifier: MIT
-- What events keep of the outputs of commands and of consoles: bounded, whatever the guests send.

local core = require "qemunet.core"

local excerpt = {}

-- Bytes: of an output at its beginning and at its end; of all outputs of a run; of a console's line.
excerpt.HEAD, excerpt.TAIL, excerpt.RUN, excerpt.LINE = 4096, 4096, 16 << 20, 400

-- Of consoles: lines at once of a node, lines a second that follow, lines of a run.
excerpt.LINES_AT_ONCE, excerpt.LINES_A_SECOND, excerpt.LINES = 200, 20, 50000

local left, lines_left, consoles

--- Forgets the run before.
function excerpt.reset() left, lines_left, consoles = excerpt.RUN, excerpt.LINES, {} end

excerpt.reset()

-- A character that is cut in two would look like bytes that are none.
local function whole_at_end(text)
    local at = text:find("[\xc2-\xf4][\x80-\xbf]*$", -4)
    return at and text:sub(1, at - 1) or text
end

local function whole_at_start(text) return (text:gsub("^[\x80-\xbf]+", "", 1)) end

--- excerpt.of(text) -> head, tail: what is kept of an output: nil for none, or when the run has kept too much already; all
--- of it and nil; or its beginning and its end.
function excerpt.of(text)
    local kept = math.min(#text, excerpt.HEAD + excerpt.TAIL)
    if kept == 0 or kept > left then return nil end
    left = left - kept
    if kept == #text then return text end
    return whole_at_end(text:sub(1, excerpt.HEAD)), whole_at_start(text:sub(-excerpt.TAIL))
end

-- The allowance of a console grows with time up to what may come at once.
local function may_tell(console, now)
    console.allowed = math.min(excerpt.LINES_AT_ONCE, console.allowed + (now - console.since) * excerpt.LINES_A_SECOND)
    console.since = now
    if console.allowed < 1 or lines_left < 1 then
        console.dropped = console.dropped + 1
        return false
    end
    console.allowed, lines_left = console.allowed - 1, lines_left - 1
    return true
end

-- Without what moves the cursor or sets colours, and without other control characters.
local function readable(line)
    line = line:sub(1, 4 * excerpt.LINE):gsub("\27%[[%d;?]*%a", ""):gsub("[%z\1-\8\11-\31\127]", "")
    return #line > excerpt.LINE and whole_at_end(line:sub(1, excerpt.LINE)) .. " ..." or line
end

local function tell(name, console, line, now)
    if not line:find("%g") or not may_tell(console, now) then return end
    core.event { t = now, kind = "console", node = name, text = readable(line),
        dropped = console.dropped > 0 and console.dropped or nil }
    console.dropped = 0
end

--- excerpt.console(name, data): what a node's console shows, in pieces as they come: an event for each line, as far as the
--- bounds allow; `dropped` of an event says how many lines before it were too many.
function excerpt.console(name, data)
    local now = core.now()
    local console = consoles[name] or { partial = "", allowed = excerpt.LINES_AT_ONCE, since = now, dropped = 0 }
    consoles[name] = console
    local text, from = console.partial .. data, 1
    local at, to = text:find("[\r\n]+")
    while at do
        tell(name, console, text:sub(from, at - 1), now)
        from = to + 1
        at, to = text:find("[\r\n]+", from)
    end
    console.partial = text:sub(from, from + 4 * excerpt.LINE)
end

return excerpt
