/* SPDX-License-Identifier: MIT */
/* What container.c and the first process of a container (init.c) say to each other: one struct a
 * message of a sequenced-packet socket, which keeps them whole and in order. Both are of one build.
 */
#ifndef QN_RUNTIME_GUEST_INIT_H
#define QN_RUNTIME_GUEST_INIT_H

#include <stdint.h>

/* The socket's descriptor in init. */
#define INIT_SOCKET 3
/* A message and its text. */
#define INIT_MESSAGE_MAX 65536
/* The descriptors of one message. */
#define INIT_FDS_MAX 5

enum init_request_kind {
    INIT_RUN,      /* with the command, and by its flags the descriptors named there */
    INIT_KILL,     /* value: the signal, for the command's process group */
    INIT_LINGER,   /* one descriptor: a pipe to be emptied to nowhere until its writers are gone */
    INIT_HOSTS,    /* one descriptor: a file, the new content of /etc/hosts */
    INIT_SIGNAL,   /* value: the signal, for every process; SIGSTOP lasts until SIGCONT */
    INIT_SHUTDOWN, /* end every process, then exit; value: ms until those that stay are killed */
};

/* Of INIT_RUN. Its descriptors, in this order: standard output, standard error; then what the
 * flags say is there. */
enum init_run_flags {
    INIT_STDIN = 1,  /* standard input; otherwise it is /dev/null */
    INIT_HOLD = 2,   /* a pipe: the command begins when something can be read from it */
    INIT_SCRIPT = 4, /* a file with a script instead of the text, for the shell's standard input; it
                        finds the command's on descriptor 3 */
};

/* Behind that of INIT_RUN come the words, then up to the message's end the command for a shell. */
struct init_request {
    uint32_t kind;
    uint32_t id;    /* of the command */
    uint32_t value; /* of INIT_RUN: flags */
    uint32_t words; /* of INIT_RUN: how many bytes of words there are, each word ended by a NUL:
                       none when the command needs a shell; the shell is for a program not found */
};

enum init_report_kind {
    INIT_READY,   /* all is set up */
    INIT_FAILED,  /* it cannot be set up: value is an errno, what is at fault */
    INIT_ARMED,   /* the held command is ready to begin */
    INIT_STARTED, /* the held command begins at this time */
    INIT_REFUSED, /* the command could not be started: value is an errno; no end follows */
    INIT_ENDED,   /* the command's process ended; value is its wait status */
};

struct init_report {
    uint32_t kind;
    uint32_t id;
    int32_t value;
    int64_t time; /* CLOCK_MONOTONIC, ns */
    char what[32];
};

#endif
