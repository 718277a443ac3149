-- SPDX-License-Identifier: MIT
-- The documentation of the language: that all of it is there, says what is so, and is what people are shown.

local class = require "qemunet.class"
local library = require "qemunet.docs.library"
local options = require "qemunet.options"
local reference = require "qemunet.docs.reference"
local subjects = require "qemunet.docs.subjects"
local testbed = require "qemunet.testbed"

local names = require "qemunet"

-- Names that the program has before their documentation.
local AWAITED = {}

local function is_empty(list, what) check.equal(list, {}, what) end

-- The methods of all classes that are the language's.
local function each_method()
    local list = {}
    for name, known in pairs(class.all) do
        for _, method in ipairs(library.methods(name)) do
            local internal = subjects.internal({ name, table.unpack(known.kinds) }, method.method)
            if not internal then list[#list + 1] = method end
        end
    end
    return list
end

test("every global, and every function of a library, is documented", function()
    local missing = {}
    for _, binding in ipairs(library.names(names)) do
        if not binding.entry and not AWAITED[binding.name] then missing[#missing + 1] = binding.name end
    end
    is_empty(missing, "put a comment (see docs/parse.lua) above the function")
end)

test("every class and method is documented, or said to be internal", function()
    local missing = {}
    for name in pairs(class.all) do
        if not library.find("class " .. name) then missing[#missing + 1] = "class " .. name end
    end
    for _, method in ipairs(each_method()) do
        if not method.entry and not AWAITED[method.name] then missing[#missing + 1] = method.name end
    end
    is_empty(missing, "put a comment above it, or a line into INTERNAL of docs/subjects.lua")
end)

test("every name has its place in the reference", function()
    local missing = {}
    for name in pairs(names) do
        if not subjects.of(name) and not AWAITED[name] then missing[#missing + 1] = name end
    end
    for name in pairs(class.all) do
        if not subjects.of(name, "classes") then missing[#missing + 1] = "class " .. name end
    end
    is_empty(missing, "put it into docs/subjects.lua")
end)

-- Options of options that are options themselves (ab={...} of a link) need no words of their own.
local function undocumented_options(call, spec, documented, prefix, missing)
    for name, entry in pairs(spec) do
        if type(name) == "string" then
            local path = prefix .. name
            if not documented[path] and not documented[path:gsub("^[^.]+%.", "")] then missing[#missing + 1] = call .. ": " .. path end
            if entry.of then undocumented_options(call, entry.of, documented, prefix .. name .. ".", missing) end
        end
    end
end

test("every option that a call takes is documented, and no other", function()
    local wrong = {}
    for call, spec in pairs(options.specs) do
        local entry, documented = library.find(call), {}
        if entry then
            for _, doc in ipairs(library.option_docs(entry)) do
                documented[doc.name] = true
                if not library.option_spec(call, doc.name) then wrong[#wrong + 1] = ("%s: no option %s"):format(call, doc.name) end
            end
            undocumented_options(call, spec, documented, "", wrong)
        else
            wrong[#wrong + 1] = call .. " is no documented name"
        end
    end
    is_empty(wrong)
end)

-- All that is documented of the language, once each.
local function each_entry()
    local list, seen = {}, {}
    local function add(entry)
        if entry and not seen[entry] then list[#list + 1], seen[entry] = entry, true end
    end
    for _, binding in ipairs(library.names(names)) do add(binding.entry) end
    for name in pairs(class.all) do add(library.find("class " .. name)) end
    for _, method in ipairs(each_method()) do add(method.entry) end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
end

test("comments have the form that they are to have", function()
    local wrong = {}
    for _, entry in ipairs(each_entry()) do
        for _, problem in ipairs(entry.problems) do wrong[#wrong + 1] = ("%s:%d: %s"):format(entry.file, entry.line, problem) end
        if #entry.option_docs > 0 and not options.specs[entry.name] then
            wrong[#wrong + 1] = entry.name .. ": @option without options.register"
        end
        for _, set in ipairs(entry.option_sets) do
            if not options.specs[set] then wrong[#wrong + 1] = ("%s: no options of %s"):format(entry.name, set) end
        end
    end
    is_empty(wrong)
end)

local ROOT = debug.getinfo(1, "S").source:match("^@(.*)tests/lua/")

test("stdlib/REFERENCE.md is what the comments say", function()
    local file <close> = assert(io.open(ROOT .. "stdlib/REFERENCE.md"))
    local is_current = file:read("a") == reference.text(names)
    check.equal(is_current, true, "./dev docs makes it anew; commit it")
end)

-- An example of its own, or the class's that calls it.
local function has_example(entry)
    if entry.kind == "class" or #entry.examples > 0 then return true end
    local of, method = entry.name:match("^(%l+):(.*)$")
    local about = of and library.find("class " .. of)
    for _, example in ipairs(about and about.examples or {}) do
        if table.concat(example.lines, "\n"):find(":" .. method .. "(", 1, true) then return true end
    end
    return false
end

test("everything has an example", function()
    local missing = {}
    for _, entry in ipairs(each_entry()) do
        if not has_example(entry) then missing[#missing + 1] = entry.name end
    end
    is_empty(missing)
end)

local QUIET = setmetatable({ print = function() end }, { __index = _ENV })

-- Runs an example as an experiment of its own: what it has declared is gone afterwards.
local function run(entry, example)
    local where = ("the example of %s (%s:%d)"):format(entry.name, entry.file, entry.line)
    local chunk, why = load(table.concat(example.lines, "\n"), "=" .. where, "t", QUIET)
    check.is_nil(why, where)
    if example.needs then return end
    local ok, problem = pcall(chunk)
    testbed.teardown()
    check.equal({ ok, problem }, { true }, where)
end

test("the examples do what they say; those that need machines are Lua", function()
    for _, entry in ipairs(each_entry()) do
        for _, example in ipairs(entry.examples) do run(entry, example) end
    end
    os.remove "ring.txt" -- that of topology()
end)
