/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/port.h"

#include "runtime/clock.h"
#include "runtime/fabric/direction.h"
#include "runtime/fabric/lateness.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BATCH 64
#define ETHERNET_HEADER 14
#define SEND_BUFFER (1 << 20)

struct send_batch {
    struct mmsghdr msgs[SEND_BATCH];
    struct iovec iov[SEND_BATCH];
};

static int socket_option(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -errno : value;
}

static bool is_tap(int fd)
{
    struct ifreq device;
    return ioctl(fd, TUNGETIFF, &device) == 0 && (device.ifr_flags & IFF_TAP) &&
           (device.ifr_flags & IFF_NO_PI);
}

static int check_descriptor(int fd)
{
    int domain = socket_option(fd, SO_DOMAIN);
    if (domain < 0)
        return is_tap(fd) ? 0 : domain;
    return domain == AF_UNIX && socket_option(fd, SO_TYPE) == SOCK_DGRAM ? 0 : -EPROTOTYPE;
}

static int watch(struct plane *p, struct port *port, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = port};
    return epoll_ctl(p->epoll_fd, op, port->fd, &event) < 0 ? -errno : 0;
}

static struct port *port_new(int fd)
{
    struct port *port = calloc(1, sizeof(*port));
    if (port) {
        port->fd = fd;
        port->is_tap = is_tap(fd);
    }
    return port;
}

/* A reader that the scheduler keeps waiting for some milliseconds should lose nothing by it. The
 * host may grant less. */
static void enlarge_send_buffer(int fd)
{
    int bytes = SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_checked(struct plane *p, int fd, struct port **port)
{
    int err = check_descriptor(fd);
    if (err < 0)
        return err;
    enlarge_send_buffer(fd);
    *port = port_new(fd);
    if (!*port)
        return -ENOMEM;
    err = watch(p, *port, EPOLL_CTL_ADD, EPOLLIN);
    if (err < 0)
        free(*port);
    return err;
}

int port_open(struct plane *p, int fd, struct port **port)
{
    int err = open_checked(p, fd, port);
    if (err < 0 && fd >= 0)
        close(fd);
    return err;
}

void port_close(struct plane *p, struct port *port)
{
    port_clear(p, port);
    watch(p, port, EPOLL_CTL_DEL, 0); /* a duplicate of the descriptor would keep it watched */
    close(port->fd);
    free(port);
}

static void drop(struct plane *p, struct packet *pkt, uint64_t *counter)
{
    ++*counter;
    packet_free(&p->pool, pkt);
}

static void enter(struct plane *p, struct port *port, struct frame *frame)
{
    struct packet *pkt = packet_new(&p->pool, frame);
    if (!pkt)
        plane_lose(p, &p->totals.no_memory);
    else if (frame->len < ETHERNET_HEADER)
        drop(p, pkt, &p->totals.malformed);
    else if (!port->out)
        drop(p, pkt, &p->totals.unlinked);
    else
        direction_offer(p, port->out, pkt, p->now);
}

/* The time is read after the frames: a frame that came while they were being read must not be
 * delivered before its delay has passed. */
static int receive(struct plane *p, struct port *port, struct receiver *r)
{
    int n = receiver_read(r, &p->pool, port->fd, port->is_tap);
    p->now = clock_now();
    for (int i = 0; i < n; i++) {
        struct frame *frame = receiver_take(r, &p->pool, i, &p->totals);
        if (frame)
            enter(p, port, frame);
    }
    return n;
}

static struct direction *arrivals(struct port *port)
{
    return port->out->reverse;
}

static void record_lateness(struct port *port, struct packet *pkt, int64_t now)
{
    if (!pkt->late_recorded)
        lateness_add(&arrivals(port)->stats.lateness, packet_due(pkt), now);
    pkt->late_recorded = true;
}

static struct packet *take_held(struct port *port)
{
    struct packet *pkt = packet_list_pop(&port->held);
    if (pkt)
        port->held_len--;
    return pkt;
}

static unsigned fill_batch(struct send_batch *b, const struct packet_list *held)
{
    unsigned n = 0;
    for (struct packet *pkt = held->head; pkt && n < SEND_BATCH; pkt = packet_next(pkt), n++) {
        b->iov[n] = (struct iovec){pkt->frame->data, pkt->frame->len};
        b->msgs[n].msg_hdr = (struct msghdr){.msg_iov = &b->iov[n], .msg_iovlen = 1};
    }
    return n;
}

static void count_sent(struct plane *p, struct port *port, int n)
{
    int64_t now = clock_now();
    p->totals.transmitted += (uint64_t)n;
    for (int i = 0; i < n; i++) {
        struct packet *pkt = take_held(port);
        record_lateness(port, pkt, now);
        direction_drop(p, arrivals(port), pkt, LINK_DELIVERED);
    }
}

static void drop_held(struct plane *p, struct port *port, uint64_t *counter)
{
    ++*counter;
    direction_drop(p, arrivals(port), take_held(port), LINK_OVERRUN);
}

/* What waits for a slow reader is late by the reader's doing, so its lateness ends here. */
static void block(struct plane *p, struct port *port)
{
    int64_t now = clock_now();
    for (struct packet *pkt = port->held.head; pkt; pkt = packet_next(pkt))
        record_lateness(port, pkt, now);
    port->blocked = true;
    watch(p, port, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

/* Return: whether to go on sending. */
static bool send_failed(struct plane *p, struct port *port, int err)
{
    switch (err) {
    case EINTR:
        return true;
    case EAGAIN:
        block(p, port);
        return false;
    case EMSGSIZE:
    case ENOBUFS:
    case ENOMEM:
        p->totals.lost_at = p->now;
        drop_held(p, port, &p->totals.overruns);
        return true;
    default:
        drop_held(p, port, &p->totals.unreachable);
        return true;
    }
}

/* A tap takes one frame at a time. Return: as sendmmsg(). */
static int write_frames(int fd, const struct packet_list *held)
{
    int n = 0;
    for (struct packet *pkt = held->head; pkt && n < SEND_BATCH; pkt = packet_next(pkt), n++) {
        if (write(fd, pkt->frame->data, pkt->frame->len) < 0)
            return n ? n : -1;
    }
    return n;
}

static int send_frames(struct port *port)
{
    struct send_batch batch;
    if (port->is_tap)
        return write_frames(port->fd, &port->held);
    unsigned n = fill_batch(&batch, &port->held);
    return sendmmsg(port->fd, batch.msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void flush(struct plane *p, struct port *port)
{
    while (port->held_len > 0 && !port->blocked) {
        int sent = send_frames(port);
        if (sent > 0)
            count_sent(p, port, sent);
        else if (!send_failed(p, port, errno))
            return;
    }
}

static void flush_later(struct plane *p, struct port *port)
{
    if (port->unflushed)
        return;
    port->unflushed = true;
    port->next_unflushed = p->unflushed;
    p->unflushed = port;
}

void port_desert(struct plane *p, struct port *port, bool deserted)
{
    port->deserted = deserted;
    while (deserted && port->held_len > 0)
        drop_held(p, port, &p->totals.unreachable);
}

void port_send(struct plane *p, struct port *port, struct packet *pkt)
{
    if (port->deserted) {
        p->totals.unreachable++;
        direction_drop(p, arrivals(port), pkt, LINK_OVERRUN);
        return;
    }
    if (port->held_len == PORT_HELD_MAX)
        flush(p, port);
    if (port->blocked)
        record_lateness(port, pkt, p->now);
    if (port->held_len == PORT_HELD_MAX) {
        plane_lose(p, &p->totals.overruns);
        direction_drop(p, arrivals(port), pkt, LINK_OVERRUN);
        return;
    }
    packet_list_push(&port->held, pkt);
    port->held_len++;
    flush_later(p, port);
}

void port_clear(struct plane *p, struct port *port)
{
    for (struct packet *pkt; (pkt = take_held(port));)
        packet_free(&p->pool, pkt);
}

void ports_flush(struct plane *p)
{
    while (p->unflushed) {
        struct port *port = p->unflushed;
        p->unflushed = port->next_unflushed;
        port->unflushed = false;
        flush(p, port);
    }
}

static void unblock(struct plane *p, struct port *port)
{
    if (port->blocked)
        flush_later(p, port);
    port->blocked = false;
}

/* Reading takes an error off a socket; a hang-up stays, so the socket is watched no longer. A tap
 * whose interface was deleted keeps its error until it has another one: meanwhile it is watched for
 * changes alone. */
int port_event(struct plane *p, struct port *port, uint32_t events, struct receiver *r)
{
    int n = events & (EPOLLIN | EPOLLERR) ? receive(p, port, r) : 0;
    bool deleted = port->is_tap && (events & EPOLLERR);
    if (events & EPOLLHUP) {
        unblock(p, port);
        watch(p, port, EPOLL_CTL_DEL, 0);
    } else if (deleted != port->deleted || (events & EPOLLOUT)) {
        port->deleted = deleted;
        unblock(p, port);
        watch(p, port, EPOLL_CTL_MOD, deleted ? EPOLLIN | EPOLLET : EPOLLIN);
    }
    return n;
}
