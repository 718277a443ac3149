-- SPDX-License-Identifier: MIT
-- A page as a file: one that was made when the program was built (page/), and in it the data, as JSON, which nothing in it can
-- end, and the page shows as text.

local core = require "qemunet.core"
local output = require "qemunet.output"

local page = {}

local MARKER = "<!--data-->"

-- Nothing that HTML or JavaScript could take for its own is left; in JSON these stand in texts only.
local ESCAPES = { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["\xe2\x80\xa8"] = "\\u2028",
    ["\xe2\x80\xa9"] = "\\u2029" }

--- page.escape(json) -> the same JSON, for the inside of a script element.
function page.escape(json)
    return (json:gsub("[<>&]", ESCAPES):gsub("\xe2\x80[\xa8\xa9]", ESCAPES))
end

-- Writes pieces of text; the first failure is kept, and nothing is written after it.
local Out = {}
Out.__index = Out

function Out:put(...)
    if self.why then return end
    local ok, why = self.file:write(...)
    if not ok then self.why = why end
end

-- After so many lines, whoever else waits has a turn.
local REST = 5000

function Out:rest()
    self.count = self.count + 1
    if self.count % REST == 0 then core.wait({}, 0) end
end

function Out:begin(id) self:put('<script type="application/json" id="', id, '">') end
function Out:finish() self:put("</script>\n") end

function Out:value(id, value)
    self:begin(id)
    self:put(page.escape(assert(core.json_encode(value))))
    self:finish()
end

-- What is before the data, and behind it; or nil and why.
local function halves(name)
    local text = core.report_page(name)
    if not text then return nil, "the program was built without the page, which needs npm" end
    local at, behind = text:find(MARKER, 1, true)
    return text:sub(1, at - 1), text:sub(behind + 1)
end

-- Takes the place of a file.
local Pieces = {}
Pieces.__index = Pieces

function Pieces:write(...)
    for i = 1, select("#", ...) do self[#self + 1] = tostring((select(i, ...))) end
    return true
end

--- page.collect(fn) -> text: the data that fn(out) puts there, as for page.write(), but nobody has a turn meanwhile.
function page.collect(fn)
    local pieces = setmetatable({}, Pieces)
    fn(setmetatable({ file = pieces, rest = function() end }, Out))
    return table.concat(pieces)
end

--- page.text(name, data) -> the page of that name with such data in it; or nil and why.
function page.text(name, data)
    local head, tail = halves(name)
    if not head then return nil, tail end
    return head .. data .. tail
end

--- page.write(name, path, fn) -> path; or nil and why: writes the page of that name, whole or not at all, with the data that
--- fn(out) puts there: out:begin(id), out:put(text, ...) of escaped JSON, with out:rest() now and then, and out:finish(); or
--- out:value(id, value).
function page.write(name, path, fn)
    local head, tail = halves(name)
    if not head then return nil, tail end
    local written, problem = output.replace(path, function(file)
        local out = setmetatable({ file = file, count = 0 }, Out)
        out:put(head)
        fn(out)
        out:put(tail)
        return out.why
    end)
    if written then return path end
    return nil, problem:find(path, 1, true) and problem or ("%s: %s"):format(path, problem)
end

return page
