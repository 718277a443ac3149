/* SPDX-License-Identifier: MIT */
/* A vde_switch of our own, if there is one, to be measured against. */
#ifndef QN_BENCH_VDE_H
#define QN_BENCH_VDE_H

#include "vmctl/child.h"

struct vde {
    struct child child;
    void *library;
    void *connections[2];
    int fds[2];      /* datagram sockets: a frame sent on one comes at the other */
    char folder[64]; /* of its control socket */
};

/** Start a switch with two ports in zeroed @v. Return: 0; -ENOENT: there is no vde_switch or no
 * libvdeplug; or negative errno. Close in every case. */
int vde_open(struct vde *v);

/** End it. */
void vde_close(struct vde *v);

#endif
