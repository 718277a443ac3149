/* SPDX-License-Identifier: MIT */
#include "runtime/fabric/meter.h"

#include <math.h>

#define WORD 64
#define WORDS (METER_WINDOW / WORD)

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static uint64_t low_bits(unsigned n)
{
    return n == WORD ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static bool mark(uint64_t *bits, int64_t n)
{
    uint64_t *word = &bits[n % METER_WINDOW / WORD], bit = UINT64_C(1) << n % WORD;
    bool was = *word & bit;
    *word |= bit;
    return was;
}

/* Count @n numbers, from bit 0 of @played on. */
static void judge(struct meter_gaps *g, uint64_t played, unsigned n)
{
    uint64_t missed = ~played & low_bits(n);
    uint64_t begun = missed & ~(missed << 1 | (g->open ? 1 : 0));
    g->missed += (uint64_t)__builtin_popcountll(missed);
    g->bursts += (uint64_t)__builtin_popcountll(begun);
    g->open = missed >> (n - 1) & 1;
}

/* How many of the numbers from @from to before @to share the word of @from. */
static unsigned run_of(int64_t from, int64_t to)
{
    int64_t left = to - from, room = WORD - from % WORD;
    return (unsigned)(left < room ? left : room);
}

static void judge_range(struct meter_gaps *g, const struct meter *m, int64_t from, int64_t to)
{
    for (unsigned n; from < to; from += n) {
        n = run_of(from, to);
        judge(g, m->played[from % METER_WINDOW / WORD] >> from % WORD, n);
    }
}

static void clear_range(struct meter *m, int64_t from, int64_t to)
{
    for (unsigned n; from < to; from += n) {
        n = run_of(from, to);
        uint64_t keep = ~(low_bits(n) << from % WORD);
        m->seen[from % METER_WINDOW / WORD] &= keep;
        m->played[from % METER_WINDOW / WORD] &= keep;
    }
}

/* Numbers that the window passes over without any having been in it. */
static void judge_unseen(struct meter_gaps *g, int64_t n)
{
    if (n <= 0)
        return;
    g->missed += (uint64_t)n;
    g->bursts += !g->open;
    g->open = true;
}

/* Let the window end before @next. */
static void advance(struct meter *m, int64_t next)
{
    int64_t from = at_least(m->next - METER_WINDOW, 0), to = at_least(next - METER_WINDOW, 0);
    judge_range(&m->gaps, m, from, to < m->next ? to : m->next);
    judge_unseen(&m->gaps, to - m->next);
    clear_range(m, at_least(m->next, to), next);
    m->next = next;
}

/* Return: the number whose low 32 bits are @seq and that is nearest to the newest. */
static int64_t extend(const struct meter *m, uint32_t seq)
{
    if (m->next == 0)
        return seq;
    int64_t newest = m->next - 1;
    return newest + (int32_t)(seq - (uint32_t)newest);
}

/* RFC 3550, 6.4.1, but that the first difference is the first estimate: the mean over a short run
 * is not too low by it. */
static void add_jitter(struct meter *m, int64_t transit)
{
    double d = fabs((double)(transit - m->transit));
    if (m->received == 1)
        m->jitter = d;
    else if (m->received > 1)
        m->jitter += (d - m->jitter) / 16;
    if (m->received > 0)
        m->jitter_sum += m->jitter;
    m->transit = transit;
}

/* The least delay of the recent packets, this one included. */
static int64_t least_recent(struct meter *m, int64_t delay)
{
    if (m->received == 0)
        m->least[0] = m->least[1] = delay;
    if (m->received % METER_RECENT == 0) {
        m->least[1] = m->least[0];
        m->least[0] = delay;
    }
    if (delay < m->least[0])
        m->least[0] = delay;
    return m->least[0] < m->least[1] ? m->least[0] : m->least[1];
}

/* A playout buffer as telephones have it: it plays each packet a fixed time after the least delay,
 * and follows that when it changes. */
static void play(struct meter *m, int64_t n, int64_t delay)
{
    int64_t due = least_recent(m, delay) + m->playout_ns;
    m->played_sum += (double)due;
    if (delay > due)
        m->late++;
    else if (n >= m->next - METER_WINDOW)
        mark(m->played, n);
}

int meter_add(struct meter *m, uint32_t seq, int64_t delay, int64_t at, uint32_t len)
{
    int64_t n = extend(m, seq);
    if (n < 0)
        return 0;
    bool overtaken = n < m->next;
    if (!overtaken)
        advance(m, n + 1);
    if (n >= m->next - METER_WINDOW && mark(m->seen, n)) {
        m->duplicates++;
        return 0;
    }
    m->reordered += overtaken;
    add_jitter(m, delay);
    if (m->playout_ns > 0)
        play(m, n, delay);
    if (m->received++ == 0) {
        m->first_at = at;
        m->first_len = len;
    }
    m->last_at = at;
    m->bytes += len;
    return delays_add(&m->delays, delay);
}

struct meter_gaps meter_gaps(const struct meter *m)
{
    struct meter_gaps g = m->gaps;
    judge_range(&g, m, at_least(m->next - METER_WINDOW, 0), m->next);
    return g;
}

double meter_rate(const struct meter *m)
{
    double ns = (double)(m->last_at - m->first_at);
    return ns > 0 ? (double)(m->bytes - m->first_len) * 8e9 / ns : 0;
}

void meter_free(struct meter *m)
{
    delays_free(&m->delays);
}
