/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_IMAGE_H
#define QN_INTERP_BIND_IMAGE_H

#include <lua.h>

/** Put the functions of guest images, and the one that tries the accelerator with one, into the
 * table on top of the stack. */
void image_bind(lua_State *L);

#endif
