/* SPDX-License-Identifier: MIT */
/* Frames into a small network in an engine without its thread: two switches and a hub, in a loop
 * while its last cable is up, stations that answer, a flow, triggers and a capture. The input is a
 * list of steps: frames, time that passes, verdicts, other settings, cables that go up and down. At
 * the end each direction must account for every frame. */
#include "runtime/clock.h"
#include "runtime/fabric/capture.h"
#include "runtime/fabric/engine.h"
#include "runtime/fabric/event.h"
#include "runtime/fabric/flow.h"
#include "runtime/fabric/tap.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096
#define LINKS 6
#define EVENTS_PER_STEP 20000 /* of the schedule; more is a loop without end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Made once: threads and filters are slow to make. */
static struct capture *capture;
static struct bpf_program filters[3];

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next_byte(struct input *in)
{
    return in->at < in->size ? in->data[in->at++] : 0;
}

static uint32_t next_number(struct input *in)
{
    uint32_t v = next_byte(in);
    return v << 8 | next_byte(in);
}

struct net {
    struct command_queue commands;
    struct engine e;
    int links[LINKS];
    int flow;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const texts[3] = {"icmp or arp or udp port 7",
                                         "ether[20] & 3 = 1 or tcp[13] & 2 != 0 or ip6 proto 58",
                                         "ether src 02:00:00:00:00:09 or (vlan and ip)"};
    (void)argc;
    (void)argv;
    clock_start();
    must(capture_start(&capture, "/dev/null") == 0);
    must(capture_interface(capture, "fuzz") == 0);
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 1 << 18);
    for (int i = 0; i < 3; i++)
        must(pcap_compile(dead, &filters[i], texts[i], 1, PCAP_NETMASK_UNKNOWN) == 0);
    pcap_close(dead);
    return 0;
}

static int add_link(struct net *n, enum fabric_kind a, int a_id, enum fabric_kind b, int b_id,
                    const struct link_config *c)
{
    struct link_config configs[2] = {*c, *c};
    struct fabric_end ends[2] = {{a, a_id}, {b, b_id}};
    int id = engine_link_add(&n->e, ends, configs);
    must(id >= 0);
    for (int i = 0; i < 2; i++)
        must(tap_add(&engine_link(&n->e, id)->directions[i], capture, 0, i) == 0);
    return id;
}

static void add_watch(struct net *n, int link, int filter, bool hold, bool drop)
{
    static const bool both[2] = {true, true};
    struct watch *w = calloc(1, sizeof(*w));
    size_t size = filters[filter].bf_len * sizeof(struct bpf_insn);
    must(w != NULL);
    w->program = filters[filter];
    w->program.bf_insns = malloc(size);
    must(w->program.bf_insns != NULL);
    memcpy(w->program.bf_insns, filters[filter].bf_insns, size);
    w->hold = hold;
    w->drop = drop;
    must(engine_watch_add(&n->e, w, link, both) >= 0);
}

static void add_flow(struct net *n)
{
    struct fabric_flow_config c = {
        .from_link = n->links[0],
        .to_link = n->links[3],
        .to_dir = 1,
        .header = {2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7, 8, 0, 0x45},
        .pattern = FABRIC_CBR,
        .rate_bps = 200000,
        .size = 100,
    };
    n->flow = engine_flow_add(&n->e, &c);
    must(n->flow >= 0);
}

static void build(struct net *n)
{
    static const struct fabric_station_config stations[3] = {
        {{2, 0, 0, 0, 0, 7}, {10, 0, 0, 1}},
        {{2, 0, 0, 0, 0, 8}, {10, 0, 0, 2}},
        {{2, 0, 0, 0, 0, 9}, {10, 0, 0, 3}},
    };
    static const struct link_config perfect, delayed = {.delay_ns = 1000000},
                                             mean = {.delay_ns = 500000,
                                                     .jitter_ns = 400000,
                                                     .rate_bps = 10000000,
                                                     .queue_packets = 5,
                                                     .loss = 0.1,
                                                     .duplicate = 0.2,
                                                     .corrupt = 0.2,
                                                     .reorder = 0.2,
                                                     .mtu = 1500};
    int st[3], sw[2], hub = engine_switch_add(&n->e, 0, FABRIC_SWITCH_HUB);
    for (int i = 0; i < 3; i++)
        st[i] = engine_station_add(&n->e, &stations[i]);
    for (int i = 0; i < 2; i++)
        sw[i] = engine_switch_add(&n->e, 1000000000, 0);
    n->links[0] = add_link(n, FABRIC_STATION, st[0], FABRIC_SWITCH, sw[0], &perfect);
    n->links[1] = add_link(n, FABRIC_SWITCH, sw[0], FABRIC_SWITCH, sw[1], &perfect);
    n->links[2] = add_link(n, FABRIC_SWITCH, sw[1], FABRIC_SWITCH, hub, &delayed);
    n->links[3] = add_link(n, FABRIC_STATION, st[1], FABRIC_SWITCH, hub, &mean);
    n->links[4] = add_link(n, FABRIC_STATION, st[2], FABRIC_SWITCH, sw[1], &mean);
    n->links[5] = add_link(n, FABRIC_SWITCH, hub, FABRIC_SWITCH, sw[0], &perfect);
    link_up(&n->e.plane, engine_link(&n->e, n->links[5]), false);
    add_watch(n, n->links[0], 0, true, false);
    add_watch(n, n->links[3], 1, false, false);
    add_watch(n, n->links[4], 2, false, true);
    add_flow(n);
}

static void run_until(struct net *n, int64_t now)
{
    struct plane *p = &n->e.plane;
    int steps = 0;
    p->now = now;
    while (schedule_next(&p->schedule) <= now) {
        struct schedule_entry *e = schedule_first(&p->schedule);
        e->due(p, e);
        must(++steps < EVENTS_PER_STEP * LINKS);
    }
}

static struct direction *pick(struct net *n, uint8_t which)
{
    struct link *l = engine_link(&n->e, n->links[which / 2 % LINKS]);
    return l ? &l->directions[which % 2] : NULL;
}

/* Bytes of the input, behind a choice of beginnings that lead somewhere. */
static void send_frame(struct net *n, struct input *in)
{
    static const uint8_t to_station[] = {2, 0, 0, 0, 0, 7,    2, 0, 0,
                                         0, 0, 9, 8, 0, 0x45, 0, 0, 0x40};
    static const uint8_t ask[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,
                                  9,    8,    6,    0,    1,    8,    0, 6, 4, 0, 1};
    static uint8_t frame[FABRIC_FRAME_MAX];
    struct direction *d = pick(n, next_byte(in));
    uint8_t begin = next_byte(in);
    uint32_t len = next_number(in) % (begin & 0x80 ? FABRIC_FRAME_MAX + 1 : 200), at = 0;
    len = len < FABRIC_FRAME_MIN ? FABRIC_FRAME_MIN : len;
    memset(frame, 0, len);
    if (begin % 3 == 1)
        memcpy(frame, to_station, at = len < sizeof(to_station) ? len : sizeof(to_station));
    if (begin % 3 == 2)
        memcpy(frame, ask, at = len < sizeof(ask) ? len : sizeof(ask));
    while (at < len && in->at < in->size)
        frame[at++] = next_byte(in);
    if (d)
        must(direction_send(&n->e.plane, d, frame, len) == 0);
}

/* Frees what triggers have told of, and gives a verdict on what is held. */
static void judge(struct net *n, uint8_t how)
{
    static const uint8_t other[60] = {2, 0, 0, 0, 0, 7};
    for (struct fabric_event *e; (e = event_take(&n->e.events));) {
        struct fabric_verdict v = {.held = e->held, .drop = how % 4 == 1};
        v.delay_ns = how % 4 == 2 ? how * 1000000 : 0;
        v.data = how % 4 == 3 ? other : NULL;
        v.len = sizeof(other);
        if (e->held && !(how & 0x80))
            trigger_verdict(&n->e.plane, &v);
        free(e);
    }
}

static void configure(struct net *n, struct input *in)
{
    struct direction *d = pick(n, next_byte(in));
    struct link_config c = {
        .delay_ns = next_byte(in) * INT64_C(100000),
        .jitter_ns = next_byte(in) * INT64_C(50000),
        .distribution = (enum link_distribution)(next_byte(in) % 3),
        .loss = next_byte(in) / 512.0,
        .duplicate = next_byte(in) / 256.0,
        .corrupt = next_byte(in) / 256.0,
        .reorder = next_byte(in) / 256.0,
        .rate_bps = next_number(in) * UINT64_C(1000),
        .queue_packets = next_byte(in),
        .discipline = (enum link_discipline)(next_byte(in) % 3),
        .mtu = next_byte(in) % 2 ? 576 : 0,
    };
    if (d && !link_config_check(&c))
        direction_set(&n->e.plane, d, &c);
}

static void step(struct net *n, struct input *in)
{
    uint8_t op = next_byte(in);
    switch (op % 8) {
    case 0:
        run_until(n, n->e.plane.now + next_number(in) * INT64_C(2000));
        break;
    case 1:
        judge(n, next_byte(in));
        break;
    case 2:
        configure(n, in);
        break;
    case 3:
        flow_run(&n->e.plane, table_get(&n->e.plane.flows, n->flow), op & 8);
        break;
    case 4:
        if (pick(n, op >> 3))
            link_up(&n->e.plane, engine_link(&n->e, n->links[(op >> 4) % LINKS]), op & 8);
        break;
    case 5:
        if (op > 250)
            engine_link_remove(&n->e, n->links[next_byte(in) % LINKS]);
        break;
    default:
        send_frame(n, in);
    }
}

static void check_accounts(const struct net *n)
{
    for (int i = 0; i < 2 * LINKS; i++) {
        const struct link *l = engine_link(&n->e, n->links[i / 2]);
        if (!l)
            continue;
        struct link_stats s = link_read_stats(l, i % 2);
        must(s.sent + s.duplicated == s.delivered + s.lost + s.queue_drops + s.down_drops +
                                          s.mtu_drops + s.overruns + s.trigger_drops + s.in_flight);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct net n;
    struct input in = {.data = data, .size = size};
    if (size > INPUT_MAX)
        return 0;
    memset(&n, 0, sizeof(n));
    must(command_queue_init(&n.commands) == 0);
    must(engine_open(&n.e, 1, &n.commands) == 0);
    n.e.plane.pool.limit = 32U << 20;
    n.e.plane.now = 1;
    build(&n);
    while (in.at < in.size)
        step(&n, &in);
    run_until(&n, n.e.plane.now + INT64_C(20000000));
    check_accounts(&n);
    engine_close(&n.e);
    command_queue_destroy(&n.commands);
    return 0;
}
