#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what FOLDER/package-lock.json names, once, into the user's cache, and prints where: every build finds it there,
# also without a network.
#     modules.sh NPM FOLDER
set -eu
npm=$1
folder=$2
base=${XDG_CACHE_HOME:-$HOME/.cache}/qemunet
key=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum | cut -c1-16)
modules=$base/npm-$key

mkdir -p "$base"
exec 9>"$base/npm.lock"
flock 9
if [ ! -d "$modules" ]; then
    part=$modules.part
    rm -rf "$part"
    mkdir "$part"
    cp "$folder/package.json" "$folder/package-lock.json" "$part"
    (cd "$part" && timeout 300 "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 9>&-)
    mv "$part" "$modules"
fi
echo "$modules/node_modules"
