#!/bin/sh
# SPDX-License-Identifier: MIT
# The seed volume of guests with cloud-init: that it is there, and in a guest that does with it what cloud-init does. By hand
# also a vendor's system itself, a Debian with cloud-init, systemd and sshd (test_cloud.lua), which takes five minutes or more
# and needs mmdebstrap:
#     QEMUNET=build/qemunet QEMUNET_TEST_CLOUD=1 sh tests/vm/test_seed.sh
# QEMUNET_TEST_CLOUD=FOLDER keeps that system there, and takes it from there.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
export NO_COLOR=1

# Templates of its guests are of no use to others.
own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache"

# A guest of which only the hook of vendor-data makes a machine of ours, and its cloud-init, which has had an error.
tiny=$image
mkdir -p add/etc add/bin
printf '::sysinit:/etc/rc.seed\nttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100\n' >add/etc/inittab
cat >add/etc/rc.seed <<'END'
#!/bin/sh
. /etc/rc
modprobe -a isofs
mount -t iso9660 -o ro "$(findfs LABEL=CIDATA)" /mnt
[ "$(head -n 1 /mnt/vendor-data)" = '#cloud-boothook' ] || exit
cp /mnt/vendor-data /run/hook
chmod 755 /run/hook
/bin/sh /run/hook
mkdir /run/cloud-init
(sleep 1; : >/run/cloud-init/result.json) &
END
# shellcheck disable=SC2016 # for that shell
printf '#!/bin/sh\necho "$@" $(ls /run/cloud-init) >/run/asked\necho "status: error"\nexit 1\n' >add/bin/cloud-init
printf '#!/bin/sh\nexec cat >/run/passwords\n' >add/bin/chpasswd
chmod 755 add/etc/rc.seed add/bin/*
(cd add && find . | cpio --quiet -o -H newc -R 0:0 | gzip -9n) >add.gz
cat "$tiny/initrd.gz" add.gz >initrd.gz

env -u QEMUNET_TEST_CLOUD QEMUNET_TEST_KERNEL="$tiny/vmlinuz" QEMUNET_TEST_INITRD="$folder/initrd.gz" \
    "$QEMUNET" test --allow-host "$here/test_seed.lua" >out 2>err
result $? "the seed volume and its hook"
says err '^hooked: cloud-init has had errors.*:$' '^status: error$'
result $? "what cloud-init says of errors is passed on"

if [ "${QEMUNET_TEST_CLOUD:-}" ]; then
    cloud=$folder/cloud
    [ "$QEMUNET_TEST_CLOUD" = 1 ] || cloud=$QEMUNET_TEST_CLOUD
    [ -e "$cloud/disk.img" ] || "$here/cloud_image.sh" "$cloud" >out 2>err
    result $? "a Debian system with cloud-init"
    own_cache "$folder/cache"
    copy_verdict "$folder/cache"
    XDG_CACHE_HOME=$folder/cache QEMUNET_TEST_CLOUD=$cloud "$QEMUNET" test --allow-host "$here/test_cloud.lua" >out 2>err
    result $? "cloud-init itself, log-in, and templates of both"
fi
finish
