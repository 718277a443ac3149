#!/bin/sh
# SPDX-License-Identifier: MIT
# Warm templates in the cache: runs that are killed or interrupted while they make one, several at once, damage, other QEMUs
# and users, the bound of the cache, and a cache that cannot be written to.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache"
cache=$folder/cache/qemunet

script one <<'END'
local v = vm(param("name"), { mem = param("mem", "128M"), append = param("append", "quiet") })
boot()
print((v:succeed("hostname")))
END

templates() { find "$cache" -maxdepth 1 -name 'template-*' ! -name '*.*' | sort; }
count() { templates | wc -l; }
unfinished() { find "$cache" -maxdepth 1 -name 'template-*.*'; }
is_making() { [ -n "$(find "$cache" -path '*/template-*.tmp/memory')" ]; }
is_clean() { [ -z "$(unfinished)" ]; }
name=$(unique_name t)

# Whether it runs and passes; with QEMUNET_CACHE_MAX: boots_within BOUND
boots() {
    "$QEMUNET" run one.lua --param name="$name" >out 2>err
    status=$?
    [ "$status" = 0 ] && says out "^$name\$"
}
boots_within() {
    export QEMUNET_CACHE_MAX="$1"
    boots
    unset QEMUNET_CACHE_MAX
    [ "$status" = 0 ]
}
is_silent() { ! says err template; }

# flip FILE OFFSET - another byte there.
flip() {
    byte=$(od -An -tu1 -j "$2" -N1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # an octal escape
    printf "\\$(printf %03o $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- makers that do not come to their end ---

start one.lua --param name="$name"
wait_for 60 is_making
stop KILL
[ "$status" = 137 ] && wait_for 60 runs_none "$name" && [ "$(count)" = 0 ] && ! is_clean
result $? "a run that is killed while it makes one has not made it"
"$QEMUNET" run one.lua --param name="$name-a" >out1 2>err1 &
first=$!
started="$started $first"
run one.lua --param name="$name-b"
wait $first
[ $? = 0 ] && [ "$status" = 0 ] && grep -qx "$name-a" out1 && grep -qx "$name-b" out
result $? "two runs at once pass after that"
[ "$(count)" = 1 ] && is_clean && ! grep -q template err err1
result $? "one of them has made it, for both, and nothing is left of the killed"

start one.lua --param name="$name" --param mem=132M
wait_for 60 is_making
stop INT
[ "$status" = 130 ] && wait_for 60 runs_none "$name" && is_clean
result $? "Ctrl-C while one is made: status 130, nothing is left"
run one.lua --param name="$name" --param append=rdinit=/bin/cat --timeout 3
[ "$status" = 4 ] && wait_for 60 runs_none "$name" && is_clean && [ "$(count)" = 1 ]
result $? "--timeout, too: status 4"

# --- damage ---

template=$(templates)
size=$(stat -c %s "$template/memory")
block=$(cmp -n "$size" "$template/memory" /dev/zero 2>/dev/null | sed 's/.* byte \([0-9]*\),.*/\1/')
flip "$template/memory" $((block + 4096 * 10))
boots && says err 'damaged template in the cache is made anew' && [ "$(count)" = 1 ] && is_clean
result $? "a flipped bit of the memory: it is made anew"
boots && is_silent
result $? "and used by the next"
run one.lua --param name="$name" --param mem=136M
[ "$status" = 0 ] && [ "$(count)" = 2 ]
result $? "a template of another kind beside it"
truncate -s 20 "$template/about"
boots_within 150M && says err 'damaged template' && [ "$(count)" = 1 ] && [ "$(templates)" = "$template" ]
result $? "half of what says what it is: made anew; QEMUNET_CACHE_MAX: the one that was used last stays"
"$QEMUNET" image list >out 2>err && says out '^1 warm template of machines: [0-9]+ MiB$' &&
    "$QEMUNET" image remove templates >out 2>err && says out '^removed 1 warm template: [0-9]+ MiB$' && [ "$(count)" = 0 ]
result $? "the command image lists and removes them"
boots_within 1 && is_silent && [ "$(count)" = 0 ]
result $? "a bound that is too small for one: it is used, and goes"
boots_within lots
[ "$status" != 0 ] && says err 'QEMUNET_CACHE_MAX'
result $? "a bound that is none is blamed"

# --- other QEMUs, other users, other places ---

mkdir bin
printf '#!/bin/sh\nexec %s "$@"\n' "$(command -v qemu-system-x86_64)" >bin/qemu-system-x86_64
chmod +x bin/qemu-system-x86_64
chmod -R a+rX "$folder" && chmod 755 "$folder" "$folder/bin"
if [ "$(id -u)" = 0 ]; then
    cp "$QEMUNET" "$folder/qemunet" && mkdir work && cp one.lua work/ && chown -R 65534:65534 "$folder/cache" work
    before=$(count)
    (cd work && PATH="$folder/bin:$PATH" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all -- \
        env HOME="$folder/work" "$folder/qemunet" run one.lua --param name="$name") >out 2>err
    [ $? = 0 ] && is_silent && [ "$(count)" = $((before + 1)) ] && [ "$(stat -c %u%a "$(templates)")" = 65534700 ]
    result $? "another QEMU is another template; an ordinary user has it alone"

    mkdir ro full
    # In a mount namespace of their own, both at once.
    cp -r cache/qemunet ro/
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -o bind ro ro && mount -o remount,ro,bind ro && XDG_CACHE_HOME="$0/ro" && export XDG_CACHE_HOME &&
        exec "$@"' "$folder" "$QEMUNET" run one.lua --param name="$name" --out ro.out >out1 2>err1 &
    first=$!
    started="$started $first"
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m sh -c 'mount -t tmpfs -o size=64M none full && mkdir full/qemunet && ln -s "$0"/cache/qemunet/tiny* \
        "$0"/cache/qemunet/kvm* full/qemunet/ && XDG_CACHE_HOME="$0/full" && export XDG_CACHE_HOME && "$@" && ls full/qemunet' \
        "$folder" "$QEMUNET" run one.lua --param name="$name" --out full.out >out 2>err
    [ $? = 0 ] && says err "$name: boots without a template: .*the disk has no room for 128 MiB" && ! says out template
    result $? "where the disk is too small: it boots without one, which is said"
    wait $first
    [ $? = 0 ] && grep -q "$name: boots without a template: .*Read-only file system" err1
    result $? "where the cache cannot be written to: it boots without one, which is said"
else
    skip "another user, a cache of another kind" "this is not run by root"
fi
finish
