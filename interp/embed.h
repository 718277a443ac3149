/* SPDX-License-Identifier: MIT */
/* The language's library, stdlib/, and the page of its reports, compiled into the program. */
#ifndef QN_INTERP_EMBED_H
#define QN_INTERP_EMBED_H

#include "vmctl/embed.h"

extern const struct embedded_file embedded_stdlib[];

/* "report.html", the page that every report begins as; nothing where npm was missing. */
extern const struct embedded_file embedded_report[];

#endif
