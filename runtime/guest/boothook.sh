#!/bin/sh
# SPDX-License-Identifier: MIT
# cloud-init runs this early at each boot (stdlib/nodes/seed.lua): a shell on the virtio-serial port named qn.shell, again
# should it end. In the background, with nothing open that cloud-init waits for.
# shellcheck disable=SC2016 # for the inner shell
HOME=/root setsid sh -c '
    modprobe -a virtio_pci virtio_console
    tries=0 port=
    while [ ! -c "$port" ] && [ $tries -lt 60 ]; do
        for folder in /sys/class/virtio-ports/*; do
            name=
            [ ! -r "$folder/name" ] || read -r name <"$folder/name"
            [ "$name" != qn.shell ] || port=/dev/${folder##*/}
        done
        [ -c "$port" ] || sleep 1
        tries=$((tries + 1))
    done
    while [ -c "$port" ]; do
        cd
        sh <>"$port" >&0 2>&1
        sleep 1
    done
' </dev/null >/dev/null 2>&1 &
