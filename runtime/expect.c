/* SPDX-License-Identifier: MIT */
#include "runtime/expect.h"

#include "runtime/bytes.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of backtracking from one place of the text (a million took 2 to 30 ms), nesting, and KiB;
 * the last two count only without JIT. */
#define DEPTH_LIMIT 250000
#define HEAP_LIMIT 8192
static const uint32_t match_limits[] = {[REGEX_TEXT] = 10000000, [REGEX_STREAM] = 200000};

/* Processor time for one search. The limits above do not bound it, as they hold for each place of
 * the text anew, and some steps are long. */
static const int64_t budgets_ns[] = {[REGEX_TEXT] = 10000000000, [REGEX_STREAM] = 250000000};

#define JIT_STACK_MIN 32768
#define JIT_STACK_MAX (4 << 20)

/* Put before each pattern, to be called where a match is tried. */
#define CALLOUT "(?C1)"
#define CALLOUT_LEN 5

/* The callout's result besides PCRE2's error numbers, which are small. */
#define OUT_OF_TIME (-1000000)

struct regex {
    enum regex_mode mode;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL while the machine's own is enough */
    uint32_t n_groups;
    /* Of the present search: */
    size_t last;       /* where a match may start at the latest */
    int64_t cpu_end;   /* until when it may go on, in processor time */
    int64_t next_look; /* no sooner, in real time, can that be */
};

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Compiling */

static bool is_verb_byte(char c)
{
    return isupper((unsigned char)c) || isdigit((unsigned char)c) || c == '_' || c == '=';
}

/* Return: the length of what must be at the start of a pattern, as "(*UTF)". */
static size_t head_len(const char *pattern, size_t n)
{
    size_t len = 0;
    while (n - len > 2 && memcmp(pattern + len, "(*", 2) == 0) {
        size_t at = len + 2;
        while (at < n && is_verb_byte(pattern[at]))
            at++;
        if (at == n || pattern[at] != ')')
            break;
        len = at + 1;
    }
    return len;
}

static pcre2_code *compile_text(const char *text, size_t n, enum regex_mode mode, int *number,
                                size_t *offset)
{
    /* ALT_CIRCUMFLEX: else ^ would not match behind a newline that is the last byte so far */
    static const uint32_t options[] = {
        [REGEX_TEXT] = 0,
        [REGEX_STREAM] = PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX | PCRE2_NEVER_UTF,
    };
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return NULL;
    if (mode == REGEX_STREAM)
        pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, n, options[mode], number, offset, context);
    pcre2_compile_context_free(context);
    return code;
}

static pcre2_code *compile_code(const char *pattern, size_t n, enum regex_mode mode, int *number,
                                size_t *offset)
{
    struct bytes text = {0};
    size_t head = head_len(pattern, n);
    pcre2_code *code = NULL;
    *number = PCRE2_ERROR_NOMEMORY;
    if (!bytes_add(&text, pattern, head) && !bytes_add(&text, CALLOUT, CALLOUT_LEN) &&
        !bytes_add(&text, pattern + head, n - head))
        code = compile_text(text.data, text.n, mode, number, offset);
    bytes_free(&text);
    if (!code && *offset >= head + CALLOUT_LEN)
        *offset -= CALLOUT_LEN;
    return code;
}

static int describe(int number, size_t offset, struct regex_error *error)
{
    if (number == PCRE2_ERROR_NOMEMORY || number == PCRE2_ERROR_HEAP_FAILED)
        return -ENOMEM;
    error->offset = offset;
    pcre2_get_error_message(number, (PCRE2_UCHAR *)error->message, sizeof(error->message));
    return -EINVAL;
}

/* No later than @last, and not for ever. */
static int on_callout(pcre2_callout_block *block, void *arg)
{
    struct regex *regex = arg;
    if (block->start_match > regex->last)
        return PCRE2_ERROR_NOMATCH;
    int64_t now = read_clock(CLOCK_MONOTONIC);
    if (now < regex->next_look)
        return 0;
    /* So much time has passed, perhaps without this thread. */
    int64_t left = regex->cpu_end - read_clock(CLOCK_THREAD_CPUTIME_ID);
    regex->next_look = now + left;
    return left > 0 ? 0 : OUT_OF_TIME;
}

int regex_compile(struct regex **out, const char *pattern, size_t n, enum regex_mode mode,
                  struct regex_error *error)
{
    int number;
    size_t offset = 0;
    pcre2_code *code = compile_code(pattern, n, mode, &number, &offset);
    if (!code)
        return describe(number, offset, error);
    struct regex *regex = calloc(1, sizeof(*regex));
    if (!regex) {
        pcre2_code_free(code);
        return -ENOMEM;
    }
    regex->code = code;
    regex->data = pcre2_match_data_create_from_pattern(code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (!regex->data || !regex->context) {
        regex_free(regex);
        return -ENOMEM;
    }
    regex->mode = mode;
    pcre2_set_callout(regex->context, on_callout, regex);
    pcre2_set_match_limit(regex->context, match_limits[mode]);
    pcre2_set_depth_limit(regex->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(regex->context, HEAP_LIMIT);
    /* Where there is no JIT, this fails, and the interpreter does the work. */
    pcre2_jit_compile(code,
                      PCRE2_JIT_COMPLETE | (mode == REGEX_STREAM ? PCRE2_JIT_PARTIAL_HARD : 0));
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &regex->n_groups);
    *out = regex;
    return 0;
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->data);
    pcre2_match_context_free(regex->context);
    pcre2_jit_stack_free(regex->stack);
    pcre2_code_free(regex->code);
    free(regex);
}

size_t regex_groups(const struct regex *regex)
{
    return regex->n_groups;
}

const char *regex_name(const struct regex *regex, size_t i, size_t *group)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMECOUNT, &count);
    if (i >= count)
        return NULL;
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(regex->code, PCRE2_INFO_NAMETABLE, &table);
    const unsigned char *entry = table + i * size;
    *group = (size_t)entry[0] << 8 | entry[1];
    return (const char *)entry + 2;
}

/* Matching */

static int match_once(struct regex *regex, const char *text, size_t n, size_t start,
                      uint32_t options)
{
    return pcre2_match(regex->code, (PCRE2_SPTR)text, n, start, options, regex->data,
                       regex->context);
}

/* Find a match that starts at @start to @last. Return: as pcre2_match(), or OUT_OF_TIME. */
static int match(struct regex *regex, const char *text, size_t n, size_t start, size_t last,
                 uint32_t options)
{
    regex->last = last;
    regex->next_look = read_clock(CLOCK_MONOTONIC) + budgets_ns[regex->mode];
    regex->cpu_end = read_clock(CLOCK_THREAD_CPUTIME_ID) + budgets_ns[regex->mode];
    int rc = match_once(regex, text, n, start, options);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT || regex->stack)
        return rc;
    regex->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (!regex->stack)
        return PCRE2_ERROR_NOMEMORY;
    pcre2_jit_stack_assign(regex->context, NULL, regex->stack);
    return match_once(regex, text, n, start, options);
}

static int to_errno(int rc)
{
    switch (rc) {
    case OUT_OF_TIME:
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_JIT_STACKLIMIT:
    case PCRE2_ERROR_RECURSELOOP:
        return -ETIME;
    case PCRE2_ERROR_NOMEMORY:
        return -ENOMEM;
    default:
        return rc == PCRE2_ERROR_BADUTFOFFSET ||
                       (rc <= PCRE2_ERROR_UTF8_ERR1 && rc >= PCRE2_ERROR_UTF8_ERR21)
                   ? -EILSEQ
                   : -EINVAL;
    }
}

const char *regex_strerror(int err)
{
    switch (err) {
    case -ETIME:
        return "the pattern takes too many steps on this text";
    case -EILSEQ:
        return "the text is not UTF-8 there, and the pattern asks for it";
    default:
        return strerror(-err);
    }
}

static void get_spans(const struct regex *regex, struct regex_span *spans)
{
    const size_t *ovector = pcre2_get_ovector_pointer(regex->data);
    for (size_t i = 0; i <= regex->n_groups; i++) {
        bool unset = ovector[2 * i] == PCRE2_UNSET;
        spans[i].from = unset ? REGEX_UNSET : ovector[2 * i];
        spans[i].to = unset ? REGEX_UNSET : ovector[2 * i + 1];
    }
}

int regex_find(struct regex *regex, const char *text, size_t n, size_t start, bool not_empty,
               struct regex_span *spans)
{
    int rc = match(regex, text, n, start, n, not_empty ? PCRE2_NOTEMPTY_ATSTART : 0);
    if (rc == PCRE2_ERROR_NOMATCH)
        return 0;
    if (rc < 0)
        return to_errno(rc);
    get_spans(regex, spans);
    return 1;
}

/* Streams */

/* Where to go on once no match starts before @next: PCRE2 does not try between CR and LF when it
 * comes from the CR. */
static size_t resume_at(const char *text, size_t start, size_t next)
{
    return next > start && text[next - 1] == '\r' ? next - 1 : next;
}

/* A pattern that is searched for; no match of it starts before @from. */
struct wanted {
    struct regex *regex;
    uint64_t from;
};

struct result {
    struct expect_match match;
    struct regex_span spans[]; /* and behind them the bytes that they are parts of */
};

/* Positions in the stream are uint64_t, those in what is kept size_t. The byte before the search is
 * kept, so that ^ and \b see it: @base is 0 or less than each @from that is used. */
struct expect {
    size_t window;
    struct bytes kept;
    uint64_t base;  /* where in the stream it starts */
    uint64_t begin; /* where the last match ended */
    struct wanted *wanted;
    size_t n_wanted;          /* 0: not armed */
    struct regex_span *spans; /* of the best match so far, while searching */
    struct result *result;
};

int expect_open(struct expect **out, size_t window)
{
    struct expect *expect = calloc(1, sizeof(*expect));
    if (!expect)
        return -ENOMEM;
    expect->window = window > 0 ? window : 1;
    *out = expect;
    return 0;
}

static void forget_result(struct expect *expect)
{
    free(expect->result);
    expect->result = NULL;
}

void expect_disarm(struct expect *expect)
{
    free(expect->wanted);
    free(expect->spans);
    expect->wanted = NULL;
    expect->spans = NULL;
    expect->n_wanted = 0;
}

void expect_reset(struct expect *expect)
{
    expect_disarm(expect);
    forget_result(expect);
    bytes_free(&expect->kept);
    expect->base = expect->begin = 0;
}

void expect_close(struct expect *expect)
{
    if (!expect)
        return;
    expect_reset(expect);
    free(expect);
}

int expect_arm(struct expect *expect, struct regex *const *patterns, size_t n)
{
    size_t groups = 0;
    expect_disarm(expect);
    forget_result(expect);
    for (size_t i = 0; i < n; i++)
        groups = patterns[i]->n_groups > groups ? patterns[i]->n_groups : groups;
    expect->wanted = calloc(n ? n : 1, sizeof(*expect->wanted));
    expect->spans = calloc(groups + 1, sizeof(*expect->spans));
    if (!expect->wanted || !expect->spans) {
        expect_disarm(expect);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        expect->wanted[i] = (struct wanted){patterns[i], expect->begin};
    expect->n_wanted = n;
    return 0;
}

/* Extend @region by @span. */
static void cover(struct regex_span *region, const struct regex_span *span)
{
    if (span->from == REGEX_UNSET)
        return;
    region->from = span->from < region->from ? span->from : region->from;
    region->to = span->to > region->to ? span->to : region->to;
}

static void move_back(struct regex_span *span, size_t by)
{
    if (span->from == REGEX_UNSET)
        return;
    span->from -= by;
    span->to -= by;
}

/* The match of pattern @index, its spans in expect->spans, is the result: copied, as what is kept
 * moves on. Return: EXPECT_MATCHED or -ENOMEM. */
static int accept(struct expect *expect, size_t index)
{
    struct regex *regex = expect->wanted[index].regex;
    const struct regex_span *spans = expect->spans;
    size_t n = (size_t)regex->n_groups + 1;
    bool truncated = expect->begin < expect->base;
    struct regex_span before = {truncated ? 0 : (size_t)(expect->begin - expect->base),
                                spans[0].from};
    struct regex_span region = before;
    for (size_t i = 0; i < n; i++)
        cover(&region, &spans[i]);
    size_t n_data = region.to - region.from;
    struct result *result = malloc(sizeof(*result) + n * sizeof(*spans) + n_data);
    if (!result)
        return -ENOMEM;
    char *data = (char *)(result->spans + n);
    if (n_data)
        memcpy(data, expect->kept.data + region.from, n_data);
    move_back(&before, region.from);
    memcpy(result->spans, spans, n * sizeof(*spans));
    for (size_t i = 0; i < n; i++)
        move_back(&result->spans[i], region.from);
    result->match = (struct expect_match){
        .index = index,
        .at = expect->base + spans[0].from,
        .data = data,
        .before = before,
        .truncated = truncated,
        .regex = regex,
        .groups = result->spans,
    };
    expect->begin = expect->base + spans[0].to;
    expect->result = result;
    return EXPECT_MATCHED;
}

/* The best match so far, and the first place where more bytes could make one. */
struct search {
    bool final, found;
    size_t index, start;
    size_t partial; /* SIZE_MAX: none */
};

/* Look for pattern @index where it would be better than what was found. Return: 0 or negative
 * errno. */
static int search_one(struct expect *expect, size_t index, struct search *search)
{
    struct wanted *wanted = &expect->wanted[index];
    uint64_t first = expect->base + (expect->base > 0);
    size_t start = (size_t)((wanted->from > first ? wanted->from : first) - expect->base);
    size_t n = expect->kept.n;
    if (start > n || (search->found && start >= search->start))
        return 0;
    size_t last = search->found ? search->start - 1 : n;
    uint32_t options = (search->final ? 0 : PCRE2_PARTIAL_HARD) | (expect->base ? PCRE2_NOTBOL : 0);
    const char *text = expect->kept.data ? expect->kept.data : "";
    int rc = match(wanted->regex, text, n, start, last, options);
    size_t from = n;
    if (rc >= 0)
        from = pcre2_get_startchar(wanted->regex->data); /* the match's start, but for \K */
    else if (rc == PCRE2_ERROR_PARTIAL)
        from = pcre2_get_ovector_pointer(wanted->regex->data)[0];
    /* A match at the very end is empty: what comes may be one for an earlier pattern, or the LF of
     * a CR, before which none is tried. */
    if (rc >= 0 && (search->final || from < n)) {
        get_spans(wanted->regex, expect->spans);
        search->found = true;
        search->index = index;
        search->start = from;
    } else if (rc >= 0 || rc == PCRE2_ERROR_PARTIAL) {
        search->partial = from < search->partial ? from : search->partial;
        from = resume_at(text, start, from);
    } else if (rc == PCRE2_ERROR_NOMATCH) {
        from = resume_at(text, start, last < n ? last + 1 : n);
    } else {
        return to_errno(rc);
    }
    if (!search->final)
        wanted->from = expect->base + from;
    return 0;
}

static int search_all(struct expect *expect, bool final)
{
    struct search search = {.final = final, .partial = SIZE_MAX};
    for (size_t i = 0; i < expect->n_wanted; i++) {
        int err = search_one(expect, i, &search);
        if (err)
            return err;
    }
    /* A partial match at the same place is of an earlier pattern: later ones were only looked for
     * before it. */
    if (search.found && search.start < search.partial)
        return accept(expect, search.index);
    return search.partial != SIZE_MAX ? EXPECT_UNDECIDED : EXPECT_NONE;
}

int expect_search(struct expect *expect, bool final)
{
    if (!expect->n_wanted)
        return EXPECT_NONE;
    int state = search_all(expect, final);
    if (state == EXPECT_MATCHED || state < 0)
        expect_disarm(expect);
    return state;
}

/* Keep the last @window bytes and the one before them. */
static void drop_oldest(struct expect *expect)
{
    struct bytes *kept = &expect->kept;
    if (kept->n <= expect->window + 1)
        return;
    size_t drop = kept->n - expect->window - 1;
    memmove(kept->data, kept->data + drop, kept->n - drop);
    kept->n -= drop;
    expect->base += drop;
}

static int add(struct expect *expect, const char *data, size_t n)
{
    if (expect->kept.n + n > 2 * expect->window + 1)
        drop_oldest(expect);
    return bytes_add(&expect->kept, data, n);
}

int expect_feed(struct expect *expect, const char *data, size_t n)
{
    int state = EXPECT_NONE;
    for (size_t piece; n; data += piece, n -= piece) {
        piece = n < expect->window ? n : expect->window;
        int err = add(expect, data, piece);
        if (err) {
            expect_disarm(expect);
            return err;
        }
        if (expect->n_wanted)
            state = expect_search(expect, false);
    }
    return state;
}

const struct expect_match *expect_matched(const struct expect *expect)
{
    return expect->result ? &expect->result->match : NULL;
}

const char *expect_tail(const struct expect *expect, size_t *n)
{
    *n = *n < expect->kept.n ? *n : expect->kept.n;
    return expect->kept.data ? expect->kept.data + expect->kept.n - *n : "";
}
