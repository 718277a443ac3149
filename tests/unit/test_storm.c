/* SPDX-License-Identifier: MIT */
/* Storm control: loops of switches, and what must not be taken for one. */
#include "runtime/fabric/storm.h"
#include "tests/unit/net.h"

#include <errno.h>

#define S CLOCK_NS_PER_S

static void few_signs_are_no_storm(void)
{
    struct storm s = {0};
    for (int i = 0; i < STORM_SIGNS - 1; i++)
        CHECK(!storm_sign(&s, 1, 5 * S));
    CHECK(!storm_rages(&s, 5 * S));
    CHECK(!storm_sign(&s, 1, 5 * S + STORM_WINDOW_NS + 1));
    CHECK(!storm_rages(&s, 5 * S + STORM_WINDOW_NS + 1));
}

static void a_storm_begins_once_and_ends(void)
{
    struct storm s = {0};
    CHECK(storm_sign(&s, STORM_SIGNS, 5 * S));
    CHECK(!storm_sign(&s, 1, 5 * S + 1));
    CHECK(storm_rages(&s, 5 * S + STORM_LASTS_NS));
    CHECK(!storm_rages(&s, 5 * S + 1 + STORM_LASTS_NS));
    CHECK(storm_sign(&s, STORM_SIGNS, 10 * S));
}

/* A burst, and then one each interval. */
static void floods_are_limited(void)
{
    struct storm s = {0};
    int admitted = 0;
    for (int64_t t = S; t < 2 * S; t += S / 10000)
        admitted += storm_admits(&s, t);
    CHECK(admitted >= FABRIC_STORM_FLOODS + STORM_BURST - 1);
    CHECK(admitted <= FABRIC_STORM_FLOODS + STORM_BURST + 1);
}

/* A ring of three switches, and an edge on the first. */
struct ring {
    struct fabric *f;
    int sw[3], links[3], edge;
    struct net_port port;
};

static struct ring ring_new(unsigned flags)
{
    static const struct link_config perfect[2];
    struct ring r = {.f = fabric_start(1)};
    for (int i = 0; i < 3; i++)
        r.sw[i] = fabric_switch_add(r.f, 0, flags);
    for (int i = 0; i < 3; i++) {
        r.links[i] =
            fabric_link_add(r.f, net_switch(r.sw[i]), net_switch(r.sw[(i + 1) % 3]), perfect);
        CHECK(r.links[i] >= 0);
    }
    r.port = net_port_new(r.f);
    r.edge = fabric_link_add(r.f, net_end(r.port), net_switch(r.sw[0]), perfect);
    return r;
}

static void ring_free(struct ring *r)
{
    fabric_stop(r->f);
    close(r->port.fd);
}

static void broadcast(const struct ring *r, uint8_t from)
{
    uint8_t frame[NET_FRAME];
    net_fill(frame, 0xff, from, 0);
    CHECK_INT(fabric_link_send(r->f, r->edge, 0, frame, NET_FRAME), 0);
}

static struct fabric_switch_stats read_switch(struct fabric *f, int id)
{
    struct fabric_switch_stats s;
    CHECK_INT(fabric_switch_stats(f, id, &s), 0);
    return s;
}

static uint64_t floods(const struct ring *r)
{
    uint64_t n = 0;
    for (int i = 0; i < 3; i++)
        n += read_switch(r->f, r->sw[i]).floods;
    return n;
}

static int64_t median_bound(const struct fabric_lateness *l)
{
    uint64_t n = 0;
    for (int i = 0; i < FABRIC_LATENESS_BUCKETS; i++) {
        n += l->buckets[i];
        if (2 * n >= l->count)
            return fabric_lateness_bound(i);
    }
    return INT64_MAX;
}

/* Without storm control 2,000 broadcasts make 256,000 visits of switches, due before all else. */
static void a_loop_is_contained(void)
{
    static const struct link_config millisecond = {.delay_ns = NET_MS};
    struct ring r = ring_new(0);
    struct net_cable other = net_cable_on(r.f, &millisecond);
    for (uint32_t i = 0; i < 100; i++) {
        net_send(&other, 0, i);
        for (int k = 0; k < 20; k++)
            broadcast(&r, 1);
    }
    for (int i = 0; i < 100; i++)
        CHECK_INT(net_receive(other.b), i);
    CHECK(floods(&r) < 20000);
    CHECK(net_totals(r.f).storm_drops > 0);
    struct link_stats s = net_stats(&other, 0);
    CHECK(median_bound(&s.lateness) < 50 * NET_MS);
    net_cable_close(&other);
    ring_free(&r);
}

static void wait_for_event(struct fabric *f)
{
    struct pollfd p = {fabric_event_fd(f), POLLIN, 0};
    CHECK_INT(poll(&p, 1, NET_PATIENCE_MS), 1);
}

/* Return: how many storms have been told of, each of another switch. */
static int count_storms(struct fabric *f)
{
    struct fabric_event *e;
    int n = 0, seen = 0;
    while ((e = fabric_event_take(f))) {
        CHECK_INT(e->kind, FABRIC_EVENT_STORM);
        CHECK(!(seen & 1 << e->sw));
        seen |= 1 << e->sw;
        n++;
        free(e);
    }
    return n;
}

static void a_loop_is_told_of_once(void)
{
    struct ring r = ring_new(0);
    for (int i = 0; i < 500; i++)
        broadcast(&r, 1);
    wait_for_event(r.f);
    int n = count_storms(r.f);
    CHECK(n >= 1 && n <= 3);
    for (int i = 0; i < 500; i++)
        broadcast(&r, 1);
    n += count_storms(r.f);
    CHECK(n <= 3);
    ring_free(&r);
}

/* Hubs hear nobody: the bound of hops tells. */
static void a_loop_of_hubs_is_seen(void)
{
    struct ring r = ring_new(FABRIC_SWITCH_HUB);
    broadcast(&r, 1);
    wait_for_event(r.f);
    CHECK(count_storms(r.f) >= 1);
    CHECK(net_totals(r.f).hop_drops > 0);
    ring_free(&r);
}

/* Much broadcast, new stations all the time, and stations that move now and then. */
static void what_is_no_loop_is_not_limited(void)
{
    static const struct link_config perfect[2];
    struct fabric *f = fabric_start(1);
    int sw = fabric_switch_add(f, 0, 0), links[2];
    struct net_port port[2];
    uint8_t frame[NET_FRAME];
    for (int i = 0; i < 2; i++) {
        port[i] = net_port_new(f);
        links[i] = fabric_link_add(f, net_end(port[i]), net_switch(sw), perfect);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        net_fill(frame, 0xff, 1, 0);
        memcpy(frame + 7, &i, sizeof(i));
        CHECK_INT(fabric_link_send(f, links[0], 0, frame, NET_FRAME), 0);
    }
    for (int i = 0; i < 20; i++) {
        net_fill(frame, 0xff, 9, 0);
        CHECK_INT(fabric_link_send(f, links[i % 2], 0, frame, NET_FRAME), 0);
    }
    struct fabric_switch_stats s = read_switch(f, sw);
    CHECK_INT(s.floods, 5020);
    CHECK_INT(s.frames, 5020);
    CHECK_INT(s.moves, 19);
    CHECK_INT(s.storms, 0);
    CHECK_INT(s.storm_drops, 0);
    CHECK_INT(fabric_switch_stats(f, 77, &s), -ENOENT);
    fabric_stop(f);
    close(port[0].fd);
    close(port[1].fd);
}

static const struct check_test tests[] = {
    {"few signs are no storm", few_signs_are_no_storm},
    {"a storm begins once, and ends", a_storm_begins_once_and_ends},
    {"floods are limited in a storm", floods_are_limited},
    {"a loop of switches is contained", a_loop_is_contained},
    {"a loop is told of once", a_loop_is_told_of_once},
    {"a loop of hubs is seen", a_loop_of_hubs_is_seen},
    {"what is no loop is not limited", what_is_no_loop_is_not_limited},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
