/* SPDX-License-Identifier: MIT */
/* Whether this machine keeps up: how late the loop's own timer comes, and how long the threads of
 * processes wait for a processor (run_delay of /proc/PID/task/TID/schedstat). It takes less than
 * STRAIN_SHARE of a processor, however many threads there are: then it looks less often. */
#ifndef QN_RUNTIME_STRAIN_H
#define QN_RUNTIME_STRAIN_H

#include "runtime/fabric/fabric.h"

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define STRAIN_PULSE_MS 50
#define STRAIN_LOOK_MS 1000
#define STRAIN_SHARE 0.003

struct strain;

/* How a process has fared while it was watched; ns. Of its threads, the one that waited longest
 * counts in each span between two looks. */
struct strain_waits {
    int64_t watched; /* how long */
    int64_t waited;
    double worst; /* the largest share of a span that one waited */
    int64_t worst_at;
};

/** Begin: the timer beats from now on. It does not keep the loop running.
 * Return: 0 or negative errno. */
int strain_open(struct strain **out, uv_loop_t *loop);

/** End it, and every watch. NULL is allowed. */
void strain_close(struct strain *strain);

/** Return: how late the timer came, each time that it came or should have come. */
const struct fabric_lateness *strain_lateness(const struct strain *strain);

/** Watch the threads of process @pid. Return: 0 or negative errno. */
int strain_watch(struct strain *strain, pid_t pid);

/** Take a last look at process @pid, and end the watch. Return: 0, or -ENOENT: it is not watched.
 */
int strain_unwatch(struct strain *strain, pid_t pid, struct strain_waits *waits);

#endif
