/* SPDX-License-Identifier: MIT */
#include "runtime/framing.h"
#include "tests/unit/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define KEY "\0360123456789abcdef0123456789abcdef"

/* What was parsed, as text: data as it is, each message in square brackets. */
struct log {
    char text[1 << 16];
    size_t n, n_events;
    struct framing_event last;
};

static void on_event(void *arg, const struct framing_event *event)
{
    struct log *log = arg;
    char *to = log->text + log->n;
    size_t room = sizeof(log->text) - log->n;
    log->n_events++;
    log->last = *event;
    if (event->kind == FRAMING_DATA) {
        CHECK(event->n > 0 && event->n < room);
        memcpy(to, event->data, event->n);
        log->n += event->n;
    } else if (event->kind == FRAMING_READY) {
        log->n += (size_t)snprintf(to, room, "[ready %" PRIu64 "]", event->seq);
    } else if (event->kind != FRAMING_END) {
        log->n += (size_t)snprintf(to, room, "[%d %" PRIu64 " %d]", event->kind, event->seq,
                                   event->status);
    } else {
        log->n += (size_t)snprintf(to, room, "[end %" PRIu64 " %d %d]", event->seq, event->status,
                                   event->signaled);
    }
    log->text[log->n] = '\0';
}

/* Feeds in pieces of the given size. Return: the first error. */
static int parse(struct log *log, const char *data, size_t n, size_t piece)
{
    struct framing framing;
    int err = 0;
    framing_init(&framing, KEY);
    log->n = log->n_events = 0;
    log->text[0] = '\0';
    for (size_t at = 0; at < n && !err; at += piece)
        err = framing_feed(&framing, data + at, n - at < piece ? n - at : piece, on_event, log);
    return err;
}

static struct log got, want;

#define PARSES(input, parsed)                                                                      \
    do {                                                                                           \
        CHECK_INT(parse(&got, input, sizeof(input) - 1, sizeof(input)), 0);                        \
        CHECK_STR(got.text, parsed);                                                               \
    } while (0)

static void data_passes(void)
{
    PARSES("", "");
    PARSES("a", "a");
    PARSES("hello\nworld\n", "hello\nworld\n");
    CHECK_INT(got.n_events, 1);
}

static void messages(void)
{
    PARSES(KEY " ready 7\n", "[ready 7]");
    CHECK_INT(got.last.kind, FRAMING_READY);
    PARSES(KEY " end 3 0\n", "[end 3 0 0]");
    PARSES(KEY " killed 18446744073709551615 137\n", "[end 18446744073709551615 137 1]");
    PARSES("out" KEY " end 0 255\n", "out[end 0 255 0]");
    PARSES("a\n" KEY " end 0 1\n" KEY " ready 1\nb", "a\n[end 0 1 0][ready 1]b");
}

static void messages_of_a_served_unit(void)
{
    static const struct {
        const char *text;
        uint64_t seq;
        enum framing_kind kind;
        int status;
    } cases[] = {
        {" serve", 0, FRAMING_SERVE, 0},       {" out", 0, FRAMING_OUT, 0},
        {" err", 0, FRAMING_ERR, 0},           {" armed 7", 7, FRAMING_ARMED, 0},
        {" started 8", 8, FRAMING_STARTED, 0}, {" fail 9 11", 9, FRAMING_FAIL, 11},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char input[128];
        int n = snprintf(input, sizeof(input), "data" KEY "%s\n", cases[i].text);
        for (size_t piece = 1; piece <= (size_t)n; piece += 5) {
            CHECK_INT(parse(&got, input, (size_t)n, piece), 0);
            CHECK_INT(got.last.kind, cases[i].kind);
            CHECK_INT(got.last.seq, cases[i].seq);
            CHECK_INT(got.last.status, cases[i].status);
        }
    }
}

static void many_messages_in_one_feed(void)
{
    static char input[60000];
    size_t n = 0;
    for (int i = 0; i < 500; i++)
        n += (size_t)snprintf(input + n, sizeof(input) - n,
                              "%d" KEY " end %d %d\n" KEY " ready %d\n", i, i, i % 256, i + 1);
    CHECK_INT(parse(&got, input, n, n), 0);
    CHECK_INT(got.n_events, 1500);
    CHECK_INT(got.last.seq, 500);
}

static void split_at_every_byte(void)
{
    static const char input[] =
        "before" KEY " end 12 130\n" KEY " ready 13\nbetween\n\036" KEY " killed 13 137\nafter";
    static const char text[] = "before[end 12 130 0][ready 13]between\n\036[end 13 137 1]after";
    size_t n = sizeof(input) - 1;
    for (size_t at = 0; at <= n; at++) {
        struct framing framing;
        framing_init(&framing, KEY);
        got.n = 0;
        CHECK_INT(framing_feed(&framing, input, at, on_event, &got), 0);
        CHECK_INT(framing_feed(&framing, input + at, n - at, on_event, &got), 0);
        CHECK_STR(got.text, text);
    }
    for (size_t piece = 1; piece < n; piece++) {
        CHECK_INT(parse(&got, input, n, piece), 0);
        CHECK_STR(got.text, text);
    }
}

static void look_alikes_are_data(void)
{
    PARSES("\036", "");
    PARSES("\036x", "\036x");
    PARSES("\036\036\036\036x", "\036\036\036\036x");
    PARSES("\0360123456789abcdef0123456789abcdeX end 1 0\n",
           "\0360123456789abcdef0123456789abcdeX end 1 0\n");
    PARSES("\0360123\036"
           "0123" KEY " end 1 0\n",
           "\0360123\036"
           "0123[end 1 0 0]");
    PARSES("0123456789abcdef0123456789abcdef end 1 0\n",
           "0123456789abcdef0123456789abcdef end 1 0\n");
}

/* What may be the start of the key is held back, and comes out once it is not. */
static void partial_key_is_held_and_released(void)
{
    for (size_t len = 1; len < FRAMING_KEY_LEN; len++) {
        struct framing framing;
        framing_init(&framing, KEY);
        got.n = 0;
        got.text[0] = '\0';
        CHECK_INT(framing_feed(&framing, "data", 4, on_event, &got), 0);
        CHECK_INT(framing_feed(&framing, KEY, len, on_event, &got), 0);
        CHECK_STR(got.text, "data");
        CHECK_INT(framing_feed(&framing, "!", 1, on_event, &got), 0);
        CHECK_INT(got.n, 4 + len + 1);
        CHECK(memcmp(got.text + 4, KEY, len) == 0);
        CHECK(got.text[4 + len] == '!');
    }
}

static void malformed_messages(void)
{
    static const char *const messages[] = {
        "",
        " ",
        " ready",
        " ready 1 0",
        " ready 1 1",
        " ready 1 -5",
        " ready 1 5 6",
        " ready x 5",
        " end 1",
        " end 1 256",
        " end 1 -1",
        " end 1 2 x",
        "  end 1 2",
        " finished 1 2",
        " killed 1 128",
        " killed 1 256",
        " serve 1",
        " out 1",
        " errr",
        " armed",
        " started x",
        " fail 1",
        "\036",
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        char input[256];
        int n = snprintf(input, sizeof(input), "data" KEY "%s\n", messages[i]);
        CHECK_INT(parse(&got, input, (size_t)n, sizeof(input)), -EPROTO);
        CHECK_STR(got.text, "data");
    }
    CHECK_INT(parse(&got, KEY KEY " end 1 2\n", strlen(KEY KEY " end 1 2\n"), 256), -EPROTO);
    static const char with_nul[] = KEY " end 1 2\0\n";
    CHECK_INT(parse(&got, with_nul, sizeof(with_nul) - 1, sizeof(with_nul)), -EPROTO);
}

/* One byte more than a message may have is refused, however it comes. */
static void overlong_message(void)
{
    for (int zeros = 0; zeros < 2 * FRAMING_MESSAGE_MAX; zeros++) {
        char input[FRAMING_KEY_LEN + 3 * FRAMING_MESSAGE_MAX];
        size_t n = (size_t)snprintf(input, sizeof(input), KEY " end %0*d1 0\n", zeros, 0);
        int expected = n <= FRAMING_KEY_LEN + FRAMING_MESSAGE_MAX ? 0 : -EPROTO;
        for (size_t piece = 1; piece <= n; piece++)
            CHECK_INT(parse(&got, input, n, piece), expected);
    }
}

static void binary_data(void)
{
    char all[512];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    for (size_t piece = 1; piece <= sizeof(all); piece += 7) {
        CHECK_INT(parse(&got, all, sizeof(all), piece), 0);
        CHECK_INT(got.n, sizeof(all));
        CHECK(memcmp(got.text, all, sizeof(all)) == 0);
    }
}

/* Pieces of everything above in random order. Return: the length. */
static size_t random_input(char *to)
{
    static const char *const parts[] = {"text",
                                        "\n",
                                        "\036",
                                        "\0360123",
                                        KEY " end 5 6\n",
                                        KEY " ready 6\n",
                                        KEY " killed 9 137\n",
                                        "\377\200"};
    size_t n = 0;
    for (int i = rand() % 30; i >= 0; i--) {
        const char *part = parts[(size_t)rand() % (sizeof(parts) / sizeof(*parts))];
        n += (size_t)(stpcpy(to + n, part) - (to + n));
    }
    to[n++] = '.'; /* nothing is held back at the end */
    return n;
}

static void random_chunks_equal_one_feed(void)
{
    char input[4096];
    srand(1);
    for (int round = 0; round < 2000; round++) {
        size_t n = random_input(input);
        struct framing framing;
        CHECK_INT(parse(&want, input, n, n), 0);
        framing_init(&framing, KEY);
        got.n = 0;
        for (size_t at = 0, piece; at < n; at += piece) {
            piece = (size_t)rand() % 50 + 1;
            piece = piece < n - at ? piece : n - at;
            CHECK_INT(framing_feed(&framing, input + at, piece, on_event, &got), 0);
        }
        CHECK_INT(got.n, want.n);
        CHECK(memcmp(got.text, want.text, got.n) == 0);
    }
}

static const struct check_test tests[] = {
    {"data passes as it is", data_passes},
    {"messages, also behind data without a newline", messages},
    {"messages of a served unit", messages_of_a_served_unit},
    {"many messages in one feed", many_messages_in_one_feed},
    {"a split at every byte changes nothing", split_at_every_byte},
    {"what only looks like a key is data", look_alikes_are_data},
    {"the start of a key is held back and released", partial_key_is_held_and_released},
    {"malformed messages are refused", malformed_messages},
    {"an overlong message is refused, whole or in pieces", overlong_message},
    {"every byte value passes", binary_data},
    {"random chunks give what one feed gives", random_chunks_equal_one_feed},
};

CHECK_MAIN(tests)
