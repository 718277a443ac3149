-- SPDX-License-Identifier: MIT
-- os.exit of an experiment: every task is cancelled and gives back what it holds, the machines go, and then the process ends.

local core = require "qemunet.core"
local errors = require "qemunet.errors"

local exit = {}

-- What the script has asked for: { status =, text = the call, trace = }; nil: it has not.
local asked

local function status_of(code)
    if code == nil or code == true then return 0 end
    if code == false then return 1 end
    local status = math.tointeger(code)
    if not status then error(("os.exit: want a status, true or false, not %s"):format(type(code)), 3) end
    return status & 0xff
end

--- os.exit(code): ends the experiment in good order, with this exit status.
-- @param code  0 to 255, true (0, the default) or false (1)
function exit.exit(code)
    local status = status_of(code)
    asked = asked or { status = status, text = ("os.exit(%s)"):format(code == nil and "" or tostring(code)),
        trace = errors.handler().trace }
    core.stop()
    core.wait({}, 0) -- raises the cancellation
    error(errors.CANCEL, 0)
end

--- What was asked for, or nil.
function exit.asked() return asked end

return exit
