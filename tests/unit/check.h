/* SPDX-License-Identifier: MIT */
/* The C test harness: a test program is a list of functions; each CHECK that fails is printed with
 * its place, and the program's last line is "N passed, N failed". A test that leaves a descriptor
 * open fails. */
#ifndef QN_TESTS_UNIT_CHECK_H
#define QN_TESTS_UNIT_CHECK_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*fn)(void);
};

static int check_failures;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #cond);               \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long check_got = (long long)(got), check_want = (long long)(want);                    \
        if (check_got != check_want) {                                                             \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, check_got,  \
                    check_want);                                                                   \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *check_got = (got), *check_want = (want);                                       \
        if (!check_got || strcmp(check_got, check_want) != 0) {                                    \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #got,         \
                    check_got ? check_got : "(null)", check_want);                                 \
            check_failures++;                                                                      \
        }                                                                                          \
    } while (0)

/** Return: how many descriptors are open (and what reading the folder takes). */
static inline int check_open_fds(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n;
}

/** Run every test; Return: the program's exit status. */
static inline int check_run(const struct check_test *tests, size_t n)
{
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        check_failures = 0;
        int open_before = check_open_fds();
        tests[i].fn();
        CHECK_INT(check_open_fds(), open_before);
        printf("%s %zu - %s\n", check_failures ? "not ok" : "ok", i + 1, tests[i].name);
        failed += check_failures != 0;
    }
    printf("%d passed, %d failed\n", (int)n - failed, failed);
    return failed != 0;
}

#define CHECK_MAIN(tests)                                                                          \
    int main(void)                                                                                 \
    {                                                                                              \
        return check_run(tests, sizeof(tests) / sizeof((tests)[0]));                               \
    }

#endif
