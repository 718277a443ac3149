/* SPDX-License-Identifier: MIT */
#include "runtime/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A Unix datagram socket queues this many frames; the kernel's 10 cost half of the throughput
 * (measured: 253k against 600k frames of 64 bytes a second). The setting is the namespace's own. */
#define DGRAM_QUEUE "512"

static int write_setting(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, strlen(text));
    int err = n < 0 ? -errno : 0;
    close(fd);
    return err;
}

static bool setting_is(const char *path, char value)
{
    char c = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is = read(fd, &c, 1) == 1 && c == value;
    close(fd);
    return is;
}

static const char *blocking_setting(void)
{
    if (setting_is("/proc/sys/kernel/unprivileged_userns_clone", '0'))
        return "; set it with: sysctl kernel.unprivileged_userns_clone=1";
    if (setting_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
        return "; set it with: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
    if (setting_is("/proc/sys/user/max_user_namespaces", '0'))
        return "; set it with: sysctl user.max_user_namespaces=10000";
    return "";
}

static int map_self(uid_t uid, gid_t gid)
{
    char map[64];
    int err = write_setting("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    if (!err)
        err = write_setting("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", gid);
    return err ? err : write_setting("/proc/self/gid_map", map);
}

static int enter_user_namespace(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    return unshare(CLONE_NEWUSER) ? -errno : map_self(uid, gid);
}

void netns_enter(struct netns *netns)
{
    *netns = (struct netns){0};
    int err = unshare(CLONE_NEWNET) ? -errno : 0;
    if (err == -EPERM) {
        err = enter_user_namespace();
        if (!err)
            err = unshare(CLONE_NEWNET) ? -errno : 0;
    }
    if (err == -EINVAL) { /* of an ordinary user's process with more than one thread */
        snprintf(netns->why, sizeof(netns->why),
                 "packets are moved already: declare the first vm or host before the first link or "
                 "switch");
        return;
    }
    if (err) {
        snprintf(netns->why, sizeof(netns->why), "this host allows no user namespaces (%s)%s",
                 strerror(-err), blocking_setting());
        return;
    }
    netns->is_private = true;
    write_setting("/proc/sys/net/unix/max_dgram_qlen", DGRAM_QUEUE);
}

static int open_own(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Back to where the thread came from; @home is closed. Elsewhere the process cannot go on: its own
 * sockets would be made in the wrong place. */
static void go_home(int home)
{
    if (setns(home, CLONE_NEWNET))
        abort();
    close(home);
}

int netns_make(void)
{
    int home = open_own();
    if (home < 0)
        return home;
    int made = unshare(CLONE_NEWNET) ? -errno : open_own();
    go_home(home);
    return made;
}

int netns_visit(int ns, int (*fn)(void *arg), void *arg)
{
    int home = open_own();
    if (home < 0)
        return home;
    int result = setns(ns, CLONE_NEWNET) ? -errno : fn(arg);
    go_home(home);
    return result;
}

int netns_set(const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
    return write_setting(path, value);
}
