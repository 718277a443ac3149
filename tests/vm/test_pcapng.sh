#!/bin/sh
# SPDX-License-Identifier: MIT
# Captures, as capinfos and tshark read them.
# shellcheck disable=SC1091,SC2154,SC2181 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"

if ! command -v tshark >/dev/null || ! command -v capinfos >/dev/null; then
    skip "capinfos and tshark read a capture" "the package tshark is missing"
    finish
fi

# All that can happen to a packet, on a link that is lossy, short of room, and cut at the end.
script links <<'END'
local a, b = responder("a"), responder("b")
local l = link(a, b, { delay = "1ms", loss = "10%", duplicate = "20%", corrupt = "20%", ab = { rate = "1mbit", queue = 5 } })
local other = link(b, a)
local capture = capture_all("all.pcapng")
local verdicts = { "drop", { delay = "2ms" } }
l:on("udp", { hold = true, nth = 2, count = 20, dir = "ab" }, function(pkt)
    table.insert(verdicts, 1, table.remove(verdicts))
    return pkt.data:byte(-1) == 255 and "pass" or verdicts[1] == "drop" and "drop" or verdicts[1]
end)
l:on("udp", { hold = true, nth = 2, count = 20, dir = "ba" }, function(pkt) return { data = pkt:replace(40, "changed") } end)
local there, back = source(a, { to = b, rate = "2mbit", size = 200 }), source(b, { to = a, rate = "1mbit", size = 1500 })
there:start()
back:start()
sleep(0.2)
l:down()
sleep(0.02)
capture:stop()
END
run links.lua --seed 1 --out links
result "$status" "links are captured"
packets=links/all.pcapng

capinfos "$packets" >out 2>err && [ ! -s err ] && says out 'File type: .*pcapng' 'Name = a--b ab$' 'Name = a--b ba$' 'Name = b--a ab$' \
    'Time precision = nanoseconds' 'Number of interfaces in file: 4'
result $? "capinfos reads it without a word, and finds an interface for each direction"

# quiet - whether tshark has nothing to say, but that it is run by root.
quiet() {
    ! grep -v '^Running as user "root"' err
}

tshark -n -r "$packets" -T fields -e frame.interface_name -e frame.time_epoch -e frame.comment >out 2>err && quiet &&
    says out '^a--b ab	[0-9]+\.[0-9]{9}	' '^a--b ba	'
result $? "tshark reads it without a warning"

for what in 'dropped: loss' 'dropped: queue full' 'dropped: by a trigger' 'dropped: link down' duplicate corrupted 'delayed by a trigger' \
    'changed by a trigger'; do
    says out "	(.*, )?$what"
    result $? "tshark shows the comment: $what"
done

# Whatever a link did, the bytes are a frame: what the dissector finds malformed is what was corrupted or changed.
tshark -n -r "$packets" -Y '_ws.malformed && !(frame.comment contains "corrupted") && !(frame.comment contains "changed")' >out 2>err &&
    quiet && [ ! -s out ]
result $? "no packet that was left as it is, is malformed"
finish
