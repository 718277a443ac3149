/* SPDX-License-Identifier: MIT */
/* What machine.c and plug.c share. */
#ifndef QN_RUNTIME_MACHINE_PRIVATE_H
#define QN_RUNTIME_MACHINE_PRIVATE_H

#include "runtime/bytes.h"
#include "runtime/machine.h"
#include "runtime/stream.h"
#include "runtime/timers.h"
#include "vmctl/child.h"
#include "vmctl/qmp.h"

#include <stdio.h>

struct pending_reply {
    struct pending_reply *next;
    uint64_t id;
    machine_reply_fn *fn;
    void *arg;
};

struct machine {
    uv_loop_t *loop;
    enum machine_state state, last_words; /* last_words: what QMP announced before the end */
    struct child child;
    uv_poll_t *exit_watch;
    struct timers *timers;
    struct timer boot_timer;
    struct stream *monitor, *console, *errors;
    struct qmp qmp;
    struct pending_reply *replies;
    struct channel *channel;
    FILE *console_log;
    size_t console_logged; /* bytes written there */
    struct bytes console_tail, error_tail;
    int64_t boot_timeout_ns;
    size_t max_units;
    int incoming_fd; /* QEMU's number of the state that it goes on from; -1: none */
    bool was_up, killed, boot_expired, closing;
    const struct machine_handler *handler;
    void *arg;
};

/** The plug function of a machine's channel: adds the ports of a unit while the machine runs. */
int machine_plug_unit(void *arg, unsigned number);

#endif
