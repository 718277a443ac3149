/* SPDX-License-Identifier: MIT */
/* Packet triggers, through the fabric's thread; those that would wait for long, in an engine
 * without its thread and with a clock of the test's. */
#include "runtime/fabric/bridge.h"
#include "runtime/fabric/engine.h"
#include "tests/unit/net.h"

#include <errno.h>

static const struct link_config perfect;

static int add(const struct net_cable *c, struct fabric_trigger_config config)
{
    char why[256] = "";
    config.link = c->link;
    if (!config.filter)
        config.filter = "";
    if (!config.on[0] && !config.on[1])
        config.on[0] = true;
    int id = fabric_trigger_add(c->f, &config, why, sizeof(why));
    CHECK_STR(why, "");
    CHECK(id >= 0);
    return id;
}

/* Return: the next event, to be freed. Without one the test cannot go on. */
static struct fabric_event *next_event(struct fabric *f)
{
    struct pollfd p = {fabric_event_fd(f), POLLIN, 0};
    struct fabric_event *e = poll(&p, 1, NET_PATIENCE_MS) == 1 ? fabric_event_take(f) : NULL;
    CHECK(e != NULL);
    if (!e)
        exit(1);
    return e;
}

static uint32_t number_of(const struct fabric_event *e)
{
    uint32_t number;
    memcpy(&number, e->data + 14, sizeof(number));
    return number;
}

/* Return: the number of the held frame that is told of next, and what holds it in @held. */
static int next_held(struct fabric *f, uint64_t *held)
{
    struct fabric_event *e = next_event(f);
    int number = (int)number_of(e);
    *held = e->held;
    CHECK(*held != 0);
    free(e);
    return number;
}

static int count_events(struct fabric *f)
{
    struct fabric_event *e;
    int n = 0;
    while ((e = fabric_event_take(f))) {
        n++;
        free(e);
    }
    return n;
}

static void filters_choose(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint8_t frame[NET_FRAME];
    int id = add(&c, (struct fabric_trigger_config){.filter = "ether src 02:00:00:00:00:05"});
    for (uint8_t from = 1; from < 10; from++) {
        net_fill(frame, 2, from, from);
        CHECK_INT(fabric_link_send(c.f, c.link, 0, frame, NET_FRAME), 0);
        CHECK_INT(net_receive(c.b), from);
    }
    struct fabric_event *e = next_event(c.f);
    CHECK_INT(e->kind, FABRIC_EVENT_PACKET);
    CHECK_INT(e->trigger, id);
    CHECK_INT(e->dir, 0);
    CHECK_INT(e->len, NET_FRAME);
    CHECK_INT(e->held, 0);
    CHECK(!e->last);
    CHECK(e->time > 0 && e->time <= clock_now());
    CHECK_INT(number_of(e), 5);
    free(e);
    CHECK_INT(count_events(c.f), 0);
    net_cable_free(&c);
}

static void bad_filters_and_links_are_named(void)
{
    struct net_cable c = net_cable_new(&perfect);
    char why[256] = "";
    struct fabric_trigger_config bad = {.link = c.link, .on = {true}, .filter = "port of call"};
    CHECK_INT(fabric_trigger_add(c.f, &bad, why, sizeof(why)), -EINVAL);
    CHECK(*why);
    bad.filter = "tcp port 80";
    bad.link = 77;
    CHECK_INT(fabric_trigger_add(c.f, &bad, why, sizeof(why)), -ENOENT);
    CHECK_INT(fabric_trigger_remove(c.f, 77), -ENOENT);
    net_cable_free(&c);
}

static void fires_from_the_first_so_many_times(void)
{
    struct net_cable c = net_cable_new(&perfect);
    add(&c, (struct fabric_trigger_config){.first = 3, .count = 2});
    for (uint32_t i = 1; i <= 6; i++)
        net_send(&c, 0, i);
    for (uint32_t i = 3; i <= 4; i++) {
        struct fabric_event *e = next_event(c.f);
        CHECK_INT(number_of(e), i);
        CHECK_INT(e->last, i == 4);
        free(e);
    }
    CHECK_INT(count_events(c.f), 0);
    net_cable_free(&c);
}

static void directions_are_apart_or_together(void)
{
    struct net_cable c = net_cable_new(&perfect);
    int id = add(&c, (struct fabric_trigger_config){.on = {false, true}});
    net_send(&c, 0, 1);
    net_send(&c, 1, 2);
    struct fabric_event *e = next_event(c.f);
    CHECK_INT(number_of(e), 2);
    CHECK_INT(e->dir, 1);
    free(e);
    CHECK_INT(fabric_trigger_remove(c.f, id), 0);
    add(&c, (struct fabric_trigger_config){.on = {true, true}, .count = 3});
    for (int i = 0; i < 4; i++)
        net_send(&c, i % 2, (uint32_t)i);
    for (int i = 0; i < 3; i++) {
        e = next_event(c.f);
        CHECK_INT(e->dir, i % 2);
        CHECK_INT(number_of(e), i);
        free(e);
    }
    CHECK_INT(count_events(c.f), 0);
    net_cable_free(&c);
}

static void held_frames_hold_nobody_up(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    add(&c, (struct fabric_trigger_config){.hold = true, .count = 1});
    for (uint32_t i = 0; i < 5; i++)
        net_send(&c, 0, i);
    CHECK_INT(next_held(c.f, &held), 0);
    for (int i = 1; i < 5; i++)
        CHECK_INT(net_receive(c.b), i);
    CHECK(net_is_silent(c.b));
    CHECK_INT(net_stats(&c, 0).in_flight, 1);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held}), 0);
    CHECK_INT(net_receive(c.b), 0);
    CHECK_INT(net_stats(&c, 0).in_flight, 0);
    CHECK_INT(net_stats(&c, 0).sent, 5);
    CHECK_INT(net_stats(&c, 0).delivered, 5);
    net_cable_free(&c);
}

static void verdict_drops(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    add(&c, (struct fabric_trigger_config){.hold = true});
    net_send(&c, 0, 1);
    next_held(c.f, &held);
    struct fabric_verdict v = {.held = held, .drop = true};
    CHECK_INT(fabric_verdict(c.f, &v), 0);
    CHECK_INT(fabric_verdict(c.f, &v), -ENOENT);
    CHECK_INT(net_stats(&c, 0).trigger_drops, 1);
    CHECK(net_is_silent(c.b));
    net_cable_free(&c);
}

static void verdict_delays(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    add(&c, (struct fabric_trigger_config){.hold = true, .count = 1});
    int64_t start = clock_now();
    net_send(&c, 0, 1);
    next_held(c.f, &held);
    struct fabric_verdict v = {.held = held, .delay_ns = 20 * NET_MS};
    CHECK_INT(fabric_verdict(c.f, &v), 0);
    CHECK_INT(fabric_verdict(c.f, &v), -ENOENT);
    net_send(&c, 0, 2);
    CHECK_INT(net_receive(c.b), 2);
    CHECK_INT(net_receive(c.b), 1);
    CHECK(clock_now() - start >= 20 * NET_MS);
    CHECK_INT(net_totals(c.f).verdicts_missed, 0);
    net_cable_free(&c);
}

static void verdict_replaces(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    uint8_t other[NET_FRAME];
    add(&c, (struct fabric_trigger_config){.hold = true});
    net_send(&c, 0, 1);
    next_held(c.f, &held);
    net_fill(other, 9, 9, 999);
    struct fabric_verdict v = {.held = held, .data = other, .len = 13};
    CHECK_INT(fabric_verdict(c.f, &v), -EINVAL);
    v.len = NET_FRAME;
    v.delay_ns = -1;
    CHECK_INT(fabric_verdict(c.f, &v), -EINVAL);
    v.delay_ns = 0;
    CHECK_INT(fabric_verdict(c.f, &v), 0);
    CHECK_INT(net_receive(c.b), 999);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = 0}), -ENOENT);
    net_cable_free(&c);
}

static void two_triggers_see_a_frame_and_one_holds_it(void)
{
    struct net_cable c = net_cable_new(&perfect);
    int tells = add(&c, (struct fabric_trigger_config){.count = 1});
    int holds = add(&c, (struct fabric_trigger_config){.hold = true});
    int late = add(&c, (struct fabric_trigger_config){.hold = true});
    net_send(&c, 0, 1);
    int order[] = {tells, holds, late};
    uint64_t held = 0;
    for (int i = 0; i < 3; i++) {
        struct fabric_event *e = next_event(c.f);
        CHECK_INT(e->trigger, order[i]);
        CHECK_INT(e->held != 0, i == 1);
        held = e->held ? e->held : held;
        free(e);
    }
    CHECK_INT(net_totals(c.f).triggers_missed, 1);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held}), 0);
    CHECK_INT(net_receive(c.b), 1);
    net_cable_free(&c);
}

static void drop_triggers_tell_nobody(void)
{
    struct net_cable c = net_cable_new(&perfect);
    int id =
        add(&c, (struct fabric_trigger_config){
                    .drop = true, .on = {true, true}, .filter = "ether src 02:00:00:00:00:01"});
    net_send(&c, 0, 1);
    net_send(&c, 1, 2);
    CHECK_INT(net_stats(&c, 0).trigger_drops, 1);
    CHECK_INT(net_stats(&c, 1).trigger_drops, 1);
    CHECK(net_is_silent(c.a) && net_is_silent(c.b));
    CHECK_INT(count_events(c.f), 0);
    CHECK_INT(fabric_trigger_remove(c.f, id), 0);
    net_send(&c, 0, 3);
    CHECK_INT(net_receive(c.b), 3);
    net_cable_free(&c);
}

/* One that holds and one that drops: dropped, and the verdict comes too late. */
static void drop_takes_a_held_frame(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    add(&c, (struct fabric_trigger_config){.hold = true});
    add(&c, (struct fabric_trigger_config){.drop = true});
    net_send(&c, 0, 1);
    next_held(c.f, &held);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held}), -ENOENT);
    CHECK_INT(net_stats(&c, 0).trigger_drops, 1);
    CHECK_INT(net_stats(&c, 0).in_flight, 0);
    net_cable_free(&c);
}

static void removal_leaves_held_frames_held(void)
{
    struct net_cable c = net_cable_new(&perfect);
    uint64_t held;
    int id = add(&c, (struct fabric_trigger_config){.hold = true});
    net_send(&c, 0, 1);
    next_held(c.f, &held);
    CHECK_INT(fabric_trigger_remove(c.f, id), 0);
    CHECK_INT(fabric_trigger_remove(c.f, id), -ENOENT);
    net_send(&c, 0, 2);
    CHECK_INT(net_receive(c.b), 2);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held}), 0);
    CHECK_INT(net_receive(c.b), 1);
    net_cable_free(&c);
}

static void a_link_takes_its_held_frames_with_it(void)
{
    struct net_cable c = net_cable_new(&perfect);
    struct net_cable other = net_cable_on(c.f, &perfect);
    uint64_t held[3];
    int id = add(&c, (struct fabric_trigger_config){.hold = true});
    add(&other, (struct fabric_trigger_config){.hold = true});
    net_send(&c, 0, 1);
    next_held(c.f, &held[0]);
    net_send(&other, 0, 2);
    next_held(c.f, &held[1]);
    CHECK_INT(fabric_link_up(c.f, c.link, false), 0);
    CHECK_INT(net_stats(&c, 0).down_drops, 1);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held[0]}), -ENOENT);
    CHECK_INT(fabric_link_up(c.f, c.link, true), 0);
    net_send(&c, 0, 3);
    next_held(c.f, &held[2]);
    CHECK_INT(fabric_link_remove(c.f, c.link), 0);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held[2]}), -ENOENT);
    CHECK_INT(fabric_trigger_remove(c.f, id), 0);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = held[1]}), 0);
    CHECK_INT(net_receive(other.b), 2);
    net_cable_close(&other);
    net_cable_free(&c);
}

static void held_frames_are_bounded(void)
{
    struct net_cable c = net_cable_new(&perfect);
    add(&c, (struct fabric_trigger_config){.hold = true});
    for (uint32_t i = 0; i < FABRIC_HELD_MAX; i++)
        net_send(&c, 0, i);
    CHECK_INT(net_totals(c.f).triggers_missed, 0);
    CHECK_INT(net_stats(&c, 0).in_flight, FABRIC_HELD_MAX);
    net_send(&c, 0, 7777);
    CHECK_INT(net_receive(c.b), 7777);
    CHECK_INT(net_totals(c.f).triggers_missed, 1);
    net_cable_free(&c);
}

/* Nobody takes the events: what cannot be told of is not held. */
static void untold_frames_go_on(void)
{
    static uint8_t large[60000];
    struct net_cable c = net_cable_new(&perfect);
    add(&c, (struct fabric_trigger_config){.hold = true});
    for (int i = 0; i < 1000 && net_totals(c.f).triggers_missed == 0; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, sizeof(large)), 0);
    CHECK_INT(net_totals(c.f).triggers_missed, 1);
    uint64_t held = net_stats(&c, 0).in_flight;
    CHECK(held > 200 && held < 300);
    CHECK_INT(net_stats(&c, 0).delivered, 1);
    CHECK_INT(count_events(c.f), held);
    net_cable_free(&c);
}

/* An engine without its thread: a cable between two switches without other links. */
struct bench {
    struct command_queue commands;
    struct engine e;
    int link;
};

static void bench_open(struct bench *b, bool hold)
{
    static const struct link_config configs[2];
    static const bool on[2] = {true};
    memset(b, 0, sizeof(*b));
    CHECK_INT(command_queue_init(&b->commands), 0);
    CHECK_INT(engine_open(&b->e, 1, &b->commands), 0);
    struct fabric_end ends[2] = {net_switch(engine_switch_add(&b->e, 0, 0)),
                                 net_switch(engine_switch_add(&b->e, 0, 0))};
    b->link = engine_link_add(&b->e, ends, configs);
    struct watch *w = calloc(1, sizeof(*w));
    w->hold = hold;
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    CHECK_INT(pcap_compile(dead, &w->program, "", 1, PCAP_NETMASK_UNKNOWN), 0);
    pcap_close(dead);
    CHECK(engine_watch_add(&b->e, w, b->link, on) >= 0);
    b->e.plane.now = 1;
}

static void bench_close(struct bench *b)
{
    engine_close(&b->e);
    command_queue_destroy(&b->commands);
}

static void run_until(struct bench *b, int64_t now)
{
    struct plane *p = &b->e.plane;
    p->now = now;
    while (schedule_next(&p->schedule) <= now) {
        struct schedule_entry *e = schedule_first(&p->schedule);
        e->due(p, e);
    }
}

static void without_a_verdict_a_frame_goes_on(void)
{
    struct bench b;
    uint8_t frame[NET_FRAME];
    bench_open(&b, true);
    struct direction *d = &engine_link(&b.e, b.link)->directions[0];
    net_fill(frame, 2, 1, 1);
    CHECK_INT(direction_send(&b.e.plane, d, frame, NET_FRAME), 0);
    run_until(&b, FABRIC_VERDICT_TIMEOUT_NS);
    CHECK_INT(d->held, 1);
    CHECK_INT(d->stats.delivered, 0);
    run_until(&b, FABRIC_VERDICT_TIMEOUT_NS + 1);
    CHECK_INT(d->held, 0);
    CHECK_INT(d->stats.delivered, 1);
    CHECK_INT(b.e.plane.totals.verdicts_missed, 1);
    CHECK_INT(trigger_verdict(&b.e.plane, &(struct fabric_verdict){.held = 1}), -ENOENT);
    bench_close(&b);
}

static const struct check_test tests[] = {
    {"filters choose", filters_choose},
    {"bad filters and links are named", bad_filters_and_links_are_named},
    {"it fires from the first, so many times", fires_from_the_first_so_many_times},
    {"directions are apart or together", directions_are_apart_or_together},
    {"held frames hold nobody up", held_frames_hold_nobody_up},
    {"a verdict drops", verdict_drops},
    {"a verdict delays", verdict_delays},
    {"a verdict replaces", verdict_replaces},
    {"two triggers see a frame, and one holds it", two_triggers_see_a_frame_and_one_holds_it},
    {"a trigger that drops tells nobody", drop_triggers_tell_nobody},
    {"a trigger that drops takes a held frame", drop_takes_a_held_frame},
    {"removal leaves held frames held", removal_leaves_held_frames_held},
    {"a link takes its held frames with it", a_link_takes_its_held_frames_with_it},
    {"held frames are bounded", held_frames_are_bounded},
    {"frames that cannot be told of go on", untold_frames_go_on},
    {"without a verdict a frame goes on", without_a_verdict_a_frame_goes_on},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
