-- SPDX-License-Identifier: MIT
-- Disk images that a script gives: whether they are there, their formats, and whether a guest may write to them.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local paths = require "qemunet.paths"

local disk = {}

--- disk.check(path, where, level) -> path: where the image is. Raises at that level where there is none.
function disk.check(path, where, level)
    path = paths.readable(path)
    local kind, why = core.stat(path)
    if not kind then error(("%s: disk %s: %s"):format(where, path, why), level + 1) end
    if kind == "folder" then error(("%s: disk %s is a folder"):format(where, path), level + 1) end
    return path
end

-- The formats that QEMU would find by itself, but a raw image can have any first bytes, by its guest's will.
local MAGIC = { ["QFI\xfb"] = "qcow2", ["KDMV"] = "vmdk", ["vhdx"] = "vhdx" }

--- disk.format(path) -> "raw", "qcow2", ...: as QEMU is told.
function disk.format(path)
    local file <close> = assert(io.open(path, "rb"))
    return MAGIC[file:read(4)] or "raw"
end

-- Whether a disk image may have what is written to it go to another file, as its first bytes say: in QEMU's words, an external
-- data file, which is bit 2 of the incompatible features of qcow2 from version 3 on; extents of vmdk.
local function writes_elsewhere(path)
    local file <close> = assert(io.open(path, "rb"))
    local header = file:read(80) or ""
    local format = MAGIC[header:sub(1, 4)]
    if format ~= "qcow2" then return format ~= nil end
    return #header < 80 or header:byte(8) > 2 and header:byte(80) & 4 ~= 0
end

--- disk.to_write(path, where) -> path: the image, if a guest may write to it, which writes what it likes. Raises if not.
function disk.to_write(path, where)
    if paths.is_allowed() then return path end
    local real = paths.writable(core.real_path(path) or path, where .. ": persistent disk")
    if writes_elsewhere(real) then
        errors.raise(where .. ": persistent disk: want a raw image, or a qcow2 one without a data file; or give --allow-host")
    end
    return real
end

return disk
