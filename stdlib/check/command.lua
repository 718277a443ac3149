-- SPDX-License-Identifier: MIT
-- The command check: `qemunet check FILE...`.

local check = require "qemunet.check.check"
local core = require "qemunet.core"
local language = require "qemunet.program.language"
local suite = require "qemunet.suite.suite"

local CLEAN, FINDINGS, UNREADABLE = 0, 1, 2

local function read(path)
    local file <close>, why = io.open(path, "rb")
    if not file then return nil, why end
    local text, problem = file:read(check.LARGEST + 1)
    if problem then return nil, ("%s: %s"):format(path, problem) end
    return text or ""
end

-- Returns the status of one file.
local function check_file(checker, path)
    local text, why = read(path)
    if not text then
        core.log(-1, "check: " .. why)
        return UNREADABLE
    end
    local findings = checker:text(text)
    for _, finding in ipairs(findings) do
        core.print(("%s:%d:%d: %s\n"):format(path, finding.line, finding.column, finding.message))
    end
    return #findings > 0 and FINDINGS or CLEAN
end

--- Prints what is wrong with files; returns the exit status.
return function(files)
    core.progress_open(0)
    local names = language.names(suite.globals(suite.new()), {})
    package.loaded.qemunet = names
    local checker, status = check.new(names), CLEAN
    for _, path in ipairs(files) do status = math.max(status, check_file(checker, path)) end
    return status
end
