/* SPDX-License-Identifier: MIT */
/* Files of times: both readers take the same bytes. Either gives a list of finite times, mahimahi's
 * going forward, or a message that begins with the file's name. */
#include "chunk_target.h"

static const char source[] =
    "local traces = require 'qemunet.network.traces'\n"
    "local function check(list, why)\n"
    "    if not list then assert(why:find('^fuzz:%d*:? ?%C+$'), why) end\n"
    "    for _, time in ipairs(list or {}) do assert(time - time == 0) end\n"
    "    return list or {}\n"
    "end\n"
    "return function(data)\n"
    "    local times = check(traces.parse_mahimahi(data, 'fuzz'))\n"
    "    for i = 2, #times do assert(times[i] >= times[i - 1]) end\n"
    "    check(traces.parse_durations(data, 'fuzz'))\n"
    "end\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return run_chunk(source, data, size);
}
