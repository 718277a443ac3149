-- SPDX-License-Identifier: MIT
-- Finds errors in experiments without running them: what Lua does not take, names, methods and options that there are not, and
-- values with bad units.

local class = require "qemunet.class"
local errors = require "qemunet.errors"
local inspect = require "qemunet.inspect"
local names = require "qemunet.check.names"
local node = require "qemunet.nodes.node"
local options = require "qemunet.options"
local parser = require "qemunet.check.parser"
local types = require "qemunet.docs.types"
local units = require "qemunet.units"

local check = {}

--- A source has at most so many bytes.
check.LARGEST = 4 << 20

-- Calls whose tables may have any key: nodes' names.
local OPEN = { sync = true }

local Checker = {}
Checker.__index = Checker

local function near(name, ...)
    return (options.hint(name, ...):gsub("^; (.*)%?$", " (%1?)"))
end

function Checker:find(at, ...)
    if self.facts.lexer:is_excused(at.line) then return end
    table.insert(self.findings, { line = at.line, column = at.column, message = (...):format(select(2, ...)) })
end

-- Globals and libraries ---------------------------------------------------------------------------------------------------

function Checker:check_globals()
    local facts = self.facts
    if facts.own_environment then return end
    for _, global in ipairs(facts.globals) do
        local name = global.name
        local is_known = self.globals[name] ~= nil or facts.assigned[name] or name == "_ENV" or facts.globals[global]
        if not is_known then
            self:find(global, "undefined global %s%s", inspect.quote(name, 60), near(name, self.globals, facts.assigned))
        end
    end
end

-- The names that a table of the language or of Lua has; nil where they are not all known.
function Checker:fields_of(name)
    if name == "defaults" then return node.defaults end
    local value = self.globals[name]
    if type(value) ~= "table" or class.of(value) or name == "_G" or name == "args" or name == "package" then return nil end
    return value
end

function Checker:check_index(index)
    local object = index.object
    if object.kind ~= "global" or type(index.key) ~= "string" or self.facts.assigned[object.name] then return end
    local known = self:fields_of(object.name)
    local is_added = self.facts.fields[index.key] and known ~= node.defaults
    if not known or rawget(known, index.key) ~= nil or is_added then return end
    self:find(index, "%s has no %s%s", object.name, inspect.quote(index.key, 60), near(index.key, known))
end

-- Fields that such objects have without their classes' saying so; to read another gives nil.
local PLAIN = { result = true, packet = true }

function Checker:check_field(index)
    local of = type(index.key) == "string" and self.names:class_of(index.object)
    if not of or not PLAIN[of] then return end
    local known = self.names:methods(of)
    if known[index.key] ~= nil or self.facts.fields[index.key] then return end
    self:find(index, "a %s has no field %s%s", of, inspect.quote(index.key, 60), near(index.key, known))
end

-- Methods -----------------------------------------------------------------------------------------------------------------

function Checker:check_method(call)
    local of = self.names:class_of(call.object)
    if not of then return end
    local known = self.names:methods(of)
    if known[call.name] ~= nil or class.all[of].methods[call.name] ~= nil or self.facts.fields[call.name] then return end
    local article = of:find("^[aeiou]") and "an" or "a"
    self:find(call, "%s %s has no method %s%s", article, of, inspect.quote(call.name, 60), near(call.name, known))
end

-- Options -----------------------------------------------------------------------------------------------------------------

-- The table of options in a call's arguments.
local function options_of(call, entry)
    if entry.braces and #call.args == 1 and call.args[1].kind == "table" then return call.args[1] end
    for i, parameter in ipairs(entry.params) do
        local given = call.args[i]
        local is_options = parameter.name == "opts" or parameter.name == "model"
        if is_options and given and given.kind == "table" then return given end
    end
end

-- Units, choices and types of values that are there to be read; false takes an option back.
function Checker:check_value(where, name, value, spec)
    if value.kind == "table" and spec.of then return self:check_table(("%s: %s"):format(where, name), value, spec.of) end
    if value.kind ~= "constant" or value.value == nil or value.value == false then return end
    local problem = options.problem(value.value, spec)
    if problem then self:find(value, "%s: %s: %s", where, name, problem) end
end

function Checker:check_table(where, given, spec)
    for _, field in ipairs(given.fields) do
        local entry = spec[field.name]
        if entry then
            self:check_value(where, field.name, field.value, entry)
        else
            self:find(field, "%s: unknown option %s%s", where, inspect.quote(field.name, 60), near(field.name, spec))
        end
    end
end

-- A list of tables that begin with what they are, as those of faults{}.
function Checker:check_entries(where, items, spec_of)
    for _, item in ipairs(items) do
        local first = item.kind == "table" and item.items[1]
        if first and first.kind == "constant" then
            local spec, kinds = spec_of(first.value)
            if spec then
                self:check_table(("%s: %s"):format(where, first.value), item, spec)
            else
                self:find(first, "%s: unknown kind %s%s", where, inspect.quote(tostring(first.value), 60), near(first.value, kinds))
            end
        end
    end
end

function Checker:check_options(call, entry)
    local spec, given = options.specs[entry.name], options_of(call, entry)
    if not spec or not given then return end
    if options.entries[entry.name] then self:check_entries(entry.name, given.items, options.entries[entry.name]) end
    local own = {}
    for _, field in ipairs(given.fields) do
        local is_argument = entry.braces and entry.params[1] and field.name == entry.params[1].name and given == call.args[1]
        local is_open = OPEN[entry.name] and not spec[field.name]
        if not is_argument and not is_open then own[#own + 1] = field end
    end
    self:check_table(entry.name, { fields = own }, spec)
end

local UNITS = { duration = true, rate = true, size = true, fraction = true }

-- Texts with a unit, as in sleep("20mz").
function Checker:check_arguments(call, entry)
    for i, parameter in ipairs(entry.params) do
        local given, kind = call.args[i], types.parameter(entry, parameter.name)
        if given and given.kind == "constant" and type(given.value) == "string" and UNITS[kind] then
            local value, problem = units.parse(kind, given.value)
            if value == nil then self:find(given, "%s: %s: %s", entry.name, parameter.name, problem) end
        end
    end
end

function Checker:check_call(call)
    local entry = self.names:entry(call)
    if not entry or entry.kind ~= "function" then return end
    self:check_options(call, entry)
    self:check_arguments(call, entry)
end

-- Sources -----------------------------------------------------------------------------------------------------------------

-- The line and words of Lua's own message.
local function syntax_finding(why, problem)
    local line, message = why:match("^[^\n]-:(%d+): (.*)$")
    line = tonumber(line) or 1
    local column = problem and problem.line == line and problem.column or 1
    return { line = line, column = column, message = message or why }
end

local function by_place(a, b)
    if a.line ~= b.line then return a.line < b.line end
    if a.column ~= b.column then return a.column < b.column end
    return a.message < b.message
end

--- What makes source texts known: the names of the language (see language.names), and those of Lua.
function check.new(language)
    local globals = {}
    for name, value in pairs(_G) do globals[name] = value end
    for name, value in pairs(language) do globals[name] = value end
    return setmetatable({ globals = globals, names = names.new(language) }, Checker)
end

--- The findings in a text: { { line=, column=, message= } } in its order.
function Checker:text(text)
    if #text > check.LARGEST then
        return { { line = 1, column = 1, message = ("it has %d bytes, over %d"):format(#text, check.LARGEST) } }
    end
    local chunk, why = errors.load((text:gsub("^\u{FEFF}", ""):gsub("^#[^\n]*", "", 1)), "=source", "t", {})
    local facts, problem = parser.facts(text)
    if not chunk then return { syntax_finding(why, problem) } end
    if not facts then return { problem } end
    self.facts, self.findings, self.names.assigned = facts, {}, facts.assigned
    self:check_globals()
    for _, index in ipairs(facts.indexes) do
        self:check_index(index)
        self:check_field(index)
    end
    for _, call in ipairs(facts.calls) do
        if call.kind == "method" then self:check_method(call) end
        self:check_call(call)
    end
    table.sort(self.findings, by_place)
    return self.findings
end


return check
