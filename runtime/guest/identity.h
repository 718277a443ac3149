/* SPDX-License-Identifier: MIT */
/* What makes a guest this one and no other: its name, files, addresses, clock and random seed. */
#ifndef QN_RUNTIME_GUEST_IDENTITY_H
#define QN_RUNTIME_GUEST_IDENTITY_H

#include <stddef.h>

/** Carry out the lines of @text, whose byte at @n is NUL and which is changed:
 *
 * - hostname NAME
 * - file PATH SIZE, then SIZE bytes: writes the file; try-file: if it can be
 * - machine-id ID: in /etc/machine-id, if it can be; systemd's journal is found under it too
 * - entropy SIZE, then SIZE bytes, at most ENTROPY_MAX: seeds the kernel's random generator
 * - nic OLD NEW MTU ADDRESS LENGTH GATEWAY: the interface with the hardware address OLD gets NEW,
 *   the MTU (0: as it is) and an IPv4 address, is up, and has the default route if there is a
 *   GATEWAY; "-" is none
 * - clock: says the time of day, and that of the clock that nobody sets
 * - step SIGN NANOSECONDS: moves the time of day by so much, + or -
 *
 * @say  takes what is to be said: an interface's name, the time in nanoseconds; a line each
 * Return: NULL, or what failed with errno set. */
const char *take_identity(char *text, size_t n, void (*say)(const char *line));

#define ENTROPY_MAX 256

#endif
