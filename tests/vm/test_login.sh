#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests that nothing was prepared in: test_login.lua, and the tests of commands again where the guest executes no program
# that comes over the port (so that scripts serve there), with other shells.
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# Templates of its disks are of no use to others.
own_cache "$folder/cache"
copy_verdict "$folder/cache"
export XDG_CACHE_HOME="$folder/cache"
tiny=$image
"$here/login_image.sh" "$tiny" "$folder" >out 2>err
result $? "an image whose only way in is a getty"

QEMUNET_TEST_IMAGE=$folder "$QEMUNET" test --allow-host "$here/test_login.lua" >out 2>err
result $? "log-in, and commands over the serial console"

cat >guest.lua <<END
return { disk = "$folder/disk.img", kernel = "$folder/kernel", initrd = "$folder/initrd.gz", mem = "512M",
    append = "console=ttyS0 quiet panic=-1 norandmaps qn.variant=noexec,dash", password = "secret 1" }
END
QEMUNET_TEST_GUEST=$folder/guest.lua "$QEMUNET" test --allow-host "$here/test_commands.lua" >out 2>err
result $? "all of the tests of commands, by scripts under dash"

finish
