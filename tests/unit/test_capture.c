/* SPDX-License-Identifier: MIT */
/* Captures through the fabric, their files read back by a reader of the tests' own. */
#include "runtime/fabric/capture.h"
#include "tests/unit/net.h"
#include "tests/unit/pcapng_reader.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define PATH "capture.pcapng"
#define PACKETS_MAX 2048
#define LARGE 60000

static const struct link_config perfect;

struct packet_read {
    uint64_t time;
    uint32_t interface, flags, len, number;
    char comment[128];
};

/* What a file says. */
struct file_read {
    struct packet_read packets[PACKETS_MAX];
    size_t n;
    char names[4][64];
    size_t interfaces, statistics;
    uint64_t received, dropped;
};

static void copy_text(char *to, size_t room, const struct pcapng_block *b)
{
    size_t n = b->text_len < room - 1 ? b->text_len : room - 1;
    memcpy(to, b->text, n);
    to[n] = '\0';
}

/* The comment but for its last part, how long before the packet had entered. */
static void copy_comment(struct packet_read *p, const struct pcapng_block *b)
{
    copy_text(p->comment, sizeof(p->comment), b);
    char *age = strstr(p->comment, "entered");
    if (age)
        *(age > p->comment ? age - 2 : age) = '\0';
}

/* Of more than there is room for, which come under traffic on a busy machine, the last are kept. */
static void read_packet(struct file_read *f, const struct pcapng_block *b)
{
    struct packet_read *p = &f->packets[f->n++ % PACKETS_MAX];
    *p = (struct packet_read){
        .time = b->time, .interface = b->interface, .flags = b->flags, .len = b->len};
    memcpy(&p->number, b->data + 14, sizeof(p->number));
    CHECK_INT(b->original_len, b->len);
    if (b->has_comment)
        copy_comment(p, b);
}

static void on_block(void *arg, const struct pcapng_block *b)
{
    struct file_read *f = arg;
    if (b->kind == READ_INTERFACE) {
        CHECK_INT(b->link_type, 1);
        CHECK_INT(b->resolution, 9);
        copy_text(f->names[f->interfaces++ % 4], 64, b);
    } else if (b->kind == READ_PACKET) {
        read_packet(f, b);
    } else if (b->kind == READ_STATISTICS) {
        CHECK(b->has_counts);
        f->statistics++;
        f->received += b->received;
        f->dropped += b->dropped;
    }
}

static struct file_read *parse(const uint8_t *bytes, size_t n)
{
    struct file_read *f = calloc(1, sizeof(*f));
    const char *wrong = pcapng_read(bytes, n, on_block, f);
    CHECK_STR(wrong ? wrong : "", "");
    return f;
}

/* Return: what the file says, to be freed. */
static struct file_read *read_file(const char *path)
{
    struct stat st = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file && fstat(fileno(file), &st) == 0);
    size_t n = (size_t)st.st_size;
    uint8_t *bytes = malloc(n + 1);
    CHECK_INT(fread(bytes, 1, n, file), n);
    fclose(file);
    struct file_read *f = parse(bytes, n);
    free(bytes);
    return f;
}

static int capture(const struct net_cable *c, const char *path)
{
    int id = fabric_capture_add(c->f, path);
    CHECK(id >= 0);
    CHECK_INT(fabric_capture_link(c->f, id, c->link, "a--b"), 0);
    return id;
}

/* Ends the capture. Return: what its file says, to be freed. */
static struct file_read *finish(const struct net_cable *c, int id)
{
    struct fabric_capture_stats stats;
    CHECK_INT(fabric_capture_remove(c->f, id, &stats), 0);
    struct file_read *f = read_file(PATH);
    CHECK_INT(stats.seen, f->n + stats.dropped);
    CHECK_INT(f->received, stats.seen);
    CHECK_INT(f->dropped, stats.dropped);
    return f;
}

static void packets_are_recorded_with_time_and_direction(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&(struct link_config){.delay_ns = 3 * NET_MS});
    int id = capture(&c, PATH);
    int64_t before = clock_now() + clock_wall_at_start();
    for (uint32_t i = 0; i < 20; i++)
        net_send(&c, (int)(i % 2), i);
    for (int i = 0; i < 20; i++)
        CHECK_INT(net_receive(i % 2 ? c.a : c.b), i);
    struct file_read *f = finish(&c, id);
    uint64_t after = (uint64_t)(clock_now() + clock_wall_at_start());
    CHECK_INT(f->interfaces, 2);
    CHECK_STR(f->names[0], "a--b ab");
    CHECK_STR(f->names[1], "a--b ba");
    CHECK_INT(f->statistics, 2);
    CHECK_INT(f->n, 20);
    for (size_t i = 0; i < f->n; i++) {
        const struct packet_read *p = &f->packets[i];
        CHECK_INT(p->flags, p->number % 2 ? 1 : 2);
        CHECK_INT(p->interface, p->number % 2);
        CHECK_INT(p->len, NET_FRAME);
        CHECK(p->time >= (uint64_t)before + 3 * NET_MS && p->time <= after);
        CHECK_STR(p->comment, "");
    }
    free(f);
    net_cable_free(&c);
    scratch_close(&scratch);
}

static void several_links_are_interfaces_of_one_file(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&perfect), other = net_cable_on(c.f, &perfect);
    int id = capture(&c, PATH);
    CHECK_INT(fabric_capture_link(c.f, id, other.link, "c--d"), 0);
    CHECK_INT(fabric_capture_link(c.f, id, 77, "none"), -ENOENT);
    CHECK_INT(fabric_capture_link(c.f, 77, c.link, "none"), -ENOENT);
    net_send(&c, 0, 10);
    net_send(&other, 1, 21);
    net_send(&other, 0, 20);
    struct file_read *f = finish(&c, id);
    CHECK_INT(f->interfaces, 4);
    CHECK_STR(f->names[2], "c--d ab");
    CHECK_INT(f->statistics, 4);
    CHECK_INT(f->n, 3);
    for (size_t i = 0; i < f->n; i++) {
        uint32_t number = f->packets[i].number;
        CHECK_INT(f->packets[i].interface, (number / 10 - 1) * 2 + number % 10);
        CHECK_INT(f->packets[i].flags, f->packets[i].number % 10 ? 1 : 2);
    }
    CHECK_INT(fabric_capture_remove(c.f, id, NULL), -ENOENT);
    free(f);
    net_cable_close(&other);
    net_cable_free(&c);
    scratch_close(&scratch);
}

/* Send @n frames over a link of this configuration, then take it down. Return: what was captured,
 * to be freed. */
static struct file_read *captured_over(struct link_config config, uint32_t n)
{
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&config);
    int id = capture(&c, PATH);
    for (uint32_t i = 0; i < n; i++)
        net_send(&c, 0, i);
    CHECK_INT(fabric_link_up(c.f, c.link, false), 0);
    struct file_read *f = finish(&c, id);
    net_cable_free(&c);
    scratch_close(&scratch);
    return f;
}

static int count_comments(const struct file_read *f, const char *comment)
{
    int n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += strcmp(f->packets[i].comment, comment) == 0;
    return n;
}

static void every_fate_is_told(void)
{
    static const struct {
        struct link_config config;
        const char *comment;
        uint32_t n;
        int times;
    } cases[] = {
        {{.loss = 1}, "dropped: loss", 3, 3},
        {{.rate_bps = 1, .queue_packets = 2}, "dropped: queue full", 5, 2},
        {{.rate_bps = 1, .queue_packets = 2}, "dropped: link down", 5, 3},
        {{.delay_ns = CLOCK_NS_PER_S}, "dropped: link down", 4, 4},
        {{.mtu = 68}, "", 2, 2},
        {{.corrupt = 1}, "corrupted", 3, 3},
        {{.duplicate = 1}, "duplicate", 3, 3},
        {{.duplicate = 1}, "", 3, 3},
        {{.corrupt = 1, .duplicate = 1}, "corrupted", 3, 3},
        {{.rate_bps = 1, .discipline = LINK_RED, .red = {.max = 0.01, .min = 0.001, .weight = 1}},
         "dropped: early (RED or CoDel)",
         4,
         2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct file_read *f = captured_over(cases[i].config, cases[i].n);
        CHECK_INT(count_comments(f, cases[i].comment), cases[i].times);
        free(f);
    }
}

static void fates_by_the_far_end_and_by_triggers_are_told(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    char why[64];
    struct net_cable c = net_cable_new(&(struct link_config){.mtu = 1500});
    static const uint8_t large[1515];
    struct fabric_trigger_config drop = {
        .link = c.link, .on = {false, true}, .filter = "", .drop = true};
    int id = capture(&c, PATH);
    CHECK(fabric_trigger_add(c.f, &drop, why, sizeof(why)) >= 0);
    CHECK_INT(fabric_link_send(c.f, c.link, 0, large, sizeof(large)), 0);
    net_send(&c, 1, 1);
    for (uint32_t i = 0; i < 2000 && net_stats(&c, 0).overruns == 0; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, sizeof(large) - 1), 0);
    struct file_read *f = finish(&c, id);
    CHECK_INT(count_comments(f, "dropped: larger than the mtu"), 1);
    CHECK_INT(count_comments(f, "dropped: by a trigger"), 1);
    CHECK_INT(count_comments(f, "dropped: overrun, its receiver is too slow or gone"), 1);
    free(f);
    net_cable_free(&c);
    scratch_close(&scratch);
}

static void marks_are_told_together(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    char why[64];
    struct link_config config = {.delay_ns = 50 * NET_MS};
    struct net_cable c = net_cable_new(&config);
    struct fabric_trigger_config hold = {
        .link = c.link, .on = {true}, .filter = "", .hold = true, .first = 2};
    int id = capture(&c, PATH);
    CHECK(fabric_trigger_add(c.f, &hold, why, sizeof(why)) >= 0);
    net_send(&c, 0, 1);
    config.corrupt = config.reorder = 1;
    CHECK_INT(fabric_link_set(c.f, c.link, 0, &config), 0);
    net_send(&c, 0, 2);
    CHECK_INT(fabric_verdict(c.f, &(struct fabric_verdict){.held = 1}), 0);
    for (int i = 0; i < 2; i++)
        CHECK(net_receive(c.b) >= 0);
    struct file_read *f = finish(&c, id);
    CHECK_INT(f->n, 2);
    CHECK_STR(f->packets[0].comment, "corrupted, reordered, held by a trigger");
    CHECK_STR(f->packets[1].comment, "");
    free(f);
    net_cable_free(&c);
    scratch_close(&scratch);
}

static void a_path_that_cannot_be_written_is_refused(void)
{
    struct net_cable c = net_cable_new(&perfect);
    CHECK_INT(fabric_capture_add(c.f, "/nonexistent/file.pcapng"), -ENOENT);
    CHECK_INT(fabric_capture_add(c.f, "/tmp"), -EISDIR);
    net_cable_free(&c);
}

static void a_full_disk_is_told_and_counted(void)
{
    struct fabric_capture_stats stats;
    struct net_cable c = net_cable_new(&perfect);
    int id = capture(&c, "/dev/full");
    static const uint8_t large[LARGE];
    for (int i = 0; i < 20; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, LARGE), 0);
    CHECK_INT(fabric_capture_remove(c.f, id, &stats), -ENOSPC);
    CHECK_INT(stats.seen, net_stats(&c, 0).delivered + net_stats(&c, 0).overruns);
    CHECK(stats.dropped > 0 && stats.dropped <= stats.seen);
    net_cable_free(&c);
}

/* Neither the start of a capture nor its end waits for who does not read. */
static void a_pipe_that_nobody_reads_holds_nobody_up(void)
{
    static uint8_t large[LARGE];
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&(struct link_config){.loss = 1});
    CHECK_INT(mkfifo(PATH, 0600), 0);
    CHECK_INT(fabric_capture_add(c.f, PATH), -ENXIO);
    int fd = open(PATH, O_RDWR | O_CLOEXEC);
    int id = capture(&c, PATH);
    for (int i = 0; i < 10; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, LARGE), 0);
    CHECK_INT(fabric_capture_remove(c.f, id, NULL), -ETIMEDOUT);
    close(fd);
    net_cable_free(&c);
    scratch_close(&scratch);
}

/* Reads a pipe until it is told to stop and finds nothing more. */
struct drain {
    int fd;
    atomic_bool stop;
    uint8_t *bytes;
    size_t n, room;
};

static void *drain_main(void *arg)
{
    struct drain *d = arg;
    while (d->n < d->room) {
        struct pollfd p = {d->fd, POLLIN, 0};
        bool stop = atomic_load(&d->stop);
        if (poll(&p, 1, stop ? 0 : 10) == 1)
            d->n += (size_t)read(d->fd, d->bytes + d->n, d->room - d->n);
        else if (stop)
            break;
    }
    return NULL;
}

/* The disk is a pipe that nobody reads at first: the ring fills, and the link goes on. */
static void a_slow_disk_costs_packets_of_the_capture_alone(void)
{
    static uint8_t large[LARGE];
    struct scratch scratch;
    scratch_open(&scratch);
    struct drain d = {.room = 4 * CAPTURE_RING_BYTES};
    CHECK_INT(mkfifo(PATH, 0600), 0);
    d.fd = open(PATH, O_RDWR | O_CLOEXEC);
    d.bytes = malloc(d.room);
    struct net_cable c = net_cable_new(&(struct link_config){.loss = 1});
    int id = capture(&c, PATH);
    for (int i = 0; i < 300; i++)
        CHECK_INT(fabric_link_send(c.f, c.link, 0, large, LARGE), 0);
    CHECK_INT(net_stats(&c, 0).lost, 300);
    pthread_t thread;
    struct fabric_capture_stats stats;
    CHECK_INT(pthread_create(&thread, NULL, drain_main, &d), 0);
    CHECK_INT(fabric_capture_remove(c.f, id, &stats), 0);
    atomic_store(&d.stop, true);
    pthread_join(thread, NULL);
    CHECK_INT(stats.seen, 300);
    CHECK(stats.dropped >= 300 - 2 * CAPTURE_RING_BYTES / LARGE && stats.dropped < 300);
    struct file_read *f = parse(d.bytes, d.n);
    CHECK_INT(f->n, stats.seen - stats.dropped);
    CHECK_INT(f->dropped, stats.dropped);
    free(f);
    free(d.bytes);
    close(d.fd);
    net_cable_free(&c);
    scratch_close(&scratch);
}

struct sender {
    int fd;
    atomic_bool stop;
};

static void *send_main(void *arg)
{
    struct sender *s = arg;
    uint8_t frame[NET_FRAME];
    net_fill(frame, 2, 1, 0);
    for (int i = 0; !atomic_load(&s->stop); i++) {
        send(s->fd, frame, NET_FRAME, MSG_DONTWAIT);
        if (i % 16 == 0)
            sched_yield();
    }
    return NULL;
}

static void captures_come_and_go_under_traffic(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&(struct link_config){.loss = 1});
    struct sender s = {.fd = c.a.fd};
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, send_main, &s), 0);
    for (int i = 0; i < 5; i++) {
        int id = capture(&c, PATH);
        uint64_t lost = net_stats(&c, 0).lost;
        while (net_stats(&c, 0).lost < lost + 20)
            sched_yield();
        struct fabric_capture_stats stats;
        CHECK_INT(fabric_capture_remove(c.f, id, &stats), 0);
        CHECK(stats.seen >= 20);
    }
    int id = capture(&c, PATH);
    CHECK_INT(fabric_link_remove(c.f, c.link), 0);
    CHECK_INT(fabric_capture_remove(c.f, id, NULL), 0);
    free(read_file(PATH));
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    net_cable_free(&c);
    scratch_close(&scratch);
}

static void a_fabric_that_stops_completes_the_file(void)
{
    struct scratch scratch;
    scratch_open(&scratch);
    struct net_cable c = net_cable_new(&perfect);
    capture(&c, PATH);
    net_send(&c, 0, 1);
    net_cable_free(&c);
    struct file_read *f = read_file(PATH);
    CHECK_INT(f->n, 1);
    CHECK_INT(f->statistics, 2);
    free(f);
    scratch_close(&scratch);
}

static const struct check_test tests[] = {
    {"packets are recorded with time and direction", packets_are_recorded_with_time_and_direction},
    {"several links are interfaces of one file", several_links_are_interfaces_of_one_file},
    {"every fate is told", every_fate_is_told},
    {"fates by the far end and by triggers are told",
     fates_by_the_far_end_and_by_triggers_are_told},
    {"marks are told together", marks_are_told_together},
    {"a path that cannot be written is refused", a_path_that_cannot_be_written_is_refused},
    {"a full disk is told and counted", a_full_disk_is_told_and_counted},
    {"a pipe that nobody reads holds nobody up", a_pipe_that_nobody_reads_holds_nobody_up},
    {"a slow disk costs packets of the capture alone",
     a_slow_disk_costs_packets_of_the_capture_alone},
    {"captures come and go under traffic", captures_come_and_go_under_traffic},
    {"a fabric that stops completes the file", a_fabric_that_stops_completes_the_file},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
