/* SPDX-License-Identifier: MIT */
/* The private network namespace that a run lives in: the host's network is neither seen nor
 * touched, and the kernel takes everything away with the last process in it. */
#ifndef QN_RUNTIME_NETNS_H
#define QN_RUNTIME_NETNS_H

#include <stdbool.h>

struct netns {
    bool is_private;
    char why[256]; /* when not private: what stands in the way and which setting changes it */
};

/** Move the calling process into a network namespace of its own: as root directly, else inside a
 * user namespace in which the caller is root. Call while there is one thread only. Without a
 * private namespace machines and links work all the same, with shorter socket queues. */
void netns_enter(struct netns *netns);

/** Make a user namespace below the one that the process is in, with the same users and groups, for
 * what is to have no rights outside. Return: its descriptor, or negative errno. */
int netns_make_users(void);

/** Make another network namespace, beside the one that the process is in. @users: the user
 * namespace whose root has rights over it; -1: the process's.
 * Return: its descriptor, which keeps it, or negative errno. */
int netns_make(int users);

/** Call @fn(@arg) in the namespace of descriptor @ns. Sockets and taps that are opened there stay
 * there. Return: what @fn returns, or negative errno. */
int netns_visit(int ns, int (*fn)(void *arg), void *arg);

/** Set /proc/sys/net/@name in the namespace that the caller is in. Return: 0 or negative errno. */
int netns_set(const char *name, const char *value);

#endif
