/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "runtime/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS (60 * CLOCK_NS_PER_S)
#define CHECK_NS CLOCK_NS_PER_MS

static void must(int result, const char *what)
{
    if (result < 0) {
        errno = -result;
        fail(what);
    }
}

static struct fabric_end open_end(struct wire *w, int i)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) < 0)
        fail("socketpair");
    int port = fabric_port_add(w->fabric, fds[1]);
    must(port, "fabric_port_add");
    w->fds[i] = fds[0];
    return (struct fabric_end){FABRIC_PORT, port};
}

void wire_open(struct wire *w, uint64_t seed, const struct link_config cfg[2])
{
    memset(w, 0, sizeof(*w));
    w->fabric = fabric_start(seed);
    if (!w->fabric)
        fail("fabric_start");
    struct fabric_end a = open_end(w, 0), b = open_end(w, 1);
    w->link = fabric_link_add(w->fabric, a, b, cfg);
    must(w->link, "fabric_link_add");
    for (int i = 0; i < 2; i++)
        endpoint_start(&w->ends[i], w->fds[i], &w->journals[i], &w->journals[1 - i]);
}

void wire_send(struct wire *w, const struct train trains[2])
{
    for (int i = 0; i < 2; i++)
        endpoint_send(&w->ends[i], &trains[i]);
    for (int i = 0; i < 2; i++)
        endpoint_sent(&w->ends[i]);
}

void wire_set(struct wire *w, int dir, const struct link_config *cfg)
{
    must(fabric_link_set(w->fabric, w->link, dir, cfg), "fabric_link_set");
}

void wire_set_both(struct wire *w, const struct link_config cfg[2])
{
    must(fabric_link_set_both(w->fabric, w->link, cfg), "fabric_link_set_both");
}

/* The fabric's own figures say when a measurement is over, not what it has found. */
static bool is_quiet(struct wire *w, bool empty)
{
    struct link_stats s[2];
    must(fabric_link_stats(w->fabric, w->link, s), "fabric_link_stats");
    for (int i = 0; i < 2; i++) {
        if (s[i].sent < w->journals[i].n || (empty && s[i].in_flight > 0))
            return false;
    }
    return true;
}

static void wait_quiet(struct wire *w, bool empty)
{
    int64_t patience = clock_now() + PATIENCE_NS;
    while (!is_quiet(w, empty)) {
        if (clock_now() > patience) {
            errno = ETIMEDOUT;
            fail("waiting for the last frame");
        }
        sleep_for(CHECK_NS);
    }
}

void wire_settle(struct wire *w)
{
    wait_quiet(w, false);
}

bool wire_finish(struct wire *w)
{
    struct link_stats s[2];
    wait_quiet(w, true);
    must(fabric_link_stats(w->fabric, w->link, s), "fabric_link_stats");
    for (int i = 0; i < 2; i++)
        endpoint_stop(&w->ends[i]);
    return s[0].overruns == 0 && s[1].overruns == 0;
}

void wire_close(struct wire *w)
{
    fabric_stop(w->fabric);
    for (int i = 0; i < 2; i++) {
        close(w->fds[i]);
        journal_free(&w->journals[i]);
    }
}

bool wire_run(struct wire *w, uint64_t seed, const struct link_config cfg[2],
              const struct train trains[2])
{
    wire_open(w, seed, cfg);
    wire_send(w, trains);
    return wire_finish(w);
}
