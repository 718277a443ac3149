/* SPDX-License-Identifier: MIT */
#include "runtime/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <stdlib.h>

struct netlink {
    struct nl_sock *socket;
};

/* libnl's own error for an errno's number. */
static int to_errno(int err)
{
    switch (-err) {
    case NLE_SUCCESS:
        return 0;
    case NLE_PERM:
        return -EPERM;
    case NLE_NOACCESS:
        return -EACCES;
    case NLE_NOMEM:
        return -ENOMEM;
    case NLE_EXIST:
        return -EEXIST;
    case NLE_OBJ_NOTFOUND:
    case NLE_NODEV:
        return -ENODEV;
    case NLE_BUSY:
        return -EBUSY;
    case NLE_RANGE:
        return -ERANGE;
    case NLE_OPNOTSUPP:
        return -EOPNOTSUPP;
    default:
        return -EINVAL;
    }
}

int netlink_open(struct netlink **out)
{
    struct netlink *netlink = calloc(1, sizeof(*netlink));
    if (netlink)
        netlink->socket = nl_socket_alloc();
    errno = 0;
    int err = netlink && netlink->socket ? nl_connect(netlink->socket, NETLINK_ROUTE) : -NLE_NOMEM;
    if (err < 0) {
        err = errno ? -errno : to_errno(err); /* libnl has no error for too many open files */
        netlink_close(netlink);
        return err;
    }
    *out = netlink;
    return 0;
}

void netlink_close(struct netlink *netlink)
{
    if (!netlink)
        return;
    nl_socket_free(netlink->socket);
    free(netlink);
}

/* Return: 0 or libnl's error. */
static int change(struct netlink *netlink, const char *name, struct rtnl_link *wanted)
{
    struct rtnl_link *present = NULL;
    int err = wanted ? rtnl_link_get_kernel(netlink->socket, 0, name, &present) : -NLE_NOMEM;
    if (!err)
        err = rtnl_link_change(netlink->socket, present, wanted, 0);
    rtnl_link_put(present);
    return err;
}

int netlink_set_up(struct netlink *netlink, const char *name, int up)
{
    struct rtnl_link *wanted = rtnl_link_alloc();
    if (wanted && up)
        rtnl_link_set_flags(wanted, IFF_UP);
    else if (wanted)
        rtnl_link_unset_flags(wanted, IFF_UP);
    int err = change(netlink, name, wanted);
    rtnl_link_put(wanted);
    return to_errno(err);
}

int netlink_move(struct netlink *netlink, const char *name, int ns, const char *new_name)
{
    struct rtnl_link *wanted = rtnl_link_alloc();
    if (wanted) {
        rtnl_link_set_ns_fd(wanted, ns);
        rtnl_link_set_name(wanted, new_name);
    }
    int err = change(netlink, name, wanted);
    rtnl_link_put(wanted);
    return to_errno(err);
}

static int set_link(struct netlink *netlink, const struct netlink_interface *interface)
{
    struct rtnl_link *wanted = rtnl_link_alloc();
    struct nl_addr *mac = nl_addr_build(AF_LLC, interface->mac, sizeof(interface->mac));
    int err = -NLE_NOMEM;
    if (wanted && mac) {
        rtnl_link_set_addr(wanted, mac);
        if (interface->mtu)
            rtnl_link_set_mtu(wanted, interface->mtu);
        rtnl_link_set_flags(wanted, IFF_UP);
        err = change(netlink, interface->name, wanted);
    }
    nl_addr_put(mac);
    rtnl_link_put(wanted);
    return err;
}

static int find_index(struct netlink *netlink, const char *name)
{
    struct rtnl_link *present = NULL;
    int err = rtnl_link_get_kernel(netlink->socket, 0, name, &present);
    int index = err ? err : rtnl_link_get_ifindex(present);
    rtnl_link_put(present);
    return index;
}

/* The broadcast address, with every bit of the host's part set; none on links of two. */
static int set_broadcast(struct rtnl_addr *address, const struct netlink_interface *interface)
{
    if (interface->prefix >= 31)
        return 0;
    uint32_t all = interface->ip | htonl(UINT32_MAX >> interface->prefix);
    struct nl_addr *broadcast = nl_addr_build(AF_INET, &all, sizeof(all));
    int err = broadcast ? rtnl_addr_set_broadcast(address, broadcast) : -NLE_NOMEM;
    nl_addr_put(broadcast);
    return err;
}

static int add_address(struct netlink *netlink, const struct netlink_interface *interface)
{
    int index = find_index(netlink, interface->name);
    if (index < 0)
        return index;
    struct rtnl_addr *address = rtnl_addr_alloc();
    struct nl_addr *local = nl_addr_build(AF_INET, &interface->ip, sizeof(interface->ip));
    int err = -NLE_NOMEM;
    if (address && local) {
        nl_addr_set_prefixlen(local, interface->prefix);
        rtnl_addr_set_ifindex(address, index);
        err = rtnl_addr_set_local(address, local);
        if (!err)
            err = set_broadcast(address, interface);
        if (!err)
            err = rtnl_addr_add(netlink->socket, address, 0);
    }
    nl_addr_put(local);
    rtnl_addr_put(address);
    return err;
}

static int fill_route(struct rtnl_route *route, struct rtnl_nexthop *hop, uint32_t gateway,
                      int index)
{
    uint32_t any = 0;
    struct nl_addr *to = nl_addr_build(AF_INET, &any, sizeof(any));
    struct nl_addr *via = nl_addr_build(AF_INET, &gateway, sizeof(gateway));
    int err = -NLE_NOMEM;
    if (to && via) {
        nl_addr_set_prefixlen(to, 0);
        err = rtnl_route_set_dst(route, to);
        rtnl_route_nh_set_ifindex(hop, index);
        rtnl_route_nh_set_gateway(hop, via);
    }
    nl_addr_put(to);
    nl_addr_put(via);
    return err;
}

static int add_default_route(struct netlink *netlink, const struct netlink_interface *interface)
{
    int index = find_index(netlink, interface->name);
    if (index < 0)
        return index;
    struct rtnl_route *route = rtnl_route_alloc();
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    int err = route && hop ? fill_route(route, hop, interface->gateway, index) : -NLE_NOMEM;
    if (!err) {
        rtnl_route_add_nexthop(route, hop); /* which is the route's from here on */
        hop = NULL;
        err = rtnl_route_add(netlink->socket, route, NLM_F_REPLACE);
    }
    if (hop)
        rtnl_route_nh_free(hop);
    rtnl_route_put(route);
    return err;
}

int netlink_configure(struct netlink *netlink, const struct netlink_interface *interface)
{
    int err = set_link(netlink, interface);
    if (!err && interface->ip)
        err = add_address(netlink, interface);
    if (!err && interface->gateway)
        err = add_default_route(netlink, interface);
    return to_errno(err);
}
