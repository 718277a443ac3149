/* SPDX-License-Identifier: MIT */
#include "tests/unit/scratch.h"
#include "vmctl/cache.h"
#include "vmctl/image_store.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static struct scratch scratch;

/* What the names found stand for: "NAME=FOLDER ", the folder without its path. */
static char found[256];

static void add_name(void *arg, const char *name, const char *folder)
{
    size_t n = strlen(found);
    (void)arg;
    snprintf(found + n, sizeof(found) - n, "%s=%s ", name, strrchr(folder, '/') + 1);
}

static const char *names(void)
{
    *found = '\0';
    CHECK_INT(image_store_names(add_name, NULL), 0);
    return found;
}

/* A cache with the folders of two images in it. */
static void open_cache(void)
{
    scratch_open(&scratch);
    setenv("XDG_CACHE_HOME", scratch.path, 1);
    free(cache_folder());
    CHECK(mkdir("qemunet/one", 0700) == 0 && mkdir("qemunet/two", 0700) == 0);
}

static void a_name_moves(void)
{
    open_cache();
    CHECK_STR(names(), "");
    CHECK_INT(image_store_name("a", "qemunet/one"), 0);
    CHECK_INT(image_store_name("b", "qemunet/one"), 0);
    CHECK_STR(names(), "a=one b=one ");
    CHECK_INT(image_store_name("a", "qemunet/two"), 0);
    CHECK_STR(names(), "a=two b=one ");
    CHECK_INT(image_store_unname("b"), 0);
    CHECK_INT(image_store_unname("b"), -ENOENT);
    CHECK_STR(names(), "a=two ");
    CHECK_INT(rmdir("qemunet/two"), 0); /* of a folder that is gone, it is none */
    CHECK_STR(names(), "");
    scratch_close(&scratch);
}

/* A process of our number was killed while it gave the name to another. */
static void a_link_left_behind(void)
{
    char left[64];
    open_cache();
    CHECK_INT(image_store_name("a", "qemunet/one"), 0);
    snprintf(left, sizeof(left), "qemunet/names/.a-%d", getpid());
    CHECK_INT(symlink("../one", left), 0);
    CHECK_INT(image_store_name("a", "qemunet/two"), 0);
    CHECK_STR(names(), "a=two ");
    CHECK_INT(symlink("../one", left), 0); /* gone, that is */
    scratch_close(&scratch);
}

static const struct check_test tests[] = {
    {"a name stands for one image, the last it was given to", a_name_moves},
    {"what a killed process has left does not become the name", a_link_left_behind},
};

CHECK_MAIN(tests)
