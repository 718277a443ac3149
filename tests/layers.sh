#!/bin/sh
# SPDX-License-Identifier: MIT
# The architecture as a test: who may include what, and no file forgotten in a meson.build.
#     tests/layers.sh                from anywhere; checks the tree that it is in
#     tests/layers.sh --self-check   breaks each rule in a made-up tree, and wants it noticed
set -u
tree=$(cd "$(dirname "$0")/.." && pwd)
self_check=${1:-}
passed=0 failed=0

# includes PATTERN PATH... - the lines that include a header whose name starts with the pattern.
includes() {
    pattern=$1
    shift
    grep -rnE --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@"
}

# in_one_file PATTERN - the lines again, when they are in more than one file.
in_one_file() {
    lines=$(includes "$1" vmctl runtime interp tests)
    [ "$(echo "$lines" | cut -d: -f1 | sort -u | wc -l)" -le 1 ] || echo "$lines"
}

# unlisted SUFFIX FOLDER... - the files that neither their folder's meson.build nor the one above it
# names, in one of these forms: 'name.c', 'folder/name.c'; for tests also 'name', with or without test_.
unlisted() {
    suffix=$1
    shift
    for folder in "$@"; do
        listed=$(cat "$folder/meson.build" "$folder/../meson.build" 2>/dev/null)
        for file in "$folder"/*"$suffix"; do
            [ -e "$file" ] || continue
            name=${file##*/} stem=-
            case $folder in tests/*) stem=${name%.*} ;; esac
            case $listed in
            *"'$name'"* | *"'${folder##*/}/$name'"* | *"'$stem'"* | *"'${stem#*_}'"*) ;;
            *) echo "$file" ;;
            esac
        done
    done
}

# rule WHAT OFFENDERS - one result.
rule() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1"
        echo "$2" | sed 's/^/    /'
    fi
}

source_folders() {
    find vmctl runtime interp tests/unit tests/fuzz tests/bench -type d
}

check_tree() { # check_tree FOLDER
    cd "$1" || exit 2
    rule 'vmctl includes neither runtime nor interp' "$(includes 'runtime/|interp/' vmctl)"
    rule 'runtime does not include interp' "$(includes 'interp/' runtime)"
    rule 'no include climbs out of its folder' "$(includes '\.\./' vmctl runtime interp tests)"
    rule 'no event loop in vmctl' "$(includes 'uv\.h' vmctl)"
    rule 'Lua only in interp' "$(includes 'lua\.h|lauxlib\.h|lualib\.h|luaconf\.h' vmctl runtime tests)"
    rule 'pcre2 in one file' "$(in_one_file 'pcre2')"
    rule 'netlink in one file' "$(in_one_file 'netlink/|linux/netlink|linux/rtnetlink')"
    # shellcheck disable=SC2046 # one folder a word
    rule 'every C file is listed' "$(unlisted .c $(source_folders) && unlisted .cc $(source_folders))"
    # shellcheck disable=SC2046 # one folder a word
    rule 'every Lua file is listed' "$(unlisted .lua $(find stdlib -type d) tests/lua tests/vm)"
    rule 'every shell script is listed' "$(unlisted .sh tests/vm vmctl/recipes vmctl/recipes/* runtime/guest)"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# notices WHAT FILE TEXT - whether a tree in which FILE holds TEXT breaks exactly the rule WHAT.
notices() {
    mkdir -p "$(dirname "$made/$2")"
    echo "$3" >"$made/$2"
    case $2 in
    */unlisted.*) ;;
    *) echo "'$(basename "$2")'" >>"$made/$(dirname "$2")/meson.build" ;;
    esac
    offenders=$(sh "$made/tests/layers.sh" | grep '^not ok')
    rule "notices: $1" "$([ "$offenders" = "not ok - $1" ] || echo "got: $offenders")"
    rm "$made/$2"
}

check_self() {
    made=$(mktemp -d) || exit 2
    trap 'rm -rf "$made"' EXIT
    for folder in vmctl/recipes/one runtime/part interp stdlib tests/unit tests/fuzz tests/bench tests/lua \
        tests/vm; do
        mkdir -p "$made/$folder"
        echo "'fine.c' 'fine.lua' 'fine.sh'" >"$made/$folder/meson.build"
    done
    cp "$0" "$made/tests/layers.sh"
    echo '#include <pcre2.h>' >"$made/runtime/fine.c"
    echo "'fine.c'" >"$made/runtime/meson.build"
    echo '#include <netlink/route/link.h>' >"$made/runtime/part/fine.c"
    printf '#include "runtime/clock.h"\n# include <lua.h>\n' >"$made/interp/fine.c"
    echo '#include "runtime/clock.h"' >"$made/tests/unit/fine.c"
    result=$(sh "$made/tests/layers.sh")
    rule 'a clean tree passes' "$(echo "$result" | grep '^not ok')"

    notices 'vmctl includes neither runtime nor interp' vmctl/x.c '#include "runtime/clock.h"'
    notices 'vmctl includes neither runtime nor interp' vmctl/x.h '  #  include "interp/task.h"'
    notices 'runtime does not include interp' runtime/part/x.c '#include "interp/task.h"'
    notices 'no include climbs out of its folder' runtime/part/x.c '#include "../clock.h"'
    notices 'no event loop in vmctl' vmctl/x.c '#include <uv.h>'
    notices 'Lua only in interp' runtime/x.c '#include <lua.h>'
    notices 'Lua only in interp' tests/unit/x.c '#include "lauxlib.h"'
    notices 'pcre2 in one file' interp/x.c '#include <pcre2.h>'
    notices 'netlink in one file' vmctl/x.c '#include <linux/rtnetlink.h>'
    notices 'netlink in one file' runtime/x.c '#include <netlink/netlink.h>'
    notices 'every C file is listed' vmctl/unlisted.c ''
    notices 'every C file is listed' tests/unit/unlisted.c ''
    notices 'every Lua file is listed' stdlib/unlisted.lua ''
    notices 'every Lua file is listed' stdlib/part/unlisted.lua ''
    notices 'every shell script is listed' tests/vm/unlisted.sh ''
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

case $self_check in
'') check_tree "$tree" ;;
--self-check) check_self ;;
*)
    echo "usage: tests/layers.sh [--self-check]" >&2
    exit 2
    ;;
esac
