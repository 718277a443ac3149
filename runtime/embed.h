/* SPDX-License-Identifier: MIT */
/* The guest's side of the command channel, runtime/guest/, compiled into the program. */
#ifndef QN_RUNTIME_EMBED_H
#define QN_RUNTIME_EMBED_H

#include "vmctl/embed.h"

extern const struct embedded_file embedded_guest[];

#endif
