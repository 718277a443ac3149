/* SPDX-License-Identifier: MIT */
/* What links did over time: that no packet is missing from the rows, however coarse they are. */
#include "runtime/link_samples.h"
#include "tests/unit/net.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    uv_loop_t loop;
    struct net_cable cable;
    struct link_samples *samples;
    char path[64];
};

struct sums {
    int rows;
    double sent, delivered, bytes, lost, queue, delay, worst;
    double begin, end, span; /* of the first; of the last; of all together */
};

static void begin(struct world *w, const struct link_config *config)
{
    CHECK_INT(uv_loop_init(&w->loop), 0);
    w->cable = net_cable_new(config);
    CHECK_INT(link_samples_open(&w->samples, &w->loop, w->cable.f), 0);
    snprintf(w->path, sizeof(w->path), "/tmp/test_link_samples-%d", (int)getpid());
}

static void end(struct world *w)
{
    link_samples_close(w->samples);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&w->loop), 0);
    net_cable_free(&w->cable);
    unlink(w->path);
}

static const char *name(void *arg, int link)
{
    const struct world *w = arg;
    return link == w->cable.link ? "\"a, b\"" : NULL;
}

/* The rows of one direction, summed up; all are in the order of their times. */
static struct sums read_back(struct world *w, const char *way)
{
    struct sums s = {0};
    char line[256], dir[3];
    double t, v[8], before = 0;
    CHECK_INT(link_samples_write(w->samples, w->path, name, w), 0);
    FILE *file = fopen(w->path, "r");
    CHECK(file && fgets(line, sizeof(line), file));
    CHECK_STR(line, "t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max\n");
    while (fgets(line, sizeof(line), file)) {
        CHECK_INT(sscanf(line, "%lf,%lf,\"a, b\",%2s,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &t, &v[0], dir,
                         &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]),
                  10);
        CHECK(t >= before);
        before = t;
        if (strcmp(dir, way) != 0)
            continue;
        s.begin = s.rows++ ? s.begin : t;
        s.span += v[0];
        s.end = t + v[0] > s.end ? t + v[0] : s.end;
        s.sent += v[1];
        s.delivered += v[2];
        s.bytes += v[3];
        s.lost += v[4];
        s.queue = v[5] > s.queue ? v[5] : s.queue;
        s.delay += v[6] * v[2];
        s.worst = v[7] > s.worst ? v[7] : s.worst;
    }
    fclose(file);
    return s;
}

static void deliver(struct world *w, int from, int n)
{
    for (int i = from; i < from + n; i++)
        net_send(&w->cable, 0, (uint32_t)i);
    for (int i = from; i < from + n; i++)
        CHECK_INT(net_receive(w->cable.b), i);
}

static void rows_have_what_happened(void)
{
    struct world w;
    begin(&w, &(struct link_config){.delay_ns = 2 * NET_MS});
    deliver(&w, 0, 5);
    link_samples_take(w.samples);
    link_samples_take(w.samples);
    deliver(&w, 5, 3);
    link_samples_take(w.samples);
    struct sums s = read_back(&w, "ab");
    CHECK_INT(s.rows, 2); /* none for the time in which nothing happened */
    CHECK_INT((int)s.sent, 8);
    CHECK_INT((int)s.delivered, 8);
    CHECK_INT((int)s.bytes, 8 * NET_FRAME);
    CHECK(s.delay > 8 * 0.00199 && s.delay < 8 * 0.00201);
    CHECK(s.worst > 0.00199 && s.worst < 0.00201);
    CHECK_INT(read_back(&w, "ba").rows, 0);
    end(&w);
}

/* The queue holds 4 while one is sent; the others are lost. */
static void queue_and_losses(void)
{
    struct world w;
    begin(&w, &(struct link_config){.rate_bps = 8 * NET_FRAME, .queue_packets = 4});
    for (int i = 0; i < 10; i++)
        net_send(&w.cable, 1, (uint32_t)i);
    link_samples_take(w.samples);
    struct sums s = read_back(&w, "ba");
    CHECK_INT((int)s.sent, 10);
    CHECK_INT((int)s.lost, 5);
    CHECK_INT((int)s.queue, 4);
    end(&w);
}

static void too_many_become_coarser(void)
{
    struct world w;
    begin(&w, &(struct link_config){.delay_ns = 2 * NET_MS, .rate_bps = 1000000});
    deliver(&w, 0, 5);
    link_samples_take(w.samples);
    double queue = read_back(&w, "ab").queue;
    link_samples_limit(w.samples, 8);
    int64_t last = 0;
    for (int i = 5; i < 40; i++) {
        net_send(&w.cable, 1, 1000);
        deliver(&w, i, 1);
        CHECK_INT(net_receive(w.cable.a), 1000);
        last = clock_now();
        link_samples_take(w.samples);
    }
    struct sums s = read_back(&w, "ab");
    CHECK(s.rows <= 8);
    CHECK_INT((int)s.delivered, 40);
    CHECK_INT((int)read_back(&w, "ba").delivered, 35);
    CHECK(s.delay > 40 * 0.002 && s.worst >= s.delay / 40);
    CHECK(s.queue >= queue);
    CHECK(s.end > (double)last / CLOCK_NS_PER_S - 0.0002); /* times have four decimals */
    CHECK(s.span > s.end - s.begin - 0.0002 * s.rows);
    end(&w);
}

static void add_bytes(void *arg, const struct fabric_sample *sample)
{
    *(uint64_t *)arg += sample->bytes;
}

static int lines_since(struct world *w, double since)
{
    int n = 0;
    char *text = link_samples_text(w->samples, since, name, w);
    for (const char *at = text; at && (at = strchr(at, '\n')); at++)
        n++;
    free(text);
    return n;
}

static void a_run_that_goes_on_can_be_looked_at(void)
{
    struct world w;
    begin(&w, &(struct link_config){0});
    deliver(&w, 0, 5);
    link_samples_take(w.samples);
    double between = (double)clock_now() / CLOCK_NS_PER_S;
    link_samples_take(w.samples);
    deliver(&w, 5, 3);
    link_samples_take(w.samples);
    uint64_t bytes = 0;
    CHECK(link_samples_recent(w.samples, add_bytes, &bytes) == 1.0);
    CHECK_INT((int)bytes, 8 * NET_FRAME);
    CHECK_INT(lines_since(&w, 0), 2);
    CHECK_INT(lines_since(&w, between), 1);
    CHECK_INT(lines_since(&w, between + 1000), 0);
    CHECK_INT(lines_since(&w, 1e300), 0);
    CHECK_INT(lines_since(&w, -1e300), 2);
    end(&w);
}

static void a_timer_takes_samples(void)
{
    struct world w;
    begin(&w, &(struct link_config){0});
    deliver(&w, 0, 2);
    uv_run(&w.loop, UV_RUN_ONCE); /* until the timer has fired */
    CHECK_INT((int)read_back(&w, "ab").delivered, 2);
    CHECK_INT(link_samples_write(w.samples, "/nowhere/x", name, &w), -ENOENT);
    end(&w);
}

static void no_file_is_there_by_half(void)
{
    struct world w;
    struct scratch scratch;
    begin(&w, &(struct link_config){0});
    scratch_open(&scratch);
    CHECK_INT(symlink("/dev/full", "links.csv"), 0);
    CHECK_INT(link_samples_write(w.samples, "links.csv", name, &w), -ENOSPC);
    CHECK(access("links.csv", F_OK) && access("/dev/full", F_OK) == 0);
    scratch_close(&scratch);
    end(&w);
}

static const struct check_test tests[] = {
    {"rows have what happened, and none is empty", rows_have_what_happened},
    {"the longest queue, and what was lost", queue_and_losses},
    {"too many rows become coarser ones", too_many_become_coarser},
    {"a run that goes on can be looked at", a_run_that_goes_on_can_be_looked_at},
    {"a timer takes samples", a_timer_takes_samples},
    {"no file is there by half", no_file_is_there_by_half},
};

int main(void)
{
    uv_loop_t first; /* what libuv opens once stays open */
    clock_start();
    uv_loop_init(&first);
    uv_loop_close(&first);
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
