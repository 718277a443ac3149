/* SPDX-License-Identifier: MIT */
/* Jobs in Lua, for every kind of node; see stdlib/nodes/job.lua. */
#ifndef QN_INTERP_BIND_JOB_H
#define QN_INTERP_BIND_JOB_H

#include "runtime/job.h"

#include <lua.h>

/** Make the type. May raise. */
void job_bind(lua_State *L);

typedef int job_start_fn(void *node, const struct job_spec *spec, struct job **out);

/** The method NODE:start{command=, stdin=, hold=, max_output=, timeout=, output=fn(stream, data),
 * armed=fn(), done=fn(result)} -> job, or nil and why. Return: the number of values. May raise. */
int job_start_method(lua_State *L, job_start_fn *start, void *node);

#endif
