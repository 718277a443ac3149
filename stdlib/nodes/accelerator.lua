-- SPDX-License-Identifier: MIT
-- What runs a machine's processors: KVM where it works, or TCG, which emulates them.

local core = require "qemunet.core"
local errors = require "qemunet.errors"

local accelerator = {}

accelerator.default = "auto" -- of machines without accel=; set by --accel

local found -- {kvm=} once "auto" was looked up

local function find()
    if found then return found.kvm end
    local qemu, missing = core.qemu_version()
    if not qemu then errors.machinery(missing) end
    local kvm, why = core.accel("/dev/kvm")
    if kvm == nil then errors.machinery("cannot find out whether KVM works: " .. why) end
    found = { kvm = kvm }
    core.event { t = core.now(), kind = "accel", kvm = kvm, why = why }
    core.log(0, kvm and "accelerator: KVM" or ("accelerator: TCG, software emulation (%s)"):format(why))
    return kvm
end

local emulated = {} -- of the architectures that are not this machine's, those that machines have been started of

-- Raises when QEMU for it is missing, before an image is built in vain.
local function emulate(vm)
    local guest = vm.opts.arch
    if emulated[guest] then return end
    local qemu, missing = core.qemu_version(guest)
    if not qemu then errors.machinery(("vm %s: %s"):format(vm.name, missing)) end
    emulated[guest] = true
    core.log(0, ("accelerator of %s machines: TCG, software emulation"):format(guest))
end

--- Whether KVM is to run a machine. Raises when there is no QEMU for it.
function accelerator.is_kvm(vm)
    if not core.arch_is_native(vm.opts.arch) then
        emulate(vm)
        return false
    end
    local wanted = vm.opts.accel or accelerator.default
    if wanted == "auto" then return find() end
    return wanted == "kvm"
end

--- What a run records of it: "kvm", "tcg" or nil when no machine has asked.
function accelerator.used()
    if found then return found.kvm and "kvm" or "tcg" end
    return accelerator.default ~= "auto" and accelerator.default or next(emulated) and "tcg" or nil
end

return accelerator
