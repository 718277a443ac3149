-- SPDX-License-Identifier: MIT
-- What a run says of itself while it runs.

local core = require "qemunet.core"
local csv = require "qemunet.csv"
local inventory = require "qemunet.report.inventory"
local testbed = require "qemunet.testbed"
local text = require "qemunet.text"

local state = {}

local about, results, verdict

--- Begins anew for a run of a file, with that seed.
function state.reset(file, seed)
    about = { file = core.real_path(file) or file, seed = seed }
    results, verdict = {}, nil
end

--- A test has ended; the run has come to its verdict.
function state.tell_test(result) results[#results + 1] = result end
function state.tell_verdict(text_of_it) verdict = text_of_it end

-- Of a run without tests, there is nothing to tell before its end.
local function so_far()
    if verdict then return verdict end
    local words, counts = {}, { passed = 0, failed = 0, skipped = 0 }
    for _, result in ipairs(results) do counts[result.outcome] = counts[result.outcome] + 1 end
    for _, outcome in ipairs { "passed", "failed", "skipped" } do
        if counts[outcome] > 0 then words[#words + 1] = ("%d %s"):format(counts[outcome], outcome) end
    end
    return #words > 0 and table.concat(words, ", ") or "running"
end

--- state.kinds() -> list of { kind=, n=, states= { [state] = n } } in the order of their declaration.
function state.kinds()
    local list, by_kind = {}, {}
    for _, node in ipairs(testbed.nodes()) do
        local kind, now = getmetatable(node).__name, rawget(node, "state") or "up"
        local entry = by_kind[kind]
        if not entry then
            entry = { kind = kind, n = 0, states = {} }
            by_kind[kind], list[#list + 1] = entry, entry
        end
        entry.n = entry.n + 1
        entry.states[now] = (entry.states[now] or 0) + 1
    end
    return list
end

local ORDER = { "defined", "booting", "paused", "panicked", "crashed", "down" } -- "up" goes first, and alone unsaid

local WORDS = { simulated = "simulated node" }

-- "3 vms: 2 up, 1 booting"
local function kind_text(entry)
    local words = {}
    if entry.states.up ~= entry.n then
        if entry.states.up then words[1] = entry.states.up .. " up" end
        for _, name in ipairs(ORDER) do
            if entry.states[name] then words[#words + 1] = ("%d %s"):format(entry.states[name], name) end
        end
    end
    return text.count(entry.n, WORDS[entry.kind] or entry.kind) .. (#words > 0 and ": " .. table.concat(words, ", ") or " up")
end

--- state.nodes_text() -> "2 vms: 1 up, 1 booting; 1 host up", or "" without nodes.
function state.nodes_text()
    local words = {}
    for i, entry in ipairs(state.kinds()) do words[i] = kind_text(entry) end
    return table.concat(words, "; ")
end

-- A list in JSON also when it is empty.
local function node_list()
    local list = setmetatable({}, { __jsontype = "array" })
    for i, node in ipairs(testbed.nodes()) do
        list[i] = { name = node.name, kind = getmetatable(node).__name, state = rawget(node, "state") or "up" }
    end
    return list
end

--- The names of all links as cells of links.csv, by their numbers.
function state.link_cells()
    local cells = {}
    for _, list in ipairs { testbed.links(), testbed.removed_links() } do
        for _, link in ipairs(list) do cells[link.id] = csv.cell(link.name) end
    end
    return cells
end

--- state.collect_page(since) -> { file=, verdict=, tests=, duration= so far, topology= inventory.collect(), links= rows of
--- links.csv from experiment second `since` on, seed=, started= }: what result.json and links.csv will say, for the live page.
function state.collect_page(since)
    about.topology = inventory.collect() or about.topology -- what there was, when it has been taken down
    return { file = about.file, verdict = verdict or "running", tests = #results > 0 and results or nil,
        duration = core.now(), topology = about.topology,
        links = core.link_rows(since, state.link_cells()), seed = about.seed,
        started = os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(core.wall_start())) }
end

--- state.collect(folder) -> { pid=, file=, folder=, t= experiment seconds, nodes= list of { name=, kind=, state= }, summary= of
--- them in words, links= how many, verdict= so far }.
function state.collect(folder)
    return { pid = core.process_id(), file = about.file, folder = folder and core.real_path(folder), t = core.now(),
        nodes = node_list(), summary = state.nodes_text(), links = #testbed.links(), verdict = so_far() }
end

return state
