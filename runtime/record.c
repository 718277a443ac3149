/* SPDX-License-Identifier: MIT */
#include "runtime/record.h"

#include "runtime/json_digits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct record {
    char *folder;
    FILE *events, *samples; /* samples: NULL until the first */
    int err;                /* why events.jsonl ended early */
};

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static int make_parents(const char *path)
{
    char *copy = strdup(path);
    int err = copy ? 0 : -ENOMEM;
    for (char *at = copy ? strchr(copy + 1, '/') : NULL; at && !err; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, 0755) && errno != EEXIST)
            err = -errno;
        *at = '/';
    }
    free(copy);
    return err;
}

/* A run that was killed has left no result. */
static bool has_content(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_size > 0;
}

static int make_named(struct record *record, const char *folder)
{
    int err = make_parents(folder);
    if (!err && mkdir(folder, 0755) && errno != EEXIST)
        err = -errno;
    if (err)
        return err;
    record->folder = strdup(folder);
    char *result = join(folder, "result.json"), *events = join(folder, "events.jsonl");
    if (!record->folder || !result || !events)
        err = -ENOMEM;
    else if (access(result, F_OK) == 0 || has_content(events))
        err = -EEXIST;
    free(result);
    free(events);
    return err;
}

static int make_dated(struct record *record, const char *name)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof(when), "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    if (mkdir("runs", 0755) && errno != EEXIST)
        return -errno;
    for (int i = 1; i < 1000; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof(number), "-%d", i);
        if (asprintf(&record->folder, "runs/%s-%s%s", name, when, number) < 0)
            return -ENOMEM;
        if (mkdir(record->folder, 0755) == 0)
            return 0;
        int err = -errno;
        free(record->folder);
        record->folder = NULL;
        if (err != -EEXIST)
            return err;
    }
    return -EEXIST;
}

static int open_files(struct record *record)
{
    char *console = join(record->folder, "console"), *events = join(record->folder, "events.jsonl");
    int err = console && events ? 0 : -ENOMEM;
    if (!err && mkdir(console, 0755) && errno != EEXIST)
        err = -errno;
    if (!err && !(record->events = fopen(events, "we")))
        err = -errno;
    free(console);
    free(events);
    return err;
}

int record_open(struct record **out, const char *folder, const char *name)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        return -ENOMEM;
    int err = folder ? make_named(record, folder) : make_dated(record, name);
    if (!err)
        err = open_files(record);
    if (err) {
        record_close(record);
        return err;
    }
    *out = record;
    return 0;
}

static int write_event(FILE *events, const json_t *event)
{
    errno = EIO; /* for a value that is no JSON */
    if (json_dumpf(event, events, JSON_COMPACT | JSON_REAL_PRECISION(json_digits(event))) ||
        fputc('\n', events) == EOF || fflush(events))
        return -errno;
    return 0;
}

/* Behind a line that is not whole, another would be part of it. */
int record_event(struct record *record, json_t *event)
{
    if (!event)
        return -ENOMEM;
    if (!record->err)
        record->err = write_event(record->events, event);
    json_decref(event);
    return record->err;
}

int record_problem(const struct record *record)
{
    return record->err;
}

int record_sample(struct record *record, const char *line)
{
    if (!record->samples) {
        char *path = join(record->folder, "series.csv");
        record->samples = path ? fopen(path, "we") : NULL;
        free(path);
        if (!record->samples)
            return -errno;
        fputs("t,series,unit,value\n", record->samples);
    }
    fputs(line, record->samples);
    return fflush(record->samples) ? -errno : 0;
}

int record_result(struct record *record, json_t *result)
{
    char *path = join(record->folder, "result.json"),
         *part = join(record->folder, "result.json.part");
    int err = path && part ? 0 : -ENOMEM;
    errno = EIO; /* for a value that is no JSON */
    if (!err &&
        json_dump_file(result, part,
                       JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(json_digits(result))))
        err = -errno;
    if (!err && rename(part, path))
        err = -errno;
    if (err && part)
        unlink(part);
    free(path);
    free(part);
    json_decref(result);
    return err;
}

const char *record_folder(const struct record *record)
{
    return record->folder;
}

void record_close(struct record *record)
{
    if (!record)
        return;
    if (record->events)
        fclose(record->events);
    if (record->samples)
        fclose(record->samples);
    free(record->folder);
    free(record);
}
