/* SPDX-License-Identifier: MIT */
/* What channel.c, unit.c and unit_job.c share. A channel owns its units and the queue of jobs; a
 * job is on the queue, or on a unit, or gone. */
#ifndef QN_RUNTIME_CHANNEL_PRIVATE_H
#define QN_RUNTIME_CHANNEL_PRIVATE_H

#include "runtime/bytes.h"
#include "runtime/channel.h"
#include "runtime/framing.h"
#include "runtime/job_private.h"
#include "runtime/stream.h"
#include "runtime/timers.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_ENDED };

/* A held job: HELD until the guest's shell has read it and says "armed", then ARMED until it is
 * released, then RELEASED until that shell says "started" and runs it: from there on STARTED, as
 * one that is not held is at once. Until then nothing but those two lines can come from its unit.
 */
enum job_hold { JOB_STARTED, JOB_HELD, JOB_ARMED, JOB_RELEASED };

struct unit_job {
    struct job base;
    struct channel *channel;
    struct unit_job *next; /* in the channel's queue */
    struct unit *unit;
    enum job_state state;
    struct bytes command, stdin_wait;
    bool with_stdin, stdin_closed, identity;
    enum job_hold hold;
    struct bytes word; /* what has come of "armed" or "started", where they come as output */
    bool killing;      /* past its deadline; the kill was sent */
};

/* ABSENT -> PLUGGING (the machine adds its ports) -> UNUSED -> STARTING -> GREETING (the waiting
 * shell is asked for its process id) -> IDLE -> BUSY -> GREETING, or LINGERING while something that
 * a command left behind can still write -> GREETING. READY arrives on the command port and END on
 * both ports; the loop may see them in any order, so a unit goes on to its next command only when
 * it has seen all three. Served by serve.c, it goes from STARTING, and from BUSY with END, to IDLE.
 * LOST: its port was closed in the guest, and its job is still to end -> UNUSED. DEAD: given up. */
enum unit_state {
    UNIT_ABSENT,
    UNIT_PLUGGING,
    UNIT_UNUSED,
    UNIT_STARTING,
    UNIT_GREETING,
    UNIT_IDLE,
    UNIT_BUSY,
    UNIT_LINGERING,
    UNIT_LOST,
    UNIT_DEAD
};

struct port {
    struct unit *unit;
    enum job_stream which;
    int fd; /* until the stream owns it */
    struct stream *stream;
    struct framing framing;
    bool ended; /* END of the running command was seen here */
};

struct unit {
    struct channel *channel;
    unsigned number;
    enum unit_state state;
    bool ready;              /* READY was seen for the command after the running one */
    uint64_t seq;            /* what the last READY said */
    bool served;             /* by serve.c, not unit.sh: both streams come on the command port */
    enum job_stream current; /* where served: the stream whose bytes come */
    unsigned lives;
    uint64_t running; /* the running command's number */
    long pid;         /* of the waiting shell, which leads its process group; 0: not known yet */
    struct unit_job *job;
    struct port port[2];
    struct timer timer; /* while PLUGGING, STARTING or LOST: the deadline */
};

struct channel {
    uv_loop_t *loop;
    struct timers *timers;
    struct stream *shell;
    char key[FRAMING_KEY_LEN + 1];
    struct bytes shell_tail;
    bool answered, up, lost, closing;
    bool shell_seen; /* the guest has opened the shell port before */
    bool resumed;    /* the guest has had it open from the start, and that is still to be said */
    size_t reserve;  /* units kept ready for commands that are still to come */
    struct unit units[CHANNEL_UNITS_MAX];
    size_t max_units;
    struct unit_job *queue, **queue_end;
    const struct channel_handler *handler;
    void *arg;
};

/** Give jobs to idle units, and have more units come for those that are left. */
void channel_assign(struct channel *channel);

/** Report that the guest cannot be commanded any more. */
void channel_lose(struct channel *channel, const char *why);

/** Ask the machine for the ports of an ABSENT unit. */
void unit_plug(struct unit *unit);

/** Start an UNUSED unit: open its ports, and have the shell run it. */
void unit_start(struct unit *unit);

/** Find the unit as it was, served, after its command number @seq: it goes on to IDLE. */
void unit_resume(struct unit *unit, uint64_t seq);

/** Run a queued job, which has left the queue, on an idle unit. */
void unit_run(struct unit *unit, struct unit_job *job);

/** Have it started anew if it has not answered yet. */
void unit_start_again(struct unit *unit);

/** A port of the unit was closed in the guest: it has been killed; begin again. */
void unit_port_closed(struct unit *unit);

/** Let its held command begin; signal its command's process group. */
void unit_release(struct unit *unit);
void unit_kill(struct unit *unit, const char *signal_name);

/** Send @job's bytes, or the end, of standard input. Return: 0 or negative errno. */
int unit_send_stdin(struct unit *unit, const char *data, size_t n);
void unit_end_stdin(struct unit *unit);

/** Free what @unit holds. */
void unit_close(struct unit *unit);

/** What came on a stream of its unit: words about a held job, then output. */
void unit_job_take(struct unit_job *job, enum job_stream which, const char *data, size_t n);

/** Its held command waits in the guest; has begun. */
void unit_job_armed(struct unit_job *job);
void unit_job_begun(struct unit_job *job);

/** Hand the result over and free the job. @error: NULL, or why its end was not seen. */
void unit_job_end(struct unit_job *job, const char *error);

#endif
