/* SPDX-License-Identifier: MIT */
#ifndef QN_INTERP_BIND_TEMPLATE_H
#define QN_INTERP_BIND_TEMPLATE_H

#include "runtime/machine.h"

#include <lua.h>

/** Add the functions of warm templates to the table on top of the stack. */
void template_bind(lua_State *L);

/* What template_apply() has the configuration point to. */
struct machine_source {
    char disk[32];
    int inherited[2];
    int state; /* to be closed once QEMU has it; -1: none */
};

/** Have a machine go on from the template, or run on the draft, in field template= or draft= of the
 * table at 1; nothing if it has neither. @source: room that lives as long as @config. May raise. */
void template_apply(lua_State *L, struct machine_config *config, struct machine_source *source);

#endif
