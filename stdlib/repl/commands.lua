-- SPDX-License-Identifier: MIT
-- What can be typed at a prompt that is no Lua: a colon, a word, and what it is about.

local attach = require "qemunet.repl.attach"
local core = require "qemunet.core"
local display = require "qemunet.repl.display"
local entry = require "qemunet.repl.entry"
local errors = require "qemunet.errors"
local options = require "qemunet.options"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"
local units = require "qemunet.units"

local commands = {}

local function say(...) core.print((...):format(select(2, ...)) .. "\n") end

-- name -> {what it takes, what it does, function(session, argument)}; those behind a breakpoint's name need one.
local LIST, AT_BREAKPOINT = {}, {}

local ORDER = { "help", "nodes", "attach", "load", "time", "where", "frame", "locals", "continue", "quit" }

local KEYS = [[
Tab completes; the arrow keys bring earlier lines back, Ctrl-R searches them. Ctrl-C interrupts a call or discards the line;
Ctrl-D ends. `_` is the last value. Tasks, machines and links go on while you type. help(vm), or :help vm, tells of a function, help(n) of
an object and its methods.]]

local function offered(session)
    local list = {}
    for _, name in ipairs(ORDER) do
        if LIST[name] or session.frames and AT_BREAKPOINT[name] then list[#list + 1] = name end
    end
    return list
end
commands.names = offered

local function find(session, name) return LIST[name] or session.frames and AT_BREAKPOINT[name] end

local function list_commands(session)
    local rows = {}
    for _, name in ipairs(offered(session)) do
        local command = find(session, name)
        rows[#rows + 1] = (":%s %s"):format(name, command[1])
        rows[#rows] = ("  %-18s%s"):format(rows[#rows], command[2])
    end
    say("%s\n\n%s", table.concat(rows, "\n"), KEYS)
end

LIST.help = { "[NAME]", "this list, or what there is to know of a name of the language", function(session, argument)
    if argument ~= "" then return require "qemunet.docs.help".help(argument) end
    list_commands(session)
end }

local function addresses(node)
    local list = {}
    for _, nic in ipairs(node.nics) do list[#list + 1] = nic.ip end
    return table.concat(list, " ")
end

LIST.nodes = { "", "the nodes, their states and addresses", function()
    local rows = { { "node", "kind", "state", "addresses" } }
    for _, node in ipairs(testbed.nodes()) do
        rows[#rows + 1] = { node.name, debug.getmetatable(node).__name, node.state, addresses(node) }
    end
    if #rows == 1 then return say("there are none") end
    core.print(text.columns(rows) .. "\n")
end }

LIST.attach = { "NODE", "its console, until Ctrl-]", function(_, argument)
    if argument == "" then errors.problem(":attach wants the name of a machine") end
    say("\n[%s]", attach.to(argument))
end }

LIST.load = { "FILE", "run a file here", function(session, argument)
    if argument == "" then errors.problem(":load wants the path of a file") end
    session:load(argument)
end }

LIST.time = { "EXPRESSION", "its values, and how long they took", function(session, argument)
    local fn, why = entry.compile(argument, session.scope, "=input")
    if not fn then errors.problem(why) end
    local begin = core.now()
    local values = table.pack(fn())
    session:show(values)
    say("took %s", units.format_duration(core.now() - begin))
end }

LIST.quit = { "", "end, as Ctrl-D does", function(session) session.over = "quit" end }

AT_BREAKPOINT.where = { "", "the stack; the frame whose variables are in reach is marked", function(session)
    for i, frame in ipairs(session.frames) do
        say("%s %d%s", frame == session.scope.frame and ">" or " ", i, frame.where:gsub("^%s*", "  "))
    end
end }

AT_BREAKPOINT.frame = { "N", "have the variables of that frame in reach", function(session, argument)
    local frame = session.frames[math.tointeger(tonumber(argument))]
    if not frame then errors.problem((":frame wants a number from 1 to %d; see :where"):format(#session.frames)) end
    session:enter(frame)
end }

AT_BREAKPOINT["locals"] = { "", "the variables of the frame", function(session)
    if not session.scope.frame then return end
    for _, variable in ipairs(session.scope.frame:variables()) do
        say("%s = %s", variable.name, display.text(variable.value))
    end
end }

AT_BREAKPOINT.continue = { "", "go on, as Ctrl-D does", function(session) session.over = "continue" end }

--- Whether a line is a command, not Lua.
function commands.is_one(line) return line:find("^%s*:%s*%a") ~= nil end

--- Does what a line says.
function commands.run(session, line)
    local name, argument = line:match("^%s*:%s*(%a+)%s*(.-)%s*$")
    local command = find(session, name)
    if not command then
        errors.problem(("there is no command :%s%s; :help lists them"):format(name, options.hint(name, LIST,
            session.frames and AT_BREAKPOINT or {})))
    end
    command[3](session, argument)
end

return commands
