-- SPDX-License-Identifier: MIT
-- The extra arguments of vm{qemu=} that an experiment may give QEMU, a process of this machine: those that can neither name a
-- file or descriptor, nor start a program, nor open a connection. The others need --allow-host.

local errors = require "qemunet.errors"
local options = require "qemunet.options"
local paths = require "qemunet.paths"

local qemu_options = {}

local function set(text)
    local names = {}
    for name in text:gmatch("%S+") do names[name] = true end
    return names
end

-- Devices that are all in the guest. Not here: what stands for a thing of this machine (vfio, usb-host, usb-mtp, vhost, sound),
-- or connects to a back end that would have to be given too (a drive, a character device, a file system).
local DEVICES = set [[
    pci-testdev edu isa-debug-exit pvpanic pvpanic-pci vmcoreinfo vmgenid
    i6300esb ib700 diag288
    pci-bridge pcie-pci-bridge pcie-root-port pxb pxb-pcie ioh3420 i82801b11-bridge
    virtio-rng-pci virtio-balloon-pci virtio-serial-pci virtio-scsi-pci virtio-keyboard-pci virtio-mouse-pci virtio-tablet-pci
    virtio-gpu-pci virtio-vga VGA bochs-display cirrus-vga secondary-vga
    e1000 e1000e igb rtl8139 ne2k_pci pcnet i82550 i82551 i82557b vmxnet3 virtio-net-pci
    qemu-xhci nec-usb-xhci usb-ehci ich9-usb-ehci1 piix3-usb-uhci piix4-usb-uhci pci-ohci
    usb-hub usb-kbd usb-mouse usb-tablet usb-wacom-tablet
    ahci ich9-ahci lsi53c895a megasas mptsas1068 sdhci-pci
    intel-iommu virtio-iommu-pci amd-iommu]]

local OBJECTS = set "iothread rng-builtin memory-backend-ram throttle-group"

-- Keys of no use without a file, or that have another meaning than the first word has.
local BAD_KEYS = set "driver qom-type romfile file path filename mem-path fd fds chardev drive fsdev memdev netdev audiodev rrfile splash"

-- The parts of "first,key=value,key"; a comma that is written twice is taken for two, which only refuses more.
local function has_bad_part(value)
    local first = true
    for part in value:gmatch("[^,]*") do
        local key = part:match("^%s*([%w_.-]+)%s*=")
        if not first and key and BAD_KEYS[key] then return true end
        first = false
    end
    return value:find("/", 1, true) ~= nil
end

-- Each tells whether a value is harmless.
local function plain(value) return not has_bad_part("," .. value) end

local function one_of(names)
    return function(value) return names[value:match("^[^,]*")] == true and not has_bad_part(value) end
end

local function is_accelerator(value) return value:find("^tcg%f[,\0]") ~= nil and plain(value) end

local function is_icount(value) return not value:find("rr", 1, true) and plain(value) end

-- {[option]= false: it takes no value; else whether a value is harmless}.
local KNOWN = {
    ["-accel"] = is_accelerator, ["-boot"] = plain, ["-cpu"] = plain, ["-device"] = one_of(DEVICES), ["-global"] = plain,
    ["-icount"] = is_icount, ["-m"] = plain, ["-numa"] = plain, ["-object"] = one_of(OBJECTS), ["-rtc"] = plain,
    ["-smbios"] = plain, ["-smp"] = plain, ["-uuid"] = plain,
    ["-vga"] = one_of(set "none std cirrus virtio"), ["-watchdog-action"] = plain, ["-action"] = plain,
    ["-no-acpi"] = false, ["-no-hpet"] = false, ["-no-fd-bootchk"] = false, ["-no-shutdown"] = false, ["-nodefaults"] = false,
    ["-usb"] = false,
}

local function refuse(where, what, hint)
    errors.raise(("%s: qemu: %s could reach this machine's files or programs: give --allow-host%s"):format(where, what,
        hint or ""))
end

-- Returns how many words there are of the option at i.
local function check_option(words, i, where)
    local word = words[i]
    local check = KNOWN[(word:gsub("^%-%-", "-"))]
    if check == nil then refuse(where, word, options.hint(word, KNOWN)) end
    if check == false then return 1 end
    local value = words[i + 1]
    if value and not check(value) then refuse(where, word .. " " .. value) end
    return 2
end

--- The words of vm{qemu=}, a copy; nil for nil. Raises, at the script's line, for one that is not for every experiment.
function qemu_options.checked(words, where)
    if words == nil then return nil end
    local list = {}
    for i, word in pairs(words) do
        if math.type(i) ~= "integer" or i > 1 and words[i - 1] == nil or type(word) ~= "string" then
            errors.raise(where .. ': qemu: want a list of QEMU\'s words, as { "-cpu", "max" }')
        end
        list[i] = word
    end
    local i = 1
    while i <= #list and not paths.is_allowed() do i = i + check_option(list, i, where) end
    return list
end

return qemu_options
