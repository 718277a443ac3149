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
        cat "$folder/log"
    fi
}

run() { # run NAME KEY ARGS...: passes, and result.json has KEY
    name=$1 key=$2
    shift 2
    "$QEMUNET" run "$here/../../experiments/$name.lua" --timeout 400 --out "$folder/$name" "$@" \
        >"$folder/log" 2>&1
    verdict $? "$name passes"
    grep -q "\"$key\":" "$folder/$name/result.json" && grep -q '"verdict": "passed"' "$folder/$name/result.json"
    verdict $? "$name records $key"
}

known=''
for path in "$here"/../../experiments/*.lua; do known="$known $(basename "$path" .lua)"; done
[ "$known" = ' crowd hello ospf radio raft routing voip' ]
verdict $? "each experiment has its line here"

run crowd memory_each_mb --param machines=12 --param watch=0.5
run hello rtt_ms
run radio last_answer_s
run routing recovery_s --param rounds=3
run voip mos --param seconds=2
run ospf outages --param routers=4 --param repetitions=1 --param default=4 --param settle=0 --param steps=0
run raft acknowledged --param members=3 --param repetitions=1
[ -s "$folder/hello/console/a.log" ] && [ -s "$folder/hello/console/b.log" ]
verdict $? "a console log for each machine"
grep -q '"event":"down"' "$folder/hello/events.jsonl"
verdict $? "the cut is among the events"

echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ]
