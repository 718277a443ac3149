/* SPDX-License-Identifier: MIT */
#include "runtime/bench/netspace.h"

#include "runtime/netns.h"
#include "runtime/stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int netspace_new(void)
{
    return netns_make(-1);
}

static int run(void *arg)
{
    int status = system(arg);
    return status < 0 ? -errno : WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int netspace_run(int ns, const char *command)
{
    return netns_visit(ns, run, (void *)command);
}

int netspace_tap(int ns, const char *name)
{
    int tap = stack_add_tap(ns, name);
    int err = tap < 0 ? tap : stack_release_tap(tap);
    if (err && tap >= 0)
        close(tap);
    return err ? err : tap;
}

static int make_packet(void *name)
{
    struct sockaddr_ll own = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), err = 0;
    if (fd < 0)
        return -errno;
    if (own.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)))
        err = -errno;
    if (err)
        close(fd);
    return err ? err : fd;
}

int netspace_packet(int ns, const char *name)
{
    return netns_visit(ns, make_packet, (void *)name);
}

static int make_sink(void *port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(*(uint16_t *)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 0, err = 0;
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) ||
        bind(fd, (struct sockaddr *)&own, sizeof(own)))
        err = -errno;
    if (err)
        close(fd);
    return err ? err : fd;
}

int netspace_sink(int ns, uint16_t port)
{
    return netns_visit(ns, make_sink, &port);
}

struct interface {
    const char *name;
    int64_t received;
};

/* The second number behind "NAME:" of a line in /proc/net/dev. */
static int read_received(void *arg)
{
    struct interface *interface = arg;
    char line[512];
    size_t n = strlen(interface->name);
    FILE *f = fopen("/proc/thread-self/net/dev", "re");
    if (!f)
        return -errno;
    while (interface->received < 0 && fgets(line, sizeof(line), f)) {
        const char *at = line + strspn(line, " ");
        if (strncmp(at, interface->name, n) == 0 && at[n] == ':')
            sscanf(at + n + 1, "%*d %" SCNd64, &interface->received);
    }
    fclose(f);
    return interface->received < 0 ? -ENODEV : 0;
}

int64_t netspace_received(int ns, const char *name)
{
    struct interface interface = {name, -1};
    int err = netns_visit(ns, read_received, &interface);
    return err ? err : interface.received;
}
