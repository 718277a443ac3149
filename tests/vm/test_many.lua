-- SPDX-License-Identifier: MIT
-- Many commands: queued on many machines, and at once on one.

local MACHINES, JOBS = 20, 50

local nodes = vms(MACHINES, "m%d", { mem = "96M" })
boot()

test("1,000 jobs queued on 20 machines: each has its own result", function()
    local jobs = {}
    for i, n in ipairs(nodes) do
        for k = 1, JOBS do
            local id = i * 1000 + k
            jobs[#jobs + 1] = { id = id, node = n.name, k = k,
                job = n:spawn(("echo out %d; echo err %d >&2; exit %d"):format(id, id, k)) }
        end
    end
    check.equal(#jobs, MACHINES * JOBS)
    for _, each in ipairs(jobs) do
        local r = assert(each.job:wait(240))
        check.equal({ r.node, r.status, r.stdout, r.stderr, r.error },
            { each.node, each.k, ("out %d\n"):format(each.id), ("err %d\n"):format(each.id), nil })
    end
end)

test("sync over 20 machines is one round", function()
    local commands = {}
    for _, n in ipairs(nodes) do commands[n] = "echo $(hostname)" end
    local results, spread = sync(commands)
    for _, n in ipairs(nodes) do check.equal(results[n].stdout, n.name .. "\n") end
    check.equal(spread >= 0, true)
end)
