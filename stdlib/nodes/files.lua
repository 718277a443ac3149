-- SPDX-License-Identifier: MIT
-- Files and folders that go to a node and come back: in pieces, checked by size and checksum, and under their final name
-- only once they are whole. The guest needs md5sum besides POSIX's tools, and tar for folders.

local core = require "qemunet.core"
local errors = require "qemunet.errors"
local paths = require "qemunet.paths"
local tasks = require "qemunet.tasks"
local text = require "qemunet.text"
local units = require "qemunet.units"

local files = {}

local PIECE = 1 << 20
local PENDING = 4 << 20 -- so much may be on its way
local STDERR = 1 << 16
local READ_MAX = 256 << 20 -- of node:read, which has it all in memory
local POLL = 0.002 -- until the guest has taken some of that; 4 MiB take it some 100 ms

local quote = text.quote

-- The end of what a command said, or else `otherwise`.
local function last_lines(said, otherwise)
    local shown = text.tail(said, 3, "; ")
    return shown == "" and otherwise or shown
end

-- Paths --------------------------------------------------------------------------------------------------------------

local function check_path(self, path, where)
    if type(self) ~= "table" then errors.raise(("%s: call it with a colon, node:%s(...)"):format(where, where)) end
    if type(path) ~= "string" or path == "" then errors.raise(where .. ": want a path, not " .. type(path)) end
    if path:find("\0", 1, true) then errors.raise(where .. ": the path has a NUL byte") end
end

-- No path that a tool could take for an option.
local function safe(path) return path:sub(1, 1) == "-" and "./" .. path or path end

local function base_name(path) return path:match("([^/]+)/*$") or "root" end

-- The end of a name that nothing else has.
local function suffix() return (".qn-%016x"):format(core.random_seed()) end

-- How long nothing may move. node requires this module.
local function default_timeout()
    local node = require "qemunet.nodes.node"
    return units.duration(node.defaults.timeout, "defaults.timeout", 3)
end

-- One command on the node --------------------------------------------------------------------------------------------

-- Lets the guest take what was written. Returns false when the command has ended or nothing moves any more.
local function let_drain(handle, done, patience)
    local last, since = math.huge, core.now()
    while not done:is_set() do
        local pending = handle.pending and handle:pending() or 0
        if pending < PENDING then return true end
        if pending < last then last, since = pending, core.now() end
        if core.now() - since > patience then return false end
        core.wait({ done }, POLL)
    end
    return false
end

local function feed(handle, done, next_piece, patience)
    for piece in next_piece do
        if not let_drain(handle, done, patience) or not handle:write(piece) then return end
    end
    handle:close_stdin()
end

-- Waits for the end as long as something moves.
local function await(handle, done, moved, patience)
    while true do
        local before, pending = moved(), handle.pending and handle:pending() or 0
        if core.wait({ done }, patience) then return done:values() end
        if moved() == before and (handle.pending and handle:pending() or 0) == pending then
            handle:kill("KILL")
            core.wait({ done }, 10)
            return { status = nil, stderr = "", error = ("nothing moved for %g s"):format(patience) }
        end
    end
end

-- Runs `command`, giving it what `next_piece` returns until nil, and its output to `sink`, which returns true when it wants no
-- more. Returns its standard output if there is no sink, or nil, why, code.
local function run(self, command, next_piece, sink)
    local machine, why = self:channel()
    if not machine then return nil, why, "down" end
    local patience, done, out, bytes = default_timeout(), core.future(), {}, 0
    local handle, problem
    handle, problem = machine:start {
        command = command, stdin = next_piece ~= nil, max_output = STDERR,
        output = function(stream, data)
            bytes = bytes + #data
            if stream == "stdout" then
                if not sink then
                    out[#out + 1] = data
                elseif sink(data) then
                    handle:kill("KILL")
                end
            end
        end,
        done = function(result) done:set(result) end,
    }
    if not handle then return nil, problem, "down" end
    local guard <close> = setmetatable({}, { __close = function()
        if not done:is_set() then handle:kill("KILL") end
    end })
    local shown <close> = tasks.showing(self.name .. ": copying files")
    if next_piece then feed(handle, done, next_piece, patience) end
    local result = await(handle, done, function() return bytes end, patience)
    if result.status == 0 and not result.error then return table.concat(out) end
    return nil, result.error or last_lines(result.stderr, ("status %d"):format(result.status or -1)), "transfer"
end

-- A shell script with the values of its words in capitals.
local function script(lines, values)
    return (lines:gsub("%$(%u+)", function(name) return values[name] and quote(tostring(values[name])) end))
end

-- Where a file goes: into a folder that has its target's name, if it brings a name with it; or to where a link there leads.
-- First it is written beside that, as t. What is no file of a disk is written as it is.
local FILE = [[p=$PATH; [ -z $BASE ] || [ ! -d "$p" ] || p=${p%/}/$BASE
[ ! -d "$p" ] || { echo "$p is a folder" >&2; exit 1; }
q=; [ ! -h "$p" ] || q=$(readlink -f "$p" 2>/dev/null); p=${q:-$p}
t=$p$SUFFIX
case $p in /dev/shm/*) ;; /proc/* | /sys/* | /dev/*) t=$p ;; esac
]]

-- Where a folder goes, p; first it is made as t, on the same file system.
local FOLDER = [[p=$PATH
case $p in /*) ;; *) p=$PWD/$p ;; esac
p=${p%/}; [ "$p" ] || p=/.
t=$p$SUFFIX; [ ! -d "$p" ] || t=$p/$SUFFIX
]]

-- Removes what a broken transfer left; nobody waits for it.
local function discard(self, head, values)
    local machine = self:channel()
    if machine then
        machine:start { command = script(head .. '[ "$t" = "$p" ] || rm -rf "$t"', values), max_output = 0, timeout = 60, done = function() end }
    end
end

-- To the node --------------------------------------------------------------------------------------------------------

local function counted(next_piece, sum, values)
    return function()
        local piece = next_piece()
        if piece then
            sum:add(piece)
            values.SIZE = values.SIZE + #piece
        end
        return piece
    end
end

-- What brings no name takes the mode and the owner of the file that was there.
local FILL_FILE = FILE .. [[
[ -n $BASE ] || [ "$t" = "$p" ] || [ ! -f "$p" ] || cp -p "$p" "$t" || exit
cat >"$t"]]

local TAKE_FILE = FILE .. [[
[ "$t" != "$p" ] || exit 0
[ "$(md5sum <"$t")" = $SUM"  -" ] && [ "$(wc -c <"$t")" -eq $SIZE ] || { echo "what arrived is not what was sent" >&2; exit 1; }
{ [ -z $BASE ] && [ -f "$p" ]; } || chmod $MODE "$t" && mv -f "$t" "$p"]]

-- Puts what `next_piece` gives at `remote`; `base` is the name that it brings, or "". Returns true, or nil, why, code.
local function put_pieces(self, remote, next_piece, mode, base)
    local values = { PATH = safe(remote), SUFFIX = suffix(), BASE = base, SIZE = 0, MODE = ("%o"):format(mode) }
    local sum, finished = core.sum(), false
    local guard <close> = setmetatable({}, { __close = function()
        if not finished then discard(self, FILE, values) end
    end })
    local ok, why, code = run(self, script(FILL_FILE, values), counted(next_piece, sum, values))
    if not ok then return nil, why, code end
    values.SUM = sum:text()
    ok, why, code = run(self, script(TAKE_FILE, values))
    if not ok then return nil, why, code end
    finished = true
    return true
end

local function pieces_of(data)
    local at = 1
    return function()
        if at > #data then return nil end
        local piece = data:sub(at, at + PIECE - 1)
        at = at + PIECE
        return piece
    end
end

--- node:write(path, data) -> true: puts bytes into a file of the node; whole, or not at all. A file that is there keeps its
-- mode and its owner.
-- @param path  in the node
-- @param data  a string
-- @return  nil, why, "write" when it could not be written
-- @example vm
--   local a = vm("a")
--   a:write("/etc/motd", "hello\n")
--   check.equal(a:read("/etc/motd"), "hello\n")
function files.write(self, path, data)
    check_path(self, path, "write")
    if type(data) ~= "string" then errors.raise("write: want a string, not " .. type(data)) end
    local ok, why = put_pieces(self, path, pieces_of(data), 420, "") -- rw-r--r--
    if not ok then return nil, why, "write" end
    return true
end

local function put_file(self, path, remote, mode)
    local file, why = io.open(path, "rb")
    if not file then errors.raise("put: " .. why) end
    local guard <close> = file
    return put_pieces(self, remote, function() return file:read(PIECE) end, mode, base_name(path))
end

-- A folder's files, each with its checksum, and its links, in one order on all machines. md5sum itself writes some names in
-- different ways.
local LIST = [[&& {
find . -type f -exec sh -c 'for f; do printf "%s " "$f"; md5sum <"$f"; done' sh {} +
find . -type l; } | LC_ALL=C sort]]

-- Gives the folder t, which is whole, its name p. Where that is a folder already, its contents go in one by one, and not
-- through links that are there, which may lead out of it.
local PLACE = FOLDER .. [[
if [ ! -d "$p" ]; then mv -f "$t" "$p"; exit; fi
cd "$t" && find . -type d -exec sh -c 'for f; do [ ! -h "$0/$f" ] && mkdir -p "$0/$f" || exit 1; done' "$p" {} + &&
find . ! -type d -exec sh -c 'for f; do [ ! -h "$0/$f" ] || rm -f "$0/$f" && mv -f "$f" "$0/$f" || exit 1; done' "$p" {} + && cd / && rm -rf "$t"]]

-- A script on this machine. Returns its output, or nil and why.
local function run_here(command)
    local process <close> = assert(io.popen("exec 2>&1\n" .. command, "r"))
    local output = process:read("a")
    local ok = process:close()
    if ok then return output end
    return nil, last_lines(output, "a tool of this machine failed")
end

local function put_folder(self, path, remote)
    local values, finished = { PATH = safe(remote), SUFFIX = suffix() }, false
    local guard <close> = setmetatable({}, { __close = function()
        if not finished then discard(self, FOLDER, values) end
    end })
    local source = { PATH = safe(path) }
    local tar <close> = assert(io.popen(script("exec tar -C $PATH -cf - .", source), "r"))
    local ok, why, code = run(self, script(FOLDER .. 'mkdir "$t" && tar -C "$t" -xf -', values),
        function() return tar:read(PIECE) end)
    if not ok then return nil, why, code end
    if not tar:close() then return nil, "tar could not read all of " .. path, "local" end
    local there, problem = run(self, script(FOLDER .. 'cd "$t" ' .. LIST, values))
    local here, trouble = run_here(script("cd $PATH " .. LIST, source))
    if not there or not here then return nil, problem or trouble, "transfer" end
    if there ~= here then return nil, "what arrived is not what was sent (or the folder changed meanwhile)", "checksum" end
    ok, why, code = run(self, script(PLACE, values))
    if not ok then return nil, why, code end
    finished = true
    return true
end

--- node:put(path, remote) -> true: copies a file or a folder of this machine to the node, permissions included.
-- A file whose target is a folder goes into it; a folder becomes the target, or, where that is a folder already, its contents
-- go in. What arrived is compared by its checksum.
-- @param path    here: a relative one is of the run's folder, or else of the current one
-- @param remote  in the node
-- @return  nil, why, code when it could not be copied
-- @error   when `path` cannot be read
-- @example vm
--   local a = vm("a")
--   assert(a:put("server.conf", "/etc/server.conf"))
function files.put(self, path, remote)
    check_path(self, path, "put")
    check_path(self, remote, "put")
    path = paths.readable(path)
    local kind, mode = core.stat(path)
    if not kind then errors.raise(("put: %s: %s"):format(path, mode)) end
    if kind == "other" then errors.raise(("put: %s is neither a file nor a folder"):format(path)) end -- it may have no end
    if kind == "folder" then return put_folder(self, path, remote) end
    return put_file(self, path, remote, mode)
end

-- From the node ------------------------------------------------------------------------------------------------------

-- The checksum of a regular file; of another, only what is read of it counts.
local SUM = [[p=$PATH; [ ! -f "$p" ] || md5sum <"$p"]]

-- Reads a file once into a sink. Returns whether it came as it is there; nil, why, code.
local function read_once(self, path, sink)
    local sum = core.sum()
    local ok, why, code = run(self, script("cat $PATH", { PATH = safe(path) }), nil, function(data)
        sum:add(data)
        return sink(data)
    end)
    if not ok then return nil, why, code end
    local there, problem, kind = run(self, script(SUM, { PATH = safe(path) }))
    if not there then return nil, problem, kind end
    there = there:match("^%x*")
    return there == "" or there == sum:text(), there
end

local TRIES = 3

-- A file that changes all the time, as in /proc, is what it was when it was read.
local function read_checked(self, path, restart)
    local last
    for _ = 1, TRIES do
        local same, there, code = read_once(self, path, restart())
        if same == nil then return nil, there, code end
        if same or last and there ~= last then return true end
        last = there
    end
    return nil, ("%s did not come as it is there, %d times"):format(path, TRIES), "checksum"
end

--- node:read(path) -> string: the bytes of a file of the node, of 256 MiB at most.
-- @param path  in the node
-- @return  nil, why, "read" when it cannot be read
-- @example vm
--   local a = vm("a")
--   print(a:read("/proc/net/dev"))
function files.read(self, path)
    check_path(self, path, "read")
    local parts, size
    local ok, why = read_checked(self, path, function()
        parts, size = {}, 0
        return function(data)
            size = size + #data
            if size > READ_MAX then return true end
            parts[#parts + 1] = data
        end
    end)
    if (size or 0) > READ_MAX then
        return nil, ("%s is larger than %s: node:get copies it"):format(path, units.format_size(READ_MAX)), "read"
    end
    if not ok then return nil, why, "read" end
    return table.concat(parts)
end

-- "-rwxr-x---" as bits; what else stands there (setuid and the like) is not taken over.
local function mode_of(letters)
    local bits = 0
    for i = 2, 10 do
        local letter = letters:sub(i, i)
        bits = bits * 2 + ((letter == "-" or letter == "S" or letter == "T" or letter == "") and 0 or 1)
    end
    return bits
end

local function into_folder(path, base)
    if core.stat(path) ~= "folder" then return path end
    return path:gsub("/+$", "") .. "/" .. base
end

-- A file of this machine that appears under its name when it is whole; closing it before that removes it.
local function new_file(path)
    local temp = path .. suffix()
    local file, why = io.open(temp, "wb")
    if not file then errors.raise("get: " .. why) end
    return setmetatable({ file = file, temp = temp, failed = false }, { __close = function(self)
        self.file:close()
        os.remove(self.temp)
    end })
end

local function get_file(self, remote, path, letters)
    local new <close> = new_file(path)
    local ok, why, code = read_checked(self, remote, function()
        new.file:close()
        new.file = assert(io.open(new.temp, "wb"))
        return function(data)
            local written, problem = new.file:write(data)
            if not written then new.failed = problem end
        end
    end)
    if not ok then return nil, why, code end
    local closed, problem = new.file:close()
    new.file = io.tmpfile()
    if new.failed or not closed then return nil, ("%s: %s"):format(path, new.failed or problem), "local" end
    core.chmod(new.temp, mode_of(letters))
    local renamed, trouble = os.rename(new.temp, path)
    if not renamed then return nil, trouble, "local" end
    return true
end

local function get_folder(self, remote, path)
    local values, source = { PATH = safe(path), SUFFIX = suffix() }, { PATH = safe(remote) }
    local made, why = run_here(script(FOLDER .. 'mkdir "$t"', values))
    if not made then errors.raise("get: " .. why) end
    local guard <close> = setmetatable({}, { __close = function() run_here(script(FOLDER .. 'rm -rf "$t"', values)) end })
    local tar <close> = assert(io.popen(script(FOLDER .. 'exec tar -C "$t" -xf -', values), "w"))
    local ok, problem, code = run(self, script("tar -C $PATH -cf - .", source), nil, function(data) tar:write(data) end)
    local closed = tar:close()
    if not ok then return nil, problem, code end
    if not closed then return nil, "tar could not write all of " .. path, "local" end
    local there, trouble = run(self, script("cd $PATH " .. LIST, source))
    local here, woe = run_here(script(FOLDER .. 'cd "$t" ' .. LIST, values))
    if not there or not here then return nil, trouble or woe, "transfer" end
    if there ~= here then return nil, "what arrived is not what is there (or the folder changed meanwhile)", "checksum" end
    local placed, fault = run_here(script(PLACE, values))
    if not placed then return nil, fault, "local" end
    return true
end

--- node:get(remote, path) -> true: copies a file or a folder of the node to this machine, as node:put does the other way.
-- @param remote  in the node
-- @param path    here: a relative one is in the run's folder, where folders are made for it; so is every one without --allow-host
-- @return  nil, why, code when it could not be copied
-- @error   when nothing can be written there
-- @example vm
--   local a = vm("a")
--   assert(a:get("/var/log/server.log", "server.log"))
function files.get(self, remote, path)
    check_path(self, remote, "get")
    check_path(self, path, "get")
    path = paths.writable(path, "get")
    local listed, why, code = run(self, script("ls -ldL $PATH", { PATH = safe(remote) }))
    if not listed then return nil, why, code end
    if listed:sub(1, 1) == "d" then return get_folder(self, remote, path) end
    if listed:sub(1, 1) ~= "-" then return nil, remote .. " is neither a file nor a folder", "transfer" end -- it may have no end
    return get_file(self, remote, paths.writable(into_folder(path, base_name(remote)), "get"), listed)
end

return files
