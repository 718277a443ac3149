/* SPDX-License-Identifier: MIT */
/* A folder for one test, with the working directory in it; removed with all that is in it. */
#ifndef QN_TESTS_UNIT_SCRATCH_H
#define QN_TESTS_UNIT_SCRATCH_H

#include "tests/unit/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
    char path[32];
    int before; /* the working directory that was */
};

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void scratch_open(struct scratch *scratch)
{
    strcpy(scratch->path, "/tmp/qn-test-XXXXXX");
    scratch->before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(mkdtemp(scratch->path) && chdir(scratch->path) == 0);
}

static inline void scratch_close(struct scratch *scratch)
{
    CHECK_INT(fchdir(scratch->before), 0);
    close(scratch->before);
    CHECK_INT(nftw(scratch->path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
