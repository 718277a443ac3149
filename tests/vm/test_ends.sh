#!/bin/sh
# SPDX-License-Identifier: MIT
# However a run ends: its exit status, what it says, and that nothing is left of it.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"

own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache" XDG_RUNTIME_DIR="$folder/runtime" NO_COLOR=1
mkdir -m 700 "$folder/runtime"

surroundings() {
    ls /sys/class/net
    # Tests beside this one have sockets there, and benchmarks.
    find /tmp /var/tmp /dev/shm -maxdepth 1 \( -name '*qemunet*' -o -name 'qn*' -o -name '.qn*' \) 2>/dev/null |
        grep -v '/qemunet-\([0-9]*\|bench-.*\)$'
    # Whole templates are what a cache is for.
    find "$folder/cache" "$folder/runtime" | grep -v '/template-[0-9a-f]\{32\}\(/[a-z]*\)\?$' | sort
}
surroundings >"$folder/before"

a=$(unique_name a) b=$(unique_name b)

# --- without a machine ---

script fine <<'END'
print("out", 1)
io.stderr:write("err\n")
record { answer = 42 }
END
run fine.lua --out "$folder/fine" -q
[ "$status" = 0 ] && [ "$(cat out)" = "$(printf 'out\t1')" ] && [ "$(cat err)" = err ]
result $? "a script that passes: status 0, and only its own output"
grep -q '"answer": 42' fine/result.json && grep -q '"verdict": "passed"' fine/result.json
result $? "result.json has the verdict and what was recorded"

script counted <<'END'
link(responder("x"), responder("y")):remove()
END
run counted.lua --out "$folder/counted" -q
[ "$status" = 0 ] && grep -q '"x--y": {' counted/result.json && grep -q '"hop_drops": 0' counted/result.json
result $? "the links' counters are in the result, also of one that was removed"

run fine.lua --out "$folder/fine"
[ "$status" = 3 ] && says err 'fine: it holds an earlier run'
result $? "a folder with a result is not written over: status 3"

script wrong <<'END'
local function inner(x)
    return x.field.missing
end
inner({})
END
run wrong.lua
[ "$status" = 1 ] && says err 'wrong\.lua:2: attempt to index a nil value' "wrong\.lua:2: in .*'inner'" 'wrong\.lua:4: in the file' &&
    ! says err 'stdlib/|\[C\]'
result $? "an error: status 1, its file and line, a traceback of the script's own lines"

echo 'local x = = 1' | script syntax
run syntax.lua
[ "$status" = 1 ] && says err 'syntax\.lua:1: unexpected symbol near'
result $? "a syntax error: status 1, its file and line"

echo 'slep(1)' | script misspelt
run misspelt.lua
[ "$status" = 1 ] && says err 'misspelt\.lua:1: undefined global "slep" \(did you mean "sleep"\?\)'
result $? "a misspelt name is an error that says what was meant"

echo 'error({ code = 5 })' | script table
run table.lua
[ "$status" = 1 ] && says err failed
result $? "an error value that is no text: status 1"

script task <<'END'
go(function() error("in the task") end)
sleep(0.01)
print("the main part ends well")
END
run task.lua
[ "$status" = 1 ] && says err 'task\.lua:1: in the task'
result $? "a task's error that nobody joins: status 1"

script joined <<'END'
local ok, err = pcall(function() go(function() error("in the task") end):join() end)
print(ok, err)
END
run joined.lua
[ "$status" = 0 ] && says out '^false.*joined\.lua:1: in the task$'
result $? "a task's error that is joined and caught: status 0"

script timer <<'END'
after("10ms", function() error("in the timer") end)
sleep(1000)
END
run timer.lua
[ "$status" = 1 ] && says err 'timer\.lua:1: in the timer'
result $? "a timer's error ends the run at once: status 1"

echo 'event("never"):wait()' | script deadlock
run deadlock.lua
[ "$status" = 1 ] && says err 'deadlock: every task waits, and nothing is left that could wake one' \
    "deadlock\.lua:1: in the file's main part"
result $? "a deadlock is noticed, with where it waits: status 1"

echo 'coroutine.yield(1)' | script yield
run yield.lua
[ "$status" = 1 ] && says err 'yield\.lua:1: '
result $? "a yield outside a coroutine: status 1, its file and line"

script failing <<'END'
test("passes", function() end)
test("fails", function() check.equal(1, 2) end)
test("skips", function() skip("why not") end)
END
"$QEMUNET" test failing.lua >out 2>err
[ $? = 1 ] && says out '^ok 1 - passes$' '^not ok 2 - fails$' 'failing\.lua:2: check\.equal: got 1, want 2' '^ok 3 - skips # SKIP why not$' &&
    [ "$(tail -n 1 out)" = '1 passed, 1 failed, 1 skipped' ]
result $? "a suite with a failed test: status 1"
"$QEMUNET" test failing.lua --filter pas >out 2>err
[ $? = 0 ] && [ "$(tail -n 1 out)" = '1 passed, 0 failed' ]
result $? "a suite's tests can be chosen"

script param <<'END'
print(param("n", 1) + 1, param("name", "x"), param("fast", false), #args, args[1])
END
run param.lua --param n=41 --param name=a=b --param fast=true --param odd=1 -- one --two
[ "$status" = 0 ] && [ "$(cat out)" = "$(printf '42\ta=b\ttrue\t2\tone')" ] && says err '--param odd: the experiment never asks for it'
result $? "parameters and arguments reach the script"
run param.lua --param n=many
[ "$status" = 1 ] && says err 'param\.lua:1: --param n=many: want a number' && ! says err 'never asks'
result $? "a parameter of the wrong type: status 1"
run param.lua --param n=1e999
[ "$status" = 1 ] && says err 'param\.lua:1: --param n=1e999: want a number'
result $? "a parameter that is too large for a number: status 1"

# usage WHAT PATTERN ARGS... - a wrong command line.
usage() {
    what=$1 pattern=$2
    shift 2
    "$QEMUNET" "$@" >out 2>err
    [ $? = 2 ] && says err "$pattern" && [ ! -s out ]
    result $? "usage: $what: status 2"
}
usage 'no command' 'usage: qemunet COMMAND'
usage 'an unknown command' 'unknown command rnu; did you mean "run"\?' rnu fine.lua
usage 'an unknown option' 'unknown option --timout; did you mean "--timeout"\?' run fine.lua --timout 5
usage 'a bad duration' '--timeout.*soon' run fine.lua --timeout soon
usage 'a bad seed' '--seed x: want a whole number' run fine.lua --seed x
usage 'a missing value' '--out wants a value' run fine.lua --out
usage 'what only shrinking takes' '--shrink-runs and --shrink-time go with --shrink' run fine.lua --shrink-runs 3
usage 'no file' 'run wants a file' run
usage 'a folder' 'cannot read \.: this is a folder' run .
usage 'two files' 'run wants one file' run fine.lua wrong.lua
run not-there.lua
[ "$status" != 0 ] && says err 'not-there\.lua: No such file'
result $? "a file that is not there is named"

script sleeper <<'END'
print("ready")
sleep(1000)
END
script looper <<'END'
print("ready")
while true do pcall(function() while true do end end) end
END
script coroutines <<'END'
print("ready")
while true do coroutine.wrap(function() while true do end end)() end
END
for name in sleeper looper coroutines; do
    run $name.lua --timeout 2s
    [ "$status" = 4 ] && says err 'time limit has passed' "$name\.lua:2: in the file's main part"
    result $? "--timeout ends a $name: status 4, and where it was"
    start $name.lua
    wait_for 60 is_ready
    stop INT
    [ "$status" = 130 ] && [ "$took" -lt 2000 ] && says err interrupted
    result $? "SIGINT ends a $name: status 130"
done

script stuck <<'END'
local stuck <close> = setmetatable({}, { __close = function() sleep(1000) end })
require "qemunet.core".time_limit(0.1)
sleep(1000)
END
run --allow-host stuck.lua
[ "$status" = 4 ] && says err 'its clean-up is cut off: it took more than' 'time limit has passed'
result $? "a clean-up that does not end is cut off when the time has passed: status 4"

# Also while the run begins, and the script has not.
ends_early() {
    for limit in 5 10 20 30 50 70 100 140 200 280 400; do
        timeout -s KILL 60 "$QEMUNET" run looper.lua --timeout "${limit}ms" >out 2>err
        [ $? = 4 ] || return 1
    done
}
ends_early
result $? "--timeout ends a looper at any moment of its start: status 4"

# --- with machines ---

script machines <<END
local a, b = vm("$a", { mem = "128M" }), vm("$b", { mem = "128M" })
link(a, b)
boot()
a:spawn("sleep 1000")
go(function() b:run("sleep 1000") end)
print("ready")
sleep(tonumber(param("sleep", 1000)))
END
start machines.lua --out "$folder/killed"
wait_for 60 is_ready && [ "$(machines "$a" | wc -l)" = 1 ] && [ "$(machines "$b" | wc -l)" = 1 ]
result $? "each machine is one process"
stop KILL
[ "$status" = 137 ] && wait_for 60 runs_none "$a" "$b"
result $? "kill -9 leaves no machine"
tail -n 1 killed/events.jsonl | grep -q '^{.*}$' && [ ! -e killed/result.json ]
result $? "kill -9 leaves the events so far, and no result"

start machines.lua --out "$folder/interrupted"
wait_for 60 is_ready
stop INT
[ "$status" = 130 ] && [ "$took" -lt 2000 ] && runs_none "$a" "$b"
result $? "Ctrl-C ends the machines within 2 s ($took ms): status 130"
grep -q '"verdict": "interrupted"' interrupted/result.json
result $? "an interrupted run has a result"

start machines.lua
boots_both() { ! runs_none "$a" && ! runs_none "$b"; }
wait_for 60 boots_both
stop TERM
[ "$status" = 130 ] && [ "$took" -lt 2000 ] && runs_none "$a" "$b"
result $? "SIGTERM during the boot, too ($took ms): status 130"

run machines.lua --param sleep=0
[ "$status" = 0 ] && runs_none "$a" "$b"
result $? "the end of the script ends commands, tasks and machines: status 0"

run machines.lua --timeout 1s
[ "$status" = 4 ] && runs_none "$a" "$b"
result $? "--timeout ends machines that boot: status 4"

# --- with hosts ---

script hosts <<END
local list = hosts(5, "$a%d", { setup = { "mount -t tmpfs $a /mnt" } })
lan(list)
boot()
for _, h in ipairs(list) do
    h:spawn("exec -a $a sleep 1000 || sleep 1000; : $a")
    h:succeed("setsid sh -c 'sleep 1000; : $a' >/dev/null 2>&1 &")
end
go(function() list[1]:run("sleep 1000; : $a") end)
print("ready")
sleep(tonumber(param("sleep", 1000)))
END
# Not the one that looks.
processes() { grep -lzs -e "[n]${a#n}" /proc/[0-9]*/cmdline | cut -d/ -f3; }
hosts_gone() { [ -z "$(processes)" ] && ! grep -qs "$a" /proc/[0-9]*/mounts; }

start hosts.lua
wait_for 60 is_ready && [ "$(processes | wc -l)" -ge 15 ]
if [ $? = 0 ] || ! says err 'namespaces|/dev/net/tun'; then
    result $? "five hosts run, with their commands"
    stop KILL
    [ "$status" = 137 ] && wait_for 60 hosts_gone
    result $? "kill -9 leaves nothing of hosts"
    start hosts.lua
    wait_for 60 is_ready
    stop INT
    [ "$status" = 130 ] && [ "$took" -lt 2000 ] && hosts_gone
    result $? "Ctrl-C ends hosts within 2 s ($took ms): status 130"
    run hosts.lua --param sleep=0
    [ "$status" = 0 ] && hosts_gone
    result $? "the end of the script ends hosts: status 0"
else
    skip "hosts" "this machine does not allow them: $(cat err)"
fi

# --- the machinery ---

echo "vm('$a'):boot()" | script plain
PATH=/nowhere run plain.lua
[ "$status" = 3 ] && says err 'qemu-system-x86_64 is not installed.*install the package qemu-system-x86$'
result $? "QEMU missing: status 3, and the package that has it"

echo "vm('$a', { qemu = { '-nonsense' } }):boot()" | script nonsense
run --allow-host nonsense.lua
[ "$status" = 3 ] && says err "nonsense\\.lua:1: vm $a did not boot" '-nonsense: invalid option'
result $? "a machine that does not start: status 3, and QEMU's own words"

echo "vm('$a', { mem = '16M' })" | script small
run small.lua
[ "$status" = 1 ] && says err 'small\.lua:1: .*mem 16 MiB is too small'
result $? "too little memory is said at once"

# --- what is left ---

surroundings >"$folder/after"
diff "$folder/before" "$folder/after" >out 2>&1
result $? "no interface, socket, temporary or cache file is left"
finish
