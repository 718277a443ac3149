/* SPDX-License-Identifier: MIT */
/* The fabric: a thread that carries Ethernet frames between virtual machines over emulated links.
 *
 * A port is where frames come in and go out, a switch forwards them, a link joins two of these and
 * decides, for each direction by itself, when a frame arrives and whether. Times are nanoseconds of
 * experiment time (runtime/clock.h).
 *
 * Every call but fabric_start() is carried out by the fabric's thread and waits for it: when it
 * returns, it is in force. Calls may come from any thread but the fabric's own. Functions that
 * return int return 0 or an id (>= 0), or a negative errno: -ENOENT for an id that names nothing,
 * -EINVAL for an impossible value, -ENOMEM. Ids are never reused. */
#ifndef QN_FABRIC_FABRIC_H
#define QN_FABRIC_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fabric;

enum fabric_kind { FABRIC_PORT, FABRIC_SWITCH };

/* One end of a link. */
struct fabric_end {
    enum fabric_kind kind;
    int id;
};

#define LINK_QUEUE_PACKETS_DEFAULT 1000
#define LINK_DELAY_MAX_NS (INT64_C(3600) * 1000000000)
#define LINK_RATE_MAX_BPS UINT64_C(1000000000000)
#define LINK_QUEUE_PACKETS_MAX (16U << 20)
#define LINK_QUEUE_BYTES_MAX (UINT64_C(16) << 30)
#define LINK_MTU_MIN 68
#define LINK_FLIGHT_BYTES_MAX (UINT64_C(64) << 20)

/* What one direction of a link does to frames. Zeroed, it is a perfect cable.
 *
 * A frame that enters is lost or not; then waits in the transmit queue for its turn to be sent at
 * the rate; then travels for the delay. The memory that holds the frames of one direction's delay
 * is bounded by LINK_FLIGHT_BYTES_MAX; what exceeds it counts as queue_drops. */
struct link_config {
    int64_t delay_ns;       /* one-way, 0..LINK_DELAY_MAX_NS */
    double loss;            /* probability, 0..1, independent for each frame */
    uint64_t rate_bps;      /* of Ethernet frames without preamble and FCS; 0: unlimited */
    uint32_t queue_packets; /* frames that may wait while one is sent; the next is dropped.
                             * 0: LINK_QUEUE_PACKETS_DEFAULT, or no limit when queue_bytes is set */
    uint64_t queue_bytes;   /* bytes that may wait; 0: no limit */
    uint32_t mtu;           /* largest payload (frame less 14 bytes) that passes; 0: any */
};

/** Return: NULL when @c is possible, else what is wrong with it (static, names the field). */
const char *link_config_check(const struct link_config *c);

/* What one direction has done. sent = delivered + lost + queue_drops + down_drops + mtu_drops +
 * overruns + in_flight, but for frames of a port or link that was removed under them. */
struct link_stats {
    uint64_t sent;        /* frames offered to the direction */
    uint64_t delivered;   /* frames that the far socket or switch has taken */
    uint64_t bytes;       /* of the delivered */
    uint64_t lost;        /* by the configured loss */
    uint64_t queue_drops; /* no room in the transmit queue or the delay line */
    uint64_t down_drops;  /* the link was, or went, down */
    uint64_t mtu_drops;   /* larger than the mtu */
    uint64_t overruns;    /* the far socket would not take it: its reader is too slow or gone */
    uint64_t in_flight;   /* queued, being sent, travelling or held for the far socket, now */
};

#define FABRIC_LATENESS_BUCKETS 40

/* How long after its due time each frame was handed to its far socket. */
struct fabric_lateness {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t
        buckets[FABRIC_LATENESS_BUCKETS]; /* [0]: below 2 ns; [i]: 2^i..2^(i+1)-1 ns, last: more */
};

/* What the whole fabric has done since it started. */
struct fabric_totals {
    uint64_t received;    /* frames read from ports */
    uint64_t transmitted; /* frames that ports' sockets took */
    uint64_t overruns;    /* frames dropped because a port's socket stayed full */
    uint64_t unreachable; /* frames dropped because a port's peer was gone */
    uint64_t malformed;   /* shorter than an Ethernet header, or larger than any frame */
    uint64_t unlinked;    /* came from a port that no link joins */
    uint64_t hop_drops;   /* went round switches for too long: a loop */
    uint64_t no_memory;   /* frames dropped for want of memory */
    uint64_t turns;       /* times the thread woke */
    struct fabric_lateness lateness;
};

/** Start a fabric with no ports; every random choice in it follows from @seed. clock_start() must
 * have been called. All signals are blocked in its thread.
 * Return: the fabric, to be ended by fabric_stop(), or NULL with errno set. */
struct fabric *fabric_start(uint64_t seed);

/** End the thread, drop what is in flight, close every port's socket and free @f. NULL is allowed.
 */
void fabric_stop(struct fabric *f);

/** Add a port over @fd, a connected Unix datagram socket that carries one frame per datagram. The
 * fabric owns @fd from here on, also on error, and closes it with the port.
 * Return: the port's id; -ENOTSOCK, -EPROTOTYPE when @fd is not such a socket. */
int fabric_port_add(struct fabric *f, int fd);

/** Remove a port, close its socket, and remove its link. */
int fabric_port_remove(struct fabric *f, int port);

/* A switch that never learns. */
#define FABRIC_SWITCH_HUB 1U

/** Add a learning switch that forgets a station @ageing_ns after its last frame (0: never).
 * @flags: 0 or FABRIC_SWITCH_HUB. Return: the switch's id. */
int fabric_switch_add(struct fabric *f, int64_t ageing_ns, unsigned flags);

/** Remove a switch and all its links. */
int fabric_switch_remove(struct fabric *f, int id);

/** Join @a and @b by a link that is up. @cfg[0] is what frames from @a to @b meet, @cfg[1] those
 * from
 * @b to @a. Return: the link's id; -EBUSY when a port already has a link; -EINVAL also when both
 * ends are the same. */
int fabric_link_add(struct fabric *f, struct fabric_end a, struct fabric_end b,
                    const struct link_config cfg[2]);

/** Configure direction @dir (0: a to b, 1: b to a). Frames that travel keep their delay; those that
 * wait are sent at the new rate and travel with the new delay; queue limits, loss and mtu hold from
 * the next frame on. */
int fabric_link_set(struct fabric *f, int link, int dir, const struct link_config *cfg);

/** Configure both directions at one instant, as fabric_link_set(). */
int fabric_link_set_both(struct fabric *f, int link, const struct link_config cfg[2]);

/** Take a link down, which drops all that waits and travels on it, or up. */
int fabric_link_up(struct fabric *f, int link, bool up);

/** Remove a link with all that waits and travels on it. */
int fabric_link_remove(struct fabric *f, int link);

/** Read both directions' statistics into @out. */
int fabric_link_stats(struct fabric *f, int link, struct link_stats out[2]);

/** Read the whole fabric's statistics into @out. */
int fabric_totals(struct fabric *f, struct fabric_totals *out);

#endif
