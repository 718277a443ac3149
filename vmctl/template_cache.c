/* SPDX-License-Identifier: MIT */
/* The templates that there are, and the bound of what they take. */
#include "vmctl/cache.h"
#include "vmctl/template.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
    char *path;
    uint64_t bytes;
    int64_t used; /* ns of the time of day */
};

static uint64_t bytes_of(const char *folder, const char *name, int64_t *changed)
{
    char *path = NULL;
    struct stat st = {0};
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return 0;
    if (stat(path, &st))
        st.st_blocks = 0;
    free(path);
    *changed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return (uint64_t)st.st_blocks * 512;
}

static struct entry measure(char *path)
{
    struct entry entry = {.path = path};
    int64_t ignored;
    entry.bytes = bytes_of(path, "memory", &ignored) + bytes_of(path, "state", &ignored) +
                  bytes_of(path, "disk", &ignored) + bytes_of(path, "about", &entry.used);
    return entry;
}

static int find_all(glob_t *found)
{
    char *cache = cache_folder(), *pattern = NULL;
    int err = 0;
    *found = (glob_t){0};
    if (!cache || asprintf(&pattern, "%s/template-????????????????????????????????", cache) < 0)
        err = -errno;
    else if (glob(pattern, GLOB_NOSORT, NULL, found) == GLOB_NOSPACE)
        err = -ENOMEM;
    free(pattern);
    free(cache);
    return err;
}

int template_each(bool (*fn)(void *arg, const char *path, uint64_t bytes, int64_t used), void *arg)
{
    glob_t found;
    int err = find_all(&found);
    for (size_t i = 0; !err && i < found.gl_pathc; i++) {
        struct entry entry = measure(found.gl_pathv[i]);
        if (fn(arg, entry.path, entry.bytes, entry.used))
            cache_remove(entry.path);
    }
    globfree(&found);
    return err;
}

/* What is left of those whose maker was killed: nobody holds their locks. */
static void sweep(const char *cache)
{
    glob_t found = {0};
    char *pattern = NULL;
    if (asprintf(&pattern, "%s/template-*.tmp", cache) < 0)
        return;
    glob(pattern, GLOB_NOSORT, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char *name = strdup(strrchr(found.gl_pathv[i], '/') + 1);
        if (name)
            name[strlen(name) - strlen(".tmp")] = '\0';
        int lock = name ? cache_try_lock(name) : -ENOMEM;
        if (lock >= 0) {
            cache_remove(found.gl_pathv[i]);
            cache_unlock(name, lock);
        }
        free(name);
    }
    globfree(&found);
    free(pattern);
}

static int by_use(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    return (left->used > right->used) - (left->used < right->used);
}

int template_evict(uint64_t limit)
{
    glob_t found;
    char *cache = cache_folder();
    if (cache)
        sweep(cache);
    free(cache);
    int err = find_all(&found);
    struct entry *entries = err ? NULL : calloc(found.gl_pathc + 1, sizeof(*entries));
    uint64_t total = 0;
    for (size_t i = 0; entries && i < found.gl_pathc; i++) {
        entries[i] = measure(found.gl_pathv[i]);
        total += entries[i].bytes;
    }
    if (entries && found.gl_pathc)
        qsort(entries, found.gl_pathc, sizeof(*entries), by_use);
    for (size_t i = 0; entries && i < found.gl_pathc && total > limit; i++) {
        total -= entries[i].bytes;
        cache_remove(entries[i].path);
    }
    free(entries);
    globfree(&found);
    return err;
}
