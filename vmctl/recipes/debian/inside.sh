#!/bin/sh
# SPDX-License-Identifier: MIT
# Run as root in the new system, with the archives to unpack beside it: what makes a guest of it.
set -eu
here=/.qn lib=/usr/lib/qemunet
export DEBIAN_FRONTEND=noninteractive HOME=/root

# The folders that are there keep their owner and mode, and may be links.
unpack() {
    tar -C / --keep-directory-symlink --no-overwrite-dir -xf "$1"
}

# What systemd would make at boot, for the services that are started without it.
make_run_folders() {
    for file in /usr/lib/tmpfiles.d/*.conf; do
        [ -e "$file" ] || continue
        while read -r type path mode user group _; do
            case $type in d | D) ;; *) continue ;; esac
            case $path in *%*) continue ;; /run/* | /var/*) ;; *) continue ;; esac
            [ "$mode" != - ] || mode=755
            [ "${user:--}" != - ] || user=root
            [ "${group:--}" != - ] || group=root
            install -d -m "$mode" -o "$user" -g "$group" "$path" || :
        done <"$file"
    done
}

# busybox's init with shells only: no service is started but by the user.
use_our_init() {
    make_run_folders
    ln -s busybox $lib/init
    cat >/etc/inittab <<END
::respawn:$lib/portshell
ttyS0::respawn:-/bin/sh
END
    for verb in poweroff reboot halt; do
        printf '#!/bin/sh\nsync\nexec %s/busybox %s -f\n' $lib $verb >/sbin/$verb
        chmod 755 /sbin/$verb
    done
}

# The system's own: the shell that takes commands is one of its services, the last.
use_systemd() {
    : >$lib/system
    : >/etc/machine-id
    cat >/etc/systemd/system/qemunet.service <<END
[Unit]
Description=The shell that takes Qemunet's commands
After=multi-user.target
[Service]
ExecStart=$lib/portshell
Restart=always
KillMode=process
[Install]
WantedBy=graphical.target
END
    systemctl enable qemunet.service
    # The console's own service waits for a device that only udev, which need not be there, tells of.
    systemctl mask serial-getty@ttyS0.service getty-static.service
    systemctl enable console-getty.service
    mkdir /etc/systemd/system/console-getty.service.d
    cat >/etc/systemd/system/console-getty.service.d/autologin.conf <<END
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - \$TERM
END
}

unpack $here/ours.tar
sed -i 's/^root:[^:]*:/root::/' /etc/shadow
unpack $here/added.tar
if [ -s $here/run ]; then
    chmod 700 $here/run
    cd /root
    ran=0
    if [ "$(head -c 2 $here/run)" = '#!' ]; then $here/run || ran=$?; else sh -e $here/run || ran=$?; fi
    [ $ran = 0 ] || echo "image: the script that was to be run in it ended with status $ran" >&2
    [ $ran = 0 ] || exit 1
    cd /
fi
if [ -x /lib/systemd/systemd ] && [ -e /sbin/init ]; then
    use_systemd
    echo system >$here/init
else
    use_our_init
    echo ours >$here/init
fi
