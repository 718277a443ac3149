/* SPDX-License-Identifier: MIT */
/* Targets in Lua. */
#ifndef QN_TESTS_FUZZ_CHUNK_TARGET_H
#define QN_TESTS_FUZZ_CHUNK_TARGET_H

#include "interp/chunk.h"

#include <stdint.h>
#include <stdlib.h>

#define INPUT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Give an input to the function that @source, always the same, returns: it raises what must not
 * be. Return: what a target does. */
static inline int run_chunk(const char *source, const uint8_t *data, size_t size)
{
    static struct chunk *chunk;
    if (size > INPUT_MAX)
        return 0;
    if (!chunk && chunk_open(&chunk, source))
        abort();
    if (chunk_call(chunk, data, size))
        abort();
    return 0;
}

#endif
