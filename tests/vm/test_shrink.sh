#!/bin/sh
# SPDX-License-Identifier: MIT
# qemunet run --replay and --shrink, of an experiment of simulated nodes that takes milliseconds: no machine boots.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
count=0 failed=0

verdict() { # verdict STATUS NAME
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else
        echo "not ok $count - $2"
        failed=$((failed + 1))
        cat "$folder/out"
    fi
}

run() { # run STATUS ARGS...: an experiment ends with this status
    want=$1
    shift
    timeout 60 "$QEMUNET" run "$@" >"$folder/out" 2>&1
    [ $? -eq "$want" ]
}

faults_in() { grep -c '"kind"' "$1"; }

# Fails when both of its links are cut, for times that meet by the schedule: the same schedule fails each time. With
# fails=always, in any case.
cat >storm.lua <<'END'
local a, b, c = responder("a"), responder(param("b", "b")), responder("c")
local ab, bc = link(a, b), link(b, c)
local storm = faults { during = "0.2s", every = "20ms",
    { "slow", link = ab, delay = "1ms", lasts = "10ms" }, { "lossy", link = bc, loss = "10%", lasts = "10ms" },
    { "cut", link = ab, at = "30ms", lasts = "60ms" }, { "cut", link = bc, at = "50ms", lasts = "60ms" },
    { "partition", at = "40ms", groups = { a, c }, lasts = "20ms" } }
if param("fails", "both") == "always" then error("always: " .. now()) end

local function overlap(x, y)
    return x.began and y.began and x.at < y.at + (y.lasts or math.huge) and y.at < x.at + (x.lasts or math.huge)
end

storm:start()
repeat
    sleep(0.001)
    for _, x in ipairs(storm.schedule) do
        for _, y in ipairs(storm.schedule) do
            if x.kind == "cut" and y.kind == "cut" and x.target < y.target and overlap(x, y) then
                error(("both are down at %.3f s"):format(now()))
            end
        end
    end
until storm.state == "over"
END

run 1 storm.lua --seed 5 --out first
verdict $? "it fails"
grep -q 'replay first' out && [ "$(faults_in first/faults.json)" -gt 4 ]
verdict $? "its schedule is in its folder, and the run says how to replay it"
grep '"kind":"fault"' first/events.jsonl | grep -q '"event":"start"'
verdict $? "its faults are events"

run 1 storm.lua --seed 5 --out second && grep -v -e began -e ended first/faults.json >one &&
    grep -v -e began -e ended second/faults.json >two && cmp -s one two
verdict $? "the same seed makes the same schedule"
run 1 storm.lua --replay first --out third && grep -q '"seed": 5' third/result.json &&
    grep -v -e began -e ended third/faults.json | cmp -s one -
verdict $? "a replay has the same seed and schedule"

run 1 storm.lua --replay first --shrink --out shrunk
verdict $? "what is shrunk failed"
grep -q "2 faults of" out && [ "$(faults_in shrunk/faults.min.json)" -eq 2 ] && [ "$(grep -c '"cut"' shrunk/faults.min.json)" -eq 2 ]
verdict $? "two cuts are left"
run 1 storm.lua --replay shrunk/faults.min.json --out fourth && grep -q "both are down" out
verdict $? "and with these two it still fails"
run 1 storm.lua --seed 5 --shrink --shrink-runs 2 --out limited && grep -q "ended after 2 runs: there may be a smaller one" out
verdict $? "a limit on the runs ends the search with what there is"
run 1 storm.lua --param fails=always --seed 5 --shrink --out always && grep -q "it fails without any fault" out
verdict $? "a failure without any fault is said to be one"

echo 'faults{}' >fine.lua
run 0 fine.lua --shrink --out passing && grep -q "nothing to shrink: the experiment does not fail" out
verdict $? "an experiment that passes"
echo 'error "no faults at all"' >plain.lua
run 1 plain.lua --shrink --out without && grep -q "but has no faults{}: .*no faults at all" out
verdict $? "one that fails without faults{}"
run 2 plain.lua --replay without --out fifth && grep -q "there is no faults.json in it" out
verdict $? "a run without a schedule cannot be replayed"
run 1 storm.lua --param b=other --replay first --out sixth &&
    grep -q 'storm.lua:3: replay: schedule 1: fault [0-9]* ([a-z]*): this experiment has no link "[a-z-]*"' out
verdict $? "names that do not fit are an error"
for text in 'no JSON' '{}' '{"format":1}' '{"format":1,"schedules":[7]}' '{"format":1,"schedules":[{"faults":[{"kind":"cut"}]}]}' \
    '{"format":1,"schedules":[{"faults":[{"kind":"skew","at":1,"target":"a","by":{}}]}]}'; do
    echo "$text" >bad.json
    run 2 storm.lua --replay bad.json --out seventh && grep -q "^qemunet: --replay bad.json: " out
    verdict $? "what is no schedule: $text"
done

# The process that shrinks is killed or interrupted while a run of the experiment waits.
cat >waits.lua <<'END'
faults {}
print(io.open("pid", "w"):write(io.open("/proc/self/stat"):read("n"), "\n"):close())
sleep(60)
END
pid_of_run() {
    for _ in $(seq 300); do
        [ -s pid ] && break
        sleep 0.1
    done
    cat pid
}
is_gone() { # is_gone PID: within some seconds
    for _ in $(seq 300); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}
for signal in KILL INT; do
    rm -f pid
    "$QEMUNET" run waits.lua --allow-host --shrink --out "ended-$signal" >out 2>&1 &
    shrinks=$!
    child=$(pid_of_run)
    kill -$signal $shrinks
    wait $shrinks
    status=$?
    case $signal in KILL) status=$((status - 137)) ;; INT) status=$((status - 130)) ;; esac
    [ $status -eq 0 ] && [ -n "$child" ] && is_gone "$child"
    verdict $? "the run ends with the process that started it (SIG$signal)"
done

echo "$((count - failed)) passed, $failed failed"
[ $failed -eq 0 ]
