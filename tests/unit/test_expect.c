/* SPDX-License-Identifier: MIT */
#include "runtime/expect.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define MAX_PATTERNS 8

/* A stream with the patterns that are searched for in it. */
struct rig {
    struct expect *expect;
    struct regex *patterns[MAX_PATTERNS];
    size_t n;
};

static struct regex *compile(const char *pattern, enum regex_mode mode)
{
    struct regex *regex = NULL;
    struct regex_error error = {0};
    CHECK_INT(regex_compile(&regex, pattern, strlen(pattern), mode, &error), 0);
    CHECK_STR(error.message, "");
    return regex;
}

static void open_rig(struct rig *rig, size_t window, const char *const *patterns)
{
    *rig = (struct rig){0};
    CHECK_INT(expect_open(&rig->expect, window), 0);
    for (; *patterns; patterns++)
        rig->patterns[rig->n++] = compile(*patterns, REGEX_STREAM);
    CHECK_INT(expect_arm(rig->expect, rig->patterns, rig->n), 0);
}

#define OPEN_RIG(rig, window, ...) open_rig(rig, window, (const char *const[]){__VA_ARGS__, NULL})

static void close_rig(struct rig *rig)
{
    expect_close(rig->expect);
    for (size_t i = 0; i < rig->n; i++)
        regex_free(rig->patterns[i]);
}

static void arm(struct rig *rig)
{
    CHECK_INT(expect_arm(rig->expect, rig->patterns, rig->n), 0);
}

static int feed(struct rig *rig, const char *text)
{
    return expect_feed(rig->expect, text, strlen(text));
}

/* Return: the span as a string, in one of a few buffers; "(unset)". */
static const char *text_of(const struct expect_match *match, struct regex_span span)
{
    static char buffers[4][4096];
    static int turn;
    char *to = buffers[turn++ % 4];
    if (span.from == REGEX_UNSET)
        return "(unset)";
    size_t n = span.to - span.from;
    CHECK(span.to >= span.from && n < sizeof(buffers[0]));
    memcpy(to, match->data + span.from, n);
    to[n] = '\0';
    return to;
}

static const char *group(const struct rig *rig, size_t i)
{
    const struct expect_match *match = expect_matched(rig->expect);
    return match ? text_of(match, match->groups[i]) : "(no match)";
}

static const char *before(const struct rig *rig)
{
    const struct expect_match *match = expect_matched(rig->expect);
    return match ? text_of(match, match->before) : "(no match)";
}

static size_t which(const struct rig *rig)
{
    const struct expect_match *match = expect_matched(rig->expect);
    return match ? match->index : 99;
}

static void finds_and_consumes(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "b+;");
    CHECK_INT(feed(&rig, "aabb;cc"), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 0), "bb;");
    CHECK_STR(before(&rig), "aa");
    CHECK_INT(expect_matched(rig.expect)->at, 2);
    CHECK(!expect_matched(rig.expect)->truncated);
    CHECK_INT(feed(&rig, "bbb;"), EXPECT_NONE); /* nothing is searched for */
    arm(&rig);
    CHECK(!expect_matched(rig.expect));
    CHECK_INT(expect_search(rig.expect, false), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 0), "bbb;");
    CHECK_STR(before(&rig), "cc");
    CHECK_INT(expect_matched(rig.expect)->at, 7);
    close_rig(&rig);
}

static void nothing_there(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "x");
    CHECK_INT(expect_search(rig.expect, false), EXPECT_NONE);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_NONE);
    CHECK_INT(feed(&rig, ""), EXPECT_NONE);
    CHECK_INT(feed(&rig, "abc"), EXPECT_NONE);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_NONE);
    expect_disarm(rig.expect);
    CHECK_INT(feed(&rig, "x"), EXPECT_NONE);
    CHECK(!expect_matched(rig.expect));
    close_rig(&rig);
}

static void repetition_waits_for_its_end(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "foo(\\d+)");
    CHECK_INT(feed(&rig, "foo1"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "23"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "\n"), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 1), "123");
    arm(&rig);
    CHECK_INT(feed(&rig, "foo4"), EXPECT_UNDECIDED);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_MATCHED); /* silence */
    CHECK_STR(group(&rig, 1), "4");
    close_rig(&rig);
}

static void prompt_at_the_end(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "# $");
    CHECK_INT(feed(&rig, "a # b\r\n"), EXPECT_NONE);
    CHECK_INT(feed(&rig, "~ # "), EXPECT_UNDECIDED);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_MATCHED);
    CHECK_STR(before(&rig), "a # b\r\n~ ");
    arm(&rig);
    CHECK_INT(feed(&rig, "x # "), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "y"), EXPECT_NONE); /* so it was no prompt */
    CHECK_INT(expect_search(rig.expect, true), EXPECT_NONE);
    close_rig(&rig);

    OPEN_RIG(&rig, EXPECT_WINDOW, "[#$] ");
    CHECK_INT(feed(&rig, "~ # "), EXPECT_MATCHED); /* at once: nothing could change it */
    close_rig(&rig);
}

static void final_search_does_not_forget(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "login: x");
    CHECK_INT(feed(&rig, "the log"), EXPECT_UNDECIDED);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_NONE);
    CHECK_INT(feed(&rig, "in: x"), EXPECT_MATCHED);
    CHECK_STR(before(&rig), "the ");
    close_rig(&rig);
}

static void earliest_wins(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "world", "hello", "hell");
    CHECK_INT(feed(&rig, "oh hello world"), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 1); /* starts before world, and comes before hell */
    arm(&rig);
    CHECK_INT(expect_search(rig.expect, false), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 0);
    CHECK_STR(before(&rig), " ");
    close_rig(&rig);
}

/* A pattern that has begun before another's match is waited for. */
static void earlier_start_decides_later(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "b", "abc");
    CHECK_INT(feed(&rig, "xab"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "c"), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 1);
    arm(&rig);
    CHECK_INT(feed(&rig, "ab"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "d"), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 0);
    CHECK_STR(before(&rig), "a");
    arm(&rig);
    CHECK_INT(feed(&rig, "ab"), EXPECT_UNDECIDED);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 0);
    close_rig(&rig);
}

static void order_decides_a_tie(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "abc", "ab");
    CHECK_INT(feed(&rig, "ab"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "c"), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 0);
    close_rig(&rig);
    OPEN_RIG(&rig, EXPECT_WINDOW, "ab", "abc", "ab");
    CHECK_INT(feed(&rig, "ab"), EXPECT_MATCHED); /* abc would only come second */
    CHECK_INT(which(&rig), 0);
    close_rig(&rig);
}

static void same_pattern_twice(void)
{
    struct regex *regex = compile("(b)|zz", REGEX_STREAM);
    struct regex *both[] = {regex, regex};
    struct expect *expect;
    CHECK_INT(expect_open(&expect, EXPECT_WINDOW), 0);
    CHECK_INT(expect_arm(expect, both, 2), 0);
    CHECK_INT(expect_feed(expect, "azb", 3), EXPECT_MATCHED);
    const struct expect_match *match = expect_matched(expect);
    CHECK_INT(match->index, 0);
    CHECK_STR(text_of(match, match->groups[1]), "b");
    expect_close(expect);
    regex_free(regex);
}

static void groups_and_names(void)
{
    struct rig rig;
    size_t number = 0;
    OPEN_RIG(&rig, EXPECT_WINDOW, "(?<user>\\w+)@(?<host>\\w+)(:\\d+)?(x)?;");
    CHECK_INT(feed(&rig, "to bob@box:7;"), EXPECT_MATCHED);
    const struct regex *regex = expect_matched(rig.expect)->regex;
    CHECK_INT(regex_groups(regex), 4);
    CHECK_STR(group(&rig, 0), "bob@box:7;");
    CHECK_STR(group(&rig, 3), ":7");
    CHECK_STR(group(&rig, 4), "(unset)");
    CHECK_STR(regex_name(regex, 0, &number), "host");
    CHECK_INT(number, 2);
    CHECK_STR(regex_name(regex, 1, &number), "user");
    CHECK_STR(group(&rig, number), "bob");
    CHECK(!regex_name(regex, 2, &number));
    close_rig(&rig);
}

/* Groups of assertions may lie outside the match and what precedes it. */
static void groups_outside_the_match(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "a;", "(?<=(..))b(?=(c+)d)");
    CHECK_INT(feed(&rig, "a;"), EXPECT_MATCHED);
    arm(&rig);
    CHECK_INT(feed(&rig, "bccd"), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 0), "b");
    CHECK_STR(group(&rig, 1), "a;");
    CHECK_STR(group(&rig, 2), "cc");
    CHECK_STR(before(&rig), "");
    arm(&rig);
    CHECK_INT(feed(&rig, "a;"), EXPECT_MATCHED);
    CHECK_STR(before(&rig), "ccd");
    close_rig(&rig);
}

static void reset_start_of_match(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "key=\\K\\w+;");
    CHECK_INT(feed(&rig, "a key=va"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "lue;"), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 0), "value;");
    CHECK_STR(before(&rig), "a key=");
    close_rig(&rig);
}

static void line_anchors(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "^ok$");
    CHECK_INT(feed(&rig, "not ok\r\n ok\r\nok \r\n"), EXPECT_NONE);
    CHECK_INT(feed(&rig, "ok"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "\r\n"), EXPECT_MATCHED);
    arm(&rig);
    CHECK_INT(feed(&rig, "ok\n"), EXPECT_MATCHED); /* behind the line's end, which was left */
    arm(&rig);
    CHECK_INT(feed(&rig, "x"), EXPECT_NONE);
    arm(&rig);
    CHECK_INT(feed(&rig, "ok\n"), EXPECT_NONE); /* xok */
    CHECK_INT(feed(&rig, "ok\n"), EXPECT_MATCHED);
    close_rig(&rig);

    OPEN_RIG(&rig, EXPECT_WINDOW, "fo");
    CHECK_INT(feed(&rig, "foo\n"), EXPECT_MATCHED);
    close_rig(&rig);
    OPEN_RIG(&rig, EXPECT_WINDOW, "\\n^foo");
    CHECK_INT(feed(&rig, "a\n"), EXPECT_UNDECIDED); /* ^ is true behind the last newline so far */
    CHECK_INT(feed(&rig, "foo"), EXPECT_MATCHED);
    close_rig(&rig);
}

static void word_boundary_at_the_end(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "\\bcat\\b");
    CHECK_INT(feed(&rig, "cat"), EXPECT_UNDECIDED);
    CHECK(feed(&rig, "s con") != EXPECT_MATCHED);
    CHECK_INT(feed(&rig, "cat cat"), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "."), EXPECT_MATCHED);
    CHECK_STR(before(&rig), "cats concat ");
    close_rig(&rig);
}

static void empty_match(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "x*");
    CHECK_INT(expect_search(rig.expect, false), EXPECT_UNDECIDED);
    CHECK_INT(feed(&rig, "ab"), EXPECT_MATCHED);
    CHECK_STR(group(&rig, 0), "");
    CHECK_INT(expect_matched(rig.expect)->at, 0);
    arm(&rig);
    CHECK_INT(expect_search(rig.expect, true), EXPECT_MATCHED);
    CHECK_INT(expect_matched(rig.expect)->at, 0);
    close_rig(&rig);
}

static void binary_bytes(void)
{
    struct rig rig;
    char all[256], pattern[] = "\xfe\xff";
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    OPEN_RIG(&rig, EXPECT_WINDOW, "\\x00\\x01[\\x80-\\xff]", pattern);
    CHECK_INT(expect_feed(rig.expect, all, 256), EXPECT_MATCHED);
    const struct expect_match *match = expect_matched(rig.expect);
    CHECK_INT(match->index, 1);
    CHECK_INT(match->at, 254);
    CHECK_INT(match->before.to - match->before.from, 254);
    CHECK(memcmp(match->data + match->before.from, all, 254) == 0);
    arm(&rig);
    CHECK_INT(expect_feed(rig.expect, "\0\1\200", 3), EXPECT_MATCHED);
    CHECK_INT(which(&rig), 0);
    close_rig(&rig);

    struct regex *regex;
    struct regex_error error;
    CHECK_INT(regex_compile(&regex, "a\0b", 3, REGEX_TEXT, &error), 0);
    struct regex_span span;
    CHECK_INT(regex_find(regex, "xa\0b", 4, 0, false, &span), 1);
    CHECK_INT(span.from, 1);
    CHECK_INT(span.to, 4);
    regex_free(regex);
}

static void invalid_patterns(void)
{
    struct regex *regex = NULL;
    struct regex_error error;
    CHECK_INT(regex_compile(&regex, "ab(c", 4, REGEX_STREAM, &error), -EINVAL);
    CHECK_INT(error.offset, 4);
    CHECK_STR(error.message, "missing closing parenthesis");
    CHECK_INT(regex_compile(&regex, "a[z-a]", 6, REGEX_TEXT, &error), -EINVAL);
    CHECK(error.offset > 1 && error.message[0]);
    CHECK_INT(regex_compile(&regex, "*", 1, REGEX_TEXT, &error), -EINVAL);
    CHECK_INT(error.offset, 0);
    CHECK_INT(regex_compile(&regex, "(*UTF)a", 7, REGEX_STREAM, &error), -EINVAL);
    CHECK(!regex);
}

/* Every match in @text, fed in pieces of the given sizes and then ended, as one line. */
static void all_matches(struct rig *rig, const char *text, size_t n, size_t first, size_t piece,
                        char *to, size_t room)
{
    size_t used = 0;
    *to = '\0';
    expect_reset(rig->expect);
    arm(rig);
    for (size_t at = 0, take = first;; at += take, take = piece) {
        take = take < n - at ? take : n - at;
        bool final = at == n;
        int state =
            final ? expect_search(rig->expect, true) : expect_feed(rig->expect, text + at, take);
        while (state == EXPECT_MATCHED && used < room - 100) {
            used += (size_t)snprintf(to + used, room - used, "%zu<%s|%s>", which(rig), before(rig),
                                     group(rig, 0));
            bool empty = !*group(rig, 0);
            arm(rig);
            state = expect_search(rig->expect, final);
            if (empty)
                return;
        }
        CHECK(state >= 0);
        if (final)
            return;
    }
}

static void check_every_split(const char *text, const char *const *patterns)
{
    struct rig rig;
    char whole[2048], parts[2048];
    size_t n = strlen(text);
    open_rig(&rig, EXPECT_WINDOW, patterns);
    all_matches(&rig, text, n, n, n, whole, sizeof(whole));
    for (size_t first = 1; first <= n; first++) {
        all_matches(&rig, text, n, first, n, parts, sizeof(parts));
        CHECK_STR(parts, whole);
        all_matches(&rig, text, n, n, first, parts, sizeof(parts));
        CHECK_STR(parts, whole);
        all_matches(&rig, text, n, 1, first, parts, sizeof(parts));
        CHECK_STR(parts, whole);
    }
    close_rig(&rig);
}

#define SPLITS(text, ...) check_every_split(text, (const char *const[]){__VA_ARGS__, NULL})

static void split_at_every_byte(void)
{
    SPLITS("eth0: 10.0.0.1/24\r\neth1: 10.0.1.1/24\r\n", "(\\w+): (\\d+(?:\\.\\d+){3})");
    SPLITS("login: root\r\nPassword: \r\nLast login: never\r\n~ # ", "login: $",
           "[Pp]assword:", "# $", "never");
    SPLITS("aXbbXXcX", "X+", "b{2,}", "(?<=X)c");
    SPLITS("one\r\ntwo\r\n\r\nthree\n\nfour", "^\\w+$", "^$");
    SPLITS("one\r\ntwo\r\n\r\nthree\n\nfour", "^", "\\R\\R");
    SPLITS("foo foobar foobarbaz", "foo(?!bar)", "foobarb", "foobar(?=baz)");
    SPLITS("((a)(b(c)))", "(\\((?:[^()]++|(?1))*+\\))");
    SPLITS("abcabcab", "(abc)\\1", "bca");
    SPLITS("start middle end, start end", "(?s)start.*end", "middle");
    SPLITS("start middle end, start end", "(?s)start.*?end", "middle");
    SPLITS("aaa\rbbb\r\r\nccc", "(?<=\\r)\\w", ".$");
    SPLITS("mid word", "\\Bi", "\\bw", "d\\b");
    SPLITS("aaaa", "a*?$", "\\Z");
    SPLITS("\r\n\nf", "\\R\\R", ".$", "^");
}

static void anchor_between_cr_and_lf(void)
{
    /* PCRE2 does not try there when it comes from the CR, and neither may a search that resumes. */
    SPLITS("a\r\nb", "^(?!a)");
    SPLITS("aaaa\r\n\r\nb", "(?<!^)^(?!a).?");
}

static void window_drops_the_oldest(void)
{
    struct rig rig;
    OPEN_RIG(&rig, 16, "needle");
    for (int i = 0; i < 100; i++) {
        CHECK_INT(feed(&rig, "hay hay hay"), EXPECT_NONE);
        size_t n = 1000;
        expect_tail(rig.expect, &n);
        CHECK(n <= 33);
    }
    CHECK_INT(feed(&rig, "<needle>"), EXPECT_MATCHED);
    const struct expect_match *match = expect_matched(rig.expect);
    CHECK(match->truncated);
    CHECK_INT(match->at, 1101);
    const char *text = before(&rig);
    CHECK(strlen(text) >= 10 && strcmp(text + strlen(text) - 5, " hay<") == 0);
    arm(&rig);
    CHECK_INT(feed(&rig, "needle"), EXPECT_MATCHED);
    CHECK(!expect_matched(rig.expect)->truncated);
    CHECK_STR(before(&rig), ">");
    close_rig(&rig);
}

/* Many times the window in one feed, and the match far from its end. */
static void feed_beyond_the_window(void)
{
    struct rig rig;
    static char text[4000];
    memset(text, '.', sizeof(text));
    memcpy(text + 1000, "key=1234;", 9);
    for (size_t first = 0; first < 1020; first += 7) {
        OPEN_RIG(&rig, 64, "key=(\\d+);");
        CHECK(expect_feed(rig.expect, text, first) >= 0);
        expect_feed(rig.expect, text + first, sizeof(text) - first);
        CHECK_STR(group(&rig, 1), "1234");
        CHECK(expect_matched(rig.expect) && expect_matched(rig.expect)->at == 1000);
        arm(&rig);
        CHECK_INT(expect_search(rig.expect, true), EXPECT_NONE);
        CHECK_INT(feed(&rig, "key=5;"), EXPECT_MATCHED);
        CHECK(expect_matched(rig.expect)->truncated);
        close_rig(&rig);
    }
}

static void match_as_long_as_the_window(void)
{
    struct rig rig;
    OPEN_RIG(&rig, 64, "<[^>]*>");
    char text[200];
    for (size_t piece = 1; piece < 70; piece++) {
        memset(text, '.', sizeof(text));
        text[100] = '<';
        text[100 + 63] = '>';
        expect_reset(rig.expect);
        arm(&rig);
        for (size_t at = 0; at < sizeof(text); at += piece)
            expect_feed(rig.expect, text + at,
                        piece < sizeof(text) - at ? piece : sizeof(text) - at);
        const struct expect_match *match = expect_matched(rig.expect);
        CHECK(match && match->at == 100 && match->groups[0].to - match->groups[0].from == 64);
    }
    close_rig(&rig);
}

static void given_up_partial_match(void)
{
    struct rig rig;
    OPEN_RIG(&rig, 16, "^<[^>]*>", "=");
    CHECK_INT(feed(&rig, "<a="), EXPECT_UNDECIDED);
    for (int i = 0; i < 20; i++)
        feed(&rig, "bcdefgh");
    CHECK_INT(feed(&rig, "i=>"), EXPECT_MATCHED); /* its < has left the window */
    CHECK_INT(which(&rig), 1);
    close_rig(&rig);
}

static void reset_forgets(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "^b");
    feed(&rig, "a\n");
    expect_reset(rig.expect);
    CHECK_INT(feed(&rig, "x"), EXPECT_NONE);
    expect_reset(rig.expect);
    arm(&rig);
    CHECK_INT(feed(&rig, "b"), EXPECT_MATCHED);
    CHECK_STR(before(&rig), "");
    CHECK_INT(expect_matched(rig.expect)->at, 0);
    size_t n = 100;
    CHECK(*expect_tail(rig.expect, &n) == 'b' && n == 1);
    close_rig(&rig);
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Each ends in an error, and soon: by the steps at one place, or by the time over all places. */
static void costly_patterns_end_in_an_error(void)
{
    static const char *const patterns[] = {"(a+)+b",         "(a|aa)+$b", "(\\w*\\w*)*;",
                                           "^(([a-z])+.)+#", "a*a*a*a*;", "(?=(a+))\\w*\\w*;"};
    static char text[EXPECT_WINDOW];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
        struct rig rig;
        double began = cpu_seconds();
        OPEN_RIG(&rig, EXPECT_WINDOW, patterns[i]);
        int state = expect_feed(rig.expect, text, sizeof(text) - 1);
        state = state < 0 ? state : expect_feed(rig.expect, "!\n", 2);
        CHECK_INT(state, -ETIME);
        CHECK(cpu_seconds() - began < 8);
        CHECK_INT(feed(&rig, ";"), EXPECT_NONE); /* the search has ended, the stream has not */
        CHECK_INT(rig.n, 1);
        close_rig(&rig);
    }
    CHECK(strstr(regex_strerror(-ETIME), "too many steps"));
}

/* A line-wise search through much text: linear, whatever the pieces. */
static void scanning_is_linear(void)
{
    struct rig rig;
    OPEN_RIG(&rig, EXPECT_WINDOW, "^never (\\d+)$", "[0-9]+ of [0-9]+ failed", "panic");
    double began = cpu_seconds();
    for (int i = 0; i < 100000; i++)
        CHECK(feed(&rig, "12 of 13 passed\r\n") != EXPECT_MATCHED);
    CHECK(cpu_seconds() - began < 8);
    CHECK_INT(feed(&rig, "never 1\r\n"), EXPECT_MATCHED);
    close_rig(&rig);
}

static void find_in_text(void)
{
    struct regex *regex = compile("^(\\w)(x)?", REGEX_TEXT);
    struct regex_span spans[3];
    CHECK_INT(regex_find(regex, "ab\nc", 4, 0, false, spans), 1);
    CHECK_INT(spans[0].from, 0);
    CHECK_INT(spans[1].to, 1);
    CHECK(spans[2].from == REGEX_UNSET);
    CHECK_INT(regex_find(regex, "ab\nc", 4, 1, false, spans), 0);
    regex_free(regex);

    regex = compile("a*", REGEX_TEXT);
    CHECK_INT(regex_find(regex, "baa", 3, 0, false, spans), 1);
    CHECK_INT(spans[0].to, 0);
    CHECK_INT(regex_find(regex, "baa", 3, 0, true, spans), 1);
    CHECK_INT(spans[0].from, 1);
    CHECK_INT(spans[0].to, 3);
    CHECK_INT(regex_find(regex, "baa", 3, 3, true, spans), 0);
    regex_free(regex);
}

/* Slices must not change the result: every start, in a text of many slices. */
static void find_far_away(void)
{
    static char text[20000];
    struct regex *regex = compile("(?<=\\n)x\\Z|y", REGEX_TEXT);
    struct regex_span spans[1];
    memset(text, '\r', sizeof(text));
    for (size_t at = 0; at < sizeof(text); at += 37) {
        text[at] = 'y';
        CHECK_INT(regex_find(regex, text, sizeof(text), 0, false, spans), 1);
        CHECK_INT(spans[0].from, at);
        text[at] = '\r';
    }
    CHECK_INT(regex_find(regex, text, sizeof(text), 0, false, spans), 0);
    regex_free(regex);
}

static void characters(void)
{
    struct regex *regex = compile("(*UTF)^.$", REGEX_TEXT);
    struct regex_span span;
    CHECK_INT(regex_find(regex, "\303\251", 2, 0, false, &span), 1);
    CHECK_INT(span.to, 2);
    CHECK_INT(regex_find(regex, "\303", 1, 0, false, &span), -EILSEQ);
    CHECK_INT(regex_find(regex, "\303\251", 2, 1, false, &span), -EILSEQ);
    CHECK(strstr(regex_strerror(-EILSEQ), "UTF-8"));
    regex_free(regex);
}

static void deep_nesting(void)
{
    static char text[60000];
    struct regex *regex = compile("^(?:(a)|b)*$", REGEX_TEXT);
    struct regex_span spans[2];
    memset(text, 'a', sizeof(text));
    CHECK_INT(regex_find(regex, text, 8000, 0, false, spans), 1); /* more than a plain JIT stack */
    regex_free(regex);
    regex = compile("\\((?R)*\\)", REGEX_TEXT);
    memset(text, '(', sizeof(text));
    CHECK(regex_find(regex, text, sizeof(text), 0, false, spans) <= 0);
    regex_free(regex);
}

static const struct check_test tests[] = {
    {"a match is found and consumed, with what came before it", finds_and_consumes},
    {"no match, no search", nothing_there},
    {"a repetition is not cut short where a piece ends", repetition_waits_for_its_end},
    {"a prompt at the end of what has come", prompt_at_the_end},
    {"a final search without a match forgets nothing", final_search_does_not_forget},
    {"the match that starts first wins", earliest_wins},
    {"a match that started earlier is waited for", earlier_start_decides_later},
    {"of two that start together, the order decides", order_decides_a_tie},
    {"the same pattern twice", same_pattern_twice},
    {"groups and their names", groups_and_names},
    {"groups outside the match", groups_outside_the_match},
    {"\\K moves the match's start", reset_start_of_match},
    {"^ and $ are at lines", line_anchors},
    {"a word's end is waited for", word_boundary_at_the_end},
    {"an empty match", empty_match},
    {"every byte value, in texts and patterns", binary_bytes},
    {"an invalid pattern gives message and offset", invalid_patterns},
    {"a split at every byte changes nothing", split_at_every_byte},
    {"a resumed search does not stop between CR and LF", anchor_between_cr_and_lf},
    {"the window drops what is oldest", window_drops_the_oldest},
    {"one feed of many windows", feed_beyond_the_window},
    {"a match as long as the window, in pieces of every size", match_as_long_as_the_window},
    {"a partial match that leaves the window is given up", given_up_partial_match},
    {"a reset forgets what came", reset_forgets},
    {"a costly pattern ends in an error, soon", costly_patterns_end_in_an_error},
    {"scanning is linear", scanning_is_linear},
    {"a text is searched from anywhere", find_in_text},
    {"a match far away is found", find_far_away},
    {"a text of characters", characters},
    {"deep nesting ends well", deep_nesting},
};

CHECK_MAIN(tests)
