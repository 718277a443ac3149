/* SPDX-License-Identifier: MIT */
/* The language's library, stdlib/, compiled into the program. */
#ifndef QN_INTERP_EMBED_H
#define QN_INTERP_EMBED_H

#include "vmctl/embed.h"

extern const struct embedded_file embedded_stdlib[];

#endif
