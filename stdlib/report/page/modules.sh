#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what package-lock.json names, once, into the user's cache, and prints where: every build finds it there, also
# without a network.
#     modules.sh NPM
set -eu
npm=$1
here=$(cd "$(dirname "$0")" && pwd)
base=${XDG_CACHE_HOME:-$HOME/.cache}/qemunet
key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
folder=$base/npm-$key

mkdir -p "$base"
exec 9>"$base/npm.lock"
flock 9
if [ ! -d "$folder" ]; then
    part=$folder.part
    rm -rf "$part"
    mkdir "$part"
    cp "$here/package.json" "$here/package-lock.json" "$part"
    (cd "$part" && timeout 300 "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 9>&-)
    mv "$part" "$folder"
fi
echo "$folder/node_modules"
