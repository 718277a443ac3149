-- SPDX-License-Identifier: MIT
-- What a virtual machine's architecture means beyond QEMU's command line: console, kernel options, hot-plug.

local core = require "qemunet.core"

local arch = {}

-- no_timer_check: on a machine that is short of processors the kernel of a PC finds its timer too slow and panics ("IO-APIC
-- + timer doesn't work", 1 of 20 booted at once). mitigations=off: an emulated processor guesses nothing, and what guards
-- against that made a boot and a clone's first answer a tenth slower. Not tsc=reliable, which would save a third of what an
-- idle machine costs: on a busy host a kernel at times measures its clock wrong (407 MHz for 2,596, 1 of 10 booted at once),
-- and only the check that it switches off finds that out.
local KNOWN = {
    x86_64 = { console = "ttyS0", tcg = " no_timer_check mitigations=off" },
    aarch64 = { console = "ttyAMA0", tcg = "", ports = true, no_firmware = true },
}

arch.NAMES = { "x86_64", "aarch64" }

--- The value of the kernel's console= option.
function arch.console(name) return KNOWN[name].console end

--- What a kernel of it is told under TCG, beside what all are.
function arch.tcg_options(name) return KNOWN[name].tcg end

--- Where interface `number` of a running machine is plugged in: the name of a bus, or nil for where QEMU finds room.
function arch.bus(name, number) return KNOWN[name].ports and "plug" .. number or nil end

--- Checks the options of a machine that go with its architecture; raises at `level`.
function arch.check(name, opts, prepared, level)
    if opts.accel == "kvm" and not core.arch_is_native(opts.arch) then
        local text = 'vm %s: accel="kvm" cannot run arch=%q here: this machine has processors of another architecture'
        error(text:format(name, opts.arch), level + 1)
    end
    if KNOWN[opts.arch].no_firmware and not (prepared or opts.kernel or opts.qemu) then
        local text = 'vm %s: an %s machine has no firmware to boot a disk with: give kernel=, or qemu={"-bios", path}'
        error(text:format(name, opts.arch), level + 1)
    end
end

return arch
