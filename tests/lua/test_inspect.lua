-- SPDX-License-Identifier: MIT
-- The printer of values, and the text tables.

local blames = require "blames".exactly
local inspect = require "qemunet.inspect"
local text = require "qemunet.text"

test("scalars", function()
    local cases = {
        { "a", '"a"' }, { 1, "1" }, { 1.0, "1.0" }, { 0.1, "0.1" }, { 0.1 + 0.2, "0.30000000000000004" },
        { 1e300, "1e+300" }, { 1 / 0, "inf" }, { -1 / 0, "-inf" }, { 0 / 0, "nan" },
        { math.mininteger, "-9223372036854775808" }, { true, "true" },
        { math.sin, "<function builtin>" }, { coroutine.create(math.sin), "<thread suspended>" },
    }
    for _, case in ipairs(cases) do check.equal(inspect(case[1]), case[2]) end
    check.equal(inspect(nil), "nil")
    check.is_true(inspect(function() end):find("^<function .+:%d+>$") ~= nil)
end)

test("strings: UTF-8 is kept, what a terminal should not see is escaped", function()
    check.equal(inspect('a"b\\c\n\r\t'), '"a\\"b\\\\c\\n\\r\\t"')
    check.equal(inspect("\0\27[31m\127"), '"\\x00\\x1B[31m\\x7F"')
    check.equal(inspect("gr\u{FC}n \u{4E16}"), '"gr\u{FC}n \u{4E16}"')
    check.equal(inspect("\xFF\u{FC}\xC3"), '"\\xFF\u{FC}\\xC3"')
    check.equal(inspect("\u{85}"), '"\\xC2\\x85"')
    check.equal(inspect("abcdef", { string = 4 }), '"abcd"... (2 more bytes)')
    check.equal(inspect.quote("abc"), '"abc"')
end)

test("tables: sequence first, then sorted keys", function()
    check.equal(inspect {}, "{}")
    check.equal(inspect { 1, "b", { c = 3 } }, '{ 1, "b", { c = 3 } }')
    check.equal(inspect { z = 1, a = 2, [10] = 3, [1.5] = 4, [true] = 5, ["end"] = 6, ["x y"] = 7, 8 },
        '{ 8, [1.5] = 4, [10] = 3, a = 2, ["end"] = 6, ["x y"] = 7, z = 1, [true] = 5 }')
    check.equal(inspect { nil, 2 }, "{ [2] = 2 }")
end)

test("tables: one line when it fits, else one entry to a line", function()
    local t = { name = "node1", ports = { 22, 80 } }
    check.equal(inspect(t), '{ name = "node1", ports = { 22, 80 } }')
    check.equal(inspect(t, { width = 19 }), '{\n  name = "node1",\n  ports = {\n    22,\n    80\n  }\n}')
    check.equal(inspect(t, { width = 24 }), '{\n  name = "node1",\n  ports = { 22, 80 }\n}')
end)

test("tables: cycles, depth and length are cut short", function()
    local t = { name = "t" }
    t.self = t
    check.equal(inspect(t), '{ name = "t", self = <cycle> }')
    local shared = { 1 }
    check.equal(inspect { shared, shared }, "{ { 1 }, { 1 } }")
    check.equal(inspect({ { { 1 } } }, { depth = 2 }), "{ { {...} } }")
    check.equal(inspect({ 1, 2, 3, 4 }, { max = 2 }), "{ 1, 2, ... (2 more) }")
    local wide = {}
    for _ = 1, 6 do wide = { wide, wide, wide, wide, wide, wide, wide, wide, wide, wide } end
    check.less(#inspect(wide), 200000)
end)

test("metatables: __tostring and __name, of tables and userdata", function()
    check.equal(inspect(setmetatable({ 1 }, { __tostring = function() return "node n1" end })), "node n1")
    check.equal(inspect(setmetatable({ 1 }, { __name = "Node" })), "Node { 1 }")
    check.equal(inspect(setmetatable({}, { __tostring = function() error("x") end, __name = "Bad" })),
        "<Bad: error in __tostring>")
    check.equal(inspect(setmetatable({}, { __tostring = function() return {} end })), "<table: error in __tostring>")
    check.is_true(inspect(io.stdout):find("^file %(") ~= nil)
    check.equal(inspect(setmetatable({}, { __index = function() error("read") end, __pairs = error })), "{}")
end)

test("keys and paths", function()
    check.equal(inspect.keys({ 1, 2, b = 1, a = 1 }, 2), { "a", "b" })
    check.equal(inspect.path("name"), ".name")
    check.equal(inspect.path(3), "[3]")
    check.equal(inspect.path("a b"), '["a b"]')
    check.equal(inspect.path("end"), '["end"]')
end)

test("columns: a header, text to the left, numbers to the right", function()
    local table_text = text.columns {
        { "node", "rtt", "loss", "address" },
        { "a", 1.5, "1%", "10.0.0.1" },
        { "long", 20.25, "10%" },
        { "c", nil, "-", "10.0.0.3" },
    }
    check.equal(table_text, table.concat({
        "node    rtt  loss  address",
        "a       1.5    1%  10.0.0.1",
        "long  20.25   10%",
        "c               -  10.0.0.3",
    }, "\n"))
end)

test("columns: options", function()
    local rows = { { "a", "b" }, { "xyz", 1 / 3 } }
    check.equal(text.columns(rows, { rule = true, gap = " | ", float = "%.2f" }), "a   |    b\n--- | ----\nxyz | 0.33")
    check.equal(text.columns(rows, { align = { "right", "left" } }), "  a  b\nxyz  0.333333")
    check.equal(text.columns {}, "")
    check.equal(rows, { { "a", "b" }, { "xyz", 1 / 3 } })
end)

test("columns: widths are those of the screen", function()
    check.equal(text.width("gr\u{FC}n"), 4)
    check.equal(text.width("\u{4E16}\u{754C}"), 4)
    check.equal(text.width("e\u{301}"), 1)
    check.equal(text.width("\xFF\xFE"), 2)
    local rows = { { "h", "i" }, { "\u{FC}\u{FC}", "x" }, { "abc", "y\nz" } }
    check.equal(text.columns(rows), "h    i\n\u{FC}\u{FC}   x\nabc  y z")
end)

test("columns: misuse raises at the script's line", function()
    blames(function() text.columns(5) end, "columns: want a list of rows, got 5")
    blames(function() text.columns { { "a" }, "b" } end, "columns: row 2 is not a list")
end)
