/* SPDX-License-Identifier: MIT */
/* When frames are to arrive, reckoned from when they were sent. */
#ifndef QN_TESTS_ACCURACY_COURSE_H
#define QN_TESTS_ACCURACY_COURSE_H

#include "endpoint.h"
#include "runtime/fabric/fabric.h"

/** Return: how much later each frame of @j came (its first copy) than @c, without jitter, has it,
 * ns, in order of sending, of those that came; to be freed with free(). *@n: how many. A frame that
 * waits for others at the configured rate waits for those that came, copies included. */
double *course_errors(const struct journal *j, const struct link_config *c, size_t *n);

/** Return: by how much the arrivals @a are apart, ns, where that is about @expected. What is late
 * at either end is not the link's rate: the ends are taken where the tenth of the frames there was
 * least late. @n: 10 or more. */
double course_spacing(const struct arrival *a, size_t n, double expected);

#endif
