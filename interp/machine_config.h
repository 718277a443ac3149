/* SPDX-License-Identifier: MIT */
/* A machine as a script's table describes it: see open_machine() in bind_machine.c. */
#ifndef QN_INTERP_MACHINE_CONFIG_H
#define QN_INTERP_MACHINE_CONFIG_H

#include "vmctl/qemu.h"

#include <lua.h>

#define CONFIG_NICS 64
#define CONFIG_EXTRA 256

struct lua_config {
    struct qemu_config qemu; /* points to the other two, and into the table */
    struct qemu_nic nics[CONFIG_NICS];
    const char *extra[CONFIG_EXTRA + 1];
};

/** Read the table at 1, whose values stay on the stack. Raises for what cannot be one. */
void config_read(lua_State *L, struct lua_config *config);

/** Return: a field of the table at 1, which stays on the stack; @otherwise if absent. Raises. */
lua_Number config_number(lua_State *L, const char *name, lua_Number otherwise);

#endif
