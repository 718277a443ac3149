-- SPDX-License-Identifier: MIT
-- A script that computes without waiting: machines and packets go on, and the run says which line it is.

local core = require "qemunet.core"

-- The places of which it was told that they compute.
local function places()
    local list = {}
    for event in io.lines((csv.write("here.csv", {}):gsub("here%.csv$", "events.jsonl"))) do
        event = json.decode(event)
        if event.kind == "busy" and event.where ~= "" then list[#list + 1] = event.where end
    end
    return list
end

test("a script that computes for long is told of, and a machine and its packets go on meanwhile", function()
    local a, b = vm("a"), responder("b")
    local cable = link(a, b, { delay = "5ms" })
    boot()
    local ping = a:spawn("ping -i 0.1 -c 10 b")
    ping:expect("seq=0")
    local line = debug.getinfo(1, "l").currentline + 2
    local till = core.now() + 1.5
    while core.now() < till or cable:stats().ba.delivered < 9 and core.now() < till + 20 do end -- a busy guest is slow
    check.less(8, cable:stats().ba.delivered) -- 9 more answers, and an ARP one
    check.match(ping:wait(30).stdout, "10 packets transmitted, 10 packets received")
    eventually(20, function() return #places() > 0 end)
    check.match(places()[1], "test_busy%.lua:" .. line .. "$")
end)

test("what computes for long in a task of the library's alone is told of with the library's line", function()
    local before = #places()
    go(load("local core = ...\nlocal till = core.now() + 1.5\nwhile core.now() < till do end", "@stdlib/slow.lua"), core):join()
    local list
    eventually(20, function() -- it is written in its turn
        list = places()
        return #list > before
    end)
    check.equal(list[before + 1], "stdlib/slow.lua:3")
end)
