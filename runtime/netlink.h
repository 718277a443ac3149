/* SPDX-License-Identifier: MIT */
/* Network interfaces by rtnetlink: the only user of libnl. */
#ifndef QN_RUNTIME_NETLINK_H
#define QN_RUNTIME_NETLINK_H

#include <stdint.h>

struct netlink;

struct netlink_interface {
    const char *name;
    uint8_t mac[6];
    unsigned mtu;     /* 0: as it is */
    uint32_t ip;      /* network byte order; 0: no address */
    uint8_t prefix;   /* bits */
    uint32_t gateway; /* of a default route, network byte order; 0: none */
};

/** For the interfaces of the network namespace that the caller is in now, wherever it goes later.
 * Return: 0 or negative errno. */
int netlink_open(struct netlink **out);
void netlink_close(struct netlink *netlink);

/** Give an interface its MAC address and MTU, bring it up, and give it its IPv4 address and route.
 * Return: 0 or negative errno. */
int netlink_configure(struct netlink *netlink, const struct netlink_interface *interface);

/** Bring an interface up or down. Return: 0 or negative errno. */
int netlink_set_up(struct netlink *netlink, const char *name, int up);

/** Move an interface to the network namespace of descriptor @ns, as @new_name; it loses its
 * addresses and is down there. Return: 0 or negative errno. */
int netlink_move(struct netlink *netlink, const char *name, int ns, const char *new_name);

#endif
