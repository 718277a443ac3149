# SPDX-License-Identifier: MIT
# The shell of one command: waits for the command, then becomes it. Descriptor 3 is the unit's command
# port, 6 its port for standard input; $1 is the path of the unit's FIFOs, $2 the number that this
# command has in the unit: one with another number was meant for a shell that died, and is passed over.
# A shell that exits by itself with a status over 128 leaves a note, since "wait" cannot tell that from
# death by a signal.
qn_b=$1 qn_me=$2 qn_seq=''
shift 2
while [ "$qn_seq" != "$qn_me" ]; do
    read -r qn_seq qn_how qn_n qn_in qn_hold <&3 || exit 0
    if [ "$qn_how" = lines ]; then
        IFS= read -r qn_c <&3
        while [ "$qn_n" -gt 1 ]; do
            IFS= read -r qn_l <&3
            qn_c=$qn_c'
'$qn_l
            qn_n=$((qn_n - 1))
        done
    else
        qn_c=$(
            dd bs="$qn_n" count=1 iflag=fullblock 2>/dev/null <&3
            echo .
        )
        qn_c=${qn_c%.}
    fi
done
if [ "$qn_hold" = 1 ]; then
    echo armed >&3
    read -r qn_hold <&3
    echo started >&3
fi
if [ "$qn_in" = 1 ]; then
    setsid sh "${qn_b%/*}/feed" <&6 >"$qn_b.i" 3>&- 6>&- &
    exec <"$qn_b.i"
fi
exec 3>&- 6>&-
# shellcheck disable=SC2064 # the path is expanded now, and its variable gone when the trap runs
trap "[ \$? -le 128 ] || : >'$qn_b.x'" EXIT
eval "unset qn_b qn_me qn_seq qn_how qn_n qn_in qn_hold qn_c qn_l; $qn_c"
