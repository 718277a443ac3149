/* SPDX-License-Identifier: MIT */
/* What the links of a run did over time: each direction's counts, a row for each interval in which
 * something happened. The rows are bounded: when there are too many, two intervals become one, for
 * good. */
#ifndef QN_RUNTIME_LINK_SAMPLES_H
#define QN_RUNTIME_LINK_SAMPLES_H

#include <uv.h>

#define LINK_SAMPLES_PERIOD_MS 100
#define LINK_SAMPLES_MAX (1 << 16) /* rows: 6 MB */

struct fabric;
struct fabric_sample;
struct link_samples;

/** Begin to sample @fabric's links. Return: 0 or -ENOMEM. */
int link_samples_open(struct link_samples **out, uv_loop_t *loop, struct fabric *fabric);

/** Sample now, besides the regular times: a link is about to go, or the run to end. */
void link_samples_take(struct link_samples *s);

/** As many rows at most, for tests. */
void link_samples_limit(struct link_samples *s, size_t rows);

/** Write the rows as comma-separated values to a new file at @path:
 *     t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max
 * in seconds, ascending by @t. @name: the link's name as a cell, or NULL for one to be left out.
 * Return: 0, or negative errno, and there is no file. */
int link_samples_write(const struct link_samples *s, const char *path,
                       const char *(*name)(void *arg, int link), void *arg);

/** Return: those rows, from experiment second @since on, as text without the head, to be freed;
 * NULL: no memory. @name and @arg as for link_samples_write(). */
char *link_samples_text(const struct link_samples *s, double since,
                        const char *(*name)(void *arg, int link), void *arg);

/** Call @fn for the rows of about the last second. Return: the seconds that they cover. */
double link_samples_recent(const struct link_samples *s,
                           void (*fn)(void *arg, const struct fabric_sample *sample), void *arg);

/** End it. NULL is allowed. */
void link_samples_close(struct link_samples *s);

#endif
