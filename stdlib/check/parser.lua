-- SPDX-License-Identifier: MIT
-- What a Lua 5.4 source says, as far as it can be checked without running it: its expressions, each name in them resolved to
-- a local variable or a global. It takes what Lua has found to be well-formed, and is nested no deeper than Lua allows.

local lexer = require "qemunet.check.lexer"

local parser = {}

-- A little more than Lua's own bound (LUAI_MAXCCALLS).
local DEEPEST = 220

local Parser = {}
Parser.__index = Parser

local OTHER = { kind = "other" }

-- Tokens ------------------------------------------------------------------------------------------------------------------

function Parser:advance()
    local token = self.token
    self.token = self.lexer:next()
    return token
end

function Parser:take(kind)
    if self.token.kind == kind then return self:advance() end
end

function Parser:want(kind)
    if self.token.kind ~= kind then
        self.lexer:fail(("want '%s', not '%s'"):format(kind, self.token.value or self.token.kind), self.token)
    end
    return self:advance()
end

function Parser:enter()
    self.depth = self.depth + 1
    if self.depth > DEEPEST then self.lexer:fail("nested too deeply", self.token) end
end

function Parser:leave() self.depth = self.depth - 1 end

-- Scopes ------------------------------------------------------------------------------------------------------------------

function Parser:open_scope() self.scope = { outer = self.scope, names = {} } end

function Parser:close_scope() self.scope = self.scope.outer end

-- A variable: { name=, init= the expression that gives its first value, place= which of its values, assigned= }.
function Parser:declare(name, init, place)
    local variable = { name = name, init = init, place = place or 1 }
    self.scope.names[name] = variable
    if name == "_ENV" then self.facts.own_environment = true end
    return variable
end

local function find(scope, name)
    while scope do
        if scope.names[name] then return scope.names[name] end
        scope = scope.outer
    end
end

function Parser:name(token)
    local variable = find(self.scope, token.value)
    if variable then return { kind = "local", variable = variable, line = token.line, column = token.column } end
    local node = { kind = "global", name = token.value, line = token.line, column = token.column }
    table.insert(self.facts.globals, node)
    return node
end

-- Expressions -------------------------------------------------------------------------------------------------------------

local function constant(token, value) return { kind = "constant", value = value, line = token.line, column = token.column } end

function Parser:table_field(node)
    local token = self.token
    if self:take("[") then
        local key = self:expression()
        self:want("]")
        self:want("=")
        local value = self:expression()
        if key.kind == "constant" and type(key.value) == "string" then
            table.insert(node.fields, { name = key.value, value = value, line = token.line, column = token.column })
        end
        return
    end
    local value = self:expression()
    if self.token.kind ~= "=" then return table.insert(node.items, value) end
    if token.kind ~= "name" then self:want("}") end
    self:advance()
    self.facts.globals[value] = true -- it was no variable, but a key
    table.insert(node.fields, { name = token.value, value = self:expression(), line = token.line, column = token.column })
end

function Parser:table()
    local token = self:want("{")
    local node = { kind = "table", fields = {}, items = {}, line = token.line, column = token.column }
    while self.token.kind ~= "}" do
        self:table_field(node)
        if not self:take(",") and not self:take(";") then break end
    end
    self:want("}")
    return node
end

function Parser:parameters()
    self:want("(")
    while self.token.kind ~= ")" do
        if not self:take("...") then self:declare(self:want("name").value) end
        if not self:take(",") then break end
    end
    self:want(")")
end

function Parser:body(is_method)
    self:open_scope()
    if is_method then self:declare("self") end
    self:parameters()
    self:block()
    self:close_scope()
    self:want("end")
    return { kind = "function" }
end

function Parser:arguments()
    if self.token.kind == "string" then
        local token = self:advance()
        return { constant(token, token.value) }
    end
    if self.token.kind == "{" then return { self:table() } end
    self:want("(")
    local list = self.token.kind == ")" and {} or self:expressions()
    self:want(")")
    return list
end

local ARGUMENTS = { string = true, ["{"] = true, ["("] = true }

-- One ".name", "[key]", ":name(...)" or "(...)" behind an expression; nil when there is none.
function Parser:suffix(object)
    local token, facts = self.token, self.facts
    if self:take(".") then
        local key = self:want("name")
        return { kind = "index", object = object, key = key.value, line = key.line, column = key.column }
    elseif self:take("[") then
        local key = self:expression()
        self:want("]")
        return { kind = "index", object = object, key = key.kind == "constant" and key.value or nil, line = token.line,
            column = token.column }
    elseif self:take(":") then
        local name = self:want("name")
        local call = { kind = "method", object = object, name = name.value, line = name.line, column = name.column }
        call.args = self:arguments()
        table.insert(facts.calls, call)
        return call
    elseif ARGUMENTS[token.kind] then
        local call = { kind = "call", callee = object, line = object.line, column = object.column }
        call.args = self:arguments()
        table.insert(facts.calls, call)
        return call
    end
end

function Parser:suffixed()
    local node
    if self:take("(") then
        node = self:expression()
        self:want(")")
    else
        node = self:name(self:want("name"))
    end
    while true do
        local longer = self:suffix(node)
        if not longer then return node end
        if longer.kind == "index" then table.insert(self.facts.indexes, longer) end
        node = longer
    end
end

local CONSTANTS = { ["true"] = true, ["false"] = false }

function Parser:simple()
    local token = self.token
    if token.kind == "string" or token.kind == "number" then return constant(self:advance(), token.value) end
    if CONSTANTS[token.kind] ~= nil then return constant(self:advance(), CONSTANTS[token.kind]) end
    if self:take("nil") or self:take("...") then return OTHER end
    if token.kind == "{" then return self:table() end
    if self:take("function") then return self:body() end
    return self:suffixed()
end

local UNARY = { ["not"] = true, ["-"] = true, ["#"] = true, ["~"] = true }
local BINARY = {}
for word in ("+ - * / // % ^ .. << >> & ~ | == ~= < <= > >= and or"):gmatch("%S+") do BINARY[word] = true end

function Parser:unary()
    local is_more = false
    local minus = self.token.kind == "-"
    while UNARY[self.token.kind] do
        self:advance()
        if is_more then minus = false end
        is_more = true
    end
    local node = self:simple()
    if not is_more then return node end
    if minus and node.kind == "constant" and type(node.value) == "number" then return constant(node, -node.value) end
    return OTHER
end

-- What operators bind matters to nobody here.
function Parser:expression()
    self:enter()
    local node = self:unary()
    while BINARY[self.token.kind] do
        self:advance()
        self:unary()
        node = OTHER
    end
    self:leave()
    return node
end

function Parser:expressions()
    local list = { self:expression() }
    while self:take(",") do list[#list + 1] = self:expression() end
    return list
end

-- Statements --------------------------------------------------------------------------------------------------------------

-- The expression that gives value number i of a list, and which of its values it is.
local function value_at(list, i)
    if list[i] then return list[i], 1 end
    if #list == 0 then return nil, 1 end
    return list[#list], i - #list + 1
end

function Parser:local_variables()
    local names = {}
    repeat
        names[#names + 1] = self:want("name").value
        if self:take("<") then
            self:want("name")
            self:want(">")
        end
    until not self:take(",")
    local values = self:take("=") and self:expressions() or {}
    for i, name in ipairs(names) do self:declare(name, value_at(values, i)) end
end

function Parser:local_statement()
    if not self:take("function") then return self:local_variables() end
    self:declare(self:want("name").value, { kind = "function" })
    self:body()
end

-- Notes that something is assigned to.
function Parser:assign(node)
    if node.kind == "local" then node.variable.assigned = true end
    if node.kind == "global" then self.facts.assigned[node.name] = true end
    if node.kind == "index" and type(node.key) == "string" then self.facts.fields[node.key] = true end
end

function Parser:function_statement()
    local node, is_method = self:name(self:want("name")), false
    while self.token.kind == "." or self.token.kind == ":" do
        is_method = self:advance().kind == ":"
        local key = self:want("name")
        node = { kind = "index", object = node, key = key.value, line = key.line, column = key.column }
    end
    self:assign(node)
    self:body(is_method)
end

-- What each step of `for ... in list` gives: of ipairs and pairs, the elements of a list.
local function element(values, place)
    local call = values[1]
    local is_over_list = call and call.kind == "call" and call.callee.kind == "global" and
        (call.callee.name == "ipairs" or call.callee.name == "pairs")
    if is_over_list and place == 2 then return { kind = "element", list = call.args[1] } end
end

function Parser:for_statement()
    local names = { self:want("name").value }
    while self:take(",") do names[#names + 1] = self:want("name").value end
    local is_list = self:take("in") ~= nil
    if not is_list then self:want("=") end
    local values = self:expressions()
    if not is_list and #values == 1 then self:want(",") end
    self:want("do")
    self:open_scope()
    for i, name in ipairs(names) do self:declare(name, is_list and element(values, i) or nil) end
    self:block()
    self:close_scope()
    self:want("end")
end

function Parser:inner_block(last)
    self:open_scope()
    self:block()
    self:close_scope()
    self:want(last)
end

function Parser:if_statement()
    repeat
        self:expression()
        self:want("then")
        self:open_scope()
        self:block()
        self:close_scope()
    until not self:take("elseif")
    if self:take("else") then return self:inner_block("end") end
    self:want("end")
end

function Parser:repeat_statement()
    self:open_scope()
    self:block()
    self:want("until")
    self:expression()
    self:close_scope()
end

local STATEMENTS = {
    [";"] = function() end,
    ["break"] = function() end,
    ["goto"] = function(self) self:want("name") end,
    ["::"] = function(self)
        self:want("name")
        self:want("::")
    end,
    ["do"] = function(self) self:inner_block("end") end,
    ["while"] = function(self)
        self:expression()
        self:want("do")
        self:inner_block("end")
    end,
    ["repeat"] = Parser.repeat_statement,
    ["if"] = Parser.if_statement,
    ["for"] = Parser.for_statement,
    ["function"] = Parser.function_statement,
    ["local"] = Parser.local_statement,
}

function Parser:expression_statement()
    local targets = { self:suffixed() }
    while self:take(",") do targets[#targets + 1] = self:suffixed() end
    if self.token.kind ~= "=" then return end
    self:advance()
    self:expressions()
    for _, target in ipairs(targets) do self:assign(target) end
end

local LAST = { ["end"] = true, ["end of file"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true }

function Parser:block()
    self:enter()
    while not LAST[self.token.kind] do
        if self:take("return") then
            if not LAST[self.token.kind] and self.token.kind ~= ";" then self:expressions() end
            self:take(";")
            break
        end
        local statement = STATEMENTS[self.token.kind]
        if statement then
            self:advance()
            statement(self)
        else
            self:expression_statement()
        end
    end
    self:leave()
end

--- What a text says: { globals= the reads of globals (and [node]=true for those that are none), calls=, indexes=, assigned=
--- {[global]=true}, fields= {[name of a field that is assigned]=true}, own_environment= whether _ENV is a local variable,
--- lexer= }; or nil and { line=, column=, message= }.
function parser.facts(text)
    local self = setmetatable({ lexer = lexer.new(text), depth = 0,
        facts = { globals = {}, calls = {}, indexes = {}, assigned = {}, fields = {}, own_environment = false } }, Parser)
    local ok, problem = pcall(function()
        self:advance()
        self:open_scope()
        self:block()
        self:want("end of file")
    end)
    self.facts.lexer = self.lexer
    if ok then return self.facts end
    if type(problem) ~= "table" then error(problem, 0) end
    return nil, problem
end

return parser
