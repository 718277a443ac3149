-- SPDX-License-Identifier: MIT
-- What a person sees of a batch: each file's output and results together, in their order.

local core = require "qemunet.core"
local runner = require "qemunet.suite.runner"
local tap = require "qemunet.batch.tap"
local text = require "qemunet.text"

local report = {}

local Report = {}
Report.__index = Report

local function say(line) core.print(line .. "\n") end

--- `opts`: {tap= boolean, level= -1 leaves out what passed, several= whether there is more than one file}.
function report.new(opts)
    if opts.tap then tap.begin() end
    return setmetatable({ opts = opts, n = 0, line_open = false, heading = false }, Report)
end

-- A file's name stands above what is shown of it.
local function show_heading(self)
    if self.heading then say("# " .. self.heading) end
    self.heading = false
end

-- What a file put out; with TAP, standard output is the protocol's.
local function show_output(self, stream, data)
    show_heading(self)
    if stream == "stdout" and not self.opts.tap then core.print(data) else core.print_error(data) end
    self.line_open = data:sub(-1) ~= "\n" and stream
end

-- What comes next begins a line.
local function close_line(self)
    if not self.line_open then return end
    show_output(self, self.line_open, "\n")
end

local function print_indented(shown)
    for line in (text.visible(shown) .. "\n"):gmatch("([^\n]*)\n") do say("  #   " .. line) end
end

local function print_places(result)
    for _, console in ipairs(result.consoles or {}) do
        say(("  # the end of the console of %s:"):format(console.node))
        print_indented(console.text)
    end
    if result.folder then say("  # the run's folder: " .. result.folder) end
end

local function print_replaced(result)
    if result.outcome ~= "failed" then return end
    say(("# failed, and run again: %s"):format(runner.tap_text(result.name)))
    print_indented(result.message)
    print_places(result)
end

local function show_result(self, result)
    close_line(self)
    if result.replaced then
        show_heading(self)
        if not self.opts.tap then print_replaced(result) end
        return
    end
    self.n = self.n + 1
    if self.opts.tap then return tap.result(self.n, result) end
    if self.opts.level < 0 and result.outcome ~= "failed" then return end
    show_heading(self)
    runner.print_result(say, self.n, result)
    if result.outcome == "failed" then print_places(result) end
end

--- A part of what a file puts out, or one of its results: as Job:replay tells them.
function Report:show(kind, data)
    if kind == "result" then return show_result(self, data) end
    show_output(self, kind, data)
end

--- All of a job that has ended.
function Report:job(job)
    self.heading = self.opts.several and not self.opts.tap and job.file
    job:replay(function(kind, data) self:show(kind, data) end)
    close_line(self)
end

return report
