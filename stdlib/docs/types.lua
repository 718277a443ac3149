-- SPDX-License-Identifier: MIT
-- Types of what calls take and give, as the signatures' words say them: "job" is a class of objects, "d" a duration.

local class = require "qemunet.class"

local types = {}

-- Of parameters, by their names.
local PARAMETERS = {
    d = "duration", t = "any", timeout = "duration", every = "duration", q = "fraction", confidence = "fraction",
    name = "string", unit = "string", cmd = "string", path = "string", remote = "string", text = "string", data = "string",
    s = "string", format = "string", filter = "string", signal = "string", why = "string", bytes = "string", pattern = "any",
    fn = "function", n = "integer", port = "integer", max = "integer", init = "integer", bins = "integer", at = "integer",
    x = "number", y = "number", mean = "number", stdev = "number", p = "number", df = "number",
    nodes = "table", rows = "table", list = "table", place = "table", model = "table", opts = "table", pretty = "boolean",
}

-- Where a name means something else.
local EXCEPTIONS = { ["net:at:t"] = "duration", ["net:schedule:t"] = "duration", ["at:t"] = "duration",
    ["series:values:from"] = "duration", ["stats:t"] = "table" }

--- The type of a parameter of an entry: one of the words of options, "any", or "function".
function types.parameter(entry, name)
    local of_library = entry.name:match("^(%l+)%.")
    return EXCEPTIONS[entry.name .. ":" .. name] or of_library and EXCEPTIONS[of_library .. ":" .. name] or PARAMETERS[name] or
        "any"
end

-- Of results, by their words.
local RESULTS = {
    text = "string", string = "string", number = "number", boolean = "boolean", ["true"] = "boolean", ["function"] = "function",
    table = "table", list = "table", lo = "number", hi = "number", spread = "number", count = "integer", place = "integer",
    x = "number", y = "number", from = "integer", to = "integer", t = "number", path = "string", message = "string",
    values = "any", value = "any", element = "any", error = "any", results = "table", ["standard error"] = "number",
    difference = "number", p = "number", event = "table",
}

--- The type of a result's word: { class= , is_list= }, or the plain type as text; nil for a word that is not known.
function types.result(word)
    local name, list = word:match("^(%l+)(%[?%]?)$")
    if name and class.all[name] then return { class = name, is_list = list == "[]" } end
    return RESULTS[word]
end

return types
