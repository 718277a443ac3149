#!/bin/sh
# SPDX-License-Identifier: MIT
# accel="auto": KVM where it works, else TCG; found out once, and said once in each run.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
own_cache "$folder/cache"
export XDG_CACHE_HOME="$folder/cache" NO_COLOR=1
script one <<'END'
local list = vms(param("n", 1), "n%d", { mem = "128M" })
boot()
for _, node in ipairs(list) do node:succeed("true") end
END

verdict_files() { find "$folder/cache/qemunet" -name 'kvm-*'; }
opens_kvm() { [ -r /dev/kvm ] && [ -w /dev/kvm ] && : 2>/dev/null <>/dev/kvm; }
has_child() { [ -n "$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)" ]; }

# Interrupted while it finds out.
start one.lua
wait_for 60 has_child
children=$(cat "/proc/$pid/task/$pid/children")
stop INT
left=''
for child in $children; do [ ! -e "/proc/$child" ] || left="$left $child"; done
[ "$status" = 130 ] && [ "$took" -lt 2000 ] && [ -z "$left" ]
result $? "Ctrl-C during the probe ends it ($took ms)"

run one.lua --param n=2
[ "$status" = 0 ] && [ "$(grep -c '^accelerator: ' err)" = 1 ]
result $? "a run says once which accelerator it uses"
if says err '^accelerator: KVM$'; then
    verdict=y
else
    verdict=n
    says err '^accelerator: TCG, software emulation \(/dev/kvm.*\)$'
    result $? "and why it is not KVM"
fi

if opens_kvm; then
    [ "$(verdict_files | wc -l)" = 1 ] && [ "$(cat "$(verdict_files)")" = $verdict ]
    result $? "the verdict is kept"
    made=$(stat -c %y "$(verdict_files)")
    run one.lua
    [ "$status" = 0 ] && [ "$(stat -c %y "$(verdict_files)")" = "$made" ] && [ "$(grep -c '^accelerator: ' err)" = 1 ]
    result $? "the second run does not probe, and says the same"
else
    [ -z "$(verdict_files)" ]
    result $? "without a /dev/kvm that opens, nothing is probed"
fi

rm -f "$(verdict_files)"
run one.lua --accel tcg
[ "$status" = 0 ] && ! says err '^accelerator: ' && [ -z "$(verdict_files)" ]
result $? "--accel tcg asks nobody"
finish
