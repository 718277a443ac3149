-- SPDX-License-Identifier: MIT
-- What a test file put out, in its order, until it is shown: the beginning in a nameless file, the end in memory; of more than
-- that, what is between is left out.

local spool = {}

spool.HEAD, spool.TAIL = 32 << 20, 256 << 10

local Spool = {}
Spool.__index = Spool

--- A new, empty one.
function spool.new()
    return setmetatable({ file = assert(io.tmpfile()), in_file = 0, tail = {}, first = 1, last = 0, in_tail = 0, left_out = 0,
        marks = {} }, Spool)
end

-- The oldest of the tail goes; a mark stays, in front of what is left.
local function drop_first(self)
    local entry = self.tail[self.first]
    self.tail[self.first], self.first = nil, self.first + 1
    if entry.kind == "mark" then
        table.insert(self.marks, entry.data)
    else
        self.in_tail, self.left_out = self.in_tail - #entry.data, self.left_out + #entry.data
    end
end

local function add_to_tail(self, kind, data)
    self.last = self.last + 1
    self.tail[self.last] = { kind = kind, data = data }
    if kind ~= "mark" then self.in_tail = self.in_tail + #data end
    while self.in_tail > spool.TAIL do drop_first(self) end
end

--- Adds data of a kind: "stdout", "stderr", or "mark", a text that is never left out.
function Spool:add(kind, data)
    if data == "" then return end
    if self.last > 0 or self.in_file + #data > spool.HEAD then return add_to_tail(self, kind, data) end
    if not self.file:write(string.pack("<s1s4", kind, data)) then return add_to_tail(self, kind, data) end
    self.in_file = self.in_file + #data
end

-- A piece that a full disk has cut is the last.
local function read_piece(file)
    local size = file:read(1)
    local kind = size and file:read(size:byte())
    local length = kind and file:read(4)
    local data = length and #length == 4 and file:read((string.unpack("<I4", length)))
    if data then return kind, data end
end

--- Calls fn(kind, data) for each piece; a gap is said to be one in "stderr".
function Spool:replay(fn)
    self.file:seek("set")
    for kind, data in read_piece, self.file do fn(kind, data) end
    self.file:seek("end")
    if self.left_out > 0 then fn("stderr", ("\n[%d bytes are left out here]\n"):format(self.left_out)) end
    for _, data in ipairs(self.marks) do fn("mark", data) end
    for i = self.first, self.last do fn(self.tail[i].kind, self.tail[i].data) end
end

--- The first `most` bytes of "stdout" or "stderr".
function Spool:text(wanted, most)
    local parts, size = {}, 0
    self:replay(function(kind, data)
        if kind ~= wanted or size >= most then return end
        parts[#parts + 1] = data:sub(1, most - size)
        size = size + #data
    end)
    if size > most then parts[#parts + 1] = "\n[more came]\n" end
    return table.concat(parts)
end

function Spool:close() self.file:close() end

return spool
