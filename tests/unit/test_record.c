/* SPDX-License-Identifier: MIT */
#include "runtime/record.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Return: the file's text, in a buffer that the next call overwrites. */
static const char *read_text(const char *path)
{
    static char text[4096];
    FILE *in = fopen(path, "r");
    size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;
    if (in)
        fclose(in);
    text[n] = '\0';
    return text;
}

static void folder_is_made(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(record_open(&record, "some/deep/folder", "ignored"), 0);
    CHECK_STR(record_folder(record), "some/deep/folder");
    CHECK(exists("some/deep/folder/events.jsonl"));
    CHECK(exists("some/deep/folder/console"));
    CHECK(!exists("some/deep/folder/result.json"));
    record_close(record);
    record_close(NULL);
    scratch_close(&scratch);
}

static void folder_that_is_empty_is_used_and_that_of_a_killed_run_refused(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(mkdir("here", 0755), 0);
    CHECK_INT(record_open(&record, "here", "x"), 0);
    record_event(record, json_pack("{s:i}", "first", 1));
    record_close(record);
    record = NULL;
    CHECK_INT(record_open(&record, "here", "x"), -EEXIST);
    CHECK_STR(read_text("here/events.jsonl"), "{\"first\":1}\n");
    scratch_close(&scratch);
}

static void folder_with_a_result_is_refused(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(record_open(&record, "here", "x"), 0);
    record_event(record, json_pack("{s:i}", "first", 1));
    CHECK_INT(record_result(record, json_pack("{s:s}", "verdict", "passed")), 0);
    record_close(record);
    record = NULL;
    CHECK_INT(record_open(&record, "here", "x"), -EEXIST);
    CHECK(record == NULL);
    CHECK_STR(read_text("here/events.jsonl"), "{\"first\":1}\n");
    scratch_close(&scratch);
}

static void folder_that_cannot_be_made(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    fclose(fopen("file", "w"));
    CHECK_INT(record_open(&record, "file/folder", "x"), -ENOTDIR);
    CHECK_INT(record_open(&record, "file", "x"), -ENOTDIR);
    CHECK(record == NULL);
    scratch_close(&scratch);
}

/* Twenty within one or two seconds, so that the time alone cannot tell them apart. */
static void dated_names_never_collide(void)
{
    enum { N = 20 };
    struct scratch scratch;
    struct record *records[N];
    scratch_open(&scratch);
    for (int i = 0; i < N; i++) {
        CHECK_INT(record_open(&records[i], NULL, "name"), 0);
        CHECK(strncmp(record_folder(records[i]), "runs/name-20", 12) == 0);
        for (int k = 0; k < i; k++)
            CHECK(strcmp(record_folder(records[i]), record_folder(records[k])) != 0);
    }
    for (int i = 0; i < N; i++)
        record_close(records[i]);
    scratch_close(&scratch);
}

static void result_replaces_nothing_until_it_is_whole(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(record_open(&record, "here", "x"), 0);
    CHECK_INT(record_result(record, json_pack("{s:f}", "mean", 0.1)), 0);
    CHECK(!exists("here/result.json.part"));
    CHECK_STR(read_text("here/result.json"), "{\n  \"mean\": 0.1\n}");
    /* The part cannot be written: the result stays as it was. */
    CHECK_INT(mkdir("here/result.json.part", 0755), 0);
    CHECK(record_result(record, json_pack("{s:i}", "mean", 2)) < 0);
    CHECK_STR(read_text("here/result.json"), "{\n  \"mean\": 0.1\n}");
    record_close(record);
    scratch_close(&scratch);
}

/* Each is in the file at once, so that a killed run leaves what it has seen. */
static void events_come_line_by_line(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(record_open(&record, "here", "x"), 0);
    record_event(record, json_pack("{s:f, s:s}", "t", 0.25, "text", "a\nb"));
    CHECK_STR(read_text("here/events.jsonl"), "{\"t\":0.25,\"text\":\"a\\nb\"}\n");
    CHECK_INT(record_event(record, NULL), -ENOMEM);
    CHECK_INT(record_event(record, json_pack("{s:i}", "n", 2)), 0);
    CHECK_STR(read_text("here/events.jsonl"), "{\"t\":0.25,\"text\":\"a\\nb\"}\n{\"n\":2}\n");
    record_close(record);
    scratch_close(&scratch);
}

static void what_a_full_disk_does_not_take_is_told(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    scratch_open(&scratch);
    CHECK_INT(mkdir("here", 0755), 0);
    for (int i = 0; i < 3; i++) {
        const char *names[] = {"here/events.jsonl", "here/series.csv", "here/result.json.part"};
        CHECK_INT(symlink("/dev/full", names[i]), 0);
    }
    CHECK_INT(record_open(&record, "here", "x"), 0);
    CHECK_INT(record_problem(record), 0);
    CHECK_INT(record_event(record, json_pack("{s:i}", "n", 1)), -ENOSPC);
    CHECK_INT(record_sample(record, "1,a,,1\n"), -ENOSPC);
    CHECK_INT(record_result(record, json_pack("{s:i}", "n", 1)), -ENOSPC);
    CHECK(!exists("here/result.json") && !exists("here/result.json.part"));
    CHECK_INT(record_problem(record), -ENOSPC);
    record_close(record);
    scratch_close(&scratch);
}

/* The line that is not whole is the last one, though there is room again. */
static void nothing_follows_half_an_event(void)
{
    struct scratch scratch;
    struct record *record = NULL;
    struct rlimit limit, little;
    scratch_open(&scratch);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
    little = (struct rlimit){.rlim_cur = 12, .rlim_max = limit.rlim_max};
    CHECK_INT(record_open(&record, "here", "x"), 0);
    CHECK_INT(record_event(record, json_pack("{s:i}", "n", 1)), 0);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &little), 0);
    CHECK_INT(record_event(record, json_pack("{s:i}", "n", 2)), -EFBIG);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_INT(record_event(record, json_pack("{s:i}", "n", 3)), -EFBIG);
    CHECK(strncmp(read_text("here/events.jsonl"), "{\"n\":1}\n{\"n\"", 12) == 0);
    CHECK(strstr(read_text("here/events.jsonl"), "3") == NULL);
    record_close(record);
    scratch_close(&scratch);
}

static const struct check_test tests[] = {
    {"the folder is made, with its parents", folder_is_made},
    {"an empty folder is used, that of a killed run is not",
     folder_that_is_empty_is_used_and_that_of_a_killed_run_refused},
    {"a folder with a result is refused and left as it is", folder_with_a_result_is_refused},
    {"a folder that cannot be made", folder_that_cannot_be_made},
    {"dated names never collide", dated_names_never_collide},
    {"a result comes whole or not at all", result_replaces_nothing_until_it_is_whole},
    {"events come line by line", events_come_line_by_line},
    {"what a full disk does not take is told", what_a_full_disk_does_not_take_is_told},
    {"nothing follows half an event", nothing_follows_half_an_event},
};

CHECK_MAIN(tests)
