-- SPDX-License-Identifier: MIT
-- Warm templates: the first machine of a configuration boots as ever, but with its memory in a file of the cache, and is
-- saved once it answers; each one after it goes on from there (see vmctl/template.h). One that cannot be saved goes on as
-- it is.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local identity = require "qemunet.nodes.identity"
local qmp = require "qemunet.nodes.qmp"
local testbed = require "qemunet.testbed"
local units = require "qemunet.units"

local template = {}

local POLL = 0.005
-- To save a machine with 2 GiB of memory took 0.1 s, its digests 0.3 s.
local SAVE_PATIENCE = 60
-- Others may be booting a system that takes minutes.
local OTHER_PATIENCE, OTHER_POLL = 600, 0.05

local CONSOLE_MAX = 256 << 10 -- bytes of the console's output that are kept

-- The templates of all runs take so much of the disk at most; QEMUNET_CACHE_MAX says otherwise.
local CACHE_MAX = 8 << 30

local ready = {} -- {[key]= a template that was checked}
local turns = {} -- {[key]= a future, set when the machine that looks for it or makes it is done}
local tidied = false
local unfit = {} -- {[key]= why machines of this configuration are not saved in this experiment}
testbed.on_end(function() unfit = {} end)

-- Works off what is done in steps; returns its outcome.
local function step_by_step(self, method)
    repeat
        local done, why = self[method](self)
        if done == nil then return nil, why end
        if not done then core.wait({}, 0) end
    until done
    return true
end

-- The template of a key, if there is a good one.
local function find(key)
    local known = ready[key]
    if known and known:is_unchanged() then return known end
    if known then known:close() end
    ready[key] = nil
    local found, _, damaged = core.template_open(key)
    if found and step_by_step(found, "check") and found:is_unchanged() then
        ready[key] = found
        return found
    end
    if found or damaged then core.log(0, "a damaged template in the cache is made anew") end
    if found then found:discard() end
end

-- Of the machines of one configuration, one at a time looks, checks and makes.
local Turn = {}
Turn.__index = Turn

local function take_turn(key)
    turns[key] = core.future()
    return setmetatable({ key = key, future = turns[key] }, Turn)
end

function Turn:__close()
    if turns[self.key] == self.future then turns[self.key] = nil end
    self.future:set()
end

local Draft = {}
Draft.__index = Draft

-- After a boot that failed, the others of its kind do not try one after the other, but boot, or fail, together.
function Draft:__close(err)
    self.handle:abort()
    if err and err ~= errors.CANCEL then unfit[self.key] = "one like it did not boot" end
    self.turn:__close()
end

local function cache_max()
    local given = os.getenv "QEMUNET_CACHE_MAX"
    if not given then return CACHE_MAX end
    local bytes, problem = units.parse("size", given)
    if not bytes then errors.machinery("QEMUNET_CACHE_MAX: " .. problem) end
    return bytes
end

local function tidy() core.template_evict(cache_max()) end

local function macs_of(config)
    local list = {}
    for i, one in ipairs(config.nics) do list[i] = one.mac end
    return table.concat(list, " ")
end

-- Returns as template.obtain(); or nil, nil and why there is none, if not because another process makes it.
local function look(key, config)
    local turn = take_turn(key)
    local guard <close> = turn
    local found = find(key)
    if found then return found end
    local handle, why = core.template_begin(key, config.memory, config.disk, config.disk_format)
    if not handle then return nil, nil, why and "none can be made in the cache: " .. why end
    local made = core.template_open(key) -- by another run, after we had looked
    if made then
        made:close()
        return handle:abort()
    end
    return nil, setmetatable({ key = key, handle = handle, macs = macs_of(config), turn = take_turn(key) }, Draft)
end

--- The template that a machine of this configuration can go on from; or else nil and a draft, if it is to be made of this
--- one, which is to be closed; or else neither. `more`: a text with what else makes a difference.
function template.obtain(name, config, more)
    if not tidied then tidy() end
    tidied = true
    local key, why = core.template_key(config, more)
    local deadline = core.now() + OTHER_PATIENCE
    while key and not why and not unfit[key] and core.now() < deadline do
        if turns[key] then
            core.wait { turns[key] }
        else
            local found, draft
            found, draft, why = look(key, config)
            if found or draft then return found, draft end
            if not why then core.wait({}, OTHER_POLL) end
        end
    end
    if not key or unfit[key] then return end -- a file is missing, which QEMU says better
    why = why or "another run takes very long to make it"
    unfit[key] = why -- which the others of its kind need not say again
    core.log(0, ("%s: boots without a template: %s"):format(name, why))
end

-- Saving -------------------------------------------------------------------------------------------------------------

-- Waits until the machine is at rest. Returns what its channel goes on with, or nil and why not.
local function settle(self, deadline)
    self.machine:prepare(true)
    while core.now() < deadline do
        if self.ended:is_set() then return nil, "it has ended" end
        local note, why = self.machine:channel_note()
        if note ~= false then return note, why end
        core.wait({ self.ended }, POLL)
    end
    return nil, "its command units did not come to rest"
end

-- Returns nil, or why the devices' state could not be written.
local function write_state(self, fd, deadline)
    local problem = qmp.command(self, "migrate-set-capabilities",
        { capabilities = { { capability = "x-ignore-shared", state = true } } })
    if problem then return problem end
    local sent, why = core.machine_pass_fd(self.machine, "qn-state", fd)
    problem = not sent and why or qmp.command(self, "migrate", { uri = "fd:qn-state" })
    while not problem do
        local answer
        problem, answer = qmp.command(self, "query-migrate")
        if problem or answer.status == "completed" then return problem end
        if answer.status == "failed" then return "QEMU: " .. tostring(answer["error-desc"]) end
        if self.ended:is_set() then return "it has ended" end
        if core.now() > deadline then return "QEMU did not write it in time" end
        core.wait({ self.ended }, POLL)
    end
    return problem
end

local function why_not(self)
    if not identity.is_served(self) then return "its guest does not run our command program" end
    if not identity.is_root(self) then return "the user logged in is not root" end
end

local function save(self, draft)
    local deadline = core.now() + SAVE_PATIENCE
    local why = why_not(self)
    if why then return nil, why end
    local note
    note, why = settle(self, deadline)
    if not note then return nil, why end
    why = write_state(self, draft.handle:state_fd(), deadline)
    if why then return nil, why end
    local whole
    whole, why = step_by_step(draft.handle, "digest")
    if not whole then return nil, why end
    local console = self.console.stream.window:tail(CONSOLE_MAX)
    return draft.handle:commit(string.pack("<s4s4s4", note, draft.macs, console))
end

--- Makes a template of a machine that answers and runs on this draft, and has nothing of its own yet. Returns the template;
--- or nil, when it cannot be: the machine then goes on.
function template.save(self, draft)
    self.saving = true
    local started = core.now()
    local saved, why = save(self, draft)
    if saved then
        ready[draft.key] = saved
        draft.turn:__close()
        tidy()
        core.log(1, ("%s: saved as a template in %s"):format(self.name, units.format_duration(core.now() - started)))
        return saved
    end
    unfit[draft.key] = why
    core.log(0, ("%s: not saved as a template: %s"):format(self.name, why))
    if not self.ended:is_set() then
        qmp.command(self, "cont")
        self.machine:prepare(false)
    end
    self.saving = false
end

--- What a machine that goes on from the template has to know: { channel=, macs={...}, console= }.
function template.note(found)
    local channel, macs, console = string.unpack("<s4s4s4", found:note())
    local list = {}
    for mac in macs:gmatch("%S+") do list[#list + 1] = mac end
    return { channel = channel, macs = list, console = console }
end

--- One with which a machine did not come to life is not used again.
function template.distrust(found)
    for key, known in pairs(ready) do
        if known == found then ready[key] = nil end
    end
    found:discard()
end

return template
