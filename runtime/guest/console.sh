# SPDX-License-Identifier: MIT
# The guest's side of a line of requests over the serial console (stdlib/nodes/serial.lua): functions for the loop that reads
# them there. qn_d is the folder of what belongs to the line, qn_tag what begins a line of news. Each request can be made
# twice, since an answer that something else wrote into is asked for again; each answer has a form that shows that.
#
# Command N has files N.*: c its script, o and e its output, w what it reads and w0 when that is all, i the FIFO from
# which it reads that and n that for news of w, p its process id, g the FIFO at which it is held and b when it was let go,
# x when it exits by itself with a status over 128, s its end.
# shellcheck shell=sh disable=SC2154 # qn_d, qn_k and qn_tag come from there

if command -v setsid >/dev/null 2>&1; then qn_setsid=setsid; else qn_setsid=''; fi
if [ "$(printf abc | base64 2>/dev/null)" = YWJj ]; then qn_code=base64; else qn_code='od -An -v -tx1'; fi

# qn_take NUMBER FILE SIZE BYTES LINES: appends to the file, if it has that size, so many bytes that come in as many lines
# of base64, if they come whole. It answers as qn does, which keeps its standard input from a request.
qn_take() {
    echo
    echo "$qn_k<$1"
    : >>"$qn_d/$2"
    head -n "$5" | base64 -d >"$qn_d/taken" 2>/dev/null
    if [ "$(wc -c <"$qn_d/taken")" -eq "$4" ] && [ "$(wc -c <"$qn_d/$2")" -eq "$3" ]; then
        cat "$qn_d/taken" >>"$qn_d/$2"
    fi
    [ ! -e "$qn_d/${2%.w}.n" ] || qn_wake "$qn_d/${2%.w}.n"
    # shellcheck disable=SC2046
    echo "size" $(wc -c <"$qn_d/$2") .
    echo "$qn_k>$1"
}

# qn_get FILE BLOCK COUNT: so many blocks of 512 bytes of it.
qn_get() {
    dd if="$qn_d/$1" bs=512 skip="$2" count="$3" 2>/dev/null | $qn_code
}

# Copies what comes to BASE.w to the command, until that is all or the command has ended.
qn_feed() {
    exec 4<"$1.w" 5>"$1.i" 6<>"$1.n"
    while cat <&4 >&5; do
        [ ! -e "$1.s" ] || exit
        [ ! -e "$1.w0" ] || { cat <&4 >&5 && exit; }
        read -r qn_i <&6
    done
}

# One command from its start to its end. BASE FLAGS TAG, descriptor 9: where news go.
qn_job() {
    in=/dev/null
    case $2 in
    *i*)
        qn_feed "$1" 9>&- &
        in=$1.i
        ;;
    esac
    # A shell may say of what it started that it was killed: so not there.
    # shellcheck disable=SC2086
    (exec $qn_setsid sh "$1.c") <"$in" >>"$1.o" 2>>"$1.e" 9>&-
    status=$? how=ended
    [ $status -le 128 ] || [ -e "$1.x" ] || how=killed
    echo "$how $status" >"$1.t"
    mv "$1.t" "$1.s"
    [ ! -e "$1.n" ] || qn_wake "$1.n"
    echo "$3 ${1##*/}" >&9
}

# qn_run NUMBER FLAGS: starts a command, once. i: it reads what comes to N.w; h: it is held.
# The second setsid goes into the background, not the shell, which would have SIGINT ignored there.
qn_run() {
    if [ ! -e "$qn_d/$1.r" ]; then
        for qn_f in r o e; do : >>"$qn_d/$1.$qn_f"; done
        case $2 in *i*) : >>"$qn_d/$1.w" && mkfifo "$qn_d/$1.i" "$qn_d/$1.n" ;; esac
        case $2 in *h*) mkfifo "$qn_d/$1.g" ;; esac
        set -- "$qn_d/$1" "$2" "$qn_tag"
        if [ "$qn_setsid" ]; then
            # shellcheck disable=SC2016 # for that shell
            setsid setsid sh -c '. "$0"; qn_job "$@"' "$qn_d/functions" "$@" 9>&1 >/dev/null 2>&1
        else
            qn_job "$@" 9>&1 >/dev/null 2>&1 &
        fi
    fi
    echo started .
}

# qn_look NUMBER: the sizes of its output, its process id, whether it was let go, its end.
qn_look() {
    qn_p='' qn_s='' qn_b=-
    [ ! -e "$qn_d/$1.p" ] || read -r qn_p <"$qn_d/$1.p"
    [ ! -e "$qn_d/$1.b" ] || qn_b=b
    [ ! -e "$qn_d/$1.s" ] || read -r qn_s <"$qn_d/$1.s"
    # shellcheck disable=SC2046 # some put blanks before a number
    echo look $(wc -c <"$qn_d/$1.o") $(wc -c <"$qn_d/$1.e") "${qn_p:--}" $qn_b "${qn_s:--}" .
}

# qn_kill NUMBER SIGNAL: to its whole process group.
qn_kill() {
    qn_p=''
    [ ! -e "$qn_d/$1.p" ] || read -r qn_p <"$qn_d/$1.p"
    [ ! "$qn_p" ] || kill -s "$2" -- "${qn_setsid:+-}$qn_p" 2>/dev/null
    echo "signalled ${qn_p:--} ."
}

# Writes a line into a FIFO: opened both ways it waits for nobody.
qn_wake() {
    echo 1<>"$1"
}

# qn_go NUMBER: lets a held command begin.
qn_go() {
    qn_wake "$qn_d/$1.g"
    echo went .
}

# qn_fed NUMBER: no more will come for it to read.
qn_fed() {
    qn_wake "$qn_d/$1.n"
}

# qn_ports: starts a shell on the port qn.shell, again should it end. Says how that went.
qn_ports() {
    modprobe -a virtio_pci virtio_console >/dev/null 2>&1
    qn_n=0 qn_p=''
    while [ $qn_n -lt 50 ] && [ ! "$qn_p" ]; do
        for qn_i in /sys/class/virtio-ports/*; do
            [ ! -r "$qn_i/name" ] || read -r qn_s <"$qn_i/name"
            [ "$qn_s" != qn.shell ] || qn_p=/dev/${qn_i##*/}
        done
        [ -c "$qn_p" ] || qn_p=''
        [ "$qn_p" ] || [ ! -d /sys/class/virtio-ports ] || sleep 0.1 2>/dev/null || { sleep 1; qn_n=$((qn_n + 9)); }
        qn_n=$((qn_n + 1))
    done
    if [ ! "$qn_p" ]; then
        echo ports none .
    elif [ ! -w "$qn_p" ] || [ ! "$qn_setsid" ]; then
        echo ports denied .
    else
        # shellcheck disable=SC2016 # for that shell
        setsid setsid sh -c 'while [ -c "$0" ]; do cd; sh <>"$0" >&0 2>&1; sleep 1; done' "$qn_p" >/dev/null 2>&1
        echo ports started .
    fi
}
