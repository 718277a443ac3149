/* SPDX-License-Identifier: MIT */
/* Flows through the fabric's thread. What they send and measure goes by due times, so that most of
 * this is exact however late a busy machine is; the seed makes the random rest repeat. */
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS
#define PATIENCE_NS (10 * CLOCK_NS_PER_S)
#define SIZE 125 /* 1000 bits */
#define PORT 4000

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

/* Two simulated stations and the link between them; what differs is said before the flow is made.
 */
struct pair {
    struct fabric *f;
    int link;
    struct fabric_flow_config config;
};

static int station(struct fabric *f, const uint8_t *mac)
{
    struct fabric_station_config c = {.ip = {10, 0, 0, mac[5]}};
    memcpy(c.mac, mac, 6);
    return fabric_station_add(f, &c);
}

static struct fabric_end station_end(struct fabric *f, const uint8_t *mac)
{
    return (struct fabric_end){FABRIC_STATION, station(f, mac)};
}

static void make_header(uint8_t *h)
{
    const uint8_t fixed[] = {0x08, 0,  0x45, 0,    0,         0,          0, 0, 0x40, 0,
                             64,   17, 0,    0,    10,        0,          0, 1, 10,   0,
                             0,    2,  0x9c, 0x40, PORT >> 8, PORT & 255, 0, 0, 0,    0};
    memcpy(h, mac_b, 6);
    memcpy(h + 6, mac_a, 6);
    memcpy(h + 12, fixed, sizeof(fixed));
}

/* A flow of 10,000 packets a second. */
static struct fabric_flow_config flow_config(int from_link, int to_link, uint64_t count)
{
    struct fabric_flow_config c = {.from_link = from_link,
                                   .to_link = to_link,
                                   .rate_bps = 10000000,
                                   .size = SIZE,
                                   .count = count};
    make_header(c.header);
    return c;
}

static struct pair pair_new(uint64_t count, const struct link_config *ab)
{
    struct link_config cfg[2] = {*ab};
    struct pair p = {.f = fabric_start(7)};
    p.link = fabric_link_add(p.f, station_end(p.f, mac_a), station_end(p.f, mac_b), cfg);
    CHECK(p.link >= 0);
    p.config = flow_config(p.link, p.link, count);
    return p;
}

static int add_flow(struct fabric *f, const struct fabric_flow_config *c)
{
    int id, err = fabric_flow_add(f, c, &id, 1);
    return err < 0 ? err : id;
}

static int run_flow(struct fabric *f, int id, bool on)
{
    return fabric_flow_run(f, &id, 1, on);
}

static int remove_flow(struct fabric *f, int id)
{
    return fabric_flow_remove(f, &id, 1);
}

static struct fabric_flow_stats stats(struct fabric *f, int id)
{
    struct fabric_flow_stats s = {0};
    CHECK_INT(fabric_flow_stats(f, &id, 1, &s), 0);
    return s;
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
}

/* Let a flow that ends run until nothing of it is under way. */
static struct fabric_flow_stats run(struct fabric *f, int id)
{
    int64_t give_up = clock_now() + PATIENCE_NS;
    CHECK_INT(run_flow(f, id, true), 0);
    struct fabric_flow_stats s = stats(f, id);
    for (; (s.running || s.in_flight) && clock_now() < give_up; s = stats(f, id))
        pause_briefly();
    CHECK(!s.running);
    CHECK_INT(s.in_flight, 0);
    return s;
}

static struct fabric_flow_stats run_one(struct pair *p)
{
    int id = add_flow(p->f, &p->config);
    CHECK(id >= 0);
    return run(p->f, id);
}

static int watch(const struct pair *p)
{
    struct fabric_trigger_config c = {.link = p->link, .on = {true}, .filter = "udp", .first = 1};
    char why[80];
    return fabric_trigger_add(p->f, &c, why, sizeof(why));
}

/* When each packet entered the link, in seconds since the first, and how large it was. */
struct entries {
    size_t n;
    int64_t first;
    double *at;
    uint32_t *len;
    bool *marker;
};

static void take_entries(struct fabric *f, struct entries *e, size_t room)
{
    for (struct fabric_event *ev; (ev = fabric_event_take(f)); free(ev)) {
        if (e->n == room)
            continue;
        e->first = e->n ? e->first : ev->time;
        e->at[e->n] = (double)(ev->time - e->first) / 1e9;
        e->len[e->n] = ev->len;
        e->marker[e->n++] = ev->data[FABRIC_FLOW_HEADER + 1] & 0x80;
    }
}

static struct entries record(struct pair *p)
{
    size_t room = p->config.count;
    struct entries e = {.at = calloc(room, sizeof(double)),
                        .len = calloc(room, sizeof(uint32_t)),
                        .marker = calloc(room, sizeof(bool))};
    CHECK(watch(p) >= 0);
    int id = add_flow(p->f, &p->config);
    CHECK_INT(run_flow(p->f, id, true), 0);
    int64_t give_up = clock_now() + PATIENCE_NS;
    for (; e.n < room && clock_now() < give_up; take_entries(p->f, &e, room)) {
        struct pollfd events = {fabric_event_fd(p->f), POLLIN, 0};
        poll(&events, 1, 100);
    }
    CHECK_INT(e.n, room);
    fabric_stop(p->f);
    return e;
}

static void entries_free(struct entries *e)
{
    free(e->at);
    free(e->len);
    free(e->marker);
}

static void cbr_is_exact(void)
{
    struct pair p = pair_new(500, &(struct link_config){.delay_ns = 5 * MS});
    struct fabric_flow_stats s = run_one(&p);
    CHECK_INT(s.sent, 500);
    CHECK_INT(s.sent_bytes, 500 * SIZE);
    CHECK_INT(s.received, 500);
    CHECK_INT(s.received_bytes, 500 * SIZE);
    CHECK(fabs(s.rate_bps - 1e7) < 1);
    CHECK_INT(s.delay_min_ns, 5 * MS);
    CHECK_INT(s.delay_p50_ns, 5 * MS);
    CHECK_INT(s.delay_max_ns, 5 * MS);
    CHECK_INT(s.jitter_ns, 0);
    CHECK_INT(s.stalled_ns, 0);
    fabric_stop(p.f);
}

/* 3 Mbit/s of 125 bytes is a packet each 333.3 us: the fraction must not be lost. */
static void cbr_intervals_do_not_drift(void)
{
    struct pair p = pair_new(601, &(struct link_config){0});
    p.config.rate_bps = 3000000;
    struct entries e = record(&p);
    for (size_t i = 0; i < e.n; i++)
        CHECK(fabs(e.at[i] - (double)i / 3000) < 2e-9);
    entries_free(&e);
}

/* The greatest distance of the intervals' distribution from the exponential one. */
static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double distance_from_exponential(struct entries *e, double mean)
{
    double worst = 0;
    size_t n = e->n - 1;
    for (size_t i = 0; i < n; i++)
        e->at[i] = e->at[i + 1] - e->at[i];
    qsort(e->at, n, sizeof(double), by_size);
    for (size_t i = 0; i < n; i++) {
        double d = fabs(1 - exp(-e->at[i] / mean) - ((double)i + 0.5) / (double)n);
        worst = d > worst ? d : worst;
    }
    return worst;
}

/* Kolmogorov and Smirnov's bound at 1 %. */
static void poisson_intervals_are_exponential(void)
{
    struct pair p = pair_new(3001, &(struct link_config){0});
    p.config.pattern = FABRIC_POISSON;
    p.config.rate_bps *= 5;
    struct entries e = record(&p);
    CHECK(distance_from_exponential(&e, 2e-5) < 1.63 / sqrt(3000));
    entries_free(&e);
}

/* Also with on periods of a tenth of the interval: what matters is that their sum is what counts.
 * 40,000 of them: 1 % is two standard deviations. */
static void onoff_keeps_its_mean_rate(void)
{
    for (int i = 0; i < 2; i++) {
        struct pair p = pair_new(2000, &(struct link_config){0});
        p.config.pattern = FABRIC_ONOFF;
        p.config.rate_bps = 50000000;
        p.config.on_ns = i ? 2000 : 80000;
        p.config.off_ns = i ? 2000 : 80000;
        struct fabric_flow_stats s = run_one(&p);
        CHECK(fabs(s.rate_bps / 25e6 - 1) < (i ? 0.02 : 0.15));
        fabric_stop(p.f);
    }
}

static void onoff_sends_at_its_rate_while_it_is_on(void)
{
    struct pair p = pair_new(300, &(struct link_config){0});
    p.config.pattern = FABRIC_ONOFF;
    p.config.on_ns = p.config.off_ns = 2 * MS;
    struct entries e = record(&p);
    int spaced = 0, apart = 0;
    for (size_t i = 1; i < e.n; i++) {
        double interval = e.at[i] - e.at[i - 1];
        CHECK(interval > 1e-4 - 2e-9);
        spaced += interval < 1e-4 + 2e-9;
        apart += interval > 1e-4 + 2e-9;
    }
    CHECK(spaced > 200);
    CHECK(apart > 5);
    entries_free(&e);
}

/* 400 pictures a second of 25,000 bits, in groups of 5 of which one is four times the others:
 * 7812.5 and 1953.125 bytes. */
static void video_sends_pictures(void)
{
    struct pair p = pair_new(200, &(struct link_config){0});
    p.config.pattern = FABRIC_VIDEO;
    p.config.rate_bps = 10000000;
    p.config.fps = 400;
    p.config.key_interval = 5;
    p.config.key_ratio = 4;
    p.config.size = 1000;
    p.config.rtp = true;
    struct entries e = record(&p);
    uint32_t bytes = 0, total = 0, pictures = 0;
    for (size_t i = 0; i < e.n; i++) {
        CHECK(e.len[i] <= 1000);
        CHECK(fabs(e.at[i] - pictures / 400.0) < 2e-9);
        bytes += e.len[i];
        if (!e.marker[i])
            continue;
        total += bytes;
        CHECK(fabs(bytes - (pictures % 5 == 0 ? 7812.5 : 1953.125)) < 80);
        bytes = 0;
        pictures++;
    }
    uint32_t keys = (pictures + 4) / 5;
    CHECK(pictures > 50);
    CHECK(fabs(total - keys * 7812.5 - (pictures - keys) * 1953.125) < 80);
    entries_free(&e);
}

static void sources_do_not_begin_in_step(void)
{
    struct pair p = pair_new(10, &(struct link_config){0});
    p.config.rate_bps = 100000;
    int ids[8];
    struct fabric_flow_stats s = {.running = true};
    CHECK(watch(&p) >= 0);
    for (int i = 0; i < 8; i++)
        ids[i] = add_flow(p.f, &p.config);
    int64_t start = clock_now();
    for (int i = 0; i < 8; i++)
        run_flow(p.f, ids[i], true);
    while (s.received < 8 && clock_now() < start + PATIENCE_NS) {
        pause_briefly();
        CHECK_INT(fabric_flow_stats(p.f, ids, 8, &s), 0);
    }
    struct fabric_event *last = NULL;
    double apart = 0;
    for (struct fabric_event *e; (e = fabric_event_take(p.f)); last = e) {
        apart =
            last && (double)(e->time - last->time) > apart ? (double)(e->time - last->time) : apart;
        free(last);
    }
    free(last);
    CHECK(apart > MS);
    fabric_stop(p.f);
}

/* Two flows share a link that they fill to 90 %: a packet waits for one of the other flow at most.
 * A source that came late and in a bunch would have the other's wait longer. */
static void flows_meet_in_the_order_of_their_times(void)
{
    struct pair p = pair_new(1000, &(struct link_config){.rate_bps = 20000000});
    p.config.rate_bps = 9000000;
    int ids[2] = {add_flow(p.f, &p.config), add_flow(p.f, &p.config)};
    run_flow(p.f, ids[1], true);
    run(p.f, ids[0]);
    run(p.f, ids[1]);
    struct fabric_flow_stats s;
    CHECK_INT(fabric_flow_stats(p.f, ids, 2, &s), 0);
    CHECK_INT(s.sent, 2000);
    CHECK_INT(s.received, 2000);
    CHECK(fabs(s.rate_bps - 18e6) < 1e5);
    CHECK_INT(s.delay_min_ns, 50000);
    CHECK(s.delay_max_ns <= 100001);
    fabric_stop(p.f);
}

/* 1 to 100 ms, one after the other, each a millisecond after the one before. */
static void percentiles_are_those_of_the_delays(void)
{
    int64_t values[100];
    for (int i = 0; i < 100; i++)
        values[i] = (i + 1) * MS;
    struct link_config c = {.distribution = LINK_SAMPLES, .samples = link_series_new(values, 100)};
    struct pair p = pair_new(100, &c);
    p.config.rate_bps = 1000000;
    struct fabric_flow_stats s = run_one(&p);
    CHECK_INT(s.delay_min_ns, MS);
    CHECK_INT(s.delay_max_ns, 100 * MS);
    CHECK(llabs(s.delay_mean_ns - 101 * MS / 2) < 10);
    CHECK(llabs(s.delay_p50_ns - 50 * MS) <= 50 * MS / 2000);
    CHECK(llabs(s.delay_p95_ns - 95 * MS) <= 95 * MS / 2000);
    CHECK(llabs(s.delay_p99_ns - 99 * MS) <= 99 * MS / 2000);
    CHECK(llabs(s.jitter_ns - MS) < 10);
    fabric_stop(p.f);
    link_series_unref(c.samples);
}

static void losses_are_known_at_once(void)
{
    struct pair p = pair_new(1000, &(struct link_config){.loss = 0.3, .delay_ns = MS});
    struct fabric_flow_stats s = run_one(&p);
    struct link_stats l[2];
    CHECK_INT(fabric_link_stats(p.f, p.link, l), 0);
    CHECK_INT(s.received, l[0].delivered);
    CHECK_INT(s.received + l[0].lost, 1000);
    CHECK(s.received > 600 && s.received < 800);
    CHECK_INT(l[0].lateness.count, s.received);
    fabric_stop(p.f);
}

static void what_is_under_way_is_not_lost(void)
{
    struct pair p = pair_new(50, &(struct link_config){.delay_ns = 3600 * CLOCK_NS_PER_S});
    int id = add_flow(p.f, &p.config);
    CHECK_INT(run_flow(p.f, id, true), 0);
    struct fabric_flow_stats s = stats(p.f, id);
    for (int64_t give_up = clock_now() + PATIENCE_NS; s.running && clock_now() < give_up;) {
        pause_briefly();
        s = stats(p.f, id);
    }
    CHECK_INT(s.in_flight, 50);
    CHECK_INT(fabric_link_up(p.f, p.link, false), 0);
    CHECK_INT(stats(p.f, id).in_flight, 0);
    CHECK_INT(stats(p.f, id).received, 0);
    fabric_stop(p.f);
}

static void impaired_packets_are_told_apart(void)
{
    struct link_config c = {.duplicate = 1, .delay_ns = MS};
    struct pair p = pair_new(200, &c);
    struct fabric_flow_stats s = run_one(&p);
    CHECK_INT(s.received, 200);
    CHECK_INT(s.duplicates, 200);
    CHECK_INT(s.reordered, 0);
    c = (struct link_config){.corrupt = 1};
    CHECK_INT(fabric_link_set(p.f, p.link, 0, &c), 0);
    p.config.size = FABRIC_FLOW_MIN; /* most of it is header and stamp */
    s = run_one(&p);
    CHECK(s.received > 80 && s.received < 160);
    CHECK_INT(s.delay_max_ns, 0);
    fabric_stop(p.f);
}

static void playout_makes_late_packets_miss(void)
{
    const int64_t values[] = {MS, MS, 8 * MS, 9 * MS};
    struct link_config c = {.distribution = LINK_SAMPLES, .samples = link_series_new(values, 4)};
    struct pair p = pair_new(100, &c);
    p.config.rate_bps = 1000000; /* one a millisecond: few overtake each other */
    p.config.playout_ns = 6 * MS;
    struct fabric_flow_stats s = run_one(&p);
    CHECK_INT(s.received, 100);
    CHECK_INT(s.late, 50);
    CHECK_INT(s.missed, 50);
    CHECK_INT(s.bursts, 25);
    CHECK_INT(s.played_ns, 7 * MS);
    fabric_stop(p.f);
    link_series_unref(c.samples);
}

/* A virtual machine's socket. */
struct machine {
    int fd;
    struct fabric_end end;
};

static struct machine machine_new(struct fabric *f)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct machine){fds[0], {FABRIC_PORT, fabric_port_add(f, fds[1])}};
}

static ssize_t receive(struct machine m, uint8_t *frame, size_t room)
{
    struct pollfd p = {m.fd, POLLIN, 0};
    return poll(&p, 1, (int)(PATIENCE_NS / MS)) == 1 ? recv(m.fd, frame, room, 0) : -1;
}

static uint32_t sum16(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Two machines on a switch, and a flow of one packet, which the second machine gets. */
struct lan {
    struct fabric *f;
    struct machine a, b;
    int flow;
    uint8_t frame[SIZE];
};

static struct lan lan_new(void)
{
    struct lan l = {.f = fabric_start(7)};
    l.a = machine_new(l.f);
    l.b = machine_new(l.f);
    struct fabric_end s = {FABRIC_SWITCH, fabric_switch_add(l.f, 0, 0)};
    struct link_config cfg[2] = {{.delay_ns = 2 * MS}, {.delay_ns = 3 * MS}};
    int first = fabric_link_add(l.f, l.a.end, s, cfg),
        second = fabric_link_add(l.f, l.b.end, s, cfg);
    struct fabric_flow_config c = flow_config(first, second, 1);
    c.to_dir = 1;
    c.deliver = true;
    c.rtp = true;
    c.rtp_type = 18;
    l.flow = add_flow(l.f, &c);
    CHECK_INT(run_flow(l.f, l.flow, true), 0);
    CHECK_INT(receive(l.b, l.frame, SIZE), SIZE);
    return l;
}

static void lan_free(struct lan *l)
{
    fabric_stop(l->f);
    close(l->a.fd);
    close(l->b.fd);
}

static void machines_get_real_packets_over_a_switch(void)
{
    struct lan l = lan_new();
    const uint8_t *frame = l.frame;
    CHECK(memcmp(frame, mac_b, 6) == 0 && memcmp(frame + 6, mac_a, 6) == 0);
    CHECK_INT(frame[16] << 8 | frame[17], SIZE - 14);
    CHECK_INT(sum16(frame + 14, 20), 0xffff);
    CHECK_INT(frame[38] << 8 | frame[39], SIZE - 34);
    CHECK_INT(frame[42], 0x80);
    CHECK_INT(frame[43], 18);
    CHECK_INT(stats(l.f, l.flow).received, 1);
    CHECK_INT(stats(l.f, l.flow).delay_max_ns, 5 * MS);
    lan_free(&l);
}

/* A machine sends a flow's packet once more, as if it had been duplicated, and with each byte of
 * its stamp changed. */
static void stamps_that_a_machine_makes_up_are_not_measured(void)
{
    struct lan l = lan_new();
    uint8_t got[SIZE];
    CHECK_INT(send(l.a.fd, l.frame, SIZE, 0), SIZE);
    CHECK_INT(receive(l.b, got, SIZE), SIZE);
    CHECK_INT(stats(l.f, l.flow).duplicates, 1);
    for (int i = 54; i < 74; i++) {
        l.frame[i] ^= 1;
        CHECK_INT(send(l.a.fd, l.frame, SIZE, 0), SIZE);
        l.frame[i] ^= 1;
        CHECK_INT(receive(l.b, got, SIZE), SIZE);
    }
    CHECK_INT(stats(l.f, l.flow).received, 1);
    CHECK_INT(stats(l.f, l.flow).duplicates, 1);
    lan_free(&l);
}

static void a_machine_does_not_get_what_ends_before_it(void)
{
    struct fabric *f = fabric_start(7);
    struct machine a = machine_new(f), b = machine_new(f);
    struct link_config cfg[2] = {0};
    int link = fabric_link_add(f, a.end, b.end, cfg);
    struct fabric_flow_config c = flow_config(link, link, 5);
    CHECK_INT(run(f, add_flow(f, &c)).received, 5);
    uint8_t frame[SIZE];
    CHECK_INT(recv(b.fd, frame, SIZE, MSG_DONTWAIT), -1);
    c.to_link = -1;
    CHECK_INT(run(f, add_flow(f, &c)).sent, 5);
    for (int i = 0; i < 5; i++)
        CHECK_INT(receive(b, frame, SIZE), SIZE);
    fabric_stop(f);
    close(a.fd);
    close(b.fd);
}

static void a_flow_outlives_its_link(void)
{
    struct pair p = pair_new(0, &(struct link_config){.delay_ns = 20 * MS});
    int first = add_flow(p.f, &p.config), second = add_flow(p.f, &p.config);
    CHECK_INT(run_flow(p.f, first, true), 0);
    int64_t give_up = clock_now() + PATIENCE_NS;
    while (stats(p.f, first).received < 10 && clock_now() < give_up)
        pause_briefly();
    CHECK_INT(fabric_link_remove(p.f, p.link), 0);
    struct fabric_flow_stats s = stats(p.f, first);
    CHECK(!s.running);
    CHECK(s.received >= 10);
    CHECK_INT(s.in_flight, 0);
    CHECK_INT(run_flow(p.f, second, true), 0);
    CHECK_INT(stats(p.f, second).sent, 0);
    CHECK_INT(add_flow(p.f, &p.config), -ENOENT);
    CHECK_INT(remove_flow(p.f, first), 0);
    CHECK_INT(remove_flow(p.f, first), -ENOENT);
    CHECK_INT(run_flow(p.f, first, true), -ENOENT);
    CHECK_INT(fabric_flow_stats(p.f, &first, 1, &s), -ENOENT);
    fabric_stop(p.f);
}

static void many_are_made_run_and_removed_at_once(void)
{
    enum { N = 1000 };
    int ids[N];
    struct pair p = pair_new(1, &(struct link_config){0});
    struct fabric_flow_stats s = {0};
    CHECK_INT(fabric_flow_add(p.f, &p.config, ids, N), 0);
    CHECK_INT(fabric_flow_run(p.f, ids, N, true), 0);
    int64_t give_up = clock_now() + PATIENCE_NS;
    do {
        pause_briefly();
        CHECK_INT(fabric_flow_stats(p.f, ids, N, &s), 0);
    } while (s.received < N && clock_now() < give_up);
    CHECK_INT(s.sent, N);
    CHECK_INT(s.received, N);
    CHECK_INT(fabric_flow_remove(p.f, ids, N), 0);
    for (int i = 0; i < N; i++)
        CHECK_INT(remove_flow(p.f, ids[i]), -ENOENT);
    p.config.from_link = 99;
    CHECK_INT(fabric_flow_add(p.f, &p.config, ids, N), -ENOENT);
    CHECK_INT(fabric_flow_run(p.f, ids, N, true), -ENOENT);
    fabric_stop(p.f);
}

static void a_flow_that_goes_leaves_its_packets(void)
{
    struct pair p = pair_new(0, &(struct link_config){.delay_ns = 5 * MS});
    int id = add_flow(p.f, &p.config);
    CHECK_INT(run_flow(p.f, id, true), 0);
    int64_t give_up = clock_now() + PATIENCE_NS;
    while (stats(p.f, id).received < 10 && clock_now() < give_up)
        pause_briefly();
    CHECK_INT(remove_flow(p.f, id), 0);
    p.config.count = 100;
    CHECK_INT(run_one(&p).received, 100);
    fabric_stop(p.f);
}

static void stop_and_go_on(void)
{
    struct pair p = pair_new(0, &(struct link_config){0});
    int id = add_flow(p.f, &p.config);
    uint64_t sent[3] = {0};
    for (int i = 1; i < 3; i++) {
        CHECK_INT(run_flow(p.f, id, true), 0);
        CHECK_INT(run_flow(p.f, id, true), 0);
        int64_t give_up = clock_now() + PATIENCE_NS;
        while (stats(p.f, id).sent < sent[i - 1] + 10 && clock_now() < give_up)
            pause_briefly();
        CHECK_INT(run_flow(p.f, id, false), 0);
        sent[i] = stats(p.f, id).sent;
        CHECK(sent[i] >= sent[i - 1] + 10);
        pause_briefly();
        CHECK_INT(stats(p.f, id).sent, sent[i]);
        CHECK(!stats(p.f, id).running);
    }
    CHECK_INT(stats(p.f, id).received, sent[2]);
    fabric_stop(p.f);
}

/* A terabit per second: the machine falls behind, and the links go on being served. */
static void impossible_rates_do_not_stop_the_rest(void)
{
    struct pair p = pair_new(0, &(struct link_config){0});
    p.config.rate_bps = LINK_RATE_MAX_BPS;
    int greedy = add_flow(p.f, &p.config);
    CHECK_INT(run_flow(p.f, greedy, true), 0);
    p.config.rate_bps = 1000000;
    p.config.count = 20;
    CHECK_INT(run_one(&p).received, 20);
    struct fabric_flow_stats s = stats(p.f, greedy);
    for (int64_t give_up = clock_now() + PATIENCE_NS; !s.stalled_ns && clock_now() < give_up;) {
        pause_briefly();
        s = stats(p.f, greedy);
    }
    CHECK(s.stalled_ns > 0);
    CHECK_INT(s.received, s.sent);
    fabric_stop(p.f);
}

static void check_refused(const struct pair *p, struct fabric_flow_config c)
{
    CHECK_INT(add_flow(p->f, &c), -EINVAL);
}

static void misuse_is_refused(void)
{
    struct pair p = pair_new(1, &(struct link_config){0});
    struct fabric_flow_config c = p.config;
    c.rate_bps = 0;
    check_refused(&p, c);
    c = p.config;
    c.size = FABRIC_FLOW_MIN - 1;
    check_refused(&p, c);
    c.size = FABRIC_FLOW_MIN;
    c.rtp = true;
    check_refused(&p, c);
    c.size = FABRIC_FLOW_MAX + 1;
    check_refused(&p, c);
    c = p.config;
    c.pattern = FABRIC_ONOFF;
    check_refused(&p, c);
    c.on_ns = 1;
    check_refused(&p, c);
    c = p.config;
    c.pattern = FABRIC_VIDEO;
    c.fps = NAN;
    c.key_interval = 1;
    c.key_ratio = 1;
    check_refused(&p, c);
    c.fps = 1000;
    c.rate_bps = 1000; /* pictures of a bit */
    check_refused(&p, c);
    c = p.config;
    c.to_link = 99;
    CHECK_INT(add_flow(p.f, &c), -ENOENT);
    fabric_stop(p.f);
}

static const struct check_test tests[] = {
    {"CBR is exact", cbr_is_exact},
    {"CBR intervals do not drift", cbr_intervals_do_not_drift},
    {"Poisson intervals are exponential", poisson_intervals_are_exponential},
    {"on/off keeps its mean rate", onoff_keeps_its_mean_rate},
    {"on/off sends at its rate while it is on", onoff_sends_at_its_rate_while_it_is_on},
    {"video sends pictures", video_sends_pictures},
    {"sources do not begin in step", sources_do_not_begin_in_step},
    {"flows meet in the order of their times", flows_meet_in_the_order_of_their_times},
    {"percentiles are those of the delays", percentiles_are_those_of_the_delays},
    {"losses are known at once", losses_are_known_at_once},
    {"what is under way is not lost", what_is_under_way_is_not_lost},
    {"impaired packets are told apart", impaired_packets_are_told_apart},
    {"playout makes late packets miss", playout_makes_late_packets_miss},
    {"machines get real packets over a switch", machines_get_real_packets_over_a_switch},
    {"stamps that a machine makes up are not measured",
     stamps_that_a_machine_makes_up_are_not_measured},
    {"a machine does not get what ends before it", a_machine_does_not_get_what_ends_before_it},
    {"a flow outlives its link", a_flow_outlives_its_link},
    {"many are made, run and removed at once", many_are_made_run_and_removed_at_once},
    {"a flow that goes leaves its packets", a_flow_that_goes_leaves_its_packets},
    {"stop and go on", stop_and_go_on},
    {"impossible rates do not stop the rest", impossible_rates_do_not_stop_the_rest},
    {"misuse is refused", misuse_is_refused},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
