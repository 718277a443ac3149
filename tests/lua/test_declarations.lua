-- SPDX-License-Identifier: MIT
-- Each test of a suite may declare its own nodes, in a setup or itself, under the names of an earlier test's.

local blames = require "blames".exactly
local testbed = require "qemunet.testbed"

local kept = host("kept")
local c

test("what a test declares itself", function()
    c = host("c")
    link(c, kept)
    boot()
    c:succeed("ping -c 1 -W 5 kept")
end)

test("is there for the next, which does not declare it again", function()
    if not c then skip("run without the test before") end
    c:succeed("ping -c 1 -W 5 kept")
end)

test("and is replaced by one that does", function()
    local old = c
    c = host("c")
    check.equal(c:ok("true"), true)
    check.equal(old and old.state, old and "down")
    check.equal(#kept.nics, 0)
end)

local a, b, cable, earlier

local function prepare()
    earlier = { a = a, cable = cable }
    a, b = host("a"), host("b")
    cable = link(a, b, { delay = "1ms" })
    switch("core"):connect(kept)
    radio("air"):join(responder("far"), { 0, 0 })
    image { "an-image", packages = { "hello" } }
    boot()
end

local function works()
    prepare()
    check.equal(#testbed.nodes(), c and 5 or 4)
    check.equal(#testbed.links(), 3)
    check.equal(#kept.nics, 1)
    check.equal(a:ip(cable):match("%d+$"), "1")
    a:write("/tmp/mark", "of this test")
    a:succeed("ping -c 1 -W 5 b")
end

test("what is declared before each test, as by a setup", works)

test("is declared again for the next test, and the earlier is gone", function()
    works()
    if not earlier.a then return skip("run without the tests before") end
    check.equal(earlier.a.state, "down")
    blames(function() earlier.cable:down() end, "link a--b was removed")
    local result = earlier.a:run("true")
    check.equal({ result.ok, result.status }, { false, nil })
end)

test("as often as there are tests", works)

test("twice in one test is a mistake", function()
    prepare()
    blames(function() host("a") end, 'there is a node "a" already')
    blames(function() switch("core") end, 'there is a switch "core" already')
    blames(function() radio("air") end, 'there is a radio "air" already')
    blames(function() image { "an-image", packages = { "hello" } } end, 'image: there is an image "an-image" already') -- no check
end)

test("and so is what the file's main part has declared", function()
    blames(function() host("kept") end, 'there is a node "kept" already')
end)

