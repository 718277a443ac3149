-- Five machines keep a store in agreement by Raft (etcd). Its leader is killed, cut off, slowed down or stopped, while a
-- client writes: how long is there no leader, how long is no write acknowledged, and is each acknowledged write still there
-- at the end?
local n, repetitions = param("members", 5), param("repetitions", 10)
local election = param("election", 1) -- seconds; a member that hears of no leader for one to two of these wants to lead
local pace = param("pace", 0.1) -- seconds between two writes

image { "etcd", packages = { "etcd-server" } }
local members, client = vms(n, "m%d", { image = "etcd", mem = "512M" }), vm("client") -- etcd reserves 128 MB for its log
local net, cables = switch("net"), {}
for _, m in ipairs(members) do cables[m] = net:connect(m, { delay = "1ms" }) end
net:connect(client, { delay = "1ms" })
boot()

-- The members' logs say who leads.
local leader, elected = nil, event("a leader")
local function read_log(m, line)
    if line:find("became leader", 1, true) then
        leader = m
        elected:set(now())
    end
end

local cluster, servers = {}, {} -- servers: {[member]=job}
for i, m in ipairs(members) do cluster[i] = ("%s=http://%s:2380"):format(m.name, m:ip(1)) end

local function start(m)
    local command = ([[
        exec etcd --name NAME --data-dir /var/lib/etcd/data --listen-peer-urls http://IP:2380 \
            --listen-client-urls http://IP:2379 --advertise-client-urls http://IP:2379 \
            --initial-advertise-peer-urls http://IP:2380 --initial-cluster CLUSTER \
            --heartbeat-interval %d --election-timeout %d]]):format(election * 100, election * 1000) -- milliseconds
    command = command:gsub("%u%u+", { NAME = m.name, IP = m:ip(1), CLUSTER = table.concat(cluster, ",") })
    servers[m] = m:spawn(command, { on_line = function(line) read_log(m, line) end })
end

local function get(path) return client:run("timeout 3 wget -q -O - http://" .. path).stdout end

-- Waits until every member serves, and the leader has not changed for a while.
local function settle()
    for _, m in ipairs(members) do
        eventually(60, function() return get(m.name .. ":2379/health"):find("true") end)
    end
    eventually(60, function() return elected.done:is_set() and now() - elected:wait() > 2 * election end)
end

-- Writes without end: key and value are the write's number, in eight digits, which is valid base64 as etcd wants it. Each is
-- for the next member in turn, and not tried again; the processes run side by side, so that none waits for another.
local writer = ([[
    i=0
    while :; do
        i=$((i + 1)) key=$(printf %%08d $i)
        timeout 3 wget -q -O /dev/null --post-data "{\"key\":\"$key\",\"value\":\"$key\"}" \
            http://m$((i %% %d + 1)):2379/v3/kv/put && echo $key &
        sleep %g
    done]]):format(n, pace)

local acknowledged = {} -- {key=, at=}, as they came
local function start_writing()
    return client:spawn(writer, { on_line = function(key, stream)
        if stream == "stdout" then acknowledged[#acknowledged + 1] = { key = key, at = now() } end
    end })
end

-- The longest time without an acknowledgement, of those that ended after `failed`.
local function silence(failed)
    local longest = 0
    for i = 2, #acknowledged do
        local before, at = acknowledged[i - 1].at, acknowledged[i].at
        if at > failed then longest = math.max(longest, at - before) end
    end
    return longest
end

local function all_but(one)
    local list = { client }
    for _, m in ipairs(members) do
        if m ~= one then list[#list + 1] = m end
    end
    return list
end

local cut
local faults = {
    { name = "killed", fail = function(m) servers[m]:kill("KILL") end, mend = start },
    { name = "cut off", fail = function(m) cut = partition(m, all_but(m)) end, mend = function() cut:heal() end },
    { name = "slow link", fail = function(m) cables[m]:set { delay = 2.5 * election, loss = "10%" } end,
        mend = function(m) cables[m]:set { delay = "1ms", loss = 0 } end },
    { name = "stopped", fail = function(m) m:pause() end, mend = function(m) m:resume() end },
}

-- Lets the fault befall the leader: seconds until there is a new one, and the longest time without an acknowledged write.
local function depose(fault)
    settle()
    sleep(election * math.random()) -- at whatever point of the members' timers
    local old, failed = leader, now()
    elected = event("a new leader")
    fault.fail(old)
    local at = assert(elected:wait(30 * election))
    eventually(30, function() return acknowledged[#acknowledged].at > at + election end)
    local leaderless, silent = at - failed, silence(failed)
    mark(("%s: %s, after %.2f s %s; %.2f s without a write"):format(fault.name, old.name, leaderless, leader.name, silent))
    fault.mend(old)
    return leaderless, silent
end

local function summary(times)
    return { times_s = times, median_s = stats.median(times), ci95_s = repetitions > 1 and { stats.ci95(times) } or nil }
end

local function cells(found)
    return ("%.2f s"):format(found.median_s), found.ci95_s and ("%.2f to %.2f s"):format(table.unpack(found.ci95_s)) or "-"
end

for _, m in ipairs(members) do start(m) end
settle()
local writing = start_writing()
local rows, results = { { "leader", "new one after (median)", "95 % (mean)", "no write for (median)", "95 % (mean)" } }, {}
for i, fault in ipairs(faults) do
    local leaderless, silent = {}, {}
    for j = 1, repetitions do leaderless[j], silent[j] = depose(fault) end
    local result = { leaderless = summary(leaderless), silent = summary(silent) }
    local row = { fault.name, cells(result.leaderless) }
    row[4], row[5] = cells(result.silent)
    rows[i + 1], results[fault.name] = row, result
end
settle()
writing:kill()
writing:wait(5)
print(columns(rows))

-- Reads every key back from each member.
local lost = {}
for _, m in ipairs(members) do
    local values = {}
    local answer = client:succeed(([[
        wget -q -O - --post-data '{"key":"00000000","range_end":"99999999"}' http://%s:2379/v3/kv/range]]):format(m.name))
    for _, pair in ipairs(json.decode(answer).kvs) do values[pair.key] = pair.value end
    for _, write in ipairs(acknowledged) do
        if values[write.key] ~= write.key then lost[#lost + 1] = write.key .. " at " .. m.name end
    end
end
print(("%d writes acknowledged, read back from each member: %d lost"):format(#acknowledged, #lost))
record { faults = results, acknowledged = #acknowledged, lost = lost }
check.equal(#lost, 0, "acknowledged writes that are lost")
