/* SPDX-License-Identifier: MIT */
/* What a person sees on standard error while an experiment runs: on a terminal, live lines below
 * the output: how the run stands, and a line for each thing waited for; elsewhere plain lines, and
 * few of them. */
#ifndef QN_RUNTIME_PROGRESS_H
#define QN_RUNTIME_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <uv.h>

struct progress;

/** @level: -1 quiet (errors only), 0 normal, 1 verbose. Return: 0 or negative errno. */
int progress_open(struct progress **out, uv_loop_t *loop, int level);
void progress_close(struct progress *progress);

/** Have @status(@arg) give the first of the live lines, allocated, while they are drawn: what there
 * is to say of the run. At most twice a second. NULL: no more. */
void progress_status(struct progress *progress, char *(*status)(void *arg), void *arg);

/** Show that @what is waited for, since now; the same @key replaces its text and keeps its start.
 * @in_status: the status, when there is one, shows it. */
void progress_wait(struct progress *progress, const char *key, const char *what, bool in_status);
/** The wait @key is over. */
void progress_done(struct progress *progress, const char *key);

/** One lasting line: at @level 0 normally, 1 only when verbose, -1 always (errors: in red). */
void progress_log(struct progress *progress, int level, const char *text);

/** Write to @to, standard output or standard error, without tearing the live lines. Return: 0 or
 * negative errno. */
int progress_print(struct progress *progress, FILE *to, const char *data, size_t n);

/** From now on a line is being edited below the output: call @hide(@arg), which takes it from the
 * screen, before each output, and draw no live lines. NULL: no more. */
void progress_edit(struct progress *progress, void (*hide)(void *arg), void *arg);

/** Whether another has the screen: no live lines are drawn. */
void progress_hold(struct progress *progress, bool hold);

#endif
