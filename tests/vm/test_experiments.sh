#!/bin/sh
# SPDX-License-Identifier: MIT
# Every experiment runs and passes, the long ones in a short form, and leaves the records it promises. Mostly they wait for
# their own timers, so that several run at a time.
# shellcheck disable=SC2317 # what is called by its name
set -u
here=$(cd "$(dirname "$0")" && pwd)
experiments=$here/../../experiments
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'trap "" TERM; kill -TERM 0; wait; exit 130' INT TERM

verdict() { # verdict STATUS NAME
    if [ "$1" -eq 0 ]; then echo "ok - $2"; else
        echo "not ok - $2"
        cat "$folder/$name.log"
    fi
}

run() { # run NAME KEY ARGS...: passes, and result.json has KEY
    name=$1 key=$2
    shift 2
    "$QEMUNET" run "$experiments/$name.lua" --timeout 400 --out "$folder/$name" "$@" >"$folder/$name.log" 2>&1
    verdict $? "$name passes"
    grep -q "\"$key\":" "$folder/$name/result.json" && grep -q '"verdict": "passed"' "$folder/$name/result.json"
    verdict $? "$name records $key"
}

routers() {
    run ospf outages --param routers=4 --param repetitions=1 --param default=4 --param settle=0 --param steps=0
    run raft acknowledged --param members=3 --param repetitions=1
    run radio last_answer_s
}

machines() {
    run crowd memory_each_mb --param machines=12 --param watch=0.5
    run hello rtt_ms
    [ -s "$folder/hello/console/a.log" ] && [ -s "$folder/hello/console/b.log" ]
    verdict $? "a console log for each machine"
    grep -q '"event":"down"' "$folder/hello/events.jsonl"
    verdict $? "the cut is among the events"
    run routing recovery_s --param rounds=3
    run steps capacity
    run voip mos --param seconds=2
}

others() {
    run convergence mean_s --param precision=0.5
    run handshake connected_s --param most=1
    run faults acknowledged --param seconds=1
    run suite tests
    # Where this was built with ns-3.
    if [ -e "${QEMUNET_NS3:-$(dirname "$QEMUNET")/qemunet-ns3}" ]; then
        run ns3_csma rtt_ms
        run ns3_release offsets --param rounds=2
        run ns3_walk last_answer_s
    else
        echo "skipped: the experiments with ns-3, which this was built without"
    fi
    shrinking
}

# loses OUT ARGS...: faults.lua loses a write. A machine that is busy just then may be too late for that: not each time.
loses() {
    out=$folder/$1
    shift
    for attempt in 1 2 3 4 5; do
        rm -rf "$out"
        "$QEMUNET" run "$experiments/faults.lua" "$@" --out "$out" >"$folder/$name.log" 2>&1
        [ $? -eq 1 ] && grep -q 'the last acknowledged write, and b.s copy: ' "$folder/$name.log" && return
        echo "attempt $attempt: no write is lost"
    done
    return 1
}

count_faults() { grep -c '"kind"' "$1"; }

# The bug of faults.lua: found, recorded, replayed, shrunk, and the shrunk schedule replayed.
shrinking() {
    name=shrinking
    loses lost --param acknowledge=early --param seconds=1 --seed 1 && [ "$(count_faults "$folder/lost/faults.json")" -eq 15 ]
    verdict $? "faults.lua finds the bug of the early acknowledgement"
    loses lost-again --replay "$folder/lost"
    verdict $? "and again with the same schedule"
    loses shrunk --replay "$folder/lost" --shrink && [ "$(count_faults "$folder/shrunk/faults.min.json")" -lt 5 ]
    verdict $? "the schedule is shrunk"
    loses fewest --replay "$folder/shrunk/faults.min.json"
    verdict $? "and still fails"
}

unknown() {
    for path in "$experiments"/*.lua; do
        file=${path##*/}
        grep -q "^ *run ${file%.lua} " "$here/test_experiments.sh" || echo "not ok - $file has a line here"
    done
}

lists='routers machines others unknown'
for list in $lists; do $list >"$folder/$list" 2>&1 & done
wait
# shellcheck disable=SC2086 # a list a word
(cd "$folder" && cat $lists) | tee "$folder/said"
passed=$(grep -c '^ok - ' "$folder/said") failed=$(grep -c '^not ok - ' "$folder/said")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
