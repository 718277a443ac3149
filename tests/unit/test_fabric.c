/* SPDX-License-Identifier: MIT */
/* The fabric through its thread: real socket pairs in place of virtual machines. */
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "tests/unit/check.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS
#define PATIENCE_NS (5 * CLOCK_NS_PER_S)
#define LATE_NS (500 * MS) /* what a busy machine may add to a delay */
#define BURST 32           /* frames that the fabric reads in one turn, and a socket holds */
#define FRAME 64

static const struct link_config perfect[2];

/* One end of a cable as a virtual machine has it: its own socket, and the port over the other. */
struct station {
    int fd;
    int port;
};

static struct station station_new(struct fabric *f)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    struct station s = {fds[0], fabric_port_add(f, fds[1])};
    CHECK(s.port >= 0);
    return s;
}

static struct fabric_end port_end(struct station s)
{
    return (struct fabric_end){FABRIC_PORT, s.port};
}

static struct fabric_end switch_end(int id)
{
    return (struct fabric_end){FABRIC_SWITCH, id};
}

/* Two stations and the link between them. */
struct pair {
    struct fabric *f;
    struct station a, b;
    int link;
};

static struct pair pair_new(uint64_t seed, const struct link_config *ab)
{
    struct link_config cfg[2] = {*ab};
    struct pair p = {.f = fabric_start(seed)};
    p.a = station_new(p.f);
    p.b = station_new(p.f);
    p.link = fabric_link_add(p.f, port_end(p.a), port_end(p.b), cfg);
    CHECK(p.link >= 0);
    return p;
}

static void pair_free(struct pair *p)
{
    fabric_stop(p->f);
    close(p->a.fd);
    close(p->b.fd);
}

/* A frame is two addresses (their last byte given), a type, and a number. */
static void make_frame(uint8_t *frame, uint8_t to, uint8_t from, uint32_t number)
{
    memset(frame, 0, FRAME);
    memset(frame, to == 0xff ? 0xff : 0, 6);
    frame[0] = to == 0xff ? 0xff : 0x02;
    frame[5] = to;
    frame[6] = 0x02;
    frame[11] = from;
    memcpy(frame + 14, &number, sizeof(number));
}

static void send_frame(struct station s, uint8_t to, uint8_t from, uint32_t number)
{
    uint8_t frame[FRAME];
    make_frame(frame, to, from, number);
    CHECK_INT(send(s.fd, frame, FRAME, 0), FRAME);
}

static void send_number(struct station s, uint32_t number)
{
    send_frame(s, 2, 1, number);
}

static void send_bytes(struct station s, size_t len)
{
    uint8_t *frame = calloc(1, len + 1);
    CHECK_INT(send(s.fd, frame, len, 0), len);
    free(frame);
}

static bool wait_readable(struct station s, int64_t ns)
{
    struct pollfd p = {s.fd, POLLIN, 0};
    return poll(&p, 1, (int)(ns / MS)) == 1;
}

/* Return: the next frame's length, or -1 when none comes for long. */
static ssize_t receive(struct station s, uint8_t *frame, size_t room)
{
    if (!wait_readable(s, PATIENCE_NS))
        return -1;
    return recv(s.fd, frame, room, MSG_DONTWAIT);
}

static int receive_number(struct station s)
{
    uint8_t frame[FRAME];
    uint32_t number;
    if (receive(s, frame, FRAME) != FRAME)
        return -1;
    memcpy(&number, frame + 14, sizeof(number));
    return (int)number;
}

/* Return: the number of a frame that has come already, or -1. */
static int receive_now(struct station s)
{
    return wait_readable(s, 0) ? receive_number(s) : -1;
}

static int count_now(struct station s)
{
    uint8_t frame[FRAME];
    int n = 0;
    while (recv(s.fd, frame, FRAME, MSG_DONTWAIT) >= 0)
        n++;
    return n;
}

static struct link_stats stats(const struct pair *p, int dir)
{
    struct link_stats out[2];
    CHECK_INT(fabric_link_stats(p->f, p->link, out), 0);
    return out[dir];
}

static struct fabric_totals totals(struct fabric *f)
{
    struct fabric_totals out;
    CHECK_INT(fabric_totals(f, &out), 0);
    return out;
}

/* A call is carried out after what was sent before it has been read, and what passes a perfect link
 * has been handed over by then. */
static void settle(struct fabric *f)
{
    totals(f);
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void perfect_cable(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    for (int i = 0; i < 10; i++) {
        send_number(p.a, 7);
        CHECK_INT(receive_number(p.b), 7);
        send_number(p.b, 8);
        CHECK_INT(receive_number(p.a), 8);
    }
    struct link_stats s = stats(&p, 0);
    CHECK_INT(s.sent, 10);
    CHECK_INT(s.delivered, 10);
    CHECK_INT(s.bytes, 10 * FRAME);
    CHECK_INT(s.in_flight, 0);
    CHECK_INT(totals(p.f).lateness.count, 20);
    pair_free(&p);
}

static void delay_is_kept(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 5 * MS});
    for (int i = 0; i < 5; i++) {
        int64_t sent = clock_now();
        send_number(p.a, (uint32_t)i);
        CHECK_INT(receive_number(p.b), i);
        int64_t took = clock_now() - sent;
        CHECK(took >= 5 * MS);
        CHECK(took < 5 * MS + LATE_NS);
    }
    int64_t sent = clock_now();
    send_number(p.b, 1);
    CHECK_INT(receive_number(p.a), 1);
    CHECK(clock_now() - sent < LATE_NS);
    pair_free(&p);
}

static void delay_keeps_order(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 3 * MS});
    for (uint32_t i = 0; i < 200; i++)
        send_number(p.a, i);
    for (int i = 0; i < 200; i++)
        CHECK_INT(receive_number(p.b), i);
    pair_free(&p);
}

#define LOSS_FRAMES 2000

static int run_loss(uint64_t seed, bool *arrived)
{
    struct pair p = pair_new(seed, &(struct link_config){.loss = 0.1});
    int n = 0;
    for (uint32_t i = 0; i < LOSS_FRAMES; i++) {
        send_number(p.a, i);
        if (i % BURST < BURST - 1 && i < LOSS_FRAMES - 1)
            continue;
        settle(p.f);
        for (int got; (got = receive_now(p.b)) >= 0; n++)
            arrived[got] = true;
    }
    struct link_stats s = stats(&p, 0);
    CHECK_INT(s.delivered, n);
    CHECK_INT(s.lost, LOSS_FRAMES - n);
    pair_free(&p);
    return n;
}

/* 200 of 2000 expected, standard deviation 13.4: the interval is more than seven of them wide each
 * way. */
static void loss_is_random_and_repeats(void)
{
    static bool first[LOSS_FRAMES], again[LOSS_FRAMES], other[LOSS_FRAMES];
    int lost = LOSS_FRAMES - run_loss(42, first);
    CHECK(lost > 100 && lost < 300);
    run_loss(42, again);
    CHECK(memcmp(first, again, sizeof(first)) == 0);
    run_loss(43, other);
    CHECK(memcmp(first, other, sizeof(first)) != 0);
}

static void loss_of_all_and_none(void)
{
    struct pair p = pair_new(1, &(struct link_config){.loss = 1});
    for (uint32_t i = 0; i < BURST; i++)
        send_number(p.a, i);
    CHECK_INT(stats(&p, 0).lost, BURST);
    CHECK_INT(count_now(p.b), 0);
    pair_free(&p);
}

/* 40 frames of 64 bytes at 1.024 Mbit/s: 0.5 ms each. */
static void rate_is_kept(void)
{
    struct pair p = pair_new(1, &(struct link_config){.rate_bps = 1024000});
    int64_t start = clock_now();
    for (uint32_t i = 0; i < 40; i++)
        send_number(p.a, i);
    for (int i = 0; i < 40; i++) {
        CHECK_INT(receive_number(p.b), i);
        CHECK(clock_now() - start >= (i + 1) * (MS / 2));
    }
    CHECK(clock_now() - start < 20 * MS + LATE_NS);
    pair_free(&p);
}

static void rate_and_delay_add_up(void)
{
    struct pair p = pair_new(1, &(struct link_config){.rate_bps = 512000, .delay_ns = 4 * MS});
    int64_t start = clock_now();
    for (uint32_t i = 0; i < 3; i++)
        send_number(p.a, i);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(receive_number(p.b), i);
        CHECK(clock_now() - start >= (i + 1) * MS + 4 * MS);
    }
    pair_free(&p);
}

/* At 100 bit/s a frame takes five seconds: nothing moves until the rate is set anew. */
static void queue_is_bounded_and_drains_at_the_new_rate(void)
{
    struct link_config c = {.rate_bps = 100, .queue_packets = 5};
    struct pair p = pair_new(1, &c);
    for (uint32_t i = 0; i < 10; i++)
        send_number(p.a, i);
    CHECK_INT(stats(&p, 0).queue_drops, 4);
    CHECK_INT(stats(&p, 0).in_flight, 6);
    int64_t set = clock_now();
    c.rate_bps = 512000;
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &c), 0);
    for (int i = 0; i < 6; i++)
        CHECK_INT(receive_number(p.b), i);
    CHECK(clock_now() - set >= 5 * MS);
    CHECK(clock_now() - set < 6 * MS + LATE_NS);
    pair_free(&p);
}

static void queue_is_bounded_in_bytes(void)
{
    struct link_config c = {.rate_bps = 100, .queue_bytes = 3 * FRAME + 1};
    struct pair p = pair_new(1, &c);
    for (uint32_t i = 0; i < 10; i++)
        send_number(p.a, i);
    CHECK_INT(stats(&p, 0).queue_drops, 6);
    c.rate_bps = 0;
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &c), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(receive_number(p.b), i);
    CHECK_INT(stats(&p, 0).in_flight, 0);
    pair_free(&p);
}

static void set_holds_from_the_next_frame(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 20 * MS});
    int64_t start = clock_now();
    send_number(p.a, 1);
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &(struct link_config){.delay_ns = MS}), 0);
    send_number(p.a, 2);
    CHECK_INT(receive_number(p.b), 2);
    CHECK_INT(receive_number(p.b), 1);
    CHECK(clock_now() - start >= 20 * MS);
    pair_free(&p);
}

static void set_one_direction_leaves_the_other(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    struct link_config lossy = {.loss = 1};
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &lossy), 0);
    send_number(p.a, 1);
    send_number(p.b, 2);
    CHECK_INT(receive_number(p.a), 2);
    CHECK_INT(stats(&p, 0).lost, 1);
    struct link_config both[2] = {{.loss = 0}, {.loss = 1}};
    CHECK_INT(fabric_link_set_both(p.f, p.link, both), 0);
    send_number(p.b, 3);
    send_number(p.a, 4);
    CHECK_INT(receive_number(p.b), 4);
    CHECK_INT(stats(&p, 1).lost, 1);
    pair_free(&p);
}

static void down_drops_what_is_in_flight(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 3 * MS, .rate_bps = 100});
    for (uint32_t i = 0; i < 5; i++)
        send_number(p.a, i);
    CHECK_INT(stats(&p, 0).in_flight, 5);
    CHECK_INT(fabric_link_up(p.f, p.link, false), 0);
    CHECK_INT(stats(&p, 0).down_drops, 5);
    CHECK_INT(stats(&p, 0).in_flight, 0);
    send_number(p.a, 5);
    CHECK_INT(stats(&p, 0).down_drops, 6);
    CHECK_INT(fabric_link_up(p.f, p.link, true), 0);
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &perfect[0]), 0);
    send_number(p.a, 6);
    CHECK_INT(receive_number(p.b), 6);
    pair_free(&p);
}

static void mtu_drops(void)
{
    struct pair p = pair_new(1, &(struct link_config){.mtu = 1500});
    send_bytes(p.a, 1515);
    send_bytes(p.a, 1514);
    uint8_t frame[2000];
    CHECK_INT(receive(p.b, frame, sizeof(frame)), 1514);
    CHECK_INT(stats(&p, 0).mtu_drops, 1);
    pair_free(&p);
}

static void sizes(void)
{
    static const size_t lengths[] = {14, 240, 241, 1514, 2032, 2033, 9000, 60000, 65550};
    static uint8_t out[70000], in[70000];
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = MS});
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        CHECK_INT(send(p.a.fd, out, lengths[i], 0), lengths[i]);
        CHECK_INT(receive(p.b, in, sizeof(in)), lengths[i]);
        CHECK(memcmp(in, out, lengths[i]) == 0);
    }
    CHECK_INT(send(p.a.fd, out, sizeof(out), 0), sizeof(out));
    CHECK_INT(totals(p.f).malformed, 1);
    pair_free(&p);
}

static void short_frames_are_dropped(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    send_bytes(p.a, 0);
    send_bytes(p.a, 13);
    send_bytes(p.a, 0);
    send_number(p.a, 1);
    CHECK_INT(receive_number(p.b), 1);
    struct fabric_totals before = totals(p.f);
    CHECK_INT(before.malformed, 3);
    CHECK_INT(stats(&p, 0).sent, 1);
    CHECK(totals(p.f).turns - before.turns < 10);
    pair_free(&p);
}

/* Four stations on a switch or hub. */
struct star {
    struct fabric *f;
    int sw;
    struct station s[4];
    int links[4];
};

static struct star star_new(int64_t ageing_ns, unsigned flags)
{
    struct star t = {.f = fabric_start(1)};
    t.sw = fabric_switch_add(t.f, ageing_ns, flags);
    for (int i = 0; i < 4; i++) {
        t.s[i] = station_new(t.f);
        t.links[i] = fabric_link_add(t.f, port_end(t.s[i]), switch_end(t.sw), perfect);
        CHECK(t.links[i] >= 0);
    }
    return t;
}

static void star_free(struct star *t)
{
    fabric_stop(t->f);
    for (int i = 0; i < 4; i++)
        close(t->s[i].fd);
}

/* Return: which stations (a bit each) a frame between two of them, by number, reaches. */
static int reached(struct star *t, int from, uint8_t to)
{
    int bits = 0;
    send_frame(t->s[from], to, (uint8_t)from, 1);
    settle(t->f);
    for (int i = 0; i < 4; i++)
        bits |= count_now(t->s[i]) << i;
    return bits;
}

static void switch_learns(void)
{
    struct star t = star_new(0, 0);
    CHECK_INT(reached(&t, 0, 1), 0xe);
    CHECK_INT(reached(&t, 1, 0), 0x1);
    CHECK_INT(reached(&t, 0, 1), 0x2);
    CHECK_INT(reached(&t, 2, 0xff), 0xb);
    CHECK_INT(reached(&t, 0, 0), 0);
    CHECK_INT(reached(&t, 3, 2), 0x4);
    star_free(&t);
}

static void switch_ages(void)
{
    struct star t = star_new(1, 0);
    reached(&t, 1, 0xff);
    CHECK_INT(reached(&t, 0, 1), 0xe);
    star_free(&t);
}

static void switch_forgets_a_link_that_goes(void)
{
    struct star t = star_new(0, 0);
    reached(&t, 1, 0xff);
    reached(&t, 2, 0xff);
    CHECK_INT(fabric_link_up(t.f, t.links[1], false), 0);
    CHECK_INT(reached(&t, 0, 1), 0xc);
    CHECK_INT(fabric_link_remove(t.f, t.links[2]), 0);
    CHECK_INT(reached(&t, 0, 2), 0x8);
    star_free(&t);
}

static void hub_floods(void)
{
    struct star t = star_new(0, FABRIC_SWITCH_HUB);
    reached(&t, 1, 0);
    CHECK_INT(reached(&t, 0, 1), 0xe);
    star_free(&t);
}

static void switch_removal_takes_its_links(void)
{
    struct star t = star_new(0, 0);
    struct link_stats out[2];
    CHECK_INT(fabric_switch_remove(t.f, t.sw), 0);
    CHECK_INT(fabric_link_stats(t.f, t.links[0], out), -ENOENT);
    CHECK_INT(reached(&t, 0, 1), 0);
    CHECK_INT(totals(t.f).unlinked, 1);
    CHECK_INT(fabric_switch_remove(t.f, t.sw), -ENOENT);
    star_free(&t);
}

/* Wait until nothing is in flight on the links from @first to @last. */
static void wait_for_silence(struct fabric *f, int first, int last)
{
    int64_t deadline = clock_now() + PATIENCE_NS;
    uint64_t busy = 1;
    while (busy && clock_now() < deadline) {
        busy = 0;
        for (int link = first; link <= last; link++) {
            struct link_stats out[2];
            CHECK_INT(fabric_link_stats(f, link, out), 0);
            busy += out[0].in_flight + out[1].in_flight;
        }
    }
    CHECK_INT(busy, 0);
}

/* A full mesh of four switches triples a broadcast at each hop. */
static void switch_loop_dies_out(void)
{
    struct fabric *f = fabric_start(1);
    int sw[4], first = -1, last = -1;
    for (int i = 0; i < 4; i++)
        sw[i] = fabric_switch_add(f, 0, 0);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < i; k++) {
            last = fabric_link_add(f, switch_end(sw[i]), switch_end(sw[k]), perfect);
            first = first < 0 ? last : first;
        }
    }
    struct station s = station_new(f);
    CHECK(fabric_link_add(f, switch_end(sw[0]), port_end(s), perfect) >= 0);
    send_frame(s, 0xff, 1, 1);
    wait_for_silence(f, first, last);
    CHECK(totals(f).hop_drops > 0);
    fabric_stop(f);
    close(s.fd);
}

static void chain_of_switches_passes(void)
{
    struct fabric *f = fabric_start(1);
    struct station a = station_new(f), b = station_new(f);
    struct fabric_end at = port_end(a);
    for (int i = 0; i < 20; i++) {
        struct fabric_end next = switch_end(fabric_switch_add(f, 0, 0));
        CHECK(fabric_link_add(f, at, next, perfect) >= 0);
        at = next;
    }
    CHECK(fabric_link_add(f, at, port_end(b), perfect) >= 0);
    send_number(a, 5);
    CHECK_INT(receive_number(b), 5);
    CHECK_INT(totals(f).hop_drops, 0);
    fabric_stop(f);
    close(a.fd);
    close(b.fd);
}

/* How much a socket holds is the host's choice, so frames are sent until it holds no more. */
static uint64_t send_until_overrun(const struct pair *p)
{
    uint32_t n = 0;
    while (n < 100000 && stats(p, 0).overruns == 0) {
        for (int i = 0; i < BURST; i++)
            send_number(p->a, n++);
    }
    return n;
}

static void slow_reader_overruns(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    uint64_t n = send_until_overrun(&p);
    struct link_stats s = stats(&p, 0);
    CHECK(s.overruns > 0);
    CHECK(s.in_flight > 0);
    CHECK_INT(s.delivered + s.overruns + s.in_flight, n);
    for (uint64_t i = 0; i < n - s.overruns; i++)
        CHECK_INT(receive_number(p.b), i);
    CHECK_INT(stats(&p, 0).in_flight, 0);
    CHECK_INT(stats(&p, 0).delivered, n - s.overruns);
    pair_free(&p);
}

/* A peer that is bound but not connected back has a queue limit of its own (10 frames on most
 * hosts): what exceeds it waits in the port. */
static void bound_peer_gets_all(void)
{
    struct fabric *f = fabric_start(1);
    struct station a = station_new(f), b;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(name);
    b.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(b.fd, (struct sockaddr *)&name, sizeof(sa_family_t)), 0);
    CHECK_INT(getsockname(b.fd, (struct sockaddr *)&name, &len), 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&name, len), 0);
    b.port = fabric_port_add(f, fd);
    CHECK(fabric_link_add(f, port_end(a), port_end(b), perfect) >= 0);
    for (uint32_t i = 0; i < 200; i++)
        send_number(a, i);
    settle(f);
    for (int i = 0; i < 200; i++)
        CHECK_INT(receive_number(b), i);
    fabric_stop(f);
    close(a.fd);
    close(b.fd);
}

static void gone_peer_is_no_load(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    struct station c = station_new(p.f), d = station_new(p.f);
    struct link_config slow[2] = {{.delay_ns = MS}};
    CHECK(fabric_link_add(p.f, port_end(c), port_end(d), slow) >= 0);
    close(p.b.fd);
    send_number(p.a, 1);
    send_number(p.a, 2);
    settle(p.f);
    uint64_t turns = totals(p.f).turns;
    for (uint32_t i = 0; i < 5; i++) {
        send_number(c, i);
        CHECK_INT(receive_number(d), i);
    }
    CHECK(totals(p.f).turns - turns < 50);
    CHECK_INT(totals(p.f).unreachable, 2);
    p.b.fd = d.fd;
    close(c.fd);
    pair_free(&p);
}

static void deserted_port_drops(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    send_until_overrun(&p);
    settle(p.f);
    uint64_t overruns = totals(p.f).overruns, waiting = stats(&p, 0).in_flight;
    CHECK(waiting > 0);
    CHECK_INT(fabric_port_desert(p.f, p.b.port, true), 0);
    CHECK_INT(stats(&p, 0).in_flight, 0);
    send_number(p.a, 1);
    settle(p.f);
    CHECK_INT(totals(p.f).overruns, overruns);
    CHECK_INT(totals(p.f).unreachable, waiting + 1);
    char frame[64];
    while (recv(p.b.fd, frame, sizeof(frame), MSG_DONTWAIT) >= 0)
        ;
    CHECK_INT(fabric_port_desert(p.f, p.b.port, false), 0);
    send_number(p.a, 2);
    CHECK_INT(receive_number(p.b), 2);
    CHECK_INT(fabric_port_desert(p.f, p.b.port + 100, true), -ENOENT);
    pair_free(&p);
}

static void link_removal_with_packets_in_flight(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 2 * MS, .rate_bps = 1000000});
    for (uint32_t i = 0; i < BURST; i++)
        send_number(p.a, i);
    CHECK(stats(&p, 0).in_flight > 0);
    CHECK_INT(fabric_link_remove(p.f, p.link), 0);
    CHECK_INT(fabric_link_remove(p.f, p.link), -ENOENT);
    count_now(p.b);
    send_number(p.a, 1);
    CHECK_INT(totals(p.f).unlinked, 1);
    int link = fabric_link_add(p.f, port_end(p.a), port_end(p.b), perfect);
    CHECK(link > p.link);
    send_number(p.a, 99);
    CHECK_INT(receive_number(p.b), 99);
    pair_free(&p);
}

static void port_removal(void)
{
    struct pair p = pair_new(1, &(struct link_config){.delay_ns = 2 * MS});
    struct link_stats out[2];
    int before = open_fds();
    send_number(p.a, 1);
    CHECK_INT(fabric_port_remove(p.f, p.b.port), 0);
    CHECK_INT(open_fds(), before - 1);
    CHECK_INT(fabric_port_remove(p.f, p.b.port), -ENOENT);
    CHECK_INT(fabric_link_stats(p.f, p.link, out), -ENOENT);
    struct station c = station_new(p.f);
    CHECK(c.port > p.b.port);
    CHECK(fabric_link_add(p.f, port_end(p.a), port_end(c), perfect) >= 0);
    send_number(p.a, 2);
    CHECK_INT(receive_number(c), 2);
    close(c.fd);
    pair_free(&p);
}

static void misuse_is_refused(void)
{
    struct pair p = pair_new(1, &perfect[0]);
    struct station c = station_new(p.f);
    struct link_config bad[2] = {{.loss = 2}};
    int sw = fabric_switch_add(p.f, 0, 0);
    CHECK_INT(fabric_link_add(p.f, port_end(p.a), port_end(c), perfect), -EBUSY);
    CHECK_INT(fabric_link_add(p.f, port_end(c), port_end(p.a), perfect), -EBUSY);
    CHECK_INT(fabric_link_add(p.f, port_end(c), port_end(c), perfect), -EINVAL);
    CHECK_INT(fabric_link_add(p.f, switch_end(sw), switch_end(sw), perfect), -EINVAL);
    CHECK_INT(fabric_link_add(p.f, port_end(c), switch_end(77), perfect), -ENOENT);
    CHECK_INT(fabric_link_add(p.f, port_end(c), switch_end(sw), bad), -EINVAL);
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &bad[0]), -EINVAL);
    CHECK_INT(fabric_link_set(p.f, p.link, 2, &perfect[0]), -EINVAL);
    CHECK_INT(fabric_link_set(p.f, 77, 0, &perfect[0]), -ENOENT);
    CHECK_INT(fabric_link_up(p.f, -1, true), -ENOENT);
    CHECK_INT(fabric_switch_add(p.f, -1, 0), -EINVAL);
    CHECK(fabric_link_add(p.f, port_end(c), switch_end(sw), perfect) >= 0);
    close(c.fd);
    pair_free(&p);
}

static void only_unix_datagram_sockets_are_ports(void)
{
    struct fabric *f = fabric_start(1);
    int fds[2], before = open_fds();
    CHECK_INT(pipe(fds), 0);
    CHECK_INT(fabric_port_add(f, fds[0]), -ENOTSOCK);
    CHECK_INT(fabric_port_add(f, fds[1]), -ENOTSOCK);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(fabric_port_add(f, fds[0]), -EPROTOTYPE);
    CHECK_INT(fabric_port_add(f, fds[1]), -EPROTOTYPE);
    CHECK_INT(fabric_port_add(f, -1), -EBADF);
    CHECK_INT(open_fds(), before);
    fabric_stop(f);
}

static void configurations_are_checked(void)
{
    CHECK(link_config_check(&perfect[0]) == NULL);
    CHECK_STR(link_config_check(&(struct link_config){.delay_ns = -1}), "delay is negative");
    CHECK_STR(link_config_check(&(struct link_config){.loss = -0.1}),
              "loss is not between 0 and 1");
    CHECK_STR(link_config_check(&(struct link_config){.loss = 0.0 / 0.0}),
              "loss is not between 0 and 1");
    CHECK_STR(link_config_check(&(struct link_config){.mtu = 20}), "mtu is below 68");
    CHECK(link_config_check(&(struct link_config){.rate_bps = UINT64_MAX}) != NULL);
}

static void stop_leaves_nothing_open(void)
{
    int before = open_fds();
    struct star t = star_new(0, 0);
    struct link_config slow[2] = {{.delay_ns = CLOCK_NS_PER_S}, {.rate_bps = 1}};
    CHECK_INT(fabric_link_set_both(t.f, t.links[0], slow), 0);
    for (int i = 0; i < 4; i++)
        send_frame(t.s[i], 0xff, (uint8_t)i, 1);
    settle(t.f);
    star_free(&t);
    CHECK_INT(open_fds(), before);
    fabric_stop(fabric_start(7));
    fabric_stop(NULL);
    CHECK_INT(open_fds(), before);
}

static const struct check_test tests[] = {
    {"a perfect cable carries frames both ways", perfect_cable},
    {"a delay is kept", delay_is_kept},
    {"a delay keeps the order", delay_keeps_order},
    {"loss is random and repeats with the seed", loss_is_random_and_repeats},
    {"a loss of 1 loses all", loss_of_all_and_none},
    {"a rate is kept", rate_is_kept},
    {"rate and delay add up", rate_and_delay_add_up},
    {"the queue is bounded and drains at the new rate",
     queue_is_bounded_and_drains_at_the_new_rate},
    {"the queue is bounded in bytes", queue_is_bounded_in_bytes},
    {"set holds from the next frame on", set_holds_from_the_next_frame},
    {"set of one direction leaves the other", set_one_direction_leaves_the_other},
    {"down drops what is in flight", down_drops_what_is_in_flight},
    {"frames beyond the mtu are dropped", mtu_drops},
    {"frames of all sizes pass whole", sizes},
    {"short and empty frames are dropped", short_frames_are_dropped},
    {"a switch learns and floods, never back", switch_learns},
    {"a switch forgets with age", switch_ages},
    {"a switch forgets a link that goes", switch_forgets_a_link_that_goes},
    {"a hub floods", hub_floods},
    {"a switch takes its links with it", switch_removal_takes_its_links},
    {"a loop of switches dies out", switch_loop_dies_out},
    {"a chain of switches passes", chain_of_switches_passes},
    {"nobody at a port: what waits and what comes is dropped", deserted_port_drops},
    {"a slow reader overruns, and loses no more than that", slow_reader_overruns},
    {"a bound peer gets all, past its queue's limit", bound_peer_gets_all},
    {"a peer that is gone is no load", gone_peer_is_no_load},
    {"a link can be removed with packets in flight", link_removal_with_packets_in_flight},
    {"a port can be removed, and its link goes", port_removal},
    {"misuse is refused", misuse_is_refused},
    {"only Unix datagram sockets are ports", only_unix_datagram_sockets_are_ports},
    {"impossible configurations are named", configurations_are_checked},
    {"stop leaves nothing open", stop_leaves_nothing_open},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
