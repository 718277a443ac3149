/* SPDX-License-Identifier: MIT */
#include "burst.h"

#include <math.h>
#include <string.h>

#define SINGLE_CLASSES 12
#define LONGEST (1U << SINGLE_CLASSES << 12)

struct burst_model burst_model(const struct link_config *c)
{
    const struct link_burst *b = &c->burst;
    double pass = 1 - c->loss;
    if (b->p == 0)
        return (struct burst_model){0, 1, {c->loss, c->loss}};
    return (struct burst_model){b->p, b->r, {1 - b->k * pass, 1 - b->h * pass}};
}

static double share_of_bad(const struct burst_model *m)
{
    return m->p / (m->p + m->r);
}

double burst_share(const struct burst_model *m)
{
    double bad = share_of_bad(m);
    return (1 - bad) * m->lose[0] + bad * m->lose[1];
}

/* The covariance of two frames' fates is that of their states, which falls by 1 - p - r from frame
 * to frame. */
double burst_deviation(const struct burst_model *m, double n)
{
    double q = burst_share(m), bad = share_of_bad(m), step = 1 - m->p - m->r;
    double difference = m->lose[1] - m->lose[0];
    double covariance = difference * difference * bad * (1 - bad) * step / (1 - step);
    return sqrt((q * (1 - q) + 2 * covariance) / n);
}

/* How probable each state is, together with what has been seen so far. */
struct states {
    double good, bad;
};

/* Return: the same after one more frame that was lost, or passed. */
static struct states after(const struct burst_model *m, struct states s, bool lost)
{
    double good = s.good * (1 - m->p) + s.bad * m->r, bad = s.good * m->p + s.bad * (1 - m->r);
    return (struct states){
        good * (lost ? m->lose[0] : 1 - m->lose[0]),
        bad * (lost ? m->lose[1] : 1 - m->lose[1]),
    };
}

/* Lengths up to SINGLE_CLASSES have a class each; then one up to twice that, and so on. */
static unsigned class_of(uint64_t length)
{
    unsigned c = SINGLE_CLASSES;
    if (length <= SINGLE_CLASSES)
        return (unsigned)length - 1;
    for (uint64_t most = 2 * SINGLE_CLASSES; length > most && c < RUN_CLASSES - 1; most *= 2)
        c++;
    return c;
}

void burst_expect_runs(const struct burst_model *m, bool lost, uint64_t runs,
                       double expected[RUN_CLASSES])
{
    double bad = share_of_bad(m);
    struct states s = after(m, (struct states){1 - bad, bad}, !lost);
    s = after(m, s, lost);
    double all = s.good + s.bad, longer = 1;
    memset(expected, 0, RUN_CLASSES * sizeof(*expected));
    for (uint64_t length = 1; length < LONGEST && longer > 1e-12; length++) {
        s = after(m, s, lost);
        double rest = (s.good + s.bad) / all;
        expected[class_of(length)] += (longer - rest) * (double)runs;
        longer = rest;
    }
    expected[RUN_CLASSES - 1] += longer * (double)runs;
}

uint64_t count_runs(const uint8_t *copies, size_t n, bool lost, uint64_t counts[RUN_CLASSES])
{
    uint64_t runs = 0, length = 0;
    memset(counts, 0, RUN_CLASSES * sizeof(*counts));
    for (size_t i = 0; i < n; i++) {
        if ((copies[i] == 0) == lost) {
            length++;
        } else if (length > 0) {
            counts[class_of(length)]++;
            runs++;
            length = 0;
        }
    }
    return runs;
}
