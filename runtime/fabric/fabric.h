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

#define FABRIC_FRAME_MIN 14    /* an Ethernet header */
#define FABRIC_FRAME_MAX 69632 /* the largest QEMU sends: 64 KiB and its headers */

enum fabric_kind { FABRIC_PORT, FABRIC_SWITCH, FABRIC_RADIO, FABRIC_STATION };

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

/* All frames together take at most this share of the machine's memory. What finds none is dropped
 * and counts as no_memory. */
#define FABRIC_MEMORY_SHARE 0.25
#define FABRIC_MEMORY_MIN (UINT64_C(256) << 20)

/* How the variable part of the delay is distributed. With jitter J: */
enum link_distribution {
    LINK_UNIFORM, /* from -J to +J */
    LINK_NORMAL,  /* mean 0, standard deviation J */
    LINK_PARETO,  /* shape 3, shifted and scaled to mean 0 and standard deviation J */
    LINK_SAMPLES, /* the samples, in order and over again */
};

/* What keeps the transmit queue short. */
enum link_discipline {
    LINK_FIFO,  /* the limit alone */
    LINK_RED,   /* S. Floyd, V. Jacobson: Random Early Detection Gateways, 1993 */
    LINK_CODEL, /* RFC 8289 */
};

/* Numbers that configurations share: a trace's or samples' nanoseconds. Never changed once made,
 * and freed with their last user. */
struct link_series;

/** Return: a series of @n numbers, copied, with one user; NULL: no memory. */
struct link_series *link_series_new(const int64_t *values, size_t n);

/** One user more; NULL is allowed. Return: @s. */
struct link_series *link_series_ref(struct link_series *s);

/** One user less; NULL is allowed. */
void link_series_unref(struct link_series *s);

/* Gilbert-Elliott: before each frame the good state turns bad with probability p, the bad state
 * good with r; a frame passes the good state with probability k and the bad one with h (the names
 * of G. Hasslinger, O. Hohlfeld: The Gilbert-Elliott Model for Packet Loss in Real Time Services on
 * the Internet, 2008). p = 0: off. */
struct link_burst {
    double p, r, h, k;
};

/* Floyd and Jacobson's names: below min nothing is dropped, at max p, above max all. In packets, or
 * in bytes where the queue is bounded in bytes. max = 0: a twelfth and a fourth of the limit, so
 * that max is three times min as they advise. */
struct link_red {
    double min, max;
    double p;      /* 0: 0.1 */
    double weight; /* of the newest sample in the average; 0: 0.002 */
};

#define LINK_RED_P_DEFAULT 0.1
#define LINK_RED_WEIGHT_DEFAULT 0.002
#define LINK_CODEL_TARGET_DEFAULT_NS INT64_C(5000000)     /* RFC 8289, 4.4 */
#define LINK_CODEL_INTERVAL_DEFAULT_NS INT64_C(100000000) /* RFC 8289, 4.3 */

/* What one direction of a link does to frames. Zeroed, it is a perfect cable.
 *
 * A frame that enters is lost or not, duplicated or not, corrupted or not (its second copy never
 * is); then waits in the transmit queue for its turn to be sent at the rate; then travels for the
 * delay and jitter, which it may overtake others by. The memory that holds the frames of one
 * direction's delay is bounded by LINK_FLIGHT_BYTES_MAX; what exceeds it counts as queue_drops.
 *
 * A configuration only borrows its series; what keeps one refers to them. */
struct link_config {
    uint32_t mtu; /* largest payload (frame less 14 bytes) that passes; 0: any */
    enum link_distribution distribution;
    int64_t delay_ns;   /* one-way, 0..LINK_DELAY_MAX_NS */
    int64_t jitter_ns;  /* 0..LINK_DELAY_MAX_NS; delay and jitter together are never below 0 */
    double correlation; /* of each frame's jitter with the one before it, 0..1 exclusive */
    struct link_series *samples; /* for LINK_SAMPLES: what is added to the delay */
    double loss;                 /* probability, 0..1, independent for each frame */
    struct link_burst burst;     /* beside loss: a frame survives if it survives both */
    double duplicate;            /* probability that a second copy follows */
    double corrupt;            /* probability that one bit behind the Ethernet header is flipped */
    double reorder;            /* probability that a frame does not wait for the delay */
    uint64_t rate_bps;         /* of Ethernet frames without preamble and FCS; 0: unlimited */
    struct link_series *trace; /* instead of a rate, the time of each opportunity to send 1500
                                * bytes of payload, ascending; over again after the last */
    uint64_t queue_bytes;      /* bytes that may wait; 0: no limit */
    uint32_t queue_packets;    /* frames that may wait while one is sent; the next is dropped.
                                * 0: LINK_QUEUE_PACKETS_DEFAULT, or no limit when queue_bytes is set */
    enum link_discipline discipline;
    struct link_red red;
    int64_t codel_target_ns;   /* 0: the default */
    int64_t codel_interval_ns; /* 0: the default */
};

/** Return: NULL when @c is possible, else what is wrong with it (static, names the field). */
const char *link_config_check(const struct link_config *c);

/* How a frame's way over one direction ended. */
enum link_fate {
    LINK_DELIVERED,
    LINK_LOST,       /* by the configured loss */
    LINK_QUEUE_FULL, /* no room in the transmit queue or the delay line */
    LINK_EARLY,      /* dropped by RED or CoDel */
    LINK_DOWN,       /* the link was, or went, down */
    LINK_TOO_LARGE,  /* larger than the mtu */
    LINK_OVERRUN,    /* the far socket would not take it */
    LINK_TRIGGERED,  /* dropped by a trigger's verdict */
    LINK_FATES
};

/* Four buckets to each power of two: their bounds are a quarter apart at most. */
#define FABRIC_LATENESS_BUCKETS 160

/* How long after its due time each frame was handed to its far end. */
struct fabric_lateness {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    int64_t max_at; /* when that one was handed over, experiment ns */
    /* Below fabric_lateness_bound(); the last: all above. */
    uint64_t buckets[FABRIC_LATENESS_BUCKETS];
};

/** Return: what lies in bucket @i is below this many ns, and not below that of the one before. */
int64_t fabric_lateness_bound(int i);

/* What one direction has done. sent + duplicated = delivered + lost + queue_drops + down_drops +
 * mtu_drops + overruns + trigger_drops + in_flight, but for frames of a port or link that was
 * removed under them. */
struct link_stats {
    uint64_t sent;          /* frames offered to the direction */
    uint64_t delivered;     /* frames that the far socket or switch has taken */
    uint64_t bytes;         /* of the delivered */
    uint64_t lost;          /* by the configured loss */
    uint64_t queue_drops;   /* no room in the transmit queue or the delay line; early_drops too */
    uint64_t early_drops;   /* by RED or CoDel */
    uint64_t down_drops;    /* the link was, or went, down */
    uint64_t mtu_drops;     /* larger than the mtu */
    uint64_t overruns;      /* the far socket would not take it: its reader is too slow or gone */
    uint64_t trigger_drops; /* by a trigger's verdict */
    uint64_t duplicated;    /* second copies made */
    uint64_t corrupted;     /* frames with a bit flipped */
    uint64_t reordered;     /* frames that are to arrive before one that entered earlier */
    uint64_t in_flight;     /* queued, being sent, travelling or held for the far socket, now */
    struct fabric_lateness lateness;
};

/* What one direction has done since the last sample. */
struct fabric_sample {
    int link, dir;
    uint64_t sent, delivered, bytes;    /* as in struct link_stats */
    uint64_t lost;                      /* dropped for whatever reason */
    uint64_t queue;                     /* most frames that waited to be sent at a time */
    int64_t delay_sum_ns, delay_max_ns; /* of the delivered, from entering to being due */
};

/* What the whole fabric has done since it started. */
struct fabric_totals {
    uint64_t received;        /* frames read from ports */
    uint64_t transmitted;     /* frames that ports' sockets took */
    uint64_t unreachable;     /* frames dropped because a port's peer was gone */
    uint64_t malformed;       /* shorter than an Ethernet header, or larger than any frame */
    uint64_t unlinked;        /* came from a port that no link joins */
    uint64_t hop_drops;       /* went round switches for too long: a loop */
    uint64_t storm_drops;     /* not flooded by switches in a storm */
    uint64_t overruns;        /* frames dropped because a port's socket stayed full */
    uint64_t no_memory;       /* frames dropped for want of memory */
    uint64_t triggers_missed; /* frames a trigger fired for that it could not tell of, or hold */
    uint64_t verdicts_missed; /* held frames that went on because no verdict came */
    int64_t lost_at; /* when one of overruns to verdicts_missed was counted last, experiment ns */
    uint64_t turns;  /* times the thread woke */
    uint64_t cpu_ns; /* processor time that the thread has used */
    bool realtime;   /* it may be scheduled before all else: see runtime/fabric/urgency.h */
    struct fabric_lateness lateness; /* of every link's frames, also of links that were removed */
};

/** Start a fabric with no ports; every random choice in it follows from @seed. clock_start() must
 * have been called. All signals are blocked in its thread.
 * Return: the fabric, to be ended by fabric_stop(), or NULL with errno set. */
struct fabric *fabric_start(uint64_t seed);

/** End the thread, drop what is in flight, close every port's socket, free @f. NULL is allowed. */
void fabric_stop(struct fabric *f);

/** Add a port over @fd, a connected Unix datagram socket that carries one frame per datagram, or a
 * tap (a TUN/TAP device of type IFF_TAP with IFF_NO_PI). The fabric owns @fd from here on, also on
 * error, and closes it with the port.
 * Return: the port's id; -ENOTSOCK, -EPROTOTYPE when @fd is neither. */
int fabric_port_add(struct fabric *f, int fd);

/** Remove a port, close its socket, and remove its link. */
int fabric_port_remove(struct fabric *f, int port);

/** Say that nobody reads at the far end of @port's socket, a machine that is switched off, or that
 * somebody does again. What comes for it meanwhile, and what waits, is dropped: unreachable in the
 * totals, an overrun of the link. Return: 0, or -ENOENT. */
int fabric_port_desert(struct fabric *f, int port, bool deserted);

/* A switch that never learns. */
#define FABRIC_SWITCH_HUB 1U

/** Add a learning switch that forgets a station @ageing_ns after its last frame (0: never).
 * @flags: 0 or FABRIC_SWITCH_HUB. Return: the switch's id. */
int fabric_switch_add(struct fabric *f, int64_t ageing_ns, unsigned flags);

/* What a switch has done. */
struct fabric_switch_stats {
    uint64_t frames;      /* that came in */
    uint64_t floods;      /* of these sent everywhere */
    uint64_t moves;       /* times that a station was heard from another link than before */
    uint64_t hop_drops;   /* frames that went round for too long: a loop */
    uint64_t storms;      /* times that storm control began */
    uint64_t storm_drops; /* frames that it did not flood */
};

/* Frames a second that a switch floods while it sees a storm: stations that move from link to link
 * again and again, or frames that go round. */
#define FABRIC_STORM_FLOODS 1000

/** Read a switch's statistics into @out. */
int fabric_switch_stats(struct fabric *f, int id, struct fabric_switch_stats *out);

/** Remove a switch and all its links. */
int fabric_switch_remove(struct fabric *f, int id);

/* How a radio carries frames. Zeroed, all hear all at once.
 *
 * With log_distance, a frame is received with tx_dbm less a path loss of reference_loss_db + 10
 * exponent log10(d / reference_m), plus a normal variable of deviation shadowing_db for each frame
 * and receiver; nearer than reference_m the loss is as there. It is heard from sensitivity_dbm on.
 */
struct fabric_radio_config {
    double range_m; /* who is farther hears nothing; 0: no such limit */
    double tx_dbm, exponent, reference_m, reference_loss_db, shadowing_db, sensitivity_dbm;
    uint64_t rate_bps;      /* one frame at a time is on the air, members in turn; 0: unlimited */
    uint32_t queue_packets; /* of one member that wait; 0: LINK_QUEUE_PACKETS_DEFAULT */
    bool log_distance;
    bool promiscuous; /* members are given also what is for another that is known */
};

/** Return: NULL when @c is possible, else what is wrong with it (static, names the field). */
const char *fabric_radio_check(const struct fabric_radio_config *c);

#define FABRIC_PLACE_MAX_M 1e9
#define FABRIC_SPEED_MAX_MPS 1e9
#define FABRIC_MOTION_MAX_NS (INT64_C(10) * 366 * 86400 * 1000000000)

#define FABRIC_MOTIONS_MAX 16

/* A straight way at constant speed, in metres and metres per second; at its end it stays there. */
struct fabric_motion {
    double from[2], velocity[2];
    int64_t start_ns, duration_ns;
};

/* What a member of a radio has done. */
struct fabric_radio_stats {
    uint64_t sent;    /* its frames that were on the air to their end */
    uint64_t unheard; /* of these, that nobody heard */
    uint64_t dropped; /* its frames for which its queue had no room, or that its link took down */
    uint64_t heard;   /* others' frames that it was given */
    uint64_t missed;  /* frames for it, for a group or for a stranger that it did not hear */
    uint64_t waiting; /* for the air, now; what is on it not counted */
};

/** Add a radio medium. Links join nodes to it. They are nowhere (not a number) until they are
 * moved, and out of everyone's range. A frame is heard by the members that its sender reaches from
 * where both are when its sending ends; one for a station that has been heard is for its member
 * only. Return: its id. */
int fabric_radio_add(struct fabric *f, const struct fabric_radio_config *c);

/** Remove a radio and all its links. */
int fabric_radio_remove(struct fabric *f, int id);

/** Have the member of a radio that @link joins to it move; both must be of this radio. A motion
 * that starts later than now follows those that start before it, each of which holds until the
 * next; it replaces what was to start later. At most FABRIC_MOTIONS_MAX can be known at a time, the
 * present one included: -ENOSPC. */
int fabric_radio_move(struct fabric *f, int radio, int link, const struct fabric_motion *m);

/** Read where a member is now into @xy, in metres. */
int fabric_radio_position(struct fabric *f, int radio, int link, double xy[2]);

/** Read a member's statistics into @out. */
int fabric_radio_stats(struct fabric *f, int radio, int link, struct fabric_radio_stats *out);

/* A simulated interface. */
struct fabric_station_config {
    uint8_t mac[6], ip[4];
};

/** Add a station, which answers ARP, ICMP echo and UDP to port 7. Return: its id. */
int fabric_station_add(struct fabric *f, const struct fabric_station_config *c);

/** Remove a station and its link. */
int fabric_station_remove(struct fabric *f, int id);

/** Join two ends by a link that is up. @cfg[0] is what frames from the first meet, @cfg[1] those
 * from the second. Return: the link's id; -EBUSY when a port already has a link; -EINVAL also when
 * both ends are the same. */
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

/* Samples of all links, in memory that the next call uses again. Zeroed it is empty. */
struct fabric_samples {
    struct fabric_sample *items;
    size_t len, room;
};

/** Sample every direction that something has happened on since the last call. Return: 0; -ENOMEM,
 * and @s has some of them. */
int fabric_sample(struct fabric *f, struct fabric_samples *s);

/** Read both directions' statistics into @out. */
int fabric_link_stats(struct fabric *f, int link, struct link_stats out[2]);

/** Offer a frame to direction @dir, as if its near end had sent it. @len: FABRIC_FRAME_MIN to
 * FABRIC_FRAME_MAX bytes. */
int fabric_link_send(struct fabric *f, int link, int dir, const void *data, uint32_t len);

/** Read the whole fabric's statistics into @out. */
int fabric_totals(struct fabric *f, struct fabric_totals *out);

/* Triggers */

#define FABRIC_HELD_MAX 4096
#define FABRIC_VERDICT_TIMEOUT_NS (INT64_C(60) * 1000000000)

struct fabric_trigger_config {
    int link;
    bool on[2];         /* which directions */
    const char *filter; /* in pcap's syntax; "" for all frames */
    uint64_t first;     /* fires from this match on, counted from 1 */
    uint64_t count;     /* so many times; 0: always */
    bool hold;          /* the frame waits for fabric_verdict() */
    bool drop;          /* the frame is dropped at once, and nobody told */
};

/** Add a trigger. Call from one thread only. @why, of @room bytes, says what is wrong with a
 * filter. Return: its id; -EINVAL. */
int fabric_trigger_add(struct fabric *f, const struct fabric_trigger_config *c, char *why,
                       size_t room);

int fabric_trigger_remove(struct fabric *f, int id);

enum fabric_event_kind {
    FABRIC_EVENT_PACKET, /* a trigger has fired */
    FABRIC_EVENT_STORM,  /* storm control of a switch has begun for the first time: only the switch
                            and the time are set */
};

struct fabric_event {
    struct fabric_event *next;
    enum fabric_event_kind kind;
    int sw;
    int trigger;
    int dir;
    bool last;     /* it will not fire again */
    int64_t time;  /* when the frame entered the link */
    uint64_t held; /* for fabric_verdict(); 0: the frame is not held */
    uint32_t len;
    uint8_t data[];
};

/** Return: a descriptor that is readable while there are events; the fabric's own. */
int fabric_event_fd(const struct fabric *f);

/** Return: the oldest event, to be freed with free(), or NULL. Does not wait. */
struct fabric_event *fabric_event_take(struct fabric *f);

struct fabric_verdict {
    uint64_t held;
    bool drop;
    int64_t delay_ns;    /* after the frame entered the link, the link's own delay not counted */
    const uint8_t *data; /* instead of the frame's bytes; NULL: as they are */
    uint32_t len;
};

/** Say what becomes of a held frame. Without a verdict it goes on after FABRIC_VERDICT_TIMEOUT_NS.
 * Return: 0; -ENOENT: it is not held any more; -EINVAL: impossible data. */
int fabric_verdict(struct fabric *f, const struct fabric_verdict *v);

/* Captures */

struct fabric_capture_stats {
    uint64_t seen;    /* packets */
    uint64_t dropped; /* of these not captured: the disk was too slow, or failed */
};

/** Start a capture into a pcapng file at @path, or a pipe. Return: its id or negative errno of the
 * file; -ENXIO: a pipe that nobody reads. */
int fabric_capture_add(struct fabric *f, const char *path);

/** Have a capture record a link, as an interface of this name. A packet is outbound from a to b,
 * has the time when it was due at its far end, or was dropped, and a comment with what the link did
 * to it: "dropped: loss", "corrupted", "duplicate", "reordered", "held by a trigger" and, where
 * that is a microsecond or more, how long before it had entered. */
int fabric_capture_link(struct fabric *f, int capture, int link, const char *name);

/** End a capture; the file is complete. @stats may be NULL. */
int fabric_capture_remove(struct fabric *f, int capture, struct fabric_capture_stats *stats);

/* Flows: packets made and measured in the fabric */

enum fabric_pattern { FABRIC_CBR, FABRIC_POISSON, FABRIC_ONOFF, FABRIC_VIDEO };

#define FABRIC_FLOW_HEADER 42 /* Ethernet, IPv4, UDP */
#define FABRIC_FLOW_STAMP 20
#define FABRIC_FLOW_MIN (FABRIC_FLOW_HEADER + FABRIC_FLOW_STAMP)
#define FABRIC_FLOW_MAX (14 + 65535)
#define FABRIC_RTP_HEADER 12

struct fabric_flow_config {
    int from_link, from_dir; /* where packets enter */
    int to_link, to_dir;     /* at whose end they are measured and end; to_link -1: nowhere */
    bool deliver;            /* they do not end there, but go on to whatever is there */
    uint8_t header[FABRIC_FLOW_HEADER]; /* its lengths and checksum are filled in */
    bool rtp;                           /* a header of RFC 3550 follows it, */
    uint8_t rtp_type;                   /* with this payload type, */
    uint32_t rtp_step; /* its time so much later with each packet, or each picture */
    enum fabric_pattern pattern;
    uint64_t rate_bps;     /* of frames; of an on/off source while it is on */
    uint32_t size;         /* of a frame, bytes; of a video packet at most */
    int64_t on_ns, off_ns; /* mean durations, exponentially distributed */
    double fps;            /* pictures a second */
    uint32_t key_interval; /* one picture of so many is a key picture */
    double key_ratio;      /* by how much it is larger than the others */
    uint64_t count;        /* packets, then it stops; 0: goes on */
    int64_t playout_ns;    /* behind the least delay of late: what comes later cannot be played; 0:
                            * nothing is played */
};

/* sent = received + lost + in_flight, where lost is what is left. */
struct fabric_flow_stats {
    uint64_t sent, sent_bytes, received, received_bytes, duplicates, reordered;
    uint64_t in_flight; /* packets in the fabric, now */
    uint64_t late;      /* received, but too late to be played */
    uint64_t missed;    /* lost or late, of those sent before the newest received */
    uint64_t bursts;    /* runs of them */
    double rate_bps;    /* of what was received, from the first to the last of it */
    int64_t delay_min_ns, delay_mean_ns, delay_p50_ns, delay_p95_ns, delay_p99_ns, delay_max_ns;
    int64_t jitter_ns;  /* RFC 3550, 6.4.1, the mean over the packets */
    int64_t played_ns;  /* mean delay with which packets are played */
    int64_t stalled_ns; /* time for which nothing was sent, for want of processor time */
    bool running;
};

/** Add @n flows alike that stand still; their ids go to @ids. Their delays are those of the
 * emulated network: from when a packet was due to be sent until it was due at the far end, whenever
 * the thread came round to it. Return: 0; -EINVAL, or what else is wrong: then none was added. */
int fabric_flow_add(struct fabric *f, const struct fabric_flow_config *c, int *ids, size_t n);

/** Return: 0, or -ENOENT at the first that does not exist; so does fabric_flow_remove. */
int fabric_flow_run(struct fabric *f, const int *ids, size_t n, bool on);

/** Read @n flows' statistics as one: counts and rates are sums, delays those of all packets, means
 * are by packets. */
int fabric_flow_stats(struct fabric *f, const int *ids, size_t n, struct fabric_flow_stats *out);

int fabric_flow_remove(struct fabric *f, const int *ids, size_t n);

#endif
