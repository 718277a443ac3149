-- SPDX-License-Identifier: MIT
-- Output that comes in pieces, cut into lines.

local line_queue = require "qemunet.nodes.line_queue"

-- All lines of a queue, as "stream:line".
local function drain(queue, list)
    list = list or {}
    for line, stream in queue.take, queue do list[#list + 1] = stream .. ":" .. line end
    return list
end

local function drain_rest(queue, list)
    for line, stream in queue.take_rest, queue do list[#list + 1] = stream .. ":" .. line end
    return list
end

test("however it was cut into pieces, the lines are the same", function()
    local text = "one\n\n\ntwo three\nfour\n\nrest"
    local want = { "stdout:one", "stdout:", "stdout:", "stdout:two three", "stdout:four", "stdout:", "stdout:rest" }
    for size = 1, #text do
        local queue, seen = line_queue.new(), {}
        for from = 1, #text, size do
            queue:feed(text:sub(from, from + size - 1), "stdout")
            if from % 2 == 1 then drain(queue, seen) end
        end
        check.equal(drain_rest(queue, drain(queue, seen)), want, "pieces of " .. size)
    end
end)

test("the streams do not mix, and a line is there when it has ended", function()
    local queue = line_queue.new()
    queue:feed("a", "stdout")
    queue:feed("b", "stderr")
    check.is_nil(queue:take())
    queue:feed("A\nc", "stdout")
    queue:feed("B\n", "stderr")
    check.equal(drain(queue), { "stdout:aA", "stderr:bB" })
    queue:feed("d", "stderr")
    check.equal(drain_rest(queue, drain(queue)), { "stdout:c", "stderr:d" })
    check.is_nil(queue:take_rest())
end)
