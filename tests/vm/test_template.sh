#!/bin/sh
# SPDX-License-Identifier: MIT
# Warm templates with a cache of their own: test_template.lua, or the file that is named.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache"

"$QEMUNET" test --allow-host "$here/${1:-test_template.lua}" >out 2>err
result $? "machines that go on from templates"
! says err 'not saved as a template' 'could not go on' 'without a template' 'damaged'
result $? "none had to boot"
finish
