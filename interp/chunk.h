/* SPDX-License-Identifier: MIT */
/* A piece of Lua with the language's library, called with bytes: for fuzz targets of the library's
 * readers, which know no Lua. */
#ifndef QN_INTERP_CHUNK_H
#define QN_INTERP_CHUNK_H

#include <stddef.h>

struct chunk;

/** Load @source, which is to return a function of one string. Return: 0 or negative errno, and a
 * message on standard error. Close it with chunk_close(). */
int chunk_open(struct chunk **out, const char *source);

/** Call the function with @n bytes of @data. Return: 0, or -EINVAL when it raised, and the error on
 * standard error. */
int chunk_call(struct chunk *chunk, const void *data, size_t n);

void chunk_close(struct chunk *chunk);

#endif
