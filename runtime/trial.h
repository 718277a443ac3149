/* SPDX-License-Identifier: MIT */
/* What this host allows, found out by trying: each trial in a process of its own, which leaves
 * nothing. */
#ifndef QN_RUNTIME_TRIAL_H
#define QN_RUNTIME_TRIAL_H

#include <stdbool.h>

struct trial {
    bool worked;
    char why[320]; /* why not, with what to do about it where that is known */
};

/** Make a private network namespace as an ordinary user would; root's process becomes one (nobody)
 * for that. Return: 0, or negative errno when it cannot be tried. */
int trial_user_namespace(struct trial *trial);

/** Make a tap in a private network namespace, as the host of an experiment has it, as the user that
 * we are. Return: 0, or negative errno when it cannot be tried. */
int trial_tap(struct trial *trial);

#endif
