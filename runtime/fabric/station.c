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

static bool answer_arp(const struct station *s, struct view frame)
{
    static const uint8_t ipv4_over_ethernet[] = {0, 1, 8, 0, 6, 4};
    struct view arp = view_from(frame, ETHERNET_HEADER);
    if (arp.len < ARP_LEN || !is_at(arp, 0, ipv4_over_ethernet, 6) ||
        get16(arp, 6) != ARP_REQUEST || !is_at(arp, 24, s->config.ip, 4))
        return false;
    arp.data[7] = ARP_REPLY;
    memcpy(arp.data + 18, arp.data + 8, 10); /* the asker, now the target */
    memcpy(arp.data + 8, s->config.mac, 6);
    memcpy(arp.data + 14, s->config.ip, 4);
    turn_ethernet(s, frame);
    return true;
}

/* RFC 1624: what one 16-bit word's change does to an Internet checksum. */
static void patch_checksum(uint8_t *at, uint32_t from, uint32_t to)
{
    uint32_t sum = (~((uint32_t)at[0] << 8 | at[1]) & 0xffff) + (~from & 0xffff) + to;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    at[0] = (uint8_t)(sum >> 8);
    at[1] = (uint8_t)sum;
}

static bool answer_icmp(struct view icmp)
{
    if (icmp.len < 8 || get8(icmp, 0) != ICMP_ECHO)
        return false;
    icmp.data[0] = ICMP_ECHO_REPLY;
    patch_checksum(icmp.data + 2, ICMP_ECHO << 8, ICMP_ECHO_REPLY << 8);
    return true;
}

/* Not what comes from an echo port: two of them would never end. */
static bool answer_udp(struct view udp)
{
    if (udp.len < UDP_HEADER || get16(udp, 2) != UDP_PORT_ECHO || get16(udp, 0) == UDP_PORT_ECHO)
        return false;
    swap(udp.data, udp.data + 2, 2);
    return true;
}

static bool answer_ipv4(const struct station *s, struct view frame)
{
    struct view ip = view_from(frame, ETHERNET_HEADER);
    uint32_t header = (get8(ip, 0) & 15) * 4;
    bool is_fragment = get16(ip, 6) & 0x3fff;
    if (ip.len < IPV4_HEADER || get8(ip, 0) >> 4 != 4 || header < IPV4_HEADER || is_fragment ||
        !is_at(ip, 16, s->config.ip, 4) || !is_at(frame, 0, s->config.mac, 6))
        return false;
    struct view payload = view_from(ip, header);
    bool answered = get8(ip, 9) == IP_ICMP  ? answer_icmp(payload)
                    : get8(ip, 9) == IP_UDP ? answer_udp(payload)
                                            : false;
    if (answered) {
        swap(ip.data + 12, ip.data + 16, 4);
        turn_ethernet(s, frame);
    }
    return answered;
}

static bool answer(const struct station *s, struct view frame)
{
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
