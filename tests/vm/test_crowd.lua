-- SPDX-License-Identifier: MIT
-- 64 commands at once on one machine, all of them alive and streaming.

local CROWD = 64

local a = vm("a", { mem = "512M" })
boot()

test("64 jobs at once, each streaming, none starving another", function()
    local jobs = {}
    for i = 1, CROWD do
        jobs[i] = a:spawn(("echo begun %d; read line; n=0; while [ $n -lt 20 ]; do echo %d $line $n; n=$((n+1)); done; exit %d")
            :format(i, i, i))
    end
    -- All have begun before any may go on.
    for i = 1, CROWD do check.equal(jobs[i]:expect("begun (\\d+)", 60)[1], tostring(i)) end
    for i = CROWD, 1, -1 do jobs[i]:write("word" .. i .. "\n") end
    for i = 1, CROWD do
        local want = { "begun " .. i }
        for n = 0, 19 do want[#want + 1] = ("%d word%d %d"):format(i, i, n) end
        local r = assert(jobs[i]:wait(60))
        check.equal({ r.status, r.stdout }, { i, table.concat(want, "\n") .. "\n" })
    end
end)

test("one that prints without end does not keep the others from their results", function()
    local endless = a:spawn("cat /dev/zero", { max_output = 1000 })
    for i = 1, 20 do check.equal(a:succeed("echo " .. i), i .. "\n") end
    check.equal(endless.running, true)
    endless:kill("KILL")
    check.equal(endless:wait(20).signal, 9)
end)
