/* SPDX-License-Identifier: MIT */
#include "noise.h"

#include "endpoint.h"
#include "runtime/clock.h"
#include "statistics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MEDIAN_NS (50 * CLOCK_NS_PER_US)
#define IDLE_OTHERS 0.1
#define IDLE_TAIL_NS (250 * CLOCK_NS_PER_US)

static void *writer_main(void *arg)
{
    struct noise *n = arg;
    be_punctual();
    int64_t due = clock_now();
    while (!atomic_load(&n->stop)) {
        due += CLOCK_NS_PER_MS;
        sleep_until(due);
        if (send(n->fds[0], &due, sizeof(due), 0) < 0)
            fail("noise: send");
    }
    shutdown(n->fds[1], SHUT_RD);
    return NULL;
}

static void note(struct noise *n, double late)
{
    if (n->n == n->room) {
        n->room = n->room ? 2 * n->room : 1024;
        n->late = reallocarray(n->late, n->room, sizeof(*n->late));
        if (!n->late)
            fail("noise: memory");
    }
    n->late[n->n++] = late;
}

static void *reader_main(void *arg)
{
    struct noise *n = arg;
    int64_t due;
    while (recv(n->fds[1], &due, sizeof(due), 0) == (ssize_t)sizeof(due))
        note(n, (double)(clock_now() - due));
    return NULL;
}

/* Return: how long all processors have been busy, ns. */
static int64_t busy_time(void)
{
    long long user = 0, nice = 0, system = 0;
    FILE *f = fopen("/proc/stat", "re");
    if (!f || fscanf(f, "cpu %lld %lld %lld", &user, &nice, &system) != 3)
        fail("/proc/stat");
    fclose(f);
    return (user + nice + system) * (CLOCK_NS_PER_S / sysconf(_SC_CLK_TCK));
}

static int64_t own_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * CLOCK_NS_PER_S + t.tv_nsec;
}

static double busy_others(const struct noise *n)
{
    int64_t others = (busy_time() - n->busy) - (own_time() - n->own);
    return others > 0 ? (double)others / (double)(clock_now() - n->began) : 0;
}

void noise_start(struct noise *n)
{
    *n = (struct noise){.began = clock_now(), .busy = busy_time(), .own = own_time()};
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, n->fds) < 0)
        fail("noise: socketpair");
    errno = pthread_create(&n->reader, NULL, reader_main, n);
    if (!errno)
        errno = pthread_create(&n->writer, NULL, writer_main, n);
    if (errno)
        fail("noise: thread");
}

struct noise_level noise_stop(struct noise *n)
{
    atomic_store(&n->stop, true);
    pthread_join(n->writer, NULL);
    pthread_join(n->reader, NULL);
    if (n->n == 0)
        note(n, 0);
    sort_values(n->late, n->n);
    struct noise_level l = {quantile(n->late, n->n, 0.5), quantile(n->late, n->n, 0.995),
                            n->late[n->n - 1], busy_others(n)};
    free(n->late);
    close(n->fds[0]);
    close(n->fds[1]);
    return l;
}

bool is_idle(const struct noise_level *l)
{
    return l->median <= (double)IDLE_MEDIAN_NS && l->tail <= (double)IDLE_TAIL_NS &&
           l->others <= IDLE_OTHERS;
}
