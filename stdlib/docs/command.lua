-- SPDX-License-Identifier: MIT
-- The commands help and doc.

local core = require "qemunet.core"
local help = require "qemunet.docs.help"
local language = require "qemunet.program.language"
local options = require "qemunet.options"
local reference = require "qemunet.docs.reference"
local suite = require "qemunet.suite.suite"
local usages = require "qemunet.program.usage"

local command = {}

-- The names of the language, as an experiment has them.
local function names()
    local all = language.names(suite.globals(suite.new()), {})
    package.loaded.qemunet = all
    return all
end

local function merged(a, b)
    local all = {}
    for name in pairs(a) do all[name] = true end
    for name in pairs(b) do all[name] = true end
    return all
end

-- What there is to know of a word: a command, a name of the language, or both.
local function about(word, usage)
    local known = names()
    if word == "language" then return help.language() end
    local said, why = help.about(word)
    local of_command = usages.of(word)
    if of_command then return said and of_command .. "\n\n" .. said or of_command end
    if said then return said end
    local hint = options.hint(word, merged(usages.commands(), known), { language = true })
    return usage(hint ~= "" and ("help: there is no command and no name %q%s"):format(word, hint) or "help: " .. why)
end

--- help WORD: prints what there is to know of it. `usage`: fn(message), which raises for a wrong command line.
function command.help(given, usage)
    if #given > 1 then usage("help wants one word") end
    core.print((given[1] and about(given[1], usage) or usages.TEXT) .. "\n")
end

--- doc: prints the reference; with `luals`, writes annotations for editors to a folder instead.
function command.doc(luals, given, usage)
    if #given > (luals and 1 or 0) then usage("doc wants no file; --luals at most one folder") end
    if not luals then return core.print(reference.text(names())) end
    local folder, why = require "qemunet.docs.annotations".write(given[1] or ".", names())
    if not folder then usage("doc: " .. why) end
    core.progress_open(0)
    core.log(0, "annotations: " .. folder)
end

return command
