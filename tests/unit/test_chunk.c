/* SPDX-License-Identifier: MIT */
/* Pieces of Lua with the library: what they get, and how their errors come out. */
#include "interp/chunk.h"

#include "check.h"

#include <errno.h>

static void bytes_come_and_errors_go(void)
{
    static const char source[] = "local units = require 'qemunet.units'\n"
                                 "return function(data) units.duration(data) end";
    struct chunk *chunk;
    CHECK_INT(chunk_open(&chunk, source), 0);
    CHECK_INT(chunk_call(chunk, "20ms", 4), 0);
    CHECK_INT(chunk_call(chunk, "20ms\0", 5), -EINVAL);
    CHECK_INT(chunk_call(chunk, NULL, 0), -EINVAL);
    CHECK_INT(chunk_call(chunk, "3", 1), 0);
    chunk_close(chunk);
}

static void bad_sources_are_refused(void)
{
    struct chunk *chunk = NULL;
    CHECK_INT(chunk_open(&chunk, "return function("), -EINVAL);
    CHECK_INT(chunk_open(&chunk, "error('no')"), -EINVAL);
    CHECK(chunk == NULL);
}

static const struct check_test tests[] = {
    {"bytes are handed over, and errors come back", bytes_come_and_errors_go},
    {"sources that do not load, or raise", bad_sources_are_refused},
};

CHECK_MAIN(tests)
