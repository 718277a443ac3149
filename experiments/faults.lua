-- A register on two hosts: b keeps a copy of what is written to a, and takes over for good when a has crashed. Random faults
-- hit them; no acknowledged write may get lost. acknowledge="early" has a bug that only two faults together show:
--   qemunet run experiments/faults.lua --param acknowledge=early --seed 1            fails; its folder has the faults.json
--   qemunet run experiments/faults.lua --replay FOLDER                               fails with the same faults again
--   qemunet run experiments/faults.lua --param acknowledge=early --seed 1 --shrink   the fewest faults with which it fails
local acknowledge = param("acknowledge", "late") -- early: when a has the write; late: when b has its copy
local seconds = param("seconds", 2)

local memory = { setup = { "mount -t tmpfs tmpfs /mnt" } } -- each host has a place of its own there
local a, b = host("a", memory), host("b", memory)
local cable = link(a, b, { delay = "1ms" })
boot()

-- b stores the numbers that come, and tells a of each; a lists what it is told.
b:succeed("echo 0 >/mnt/copy")
b:spawn(("nc -ukl 7000 | while read n; do echo $n >/mnt/copy; echo $n | nc -uq0 %s 7001; done"):format(a:ip(cable)))
a:succeed("nc -ukl 7001 >/mnt/told </dev/null 2>&1 &")

-- How a writes a number: it sends b the copy, and waits until it is told of it, or does not.
local early = "echo $n >/mnt/own; echo $n | nc -uq0 $b 7000; "
local late = early .. "for i in 1 2 3 4 5; do grep -qx $n /mnt/told && exit; sleep 0.02; done; exit 1"
local command = acknowledge == "early" and early or late
local leader, acknowledged = a, 0

local function write(n)
    if leader == b then
        if b:ok("echo $n >/mnt/copy", { env = { n = n } }) then acknowledged = n end
    elseif a:ok(command, { env = { n = n, b = b:ip(cable) } }) then
        acknowledged = n
    elseif a.state ~= "up" and a.state ~= "paused" then
        sleep(0.2) -- what a has sent arrives
        leader = b
        check.less(acknowledged - 1, tonumber((b:succeed("cat /mnt/copy"))), "the last acknowledged write, and b's copy")
    end
end

local storm <close> = faults {
    during = seconds, every = seconds / 12,
    { "cut", link = cable, lasts = { "100ms", "400ms" }, weight = 3 },
    { "slow", link = cable, delay = { "5ms", "30ms" }, lasts = { "100ms", "400ms" }, weight = 3 },
    { "pause", node = a, lasts = { "20ms", "100ms" } },
    { "crash", node = a, lasts = "500ms" },
}
storm:start()
local n = 0
while storm.state == "running" do
    n = n + 1
    write(n)
    sleep(0.02)
end
storm:wait()
print(("%d of %d writes acknowledged, none of them lost; the leader is %s\n%s"):format(acknowledged, n, leader.name, storm))
record { acknowledged = acknowledged, written = n, leader = leader.name }
