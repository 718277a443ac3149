/* SPDX-License-Identifier: MIT */
/* The control thread's side: each function of fabric.h beside what the fabric's thread does for it.
 */
#include "runtime/fabric/fabric.h"

#include "runtime/clock.h"
#include "runtime/fabric/capture.h"
#include "runtime/fabric/engine.h"
#include "runtime/fabric/flow.h"
#include "runtime/fabric/urgency.h"
#include "runtime/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

struct fabric {
    pthread_t thread;
    struct command_queue commands;
    struct engine engine; /* the thread's own */
};

static void *thread_main(void *arg)
{
    struct fabric *f = arg;
    prctl(PR_SET_NAME, "fabric");
    urgency_begin(&f->engine.urgency);
    f->engine.plane.totals.realtime = f->engine.urgency.may;
    engine_run(&f->engine, &f->commands);
    return NULL;
}

static int open_engine_and_start(struct fabric *f, uint64_t seed)
{
    int err = engine_open(&f->engine, seed, &f->commands);
    if (err < 0)
        return err;
    err = thread_start(&f->thread, thread_main, f);
    if (err < 0)
        engine_close(&f->engine);
    return err;
}

static int start(struct fabric *f, uint64_t seed)
{
    int err = command_queue_init(&f->commands);
    if (err < 0)
        return err;
    err = open_engine_and_start(f, seed);
    if (err < 0)
        command_queue_destroy(&f->commands);
    return err;
}

struct fabric *fabric_start(uint64_t seed)
{
    struct fabric *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    int err = start(f, seed);
    if (err < 0) {
        free(f);
        errno = -err;
        return NULL;
    }
    return f;
}

static int do_stop(struct engine *e, void *arg)
{
    (void)arg;
    e->stopping = true;
    return 0;
}

void fabric_stop(struct fabric *f)
{
    if (!f)
        return;
    command_call(&f->commands, do_stop, NULL);
    pthread_join(f->thread, NULL);
    engine_close(&f->engine);
    command_queue_destroy(&f->commands);
    free(f);
}

struct remove_args {
    int (*remove)(struct engine *e, int id);
    int id;
};

static int do_remove(struct engine *e, void *arg)
{
    const struct remove_args *a = arg;
    return a->remove(e, a->id);
}

static int call_remove(struct fabric *f, int (*remove)(struct engine *e, int id), int id)
{
    struct remove_args a = {remove, id};
    return command_call(&f->commands, do_remove, &a);
}

static int do_port_add(struct engine *e, void *arg)
{
    return engine_port_add(e, *(int *)arg);
}

int fabric_port_add(struct fabric *f, int fd)
{
    return command_call(&f->commands, do_port_add, &fd);
}

int fabric_port_remove(struct fabric *f, int port)
{
    return call_remove(f, engine_port_remove, port);
}

struct port_desert_args {
    int port;
    bool deserted;
};

static int do_port_desert(struct engine *e, void *arg)
{
    const struct port_desert_args *a = arg;
    return engine_port_desert(e, a->port, a->deserted);
}

int fabric_port_desert(struct fabric *f, int port, bool deserted)
{
    struct port_desert_args a = {port, deserted};
    return command_call(&f->commands, do_port_desert, &a);
}

struct switch_args {
    int64_t ageing_ns;
    unsigned flags;
};

static int do_switch_add(struct engine *e, void *arg)
{
    const struct switch_args *a = arg;
    return engine_switch_add(e, a->ageing_ns, a->flags);
}

int fabric_switch_add(struct fabric *f, int64_t ageing_ns, unsigned flags)
{
    struct switch_args a = {ageing_ns, flags};
    return command_call(&f->commands, do_switch_add, &a);
}

int fabric_switch_remove(struct fabric *f, int id)
{
    return call_remove(f, engine_switch_remove, id);
}

struct switch_stats_args {
    int id;
    struct fabric_switch_stats *out;
};

static int do_switch_stats(struct engine *e, void *arg)
{
    const struct switch_stats_args *a = arg;
    return engine_switch_stats(e, a->id, a->out);
}

int fabric_switch_stats(struct fabric *f, int id, struct fabric_switch_stats *out)
{
    struct switch_stats_args a = {id, out};
    return command_call(&f->commands, do_switch_stats, &a);
}

struct link_add_args {
    struct fabric_end ends[2];
    const struct link_config *cfg;
};

static int do_link_add(struct engine *e, void *arg)
{
    const struct link_add_args *a = arg;
    return engine_link_add(e, a->ends, a->cfg);
}

int fabric_link_add(struct fabric *f, struct fabric_end a, struct fabric_end b,
                    const struct link_config cfg[2])
{
    struct link_add_args args = {{a, b}, cfg};
    return command_call(&f->commands, do_link_add, &args);
}

struct link_set_args {
    int link;
    const struct link_config *cfg[2]; /* NULL: leave that direction */
};

static int do_link_set(struct engine *e, void *arg)
{
    const struct link_set_args *a = arg;
    struct link *l = engine_link(e, a->link);
    if (!l)
        return -ENOENT;
    for (int i = 0; i < 2; i++) {
        if (a->cfg[i] && link_config_check(a->cfg[i]))
            return -EINVAL;
    }
    for (int i = 0; i < 2; i++) {
        if (a->cfg[i])
            direction_set(&e->plane, &l->directions[i], a->cfg[i]);
    }
    return 0;
}

int fabric_link_set(struct fabric *f, int link, int dir, const struct link_config *cfg)
{
    if (dir != 0 && dir != 1)
        return -EINVAL;
    struct link_set_args a = {.link = link};
    a.cfg[dir] = cfg;
    return command_call(&f->commands, do_link_set, &a);
}

int fabric_link_set_both(struct fabric *f, int link, const struct link_config cfg[2])
{
    struct link_set_args a = {link, {&cfg[0], &cfg[1]}};
    return command_call(&f->commands, do_link_set, &a);
}

struct link_up_args {
    int link;
    bool up;
};

static int do_link_up(struct engine *e, void *arg)
{
    const struct link_up_args *a = arg;
    struct link *l = engine_link(e, a->link);
    if (!l)
        return -ENOENT;
    link_up(&e->plane, l, a->up);
    return 0;
}

int fabric_link_up(struct fabric *f, int link, bool up)
{
    struct link_up_args a = {link, up};
    return command_call(&f->commands, do_link_up, &a);
}

int fabric_link_remove(struct fabric *f, int link)
{
    return call_remove(f, engine_link_remove, link);
}

static int do_sample(struct engine *e, void *arg)
{
    return engine_sample(e, arg);
}

int fabric_sample(struct fabric *f, struct fabric_samples *s)
{
    s->len = 0;
    return command_call(&f->commands, do_sample, s);
}

struct link_stats_args {
    int link;
    struct link_stats *out;
};

static int do_link_stats(struct engine *e, void *arg)
{
    const struct link_stats_args *a = arg;
    const struct link *l = engine_link(e, a->link);
    if (!l)
        return -ENOENT;
    a->out[0] = link_read_stats(l, 0);
    a->out[1] = link_read_stats(l, 1);
    return 0;
}

int fabric_link_stats(struct fabric *f, int link, struct link_stats out[2])
{
    struct link_stats_args a = {link, out};
    return command_call(&f->commands, do_link_stats, &a);
}

struct send_args {
    int link, dir;
    const void *data;
    uint32_t len;
};

static int do_link_send(struct engine *e, void *arg)
{
    const struct send_args *a = arg;
    struct link *l = engine_link(e, a->link);
    return l ? direction_send(&e->plane, &l->directions[a->dir], a->data, a->len) : -ENOENT;
}

int fabric_link_send(struct fabric *f, int link, int dir, const void *data, uint32_t len)
{
    struct send_args a = {.link = link, .dir = dir, .data = data, .len = len};
    if (dir < 0 || dir > 1 || len < FABRIC_FRAME_MIN || len > FABRIC_FRAME_MAX)
        return -EINVAL;
    return command_call(&f->commands, do_link_send, &a);
}

static int do_totals(struct engine *e, void *arg)
{
    struct fabric_totals *out = arg;
    struct timespec cpu;
    engine_totals(e, out);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    out->cpu_ns = (uint64_t)cpu.tv_sec * CLOCK_NS_PER_S + (uint64_t)cpu.tv_nsec;
    return 0;
}

int fabric_totals(struct fabric *f, struct fabric_totals *out)
{
    return command_call(&f->commands, do_totals, out);
}

static int do_radio_add(struct engine *e, void *arg)
{
    return engine_radio_add(e, arg);
}

int fabric_radio_add(struct fabric *f, const struct fabric_radio_config *c)
{
    return command_call(&f->commands, do_radio_add, (void *)c);
}

int fabric_radio_remove(struct fabric *f, int id)
{
    return call_remove(f, engine_radio_remove, id);
}

struct radio_args {
    int radio, link;
    const struct fabric_motion *motion;
    double xy[2];
};

static int do_radio_move(struct engine *e, void *arg)
{
    const struct radio_args *a = arg;
    return engine_radio_move(e, a->radio, a->link, a->motion);
}

int fabric_radio_move(struct fabric *f, int radio, int link, const struct fabric_motion *m)
{
    struct radio_args a = {.radio = radio, .link = link, .motion = m};
    return command_call(&f->commands, do_radio_move, &a);
}

static int do_radio_position(struct engine *e, void *arg)
{
    struct radio_args *a = arg;
    return engine_radio_position(e, a->radio, a->link, a->xy);
}

int fabric_radio_position(struct fabric *f, int radio, int link, double xy[2])
{
    struct radio_args a = {.radio = radio, .link = link};
    int err = command_call(&f->commands, do_radio_position, &a);
    if (err == 0)
        memcpy(xy, a.xy, sizeof(a.xy));
    return err;
}

struct radio_stats_args {
    int radio, link;
    struct fabric_radio_stats *out;
};

static int do_radio_stats(struct engine *e, void *arg)
{
    const struct radio_stats_args *a = arg;
    return engine_radio_stats(e, a->radio, a->link, a->out);
}

int fabric_radio_stats(struct fabric *f, int radio, int link, struct fabric_radio_stats *out)
{
    struct radio_stats_args a = {.radio = radio, .link = link, .out = out};
    return command_call(&f->commands, do_radio_stats, &a);
}

static int do_station_add(struct engine *e, void *arg)
{
    return engine_station_add(e, arg);
}

int fabric_station_add(struct fabric *f, const struct fabric_station_config *c)
{
    return command_call(&f->commands, do_station_add, (void *)c);
}

int fabric_station_remove(struct fabric *f, int id)
{
    return call_remove(f, engine_station_remove, id);
}

struct watch_args {
    struct watch *watch;
    int link;
    const bool *on;
};

static int do_trigger_add(struct engine *e, void *arg)
{
    const struct watch_args *a = arg;
    return engine_watch_add(e, a->watch, a->link, a->on);
}

int fabric_trigger_add(struct fabric *f, const struct fabric_trigger_config *c, char *why,
                       size_t room)
{
    struct watch *w;
    int err = watch_new(&w, c, why, room);
    if (err < 0)
        return err;
    struct watch_args a = {w, c->link, c->on};
    int id = command_call(&f->commands, do_trigger_add, &a);
    if (id < 0) {
        snprintf(why, room, "%s", strerror(-id));
        watch_free(w);
    }
    return id;
}

int fabric_trigger_remove(struct fabric *f, int id)
{
    return call_remove(f, engine_watch_remove, id);
}

int fabric_event_fd(const struct fabric *f)
{
    return f->engine.events.event_fd;
}

struct fabric_event *fabric_event_take(struct fabric *f)
{
    return event_take(&f->engine.events);
}

static int do_verdict(struct engine *e, void *arg)
{
    return trigger_verdict(&e->plane, arg);
}

int fabric_verdict(struct fabric *f, const struct fabric_verdict *v)
{
    bool possible = v->delay_ns >= 0 && v->delay_ns <= LINK_DELAY_MAX_NS &&
                    (!v->data || (v->len >= FABRIC_FRAME_MIN && v->len <= FRAME_MAX));
    return possible ? command_call(&f->commands, do_verdict, (void *)v) : -EINVAL;
}

static int do_capture_add(struct engine *e, void *arg)
{
    return engine_capture_add(e, arg);
}

int fabric_capture_add(struct fabric *f, const char *path)
{
    struct capture *c;
    int err = capture_start(&c, path);
    if (err < 0)
        return err;
    int id = command_call(&f->commands, do_capture_add, c);
    if (id < 0)
        capture_stop(c, NULL);
    return id;
}

struct capture_args {
    int capture, link;
    const char *name;
    struct capture *taken;
};

static int do_capture_link(struct engine *e, void *arg)
{
    const struct capture_args *a = arg;
    return engine_capture_link(e, a->capture, a->link, a->name);
}

int fabric_capture_link(struct fabric *f, int capture, int link, const char *name)
{
    struct capture_args a = {.capture = capture, .link = link, .name = name};
    return command_call(&f->commands, do_capture_link, &a);
}

static int do_capture_take(struct engine *e, void *arg)
{
    struct capture_args *a = arg;
    a->taken = engine_capture_take(e, a->capture);
    return a->taken ? 0 : -ENOENT;
}

/* The file is finished by the caller's thread: the fabric's never waits for a disk. */
int fabric_capture_remove(struct fabric *f, int capture, struct fabric_capture_stats *stats)
{
    struct capture_args a = {.capture = capture};
    int err = command_call(&f->commands, do_capture_take, &a);
    return err < 0 ? err : capture_stop(a.taken, stats);
}

/* So many flows are made, run or removed in one go: a call to the fabric's thread costs more than
 * what it does for one, and frames must not wait until it is done for ten thousand. */
#define FLOWS_AT_ONCE 256

struct flows_args {
    int (*one)(struct engine *e, const struct flows_args *a, size_t i);
    const struct fabric_flow_config *config;
    int *made;
    const int *ids;
    bool on;
    size_t at, end;
};

static int do_flows(struct engine *e, void *arg)
{
    struct flows_args *a = arg;
    for (; a->at < a->end; a->at++) {
        int err = a->one(e, a, a->at);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Return: 0, or the first error, at number @a->at. */
static int call_flows(struct fabric *f, struct flows_args *a, size_t n)
{
    int err = 0;
    while (a->at < n && err == 0) {
        a->end = n - a->at > FLOWS_AT_ONCE ? a->at + FLOWS_AT_ONCE : n;
        err = command_call(&f->commands, do_flows, a);
    }
    return err;
}

static int add_flow(struct engine *e, const struct flows_args *a, size_t i)
{
    a->made[i] = engine_flow_add(e, a->config);
    return a->made[i] < 0 ? a->made[i] : 0;
}

int fabric_flow_add(struct fabric *f, const struct fabric_flow_config *c, int *ids, size_t n)
{
    struct flows_args a = {.one = add_flow, .config = c, .made = ids};
    int err = call_flows(f, &a, n);
    if (err < 0)
        fabric_flow_remove(f, ids, a.at);
    return err;
}

static int run_flow(struct engine *e, const struct flows_args *a, size_t i)
{
    struct flow *f = table_get(&e->plane.flows, a->ids[i]);
    if (f)
        flow_run(&e->plane, f, a->on);
    return f ? 0 : -ENOENT;
}

int fabric_flow_run(struct fabric *f, const int *ids, size_t n, bool on)
{
    struct flows_args a = {.one = run_flow, .ids = ids, .on = on};
    return call_flows(f, &a, n);
}

static int remove_flow(struct engine *e, const struct flows_args *a, size_t i)
{
    return engine_flow_remove(e, a->ids[i]);
}

int fabric_flow_remove(struct fabric *f, const int *ids, size_t n)
{
    struct flows_args a = {.one = remove_flow, .ids = ids};
    return call_flows(f, &a, n);
}

struct flow_sum_args {
    const int *ids;
    size_t n;
    struct flow_sum *sum;
};

static int do_flow_sum(struct engine *e, void *arg)
{
    const struct flow_sum_args *a = arg;
    for (size_t i = 0; i < a->n; i++) {
        const struct flow *f = table_get(&e->plane.flows, a->ids[i]);
        int err = f ? flow_sum(&e->plane, f, a->sum) : -ENOENT;
        if (err < 0)
            return err;
    }
    return 0;
}

int fabric_flow_stats(struct fabric *f, const int *ids, size_t n, struct fabric_flow_stats *out)
{
    struct flow_sum_args a = {.ids = ids, .n = n, .sum = calloc(1, sizeof(*a.sum))};
    if (!a.sum)
        return -ENOMEM;
    int err = command_call(&f->commands, do_flow_sum, &a);
    flow_sum_read(a.sum, out);
    flow_sum_free(a.sum);
    free(a.sum);
    return err;
}
