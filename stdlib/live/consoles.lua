-- SPDX-License-Identifier: MIT
-- Which node has a console that a person can be connected with.

local errors = require "qemunet.errors"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"

local consoles = {}

--- The bytes of what a console has said before that a person is shown.
consoles.SHOWN = 2000

local function names()
    local known = {}
    for _, node in ipairs(testbed.nodes()) do known[node.name] = true end
    return known
end

--- consoles.of(name) -> console, node; raises for errors.try() where there is none.
function consoles.of(name)
    local node = testbed.find(name)
    if not node and testbed.find_switch(name) then
        errors.problem(("%s is a switch: only a virtual machine (vm) has a console"):format(name))
    end
    if not node then
        local known = names()
        errors.problem(("there is no node %q%s"):format(name, next(known) and options.hint(name, known) or "; none is declared"))
    end
    local console = rawget(node, "console")
    if not console then
        errors.problem(("%s is a %s: only a virtual machine (vm) has a console"):format(name, getmetatable(node).__name))
    end
    if rawget(node, "line") then errors.problem(("the console of vm %s carries its commands"):format(name)) end
    return console, node
end

return consoles
