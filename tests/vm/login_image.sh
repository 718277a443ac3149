#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a small system whose only way in is a getty on its serial console: login_image.sh TINY OUT
#   TINY  folder of the tiny guest, whose kernel and programs it borrows
#   OUT   existing folder; gets disk.img (ext4), initrd.gz (which mounts that), and kernel, a link
# Users: root, password "secret 1"; plain, without one; dan (dash) and ben (bash), password "x".
# What the kernel command line says after qn.variant= makes it different: see rc below.
set -eu
tiny=$1 out=$2
PATH=$PATH:/usr/sbin:/sbin
root=$out/root
mkdir -p "$root" "$out/early"
(cd "$root" && gzip -dc "$tiny/initrd.gz" | cpio --quiet -idm --no-absolute-filenames)
rm -f "$root/sbin/portshell" "$root/init"
mkdir -p "$root/var/tmp0" "$root/home/plain" "$root/home/dan" "$root/home/ben"

for program in /bin/dash /bin/bash; do
    cp "$program" "$root/bin/"
    ldd "$program" | sed -n 's/.* \(\/[^ ]*\) (0x.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p' | while read -r library; do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
done

hash() { busybox mkpasswd -m sha512 -S saltsalt "$1"; }
cat >"$root/etc/passwd" <<EOF
root:x:0:0:root:/root:/bin/sh
plain:x:1000:1000:plain:/home/plain:/bin/sh
dan:x:0:0:dan:/home/dan:/bin/dash
ben:x:0:0:ben:/home/ben:/bin/bash
nobody:x:65534:65534:nobody:/tmp:/bin/sh
EOF
cat >"$root/etc/shadow" <<EOF
root:$(hash 'secret 1'):19000:0:99999:7:::
plain::19000:0:99999:7:::
dan:$(hash x):19000:0:99999:7:::
ben:$(hash x):19000:0:99999:7:::
EOF
printf 'root:x:0:\nplain:x:1000:\ntty:x:5:\nnogroup:x:65534:\n' >"$root/etc/group"
id=0123456789abcdef0123456789abcdef
echo $id >"$root/etc/machine-id"
mkdir -p "$root/var/log/journal/$id"
echo 'entry 1' >"$root/var/log/journal/$id/journal"
printf 'Small System 1.0 \\n \\l\n\n' >"$root/etc/issue"
printf 'Welcome to the small system.\nLast change: none > nothing #\n' >"$root/etc/motd"
printf '::sysinit:/etc/rc\nttyS0::respawn:/sbin/start-getty\n' >"$root/etc/inittab"

cat >"$root/sbin/start-getty" <<'EOF'
#!/bin/sh
exec /bin/getty -L 115200 ttyS0 vt100
EOF
cat >"$root/etc/rc" <<'EOF'
#!/bin/sh
export PATH=/sbin:/bin
variant=$(sed -n 's/.*qn\.variant=\([^ ]*\).*/\1/p' /proc/cmdline)
has() { case ,$variant, in *,$1,*) return 0 ;; esac; return 1; }
flags=
has noexec && flags=-onoexec
mount -t devpts devpts /dev/pts 2>/dev/null || { mkdir -p /dev/pts; mount -t devpts devpts /dev/pts; }
mkdir -p /dev/shm
ln -sf /proc/self/fd /dev/fd
for name in 0stdin 1stdout 2stderr; do ln -sf /proc/self/fd/${name%%[a-z]*} /dev/${name#?}; done
rm -rf /var/tmp
mkdir /var/tmp
for place in /dev/shm /run /tmp /var/tmp; do mount $flags -t tmpfs tmpfs $place; chmod 1777 $place; done
has novirtio && rm -f /lib/modules/*/virtio_console.ko
has dash && ln -sf dash /bin/sh
has bash && ln -sf bash /bin/sh
has roetc && mount -o bind /etc /etc && mount -o remount,ro,bind /etc
has nobase64 && rm -f /bin/base64
has menu && printf '#!/bin/sh\nread x </dev/ttyS0; exec /bin/getty -L 115200 ttyS0 vt100\n' >/sbin/start-getty
has noisy && (while :; do [ -e /tmp/noise ] && echo "noise [ 12.345] of somebody" >/dev/ttyS0; usleep 30000; done) &
modprobe -a virtio_pci virtio_net virtio_rng
ip link set lo up
has up && ip link set eth0 up
has hash && printf 'This looks like a prompt # ' >/dev/ttyS0
:
EOF
chmod 755 "$root/etc/rc" "$root/sbin/start-getty"

cat >"$out/early/init" <<'EOF'
#!/bin/sh
export PATH=/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe -a virtio_pci virtio_blk ext4
mount -t ext4 /dev/vda /mnt
for place in dev sys proc; do mount --move /$place /mnt/$place; done
exec switch_root /mnt /sbin/init
EOF
chmod 755 "$out/early/init"
(cd "$out/early" && echo ./init | cpio --quiet -o -H newc -R 0:0 | gzip -9n) >"$out/early.gz"
cat "$tiny/initrd.gz" "$out/early.gz" >"$out/initrd.gz"
ln -sf "$tiny/vmlinuz" "$out/kernel"
mkfs.ext4 -q -E root_owner=0:0 -d "$root" "$out/disk.img" 64M
rm -rf "$root" "$out/early" "$out/early.gz"
