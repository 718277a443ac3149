-- The first packets of a TCP connection are lost, one of them or more: how long until it is up? The kernel sends again after
-- 1 s, and waits twice as long each time (RFC 6298); since Linux 6.5, not so for the first few (tcp_syn_linear_timeouts).
local most = param("most", 2) -- packets to lose

local client, server = host("client"), host("server")
local cable = link(client, server, { delay = "5ms" })
boot()

local SYN = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
local ANSWER = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn|tcp-ack"

-- Connects while the first n requests are dropped: seconds until the answer to the last came.
local function connect(n)
    local listener = server:spawn("nc -l -p 7000 >/dev/null")
    server:wait_port(7000, 5)
    local dropper = cable:on(SYN, { dir = "ab", count = math.max(n, 1), hold = true },
        function() return n > 0 and "drop" or "pass" end)
    local answer = cable:on(ANSWER, { dir = "ba", count = 1 })
    local begin = now()
    local job = client:spawn("nc -N -w 30 server 7000 </dev/null")
    local packet = answer:wait(30)
    local seconds = packet.time - begin
    dropper:cancel()
    job:wait(10)
    listener:kill()
    listener:wait(10)
    return seconds
end

local linear = tonumber(client:run("cat /proc/sys/net/ipv4/tcp_syn_linear_timeouts").stdout) or 0
local rows, seconds, expected = { { "requests lost", "up after", "expected" } }, {}, 0
for n = 0, most do
    if n > 0 then expected = expected + 2 ^ math.max(0, n - 1 - linear) end
    seconds[n + 1] = connect(n)
    rows[#rows + 1] = { n, ("%.2f s"):format(seconds[n + 1]), ("%g s"):format(expected) }
    check.near(seconds[n + 1], expected + 0.1, 0.5 + 0.1 * expected)
end
print(columns(rows))
record { connected_s = seconds }
