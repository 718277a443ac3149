-- SPDX-License-Identifier: MIT
-- A prompt in the middle of a script: where it calls breakpoint(), and where it has failed.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local frames = require "qemunet.repl.frames"
local language = require "qemunet.program.language"
local repl = require "qemunet.repl.repl"

local breakpoint = {}

local function prompt_of(frame) return frame and ("%s:%d> "):format(frame.file:gsub("^.*/", ""), frame.line) or nil end

--- breakpoint(): opens a prompt here, with the variables of this place in reach, to be read and set.
-- `:continue` or Ctrl-D goes on, `:where` shows the stack, `:frame N` goes to another frame of it. Everything but the calling
-- task goes on meanwhile. Where no terminal is, or outside a task, it only says that it was passed.
-- @example terminal
--   breakpoint()
function breakpoint.breakpoint()
    local list = frames.live()
    local here = list[1] -- none when the script's function ended with this call
    local where = here and ("%s:%d: breakpoint"):format(here.file, here.line) or "breakpoint"
    if not core.is_terminal() or not core.current() then
        core.log(0, where .. " passed: " .. (core.current() and "there is no terminal" or "no task is here to wait"))
        return
    end
    core.print(where .. " (:continue goes on, :help lists the rest)\n")
    repl.new(here and here:globals() or language.globals, list, here and prompt_of(here)):loop()
end

--- Has failures from now on keep what the script's frames held.
function breakpoint.keep_frames() errors.look = frames.copy end

--- Opens a prompt where a script has failed. `env`: its globals; `failure`: as errors.handler gives it.
function breakpoint.at_failure(env, failure)
    local list = failure.frames
    if not core.is_terminal() then return core.log(0, "--repl-on-failure: there is no terminal") end
    core.log(-1, errors.text(failure.message))
    core.print("stopped where it failed; the experiment is still there (:where shows the stack, Ctrl-D ends)\n")
    if list and #list == 0 then list = nil end
    repl.new(env, list, list and prompt_of(list[1])):loop()
end

return breakpoint
