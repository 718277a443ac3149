/* SPDX-License-Identifier: MIT */
/* core.connect: a stream to a Unix socket, as to a character device of QEMU. */
#ifndef QN_INTERP_BIND_STREAM_H
#define QN_INTERP_BIND_STREAM_H

#include <lua.h>

/** Add the function to the table on top of the stack. */
void stream_bind(lua_State *L);

#endif
