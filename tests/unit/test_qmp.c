/* SPDX-License-Identifier: MIT */
#include "tests/unit/check.h"
#include "vmctl/qmp.h"

#include <errno.h>
#include <stdlib.h>

/* What came, a line each. */
static char seen[8192];

static void note(const char *text)
{
    strncat(seen, text, sizeof(seen) - strlen(seen) - 1);
}

static void on_greeting(void *arg)
{
    CHECK_STR(arg, "arg");
    note("greeting\n");
}

static void note_value(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    note(text ? text : "none");
    free(text);
}

static void on_reply(void *arg, uint64_t id, json_t *value, const char *error)
{
    char line[300];
    CHECK_STR(arg, "arg");
    snprintf(line, sizeof(line), "reply %llu %s ", (unsigned long long)id, error ? error : "ok");
    note(line);
    note_value(value);
    note("\n");
}

static void on_event(void *arg, const char *name, json_t *data)
{
    CHECK_STR(arg, "arg");
    note("event ");
    note(name);
    note(" ");
    note_value(data);
    note("\n");
}

static const struct qmp_handler handler = {on_greeting, on_reply, on_event};

/* Feeds in pieces of that size. Return: the first error; what came is in seen. */
static int feed(const char *text, size_t n, size_t piece)
{
    struct qmp qmp;
    char arg[] = "arg";
    int err = 0;
    seen[0] = '\0';
    qmp_init(&qmp, &handler, arg);
    for (size_t at = 0; at < n && !err; at += piece)
        err = qmp_feed(&qmp, text + at, n - at < piece ? n - at : piece);
    qmp_free(&qmp);
    qmp_free(&qmp);
    return err;
}

static int feed_text(const char *text)
{
    return feed(text, strlen(text), strlen(text) + 1);
}

#define GREETING                                                                                   \
    "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"
#define EVENT                                                                                      \
    "{\"timestamp\": {\"seconds\": 1}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\r\n"

static void greeting(void)
{
    CHECK_INT(feed_text(GREETING), 0);
    CHECK_STR(seen, "greeting\n");
}

static void replies(void)
{
    CHECK_INT(feed_text("{\"return\": {}, \"id\": 1}\r\n{\"return\": [1, \"x\"], \"id\": 2}\n"), 0);
    CHECK_STR(seen, "reply 1 ok {}\nreply 2 ok [1,\"x\"]\n");
}

static void errors(void)
{
    CHECK_INT(
        feed_text("{\"id\": 5, \"error\": {\"class\": \"GenericError\", \"desc\": \"no such\"}}\n"
                  "{\"id\": 6, \"error\": {}}\n"),
        0);
    CHECK_STR(seen, "reply 5 no such none\n"
                    "reply 6 QEMU refused the command without a description none\n");
}

static void events(void)
{
    CHECK_INT(feed_text(EVENT "{\"event\": \"STOP\"}\n"), 0);
    CHECK_STR(seen, "event SHUTDOWN {\"guest\":true}\nevent STOP none\n");
}

static void split_at_every_byte(void)
{
    static const char text[] =
        GREETING "\r\n\n" EVENT "{\"return\": {\"a\": \"\\u00e9\"}, \"id\": 9}\n";
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        CHECK_INT(feed(text, sizeof(text) - 1, piece), 0);
        CHECK_STR(seen,
                  "greeting\nevent SHUTDOWN {\"guest\":true}\nreply 9 ok {\"a\":\"\u00e9\"}\n");
    }
}

static void unfinished_line_waits(void)
{
    CHECK_INT(feed_text("{\"event\": \"STOP\"}"), 0);
    CHECK_STR(seen, "");
}

static void garbage_is_refused(void)
{
    static const char *const lines[] = {
        "hello\n",         "{\n",     "[]\n",       "42\n", "\"x\"\n", "{}\n", "{\"id\":1}\n",
        "{\"event\":1}\n", "{} {}\n", "\xff\xfe\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        CHECK_INT(feed_text(lines[i]), -EPROTO);
        CHECK_STR(seen, "");
    }
    CHECK_INT(feed("{\"event\":\"A\"}\0\n", 15, 15), -EPROTO);
}

static void endless_line(void)
{
    size_t n = QMP_LINE_MAX + 1;
    char *text = malloc(n);
    memset(text, ' ', n);
    CHECK_INT(feed(text, n - 1, 4096), 0);
    CHECK_INT(feed(text, n, n), -EMSGSIZE);
    CHECK_INT(feed(text, n, 4096), -EMSGSIZE);
    CHECK_INT(feed(text, n, QMP_LINE_MAX), -EMSGSIZE);
    free(text);
}

static void commands(void)
{
    struct qmp qmp;
    uint64_t first = 0, second = 0;
    qmp_init(&qmp, &handler, NULL);
    char *line = qmp_command(&qmp, "cont", NULL, &first);
    json_t *message = json_loads(line, 0, NULL);
    CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    CHECK_STR(json_string_value(json_object_get(message, "execute")), "cont");
    CHECK_INT(json_integer_value(json_object_get(message, "id")), first);
    CHECK(!json_object_get(message, "arguments"));
    json_decref(message);
    free(line);

    line =
        qmp_command(&qmp, "set_link", json_pack("{s:s, s:b}", "name", "a\n\"b", "up", 1), &second);
    message = json_loads(line, 0, NULL);
    json_t *arguments = json_object_get(message, "arguments");
    CHECK(second != first);
    CHECK(strchr(line, '\n') == line + strlen(line) - 1);
    CHECK_STR(json_string_value(json_object_get(arguments, "name")), "a\n\"b");
    CHECK(json_is_true(json_object_get(arguments, "up")));
    json_decref(message);
    free(line);
    qmp_free(&qmp);
}

static const struct check_test tests[] = {
    {"the greeting", greeting},
    {"replies", replies},
    {"errors carry QEMU's description", errors},
    {"events", events},
    {"a split at every byte changes nothing", split_at_every_byte},
    {"an unfinished line waits", unfinished_line_waits},
    {"what is not QMP is refused", garbage_is_refused},
    {"an endless line is refused", endless_line},
    {"commands are one line each and numbered", commands},
};

CHECK_MAIN(tests)
