-- SPDX-License-Identifier: MIT
-- What a virtual machine boots, if it is not a disk alone: a kernel, its initramfs and its command line.

local arch = require "qemunet.nodes.arch"

local kernel = {}

-- What a kernel of ours is told. norandmaps: address-space randomisation makes QEMU's translator start over at each exec
-- (measured with bash: 50 ms, without 8 ms). cryptomgr.notests: without the kernel's tests of ciphers a cold boot takes 2.09 s
-- of processor time, not 2.35 s. nokaslr: a kernel at its usual place leaves 23 MB untouched (medians of 12 boots in turn).
-- panic=-1: a panicked guest ends at once instead of hanging. No difference beyond the noise of 5 boots:
-- transparent_hugepage=never, lpj=, nohz=off, init_on_alloc=0, audit=0, QEMU's tb-size.
local APPEND = "console=%s quiet panic=-1"
local APPEND_TCG = " norandmaps nokaslr cryptomgr.notests"

-- The kernel knows only how to switch the randomisation off.
local function with_randomisation(text, extra)
    local rest, found = (" " .. extra .. " "):gsub("%srandmaps%f[%s]", "")
    if found == 0 then return text .. " " .. extra end
    return text:gsub(" norandmaps", "") .. rest
end

local function usual(opts, kvm)
    return APPEND:format(arch.console(opts.arch)) .. (kvm and "" or APPEND_TCG .. arch.tcg_options(opts.arch))
end

-- With kernel=, append= is all that it is told.
local function own(opts, kvm)
    local text = opts.append or usual(opts, kvm)
    if not opts.append and opts.disk and not opts.initrd then text = text .. " root=/dev/vda rw" end
    return { kernel = opts.kernel, initrd = opts.initrd, append = text }
end

--- What a machine boots: { kernel=, initrd=, append=, root= the image's read-only root }, empty for a disk alone.
function kernel.of(vm, kvm)
    local opts, image = vm.opts, vm.image
    if opts.kernel then return own(opts, kvm) end
    if not image then return {} end
    local files, text = image:files(), usual(opts, kvm)
    return { kernel = files.kernel, initrd = opts.initrd or files.initrd, root = files.root,
        append = opts.append and with_randomisation(text, opts.append) or text }
end

return kernel
