-- SPDX-License-Identifier: MIT
-- Captures in pcapng: l:capture(path), capture_all(path).

local class = require "qemunet.class"
local core = require "qemunet.core"
local errors = require "qemunet.errors"
local paths = require "qemunet.paths"
local testbed = require "qemunet.testbed"

local capture = {}

local open = {}

--- class capture: packets that are written to a file; what link:capture() and capture_all() return.
-- @field path string  of the file
local Capture = {}
local meta = class.new("capture", Capture)

function meta.__tostring(self) return ("capture to %s"):format(self.path) end

local function check_unused(full, where)
    for other in pairs(open) do
        if other.path == full then errors.raise(("%s: there is a capture to %s already"):format(where, full)) end
    end
end

local function start(path, where)
    local full = paths.writable(path, where)
    check_unused(full, where)
    testbed.prepare()
    local id, why = core.capture_add(full)
    if not id then errors.raise(("%s: %s: %s"):format(where, full, why)) end
    local self = setmetatable({ id = id, path = full, stopped = false }, meta)
    open[self] = true
    return self
end

local function add(self, link) core.capture_link(self.id, link.id, link.name) end

--- capture:stop() -> table: ends the capture; the file is complete then.
-- @return  { seen = packets, dropped = those of them that were not captured because the disk was too slow, error = why the
--   file could not be written, else nil }
-- @example
--   link(responder("a"), responder("b"))
--   check.equal(capture_all("all.pcapng"):stop().seen, 0)
function Capture:stop()
    class.check(self, meta, "stop")
    if self.stopped then return self.stopped end
    open[self] = nil
    local seen, dropped, why = core.capture_remove(self.id)
    self.stopped = { seen = seen, dropped = dropped, error = why }
    core.event { t = core.now(), kind = "capture", path = self.path, seen = seen, dropped = dropped, error = why }
    if why then
        core.log(0, ("capture %s: %s"):format(self.path, why))
    elseif dropped > 0 then
        core.log(0, ("capture %s: %d of %d packets were not captured: the disk was too slow"):format(self.path, dropped, seen))
    end
    return self.stopped
end

--- Starts a capture of one link.
function capture.link(link, path)
    local self = start(path, "capture")
    add(self, link)
    return self
end

--- capture_all(path) -> capture: as link:capture, of all links that there are and that come.
-- @param path  a relative one is in the run's folder, where folders are made for it
-- @example
--   local capture = capture_all("network.pcapng")
--   link(responder("a"), responder("b"))
--   capture:stop()
function capture.all(path)
    local self = start(path, "capture_all")
    for _, link in ipairs(testbed.links()) do
        if not link.removed then add(self, link) end
    end
    self.every = true
    return self
end

testbed.on_link(function(link)
    for self in pairs(open) do
        if rawget(self, "every") then add(self, link) end
    end
end)

testbed.on_end(function()
    for self in pairs(open) do self:stop() end
end)

return capture
