-- SPDX-License-Identifier: MIT
-- Starting nodes of any kind, many at once: boot. A kind of node gives start_up() and update_hosts(text), which
-- may return a task; or update_hosts=false, if names mean nothing to it.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local node = require "qemunet.nodes.node"
local tasks = require "qemunet.tasks"
local testbed = require "qemunet.testbed"

local boot = {}

-- Takes nodes and arrays of them; `count`: how many there are, nil among them.
local function flatten(list, count, into, level)
    for i = 1, count do
        local item = list[i]
        if node.is(item) then
            into[#into + 1] = item
        elseif type(item) == "table" and getmetatable(item) == nil then
            flatten(item, #item, into, level + 1)
        else
            error(("boot: want nodes, not %s"):format(tostring(item)), level + 1)
        end
    end
    return into
end

--- Tells the nodes that run already of names that came later, and waits until they know.
function boot.refresh_hosts()
    local telling = {}
    for _, other in ipairs(testbed.nodes()) do
        if other.state == "up" and other.update_hosts then
            telling[#telling + 1] = other:update_hosts(testbed.hosts_of(other))
        end
    end
    for _, task in ipairs(telling) do core.wait { task.done } end
end

--- boot(...): boots the given nodes, or all, in parallel, and waits until each can be given commands.
-- Booting one that is up does nothing. A node boots at its first use by itself.
-- @param ...  nodes, and arrays of them; none: all that were declared
-- @error  when one cannot boot; that is the machinery's failure (exit status 3)
-- @example
--   local a = responder("a")
--   boot(a)
--   check.equal(a.state, "up")
function boot.boot(...)
    local count = select("#", ...)
    local list = count > 0 and flatten({ ... }, count, {}, 2) or testbed.nodes()
    local waiting = {}
    for i, self in ipairs(list) do waiting[i] = tasks.start(self.start_up, self) end
    for _, task in ipairs(waiting) do core.wait { task.done } end
    local first
    for _, task in ipairs(waiting) do
        local ok, err = pcall(task.outcome, task)
        if not ok then first = first or err end
    end
    if first and errors.is_machinery(first) then errors.machinery(first) end -- again, at the script's line
    if first then errors.again(first) end
    boot.refresh_hosts()
end

--- node:boot(): boots it, and waits until it can be given commands; as boot(node).
-- @example
--   local a = responder("a")
--   a:boot()
--   check.equal(a.state, "up")
function node.methods:boot()
    errors.check_colon(node.is(self), "boot", "node")
    boot.boot(self)
end

return boot
