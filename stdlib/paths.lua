-- SPDX-License-Identifier: MIT
-- Files of this machine, as an experiment may use them: it reads any, and writes in its run's folder alone, unless the person
-- who started it gave --allow-host. Relative paths that are written are in the run's folder; those that are read are looked
-- for there first, then in the current directory. All that the language writes for a script goes through writable().

local core = require "qemunet.core"
local errors = require "qemunet.errors"

local paths = {}

local allowed = true -- what is no experiment (the benchmarks, the command line) writes where it likes
local run_folder = function() end -- gives the run's folder, made if need be, and nil when there is none
local made_folder = function() end -- the same, but only if it was made

--- Sets what holds from now on: `allow`, whether an experiment may use this machine; `folder` and `made`, functions that give
--- the run's folder, which the first makes if need be.
function paths.set(allow, folder, made) allowed, run_folder, made_folder = allow, folder, made end

--- Whether the experiment may write anywhere, and run commands, on this machine: --allow-host.
function paths.is_allowed() return allowed end

--- Raises unless the experiment may do on this machine what is not for every one. `what`: "os.execute"; `instead`: what to
--- do.
function paths.check_allowed(what, instead)
    if allowed then return end
    errors.raise(("%s: not in an experiment; %s, or give --allow-host"):format(what, instead))
end

local function check_text(path, where)
    if type(path) == "string" and path ~= "" and not path:find("\0", 1, true) then return end
    errors.raise(where .. ": want the path of a file")
end

local function is_absolute(path) return path:sub(1, 1) == "/" end

local function in_folder(path)
    local folder = not is_absolute(path) and run_folder()
    return folder and folder .. "/" .. path or path
end

-- "a/b/", "." and the like are folders themselves, and resolved as a whole; of any other path the folder it is in.
local function split(full)
    local parent, last = full:gsub("/+$", ""):match("^(.*)/([^/]+)$")
    if not last or last == "." or last == ".." then return full end
    return parent == "" and "/" or parent, last
end

-- Where a path leads to, links followed, but for the last part. Returns the path, or nil and why there is none; whether a
-- link is the last part.
local function resolve(full)
    local parent, last = split(full)
    local real, why = core.real_path(parent)
    if not real then return nil, ("%s: %s"):format(full, why) end
    if not last then return real end
    local path = (real == "/" and "" or real) .. "/" .. last
    return path, core.is_link(path)
end

local function is_below(path, folder) return path == folder or path:sub(1, #folder + 1) == folder .. "/" end

local OUTSIDE = "%s: %s is outside the run's folder (%s), where alone an experiment writes; give --allow-host to write elsewhere"
local IS_LINK = "%s: %s is a symbolic link, through which an experiment does not write; give --allow-host to follow it"

local FOLDER_MODE = 493 -- rwxr-xr-x

-- Makes the folders that a relative path needs in the run's folder, since a script cannot; what leads elsewhere it leaves alone.
local function make_folders(path)
    local at = not is_absolute(path) and run_folder()
    if not at then return end
    for part in (path:match("^(.*)/") or ""):gmatch("[^/]+") do
        at = at .. "/" .. part
        if part == ".." or core.is_link(at) then return end
        if not core.stat(at) and core.make_folder(at) then core.chmod(at, FOLDER_MODE) end
    end
end

-- `link_itself`: whether it is about a link, not what it points to.
local function checked(path, where, link_itself)
    local full = in_folder(path)
    if allowed then return full end
    local folder = core.real_path(run_folder() or errors.raise(where .. ": there is no run's folder"))
    local real, link = resolve(full)
    if not real then return nil, link end
    if not is_below(real, folder) then errors.raise(OUTSIDE:format(where, path, folder)) end
    if link and not link_itself then errors.raise(IS_LINK:format(where, path)) end
    return real
end

--- The path of a file that an experiment wants to write, as it is to be opened: below the run's folder. Raises, at the
--- script's line, for any other, and when the folder that it is to be in is not there and cannot be made. `where` names the
--- caller in errors.
function paths.writable(path, where)
    check_text(path, where)
    make_folders(path)
    local real, why = checked(path, where)
    if not real then errors.raise(("%s: %s"):format(where, why)) end
    return real
end

--- As writable(), for what returns nil, why when it fails; `link_itself`: the path may be that of a link, which is meant.
function paths.try_writable(path, where, link_itself)
    check_text(path, where)
    return checked(path, where, link_itself)
end

--- The path of a file to be read: of the run's folder if there is one of that name, else as it is.
function paths.readable(path)
    if type(path) ~= "string" or is_absolute(path) then return path end
    local folder = made_folder()
    local here = folder and folder .. "/" .. path
    return here and core.stat(here) and here or path
end

return paths
