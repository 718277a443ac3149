/* SPDX-License-Identifier: MIT */
/* accuracy [--full] [--seed N] [GROUP...]: what links do, against what they were told to. */
#include "groups.h"
#include "runtime/clock.h"
#include "runtime/netns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static const struct group {
    const char *name;
    void (*measure)(struct report *r);
} groups[] = {
    {"delay", measure_delay},   {"jitter", measure_jitter},     {"loss", measure_loss},
    {"frames", measure_frames}, {"rate", measure_rate},         {"queue", measure_queue},
    {"change", measure_change}, {"combined", measure_combined},
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* Return: the processor's name. */
static struct text processor(void)
{
    char line[256], name[128] = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "model name : %127[^\n]", name) == 1)
            break;
    }
    if (f)
        fclose(f);
    return text("%s", name);
}

static void print_head(const struct report *r)
{
    struct utsname system;
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    uname(&system);
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&now, &tm));
    printf("Measured %s on %ld x %s, Linux %s, by `accuracy%s --seed %" PRIu64 "`.\n", date,
           sysconf(_SC_NPROCESSORS_ONLN), processor().s, system.release, r->full ? " --full" : "",
           r->seed);
}

static bool is_wanted(const char *name, char **wanted)
{
    for (char **w = wanted; *w; w++) {
        if (strcmp(*w, name) == 0)
            return true;
    }
    return !*wanted;
}

static void check_names(char **wanted)
{
    for (; *wanted; wanted++) {
        size_t i = 0;
        while (i < GROUPS && strcmp(groups[i].name, *wanted) != 0)
            i++;
        if (i == GROUPS) {
            fprintf(stderr, "accuracy: no group is called %s; there are:", *wanted);
            for (i = 0; i < GROUPS; i++)
                fprintf(stderr, " %s", groups[i].name);
            fprintf(stderr, "\n");
            exit(2);
        }
    }
}

/* Return: the arguments behind the options. */
static char **read_options(struct report *r, char **argv)
{
    char **arg = argv + 1;
    for (; *arg && strncmp(*arg, "--", 2) == 0; arg++) {
        if (strcmp(*arg, "--full") == 0) {
            r->full = true;
        } else if (strcmp(*arg, "--seed") == 0 && arg[1]) {
            r->seed = strtoull(*++arg, NULL, 10);
        } else {
            fprintf(stderr, "Usage: accuracy [--full] [--seed N] [GROUP...]\n");
            exit(2);
        }
    }
    return arg;
}

int main(int argc, char **argv)
{
    struct report r = {.seed = 1};
    struct netns netns;
    (void)argc;
    char **wanted = read_options(&r, argv);
    check_names(wanted);
    netns_enter(&netns);
    clock_start();
    print_head(&r);
    for (size_t i = 0; i < GROUPS; i++) {
        if (is_wanted(groups[i].name, wanted))
            groups[i].measure(&r);
    }
    return report_end(&r);
}
