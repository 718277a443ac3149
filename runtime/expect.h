/* SPDX-License-Identifier: MIT */
/* Regular expressions (PCRE2), over a text that is there and over a stream that comes in pieces.
 * The text is bytes, not characters. No pattern can hang the caller: one that backtracks too much,
 * or that takes some seconds of processor time (ten for a text, one for a stream), ends in -ETIME.
 */
#ifndef QN_RUNTIME_EXPECT_H
#define QN_RUNTIME_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Patterns */

struct regex;

enum regex_mode {
    REGEX_TEXT, /* PCRE2's defaults; "(*UTF)" at a pattern's start makes it one of characters */
    /* For a stream: ^ and $ match at lines, which end in LF, CR or CRLF (a terminal's), and $ and
     * \z at the end of what has come; never UTF, as a character may be in two pieces. \G has no
     * use. */
    REGEX_STREAM,
};

struct regex_error {
    size_t offset; /* into the pattern */
    char message[160];
};

/* A part of a text; @from is REGEX_UNSET for a group that took no part in the match. */
struct regex_span {
    size_t from, to;
};

#define REGEX_UNSET SIZE_MAX

/** Return: 0; -ENOMEM; -EINVAL, with @error set, for what is not a pattern. */
int regex_compile(struct regex **out, const char *pattern, size_t n, enum regex_mode mode,
                  struct regex_error *error);

/** NULL is allowed. */
void regex_free(struct regex *regex);

/** Return: how many groups it has; the whole match, group 0, is not counted. */
size_t regex_groups(const struct regex *regex);

/** Return: the @i-th of the groups' names, its group's number in @group; NULL behind the last. */
const char *regex_name(const struct regex *regex, size_t i, size_t *group);

/** Find the first match of a REGEX_TEXT in @text that starts at @start or later, and is not an
 * empty one just there if @not_empty; fills in spans[0] to spans[regex_groups()]. Return: 1; 0 for
 * none; -ETIME, -EILSEQ (not UTF-8, and the pattern wants it) or -ENOMEM. */
int regex_find(struct regex *regex, const char *text, size_t n, size_t start, bool not_empty,
               struct regex_span *spans);

/** Return: what an error of regex_find() or of a search means, a static text. */
const char *regex_strerror(int err);

/* Streams */

/* What is kept of a stream. */
#define EXPECT_WINDOW 65536

/* The end of a stream, and a search in it for the match, of one of several patterns, that starts
 * first (of two that start together, the one whose pattern comes first). It has one result however
 * the stream is cut into pieces: as long as more bytes could change the result, it is UNDECIDED
 * (PCRE2_PARTIAL_HARD). So "foo\d+" waits, after "foo1", for what follows, and so does "# $" after
 * "# "; "# " does not. Whoever knows, or supposes after a while of silence, that no more will come
 * calls expect_search() with @final, which decides by what is there. */
struct expect;

enum expect_state {
    EXPECT_NONE,      /* no match, nor the start of one */
    EXPECT_UNDECIDED, /* the next bytes tell */
    EXPECT_MATCHED,
};

struct expect_match {
    size_t index;             /* of its pattern, from 0 */
    uint64_t at;              /* where it starts in the stream */
    const char *data;         /* the bytes that the spans are parts of */
    struct regex_span before; /* from the end of the match before to the start of this one */
    bool truncated;           /* the start of that had left the window */
    const struct regex *regex;
    const struct regex_span *groups; /* [0] the match, then one for each group */
};

/** @window: how many bytes at least are kept, and how long a match with its context may be; at most
 * twice as many are kept. Return: 0 or -ENOMEM. */
int expect_open(struct expect **out, size_t window);

/** NULL is allowed. */
void expect_close(struct expect *expect);

/** Forget what came, as for a new stream. Ends a search. */
void expect_reset(struct expect *expect);

/** Begin a search, at the end of the last match, for @n patterns of REGEX_STREAM, which must live
 * until it ends: it ends with a match, an error, expect_disarm() or expect_reset(). Forgets the
 * match before. Nothing is searched yet. Return: 0 or -ENOMEM. */
int expect_arm(struct expect *expect, struct regex *const *patterns, size_t n);

void expect_disarm(struct expect *expect);

/** Bytes came; goes on with the search if there is one. All bytes are taken, also with an error.
 * Return: enum expect_state; -ETIME or -ENOMEM from the search, which has ended then. */
int expect_feed(struct expect *expect, const char *data, size_t n);

/** Search in what has come, and if @final as though nothing were to follow. Return: as for
 * expect_feed(), but never UNDECIDED with @final. */
int expect_search(struct expect *expect, bool final);

/** Return: the match, until the next expect_arm() or expect_reset(); or NULL. */
const struct expect_match *expect_matched(const struct expect *expect);

/** Return: the last bytes that came, at most *n of them, which is set to their number. */
const char *expect_tail(const struct expect *expect, size_t *n);

#endif
