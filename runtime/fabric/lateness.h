/* SPDX-License-Identifier: MIT */
#ifndef QN_FABRIC_LATENESS_H
#define QN_FABRIC_LATENESS_H

#include "runtime/fabric/fabric.h"

/** Count one frame that was due at @due and handed over at @now. */
void lateness_add(struct fabric_lateness *l, int64_t due, int64_t now);

/** Add all that @from counts to @to. */
void lateness_join(struct fabric_lateness *to, const struct fabric_lateness *from);

#endif
