-- SPDX-License-Identifier: MIT
-- Errors that have to name the line that misused the library: one of fn's own.

local check = require "qemunet".check

local blames = {}

-- What fn raises, without its position, which must be a line of fn.
local function raised(fn)
    local at, message = debug.getinfo(fn, "S"), check.raises(fn)
    local file, line, rest = message:match("^([^\n]-):(%d+): (.*)$")
    check.equal(file, at.short_src, message)
    check.is_true(tonumber(line) >= at.linedefined and tonumber(line) <= at.lastlinedefined, "blamed line " .. line)
    return rest
end

--- fn must raise exactly this text there.
function blames.exactly(fn, text) check.equal(raised(fn), text) end

--- fn must raise a text there that matches the pattern.
function blames.matching(fn, pattern) check.match(raised(fn), pattern) end

return blames
