# SPDX-License-Identifier: MIT
# feed NUMBER - copies standard input from the unit's port to the FIFO of the unit's command of that
# number: lines "NUMBER SIZE", each followed by that many bytes, until a line "NUMBER 0". Goes on reading
# when the command no longer does. What has another number was meant for a command that was killed
# before its copier read it, and is passed over.
trap '' PIPE
while read -r number size; do
    if [ "$number" = "$1" ]; then
        [ "$size" != 0 ] || exit
        dd bs="$size" count=1 iflag=fullblock 2>/dev/null
    elif [ "$size" != 0 ]; then
        dd bs="$size" count=1 iflag=fullblock >/dev/null 2>&1
    fi
done
