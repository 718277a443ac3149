/* SPDX-License-Identifier: MIT */
#include "course.h"

#include "tally.h"

#include <math.h>
#include <stdlib.h>

static double sending_ns(const struct link_config *c, uint32_t len)
{
    return c->rate_bps ? len * 8e9 / (double)c->rate_bps : 0;
}

double *course_errors(const struct journal *j, const struct link_config *c, size_t *n)
{
    struct tally t;
    tally_make(&t, j);
    int64_t *came = first_arrivals(j);
    double *errors = malloc((j->n + 1) * sizeof(*errors)), ends = 0;
    if (!errors)
        fail("course: memory");
    *n = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        double own = sending_ns(c, j->lens[i]);
        if (t.copies[i] == 0)
            continue;
        double sent = fmax((double)j->sent[i], ends) + own;
        ends = sent + own * (t.copies[i] - 1);
        errors[(*n)++] = (double)came[i] - sent - (double)c->delay_ns;
    }
    free(came);
    tally_free(&t);
    return errors;
}

double course_spacing(const struct arrival *a, size_t n, double expected)
{
    size_t part = n / 10;
    double least[2] = {HUGE_VAL, HUGE_VAL};
    for (size_t i = 0; i < part; i++) {
        size_t k = n - 1 - i;
        least[0] = fmin(least[0], (double)a[i].at - expected * (double)i);
        least[1] = fmin(least[1], (double)a[k].at - expected * (double)k);
    }
    return expected + (least[1] - least[0]) / (double)(n - part);
}
