/* SPDX-License-Identifier: MIT */
/* A router between one node's Ethernet frames and the network of the process that it runs in, by
 * libslirp: connections of the node become sockets of the process. */
#ifndef QN_RUNTIME_GATEWAY_H
#define QN_RUNTIME_GATEWAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct gateway_config {
    struct in_addr network, mask; /* what the node and the gateway share */
    struct in_addr gateway, nameserver;
    struct in_addr node; /* the address that is given by DHCP */
    size_t mtu;          /* 0: 1500 */
    bool host_loopback;  /* whether the gateway's address leads to 127.0.0.1 */
};

/** Serve until the other end of @life closes; does not return. @frames: a Unix datagram socket with
 * a frame a datagram. The process must be single-threaded and for this alone: what the node sends
 * is not trusted, so the process first gives up what rights it has. */
_Noreturn void gateway_run(const struct gateway_config *config, int life, int frames);

#endif
