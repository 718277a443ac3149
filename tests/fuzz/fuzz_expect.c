/* SPDX-License-Identifier: MIT */
/* A stream's bytes, searched for several patterns whole and in pieces: both must find the same. The
 * input's first four bytes seed the pieces' sizes, the next choose the patterns, and one, the
 * window: a small one, for which only what each match says of itself is checked. */
#include "runtime/expect.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096
#define HEAD 9
#define N_CHOSEN 4
#define MATCHES_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const patterns[] = {
    "a",
    "ab+",
    "abc|b",
    "login: $",
    "[#$] $",
    "[#$] ",
    "^\\w+$",
    "^$",
    "^",
    "$",
    "x*",
    "\\d+ of \\d+",
    "(\\w+)=(\\w+);",
    "(?<a>a)?(?<b>b)?c",
    "foo(?!bar)",
    "foo(?=bar)",
    "(?<=a)b",
    "(?<!a)b",
    "(?<=(..))b(?=(c+)d)",
    "\\bcat\\b",
    "\\B",
    "(?s)<.*>",
    "(?s)<.*?>",
    "<[^>]*+>",
    "\\R\\R",
    "(abc)\\1",
    "\\((?:[^()]++|(?R))*+\\)",
    "key=\\K\\w+",
    "[\\x80-\\xff]{2}",
    "\\x00",
    "\\r",
    ".$",
    "a\\Z",
    "b\\z",
    "(?i)Password",
    "(a+)+b",
    "(?|a(b)|c(d))e",
    "\\n^foo",
    "(?<!^)^(?!a).?",
};

#define N_PATTERNS (sizeof(patterns) / sizeof(*patterns))

static struct regex *compiled[N_PATTERNS];

static void compile_all(void)
{
    struct regex_error error;
    for (size_t i = 0; i < N_PATTERNS && !compiled[i]; i++) {
        if (regex_compile(&compiled[i], patterns[i], strlen(patterns[i]), REGEX_STREAM, &error))
            abort();
    }
}

struct found {
    size_t index;
    uint64_t at, end;
};

struct log {
    struct found found[MATCHES_MAX];
    size_t n;
    bool failed;
};

static struct regex *chosen[N_CHOSEN];

static void check_span(struct regex_span span, size_t n)
{
    if (span.from != REGEX_UNSET && (span.from > span.to || span.to > n))
        abort();
}

/* Every span is within the bytes that came, and has them. */
static void check_match(const struct expect_match *match, const char *text, size_t n)
{
    size_t lead = match->groups[0].from - match->before.from;
    if (match->index >= N_CHOSEN || match->before.to != match->groups[0].from || match->at < lead)
        abort();
    check_span(match->before, n);
    for (size_t i = 0; i <= regex_groups(match->regex); i++) {
        struct regex_span span = match->groups[i];
        check_span(span, n);
        if (span.from == REGEX_UNSET)
            continue;
        uint64_t at = match->at + span.from - match->groups[0].from;
        if (at + (span.to - span.from) > n ||
            memcmp(match->data + span.from, text + at, span.to - span.from) != 0)
            abort();
    }
    if (memcmp(match->data + match->before.from, text + match->at - lead, lead) != 0)
        abort();
}

/* Take matches until there are no more. Return: whether to stop for good: an empty match is found
 * for ever. */
static bool take_matches(struct expect *expect, int state, bool final, struct log *log,
                         const char *text, size_t n)
{
    while (state == EXPECT_MATCHED && log->n < MATCHES_MAX) {
        const struct expect_match *match = expect_matched(expect);
        check_match(match, text, n);
        uint64_t end = match->at + match->groups[0].to - match->groups[0].from;
        log->found[log->n++] = (struct found){match->index, match->at, end};
        if (match->at == end)
            return true;
        if (expect_arm(expect, chosen, N_CHOSEN))
            abort();
        state = expect_search(expect, final);
    }
    log->failed = state < 0;
    return state < 0 || log->n == MATCHES_MAX;
}

static size_t chunk(uint32_t *state, size_t left)
{
    *state = *state * 1664525 + 1013904223;
    size_t n = (*state >> 16) % ((*state >> 30) ? 40 : 3) + 1;
    return n < left ? n : left;
}

static void find_all(struct log *log, size_t window, const char *text, size_t n, uint32_t *pieces)
{
    struct expect *expect;
    log->n = 0;
    log->failed = false;
    if (expect_open(&expect, window) || expect_arm(expect, chosen, N_CHOSEN))
        abort();
    bool stop = false;
    for (size_t at = 0, take; at < n && !stop; at += take) {
        take = pieces ? chunk(pieces, n - at) : n;
        stop = take_matches(expect, expect_feed(expect, text + at, take), false, log, text, n);
        size_t kept = SIZE_MAX;
        expect_tail(expect, &kept);
        if (kept > 2 * window + 1)
            abort();
    }
    if (!stop)
        take_matches(expect, expect_search(expect, true), true, log, text, n);
    expect_close(expect);
}

static bool equal(const struct log *a, const struct log *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (a->found[i].index != b->found[i].index || a->found[i].at != b->found[i].at ||
            a->found[i].end != b->found[i].end)
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct log whole, parts;
    uint32_t state;
    if (size < HEAD || size > INPUT_MAX)
        return 0;
    compile_all();
    memcpy(&state, data, sizeof(state));
    for (size_t i = 0; i < N_CHOSEN; i++)
        chosen[i] = compiled[data[4 + i] % N_PATTERNS];
    const char *text = (const char *)data + HEAD;
    size -= HEAD;
    find_all(&whole, INPUT_MAX, text, size, NULL);
    find_all(&parts, INPUT_MAX, text, size, &state);
    /* Where one runs into the limit of steps, the other may have been stopped by a piece's end. */
    if (!whole.failed && !parts.failed && !equal(&whole, &parts))
        abort();
    find_all(&parts, (size_t)data[8] % 64 + 1, text, size, &state);
    return 0;
}
