#!/bin/sh
# SPDX-License-Identifier: MIT
# A machine that cannot keep up: the verdict of fidelity changes, and --strict makes the run fail.
# shellcheck disable=SC1091,SC2086,SC2154,SC2181 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"

# A machine that computes for some seconds of ours, beside one that pings it.
script busy <<'END'
local a, b = vm(param("a")), vm(param("b"))
link(a, b)
boot()
print("ready")
local load = a:spawn("while :; do :; done")
local ping = b:spawn("ping -i 0.05 " .. a.name)
sleep(param("seconds", 2))
print("measured")
load:kill()
ping:kill()
END

# fidelity FILE - the verdict that result.json of a run's folder says.
fidelity() {
    tr -d '\n ' <"$folder/$1/result.json" |
        sed -n 's/.*"thresholds":{[^}]*},"verdict":"\([a-z]*\)"}.*/\1/p'
}

a=$(unique_name a) b=$(unique_name b)
set -- busy.lua --param "a=$a" --param "b=$b" --strict --timeout 120
# What else this machine does is in nobody's hands here: not each time.
for _ in 1 2 3 4 5; do
    rm -rf calm
    run "$@" --out calm
    [ $status -ne 5 ] && break
done
[ $status -eq 0 ] && case $(fidelity calm) in sound | doubtful) ;; *) false ;; esac
result $? "a run that has the machine to itself passes with --strict"

# Bound to each processor, each in a session of its own, as the kernel may share the processors out among sessions, and all
# before the run, which is made nicer. However this test ends, they end by their limit of processor time.
hogs=''
load() {
    for cpu in $(taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' | awk -F- '{ for (i = $1; i <= $NF; i++) print i }'); do
        for _ in 1 2 3 4; do
            timeout 30 setsid taskset -c "$cpu" sh -c 'ulimit -t 20; while :; do :; done' &
            hogs="$hogs $!"
        done
    done
    started="$started $hogs"
}

start "$@" --param seconds=6 --out loaded
wait_for 60 is_ready # a boot would take too long
for process in "$pid" $(machines "$a") $(machines "$b"); do
    for thread in /proc/"$process"/task/*; do renice -n 12 -p "${thread##*/}" >/dev/null; done
    echo 12 2>/dev/null >/proc/"$process"/autogroup || :
done
load
wait_for 60 says out '^measured$'
for hog in $hogs; do kill "$hog" 2>/dev/null; done
wait "$pid"
status=$?
[ $status -eq 5 ]
result $? "one that does not, fails: status 5"
[ "$(fidelity loaded)" = unsound ] && grep -q '"verdict": "unsound"' loaded/result.json
result $? "result.json says so"
says err "^unsound: this machine did not keep up: .*machine ($a|$b) waited for a processor [0-9.]+% of its time \(worst at [0-9.]+ s\)"
result $? "the log gives the reason and the moment"
finish
