-- SPDX-License-Identifier: MIT
-- The memory that test files may take together. Each claims some before it starts, and more before the first machine of those
-- that it declares boots: what it asks for it gets when it fits. One that asks for more than there is waits until no other
-- runs, but for those that wait themselves; so that there is always one that goes on.

local budget = {}

--- What a file claims that says nothing else, bytes.
budget.LEAST = 256 << 20

local SHARE = 0.8

local function available()
    local file = io.open("/proc/meminfo", "rb")
    local kib = file and file:read("a"):match("MemAvailable:%s*(%d+)")
    if file then file:close() end
    return kib and math.tointeger(kib) * 1024 or math.huge
end

local Budget = {}
Budget.__index = Budget

--- A budget of `total` bytes; default: most of what this machine has available now.
function budget.new(total)
    return setmetatable({ total = total or available() * SHARE, claimed = 0, holders = {}, n_holders = 0, waiting = {} }, Budget)
end

local function set(self, holder, bytes)
    self.claimed = self.claimed - (self.holders[holder] or 0) + bytes
    self.holders[holder] = bytes
end

--- Whether a file that claims so much may start now.
function Budget:has_room(bytes)
    return self.n_holders == 0 or #self.waiting == 0 and self.claimed + bytes <= self.total
end

--- `holder` starts.
function Budget:take(holder, bytes)
    self.n_holders = self.n_holders + 1
    set(self, holder, bytes)
end

local function serve(self)
    while self.waiting[1] do
        local first = self.waiting[1]
        local fits = self.claimed - self.holders[first.holder] + first.bytes <= self.total
        if not fits and #self.waiting < self.n_holders then return end
        table.remove(self.waiting, 1)
        set(self, first.holder, first.bytes)
        first.granted()
    end
end

--- `holder` wants `bytes` in all. `granted` is called, now or later, when it has them.
function Budget:raise(holder, bytes, granted)
    table.insert(self.waiting, { holder = holder, bytes = bytes, granted = granted })
    serve(self)
end

--- `holder` has ended.
function Budget:give_back(holder)
    set(self, holder, 0)
    self.holders[holder], self.n_holders = nil, self.n_holders - 1
    for i = #self.waiting, 1, -1 do
        if self.waiting[i].holder == holder then table.remove(self.waiting, i) end
    end
    serve(self)
end

return budget
