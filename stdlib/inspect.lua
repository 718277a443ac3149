-- SPDX-License-Identifier: MIT
-- A printer of Lua values for people: sorted keys, one line when it fits, cycles and depth cut short, bytes that a
-- terminal should not see escaped. It is not a serialiser: no address is shown, so that output compares between runs.

local inspect = {}

local DEFAULTS = { width = 100, depth = 6, max = 2000, string = 4096, indent = "  " }
local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch("%a+") do
    KEYWORDS[word] = true
end
local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" }
local RANK = { number = 1, string = 2, boolean = 3 }

local function escape_byte(c)
    return ESCAPES[c] or string.format("\\x%02X", c:byte())
end

-- Escapes what is valid UTF-8: the ASCII controls, and U+0080-U+009F, which terminals obey too.
local function escape_text(s)
    s = s:gsub('[\0-\31\127"\\]', escape_byte)
    return (s:gsub("\xC2[\x80-\x9F]", function(pair)
        return (pair:gsub(".", escape_byte))
    end))
end

--- A string as a Lua literal in double quotes, valid UTF-8 kept and every other byte escaped.
-- @param s      the string
-- @param limit  bytes shown at most (default: all); what is cut off is counted after the quotes
function inspect.quote(s, limit)
    local rest = ""
    if limit and #s > limit then
        rest = string.format("... (%d more bytes)", #s - limit)
        s = s:sub(1, limit)
    end
    local out, from = {}, 1
    while from <= #s do
        local _, bad = utf8.len(s, from)
        out[#out + 1] = escape_text(s:sub(from, bad and bad - 1))
        if not bad then break end
        out[#out + 1] = escape_byte(s:sub(bad, bad))
        from = bad + 1
    end
    return '"' .. table.concat(out) .. '"' .. rest
end

local function number_text(v)
    if v ~= v then return "nan" end
    if math.type(v) == "integer" or v - v ~= 0 then return tostring(v) end
    local text = string.format("%.14g", v)
    if tonumber(text) ~= v then text = string.format("%.17g", v) end
    return text:find("[.e]") and text or text .. ".0"
end

local function function_text(f)
    local info = debug.getinfo(f, "S")
    if info.what == "C" then return "<function builtin>" end
    return string.format("<function %s:%d>", info.short_src, info.linedefined)
end

-- What the value's own __tostring or __name says of it: text, name; both nil when it says nothing.
local function own_text(v)
    local meta = debug.getmetatable(v)
    if not meta then return nil end
    local name = rawget(meta, "__name")
    name = type(name) == "string" and name or nil
    if rawget(meta, "__tostring") == nil then return nil, name end
    local ok, text = pcall(tostring, v)
    return ok and text or string.format("<%s: error in __tostring>", name or type(v)), name
end

local function key_less(a, b)
    local ra, rb = RANK[type(a)] or 4, RANK[type(b)] or 4
    if ra ~= rb then return ra < rb end
    if ra <= 2 then return a < b end
    if ra == 3 then return not a and b end
    return type(a) < type(b)
end

--- The keys of a table beyond its first n elements, in a fixed order: numbers, strings, booleans, the rest.
-- @param t     a table (read raw: no metamethod is called)
-- @param n     leave out the integer keys 1..n (default 0)
function inspect.keys(t, n)
    n = n or 0
    local keys = {}
    for k in next, t do
        if not (math.type(k) == "integer" and k >= 1 and k <= n) then keys[#keys + 1] = k end
    end
    table.sort(keys, key_less)
    return keys
end

local function is_identifier(k)
    return type(k) == "string" and k:find("^[%a_][%w_]*$") ~= nil and not KEYWORDS[k]
end

--- A key as it is written after a table's name: `.name`, `[3]`, `["a b"]`.
function inspect.path(k)
    if is_identifier(k) then return "." .. k end
    return "[" .. inspect(k, { depth = 0, string = 60 }) .. "]"
end

local function sequence_length(t)
    local n = 0
    while rawget(t, n + 1) ~= nil do n = n + 1 end
    return n
end

local render

-- The entries of a table as texts (`value` or `key = value`), until the budget of entries is spent.
local function entries(t, state, depth)
    local n = sequence_length(t)
    local keys = inspect.keys(t, n)
    local total, out = n + #keys, {}
    for i = 1, total do
        if state.left <= 0 then
            out[i] = string.format("... (%d more)", total - i + 1)
            break
        end
        state.left = state.left - 1
        local k = keys[i - n]
        local label = ""
        if i > n then label = (is_identifier(k) and k or "[" .. render(k, state, state.depth, 0) .. "]") .. " = " end
        out[i] = label .. render(rawget(t, i <= n and i or k), state, depth + 1, #label)
    end
    return out
end

-- Joins entries on one line when they fit into what is left of the width, else one below the other.
local function layout(list, prefix, state, depth, taken)
    local line = prefix .. "{ " .. table.concat(list, ", ") .. " }"
    local room = state.width - #state.indent * depth - taken
    if not line:find("\n", 1, true) and (utf8.len(line) or #line) <= room then return line end
    local inner = state.indent:rep(depth + 1)
    return prefix .. "{\n" .. inner .. table.concat(list, ",\n" .. inner) .. "\n" .. state.indent:rep(depth) .. "}"
end

local function table_text(t, state, depth, taken)
    local text, name = own_text(t)
    if text then return text end
    local prefix = name and name .. " " or ""
    if state.open[t] then return prefix .. "<cycle>" end
    if next(t) == nil then return prefix .. "{}" end
    if depth >= state.depth then return prefix .. "{...}" end
    state.open[t] = true
    local list = entries(t, state, depth)
    state.open[t] = nil
    return layout(list, prefix, state, depth, taken)
end

local function userdata_text(v)
    local text, name = own_text(v)
    return text or "<" .. (name or "userdata") .. ">"
end

local WRITERS = {
    number = number_text,
    string = function(v, state) return inspect.quote(v, state.string) end,
    table = table_text,
    ["function"] = function_text,
    thread = function(v) return "<thread " .. coroutine.status(v) .. ">" end,
    userdata = userdata_text,
}

-- depth: tables open around v; taken: columns used on its first line before it.
function render(v, state, depth, taken)
    local writer = WRITERS[type(v)]
    if writer then return (writer(v, state, depth, taken)) end
    return tostring(v)
end

--- inspect(v, opts) -> text: any value as text for people: keys sorted, cycles and depth cut short, bytes escaped.
-- Tables and userdata with __tostring show its text, those with __name show the name. It shows no addresses, so that output
-- compares between runs. Nothing raises.
-- @param v  any value
-- @option width   columns that a table on one line may fill
-- @option depth   nested tables shown; deeper ones are {...}
-- @option max     table entries shown in all
-- @option string  bytes shown of a string
-- @option indent  what nested lines begin with
-- @example
--   check.equal(inspect { 1, "a", x = { true } }, '{ 1, "a", x = { true } }')
local function call(_, v, opts)
    local state = setmetatable({ open = {} }, { __index = DEFAULTS })
    for k, value in pairs(opts or {}) do state[k] = value end
    state.left = state.max
    return render(v, state, 0, 0)
end

return setmetatable(inspect, { __call = call })
