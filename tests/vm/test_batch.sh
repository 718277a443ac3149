#!/bin/sh
# SPDX-License-Identifier: MIT
# Test files with machines, side by side: what is shown of one that fails, and that no machine outlives a batch, however it
# ends. tests/lua/test_batch.lua has what needs no machine.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1
cd "$folder" || exit 1

a=$(unique_name a) b=$(unique_name b)

# Each waits until the other's machine is up too.
suite() { # suite FILE NAME OWN OTHER
    cat >"$1" <<END
local one = vm("$2")
setup(function() boot(one) end)
test("meets", function()
    one:succeed("echo the last words of $2 >/dev/console")
    io.open("$3", "w"):close()
    eventually(120, function() return io.open("$4") end, { every = "50ms" })
    if param("hold", false) then print("ready") sleep(600) end
    check.equal("$2", "$b")
end)
END
}
suite test_a.lua "$a" up-a up-b
suite test_b.lua "$b" up-b up-a

batch() { # batch ARGS... - in the background, as pid.
    rm -f up-a up-b
    : >out
    : >err
    "$QEMUNET" test --allow-host --jobs 2 "$@" >out 2>err &
    pid=$!
    started="$started $pid"
}

batch test_a.lua test_b.lua
wait "$pid"
[ $? = 1 ] && [ "$(tail -n 1 out)" = '1 passed, 1 failed' ]
result $? "two files whose machines run at once, one of which fails"
says out "^  # the end of the console of $a:$" "^  #   .*the last words of $a\$" && ! says out "console of $b"
result $? "the failed test is shown with the end of its machine's console"
run_folder=$(sed -n "s/^  # the run's folder: //p" out)
grep -q "the last words of $a" "$run_folder/console/$a.log" && grep -q '"verdict": "failed"' "$run_folder/result.json"
result $? "and with the run's folder"
runs_none "$a" "$b"
result $? "no machine is left"

# Both hold their machines, which are seen in the system; then the batch ends.
held() { [ -e up-a ] && [ -e up-b ] && ! runs_none "$a" && ! runs_none "$b"; }
for signal in INT KILL; do
    batch test_a.lua test_b.lua --param hold=true
    wait_for 120 held
    result $? "both machines run"
    stop $signal
    [ "$status" = "$([ $signal = INT ] && echo 130 || echo 137)" ]
    result $? "status of a batch that SIG$signal ends"
    [ $signal = KILL ] || [ "$(tail -n 1 out)" = '0 passed, 0 failed' ]
    result $? "what it says then"
    wait_for 60 runs_none "$a" "$b"
    result $? "no machine outlives SIG$signal"
done
finish
