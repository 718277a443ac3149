-- SPDX-License-Identifier: MIT
-- The output of a command, for those who read it line by line: kept in the pieces that it came in, and cut when it is read, as a
-- command may send megabytes of line ends, or without one.

local line_queue = {}

local Queue = {}
Queue.__index = Queue

--- An empty queue of the streams "stdout" and "stderr".
function line_queue.new()
    return setmetatable({ pieces = {}, taken = 0, data = "", at = 1, stream = false, begun = { stdout = {}, stderr = {} } }, Queue)
end

--- More of a stream has come.
function Queue:feed(data, stream) self.pieces[#self.pieces + 1] = { data = data, stream = stream } end

-- Makes the next piece the one that is cut. Returns whether there is one.
local function next_piece(self)
    if self.taken == #self.pieces then return false end
    self.taken = self.taken + 1
    local piece = self.pieces[self.taken]
    self.data, self.stream, self.at = piece.data, piece.stream, 1
    self.pieces[self.taken] = false
    if self.taken == #self.pieces then self.pieces, self.taken = {}, 0 end
    return true
end

-- The line that `data` ends, and what came of it before.
local function whole(self, stream, data)
    local begun = self.begun[stream]
    if #begun == 0 then return data end
    begun[#begun + 1] = data
    self.begun[stream] = {}
    return table.concat(begun)
end

--- The next whole line and its stream, or nil.
function Queue:take()
    repeat
        local stop = self.data:find("\n", self.at, true)
        if stop then
            local data = self.data:sub(self.at, stop - 1)
            self.at = stop + 1
            return whole(self, self.stream, data), self.stream
        end
        local begun = self.begun[self.stream]
        if self.at <= #self.data then begun[#begun + 1] = self.data:sub(self.at) end
        self.data, self.at = "", 1
    until not next_piece(self)
end

--- What came behind the last line end of a stream, once there is no more to come: it and the stream, or nil.
function Queue:take_rest()
    for _, stream in ipairs { "stdout", "stderr" } do
        local rest = whole(self, stream, "")
        if rest ~= "" then return rest, stream end
    end
end

return line_queue
