# SPDX-License-Identifier: MIT
# What the shell tests share: a folder of their own to work in, results, and waiting with a deadline.
# Sourced with $QEMUNET naming the program; ends the test with `finish`.
# shellcheck shell=sh disable=SC2034 # its variables are for the tests
set -u
here=$(cd "$(dirname "$0")" && pwd)
case $QEMUNET in
/*) ;;
*) QEMUNET=$(pwd)/$QEMUNET ;;
esac
folder=$(mktemp -d)
count=0 failed=0 skipped=0
unset QEMUNET_STDLIB

# Ends what a failed test left running, by the numbers it was started under.
started=''
clean_up() {
    for pid in $started; do kill -KILL "$pid" 2>/dev/null; done
    cd / && rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# result STATUS NAME - one test's; the files out and err are shown when it failed.
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $count - $2"
    for file in out err; do
        [ ! -s "$folder/$file" ] || sed "s/^/  # $file: /" "$folder/$file" | tail -n 30
    done
}

skip() { # skip WHAT WHY
    count=$((count + 1)) skipped=$((skipped + 1))
    echo "ok $count - $1 # SKIP $2"
}

finish() {
    if [ $skipped = 0 ]; then
        echo "$((count - failed)) passed, $failed failed"
    else
        echo "$((count - failed - skipped)) passed, $failed failed, $skipped skipped"
    fi
    [ $failed -eq 0 ]
    exit
}

# wait_for SECONDS COMMAND... - until it succeeds.
wait_for() {
    end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@"; do
        [ "$(date +%s%N)" -lt $end ] || return 1
        sleep 0.05
    done
}

milliseconds() {
    echo $(($(date +%s%N) / 1000000))
}

# A node name that no other test run has.
unique_name() {
    echo "n$1-$$-$(date +%N)"
}

# machines NAME - the process numbers of the QEMUs that run a machine of that name.
machines() {
    grep -lzs "^$1,debug-threads" /proc/[0-9]*/cmdline | cut -d/ -f3
}

runs_none() { # runs_none NAME...
    for name in "$@"; do
        [ -z "$(machines "$name")" ] || return 1
    done
}

# script NAME - an experiment of standard input.
script() {
    cat >"$folder/$1.lua"
}

# run ARGS... - to the end; status, out and err are kept.
run() {
    "$QEMUNET" run "$@" >"$folder/out" 2>"$folder/err"
    status=$?
}

# start ARGS... - in the background, as pid.
start() {
    : >"$folder/out"
    : >"$folder/err"
    "$QEMUNET" run "$@" >"$folder/out" 2>"$folder/err" &
    pid=$!
    started="$started $pid"
}

# says FILE PATTERN... - whether out or err has each of them.
says() {
    file=$1
    shift
    for pattern in "$@"; do
        grep -qE -- "$pattern" "$folder/$file" || return 1
    done
}

is_ready() { says out '^ready$'; }

# stop SIGNAL - ends what was started; status and the time it took, in took (ms), are kept.
stop() {
    begun=$(milliseconds)
    kill -s "$1" "$pid"
    wait "$pid" 2>/dev/null
    status=$?
    took=$(($(milliseconds) - begun))
}

# What an earlier run has built, so that it is not built again: own_cache FOLDER
own_cache() {
    image=$("$QEMUNET" image build tiny 2>"$folder/err" | sed 's/.*, //')
    if [ ! -d "$image" ]; then
        echo "no image: $(cat "$folder/err")"
        exit 1
    fi
    mkdir -p "$1/qemunet"
    cp -r "$image" "$1/qemunet/"
}

# And what it found out about KVM.
copy_verdict() {
    for verdict in "${image%/*}"/kvm-*; do
        [ ! -e "$verdict" ] || cp "$verdict" "$1/qemunet/"
    done
}

# Starts a TCP server at this machine's loopback that greets what is sent to it; its port is kept.
loopback_server() {
    cat >"$folder/server.py" <<'END'
import socketserver

class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello " + self.request.recv(100))

with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
END
    python3 "$folder/server.py" >"$folder/port" 2>"$folder/err" &
    started="$started $!"
    wait_for 60 test -s "$folder/port" || {
        echo "no server: $(cat "$folder/err")"
        exit 1
    }
    port=$(cat "$folder/port")
}

cd "$folder" || exit 1
