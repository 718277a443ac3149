/* SPDX-License-Identifier: MIT */
/* Bindings: random numbers that follow from the run's seed and from nothing else. */
#ifndef QN_INTERP_BIND_RNG_H
#define QN_INTERP_BIND_RNG_H

#include <lua.h>

/** Set the functions in the table at the top of the stack. */
void rng_bind(lua_State *L);

#endif
