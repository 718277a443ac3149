-- SPDX-License-Identifier: MIT
-- Machines that go on from warm templates, for the tests of those.

local core = require "qemunet.core"

local clones = {}

clones.MEM = "128M"

--- n machines, name1, name2, ...
function clones.machines(n, name, opts)
    opts = opts or {}
    opts.mem = opts.mem or clones.MEM
    return vms(n, name .. "%d", opts)
end

local function templates() return #core.templates() end

--- Boots them; `made`: so many templates more there are then.
function clones.boot_making(made, list)
    local before = templates()
    boot(list)
    check.equal(templates() - before, made, "templates made")
end

--- All values of a list of machines for a command are different, each not empty. Returns them.
function clones.all_differ(list, cmd)
    local seen, values = {}, {}
    for i, node in ipairs(list) do
        local value = node:succeed(cmd)
        check.match(value, "%S")
        check.is_nil(seen[value], ("%s: %s has what %s has: %s"):format(cmd, node.name, seen[value], value))
        seen[value], values[i] = node.name, value
    end
    return values
end

return clones
