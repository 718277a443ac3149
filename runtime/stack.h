/* SPDX-License-Identifier: MIT */
/* The network stack of a container: a network namespace, and the taps in it that the fabric's ports
 * are. It is there before the container's processes, and after them. What is in it goes with the
 * last descriptor of it. */
#ifndef QN_RUNTIME_STACK_H
#define QN_RUNTIME_STACK_H

#include <stdbool.h>

struct netlink_interface;

/** Make one, with its loopback interface up. @users: the user namespace of the containers that it
 * is for, when they are confined, see netns_make_users(); else -1. Return: its descriptor, or
 * negative errno. */
int stack_open(int users);

/** Make a tap of this name in it, down and without addresses. Return: its descriptor, or negative
 * errno. */
int stack_add_tap(int stack, const char *name);

/** Have a tap end with its descriptors, of which @tap is one, instead of with the stack. Return: 0
 * or negative errno. */
int stack_release_tap(int tap);

/** Give a tap what the interface has, and bring it up. Return: 0 or negative errno. */
int stack_configure(int stack, const struct netlink_interface *interface);

/** Bring the tap of descriptor @tap down, wherever it is: who is root in the container may have
 * renamed it, or moved it to a namespace of theirs. Return: 0 or negative errno; -EBADFD when it
 * was deleted. */
int stack_quiet(int tap);

/** Move a tap from wherever it is to a stack, under this name; when it was deleted, make it anew.
 * Its descriptors go on. Takes some 20 ms of kernel time. Return: 0 or negative errno. */
int stack_move(int tap, int stack, const char *name);

/** Plug the cable of a tap in or out, as the container sees it; one that was deleted has none.
 * Return: 0 or negative errno. */
int stack_set_carrier(int tap, bool up);

/** Return: what to do about error @err of stack_open() or stack_add_tap(), in words that follow
 * after its own; "" when there is nothing to add. */
const char *stack_advice(int err);

#endif
