-- SPDX-License-Identifier: MIT
-- `qemunet test` with files of its own, each test in a folder of its own: what is run, in which order and beside what.
-- test_batch_ends has how each can end, test_batch_reports what is said of it, test_batch_parts what needs no process.

local batches = require "batches"

local batch, expect, has = batches.run, batches.expect, batches.has
local shell, write = batches.shell, batches.write

setup(batches.make_folder)
teardown(batches.remove_folder)

-- Which files -----------------------------------------------------------------------------------------------------------

test("files are found by their names, below folders, but hidden ones and those of runs", function()
    for _, name in ipairs { "tests/test_a.lua", "tests/deep/er/b_test.lua", "tests/helper.lua", "tests/test_c.txt",
        "tests/.hidden/test_d.lua", "tests/runs/test_e.lua", "test_f.lua", "other.lua" } do
        write(name, "")
    end
    shell('ln -s .. "$1/tests/circle"', batches.folder)
    local run = batch("--jobs", "1")
    expect(run, 0, "2 passed, 0 failed")
    has(run.stdout, "# tests/deep/er/b_test.lua\nok 1 - tests/deep/er/b_test.lua\n# tests/test_a.lua\n")
    expect(batch("."), 0, "3 passed, 0 failed")
    expect(batch("other.lua", "tests/", "./tests/test_a.lua", "tests/runs"), 0, "4 passed, 0 failed")
end)

test("what cannot be run is wrong usage", function()
    local function refused(text, ...)
        local run = batch(...)
        check.equal({ run.status, run.stdout }, { 2, "" })
        has(run.stderr, "qemunet: " .. text)
    end
    refused("no test_*.lua or *_test.lua in .")
    refused("cannot read missing.lua: No such file", "missing.lua")
    write("test_a.lua", "")
    refused("--filter (: missing closing parenthesis at offset 1", "--filter", "(")
    refused("--jobs 0: want a number, at least 1", "--jobs", "0")
    refused("--junit: nowhere/x.xml.part: No such file", "--junit", "nowhere/x.xml")
    refused('unknown option --retry; did you mean "--retries"?', "--retry", "1")
    refused("--shuffle many: want a whole number", "--shuffle=many")
end)

-- Which tests, in which order ---------------------------------------------------------------------------------------------

test("a filter chooses by the name, or by file and name", function()
    write("test_1.lua", [[test("ping one", function() end) test("tcp", function() end)]])
    write("test_2.lua", [[test("ping two", function() end)]])
    write("test_3.lua", "print 'no tests'")
    expect(batch(".", "--filter", "^ping"), 0, "2 passed, 0 failed")
    expect(batch(".", "--filter", "^test_1.lua: (?!tcp)"), 0, "1 passed, 0 failed")
    expect(batch(".", "--filter", "test_3"), 0, "1 passed, 0 failed")
    local run = batch(".", "--filter", "nothing")
    expect(run, 2, "0 passed, 0 failed")
    has(run.stderr, "no test matches --filter nothing")
end)

test("shuffled: an order that its seed brings back", function()
    local text = {}
    for i = 1, 9 do text[i] = ('test("t%d", function() end)\n'):format(i) end
    for i = 1, 3 do write(("test_%d.lua"):format(i), table.concat(text)) end
    local function order(...)
        local run = batch(...)
        expect(run, 0, "27 passed, 0 failed")
        return run.stdout:gsub("[^\n]*%-%-shuffle=.*", ""), run.stdout:match("%-%-shuffle=(%d+)")
    end
    local first, seed = order(".", "--shuffle", "--jobs", "1")
    check.equal(order(".", "--shuffle=" .. seed, "--jobs", "1"), first)
    check.not_equal(order(".", "--shuffle=" .. seed + 1, "--jobs", "1"), first)
end)

test("--fail-fast ends what runs and begins no more", function()
    write("test_1.lua", [[test("bad", function() error("no", 0) end) test("never", function() end)]])
    write("test_2.lua", [[test("long", function() sleep(60) end)]])
    write("test_3.lua", [[test("never", function() end)]])
    local run = batch("test_2.lua", "test_1.lua", "test_3.lua", "--fail-fast", "--jobs", "2")
    expect(run, 1, "0 passed, 1 failed")
    has(run.stdout, "ended early: --fail-fast: 1 of 3 files were not run")
end)

-- Side by side ------------------------------------------------------------------------------------------------------------

-- Each waits for the other, and writes meanwhile.
local function write_pair()
    for i, other in ipairs { 2, 1 } do
        write(("test_%d.lua"):format(i), ([[
            test("meets", function()
                local own, other = param("folder") .. "/%d", param("folder") .. "/%d"
                print "first of %d"
                io.open(own, "w"):close()
                eventually(param("patience", 60), function() return io.open(other) end, { every = "5ms" })
                io.stderr:write("error of %d\n")
                print "last of %d"
            end)]]):format(i, other, i, i, i))
    end
end

test("files run side by side, and each one's output is shown whole", function()
    write_pair()
    local run = batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "2")
    expect(run, 0, "2 passed, 0 failed")
    for i = 1, 2 do has(run.stdout, ("# test_%d.lua\nfirst of %d\nlast of %d\nok "):format(i, i, i)) end
    has(run.stderr, "error of 1\n")
    shell('rm "$1/1" "$1/2"', batches.folder)
    run = batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "1", "--param", "patience=0.1")
    expect(run, 1, "1 passed, 1 failed")
end)

test("files whose machines take more memory than there is run one after the other from then on", function()
    for i, other in ipairs { 2, 1 } do
        write(("test_%d.lua"):format(i), ([[
            local nodes = require "qemunet.nodes.vm"
            test("is alone", function()
                local own, other = param("folder") .. "/%d", param("folder") .. "/%d"
                io.open(own .. "began", "w"):close()
                eventually(60, function() return io.open(other .. "began") end, { every = "5ms" })
                vm("a", { mem = "1000G", kernel = "/dev/null" })
                nodes.prepare() -- as when it boots
                check.is_nil(io.open(other))
                io.open(own, "w"):close()
                sleep("0.1s")
                os.remove(own)
            end)]]):format(i, other))
    end
    expect(batch(".", "--allow-host", "--param", "folder=" .. batches.folder, "--jobs", "2"), 0, "2 passed, 0 failed")
end)
