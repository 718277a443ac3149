/* SPDX-License-Identifier: MIT */
#include "runtime/strain.h"

#include "runtime/array.h"
#include "runtime/clock.h"
#include "runtime/fabric/lateness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In a shorter span, a single wait would be a large share. */
#define SPAN_MIN_NS (500 * CLOCK_NS_PER_MS)

/* Counted for one long wait. */
#define BEATS_MAX 10000

struct thread_waits {
    pid_t tid;
    int64_t waited;
};

struct thread_list {
    struct thread_waits *at;
    size_t n, room;
};

struct watch {
    struct watch *next;
    pid_t pid;
    int64_t looked;
    struct thread_list threads; /* as they were then */
    struct strain_waits waits;
};

struct strain {
    uv_timer_t pulse;
    int64_t due, next_look;
    struct fabric_lateness lateness;
    struct watch *watches;
};

/* Return: how long the thread has waited since it began, in ns; negative when it has ended. */
static int64_t read_waited(int folder, const char *tid)
{
    char path[NAME_MAX + 16], text[96];
    int64_t waited = -1;
    snprintf(path, sizeof(path), "%s/schedstat", tid);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    return sscanf(text, "%*u %" SCNd64, &waited) == 1 ? waited : -1;
}

static int64_t waited_before(const struct thread_list *list, pid_t tid)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].tid == tid)
            return list->at[i].waited;
    return 0;
}

static int add_thread(struct thread_list *list, struct thread_waits one)
{
    struct thread_waits *at = array_grow(list->at, list->n, &list->room, sizeof(*at));
    if (!at)
        return -ENOMEM;
    list->at = at;
    at[list->n++] = one;
    return 0;
}

/* Read what all threads of @pid have waited into @now, which is empty.
 * Return: the most that one of them has waited since @before, or negative errno. */
static int64_t read_threads(pid_t pid, const struct thread_list *before, struct thread_list *now)
{
    char path[64];
    int64_t most = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    for (const struct dirent *d; (d = readdir(folder));) {
        int64_t waited = d->d_name[0] == '.' ? -1 : read_waited(dirfd(folder), d->d_name);
        struct thread_waits one = {(pid_t)atoi(d->d_name), waited};
        if (waited < 0 || add_thread(now, one))
            continue;
        int64_t since = waited - waited_before(before, one.tid);
        most = since > most ? since : most;
    }
    closedir(folder);
    return most;
}

static void count_span(struct strain_waits *w, int64_t span, int64_t waited, int64_t now)
{
    waited = waited > span ? span : waited;
    w->watched += span;
    w->waited += waited;
    double share = span < SPAN_MIN_NS ? 0 : (double)waited / (double)span;
    if (share > w->worst) {
        w->worst = share;
        w->worst_at = now;
    }
}

/* A process that has ended is not looked at any more, but remains to be unwatched. */
static void look(struct watch *watch)
{
    struct thread_list threads = {0};
    int64_t waited = read_threads(watch->pid, &watch->threads, &threads), now = clock_now();
    if (waited >= 0 && watch->looked)
        count_span(&watch->waits, now - watch->looked, waited, now);
    free(watch->threads.at);
    watch->threads = threads;
    watch->looked = now;
}

static void look_at_all(struct strain *strain)
{
    int64_t began = clock_now();
    for (struct watch *w = strain->watches; w; w = w->next)
        look(w);
    int64_t now = clock_now(), pause = (int64_t)((double)(now - began) / STRAIN_SHARE);
    int64_t least = STRAIN_LOOK_MS * CLOCK_NS_PER_MS;
    strain->next_look = now + (pause > least ? pause : least);
}

static void on_pulse(uv_timer_t *timer);

static void arm(struct strain *strain)
{
    uv_update_time(strain->pulse.loop);
    strain->due = clock_now() + STRAIN_PULSE_MS * CLOCK_NS_PER_MS;
    uv_timer_start(&strain->pulse, on_pulse, STRAIN_PULSE_MS, 0);
}

/* Those beats too that would have come meanwhile, so that a quantile is one of the time: of any
 * timer, and not of the few that were late. */
static void count_beats(struct strain *strain, int64_t now)
{
    int64_t due = strain->due;
    for (int i = 0; i < BEATS_MAX && (i == 0 || due < now); i++) {
        lateness_add(&strain->lateness, due, now);
        due += STRAIN_PULSE_MS * CLOCK_NS_PER_MS;
    }
}

static void on_pulse(uv_timer_t *timer)
{
    struct strain *strain = timer->data;
    int64_t now = clock_now();
    count_beats(strain, now);
    if (now >= strain->next_look)
        look_at_all(strain);
    arm(strain);
}

int strain_open(struct strain **out, uv_loop_t *loop)
{
    struct strain *strain = calloc(1, sizeof(*strain));
    if (!strain)
        return -ENOMEM;
    uv_timer_init(loop, &strain->pulse);
    uv_unref((uv_handle_t *)&strain->pulse);
    strain->pulse.data = strain;
    arm(strain);
    *out = strain;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void free_watch(struct watch *watch)
{
    free(watch->threads.at);
    free(watch);
}

void strain_close(struct strain *strain)
{
    if (!strain)
        return;
    while (strain->watches) {
        struct watch *next = strain->watches->next;
        free_watch(strain->watches);
        strain->watches = next;
    }
    uv_close((uv_handle_t *)&strain->pulse, on_closed);
}

const struct fabric_lateness *strain_lateness(const struct strain *strain)
{
    return &strain->lateness;
}

int strain_watch(struct strain *strain, pid_t pid)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->pid = pid;
    look(watch);
    watch->next = strain->watches;
    strain->watches = watch;
    return 0;
}

int strain_unwatch(struct strain *strain, pid_t pid, struct strain_waits *waits)
{
    struct watch **at = &strain->watches, *watch;
    while (*at && (*at)->pid != pid)
        at = &(*at)->next;
    watch = *at;
    if (!watch)
        return -ENOENT;
    *at = watch->next;
    look(watch);
    *waits = watch->waits;
    free_watch(watch);
    return 0;
}
