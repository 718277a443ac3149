/* SPDX-License-Identifier: MIT */
/* Network namespaces for benchmarks of the kernel's own paths. One lives as long as its descriptor
 * and the sockets and devices in it. */
#ifndef QN_BENCH_NETSPACE_H
#define QN_BENCH_NETSPACE_H

#include <stdint.h>

/** Return: the descriptor of a new namespace, to be closed, or negative errno. */
int netspace_new(void);

/** Run a shell command in it and wait. Return: 0; its exit status; or negative errno. */
int netspace_run(int ns, const char *command);

/** Make a tap there. Return: its descriptor, without packet information, or negative errno. */
int netspace_tap(int ns, const char *name);

/** Return: a packet socket there that sends whole frames on interface @name, or negative errno. */
int netspace_packet(int ns, const char *name);

/** Return: a UDP socket there that is bound to @port and keeps hardly anything, or negative errno.
 */
int netspace_sink(int ns, uint16_t port);

/** Return: packets that interface @name has received, or negative errno. */
int64_t netspace_received(int ns, const char *name);

#endif
