/* SPDX-License-Identifier: MIT */
/* A fabric for tests: links between ports, whose far ends are sockets here. */
#ifndef QN_TESTS_UNIT_NET_H
#define QN_TESTS_UNIT_NET_H

#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "tests/unit/check.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NET_MS CLOCK_NS_PER_MS
#define NET_PATIENCE_MS 5000
#define NET_FRAME 64

struct net_port {
    int fd;
    int id;
};

static inline struct net_port net_port_new(struct fabric *f)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    struct net_port p = {fds[0], fabric_port_add(f, fds[1])};
    CHECK(p.id >= 0);
    return p;
}

static inline struct fabric_end net_end(struct net_port p)
{
    return (struct fabric_end){FABRIC_PORT, p.id};
}

static inline struct fabric_end net_switch(int id)
{
    return (struct fabric_end){FABRIC_SWITCH, id};
}

/* A link between two ports. */
struct net_cable {
    struct fabric *f;
    struct net_port a, b;
    int link;
};

static inline struct net_cable net_cable_on(struct fabric *f, const struct link_config *both)
{
    struct link_config cfg[2] = {*both, *both};
    struct net_cable c = {.f = f, .a = net_port_new(f), .b = net_port_new(f)};
    c.link = fabric_link_add(f, net_end(c.a), net_end(c.b), cfg);
    CHECK(c.link >= 0);
    return c;
}

static inline struct net_cable net_cable_new(const struct link_config *both)
{
    return net_cable_on(fabric_start(1), both);
}

static inline void net_cable_close(struct net_cable *c)
{
    close(c->a.fd);
    close(c->b.fd);
}

static inline void net_cable_free(struct net_cable *c)
{
    fabric_stop(c->f);
    net_cable_close(c);
}

/* A frame from station @from to station @to (0xff: all) of no protocol, with a number. */
static inline void net_fill(uint8_t frame[NET_FRAME], uint8_t to, uint8_t from, uint32_t number)
{
    memset(frame, 0, NET_FRAME);
    memset(frame, to == 0xff ? 0xff : 0, 6);
    frame[0] = to == 0xff ? 0xff : 2;
    frame[5] = to;
    frame[6] = 2;
    frame[11] = from;
    frame[12] = 0x88;
    frame[13] = 0xb5; /* for experiments, by IEEE 802 */
    memcpy(frame + 14, &number, sizeof(number));
}

/* As if the near end of direction @dir of the cable had sent it. */
static inline void net_send(const struct net_cable *c, int dir, uint32_t number)
{
    uint8_t frame[NET_FRAME];
    net_fill(frame, 2, 1, number);
    CHECK_INT(fabric_link_send(c->f, c->link, dir, frame, NET_FRAME), 0);
}

/* Return: the number of the next frame that comes out of the port, or -1: none for long. */
static inline int net_receive(struct net_port p)
{
    uint8_t frame[NET_FRAME];
    uint32_t number;
    struct pollfd poll_fd = {p.fd, POLLIN, 0};
    if (poll(&poll_fd, 1, NET_PATIENCE_MS) != 1 ||
        recv(p.fd, frame, NET_FRAME, MSG_DONTWAIT) != NET_FRAME)
        return -1;
    memcpy(&number, frame + 14, sizeof(number));
    return (int)number;
}

/* Return: whether nothing has come out of the port. */
static inline bool net_is_silent(struct net_port p)
{
    uint8_t byte;
    return recv(p.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static inline struct link_stats net_stats(const struct net_cable *c, int dir)
{
    struct link_stats out[2];
    CHECK_INT(fabric_link_stats(c->f, c->link, out), 0);
    return out[dir];
}

static inline struct fabric_totals net_totals(struct fabric *f)
{
    struct fabric_totals out;
    CHECK_INT(fabric_totals(f, &out), 0);
    return out;
}

#endif
