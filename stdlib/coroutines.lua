-- SPDX-License-Identifier: MIT
-- The script's own coroutines and protected calls inside tasks. A call that waits inside a coroutine of the script
-- suspends the whole task, not the coroutine: the wait is passed on outwards and the coroutine resumed when it is over.
-- A cancelled task cannot be kept alive by pcall.

local core = require "qemunet.core"

local coroutines = {}

local raw_resume, raw_close, raw_status, raw_pcall, raw_xpcall = coroutine.resume, coroutine.close, coroutine.status, pcall,
    xpcall

-- Coroutines in which a task waits: for all others they run.
local waiting = setmetatable({}, { __mode = "k" })

local function pump(co, ok, first, ...)
    if ok and core.is_wait(first) then
        waiting[co] = true
        core.pass_wait()
        waiting[co] = nil
        return pump(co, raw_resume(co))
    end
    return ok, first, ...
end

local function unbarred(...)
    core.bar(-1)
    return ...
end

-- Where the caller cannot be suspended, what it resumes cannot wait.
local function resume_at_once(co, ...)
    core.bar(1)
    return unbarred(raw_resume(co, ...))
end

-- A cancelled task's coroutine takes the task along.
local function uncancelled_in(co, ok, first, ...)
    if not ok and first == core.CANCEL then
        coroutine.close(co)
        error(first, 0)
    end
    return ok, first, ...
end

local function resume(co, ...)
    if waiting[co] then return false, "cannot resume non-suspended coroutine" end
    if type(co) == "thread" and not coroutine.isyieldable() then return uncancelled_in(co, resume_at_once(co, ...)) end
    return uncancelled_in(co, pump(co, raw_resume(co, ...)))
end

local function close(co)
    if waiting[co] then error("cannot close a normal coroutine", 2) end
    return raw_close(co)
end

local function status(co) return waiting[co] and "normal" or raw_status(co) end

local function unwrap(co, ok, first, ...)
    if ok then return first, ... end
    if not waiting[co] then coroutine.close(co) end
    if type(first) == "string" then error(first, 0) end
    error(first)
end

local function wrap(fn)
    local co = coroutine.create(fn)
    return function(...) return unwrap(co, resume(co, ...)) end
end

local function yield(...)
    if core.is_outermost() then error("attempt to yield from outside a coroutine", 2) end
    return coroutine.yield(...)
end

local function uncancelled(ok, err, ...)
    if not ok and err == core.CANCEL then error(err, 0) end
    return ok, err, ...
end

local function safe_pcall(fn, ...) return uncancelled(raw_pcall(fn, ...)) end

local function safe_xpcall(fn, handler, ...)
    local function pass_cancel(err)
        if err == core.CANCEL then return err end
        return handler(err)
    end
    return uncancelled(raw_xpcall(fn, pass_cancel, ...))
end

--- Puts the wrapped coroutine library and protected calls into `env`. core.is_wait must not see a value that a script
--- yields, and does not: scripts never hold the one that marks a wait.
function coroutines.install(env)
    local library = {}
    for name, fn in pairs(coroutine) do library[name] = fn end
    library.resume, library.wrap, library.yield, library.close, library.status = resume, wrap, yield, close, status
    env.coroutine, env.pcall, env.xpcall = library, safe_pcall, safe_xpcall
end

coroutines.pcall = safe_pcall

return coroutines
