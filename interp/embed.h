/* SPDX-License-Identifier: MIT */
/* The language's library, stdlib/, in the program: its text, and the chunks that Lua has made of it
 * at build time. */
#ifndef QN_INTERP_EMBED_H
#define QN_INTERP_EMBED_H

#include "vmctl/embed.h"

extern const struct embedded_file embedded_stdlib[], compiled_stdlib[];

#endif
