/* SPDX-License-Identifier: MIT */
/* One running QEMU: the process, its monitor, its console and its command channel, on the loop.
 * A machine lives from one power-on to the next power-off; to boot again, open a new one. */
#ifndef QN_RUNTIME_MACHINE_H
#define QN_RUNTIME_MACHINE_H

#include "runtime/channel.h"
#include "vmctl/qemu.h"

#include <jansson.h>

enum machine_state {
    MACHINE_BOOTING, /* QEMU was started; -> UP when the guest's shell answers */
    MACHINE_UP,      /* <-> PAUSED by the monitor */
    MACHINE_PAUSED,
    MACHINE_DOWN,     /* final: the guest powered itself off */
    MACHINE_RESET,    /* final: the guest asked for a reset */
    MACHINE_PANICKED, /* final: its kernel panicked */
    MACHINE_CRASHED,  /* final: power cut, QEMU died, or it never booted */
    MACHINE_STATES
};

/** Return: the state's name in the language: "booting", "up", ... */
const char *machine_state_name(enum machine_state state);

struct machine;

struct machine_handler {
    /* The state changed. @why is NULL or what happened, with QEMU's own words and the console's
     * last lines where they help. In a final state the process has ended and been collected. */
    void (*state)(void *arg, enum machine_state state, const char *why);
    /* A QMP event, for the record. @data may be NULL. */
    void (*event)(void *arg, const char *name, json_t *data);
    /* Bytes from the console. */
    void (*console)(void *arg, const char *data, size_t n);
};

struct machine_config {
    struct qemu_config qemu; /* the port, monitor and console descriptors are filled in */
    const char *console_log; /* path, or NULL */
    int64_t boot_timeout_ns;
    /* Of a machine that goes on from a saved state, or NULL: qemu.incoming is then set too. What
     * channel_note() said when it was saved, and the descriptor of the state, which is among
     * qemu.inherited. */
    const char *channel_note;
    int state_fd;
    const struct machine_handler *handler;
    void *arg;
};

/** Start QEMU. Everything in @config is copied or used before return; NIC descriptors stay the
 * caller's. Return: 0, or negative errno with @why (a message to free) set where there is more to
 * say. */
int machine_open(struct machine **out, uv_loop_t *loop, struct timers *timers,
                 const struct machine_config *config, char **why);

/** Cut the power if it still runs, collect the process, free. No callback comes after this, except
 * the ends of its jobs, which come before it returns. */
void machine_close(struct machine *machine);

enum machine_state machine_state(const struct machine *machine);

/** Cut the power: SIGKILL. The final state is reported through the handler. */
void machine_crash(struct machine *machine);

/** The guest answers by another way than its ports: it is up. Its boot deadline is over. */
void machine_settle(struct machine *machine);

/** Ask the guest to power itself off. */
int machine_poweroff(struct machine *machine);

/** Return: the channel, or NULL when the machine is in a final state. Jobs may be started while it
 * is booting: they wait. */
struct channel *machine_channel(struct machine *machine);

/** Return: the process of QEMU, or 0 when it has ended. */
pid_t machine_pid(const struct machine *machine);

/** Write to the console. Return: 0 or negative errno. */
int machine_console_write(struct machine *machine, const char *data, size_t n);

/** Return: the bytes written to it that the guest has not taken. */
size_t machine_console_pending(const struct machine *machine);

/** Return: the last lines of the console, NUL-terminated; valid until the loop turns. */
const char *machine_console_tail(const struct machine *machine);

/** @value and @error as in struct qmp_handler; @error is set too when the machine ends first. */
typedef void machine_reply_fn(void *arg, json_t *value, const char *error);

/** Run a QMP command. @arguments: an object, whose reference is taken, or NULL. @fn is called
 * exactly once if 0 is returned. */
int machine_qmp(struct machine *machine, const char *name, json_t *arguments, machine_reply_fn *fn,
                void *arg);

/** Hand QEMU a copy of @fd under @name, for the next command that names it. What is wrong with it,
 * that command's reply tells. Return: 0 or negative errno. */
int machine_pass_fd(struct machine *machine, const char *name, int fd);

#endif
