-- SPDX-License-Identifier: MIT
-- One process runs the files of a suite one after the other: each begins with nothing of the one before, which is litter.lua.

local core = require "qemunet.core"

test("nothing of the file before is known here", function()
    check.equal({ defaults.timeout, rawget(_ENV, "LITTER") }, { 60, nil })
    check.is_nil(package.loaded.left)
    check.equal(package.given_back, true, "what a task held")
end)

-- A number that is taken would mean that there is a link, switch, ... still.
test("nothing of it is in the fabric", function()
    for _, read in ipairs { "link_stats", "switch_stats", "radio_position" } do
        for id = 0, 9 do
            local found = pcall(core[read], id, id)
            check.equal(found, false, ("%s(%d)"):format(read, id))
        end
    end
end)

test("its names can be given again", function()
    local a, b = responder("a"), responder("b")
    check.equal(link(a, b).name, "a--b")
    switch("first"):connect(a)
    radio("air"):join(a, { 0, 0 })
    check.equal(a:ip(1), "10.0.0.1")
    link(a, b):capture("left.pcapng")
end)
