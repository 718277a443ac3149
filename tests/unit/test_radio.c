/* SPDX-License-Identifier: MIT */
/* Radio media through the fabric's thread: socket pairs in place of virtual machines. */
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS CLOCK_NS_PER_MS
#define FRAME 100
#define MEMBERS 4
#define BROADCAST 0xff
#define SLOW_BPS 40000 /* 20 ms a frame */

static const struct link_config perfect[2];

/* Four members of a radio. */
struct field {
    struct fabric *f;
    int radio;
    int fds[MEMBERS], ports[MEMBERS], links[MEMBERS];
};

static void place(const struct field *t, int i, double x, double y)
{
    struct fabric_motion m = {.from = {x, y}};
    CHECK_INT(fabric_radio_move(t->f, t->radio, t->links[i], &m), 0);
}

/* At the origin. */
static void join(struct field *t, int i)
{
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    t->fds[i] = fds[0];
    t->ports[i] = fabric_port_add(t->f, fds[1]);
    t->links[i] = fabric_link_add(t->f, (struct fabric_end){FABRIC_PORT, t->ports[i]},
                                  (struct fabric_end){FABRIC_RADIO, t->radio}, perfect);
    CHECK(t->links[i] >= 0);
    place(t, i, 0, 0);
}

static struct field field_new(uint64_t seed, const struct fabric_radio_config *c)
{
    struct field t = {.f = fabric_start(seed)};
    t.radio = fabric_radio_add(t.f, c);
    CHECK(t.radio >= 0);
    for (int i = 0; i < MEMBERS; i++)
        join(&t, i);
    return t;
}

static void field_free(struct field *t)
{
    fabric_stop(t->f);
    for (int i = 0; i < MEMBERS; i++)
        close(t->fds[i]);
}

static void send_frame(const struct field *t, int from, uint8_t to, uint8_t number)
{
    uint8_t frame[FRAME] = {0x02, 0, 0, 0, 0, to, 0x02, 0, 0, 0, 0, (uint8_t)from};
    if (to == BROADCAST)
        memset(frame, 0xff, 6);
    frame[14] = number;
    CHECK_INT(send(t->fds[from], frame, FRAME, 0), FRAME);
}

/* Return: the number of the next frame that a member is given, or -1 when none comes for long. */
static int receive(const struct field *t, int at)
{
    uint8_t frame[FRAME];
    struct pollfd p = {t->fds[at], POLLIN, 0};
    if (poll(&p, 1, 5000) != 1 || recv(t->fds[at], frame, FRAME, MSG_DONTWAIT) != FRAME)
        return -1;
    return frame[14];
}

static int count_now(const struct field *t, int at)
{
    uint8_t frame[FRAME];
    int n = 0;
    while (recv(t->fds[at], frame, FRAME, MSG_DONTWAIT) >= 0)
        n++;
    return n;
}

static struct fabric_radio_stats stats(const struct field *t, int i)
{
    struct fabric_radio_stats s = {0};
    CHECK_INT(fabric_radio_stats(t->f, t->radio, t->links[i], &s), 0);
    return s;
}

/* Return: which members (a bit each) a frame between two of them, by number, reaches. */
static int reached(const struct field *t, int from, uint8_t to)
{
    int bits = 0;
    send_frame(t, from, to, 1);
    stats(t, from); /* a call is carried out after what was sent before it */
    for (int i = 0; i < MEMBERS; i++)
        bits |= count_now(t, i) << i;
    return bits;
}

static void all_hear_all(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){0});
    CHECK_INT(reached(&t, 0, BROADCAST), 0xe);
    place(&t, 3, 1e6, -1e6);
    CHECK_INT(reached(&t, 3, BROADCAST), 0x7);
    CHECK_INT(stats(&t, 0).sent, 1);
    CHECK_INT(stats(&t, 0).heard, 1);
    CHECK_INT(stats(&t, 0).unheard, 0);
    field_free(&t);
}

static void range_is_a_border(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.range_m = 100});
    place(&t, 1, 60, 80);
    place(&t, 2, -60.001, 80);
    place(&t, 3, 1000, 0);
    CHECK_INT(reached(&t, 0, BROADCAST), 0x2);
    CHECK_INT(reached(&t, 3, BROADCAST), 0);
    CHECK_INT(stats(&t, 3).unheard, 1);
    CHECK_INT(stats(&t, 0).unheard, 0);
    CHECK_INT(stats(&t, 2).missed, 2);
    CHECK_INT(stats(&t, 1).missed, 1);
    struct link_stats link[2];
    CHECK_INT(fabric_link_stats(t.f, t.links[3], link), 0);
    CHECK_INT(link[0].delivered, 1);
    CHECK_INT(link[1].sent, 0);
    field_free(&t);
}

static void nowhere_is_out_of_range(void)
{
    static const struct fabric_radio_config radios[] = {
        {.range_m = 1e9},
        {.log_distance = true, .exponent = 2, .reference_m = 1e9, .sensitivity_dbm = -999},
    };
    for (size_t i = 0; i < 2; i++) {
        struct field t = field_new(1, &radios[i]);
        struct fabric_end radio = {FABRIC_RADIO, t.radio};
        struct fabric_end sw = {FABRIC_SWITCH, fabric_switch_add(t.f, 0, 0)};
        int link = fabric_link_add(t.f, sw, radio, perfect);
        struct fabric_radio_stats s = {0};
        double xy[2] = {0, 0};
        CHECK_INT(reached(&t, 0, BROADCAST), 0xe);
        CHECK_INT(fabric_radio_stats(t.f, t.radio, link, &s), 0);
        CHECK_INT(s.missed, 1);
        CHECK_INT(fabric_radio_position(t.f, t.radio, link, xy), 0);
        CHECK(isnan(xy[0]) && isnan(xy[1]));
        field_free(&t);
    }
}

static void known_stations_alone_are_given_theirs(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.range_m = 100});
    CHECK_INT(reached(&t, 0, 1), 0xe);
    CHECK_INT(reached(&t, 1, 0), 0x1);
    CHECK_INT(reached(&t, 0, 1), 0x2);
    place(&t, 1, 200, 0);
    CHECK_INT(reached(&t, 0, 1), 0);
    CHECK_INT(stats(&t, 1).missed, 1);
    CHECK_INT(stats(&t, 2).missed, 0);
    CHECK_INT(stats(&t, 0).unheard, 1);
    CHECK_INT(fabric_link_up(t.f, t.links[1], false), 0);
    CHECK_INT(reached(&t, 0, 1), 0xc);
    field_free(&t);
}

static void promiscuous_members_overhear(void)
{
    struct field t =
        field_new(1, &(struct fabric_radio_config){.range_m = 100, .promiscuous = true});
    reached(&t, 1, BROADCAST);
    place(&t, 1, 200, 0);
    place(&t, 2, 200, 0);
    CHECK_INT(reached(&t, 0, 1), 0x8);
    CHECK_INT(stats(&t, 0).unheard, 1);
    CHECK_INT(stats(&t, 2).missed, 0);
    field_free(&t);
}

static void check_place(const struct field *t, int i, double x, double y)
{
    double xy[2] = {NAN, NAN};
    CHECK_INT(fabric_radio_position(t->f, t->radio, t->links[i], xy), 0);
    CHECK(fabs(xy[0] - x) < 1e-6 && fabs(xy[1] - y) < 1e-6);
}

static void move(const struct field *t, int i, struct fabric_motion m)
{
    CHECK_INT(fabric_radio_move(t->f, t->radio, t->links[i], &m), 0);
}

static void motions_are_kept(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){0});
    int64_t far = clock_now() + 3600 * CLOCK_NS_PER_S, now = clock_now();
    check_place(&t, 0, 0, 0);
    move(&t, 0, (struct fabric_motion){{1, 2}, {3, -4}, 0, now > 1000 ? 1000 : now});
    check_place(&t, 0, 1 + 3e-6, 2 - 4e-6);
    /* What is to follow does not matter yet, and what comes instead holds at once, for good. */
    move(&t, 0, (struct fabric_motion){{50, 50}, {1, 1}, far, CLOCK_NS_PER_S});
    check_place(&t, 0, 1 + 3e-6, 2 - 4e-6);
    move(&t, 0, (struct fabric_motion){{7, 8}, {0, 0}, 0, 0});
    check_place(&t, 0, 7, 8);
    /* What followed, and is followed in turn. */
    int64_t soon = clock_now() + MS;
    move(&t, 0, (struct fabric_motion){{9, 9}, {0, 0}, soon, 0});
    while (clock_now() < soon)
        check_place(&t, 1, 0, 0);
    check_place(&t, 0, 9, 9);
    move(&t, 0, (struct fabric_motion){{50, 50}, {1, 1}, far, CLOCK_NS_PER_S});
    check_place(&t, 0, 9, 9);
    field_free(&t);
}

static void motions_are_planned(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){0});
    int64_t soon = clock_now() + 5 * MS;
    struct fabric_motion m = {.start_ns = soon + 3600 * CLOCK_NS_PER_S};
    for (int i = 1; i < FABRIC_MOTIONS_MAX; i++, m.start_ns++)
        move(&t, 0, m);
    CHECK_INT(fabric_radio_move(t.f, t.radio, t.links[0], &m), -ENOSPC);
    move(&t, 0, (struct fabric_motion){{1, 1}, {0, 0}, soon, 0});
    move(&t, 0, (struct fabric_motion){{2, 2}, {0, 0}, soon + 1, 0});
    move(&t, 0, (struct fabric_motion){{3, 3}, {0, 0}, soon + 1, 0});
    move(&t, 0, m);
    while (clock_now() < soon + 1)
        check_place(&t, 1, 0, 0);
    check_place(&t, 0, 3, 3);
    for (int i = 2; i < FABRIC_MOTIONS_MAX; i++) {
        m.start_ns++;
        move(&t, 0, m);
    }
    check_place(&t, 0, 3, 3);
    field_free(&t);
}

/* It leaves the range 30 ms after the start: of the frames sent all along, those that were heard
 * were sent before that. */
static void a_walker_is_lost_at_the_border(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.range_m = 30});
    int64_t begin = clock_now(), before, after;
    move(&t, 1, (struct fabric_motion){{0, 0}, {1000, 0}, begin, CLOCK_NS_PER_S});
    do {
        before = clock_now() - begin;
        int bits = reached(&t, 0, BROADCAST);
        after = clock_now() - begin;
        if (after <= 30 * MS)
            CHECK_INT(bits, 0xe);
        if (before > 30 * MS)
            CHECK_INT(bits, 0xc);
    } while (before < 35 * MS);
    field_free(&t);
}

static void the_rate_is_shared_in_turns(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.rate_bps = SLOW_BPS});
    int64_t begin = clock_now();
    for (uint8_t i = 1; i <= 4; i++)
        send_frame(&t, 0, BROADCAST, i);
    CHECK_INT(stats(&t, 0).waiting, 3);
    send_frame(&t, 1, BROADCAST, 11);
    send_frame(&t, 2, BROADCAST, 21);
    static const int order[] = {1, 11, 21, 2, 3, 4};
    for (int i = 0; i < 6; i++) {
        CHECK_INT(receive(&t, 3), order[i]);
        CHECK(clock_now() - begin >= (i + 1) * 20 * MS);
    }
    CHECK_INT(stats(&t, 0).waiting, 0);
    CHECK_INT(stats(&t, 0).sent, 4);
    CHECK_INT(stats(&t, 3).heard, 6);
    field_free(&t);
}

static void each_queue_is_bounded(void)
{
    struct field t =
        field_new(1, &(struct fabric_radio_config){.rate_bps = SLOW_BPS, .queue_packets = 2});
    for (uint8_t i = 0; i < 5; i++)
        send_frame(&t, 0, BROADCAST, i);
    send_frame(&t, 1, BROADCAST, 11);
    CHECK_INT(stats(&t, 0).dropped, 2);
    CHECK_INT(stats(&t, 1).dropped, 0);
    CHECK_INT(receive(&t, 3), 0);
    CHECK_INT(receive(&t, 3), 11);
    CHECK_INT(receive(&t, 3), 1);
    CHECK_INT(receive(&t, 3), 2);
    field_free(&t);
}

static void down_cuts_a_member_off(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.rate_bps = SLOW_BPS});
    for (uint8_t i = 0; i < 3; i++)
        send_frame(&t, 0, BROADCAST, i);
    send_frame(&t, 1, BROADCAST, 11);
    CHECK_INT(fabric_link_up(t.f, t.links[0], false), 0);
    CHECK_INT(fabric_link_up(t.f, t.links[0], true), 0);
    CHECK_INT(stats(&t, 0).dropped, 3);
    CHECK_INT(receive(&t, 3), 11);
    send_frame(&t, 0, BROADCAST, 4);
    CHECK_INT(receive(&t, 3), 4);
    CHECK_INT(stats(&t, 0).sent, 1);
    field_free(&t);
}

static void members_leave_and_come(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.rate_bps = SLOW_BPS});
    struct fabric_radio_stats s;
    send_frame(&t, 1, BROADCAST, 1);
    send_frame(&t, 1, BROADCAST, 2);
    send_frame(&t, 2, BROADCAST, 21);
    stats(&t, 1);
    CHECK_INT(fabric_link_remove(t.f, t.links[1]), 0);
    CHECK_INT(fabric_radio_stats(t.f, t.radio, t.links[1], &s), -ENOENT);
    CHECK_INT(receive(&t, 3), 21);
    /* A link that may lie where the other did sends nothing that was not its own. */
    close(t.fds[1]);
    join(&t, 1);
    send_frame(&t, 1, BROADCAST, 3);
    CHECK_INT(receive(&t, 3), 3);
    CHECK_INT(stats(&t, 1).sent, 1);
    field_free(&t);
}

static void a_radio_takes_its_links_with_it(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.rate_bps = SLOW_BPS});
    struct link_stats out[2];
    send_frame(&t, 0, BROADCAST, 1);
    send_frame(&t, 0, BROADCAST, 2);
    stats(&t, 0);
    CHECK_INT(fabric_radio_remove(t.f, t.radio), 0);
    CHECK_INT(fabric_radio_remove(t.f, t.radio), -ENOENT);
    CHECK_INT(fabric_link_stats(t.f, t.links[0], out), -ENOENT);
    field_free(&t);
}

/* 30 dB at 100 m, twice as far 9 dB more, and 1 m or less 60 dB less. */
static const struct fabric_radio_config log_distance = {
    .log_distance = true, .tx_dbm = 20, .exponent = 3, .reference_m = 1, .reference_loss_db = 40};

static void log_distance_is_the_formula(void)
{
    struct fabric_radio_config c = log_distance;
    c.sensitivity_dbm = 20 - 40 - 60 - 1e-9;
    struct field t = field_new(1, &c);
    place(&t, 1, 100, 0);
    place(&t, 2, 100.001, 0);
    place(&t, 3, 0.1, 0);
    CHECK_INT(reached(&t, 0, BROADCAST), 0xa);
    field_free(&t);
}

/* Return: what members 1 (100 m: at the median) and 2 (one deviation worse) hear of 1000 frames. */
static void hear_in_shadow(uint64_t seed, bool others_send, int heard[2])
{
    struct fabric_radio_config c = log_distance;
    c.sensitivity_dbm = -80;
    c.shadowing_db = 6;
    struct field t = field_new(seed, &c);
    place(&t, 1, 100, 0);
    place(&t, 2, 100 * pow(10, 0.2), 0);
    place(&t, 3, 1e6, 0);
    for (int i = 0; i < 1000; i++) {
        reached(&t, 0, BROADCAST);
        if (others_send && i % 2)
            reached(&t, 2, 3); /* which is out of reach, and a stranger, and in 1's ears */
    }
    uint64_t of_others = others_send ? stats(&t, 2).sent : 0;
    CHECK_INT(stats(&t, 1).heard + stats(&t, 1).missed, 1000 + of_others);
    heard[0] = (int)stats(&t, 1).heard;
    heard[1] = (int)stats(&t, 2).heard;
    field_free(&t);
}

/* 99.9 % of the seeds are inside 3.3 deviations; the seeds are fixed. */
static void shadowing_is_normal_and_repeats(void)
{
    int a[2], b[2], c[2], d[2];
    hear_in_shadow(1, false, a);
    hear_in_shadow(1, false, b);
    hear_in_shadow(2, false, c);
    hear_in_shadow(1, true, d);
    CHECK(abs(a[0] - 500) < 53 && abs(c[0] - 500) < 53);
    CHECK(abs(a[1] - 159) < 39 && abs(c[1] - 159) < 39);
    CHECK(a[0] == b[0] && a[1] == b[1]);
    CHECK(a[0] != c[0] || a[1] != c[1]);
    CHECK_INT(d[1], a[1]);
}

/* Two links between a switch and a radio: each sends the other's frames round once more. */
static void a_loop_dies_out(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){0});
    struct fabric_end sw = {FABRIC_SWITCH, fabric_switch_add(t.f, 0, 0)};
    struct fabric_end radio = {FABRIC_RADIO, t.radio};
    struct fabric_totals totals = {0};
    for (int i = 0; i < 3; i++)
        CHECK(fabric_link_add(t.f, sw, radio, perfect) >= 0);
    send_frame(&t, 0, BROADCAST, 1);
    int64_t deadline = clock_now() + 5 * CLOCK_NS_PER_S;
    for (uint64_t turns = 0; clock_now() < deadline; turns = totals.turns) {
        CHECK_INT(fabric_totals(t.f, &totals), 0);
        if (totals.hop_drops > 0 && totals.turns <= turns + 1)
            break;
    }
    CHECK(totals.hop_drops > 0);
    CHECK(clock_now() < deadline);
    field_free(&t);
}

static void stations_answer_by_radio(void)
{
    struct field t = field_new(1, &(struct fabric_radio_config){.rate_bps = 1000000});
    struct fabric_station_config c = {{2, 0, 0, 0, 0, 9}, {10, 0, 0, 9}};
    struct fabric_end s = {FABRIC_STATION, fabric_station_add(t.f, &c)};
    CHECK(fabric_link_add(t.f, s, (struct fabric_end){FABRIC_RADIO, t.radio}, perfect) >= 0);
    uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0,
                       1,    8,    0,    6,    4,    0,    1, 2, 0, 0, 0, 0, 1, 10};
    static const uint8_t target[] = {10, 0, 0, 9};
    memcpy(arp + 38, target, 4);
    CHECK_INT(send(t.fds[0], arp, sizeof(arp), 0), sizeof(arp));
    struct pollfd p = {t.fds[0], POLLIN, 0};
    CHECK_INT(poll(&p, 1, 5000), 1);
    CHECK_INT(recv(t.fds[0], arp, sizeof(arp), MSG_DONTWAIT), sizeof(arp));
    CHECK(memcmp(arp + 6, c.mac, 6) == 0);
    field_free(&t);
}

static void misuse_is_refused(void)
{
    static const struct fabric_radio_config bad[] = {
        {.range_m = -1},
        {.range_m = INFINITY},
        {.rate_bps = UINT64_MAX},
        {.queue_packets = UINT32_MAX},
        {.log_distance = true, .exponent = 3},
        {.log_distance = true, .reference_m = 1},
        {.log_distance = true, .exponent = 3, .reference_m = 1, .shadowing_db = -1},
        {.log_distance = true, .exponent = 3, .reference_m = 1, .tx_dbm = NAN},
    };
    struct field t = field_new(1, &(struct fabric_radio_config){0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_INT(fabric_radio_add(t.f, &bad[i]), -EINVAL);
    CHECK_STR(fabric_radio_check(&bad[0]), "range is negative");
    static const struct fabric_motion wild[] = {
        {.from = {NAN, 0}},         {.from = {0, 1e10}}, {.velocity = {INFINITY, 0}},
        {.start_ns = -1},           {.duration_ns = -1}, {.start_ns = INT64_MAX, .duration_ns = 1},
        {.duration_ns = INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++)
        CHECK_INT(fabric_radio_move(t.f, t.radio, t.links[0], &wild[i]), -EINVAL);
    int other = fabric_radio_add(t.f, &(struct fabric_radio_config){0});
    CHECK_INT(fabric_radio_move(t.f, other, t.links[0], &wild[0]), -ENOENT);
    CHECK_INT(fabric_radio_move(t.f, 77, t.links[0], &wild[0]), -ENOENT);
    double xy[2];
    CHECK_INT(fabric_radio_position(t.f, t.radio, 77, xy), -ENOENT);
    field_free(&t);
}

static const struct check_test tests[] = {
    {"all hear all, but for the sender", all_hear_all},
    {"a range is a border, and what is beyond it is counted", range_is_a_border},
    {"a member that has no place yet is out of range", nowhere_is_out_of_range},
    {"known stations alone are given what is theirs", known_stations_alone_are_given_theirs},
    {"members of a promiscuous radio overhear", promiscuous_members_overhear},
    {"motions are kept, and follow each other", motions_are_kept},
    {"motions are planned ahead, to a bound", motions_are_planned},
    {"a walker is lost at the border", a_walker_is_lost_at_the_border},
    {"the rate is shared in turns", the_rate_is_shared_in_turns},
    {"each member's queue is bounded", each_queue_is_bounded},
    {"down cuts a member off with what it was sending", down_cuts_a_member_off},
    {"members leave and come", members_leave_and_come},
    {"a radio takes its links with it", a_radio_takes_its_links_with_it},
    {"log-distance is the formula", log_distance_is_the_formula},
    {"shadowing is normal and repeats with the seed", shadowing_is_normal_and_repeats},
    {"a loop of a switch and a radio dies out", a_loop_dies_out},
    {"stations answer by radio", stations_answer_by_radio},
    {"misuse is refused", misuse_is_refused},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
