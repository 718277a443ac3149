-- SPDX-License-Identifier: MIT
-- How well the fabric kept to what was configured: the counters of a run, and a word about them at its end.

local core = require "qemunet.core"
local testbed = require "qemunet.testbed"

local fidelity = {}

--- A run is not sound when of at least SAMPLE frames one in a hundred was later than LATE: a bucket's bound, 1.05 ms.
fidelity.LATE, fidelity.SAMPLE = 2 ^ 20 / 1e9, 100

-- What each count of the totals means when it is not 0, with the number in the place of %d.
local FAULTS = {
    { "overruns", "%d frames were dropped because their receiver took them too slowly" },
    { "no_memory", "%d frames were dropped for want of memory" },
    { "triggers_missed", "%d times a trigger fired that could not be told of, or could not hold its packet" },
    { "verdicts_missed", "%d held packets went on without a verdict" },
    { "hop_drops", "%d frames went round a loop" },
    { "storm_drops", "%d frames were not flooded because of a loop" },
}

local function stats_of(link)
    if link.removed then return rawget(link, "last_stats") end
    local ok, stats = pcall(link.stats, link)
    return ok and stats or nil
end

-- The counts as they were when they were last collected: one process runs several files of a suite.
local before = {}

-- Takes what was counted before from the totals' counts; their lateness is that of the whole process.
local function since_before(totals)
    local all = {}
    for name, value in pairs(totals) do
        if type(value) == "number" then all[name], totals[name] = value, value - (before[name] or 0) end
    end
    before = all
    return totals
end

--- fidelity.collect() -> { fabric = totals, links = {[name] = { ab =, ba = }} }: the counters as they are now, those of
--- removed links as they were, and the totals since the last call; nil where there is no fabric.
function fidelity.collect()
    local links
    for _, list in ipairs { testbed.links(), testbed.removed_links() } do
        for _, link in ipairs(list) do
            links = links or {}
            links[link.name] = stats_of(link)
        end
    end
    local totals = core.fabric_totals()
    return { fabric = totals and since_before(totals), links = links }
end

local function is_late(lateness) return lateness.count >= fidelity.SAMPLE and lateness.p99 > fidelity.LATE end

-- The link that is worst by p99, in words.
local function worst(links)
    local name, late = nil, fidelity.LATE
    for link, stats in pairs(links or {}) do
        for _, way in ipairs { "ab", "ba" } do
            local lateness = stats[way].lateness
            if is_late(lateness) and (lateness.p99 > late or lateness.p99 == late and name and link < name) then
                name, late = link, lateness.p99
            end
        end
    end
    return name and late, name
end

--- fidelity.problems(counters) -> what is not sound about the run, as an array of texts.
function fidelity.problems(counters)
    local list, totals = {}, counters.fabric
    if not totals then return list end
    local late, name = worst(counters.links)
    if late then
        list[1] = ("the frames of link %s were late, 99%% of them by up to %.1f ms"):format(name, late * 1000)
    end
    for _, fault in ipairs(FAULTS) do
        local count = totals[fault[1]] or 0
        if count > 0 then list[#list + 1] = fault[2]:format(count) end
    end
    return list
end

--- Says what is not sound about the run, in one line of the log.
function fidelity.warn(counters)
    local list = fidelity.problems(counters)
    if #list > 0 then core.log(0, "fidelity: " .. table.concat(list, "; ")) end
end

return fidelity
