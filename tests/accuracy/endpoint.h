/* SPDX-License-Identifier: MIT */
/* One end of a cable as a machine has it: a socket, a thread that sends frames at its own pace and
 * one that receives them. Both read the clock themselves, so that what they measure owes nothing to
 * the fabric's own figures. */
#ifndef QN_TESTS_ACCURACY_ENDPOINT_H
#define QN_TESTS_ACCURACY_ENDPOINT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define ENDPOINT_HEADER 14

/* What one end is to send. */
struct train {
    uint32_t count;
    uint32_t len;   /* of a frame, with its Ethernet header: 14 to 1514 bytes */
    int64_t gap_ns; /* from frame to frame; 0: as fast as the socket takes them */
    uint32_t
        window; /* how far the receiver may be behind; 0: any. For what a link delays little. */
};

struct arrival {
    int64_t at;
    uint32_t number; /* of the frame, in order of sending */
    uint32_t len;
    uint32_t flips; /* bits that are not as they were sent */
    uint32_t bit;   /* the last of them, counted from the end of the Ethernet header */
};

/* What one direction has carried. */
struct journal {
    int64_t *sent; /* when each frame was handed to the socket */
    uint32_t *lens;
    uint32_t n, room;
    struct arrival *arrivals; /* in order of arrival */
    size_t arrived, arrivals_room;
    _Atomic uint32_t progress; /* the largest number that has arrived, plus one */
};

/** Free what @j holds. */
void journal_free(struct journal *j);

struct endpoint {
    int fd;
    pthread_t sender, receiver;
    struct train train;
    struct journal *out, *in;
};

/** Start to receive on @fd, which stays the caller's, into @in; what is sent goes to @out. */
void endpoint_start(struct endpoint *e, int fd, struct journal *out, struct journal *in);

/** Start to send a train; its frames' numbers go on from the last one's. */
void endpoint_send(struct endpoint *e, const struct train *t);

/** Wait until the train has been handed to the socket. */
void endpoint_sent(struct endpoint *e);

/** Receive what is in the socket, and end the receiver. */
void endpoint_stop(struct endpoint *e);

/** Sleep until experiment time @at, as exactly as the machine can. */
void sleep_until(int64_t at);

/** Sleep for @ns. */
void sleep_for(int64_t ns);

/** Ask the kernel not to let this thread's timers be late for company. */
void be_punctual(void);

/** End the program: the machinery has failed. */
_Noreturn void fail(const char *what);

#endif
