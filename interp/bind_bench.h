/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_BENCH_H
#define QN_INTERP_BIND_BENCH_H

#include <lua.h>

/** Add the functions of benchmarks to the table on top of the stack; see stdlib/bench/fabric.lua.
 * May raise. */
void bench_bind(lua_State *L);

#endif
