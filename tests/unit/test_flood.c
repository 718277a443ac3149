/* SPDX-License-Identifier: MIT */
/* Ports that send as fast as they can, and frames that no honest machine sends. */
#include "runtime/fabric/engine.h"
#include "tests/unit/net.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define FLOODS 3
#define BATCH 32
#define LARGE 60000

/* A port that floods a station, which answers nothing. */
struct flood {
    int fd, link;
    atomic_bool *stop;
    pthread_t thread;
};

static void *flood_main(void *arg)
{
    struct flood *f = arg;
    uint8_t frame[NET_FRAME];
    net_fill(frame, 2, 1, 0);
    struct iovec iov = {frame, NET_FRAME};
    struct mmsghdr msgs[BATCH] = {0};
    for (int i = 0; i < BATCH; i++)
        msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    while (!atomic_load(f->stop)) {
        if (sendmmsg(f->fd, msgs, BATCH, MSG_DONTWAIT) < 0)
            sched_yield();
    }
    return NULL;
}

static void flood_start(struct flood *f, struct fabric *fabric, atomic_bool *stop)
{
    static const struct link_config perfect[2];
    static const struct fabric_station_config silent;
    struct net_port port = net_port_new(fabric);
    struct fabric_end station = {FABRIC_STATION, fabric_station_add(fabric, &silent)};
    f->fd = port.fd;
    f->link = fabric_link_add(fabric, net_end(port), station, perfect);
    f->stop = stop;
    CHECK(f->link >= 0);
    CHECK_INT(pthread_create(&f->thread, NULL, flood_main, f), 0);
}

static uint64_t sent_over(struct fabric *f, int link)
{
    struct link_stats out[2];
    CHECK_INT(fabric_link_stats(f, link, out), 0);
    return out[0].sent;
}

static bool half_are_later_than(const struct fabric_lateness *l, int64_t ns)
{
    uint64_t late = 0;
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++)
        late += fabric_lateness_bound(i) > ns ? l->buckets[i] : 0;
    return 2 * late > l->count;
}

/* The bound is for machines that are busy with other things. */
static void floods_leave_others_their_share(void)
{
    struct net_cable c = net_cable_new(&(struct link_config){.delay_ns = NET_MS});
    struct flood floods[FLOODS];
    atomic_bool stop = false;
    for (int i = 0; i < FLOODS; i++)
        flood_start(&floods[i], c.f, &stop);
    for (uint32_t i = 0; i < 50; i++) {
        uint8_t frame[NET_FRAME];
        net_fill(frame, 2, 1, i);
        CHECK_INT(send(c.a.fd, frame, NET_FRAME, 0), NET_FRAME);
        CHECK_INT(net_receive(c.b), i);
    }
    CHECK_INT(net_stats(&c, 0).lateness.count, 50);
    struct link_stats s = net_stats(&c, 0);
    CHECK(!half_are_later_than(&s.lateness, 50 * NET_MS));
    for (int i = 0; i < FLOODS; i++)
        CHECK(sent_over(c.f, floods[i].link) > 0);
    atomic_store(&stop, true);
    for (int i = 0; i < FLOODS; i++) {
        pthread_join(floods[i].thread, NULL);
        close(floods[i].fd);
    }
    net_cable_free(&c);
}

/* Return: the process's memory in bytes; with a sanitizer, which keeps what was freed, 0. */
static size_t resident(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 0;
#else
    unsigned long total = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%lu %lu", &total, &pages) == 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

/* More than twice what may be in flight. */
static void a_long_delay_holds_so_much_and_no_more(void)
{
    static uint8_t large[LARGE];
    struct net_cable c = net_cable_new(&(struct link_config){.delay_ns = 60 * CLOCK_NS_PER_S});
    uint32_t n = (uint32_t)(2 * LINK_FLIGHT_BYTES_MAX / LARGE);
    size_t before = resident();
    for (uint32_t i = 0; i < n; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, LARGE), 0);
    struct link_stats s = net_stats(&c, 0);
    CHECK(s.in_flight <= LINK_FLIGHT_BYTES_MAX / LARGE);
    CHECK_INT(s.queue_drops + s.in_flight, n);
    CHECK(resident() - before < LINK_FLIGHT_BYTES_MAX + LINK_FLIGHT_BYTES_MAX / 4);
    net_cable_free(&c);
}

static void a_slow_rate_holds_its_queue_and_no_more(void)
{
    static uint8_t large[LARGE];
    struct net_cable c = net_cable_new(&(struct link_config){.rate_bps = 1, .queue_packets = 50});
    size_t before = resident();
    for (int i = 0; i < 1000; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, LARGE), 0);
    CHECK_INT(net_stats(&c, 0).in_flight, 51);
    CHECK_INT(net_stats(&c, 0).queue_drops, 949);
    CHECK(resident() - before < (51 + 50) * LARGE);
    net_cable_free(&c);
}

/* All links together: an engine without its thread, with little memory. */
static void all_memory_together_is_bounded(void)
{
    static const struct link_config slow[2] = {{.delay_ns = CLOCK_NS_PER_S}};
    static uint8_t frame[LARGE];
    static const uint32_t sizes[] = {64, 1500, LARGE};
    struct command_queue q;
    struct engine e = {0};
    CHECK_INT(command_queue_init(&q), 0);
    CHECK_INT(engine_open(&e, 1, &q), 0);
    CHECK(e.plane.pool.limit >= FABRIC_MEMORY_MIN);
    e.plane.pool.limit = 8U << 20;
    struct fabric_end ends[2] = {net_switch(engine_switch_add(&e, 0, 0)),
                                 net_switch(engine_switch_add(&e, 0, 0))};
    struct direction *d = &engine_link(&e, engine_link_add(&e, ends, slow))->directions[0];
    for (int round = 0; round < 6; round++) {
        int n = 0;
        while (n < 100000 && direction_send(&e.plane, d, frame, sizes[round % 3]) == 0)
            n++;
        CHECK(n > 0 && n < 100000);
        CHECK(e.plane.pool.bytes <= e.plane.pool.limit);
        CHECK_INT(direction_send(&e.plane, d, frame, sizes[round % 3]), -ENOMEM);
        direction_clear(&e.plane, d, LINK_DOWN);
        e.plane.pool.limit += 8U << 20;
    }
    engine_close(&e);
    command_queue_destroy(&q);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Bytes as they come, but now and then with what leads deeper into a reader. */
static uint32_t fill_random(uint8_t *frame, size_t room, uint32_t *state)
{
    static const uint8_t address[] = {10, 0, 0, 1};
    static const uint8_t begin[] = {2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 9, 8, 0, 0x45};
    uint32_t len = next_random(state) % (next_random(state) % 4 ? 90 : (uint32_t)room);
    for (uint32_t i = 0; i < len; i++)
        frame[i] = (uint8_t)next_random(state);
    if (next_random(state) % 2)
        memcpy(frame, begin, len < sizeof(begin) ? len : sizeof(begin));
    if (len > 33 && next_random(state) % 2) {
        frame[13] = next_random(state) % 2 ? 6 : 0;
        frame[23] = next_random(state) % 2 ? 1 : 17;
        memcpy(frame + 30, address, sizeof(address));
    }
    return len;
}

static struct fabric_totals wait_for_received(struct fabric *f, uint64_t n)
{
    int64_t deadline = clock_now() + NET_PATIENCE_MS * NET_MS;
    struct fabric_totals t = net_totals(f);
    while (t.received < n && clock_now() < deadline)
        t = net_totals(f);
    CHECK_INT(t.received, n);
    return t;
}

/* A machine on a switch with a station, a trigger and a capture behind it. */
static void nonsense_harms_nobody(void)
{
    static uint8_t frame[FABRIC_FRAME_MAX + 1];
    static const struct link_config mean[2] = {{.corrupt = 0.3, .duplicate = 0.3}, {.mtu = 1500}};
    static const struct fabric_station_config station = {{2, 0, 0, 0, 0, 7}, {10, 0, 0, 1}};
    char why[128];
    struct fabric *f = fabric_start(1);
    struct net_port port = net_port_new(f);
    int sw = fabric_switch_add(f, 0, 0), n = 3000, short_ones = 0;
    int edge = fabric_link_add(f, net_end(port), net_switch(sw), mean);
    struct fabric_end other = {FABRIC_STATION, fabric_station_add(f, &station)};
    CHECK(fabric_link_add(f, other, net_switch(sw), mean) >= 0);
    struct fabric_trigger_config tells = {
        .link = edge, .on = {true, true}, .filter = "tcp port 80 or udp[8] = 7 or icmp or arp"};
    CHECK(fabric_trigger_add(f, &tells, why, sizeof(why)) >= 0);
    int capture = fabric_capture_add(f, "/dev/null");
    CHECK_INT(fabric_capture_link(f, capture, edge, "edge"), 0);
    uint32_t state = 1;
    for (int i = 0; i < n; i++) {
        uint32_t len = fill_random(frame, 3000, &state);
        short_ones += len < FABRIC_FRAME_MIN;
        CHECK_INT(send(port.fd, frame, len, 0), len);
        for (struct fabric_event *e; (e = fabric_event_take(f));)
            free(e);
    }
    CHECK_INT(send(port.fd, frame, sizeof(frame), 0), sizeof(frame));
    struct fabric_totals t = wait_for_received(f, (uint64_t)n + 1);
    CHECK_INT(t.malformed, short_ones + 1);
    CHECK_INT(sent_over(f, edge), n - short_ones);
    fabric_stop(f);
    close(port.fd);
}

static const struct check_test tests[] = {
    {"floods leave others their share", floods_leave_others_their_share},
    {"a long delay holds so much and no more", a_long_delay_holds_so_much_and_no_more},
    {"a slow rate holds its queue and no more", a_slow_rate_holds_its_queue_and_no_more},
    {"all memory together is bounded", all_memory_together_is_bounded},
    {"nonsense harms nobody", nonsense_harms_nobody},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
