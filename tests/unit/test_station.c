/* SPDX-License-Identifier: MIT */
/* Simulated stations, asked by a machine's socket. */
#include "runtime/clock.h"
#include "runtime/fabric/fabric.h"
#include "tests/unit/check.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define ROOM 2048

static const uint8_t mine[6] = {2, 0, 0, 0, 0, 1}, theirs[6] = {2, 0, 0, 0, 0, 2};

struct frame {
    uint8_t data[ROOM];
    size_t len;
};

struct lab {
    struct fabric *f;
    int fd, station;
};

static struct lab lab_new(const struct fabric_station_config *c)
{
    int fds[2];
    struct link_config cfg[2] = {0};
    struct lab l = {.f = fabric_start(1)};
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    l.fd = fds[0];
    struct fabric_end port = {FABRIC_PORT, fabric_port_add(l.f, fds[1])};
    l.station = fabric_station_add(l.f, c);
    struct fabric_end end = {FABRIC_STATION, l.station};
    CHECK(fabric_link_add(l.f, port, end, cfg) >= 0);
    return l;
}

static struct lab lab(void)
{
    struct fabric_station_config c = {.ip = {10, 0, 0, 2}};
    memcpy(c.mac, theirs, 6);
    return lab_new(&c);
}

static void lab_free(struct lab *l)
{
    fabric_stop(l->f);
    close(l->fd);
}

static void put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* The Internet checksum's sum; an odd byte counts as the high one. */
static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static struct frame ethernet(const uint8_t *to, unsigned type)
{
    struct frame f = {.len = 14};
    memcpy(f.data, to, 6);
    memcpy(f.data + 6, mine, 6);
    put16(f.data + 12, type);
    return f;
}

static struct frame arp_request(unsigned last)
{
    const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    const uint8_t fixed[] = {0, 1, 8, 0, 6, 4, 0, 1};
    struct frame f = ethernet(everyone, 0x0806);
    memcpy(f.data + 14, fixed, 8);
    memcpy(f.data + 22, mine, 6);
    memcpy(f.data + 28, (uint8_t[]){10, 0, 0, 1}, 4);
    memcpy(f.data + 38, (uint8_t[]){10, 0, 0, (uint8_t)last}, 4);
    f.len = 42;
    return f;
}

static void seal_ip(struct frame *f)
{
    put16(f->data + 24, 0);
    put16(f->data + 24, ~sum16(f->data + 14, 20, 0) & 0xffff);
}

/* An IPv4 packet with room for @n bytes. */
static struct frame ipv4(unsigned protocol, size_t n)
{
    const uint8_t fixed[] = {0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 9, (uint8_t)protocol};
    struct frame f = ethernet(theirs, 0x0800);
    memcpy(f.data + 14, fixed, 10);
    memcpy(f.data + 26, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
    put16(f.data + 16, (unsigned)(20 + n));
    for (size_t i = 0; i < n; i++)
        f.data[34 + i] = (uint8_t)(i * 7);
    f.len = 34 + n;
    seal_ip(&f);
    return f;
}

static struct frame echo_request(size_t n)
{
    struct frame f = ipv4(1, n);
    put16(f.data + 34, 8 << 8);
    put16(f.data + 36, 0);
    put16(f.data + 36, ~sum16(f.data + 34, n, 0) & 0xffff);
    return f;
}

static uint32_t udp_sum(const struct frame *f)
{
    unsigned len = get16(f->data + 38);
    return sum16(f->data + 34, len, sum16(f->data + 26, 8, 0) + 17 + len);
}

static struct frame udp(unsigned from, unsigned to, size_t n)
{
    struct frame f = ipv4(17, 8 + n);
    put16(f.data + 34, from);
    put16(f.data + 36, to);
    put16(f.data + 38, (unsigned)(8 + n));
    put16(f.data + 40, 0);
    put16(f.data + 40, ~udp_sum(&f) & 0xffff);
    return f;
}

static void send_frame(const struct lab *l, const struct frame *f)
{
    CHECK_INT(send(l->fd, f->data, f->len, 0), f->len);
}

/* Return: the next frame, of 0 bytes if none comes. */
static struct frame next(const struct lab *l)
{
    struct frame f = {0};
    struct pollfd p = {l->fd, POLLIN, 0};
    ssize_t n = poll(&p, 1, PATIENCE_MS) == 1 ? recv(l->fd, f.data, ROOM, 0) : -1;
    f.len = n > 0 ? (size_t)n : 0;
    return f;
}

static struct frame ask(const struct lab *l, const struct frame *f)
{
    send_frame(l, f);
    return next(l);
}

/* A call is carried out after what was sent before it, over a link without delay. */
static void check_silent(const struct lab *l, const struct frame *f, const char *what)
{
    struct fabric_totals totals;
    uint8_t byte;
    send_frame(l, f);
    CHECK_INT(fabric_totals(l->f, &totals), 0);
    if (recv(l->fd, &byte, 1, MSG_DONTWAIT) >= 0) {
        fprintf(stderr, "an answer to: %s\n", what);
        check_failures++;
    }
}

static void check_turned(const struct frame *f)
{
    CHECK(memcmp(f->data, mine, 6) == 0);
    CHECK(memcmp(f->data + 6, theirs, 6) == 0);
}

static void check_ip(const struct frame *f)
{
    check_turned(f);
    CHECK(memcmp(f->data + 26, (uint8_t[]){10, 0, 0, 2, 10, 0, 0, 1}, 8) == 0);
    CHECK_INT(sum16(f->data + 14, 20, 0), 0xffff);
    CHECK_INT(f->data[22], 64);
}

static void answers_arp(void)
{
    struct lab l = lab();
    struct frame f = arp_request(2), a = ask(&l, &f);
    CHECK_INT(a.len, f.len);
    check_turned(&a);
    CHECK_INT(get16(a.data + 20), 2);
    CHECK(memcmp(a.data + 22, theirs, 6) == 0);
    CHECK(memcmp(a.data + 28, (uint8_t[]){10, 0, 0, 2}, 4) == 0);
    CHECK(memcmp(a.data + 32, mine, 6) == 0);
    CHECK(memcmp(a.data + 38, (uint8_t[]){10, 0, 0, 1}, 4) == 0);
    f = arp_request(3);
    check_silent(&l, &f, "ARP for another");
    f = arp_request(2);
    f.data[21] = 2;
    check_silent(&l, &f, "an ARP reply");
    f = arp_request(2);
    f.data[16] = 0x86;
    check_silent(&l, &f, "ARP for another protocol");
    f = arp_request(2);
    f.data[6] |= 1;
    check_silent(&l, &f, "ARP from a group");
    lab_free(&l);
}

static void answers_pings(void)
{
    struct lab l = lab();
    for (size_t n = 8; n < 1480; n += 211) { /* odd and even */
        struct frame f = echo_request(n), a = ask(&l, &f);
        CHECK_INT(a.len, f.len);
        check_ip(&a);
        CHECK_INT(a.data[34], 0);
        CHECK_INT(sum16(a.data + 34, n, 0), 0xffff);
        CHECK(memcmp(a.data + 38, f.data + 38, n - 4) == 0);
    }
    lab_free(&l);
}

static void ethernet_padding_is_not_payload(void)
{
    struct lab l = lab();
    struct frame f = echo_request(9);
    f.len = 60;
    f.data[50] = 0x55;
    struct frame a = ask(&l, &f);
    CHECK_INT(a.len, 60);
    CHECK_INT(sum16(a.data + 34, 9, 0), 0xffff);
    lab_free(&l);
}

static void ip_options_are_stepped_over(void)
{
    struct lab l = lab();
    struct frame f = echo_request(32), g = f;
    memmove(g.data + 38, f.data + 34, 32);
    memcpy(g.data + 34, (uint8_t[]){1, 1, 1, 0}, 4);
    g.len += 4;
    g.data[14] = 0x46;
    put16(g.data + 16, 20 + 4 + 32);
    put16(g.data + 24, 0);
    put16(g.data + 24, ~sum16(g.data + 14, 24, 0) & 0xffff);
    struct frame a = ask(&l, &g);
    CHECK_INT(a.len, g.len);
    CHECK_INT(a.data[38], 0);
    CHECK_INT(sum16(a.data + 14, 24, 0), 0xffff);
    CHECK_INT(sum16(a.data + 38, 32, 0), 0xffff);
    lab_free(&l);
}

static void answers_udp_echo(void)
{
    struct lab l = lab();
    for (int checked = 0; checked < 2; checked++) {
        struct frame f = udp(5000, 7, 33);
        if (!checked)
            put16(f.data + 40, 0);
        struct frame a = ask(&l, &f);
        CHECK_INT(a.len, f.len);
        check_ip(&a);
        CHECK_INT(get16(a.data + 34), 7);
        CHECK_INT(get16(a.data + 36), 5000);
        CHECK(!checked || udp_sum(&a) == 0xffff);
        CHECK(checked || get16(a.data + 40) == 0);
        CHECK(memcmp(a.data + 42, f.data + 42, 33) == 0);
    }
    struct frame f = udp(5000, 8, 33);
    check_silent(&l, &f, "UDP to another port");
    f = udp(7, 7, 33);
    check_silent(&l, &f, "UDP from the echo port");
    lab_free(&l);
}

struct change {
    const char *what;
    size_t at;
    uint8_t value;
    bool reseal; /* with a right checksum of the IP header */
};

/* Each is an echo request of 40 bytes but for one byte. */
static void broken_packets_get_no_answer(void)
{
    static const struct change changes[] = {
        {"another MAC address", 5, 3, false},
        {"another EtherType", 13, 1, false},
        {"another address", 33, 3, true},
        {"IP version 6", 14, 0x65, true},
        {"a header that is too short", 14, 0x44, true},
        {"a header beyond the packet", 14, 0x4f, true},
        {"a length below the header's", 17, 19, true},
        {"a length beyond the frame", 17, 255, true},
        {"more fragments", 20, 0x20, true},
        {"a fragment's offset", 21, 1, true},
        {"a broken IP header", 22, 10, false},
        {"another protocol", 23, 6, true},
        {"an echo reply", 34, 0, false},
        {"a broken ICMP packet", 60, 1, false},
    };
    struct lab l = lab();
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct frame f = echo_request(40);
        f.data[changes[i].at] = changes[i].value;
        if (changes[i].reseal)
            seal_ip(&f);
        check_silent(&l, &f, changes[i].what);
    }
    struct frame f = echo_request(40);
    CHECK_INT(ask(&l, &f).len, f.len);
    lab_free(&l);
}

static void broken_udp_gets_no_answer(void)
{
    struct lab l = lab();
    struct frame f = udp(5000, 7, 20);
    f.data[45] ^= 1;
    check_silent(&l, &f, "a broken datagram");
    f = udp(5000, 7, 20);
    put16(f.data + 38, 29);
    check_silent(&l, &f, "a datagram longer than its packet");
    f = udp(5000, 7, 20);
    put16(f.data + 38, 7);
    check_silent(&l, &f, "a datagram shorter than its header");
    lab_free(&l);
}

static void truncated_frames_get_no_answer(void)
{
    struct lab l = lab();
    const struct frame whole[] = {arp_request(2), echo_request(40), udp(5000, 7, 20)};
    for (size_t i = 0; i < 3; i++) {
        for (size_t len = 14; len < whole[i].len; len++) {
            struct frame f = whole[i];
            f.len = len;
            check_silent(&l, &f, "a truncated frame");
        }
    }
    lab_free(&l);
}

/* The fuzzer of a poor man: whatever the bytes, the fabric lives. */
static void noise_is_survived(void)
{
    struct lab l = lab();
    uint32_t x = 1;
    for (int i = 0; i < 2000; i++) {
        struct frame f = i % 2 ? echo_request(40) : udp(5000, 7, 20), a;
        for (int j = 0; j < 3; j++) {
            x = x * 1664525 + 1013904223;
            f.data[12 + x / 65536 % (f.len - 12)] = (uint8_t)(x >> 8);
        }
        if (i % 3)
            seal_ip(&f);
        send_frame(&l, &f);
        struct fabric_totals totals;
        CHECK_INT(fabric_totals(l.f, &totals), 0);
        while (recv(l.fd, a.data, ROOM, MSG_DONTWAIT) >= 0)
            ;
    }
    struct frame f = arp_request(2);
    CHECK_INT(ask(&l, &f).len, f.len);
    lab_free(&l);
}

static void without_an_address_it_is_silent(void)
{
    struct fabric_station_config c = {0};
    memcpy(c.mac, theirs, 6);
    struct lab l = lab_new(&c);
    struct frame f = arp_request(0);
    memset(f.data + 38, 0, 4);
    check_silent(&l, &f, "ARP for 0.0.0.0");
    f = echo_request(40);
    memset(f.data + 30, 0, 4);
    seal_ip(&f);
    check_silent(&l, &f, "a ping of 0.0.0.0");
    lab_free(&l);
}

/* Two stations of one address, which would answer each other's answers for ever. */
static void two_echoes_end(void)
{
    struct fabric *f = fabric_start(1);
    struct fabric_station_config c = {.mac = {2, 0, 0, 0, 0, 2}, .ip = {10, 0, 0, 2}};
    struct fabric_end a = {FABRIC_STATION, fabric_station_add(f, &c)};
    struct fabric_end b = {FABRIC_STATION, fabric_station_add(f, &c)};
    struct link_config cfg[2] = {0};
    struct link_stats s[2];
    int link = fabric_link_add(f, a, b, cfg);
    const struct frame frames[] = {udp(5000, 7, 20), udp(7, 7, 20), echo_request(40),
                                   arp_request(2)};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(fabric_link_send(f, link, 0, frames[i].data, (uint32_t)frames[i].len), 0);
        CHECK_INT(fabric_link_stats(f, link, s), 0);
        CHECK_INT(s[0].in_flight + s[1].in_flight, 0);
    }
    CHECK(s[0].sent + s[1].sent < 100);
    fabric_stop(f);
}

static const struct check_test tests[] = {
    {"answers ARP", answers_arp},
    {"answers pings", answers_pings},
    {"Ethernet padding is not payload", ethernet_padding_is_not_payload},
    {"IP options are stepped over", ip_options_are_stepped_over},
    {"answers UDP echo", answers_udp_echo},
    {"broken packets get no answer", broken_packets_get_no_answer},
    {"broken UDP gets no answer", broken_udp_gets_no_answer},
    {"truncated frames get no answer", truncated_frames_get_no_answer},
    {"noise is survived", noise_is_survived},
    {"without an address it is silent", without_an_address_it_is_silent},
    {"two echoes end", two_echoes_end},
};

int main(void)
{
    clock_start();
    return check_run(tests, sizeof(tests) / sizeof(tests[0]));
}
