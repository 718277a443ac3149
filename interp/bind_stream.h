/* SPDX-License-Identifier: MIT */
/* core.connect: a stream to a Unix socket, as to a character device of QEMU. */
#ifndef QN_INTERP_BIND_STREAM_H
#define QN_INTERP_BIND_STREAM_H

#include <lua.h>

/** Push a stream over @fd, which is taken, whose data goes to the function at @fn, as (stream,
 * data), and nil for data at its end; for a negative errno, or when it fails, nil and why. Return:
 * the number of values. */
int stream_push_session(lua_State *L, int fn, int fd);

/** Add the function to the table on top of the stack. */
void stream_bind(lua_State *L);

#endif
