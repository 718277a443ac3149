/* SPDX-License-Identifier: MIT */
/* The templates that there are, and the bound of what they take. */
#include "vmctl/cache.h"
#include "vmctl/template.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
    char *path;
    uint64_t bytes;
    int64_t used; /* ns of the time of day */
};

static uint64_t bytes_of(const char *folder, const char *name, int64_t *changed)
{
    char *path = cache_path(folder, name);
    struct stat st = {0};
    if (!path || stat(path, &st))
        st = (struct stat){0};
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

#define PREFIX "template-"

static int is_template(const struct dirent *entry)
{
    const char *key = entry->d_name + strlen(PREFIX);
    return strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && strlen(key) == TEMPLATE_KEY_LEN &&
           strspn(key, "0123456789abcdef") == TEMPLATE_KEY_LEN;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A maker's folder or lock. */
static int is_unfinished(const struct dirent *entry)
{
    return strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
           (ends_with(entry->d_name, ".tmp") || ends_with(entry->d_name, ".lock"));
}

struct paths {
    char **at;
    size_t n;
};

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        free(paths->at[i]);
    free(paths->at);
}

static int add_paths(struct paths *paths, const char *folder, struct dirent *const *found, int n)
{
    paths->at = calloc((size_t)n + 1, sizeof(*paths->at));
    for (int i = 0; paths->at && i < n; i++) {
        paths->at[i] = cache_path(folder, found[i]->d_name);
        if (!paths->at[i])
            return -ENOMEM;
        paths->n++;
    }
    return paths->at ? 0 : -ENOMEM;
}

/* Return: 0 or negative errno; free_paths() either way. */
static int find(struct paths *paths, int (*filter)(const struct dirent *))
{
    struct dirent **found = NULL;
    char *cache = cache_folder();
    int n = cache ? scandir(cache, &found, filter, NULL) : -1;
    *paths = (struct paths){0};
    int err = n < 0 ? -errno : add_paths(paths, cache, found, n);
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    free(cache);
    return err;
}

int template_each(bool (*fn)(void *arg, const char *path, uint64_t bytes, int64_t used), void *arg)
{
    struct paths paths;
    int err = find(&paths, is_template);
    for (size_t i = 0; i < paths.n; i++) {
        struct entry entry = measure(paths.at[i]);
        if (fn(arg, entry.path, entry.bytes, entry.used))
            template_remove(entry.path);
    }
    free_paths(&paths);
    return err;
}

/* Under another name first: who opens it meanwhile finds all of it or nothing. */
void template_remove(const char *folder)
{
    char *away = NULL;
    if (asprintf(&away, "%s.%ld.tmp", folder, (long)getpid()) < 0)
        return;
    cache_remove(rename(folder, away) ? folder : away);
    free(away);
}

static void sweep_one(char *path)
{
    *strrchr(path, '.') = '\0';
    char *folder = NULL;
    const char *name = strrchr(path, '/') + 1;
    int lock = cache_try_lock(name);
    if (lock < 0)
        return;
    if (asprintf(&folder, "%s.tmp", path) >= 0)
        cache_remove(folder);
    free(folder);
    cache_unlock(name, lock);
}

/* What is left of those whose maker was killed: nobody holds their locks. */
static void sweep(void)
{
    struct paths paths;
    find(&paths, is_unfinished);
    for (size_t i = 0; i < paths.n; i++)
        sweep_one(paths.at[i]);
    free_paths(&paths);
}

static int by_use(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    return (left->used > right->used) - (left->used < right->used);
}

static void evict(struct entry *entries, size_t n, uint64_t limit)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += entries[i].bytes;
    qsort(entries, n, sizeof(*entries), by_use);
    for (size_t i = 0; i < n && total > limit; i++) {
        total -= entries[i].bytes;
        template_remove(entries[i].path);
    }
}

int template_evict(uint64_t limit)
{
    struct paths paths;
    sweep();
    int err = find(&paths, is_template);
    struct entry *entries = calloc(paths.n + 1, sizeof(*entries));
    for (size_t i = 0; entries && i < paths.n; i++)
        entries[i] = measure(paths.at[i]);
    if (entries)
        evict(entries, paths.n, limit);
    free(entries);
    free_paths(&paths);
    return entries ? err : -ENOMEM;
}
