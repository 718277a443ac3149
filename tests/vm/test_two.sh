#!/bin/sh
# SPDX-License-Identifier: MIT
# Two experiments at once, with nodes of the same names and addresses, do not see each other.
# shellcheck disable=SC1091,SC2154,SC2181,SC2317 # see lib.sh; the status is that of a list
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

script pair <<'END'
local a, b = vm("a", { mem = "128M" }), vm("b", { mem = "128M" })
local cable = link(a, b)
boot()
b:write("/tmp/who", param("who"))
-- The other run has as many machines and frames; both go on until both have come so far.
local here, there = param("here"), param("there")
assert(io.open(here, "w")):close()
eventually(60, function() return io.open(there) end)
for _ = 1, 5 do a:succeed("ping -c 1 -W 5 b") end
check.equal(b:succeed("cat /tmp/who"), param("who"))
check.equal(b:ip(cable), "10.0.0.2")
check.less(cable:stats().ab.sent, 40)
record { who = param("who") }
END
"$QEMUNET" run --allow-host pair.lua --param who=one --param here=1 --param there=2 >out1 2>err1 &
first=$!
"$QEMUNET" run --allow-host pair.lua --param who=two --param here=2 --param there=1 >out 2>err &
second=$!
# shellcheck disable=SC2034 # lib.sh ends these
started="$first $second"
wait $first
[ $? = 0 ]
result $? "the first passes"
wait $second
[ $? = 0 ]
result $? "the second passes"
[ "$(grep -l '"verdict": "passed"' runs/*/result.json | wc -l)" = 2 ] && [ "$(find runs -mindepth 1 -maxdepth 1 | wc -l)" = 2 ]
result $? "two folders, two results"
grep -q '"who": "one"' runs/*/result.json && grep -q '"who": "two"' runs/*/result.json
result $? "each result is its own"
finish
