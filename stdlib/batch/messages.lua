-- SPDX-License-Identifier: MIT
-- What `qemunet test` and the process of a test file tell each other: objects of JSON, one a line.

local core = require "qemunet.core"

local messages = {}

--- A process that was asked to end has so many seconds to do so in good order.
messages.GRACE = 10

-- No line is longer, nor is a text in one; what is between is left out of a text.
local LONGEST_LINE, LONGEST_TEXT = 4 << 20, 64 << 10

--- A text that is not too long for a message.
function messages.clip(text)
    if text == nil or #text <= LONGEST_TEXT then return text end
    local half = LONGEST_TEXT // 2
    return ("%s\n[%d bytes are left out here]\n%s"):format(text:sub(1, half), #text - LONGEST_TEXT, text:sub(-half))
end

--- A message's line.
function messages.line(message) return assert(core.json_encode(message)) .. "\n" end

--- A function that takes pieces of a stream, and calls handle(message) for each line in them; and fail(why) for one that is
--- none of ours.
function messages.reader(handle, fail)
    local parts, size = {}, 0
    local function take_line(line)
        local message = core.json_decode(line)
        if type(message) == "table" and message.kind then return handle(message) end
        fail("what came is no message: " .. line:sub(1, 200))
    end
    return function(data)
        local from = 1
        for stop in data:gmatch("()\n") do
            parts[#parts + 1] = data:sub(from, stop - 1)
            local line = table.concat(parts)
            parts, size, from = {}, 0, stop + 1
            take_line(line)
        end
        parts[#parts + 1] = data:sub(from)
        size = size + #data - from + 1
        if size > LONGEST_LINE then
            parts, size = {}, 0
            fail "a message is too long"
        end
    end
end

return messages
