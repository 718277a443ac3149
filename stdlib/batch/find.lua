-- SPDX-License-Identifier: MIT
-- Which files `qemunet test` runs.

local core = require "qemunet.core"

local find = {}

local function is_suite(name) return name:find("^test_.*%.lua$") ~= nil or name:find("_test%.lua$") ~= nil end

-- Folders of runs hold what experiments wrote; links may lead round in a circle.
local function is_searched(name, path) return name:sub(1, 1) ~= "." and name ~= "runs" and not core.is_link(path) end

local function join(folder, name)
    if folder == "." then return name end
    return (folder:sub(-1) == "/" and folder or folder .. "/") .. name
end

local function search(folder, add, fail)
    local names, why = core.names(folder)
    if not names then fail(("cannot search %s: %s"):format(folder, why)) end
    table.sort(names)
    for _, name in ipairs(names) do
        local path = join(folder, name)
        local kind = core.stat(path)
        if kind == "file" and is_suite(name) then
            add(path)
        elseif kind == "folder" and is_searched(name, path) then
            search(path, add, fail)
        end
    end
end

local function add_path(path, add, fail)
    local kind, why = core.stat(path)
    if not kind then fail(("cannot read %s: %s"):format(path, why)) end
    if kind == "folder" then return search(path, add, fail) end
    local file, problem = io.open(path, "rb")
    if not file then fail("cannot read " .. problem) end
    file:close()
    add(path)
end

--- The files that are named by `paths`: files themselves, and below folders each test_*.lua and *_test.lua; none given: below
--- tests, or here. Each once. `fail`: called with a message, and does not return, when there is none.
function find.files(paths, fail)
    if #paths == 0 then paths = { core.stat("tests") == "folder" and "tests" or "." } end
    local list, known = {}, {}
    local function add(path)
        local real = core.real_path(path) or path
        if not known[real] then list[#list + 1] = path end
        known[real] = true
    end
    for _, path in ipairs(paths) do add_path(path, add, fail) end
    if #list == 0 then fail(("no test_*.lua or *_test.lua in %s"):format(table.concat(paths, " "))) end
    return list
end

return find
