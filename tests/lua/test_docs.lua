-- SPDX-License-Identifier: MIT
-- The documentation of the language: that all of it is there, says what is so, and is what people are shown.

local annotations = require "qemunet.docs.annotations"
local class = require "qemunet.class"
local core = require "qemunet.core"
local help_of = require "qemunet.docs.help"
local library = require "qemunet.docs.library"
local options = require "qemunet.options"
local parse = require "qemunet.docs.parse"
local reference = require "qemunet.docs.reference"
local subjects = require "qemunet.docs.subjects"
local testbed = require "qemunet.testbed"
local types = require "qemunet.docs.types"

local names = require "qemunet"

-- Names that the program has before their documentation.
local AWAITED = {}

local function is_empty(list, what) check.equal(list, {}, what) end

-- The methods of all classes that are the language's.
local function each_method()
    local list = {}
    for name in pairs(class.all) do
        for _, method in ipairs(library.methods(name)) do
            if not method.internal then list[#list + 1] = method end
        end
    end
    return list
end

test("a comment is read as it is written", function()
    local text = [[
        --- f(a, opts={}) or f{ ... } -> x, list of y: does it. Then
        -- more of it.
        --   as it stands
        -- @param a  which,
        --   and so on
        -- @option o  how
        -- @options g h
        -- @return  nil
        -- @oops  x
        -- @field
        -- @example vm
        --   f(1)
        --     .x()
        function f(a, opts) end

        --- Whether it is one.
        function is(v) end
        --- class thing: what f gives.
        -- @field size integer  of it
        local Thing = {}
    ]]
    local entries = parse.source(text, "file.lua")
    check.equal(#entries, 2)
    local f, thing = entries[1], entries[2]
    check.equal({ f.kind, f.name, f.forms, f.braces, f.results }, { "function", "f", { "f(a, opts={})", "f{ ... }" }, true,
        { "x", "list of y" } })
    check.equal(f.params, { { name = "a" }, { name = "opts", default = "{}" } })
    check.equal(f.text, { "does it. Then", "more of it.", "  as it stands" })
    check.equal(f.param_docs, { { name = "a", text = "which, and so on" } })
    check.equal({ f.option_docs[1].name, f.option_sets, f.returns[1].text }, { "o", { "g", "h" }, "nil" })
    check.equal(f.examples, { { needs = "vm", lines = { "f(1)", "  .x()" } } })
    check.equal(f.problems, { "unknown tag @oops", "@field without a name" })
    check.equal({ f.file, f.line, f.defined }, { "file.lua", 1, 14 })
    check.equal({ thing.kind, thing.name, thing.fields }, { "class", "thing",
        { { name = "size", type = "integer", text = "of it" } } })
end)

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

test("annotations for editors are Lua, and have every name", function()
    local all = {}
    for name, text in pairs(annotations.texts(names)) do
        check.equal(select(2, load(text, "=" .. name, "t", {})), nil)
        check.match(text, "^%-%-%-@meta\n")
        all[#all + 1] = text
    end
    local text, missing = table.concat(all), {}
    for _, binding in ipairs(library.names(names)) do
        local is_there = text:find(("\nfunction %s("):format(binding.name), 1, true) or
            text:find(("\n%s = "):format(binding.name), 1, true)
        if not is_there and not AWAITED[binding.name] then missing[#missing + 1] = binding.name end
    end
    for _, entry in ipairs(each_entry()) do
        local is_there = entry.kind ~= "class" or text:find("\n%-%-%-@class qemunet%." .. entry.name .. "%f[^%l]")
        local method = entry.name:match(":(.*)$")
        if not is_there or method and not text:find(":" .. method .. "(", 1, true) then missing[#missing + 1] = entry.name end
    end
    is_empty(missing)
end)

-- What a type of an annotation may be, besides ours.
local LUA = { any = true, string = true, number = true, integer = true, boolean = true, table = true, ["function"] = true }

test("the types in annotations are ones that are defined", function()
    local defined, used = {}, {}
    for _, text in pairs(annotations.texts(names)) do
        for kind in text:gmatch("\n%-%-%-@%l+ (qemunet%.[%w_.]+)") do defined[kind] = true end
        for kind in text:gmatch("\n%-%-%-@param %S+ (%S+)") do used[kind] = true end
        for kind in text:gmatch("\n%-%-%-@return (%S+)") do used[kind] = true end
        for kind in text:gmatch("\n%-%-%-@field [%w_]+%?? (%S+)") do used[kind] = true end
    end
    local unknown = {}
    for kind in pairs(used) do
        for one in kind:gmatch("[^|]+") do
            local name = one:gsub("%[%]$", "")
            if not LUA[name] and not defined[name] and not name:find('^"') then unknown[#unknown + 1] = name end
        end
    end
    is_empty(unknown)
end)

test("the words of results are types", function()
    local unknown = {}
    for _, entry in ipairs(each_entry()) do
        for _, word in ipairs(entry.results or {}) do
            if not types.result(word) then unknown[#unknown + 1] = ("%s: %s"):format(entry.name, word) end
        end
    end
    is_empty(unknown, "see docs/types.lua")
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

test("every argument is documented", function()
    local wrong = {}
    for _, entry in ipairs(each_entry()) do
        local documented = {}
        for _, doc in ipairs(entry.param_docs) do documented[doc.name] = true end
        for _, parameter in ipairs(entry.params or {}) do
            local name = parameter.name
            local is_known = documented[name] or name == "opts" and options.specs[entry.name]
            if not is_known then wrong[#wrong + 1] = ("%s: %s"):format(entry.name, name) end
        end
    end
    is_empty(wrong)
end)

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

-- Help -------------------------------------------------------------------------------------------------------------------

test("help: a function, a method, an object, a name", function()
    check.match(help_of.about(vm), "^vm%(name, opts%) or vm{ name, %.%.%. } %-> vm\n.*\n  mem  +its memory.*default 256 MiB")
    check.match(help_of.about(stats.mean), "^stats%.mean%(t%) %-> number\n")
    check.match(help_of.about(stats), "^stats\n.*\n  stats%.median  +the middle value")
    local cable = link(responder "of-help", responder "of-help2")
    check.match(help_of.about(cable), "^link\na cable.*\nmethods:.*\n  link:capture  +writes every packet")
    check.match(help_of.about(cable.set), "^link:set%(opts%)\n")
    check.match(help_of.about("link:set"), "^link:set%(opts%)\n")
    check.match(help_of.about("vm:run"), "^node:run%(cmd, opts%) %-> result\n")
    check.match(help_of.about("host:crash"), "^node:crash%(%)\n")
    check.match(select(2, help_of.about "burst"), 'no documentation of "burst"') -- an option has no name of its own
    check.match(help_of.about("stop"), "^application:stop.*\n\ncapture:stop.*\n\nmobility:stop.*\n\nsink:stop")
    check.match(help_of.about("link"), "^link%(a, b, opts%).*\n\nlink\na cable, whose")
    check.match(help_of.about(rng), "^rng%(%.%.%.%) %-> number\n")
    check.match(help_of.about(help), "^help%(x%)\n")
end)

test("help: what it does not know", function()
    check.equal({ help_of.about("lnk") }, { nil, 'there is no documentation of "lnk"; did you mean "link"?' })
    check.equal({ help_of.about("sucseed") }, { nil, 'there is no documentation of "sucseed"; did you mean "succeed"?' })
    check.equal({ help_of.about(5) }, { nil, "there is no documentation of 5 (it is none of the language's)" })
    check.match(select(2, help_of.about(function() end)), "^there is no documentation of <function ")
end)

test("help language: every name, a line each", function()
    local text, missing = help_of.language(), {}
    for _, binding in ipairs(library.names(names)) do
        if not text:find("\n  " .. binding.name .. "%f[^%w_]") and not AWAITED[binding.name] then
            missing[#missing + 1] = binding.name
        end
    end
    is_empty(missing)
    for line in text:gmatch("[^\n]+") do check.is_true(#line <= 100, line) end
end)

-- What the program prints, and its status behind it.
local function said_by(arguments)
    local program = core.real_path("/proc/self/exe")
    local said <close> = assert(io.popen(("'%s' %s 2>&1; echo $?"):format(program, arguments)))
    return said:read("a")
end

test("the command line: help and --help", function()
    check.match(said_by("help"), "^usage: qemunet COMMAND .*\n0\n$")
    check.match(said_by("help language"), "^Nodes:\n.*\n0\n$")
    check.match(said_by("help stats.mean"), "^stats%.mean%(t%) .*\n0\n$")
    check.match(said_by("help doctor"), "^usage:\n  qemunet doctor [^\n]*\n0\n$")
    check.match(said_by("help image"), "^usage:\n  qemunet image list .*\n\nimage%(name, opts%).*\n0\n$")
    check.match(said_by("image build --help"), "^usage:\n  qemunet image list .*  qemunet image remove [^\n]*\n[^\n]*\n0\n$")
    check.match(said_by("run -h"), "^usage:\n  qemunet run FILE .*\n0\n$")
    check.match(said_by("help lnik"), 'no name "lnik"; did you mean "link"%?\n.*\n2\n$')
    check.match(said_by("help dcotor"), 'no name "dcotor"; did you mean "doctor"%?\n.*\n2\n$')
    check.match(said_by("help a b"), "help wants one word\n.*\n2\n$")
end)

test("every command that there is has its usage, and has that printed", function()
    local text = require "qemunet.program.usage".TEXT
    for line in text:gmatch("[^\n]+") do check.is_true(#line <= 100, line) end
    for command in pairs(require "qemunet.program.usage".commands()) do
        check.match(require "qemunet.program.usage".of(command), "^usage:\n  qemunet " .. command)
    end
end)
