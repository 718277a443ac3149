/* SPDX-License-Identifier: MIT */
/* The Lua state of a host, with the language's library in reach of require. */
#ifndef QN_INTERP_LIBRARY_H
#define QN_INTERP_LIBRARY_H

#include <lua.h>

struct host;

/** Make host->L: the standard libraries, "qemunet.core" (the C functions) and a searcher that finds
 * "qemunet.NAME" in stdlib/, which is compiled in, or in $QEMUNET_STDLIB. Return: 0 or -ENOMEM. */
int library_open(struct host *host);

#endif
