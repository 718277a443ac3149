/* SPDX-License-Identifier: MIT */
/* The language's library, stdlib/, in the program: its text, and the chunks that Lua has made of it
 * at build time; and the page of its reports. */
#ifndef QN_INTERP_EMBED_H
#define QN_INTERP_EMBED_H

#include "vmctl/embed.h"

extern const struct embedded_file embedded_stdlib[], compiled_stdlib[];

/* "report.html" and "comparison.html", the pages that every report and comparison begins as;
 * nothing where npm was missing. */
extern const struct embedded_file embedded_report[];

#endif
