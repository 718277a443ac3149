/* SPDX-License-Identifier: MIT */
#include "runtime/link_samples.h"

#include "runtime/array.h"
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SINCE_MAX 1e9 /* what is asked for may be any number */

struct row {
    int64_t from, to; /* experiment ns */
    struct fabric_sample sample;
};

struct link_samples {
    uv_timer_t timer;
    struct fabric *fabric;
    struct fabric_samples taken;
    struct row *rows;
    size_t len, room, max;
    uint64_t period_ms;
    int64_t last; /* when the last samples were taken */
};

static bool add_row(struct link_samples *s, const struct row *row)
{
    struct row *rows = array_grow(s->rows, s->len, &s->room, sizeof(*rows));
    if (!rows)
        return false;
    s->rows = rows;
    s->rows[s->len++] = *row;
    return true;
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = compare(x->from, y->from);
    if (!order)
        order = compare(x->sample.link, y->sample.link);
    return order ? order : compare(x->sample.dir, y->sample.dir);
}

static int by_direction(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = compare(x->sample.link, y->sample.link);
    if (!order)
        order = compare(x->sample.dir, y->sample.dir);
    return order ? order : compare(x->from, y->from);
}

static void join(struct row *to, const struct row *next)
{
    struct fabric_sample *a = &to->sample;
    const struct fabric_sample *b = &next->sample;
    to->to = next->to;
    a->sent += b->sent;
    a->delivered += b->delivered;
    a->bytes += b->bytes;
    a->lost += b->lost;
    a->delay_sum_ns += b->delay_sum_ns;
    a->queue = a->queue > b->queue ? a->queue : b->queue;
    a->delay_max_ns = a->delay_max_ns > b->delay_max_ns ? a->delay_max_ns : b->delay_max_ns;
}

/* Whether two rows are to be one. They may lie apart: nothing happened in between. */
static bool belong_together(const struct row *a, const struct row *b, int64_t period)
{
    return a->sample.link == b->sample.link && a->sample.dir == b->sample.dir &&
           a->from / period == b->from / period;
}

/* Intervals of twice the length from now on, and so the rows that there are. */
static void coarsen(struct link_samples *s)
{
    s->period_ms *= 2;
    int64_t period = (int64_t)s->period_ms * (CLOCK_NS_PER_S / 1000);
    size_t kept = 0;
    qsort(s->rows, s->len, sizeof(*s->rows), by_direction);
    for (size_t i = 0; i < s->len; i++) {
        if (kept > 0 && belong_together(&s->rows[kept - 1], &s->rows[i], period))
            join(&s->rows[kept - 1], &s->rows[i]);
        else
            s->rows[kept++] = s->rows[i];
    }
    s->len = kept;
    qsort(s->rows, s->len, sizeof(*s->rows), by_time);
    uv_timer_set_repeat(&s->timer, s->period_ms);
}

void link_samples_take(struct link_samples *s)
{
    int64_t now = clock_now();
    /* For want of memory some are missing; the next will have them. */
    fabric_sample(s->fabric, &s->taken);
    for (size_t i = 0; i < s->taken.len; i++) {
        struct row row = {s->last, now, s->taken.items[i]};
        if (!add_row(s, &row))
            break;
    }
    s->last = now;
    for (int tries = 0; s->len > s->max && tries < 8; tries++)
        coarsen(s);
}

static void on_time(uv_timer_t *timer)
{
    link_samples_take(timer->data);
}

int link_samples_open(struct link_samples **out, uv_loop_t *loop, struct fabric *fabric)
{
    struct link_samples *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->fabric = fabric;
    s->max = LINK_SAMPLES_MAX;
    s->period_ms = LINK_SAMPLES_PERIOD_MS;
    s->last = clock_now();
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_time, s->period_ms, s->period_ms);
    *out = s;
    return 0;
}

void link_samples_limit(struct link_samples *s, size_t rows)
{
    s->max = rows;
}

static double seconds(int64_t ns)
{
    return (double)ns / CLOCK_NS_PER_S;
}

static void write_row(FILE *file, const struct row *row, const char *name)
{
    const struct fabric_sample *s = &row->sample;
    double mean = s->delivered ? seconds(s->delay_sum_ns) / (double)s->delivered : 0;
    fprintf(file, "%.4f,%.4f,%s,%s,%llu,%llu,%llu,%llu,%llu,%.6g,%.6g\n", seconds(row->from),
            seconds(row->to - row->from), name, s->dir ? "ba" : "ab", (unsigned long long)s->sent,
            (unsigned long long)s->delivered, (unsigned long long)s->bytes,
            (unsigned long long)s->lost, (unsigned long long)s->queue, mean,
            seconds(s->delay_max_ns));
}

/* The rows that begin at @since or later: all those behind the first that does. */
static void write_rows(FILE *file, const struct link_samples *s, int64_t since,
                       const char *(*name)(void *arg, int link), void *arg)
{
    size_t first = s->len;
    while (first > 0 && s->rows[first - 1].from >= since)
        first--;
    for (size_t i = first; i < s->len; i++) {
        const char *cell = name(arg, s->rows[i].sample.link);
        if (cell)
            write_row(file, &s->rows[i], cell);
    }
}

char *link_samples_text(const struct link_samples *s, double since,
                        const char *(*name)(void *arg, int link), void *arg)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    since = since > 0 && since < SINCE_MAX ? since : since > 0 ? SINCE_MAX : 0;
    write_rows(file, s, (int64_t)(since * CLOCK_NS_PER_S), name, arg);
    if (!fclose(file))
        return text;
    free(text);
    return NULL;
}

int link_samples_write(const struct link_samples *s, const char *path,
                       const char *(*name)(void *arg, int link), void *arg)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -errno;
    fputs("t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max\n", file);
    write_rows(file, s, 0, name, arg);
    int err = fflush(file) || ferror(file) ? -errno : 0;
    fclose(file);
    if (err)
        unlink(path);
    return err;
}

double link_samples_recent(const struct link_samples *s,
                           void (*fn)(void *arg, const struct fabric_sample *sample), void *arg)
{
    int64_t period = (int64_t)s->period_ms * CLOCK_NS_PER_MS;
    int64_t span = period > CLOCK_NS_PER_S ? period : CLOCK_NS_PER_S;
    for (size_t i = s->len; i > 0 && s->rows[i - 1].to > s->last - span + period / 2; i--)
        fn(arg, &s->rows[i - 1].sample);
    return seconds(span);
}

static void free_samples(uv_handle_t *timer)
{
    struct link_samples *s = timer->data;
    free(s->taken.items);
    free(s->rows);
    free(s);
}

void link_samples_close(struct link_samples *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->timer, free_samples);
}
