# SPDX-License-Identifier: MIT
# One command processing unit in the guest: sh FOLDER/unit NUMBER
# FOLDER holds its FIFOs. Two virtio-serial ports belong to the unit: on qn.cN commands
# come in and standard output goes out; on qn.eN standard input comes in and standard error goes out.
#
# Each command runs in a shell of its own, started ahead and waiting for its script on the command port
# (see runtime/unit.c for what that holds), leader of its own session, with FIFOs for output. Its
# arguments are the number that its command has in this unit and the path of the unit's FIFOs. A relay
# copies each FIFO to its port. The relay opens the FIFO for the next command only once every writer of
# the last one has gone, so a unit says "ready" only when nothing that an earlier command left behind can
# still write. What tells results from output is a key that commands
# never see: it comes over the port and stays in this shell.
d=${0%/*} u=$1 c='' e='' key=''
# A port that was just plugged in may be seen late, and its name later still.
tries=0
while [ ! -c "$c" ] || [ ! -c "$e" ]; do
    [ $tries -lt 100 ] || exit 1
    [ $tries = 0 ] || usleep 20000 2>/dev/null || sleep 1
    tries=$((tries + 1))
    for port in /sys/class/virtio-ports/*; do
        name=''
        [ ! -r "$port/name" ] || read -r name <"$port/name"
        case $name in
        "qn.c$u") c=/dev/${port##*/} ;;
        "qn.e$u") e=/dev/${port##*/} ;;
        esac
    done
done
exec 3<>"$c" 6<>"$e"
# What is left in the ports of a unit that was killed is over with the line that holds the key.
rs=$(printf '\036')
for port in 3 6; do
    while read -r key <&$port; do
        case $key in "$rs"*) break ;; esac
    done
done
b=$d/$u
rm -f "$b".*
mkfifo "$b.i" "$b.o0" "$b.o1" "$b.e0" "$b.e1" || exit 1

outs='' errs='' n=0
while [ $n -lt 50 ]; do
    outs="$outs $u.o0 $u.o1" errs="$errs $u.e0 $u.e1" n=$((n + 1))
done
relays='' n=0
while :; do
    if [ $((n % 100)) = 0 ]; then
        # shellcheck disable=SC2086 # lists of words
        [ -z "$relays" ] || wait $relays
        # shellcheck disable=SC2086
        (cd "$d" && exec cat $outs >&3 3>&- 6>&-) </dev/null &
        relays=$!
        # shellcheck disable=SC2086
        (cd "$d" && exec cat $errs >&6 3>&- 6>&-) </dev/null &
        relays="$relays $!"
    fi
    exec 4>"$b.o$((n % 2))" 5>"$b.e$((n % 2))"
    echo "$key ready $n" >&3
    # In the foreground: a shell starts background commands with SIGINT ignored, which cannot be undone. In
    # parentheses: a shell may say of what it started that it was killed, and where its output goes.
    (exec setsid sh -s $n "$b") <&3 >&4 2>&5 4>&- 5>&-
    status=$? how=end
    if [ $status -gt 128 ]; then
        if [ -e "$b.x" ]; then rm -f "$b.x"; else how=killed; fi
    fi
    echo "$key $how $n $status" >&4
    echo "$key $how $n $status" >&5
    exec 4>&- 5>&-
    n=$((n + 1))
done
