-- SPDX-License-Identifier: MIT
-- Batches of test files in a folder of their own, for tests: starts the real program.

local check = require "qemunet".check
local core = require "qemunet.core"

local batches = { PROGRAM = core.real_path("/proc/self/exe"), PATIENCE = 60, folder = false }

--- Runs a command of the shell. Returns its status and output.
function batches.shell(text, ...)
    local words = { "sh", "-c", text, "sh", ... }
    local ended, output = core.future(), {}
    words.on_output = function(data) output[#output + 1] = data end
    words.on_end = function(status) ended:set(status) end
    local process = core.process(words)
    local guard <close> = setmetatable({}, { __close = function() process:close() end })
    check.equal(core.wait({ ended }, batches.PATIENCE), 1, "it ends in time")
    return ended:values(), table.concat(output)
end

--- A folder for a test.
function batches.make_folder()
    local _, text = batches.shell("mktemp -d")
    batches.folder = text:match("^[^\n]+")
end

function batches.remove_folder() batches.shell('rm -rf "$1"', batches.folder) end

--- Writes a file of the folder.
function batches.write(name, text)
    local path = batches.folder .. "/" .. name
    if name:find("/", 1, true) then batches.shell('mkdir -p "${1%/*}"', path) end
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

--- What a file of the folder holds; nil: there is none.
function batches.read(name)
    local file = io.open(batches.folder .. "/" .. name, "rb")
    local text = file and file:read("a")
    if file then file:close() end
    return text
end

--- Starts `qemunet test ...` in the folder.
function batches.start(...)
    local run = { ended = core.future(), stdout = "", stderr = "" }
    local words = { "/usr/bin/env", "-C", batches.folder, batches.PROGRAM, "test", ... }
    words.on_output = function(data, stream) run[stream] = run[stream] .. data end
    words.on_end = function(status, signal) run.ended:set(status, signal) end
    run.process = assert(core.process(words))
    return run
end

--- Waits for its end. Returns it: {status, signal, stdout, stderr, last= line of stdout}.
function batches.finish(run)
    if not core.wait({ run.ended }, batches.PATIENCE) then
        run.process:close()
        error("it does not end: " .. run.stdout .. run.stderr)
    end
    run.status, run.signal = run.ended:values()
    run.last = run.stdout:match("([^\n]*)\n$")
    return run
end

function batches.run(...) return batches.finish(batches.start(...)) end

--- text must have that part.
function batches.has(text, part) check.is_true(text:find(part, 1, true) ~= nil, ("%q is not in %s"):format(part, text)) end

--- It must have ended so.
function batches.expect(run, status, last)
    check.equal({ run.status, run.last }, { status, last }, run.stdout .. run.stderr)
end

return batches
