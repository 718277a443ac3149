/* SPDX-License-Identifier: MIT */
/* The process outside of the private network, and its gateways: with frames by hand for a node. */
#include "runtime/nat.h"

#include "tests/unit/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static const uint8_t node_mac[ETH_ALEN] = {0x52, 0x54, 0, 0, 1, 1};

struct frame {
    struct ether_header ether;
    union {
        struct ether_arp arp;
        struct {
            struct iphdr ip;
            struct tcphdr tcp;
        };
    };
} __attribute__((packed));

static struct in_addr address(const char *text)
{
    struct in_addr a = {0};
    CHECK_INT(inet_pton(AF_INET, text, &a), 1);
    return a;
}

static struct gateway_config config_of(bool host_loopback)
{
    return (struct gateway_config){
        .network = address("100.64.0.0"),
        .mask = address("255.255.255.0"),
        .gateway = address("100.64.0.2"),
        .nameserver = address("100.64.0.3"),
        .node = address("100.64.0.1"),
        .host_loopback = host_loopback,
    };
}

/* A node's link to a gateway of the process. */
struct node {
    struct nat nat;
    int life, frames;
};

static void open_node(struct node *node, bool host_loopback)
{
    int pair[2];
    struct gateway_config config = config_of(host_loopback);
    CHECK_INT(nat_start(&node->nat), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    node->frames = pair[0];
    node->life = nat_open(&node->nat, &config, pair[1]);
    CHECK(node->life >= 0);
    close(pair[1]);
}

static void close_node(struct node *node)
{
    close(node->life);
    close(node->frames);
    nat_stop(&node->nat);
    nat_stop(&node->nat);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1;
}

static void send_arp(struct node *node)
{
    struct gateway_config c = config_of(false);
    struct frame f = {.ether.ether_type = htons(ETHERTYPE_ARP)};
    memset(f.ether.ether_dhost, 0xff, ETH_ALEN);
    memcpy(f.ether.ether_shost, node_mac, ETH_ALEN);
    f.arp.ea_hdr = (struct arphdr){htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), ETH_ALEN, 4,
                                   htons(ARPOP_REQUEST)};
    memcpy(f.arp.arp_sha, node_mac, ETH_ALEN);
    memcpy(f.arp.arp_spa, &c.node, 4);
    memcpy(f.arp.arp_tpa, &c.gateway, 4);
    CHECK(send(node->frames, &f, sizeof(f.ether) + sizeof(f.arp), 0) > 0);
}

/* Return: whether a frame comes in time; of the wanted type, others are passed over. */
static bool take(struct node *node, uint16_t type, struct frame *f)
{
    while (readable(node->frames)) {
        CHECK(recv(node->frames, f, sizeof(*f), 0) > 0);
        if (f->ether.ether_type == htons(type))
            return true;
    }
    return false;
}

static bool answers_arp(struct node *node)
{
    struct frame f;
    send_arp(node);
    return take(node, ETHERTYPE_ARP, &f) && f.arp.ea_hdr.ar_op == htons(ARPOP_REPLY);
}

static uint32_t sum(uint32_t so_far, const void *data, size_t n)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < n; i += 2)
        so_far += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return so_far;
}

static uint16_t fold(uint32_t total)
{
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return htons((uint16_t)~total);
}

/* Ask the gateway's address for a connection. */
static void send_syn(struct node *node, uint16_t port)
{
    struct gateway_config c = config_of(false);
    struct frame f = {.ether.ether_type = htons(ETHERTYPE_IP)};
    memset(f.ether.ether_dhost, 0x52, ETH_ALEN);
    memcpy(f.ether.ether_shost, node_mac, ETH_ALEN);
    f.ip = (struct iphdr){.version = 4,
                          .ihl = 5,
                          .tot_len = htons(sizeof(f.ip) + sizeof(f.tcp)),
                          .ttl = 64,
                          .protocol = IPPROTO_TCP,
                          .saddr = c.node.s_addr,
                          .daddr = c.gateway.s_addr};
    f.ip.check = fold(sum(0, &f.ip, sizeof(f.ip)));
    f.tcp = (struct tcphdr){.th_sport = htons(4000),
                            .th_dport = port,
                            .th_off = 5,
                            .th_flags = TH_SYN,
                            .th_win = htons(1000)};
    f.tcp.th_sum =
        fold(sum(sum(IPPROTO_TCP + sizeof(f.tcp), &f.ip.saddr, 8), &f.tcp, sizeof(f.tcp)));
    CHECK(send(node->frames, &f, sizeof(f.ether) + sizeof(f.ip) + sizeof(f.tcp), 0) > 0);
}

/* Return: a socket that listens at 127.0.0.1. */
static int listener(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&at, size), 0);
    CHECK_INT(listen(fd, 1), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = at.sin_port;
    return fd;
}

/* Return: the flags of the answer to a connection's first segment. */
static unsigned answer_to_syn(bool host_loopback, bool *arrived)
{
    uint16_t port;
    struct node node;
    struct frame f = {0};
    int server = listener(&port);
    open_node(&node, host_loopback);
    CHECK(answers_arp(&node));
    send_syn(&node, port);
    CHECK(take(&node, ETHERTYPE_IP, &f));
    struct pollfd come = {.fd = server, .events = POLLIN};
    *arrived = poll(&come, 1, 0) == 1;
    close_node(&node);
    close(server);
    return f.ip.protocol == IPPROTO_TCP ? f.tcp.th_flags : 0;
}

static void connections(void)
{
    bool arrived;
    CHECK_INT(answer_to_syn(true, &arrived), TH_SYN | TH_ACK);
    CHECK(arrived);
}

static void no_host_loopback(void)
{
    bool arrived;
    CHECK(answer_to_syn(false, &arrived) != (TH_SYN | TH_ACK));
    CHECK(!arrived);
}

static void bad_frames(void)
{
    static char large[65000];
    struct node node;
    open_node(&node, true);
    for (size_t n = 0; n < 80; n++)
        CHECK(send(node.frames, large, n, 0) >= 0);
    memset(large, 0xff, sizeof(large));
    large[12] = 8; /* IPv4 */
    large[13] = 0;
    for (size_t n = 14; n < sizeof(large); n = n * 3 / 2)
        CHECK(send(node.frames, large, n, 0) >= 0);
    CHECK(answers_arp(&node));
    close_node(&node);
}

/* Return: the first child of a process, 0 when it has none. */
static pid_t child_of(pid_t pid)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%d", &child) != 1)
        child = 0;
    if (file)
        fclose(file);
    return child;
}

static void death_of_a_gateway(void)
{
    struct node node;
    open_node(&node, true);
    CHECK(answers_arp(&node));
    pid_t gateway = child_of(node.nat.pid);
    if (gateway) { /* else this kernel does not tell */
        char byte;
        kill(gateway, SIGKILL);
        CHECK(readable(node.life));
        CHECK_INT(read(node.life, &byte, 1), 0);
        CHECK(send(node.frames, "x", 1, 0) < 0);
    }
    struct node other = {.nat = node.nat};
    struct gateway_config config = config_of(true);
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    other.frames = pair[0];
    other.life = nat_open(&other.nat, &config, pair[1]);
    close(pair[1]);
    CHECK(answers_arp(&other)); /* the next one lives */
    close(other.life);
    close(other.frames);
    close_node(&node);
}

static void end_of_the_process(void)
{
    char byte;
    struct node node;
    struct gateway_config config = config_of(true);
    open_node(&node, true);
    CHECK(answers_arp(&node));
    nat_stop(&node.nat);
    CHECK(readable(node.life)); /* the gateways go with it */
    CHECK_INT(read(node.life, &byte, 1), 0);
    CHECK_INT(nat_open(&node.nat, &config, node.frames), -ESRCH);
    close_node(&node);
}

static const struct check_test tests[] = {
    {"a connection reaches what listens at the host's loopback", connections},
    {"unless that is switched off", no_host_loopback},
    {"frames that are none change nothing", bad_frames},
    {"a gateway's death is seen, and is its own", death_of_a_gateway},
    {"the gateways go with the process that forked them", end_of_the_process},
};

CHECK_MAIN(tests)
