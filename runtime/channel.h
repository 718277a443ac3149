/* SPDX-License-Identifier: MIT */
/* The command channel of one virtual machine: a plain shell on a virtio-serial port, which starts
 * the command processing units, and the jobs that run on them. One command at a time on a unit;
 * commands beyond the number of units wait their turn. See runtime/guest/ for the other side. */
#ifndef QN_RUNTIME_CHANNEL_H
#define QN_RUNTIME_CHANNEL_H

#include "runtime/job.h"

#include <uv.h>

/* The units that are there from the start, and the most there can be. Each unit's two ports hold
 * one MiB of the guest's memory. More come as they are needed, one by one: QEMU's control queue to
 * the guest has 32 places, a port's arrival may take two, and what finds no place is lost without
 * notice (measured: of 17 ports at once, the last never opened). */
#define CHANNEL_UNITS 3
#define CHANNEL_UNITS_MAX 100
#define CHANNEL_SHELL_PORT "qn.shell"

struct channel;
struct timers;

struct channel_handler {
    /* The guest's shell answers and the first unit is ready. Called once. */
    void (*up)(void *arg);
    /* Another unit is needed: give the guest the ports qn.cN and qn.eN, then call
     * channel_plugged(). Return: 0, or a negative errno when that cannot be. */
    int (*plug)(void *arg, unsigned number);
    /* The guest cannot be commanded any more. Called at most once. */
    void (*lost)(void *arg, const char *why);
};

/** @note: as from channel_note(), or NULL for a guest that was started anew.
 * @shell_fd and @unit_fds (two a unit: qn.cN, qn.eN) are our ends of the ports' socket pairs; they
 * pass to the channel, on failure too. @max_units: how many units the guest's memory has room for.
 * Return: 0 or negative errno. */
int channel_open(struct channel **out, uv_loop_t *loop, struct timers *timers, int shell_fd,
                 const int unit_fds[CHANNEL_UNITS][2], size_t max_units, const char *note,
                 const struct channel_handler *handler, void *arg);

/** The ports of unit @number were added; @fds are our ends, which pass to the channel. NULL: they
 * could not be. */
void channel_plugged(struct channel *channel, unsigned number, const int fds[2]);

/** The guest has opened or closed the port of this name. */
void channel_port_changed(struct channel *channel, const char *name, bool open);

/** End every job with @why as its error, then free. No callback comes after this. */
void channel_close(struct channel *channel, const char *why);

/** Start a command. Return: 0 or negative errno. */
int channel_start(struct channel *channel, const struct job_spec *spec, struct job **out);

/** Return: whether the guest runs the units' program, and not their script. */
bool channel_is_served(const struct channel *channel);

/** Have the first CHANNEL_UNITS units started, and none beyond; or, if not @on, one ahead of need.
 */
void channel_prepare(struct channel *channel, bool on);

/** What another channel needs to go on where this one is, in a copy of the guest as it is now: text
 * of at most CHANNEL_NOTE_MAX bytes with the NUL.
 * Return: 0, -EAGAIN while a unit is starting or busy, or -ENOTSUP where the guest's units are not
 * served. */
#define CHANNEL_NOTE_MAX (64 + 24 * CHANNEL_UNITS)
int channel_note(const struct channel *channel, char note[CHANNEL_NOTE_MAX]);

/** Return: a number that changes with the programs that the channel puts into guests. */
uint64_t channel_version(void);

/** Send a line to the shell itself, which starts no process for it. */
int channel_shell(struct channel *channel, const char *line);

#endif
