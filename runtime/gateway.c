/* SPDX-License-Identifier: MIT */
#include "runtime/gateway.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534
/* Each connection is one; it bounds what a node's connections cost. */
#define MAX_DESCRIPTORS 512
#define SEND_BUFFER (1 << 20)
#define FRAME_MAX 65536
#define BATCH 64

enum { LIFE, FRAMES, FIXED }; /* the first of the descriptors that are waited for */

struct gateway {
    Slirp *slirp;
    int life, frames;
    struct pollfd *polls;
    size_t n, room;
    char frame[FRAME_MAX];
};

/* libslirp's callbacks */

/* A frame that finds no room is lost, as on any link. */
static ssize_t send_frame(const void *data, size_t n, void *arg)
{
    struct gateway *g = arg;
    (void)!send(g->frames, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return (ssize_t)n;
}

static int64_t now_ns(void *arg)
{
    struct timespec t;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ignore_error(const char *text, void *arg)
{
    (void)text;
    (void)arg;
}

/* The one timer that libslirp has is of IPv6, which is off. */
static void *new_timer(SlirpTimerCb fn, void *fn_arg, void *arg)
{
    (void)fn;
    (void)fn_arg;
    return arg;
}

static void free_timer(void *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void set_timer(void *timer, int64_t ms, void *arg)
{
    (void)timer;
    (void)ms;
    (void)arg;
}

static void ignore_descriptor(int fd, void *arg)
{
    (void)fd;
    (void)arg;
}

static void ignore_notice(void *arg)
{
    (void)arg;
}

static const SlirpCb callbacks = {
    .send_packet = send_frame,
    .guest_error = ignore_error,
    .clock_get_ns = now_ns,
    .timer_new = new_timer,
    .timer_free = free_timer,
    .timer_mod = set_timer,
    .register_poll_fd = ignore_descriptor,
    .unregister_poll_fd = ignore_descriptor,
    .notify = ignore_notice,
};

/* Waiting */

static const struct {
    int slirp, poll;
} event_names[] = {
    {SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
    {SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

#define N_EVENTS (sizeof(event_names) / sizeof(*event_names))

static int add_poll(int fd, int events, void *arg)
{
    struct gateway *g = arg;
    if (g->n == g->room) {
        struct pollfd *more = realloc(g->polls, (g->room * 2 + 16) * sizeof(*more));
        if (!more)
            return -1;
        g->polls = more;
        g->room = g->room * 2 + 16;
    }
    struct pollfd *p = &g->polls[g->n];
    *p = (struct pollfd){.fd = fd};
    for (size_t i = 0; i < N_EVENTS; i++) {
        if (events & event_names[i].slirp)
            p->events = (short)(p->events | event_names[i].poll);
    }
    return (int)g->n++;
}

static int events_of(int index, void *arg)
{
    struct gateway *g = arg;
    int events = 0;
    for (size_t i = 0; i < N_EVENTS && index >= 0; i++) {
        if (g->polls[index].revents & event_names[i].poll)
            events |= event_names[i].slirp;
    }
    return events;
}

static void take_frames(struct gateway *g)
{
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = recv(g->frames, g->frame, sizeof(g->frame), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0)
            return;
        if ((size_t)n <= sizeof(g->frame))
            slirp_input(g->slirp, (const uint8_t *)g->frame, (int)n);
    }
}

/* Return: whether to go on. */
static bool turn(struct gateway *g)
{
    uint32_t wait_ms = UINT32_MAX;
    g->n = 0;
    if (add_poll(g->life, SLIRP_POLL_IN, g) < 0 || add_poll(g->frames, SLIRP_POLL_IN, g) < 0)
        return false;
    slirp_pollfds_fill(g->slirp, &wait_ms, add_poll, g);
    int n = poll(g->polls, g->n, wait_ms > INT32_MAX ? -1 : (int)wait_ms);
    if (n < 0 && errno != EINTR)
        return false;
    if (n > 0 && g->polls[LIFE].revents)
        return false;
    bool came = n > 0 && g->polls[FRAMES].revents;
    slirp_pollfds_poll(g->slirp, n < 0, events_of, g);
    if (came)
        take_frames(g);
    return true;
}

/* Starting */

static void give_up_rights(void)
{
    struct rlimit limit = {MAX_DESCRIPTORS, MAX_DESCRIPTORS};
    pid_t parent = getppid();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (geteuid() != 0 || setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY))
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* forgotten with the user */
    if (getppid() != parent)
        _exit(0);
}

static Slirp *open_slirp(const struct gateway_config *c, struct gateway *g)
{
    const SlirpConfig config = {
        .version = 4,
        .in_enabled = true,
        .vnetwork = c->network,
        .vnetmask = c->mask,
        .vhost = c->gateway,
        .vnameserver = c->nameserver,
        .vdhcp_start = c->node,
        .if_mtu = c->mtu,
        .if_mru = c->mtu,
        .disable_host_loopback = !c->host_loopback,
    };
    return slirp_new(&config, &callbacks, g);
}

_Noreturn void gateway_run(const struct gateway_config *config, int life, int frames)
{
    struct gateway g = {.life = life, .frames = frames};
    int bytes = SEND_BUFFER;
    setsockopt(frames, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    give_up_rights();
    g.slirp = open_slirp(config, &g);
    while (g.slirp && turn(&g))
        ;
    _exit(g.slirp ? 0 : 1);
}
