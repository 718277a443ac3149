-- SPDX-License-Identifier: MIT
-- One command to a machine's QEMU over its monitor, and the answer.

local core = require "qemunet.core"

local qmp = {}

local PATIENCE = 10

--- Has the QEMU of a vm carry out a command. Returns nil, or why it was not carried out; and its answer.
function qmp.command(vm, command, arguments)
    local done = core.future()
    local sent, why = core.machine_qmp(vm.machine, command, arguments, function(answer, err) done:set(err, answer) end)
    if not sent then return why end
    if not core.wait({ done }, PATIENCE) then return ("QEMU did not answer within %d s"):format(PATIENCE) end
    return done:values()
end

return qmp
