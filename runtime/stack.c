/* SPDX-License-Identifier: MIT */
#include "runtime/stack.h"

#include "runtime/netlink.h"
#include "runtime/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI)

/* Work to be done inside. */
struct visit {
    int (*work)(struct netlink *netlink, const struct visit *visit);
    const struct netlink_interface *interface;
    const char *name, *new_name;
    int other;
};

static int with_netlink(void *arg)
{
    const struct visit *visit = arg;
    struct netlink *netlink;
    int err = netlink_open(&netlink);
    if (err)
        return err;
    err = visit->work(netlink, visit);
    netlink_close(netlink);
    return err;
}

static int visit(int stack, struct visit visit)
{
    return netns_visit(stack, with_netlink, &visit);
}

/* What an interface would say by itself once it is up, unasked, is not the experiment's: IPv6 looks
 * for routers and for twins of its address. The settings may be absent or read-only. */
static void keep_quiet(void)
{
    netns_set("ipv6/conf/default/router_solicitations", "0");
    netns_set("ipv6/conf/default/accept_dad", "0");
    netns_set("ipv6/conf/default/dad_transmits", "0");
}

static int bring_loopback_up(struct netlink *netlink, const struct visit *visit)
{
    (void)visit;
    keep_quiet();
    return netlink_set_up(netlink, "lo", true);
}

int stack_open(int users)
{
    int stack = netns_make(users);
    if (stack < 0)
        return stack;
    int err = visit(stack, (struct visit){.work = bring_loopback_up});
    if (!err)
        return stack;
    close(stack);
    return err;
}

/* A tap belongs to the namespace in which the device was opened. Left persistent, it goes with the
 * namespace, where the kernel takes many at once and nobody waits: with its descriptor it takes
 * 16 ms each (measured with Linux 6.18), at the end of the process too. */
static int make_tap(void *arg)
{
    struct ifreq request = {.ifr_flags = TAP_FLAGS};
    const char *name = arg;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    int fd = open(TUN, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

int stack_add_tap(int stack, const char *name)
{
    return netns_visit(stack, make_tap, (void *)name);
}

int stack_release_tap(int tap)
{
    return ioctl(tap, TUNSETPERSIST, 0) ? -errno : 0;
}

static int configure(struct netlink *netlink, const struct visit *visit)
{
    return netlink_configure(netlink, visit->interface);
}

int stack_configure(int stack, const struct netlink_interface *interface)
{
    return visit(stack, (struct visit){.work = configure, .interface = interface});
}

/* Return: the namespace that a tap is in, as a descriptor, and its name there; or negative errno.
 */
static int find_tap(int tap, char name[IFNAMSIZ])
{
    struct ifreq found = {0};
    if (ioctl(tap, TUNGETIFF, &found))
        return -errno;
    snprintf(name, IFNAMSIZ, "%s", found.ifr_name);
    int stack = ioctl(tap, TUNGETDEVNETNS);
    return stack < 0 ? -errno : stack;
}

static int visit_tap(int tap, struct visit wanted)
{
    char name[IFNAMSIZ];
    int stack = find_tap(tap, name);
    if (stack < 0)
        return stack;
    wanted.name = name;
    int err = visit(stack, wanted);
    close(stack);
    return err;
}

static int quiet(struct netlink *netlink, const struct visit *visit)
{
    return netlink_set_up(netlink, visit->name, false);
}

int stack_quiet(int tap)
{
    return visit_tap(tap, (struct visit){.work = quiet});
}

/* With the interface gone, its descriptors can have a new one. */
static int make_again(int tap)
{
    struct ifreq request = {.ifr_flags = TAP_FLAGS};
    if (ioctl(tap, TUNSETIFF, &request) || ioctl(tap, TUNSETPERSIST, 1))
        return -errno;
    return 0;
}

static int move(struct netlink *netlink, const struct visit *visit)
{
    return netlink_move(netlink, visit->name, visit->other, visit->new_name);
}

int stack_move(int tap, int stack, const char *name)
{
    const struct visit wanted = {.work = move, .other = stack, .new_name = name};
    int err = visit_tap(tap, wanted);
    if (err != -EBADFD)
        return err;
    err = make_again(tap);
    return err ? err : visit_tap(tap, wanted);
}

int stack_set_carrier(int tap, bool up)
{
    int carrier = up;
    return ioctl(tap, TUNSETCARRIER, &carrier) && errno != EBADFD ? -errno : 0;
}

const char *stack_advice(int err)
{
    if (err == -ENOSPC)
        return " (too many network namespaces: raise the limit with: sysctl "
               "user.max_net_namespaces=100000)";
    if (err == -EAGAIN)
        return " (no room for more processes: raise the limit with: ulimit -Hu 100000)";
    if (err == -EMFILE)
        return " (too many open files: raise the limit with: ulimit -Hn 100000)";
    if (access(TUN, R_OK | W_OK) == 0)
        return "";
    if (errno == ENOENT)
        return " (" TUN " is missing; as root: modprobe tun)";
    if (errno == EACCES)
        return " (" TUN " is not open to this user, as it is on most systems; as root: "
               "chmod 666 " TUN ")";
    return "";
}
