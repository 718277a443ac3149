/* SPDX-License-Identifier: MIT */
#include "runtime/bench/netspace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a thread that enters the namespace is to do there. */
struct visit {
    int ns; /* -1: a new one */
    int64_t (*act)(struct visit *v);
    const char *text; /* command or name */
    uint16_t port;
    int64_t result;
};

static void *visitor(void *arg)
{
    struct visit *v = arg;
    int err = v->ns < 0 ? unshare(CLONE_NEWNET) : setns(v->ns, CLONE_NEWNET);
    v->result = err ? -errno : v->act(v);
    return NULL;
}

/* In a thread of its own, since a namespace is a thread's. */
static int64_t visit(struct visit v)
{
    pthread_t thread;
    int err = pthread_create(&thread, NULL, visitor, &v);
    if (err)
        return -err;
    pthread_join(thread, NULL);
    return v.result;
}

static int64_t open_own(struct visit *v)
{
    (void)v;
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int netspace_new(void)
{
    return (int)visit((struct visit){.ns = -1, .act = open_own});
}

static int64_t run(struct visit *v)
{
    int status = system(v->text);
    return status < 0 ? -errno : WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int netspace_run(int ns, const char *command)
{
    return (int)visit((struct visit){.ns = ns, .act = run, .text = command});
}

static int64_t make_tap(struct visit *v)
{
    struct ifreq device = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", v->text);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &device) == 0)
        return fd < 0 ? -errno : fd;
    int err = -errno;
    close(fd);
    return err;
}

int netspace_tap(int ns, const char *name)
{
    return (int)visit((struct visit){.ns = ns, .act = make_tap, .text = name});
}

static int64_t make_packet(struct visit *v)
{
    struct sockaddr_ll own = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(v->text)};
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
    return (int)visit((struct visit){.ns = ns, .act = make_packet, .text = name});
}

static int64_t make_sink(struct visit *v)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(v->port)};
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
    return (int)visit((struct visit){.ns = ns, .act = make_sink, .port = port});
}

/* The second number behind "NAME:" of a line in /proc/net/dev. */
static int64_t read_received(struct visit *v)
{
    char line[512];
    int64_t packets = -ENODEV;
    size_t n = strlen(v->text);
    FILE *f = fopen("/proc/thread-self/net/dev", "re");
    if (!f)
        return -errno;
    while (packets < 0 && fgets(line, sizeof(line), f)) {
        const char *at = line + strspn(line, " ");
        if (strncmp(at, v->text, n) == 0 && at[n] == ':')
            sscanf(at + n + 1, "%*d %" SCNd64, &packets);
    }
    fclose(f);
    return packets;
}

int64_t netspace_received(int ns, const char *name)
{
    return visit((struct visit){.ns = ns, .act = read_received, .text = name});
}
