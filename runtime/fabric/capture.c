/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/capture.h"

#include "runtime/clock.h"
#include "runtime/fabric/packet.h"
#include "runtime/fabric/pcapng.h"
#include "runtime/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FILE_BUFFER (1 << 18)
#define INTERFACES_MAX 65536
#define ALIGN 8

static_assert(CAPTURE_NAME_MAX <= PCAPNG_NAME_MAX, "names are written whole");
static_assert((CAPTURE_RING_BYTES & (CAPTURE_RING_BYTES - 1)) == 0, "positions wrap with a mask");

/* The writer takes what has come in LINGER_MS at once: waking it for each packet would cost the
 * fabric's thread a system call each. */
#define LINGER_MS 5
#define WAKE_BYTES (CAPTURE_RING_BYTES / 8)

/* The file may be a pipe. How often the writer looks whether the capture has been stopped while
 * nobody reads, and what the reader is given from then on. */
#define LOOK_MS 50
#define PATIENCE_NS CLOCK_NS_PER_S

/* SLEEPING: until something comes. LINGERING: until WAKE_BYTES wait, or for LINGER_MS. */
enum writer_state { WRITER_AWAKE, WRITER_LINGERING, WRITER_SLEEPING };

enum entry_kind { ENTRY_PACKET, ENTRY_INTERFACE, ENTRY_SKIP };

/* What stands in the ring before the bytes of a frame or a name. */
struct entry {
    uint32_t size; /* with this head, aligned */
    enum entry_kind kind;
    struct capture_packet packet;
};

/* Of the counts of each interface the fabric's thread is the only writer. */
struct interface_counts {
    uint64_t seen, dropped;
};

/* One thread writes at head, the other reads at tail; both only ever grow. */
struct capture {
    uint8_t *ring;
    _Atomic uint64_t head, tail;
    atomic_int state; /* enum writer_state */
    atomic_bool stopping;
    int wake_fd;
    pthread_t thread;
    FILE *file;
    char *buffer;    /* the file's */
    int fd;          /* of the file */
    int64_t give_up; /* when the reader of a pipe has had its time; 0: not known yet */
    int error;       /* of the file; the writer's until it has ended */
    struct interface_counts *interfaces;
    unsigned n_interfaces;
    uint64_t seen, dropped;
    uint64_t unwritten; /* packets that the file did not take; the writer's */
};

static uint32_t aligned(size_t n)
{
    return (uint32_t)((n + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

/* Return: room for @size bytes in one piece at the head, or NULL; the piece at the ring's end that
 * is too short is skipped. */
static uint8_t *reserve(struct capture *c, uint32_t size, uint64_t *head)
{
    uint64_t at = atomic_load_explicit(&c->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&c->tail, memory_order_acquire);
    uint32_t offset = at & (CAPTURE_RING_BYTES - 1), to_end = CAPTURE_RING_BYTES - offset;
    uint32_t skip = to_end < size ? to_end : 0;
    if (at + skip + size - tail > CAPTURE_RING_BYTES)
        return NULL;
    if (skip >= sizeof(struct entry))
        *(struct entry *)(c->ring + offset) = (struct entry){.size = skip, .kind = ENTRY_SKIP};
    *head = at + skip + size;
    return c->ring + ((at + skip) & (CAPTURE_RING_BYTES - 1));
}

static bool wants_waking(const struct capture *c, uint64_t head)
{
    int state = atomic_load(&c->state);
    if (state != WRITER_LINGERING)
        return state == WRITER_SLEEPING;
    return head - atomic_load_explicit(&c->tail, memory_order_relaxed) >= WAKE_BYTES;
}

/* The order of the store and the load here and in sleep_until_filled() keeps a wake-up from being
 * lost. */
static void publish(struct capture *c, uint64_t head)
{
    atomic_store(&c->head, head);
    if (wants_waking(c, head) && atomic_exchange(&c->state, WRITER_AWAKE) != WRITER_AWAKE)
        eventfd_write(c->wake_fd, 1);
}

static bool enter(struct capture *c, const struct entry *e, const void *data, size_t n)
{
    uint64_t head;
    uint8_t *room = reserve(c, e->size, &head);
    if (!room)
        return false;
    memcpy(room, e, sizeof(*e));
    memcpy(room + sizeof(*e), data, n);
    publish(c, head);
    return true;
}

static int grow(struct capture *c)
{
    if (c->n_interfaces == INTERFACES_MAX)
        return -ENOBUFS;
    size_t size = (c->n_interfaces + 1) * sizeof(*c->interfaces);
    struct interface_counts *more = realloc(c->interfaces, size);
    if (!more)
        return -ENOMEM;
    c->interfaces = more;
    c->interfaces[c->n_interfaces] = (struct interface_counts){0};
    return 0;
}

int capture_interface(struct capture *c, const char *name)
{
    size_t n = strnlen(name, CAPTURE_NAME_MAX);
    struct entry e = {.size = aligned(sizeof(e) + n), .kind = ENTRY_INTERFACE};
    e.packet.len = (uint32_t)n;
    int err = grow(c);
    if (err < 0)
        return err;
    return enter(c, &e, name, n) ? (int)c->n_interfaces++ : -ENOBUFS;
}

void capture_packet(struct capture *c, const struct capture_packet *p, const uint8_t *data)
{
    struct entry e = {.size = aligned(sizeof(e) + p->len), .kind = ENTRY_PACKET, .packet = *p};
    struct interface_counts *counts = &c->interfaces[p->interface];
    counts->seen++;
    if (!enter(c, &e, data, p->len))
        counts->dropped++;
}

/* The writer's thread */

static const char *const fate_texts[LINK_FATES] = {
    [LINK_LOST] = "dropped: loss",
    [LINK_QUEUE_FULL] = "dropped: queue full",
    [LINK_EARLY] = "dropped: early (RED or CoDel)",
    [LINK_DOWN] = "dropped: link down",
    [LINK_TOO_LARGE] = "dropped: larger than the mtu",
    [LINK_OVERRUN] = "dropped: overrun, its receiver is too slow or gone",
    [LINK_TRIGGERED] = "dropped: by a trigger",
};

static void add_word(char text[PCAPNG_COMMENT_MAX], const char *word)
{
    size_t n = strlen(text);
    snprintf(text + n, PCAPNG_COMMENT_MAX - n, "%s%s", n ? ", " : "", word);
}

/* The time that the packet took, if there is any to speak of. */
static void add_age(char text[PCAPNG_COMMENT_MAX], int64_t ns)
{
    char words[64];
    if (ns < 1000)
        return;
    snprintf(words, sizeof(words), "entered %" PRId64 ".%03" PRId64 " ms before", ns / 1000000,
             ns / 1000 % 1000);
    add_word(text, words);
}

/* Return: what was done to the packet, in words, or NULL for nothing. */
static const char *comment(const struct capture_packet *p, char text[PCAPNG_COMMENT_MAX])
{
    *text = '\0';
    if (fate_texts[p->fate])
        add_word(text, fate_texts[p->fate]);
    if (p->marks & PACKET_CORRUPTED)
        add_word(text, "corrupted");
    if (p->marks & PACKET_DUPLICATE)
        add_word(text, "duplicate");
    if (p->marks & PACKET_REORDERED)
        add_word(text, "reordered");
    if (p->marks & PACKET_HELD)
        add_word(text, "held by a trigger");
    if (p->marks & PACKET_CHANGED)
        add_word(text, "changed by a trigger");
    if (p->marks & PACKET_DELAYED)
        add_word(text, "delayed by a trigger");
    add_age(text, p->time - p->entered);
    return *text ? text : NULL;
}

static void write_packet(struct capture *c, const struct entry *e, const uint8_t *data)
{
    char text[PCAPNG_COMMENT_MAX];
    struct pcapng_packet p = {
        .interface = e->packet.interface,
        .time = e->packet.time + clock_wall_at_start(),
        .len = e->packet.len,
        .flags = e->packet.dir ? PCAPNG_INBOUND : PCAPNG_OUTBOUND,
        .comment = comment(&e->packet, text),
    };
    pcapng_packet(c->file, &p, data);
}

static void note_error(struct capture *c)
{
    if (!c->error && ferror_unlocked(c->file))
        c->error = errno ? -errno : -EIO;
}

/* Nothing is written behind an error: what follows would begin inside of a block. */
static void write_entry(struct capture *c, const struct entry *e)
{
    const uint8_t *data = (const uint8_t *)(e + 1);
    char name[CAPTURE_NAME_MAX + 1];
    if (c->error) {
        c->unwritten += e->kind == ENTRY_PACKET;
    } else if (e->kind == ENTRY_PACKET) {
        write_packet(c, e, data);
    } else if (e->kind == ENTRY_INTERFACE) {
        memcpy(name, data, e->packet.len);
        name[e->packet.len] = '\0';
        pcapng_interface(c->file, name);
    }
    note_error(c);
}

/* Write all that is in the ring. Return: whether there was anything. */
static bool drain(struct capture *c)
{
    uint64_t tail = atomic_load_explicit(&c->tail, memory_order_relaxed), begin = tail;
    while (tail != atomic_load_explicit(&c->head, memory_order_acquire)) {
        uint32_t offset = tail & (CAPTURE_RING_BYTES - 1), to_end = CAPTURE_RING_BYTES - offset;
        const struct entry *e = (const struct entry *)(c->ring + offset);
        if (to_end < sizeof(*e)) {
            tail += to_end;
        } else {
            write_entry(c, e);
            tail += e->size;
        }
        atomic_store_explicit(&c->tail, tail, memory_order_release);
    }
    return tail != begin;
}

/* A file that can be looked at while it grows; after an error it stays as it is. */
static void flush(struct capture *c)
{
    if (!c->error && fflush_unlocked(c->file))
        note_error(c);
}

static void linger(struct capture *c)
{
    eventfd_t count;
    struct pollfd woken = {.fd = c->wake_fd, .events = POLLIN};
    atomic_store(&c->state, WRITER_LINGERING);
    if (poll(&woken, 1, LINGER_MS) > 0)
        eventfd_read(c->wake_fd, &count);
    atomic_store(&c->state, WRITER_AWAKE);
}

static void sleep_until_filled(struct capture *c)
{
    eventfd_t count;
    atomic_store(&c->state, WRITER_SLEEPING);
    if (atomic_load(&c->head) == atomic_load(&c->tail) && !atomic_load(&c->stopping))
        eventfd_read(c->wake_fd, &count);
    atomic_store(&c->state, WRITER_AWAKE);
}

static void *writer(void *arg)
{
    struct capture *c = arg;
    pcapng_section(c->file, "qemunet " QN_VERSION);
    while (!atomic_load(&c->stopping)) {
        bool busy = drain(c);
        flush(c);
        if (busy)
            linger(c);
        else
            sleep_until_filled(c);
    }
    drain(c);
    return NULL;
}

/* Return: whether to try again. */
static bool wait_for_reader(struct capture *c)
{
    struct pollfd room = {.fd = c->fd, .events = POLLOUT};
    if (!c->give_up && atomic_load(&c->stopping))
        c->give_up = clock_now() + PATIENCE_NS;
    if (c->give_up && clock_now() >= c->give_up) {
        errno = ETIMEDOUT;
        return false;
    }
    poll(&room, 1, LOOK_MS);
    return true;
}

/* All of it. Return: 0 on failure, as fopencookie() wants. */
static ssize_t write_file(void *cookie, const char *data, size_t n)
{
    struct capture *c = cookie;
    size_t at = 0;
    while (at < n) {
        ssize_t written = write(c->fd, data + at, n - at);
        if (written >= 0)
            at += (size_t)written;
        else if (errno != EINTR && (errno != EAGAIN || !wait_for_reader(c)))
            return 0;
    }
    return (ssize_t)n;
}

static int close_file(void *cookie)
{
    struct capture *c = cookie;
    return close(c->fd);
}

/* A pipe that nobody reads must not hold up who opens it, nor who ends the capture. The buffer is
 * ours: glibc takes no size for its own. */
static int open_file(struct capture *c, const char *path)
{
    c->buffer = malloc(FILE_BUFFER);
    if (!c->buffer)
        return -ENOMEM;
    c->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (c->fd < 0)
        return -errno;
    c->file =
        fopencookie(c, "w", (cookie_io_functions_t){.write = write_file, .close = close_file});
    if (!c->file) {
        close(c->fd);
        return -ENOMEM;
    }
    setvbuf(c->file, c->buffer, _IOFBF, FILE_BUFFER);
    return 0;
}

static void release(struct capture *c)
{
    if (c->file && fclose(c->file) && !c->error)
        c->error = -errno;
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    free(c->buffer);
    free(c->interfaces);
    free(c->ring);
}

int capture_start(struct capture **out, const char *path)
{
    struct capture *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->wake_fd = eventfd(0, EFD_CLOEXEC);
    c->ring = malloc(CAPTURE_RING_BYTES);
    int err = c->wake_fd < 0 ? -errno : c->ring ? open_file(c, path) : -ENOMEM;
    if (!err)
        err = thread_start(&c->thread, writer, c);
    if (err) {
        release(c);
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

static void write_statistics(struct capture *c)
{
    int64_t now = clock_now() + clock_wall_at_start();
    c->dropped = c->unwritten;
    for (unsigned i = 0; i < c->n_interfaces; i++) {
        const struct interface_counts *counts = &c->interfaces[i];
        if (!c->error)
            pcapng_statistics(c->file, i, now, counts->seen, counts->dropped);
        c->seen += counts->seen;
        c->dropped += counts->dropped;
    }
}

int capture_stop(struct capture *c, struct fabric_capture_stats *stats)
{
    atomic_store(&c->stopping, true);
    eventfd_write(c->wake_fd, 1);
    pthread_join(c->thread, NULL);
    write_statistics(c);
    flush(c);
    release(c);
    if (stats)
        *stats = (struct fabric_capture_stats){c->seen, c->dropped};
    int err = c->error;
    free(c);
    return err;
}
