-- Four leaves reach a server through router A, or B when A fails; each leaf finds out by itself, by pings as often as it likes.
-- A's cable to the server is cut: after how long has the last of them moved? Measured in all of them at once, and again until
-- the mean is known well enough.
local precision, most = param("precision", 0.15), param("most", 12) -- half-width of the interval, of the mean
local periods = { 0.1, 0.15, 0.2, 0.3 } -- seconds between two pings of a leaf

local a, b, server = host("a"), host("b"), host("server")
local uplink, spare = link(a, server, { delay = "2ms" }), link(b, server, { delay = "2ms" })
local leaves, at = hosts(#periods, "leaf%d"), {}
for i, leaf in ipairs(leaves) do at[i] = { link(leaf, a, { delay = "1ms" }), link(leaf, b, { delay = "1ms" }) } end
boot()

for _, router in ipairs { a, b } do router:succeed("echo 1 >/proc/sys/net/ipv4/ip_forward") end
local target = { server:ip(uplink), server:ip(spare) } -- an address of the server's by which a ping tests a path
local trackers = {}
for i, leaf in ipairs(leaves) do
    local via = { a:ip(at[i][1]), b:ip(at[i][2]) }
    for way = 1, 2 do
        leaf:succeed(("ip route add %s via %s"):format(target[way], via[way]))
        server:succeed(("ip route add %s via %s"):format(leaf:ip(at[i][way]), (way == 1 and a:ip(uplink) or b:ip(spare))))
    end
    trackers[i] = leaf:spawn(([[
        way=0
        while :; do
            if ping -c 1 -W 0.2 %s >/dev/null; then want=1; else want=2; fi
            [ $way = $want ] || { ip route replace default via $([ $want = 1 ] && echo %s || echo %s); way=$want; echo way $way; }
            sleep %g
        done]]):format(target[1], via[1], via[2], periods[i]))
end

-- Seconds until all the leaves go by the other router, each watched by a task of its own.
local function move(way, change)
    local watchers, begin = {}, now()
    for i, tracker in ipairs(trackers) do
        watchers[i] = go(function()
            tracker:expect("way " .. way, 20)
            return now() - begin
        end)
    end
    change()
    local seconds = all(watchers)
    return math.max(table.unpack(seconds)), seconds
end

move(1, function() end)
local found = repeat_until { ci = precision, min = 4, max = most, metric = function()
    local seconds = move(2, function() uplink:down() end)
    move(1, function() uplink:up() end)
    return seconds
end }
print(("the last leaf has moved after %.3f s, 95 %% interval %.3f to %.3f s, %d rounds"):format(found.mean, found.lo, found.hi,
    found.n))
record { mean_s = found.mean, ci95_s = { found.lo, found.hi }, rounds = found.n, converged = found.converged }
