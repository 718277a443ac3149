# SPDX-License-Identifier: MIT
# Copies standard input from the unit's port to the command's FIFO: lines "SIZE", each followed by that
# many bytes, until a line "0". Goes on reading when the command no longer does.
trap '' PIPE
while read -r size && [ "$size" != 0 ]; do
    dd bs="$size" count=1 iflag=fullblock 2>/dev/null
done
