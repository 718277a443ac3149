#!/bin/sh
# SPDX-License-Identifier: MIT
# The benchmarks measure every way and load, and show them; how fast is not tested.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

"$QEMUNET" bench >out 2>err && says out '^boot +' '^commands +' '^sync +'
result $? "a list of the benchmarks"

"$QEMUNET" bench comands >out 2>err
[ $? = 2 ] && says err 'unknown benchmark comands; did you mean "?commands'
result $? "an unknown one is a usage error"

"$QEMUNET" bench commands --rounds 0 >out 2>err
[ $? = 2 ]
result $? "no rounds are a usage error"

"$QEMUNET" bench commands --rounds 1 --json json >out 2>err
ended=$?
[ $ended = 0 ] && says out '^command .*bare port .*qemunet .*pexpect-like.* NixOS-like' \
    '^: .* ms .* ms .* ms .* ms' '^/bin/true .* ms .* ms .* ms .* ms' '^1 MB, cat ' '^100 MB, cat ' \
    '^/bin/true / bare port .* at most 1.3 '
result $? "every way and load is in the table"

[ "$(grep -c '"median": [0-9.e-]*[1-9]' json)" -ge 25 ] && grep -q '"memory": 1*[0-9.]' json
result $? "and in the JSON"

"$QEMUNET" bench fabric --rounds 1 --json json >out 2>err
ended=$?
[ $ended = 0 ] && says out '^ *bare relay .* k/s' '^ *5 links, 4 switches .* k/s' '^ *hosts over a link .* k/s' \
    '^ *veth, bridge, htb .* k/s' '^ *source, link, sink .* k/s' '^ *1000 links .* k/s' '^lateness, 99th percentile '
result $? "the fabric's: every way is in the table"

"$QEMUNET" bench boot --rounds 1 --vms 3 --json json >out 2>err
ended=$?
[ $ended = 0 ] && says out '^one, from a template .* m?s' '^one, first use .* s' '^one, booted .* s' '^suite of 1, without' \
    '^3 together, from a template .* m?s' '^2 together, booted' '^one, template / booted .* at most 0.15 ' '^memory of an idle one'
result $? "the machines': every way is in the table"

if [ -e "${QEMUNET_NS3:-$(dirname "$QEMUNET")/qemunet-ns3}" ]; then
    "$QEMUNET" bench ns3 --rounds 1 --json json >out 2>err
    ended=$?
    [ $ended = 0 ] && says out '^packets, CSMA, and a switch .* k/s' '^packets, point-to-point, and a link .* k/s' \
        '^voice, CSMA.* 80$' '^video, CSMA.* 15$' '^packets a core, against 2011 '
    result $? "ns-3's: every load is in the table"
else
    echo "skipped: bench ns3, which this was built without"
fi

finish
