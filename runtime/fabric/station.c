/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/station.h"

#include "runtime/fabric/bridge.h"

#include <string.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERNET_HEADER 14U
#define ARP_LEN 28U
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define IPV4_HEADER 20U
#define IPV4_TTL 64 /* RFC 1700's */
#define IP_ICMP 1
#define IP_UDP 17
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO 8
#define UDP_HEADER 8U
#define UDP_PORT_ECHO 7 /* RFC 862 */

/* The bytes of a frame, read with a check of the bounds: beyond them all is 0. */
struct view {
    uint8_t *data;
    uint32_t len;
};

static uint32_t get16(struct view v, uint32_t at)
{
    return at + 2 <= v.len ? (uint32_t)v.data[at] << 8 | v.data[at + 1] : 0;
}

static uint32_t get8(struct view v, uint32_t at)
{
    return at < v.len ? v.data[at] : 0;
}

static bool is_at(struct view v, uint32_t at, const void *bytes, uint32_t n)
{
    return at + n <= v.len && memcmp(v.data + at, bytes, n) == 0;
}

static struct view view_from(struct view v, uint32_t at)
{
    return at <= v.len ? (struct view){v.data + at, v.len - at} : (struct view){v.data, 0};
}

/* The Internet checksum's sum over the bytes and what is given. */
static uint32_t sum_of(struct view v, uint32_t sum)
{
    for (uint32_t i = 0; i < v.len; i += 2)
        sum += get8(v, i) << 8 | get8(v, i + 1);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Return: whether the bytes, the checksum among them, are as they were sent. */
static bool is_intact(struct view v, uint32_t sum)
{
    return sum_of(v, sum) == 0xffff;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
    uint8_t t[6];
    memcpy(t, a, n);
    memcpy(a, b, n);
    memcpy(b, t, n);
}

static void turn_ethernet(const struct station *s, struct view v)
{
    memcpy(v.data, v.data + 6, 6);
    memcpy(v.data + 6, s->config.mac, 6);
}

/* A node without an address has 0.0.0.0. */
static bool has_ip(const struct station *s)
{
    return s->config.ip[0] != 0;
}

static bool answer_arp(const struct station *s, struct view frame)
{
    static const uint8_t ipv4_over_ethernet[] = {0, 1, 8, 0, 6, 4};
    struct view arp = view_from(frame, ETHERNET_HEADER);
    if (arp.len < ARP_LEN || !is_at(arp, 0, ipv4_over_ethernet, 6) ||
        get16(arp, 6) != ARP_REQUEST || !is_at(arp, 24, s->config.ip, 4) || !has_ip(s))
        return false;
    arp.data[7] = ARP_REPLY;
    memcpy(arp.data + 18, arp.data + 8, 10); /* the asker, now the target */
    memcpy(arp.data + 8, s->config.mac, 6);
    memcpy(arp.data + 14, s->config.ip, 4);
    turn_ethernet(s, frame);
    return true;
}

static void put_checksum(uint8_t *at, uint32_t sum)
{
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

static bool answer_icmp(struct view icmp)
{
    if (icmp.len < 8 || get8(icmp, 0) != ICMP_ECHO || !is_intact(icmp, 0))
        return false;
    icmp.data[0] = ICMP_ECHO_REPLY;
    memset(icmp.data + 2, 0, 2);
    put_checksum(icmp.data + 2, sum_of(icmp, 0));
    return true;
}

/* Not what comes from an echo port: two of them would never end. A checksum of 0 is none; another
 * covers a part of the IP header too, and is as right for the answer. RFC 768. */
static bool answer_udp(struct view ip, struct view udp)
{
    uint32_t len = get16(udp, 4);
    if (len < UDP_HEADER || len > udp.len || get16(udp, 2) != UDP_PORT_ECHO ||
        get16(udp, 0) == UDP_PORT_ECHO)
        return false;
    uint32_t addresses = sum_of((struct view){ip.data + 12, 8}, 0);
    if (get16(udp, 6) && !is_intact((struct view){udp.data, len}, addresses + IP_UDP + len))
        return false;
    swap(udp.data, udp.data + 2, 2);
    return true;
}

/* Return: what an IPv4 packet, checked, carries: without options, and without padding behind it; of
 * no bytes when it is broken, or a fragment. */
static struct view ipv4_payload(struct view ip)
{
    uint32_t header = (get8(ip, 0) & 15) * 4, total = get16(ip, 2);
    bool is_fragment = get16(ip, 6) & 0x3fff;
    if (get8(ip, 0) >> 4 != 4 || header < IPV4_HEADER || total < header || total > ip.len ||
        is_fragment || !is_intact((struct view){ip.data, header}, 0))
        return (struct view){ip.data, 0};
    return (struct view){ip.data + header, total - header};
}

static bool answer_payload(struct view ip, struct view payload)
{
    switch (get8(ip, 9)) {
    case IP_ICMP:
        return answer_icmp(payload);
    case IP_UDP:
        return answer_udp(ip, payload);
    default:
        return false;
    }
}

static bool answer_ipv4(const struct station *s, struct view frame)
{
    struct view ip = view_from(frame, ETHERNET_HEADER), payload = ipv4_payload(ip);
    if (payload.len == 0 || !has_ip(s) || !is_at(ip, 16, s->config.ip, 4) ||
        !is_at(frame, 0, s->config.mac, 6) || !answer_payload(ip, payload))
        return false;
    swap(ip.data + 12, ip.data + 16, 4);
    ip.data[8] = IPV4_TTL;
    memset(ip.data + 10, 0, 2);
    put_checksum(ip.data + 10, sum_of((struct view){ip.data, (get8(ip, 0) & 15U) * 4}, 0));
    turn_ethernet(s, frame);
    return true;
}

/* Nothing answers what a group sent. */
static bool answer(const struct station *s, struct view frame)
{
    if (get8(frame, 6) & 1)
        return false;
    switch (get16(frame, 12)) {
    case ETHERTYPE_ARP:
        return answer_arp(s, frame);
    case ETHERTYPE_IPV4:
        return answer_ipv4(s, frame);
    default:
        return false;
    }
}

/* An answer counts as a hop: whatever two stations say to each other ends. */
void station_receive(struct plane *p, struct station *s, struct packet *pkt)
{
    if (s->out && ++pkt->hops <= BRIDGE_HOPS_MAX && packet_own_frame(&p->pool, pkt) &&
        answer(s, (struct view){pkt->frame->data, pkt->frame->len}))
        direction_offer(p, s->out, pkt, packet_due(pkt));
    else
        packet_free(&p->pool, pkt);
}
