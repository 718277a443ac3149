-- Telephone calls beside a file transfer, over a slow link: how they sound, by what the link's queue does with the transfer.
local calls, seconds = param("calls", 5), param("seconds", 3)

local a, b = vm("a"), vm("b")
local cable = link(a, b, { delay = "10ms", rate = "4mbit", queue = 250 })
boot()

-- Calls from a to b for so many seconds, while a's transfer fills the link: what became of their packets.
local function listen(discipline)
    cable.ab:set { discipline = discipline }
    local receiver = b:spawn("nc -l -p 5000 >/dev/null")
    b:wait_port(5000)
    local transfer = a:spawn("nc b 5000 </dev/zero")
    sleep(2) -- TCP has found how much the link takes
    local call = voice(a, b, { codec = "g711", streams = calls }):start()
    sleep(seconds)
    local heard = call:stop():report()
    transfer:kill()
    receiver:kill()
    transfer:wait(5)
    receiver:wait(5)
    return heard
end

local rows = { { "queue", "delay", "99 %", "jitter", "lost or late", "MOS" } }
local mos = {}
for _, discipline in ipairs { "fifo", "codel" } do
    local heard = listen(discipline)
    mos[discipline] = heard.mos
    rows[#rows + 1] = { discipline, ("%.0f ms"):format(1000 * heard.delay.p50), ("%.0f ms"):format(1000 * heard.delay.p99),
        ("%.1f ms"):format(1000 * heard.jitter), ("%.1f %%"):format(100 * (heard.lost + heard.late) / heard.sent),
        ("%.2f"):format(heard.mos) }
end
print(columns(rows))
check.less(mos.fifo, mos.codel, "a queue that is kept short")
record { mos = mos }
