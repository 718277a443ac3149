-- SPDX-License-Identifier: MIT
-- A script that computes without waiting: machines and packets go on, and the run says which line it is.

local core = require "qemunet.core"

test("a script that computes for long is told of, and a machine and its packets go on meanwhile", function()
    local a, b = vm("a"), responder("b")
    local cable = link(a, b, { delay = "5ms" })
    boot()
    local ping = a:spawn("ping -i 0.1 -c 10 b")
    ping:expect("seq=0")
    local line = debug.getinfo(1, "l").currentline + 2
    local till = core.now() + 1.5
    while core.now() < till do end
    check.less(8, cable:stats().ba.delivered) -- 9 more answers, and an ARP one
    check.match(ping:wait(30).stdout, "10 packets transmitted, 10 packets received")
    local told
    for event in io.lines((csv.write("here.csv", {}):gsub("here%.csv$", "events.jsonl"))) do
        local where = json.decode(event).where
        told = told or where and where ~= "" and where
    end
    check.match(told, "test_busy%.lua:" .. line .. "$")
end)
