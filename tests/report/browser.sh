#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs experiments and looks at their reports in a headless Chromium: browser.mjs, and watch.mjs while they run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
case $QEMUNET in
/*) ;;
*) QEMUNET=$(pwd)/$QEMUNET ;;
esac

skip() {
    echo "ok 1 - reports in a browser # SKIP $*"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

chromium=$(command -v chromium) || skip "no chromium: install the package of that name"
npm=$(command -v npm) || skip "no npm: install the package of that name"
modules=$(sh "$root/stdlib/report/page/modules.sh" "$npm" "$here") || skip "npm could not install playwright-core"

cd "$folder" || exit 2
# run NAME FOLDER - beside the others: they mostly wait.
run() {
    "$QEMUNET" run -q "$2/$1.lua" --out "$1" >"$1.log" 2>&1 || [ "$1" = hostile ] || cat "$1.log"
}
for name in hello faults suite; do run "$name" "$root/experiments" & done
run hostile "$here"
compared() { # compared NAME SEED ARGS...
    name=$1 seed=$2
    shift 2
    "$QEMUNET" run -q "$here/compared.lua" --out "$name" --seed "$seed" "$@" >"$name.log" 2>&1
}
compared one 1
compared two 2 --param delay=20 --param 'note=<img src=x onerror=alert(1)>'
compared three 3 --param delay=20 --param 'note=<img src=x onerror=alert(1)>'
wait
[ -e hello/report.html ] || skip "no report.html: the program was built without npm"
"$QEMUNET" report one two three >comparison.log || cat comparison.log
failed=0
node "$here/watch.mjs" "$modules" "$chromium" "$QEMUNET" "$folder" "$here/watch.lua" || failed=1
NODE_PATH=$modules node "$here/browser.mjs" "$modules" "$chromium" "$QEMUNET" "$folder" "${1:-}" || failed=1
exit $failed
