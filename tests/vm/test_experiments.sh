#!/bin/sh
# SPDX-License-Identifier: MIT
# Every experiment runs and passes, the long ones in a short form, and leaves the records it promises.
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
count=0 failed=0

verdict() { # verdict STATUS NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else
        echo "not ok $count - $2"
        failed=$((failed + 1))
        cat "$folder/$name.log"
    fi
}

run_alone() { # run_alone NAME ARGS...
    name=$1
    shift
    "$QEMUNET" run "$here/../../experiments/$name.lua" --timeout 400 --out "$folder/$name" "$@" \
        >"$folder/$name.log" 2>&1
}

run() { # run NAME KEY ARGS...: passes, and result.json has KEY
    key=$2
    name=$1
    shift 2
    run_alone "$name" "$@"
    judge $? "$name" "$key"
}

judge() { # judge STATUS NAME KEY
    name=$2 key=$3
    verdict "$1" "$name passes"
    grep -q "\"$key\":" "$folder/$name/result.json" && grep -q '"verdict": "passed"' "$folder/$name/result.json"
    verdict $? "$name records $key"
}

name=none
known=''
for path in "$here"/../../experiments/*.lua; do known="$known $(basename "$path" .lua)"; done
[ "$known" = ' convergence crowd faults handshake hello ns3_csma ns3_release ns3_walk ospf radio raft routing steps suite voip' ]
verdict $? "each experiment has its line here"

# Mostly it waits for timers: beside the others.
run_alone ospf --param routers=4 --param repetitions=1 --param default=4 --param settle=0 --param steps=0 &
ospf=$!
run crowd memory_each_mb --param machines=12 --param watch=0.5
run convergence mean_s --param precision=0.5
run handshake connected_s --param most=1
run hello rtt_ms
run faults acknowledged --param seconds=1
run radio last_answer_s
run routing recovery_s --param rounds=3
run steps capacity
run suite tests
# Where this was built with ns-3.
if [ -e "${QEMUNET_NS3:-$(dirname "$QEMUNET")/qemunet-ns3}" ]; then
    run ns3_csma rtt_ms
    run ns3_release offsets --param rounds=2
    run ns3_walk last_answer_s
else
    echo "skipped: the experiments with ns-3, which this was built without"
fi
run voip mos --param seconds=2
run raft acknowledged --param members=3 --param repetitions=1
wait $ospf
judge $? ospf outages

# The bug of faults.lua: found, recorded, replayed, shrunk, and the shrunk schedule replayed.
lost() { grep -q 'the last acknowledged write, and b.s copy: ' "$folder/$name.log"; }
count_faults() { grep -c '"kind"' "$1"; }
name=faults experiment=$here/../../experiments/faults.lua
"$QEMUNET" run "$experiment" --param acknowledge=early --param seconds=1 --seed 1 --out "$folder/lost" >"$folder/faults.log" 2>&1
[ $? -eq 1 ] && lost && [ "$(count_faults "$folder/lost/faults.json")" -eq 15 ]
verdict $? "faults.lua finds the bug of the early acknowledgement"
"$QEMUNET" run "$experiment" --replay "$folder/lost" --out "$folder/lost-again" >"$folder/faults.log" 2>&1
[ $? -eq 1 ] && lost
verdict $? "and again with the same schedule"
"$QEMUNET" run "$experiment" --replay "$folder/lost" --shrink --out "$folder/shrunk" >"$folder/faults.log" 2>&1
[ $? -eq 1 ] && lost && [ "$(count_faults "$folder/shrunk/faults.min.json")" -lt 5 ]
verdict $? "the schedule is shrunk"
# Within these few milliseconds the machine's own speed decides: not each time.
for i in 1 2 3 4 5; do
    "$QEMUNET" run "$experiment" --replay "$folder/shrunk/faults.min.json" --out "$folder/fewest-$i" >>"$folder/faults.log" 2>&1
    fails=$?
    [ "$fails" -eq 1 ] && break
done
[ "$fails" -eq 1 ]
verdict $? "and still fails"

name=hello
[ -s "$folder/hello/console/a.log" ] && [ -s "$folder/hello/console/b.log" ]
verdict $? "a console log for each machine"
grep -q '"event":"down"' "$folder/hello/events.jsonl"
verdict $? "the cut is among the events"

echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ]
