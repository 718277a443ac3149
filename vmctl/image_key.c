/* SPDX-License-Identifier: MIT */
#include "vmctl/image_key.h"

#include "vmctl/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool image_key_uses(const char *recipe, const struct embedded_file *file)
{
    size_t n = strlen(recipe);
    return !strchr(file->name, '/') ||
           (strncmp(file->name, recipe, n) == 0 && file->name[n] == '/');
}

/* With its end, so that two texts are not the same as one. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    return cache_hash(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

static uint64_t hash_recipe(uint64_t hash, const char *recipe)
{
    for (const struct embedded_file *file = embedded_recipes; file->name; file++) {
        if (!image_key_uses(recipe, file))
            continue;
        hash = hash_text(hash, file->name);
        hash = cache_hash(hash, file->data, file->size);
    }
    return hash;
}

static uint64_t hash_busybox(uint64_t hash)
{
    struct stat st = {0};
    if (stat("/bin/busybox", &st) && stat("/usr/bin/busybox", &st))
        return hash;
    hash = cache_hash(hash, &st.st_size, sizeof(st.st_size));
    return cache_hash(hash, &st.st_mtim.tv_sec, sizeof(st.st_mtim.tv_sec));
}

static int hash_contents(uint64_t *hash, const char *path)
{
    unsigned char part[65536];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC), err;
    if (fd < 0)
        return -errno;
    while ((n = read(fd, part, sizeof(part))) > 0)
        *hash = cache_hash(*hash, part, (size_t)n);
    err = n < 0 ? -errno : 0;
    close(fd);
    return err;
}

/* Where the packages come from. */
static uint64_t hash_sources(uint64_t hash)
{
    glob_t found = {0};
    glob("/etc/debian_version", 0, NULL, &found);
    glob("/etc/apt/sources.list", GLOB_APPEND, NULL, &found);
    glob("/etc/apt/sources.list.d/*", GLOB_APPEND, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        hash = hash_text(hash, found.gl_pathv[i]);
        hash_contents(&hash, found.gl_pathv[i]); /* what cannot be read is the recipe's business */
    }
    globfree(&found);
    return hash;
}

static int hash_link(uint64_t *hash, const char *path)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof(target));
    if (n < 0)
        return -errno;
    *hash = cache_hash(*hash, target, (size_t)n);
    return 0;
}

static int hash_entry(uint64_t *hash, const FTSENT *entry, size_t root_len)
{
    mode_t mode = entry->fts_statp->st_mode;
    if (entry->fts_info == FTS_DP)
        return 0;
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
        return -entry->fts_errno;
    *hash = hash_text(*hash, entry->fts_path + root_len);
    *hash = cache_hash(*hash, &mode, sizeof(mode));
    if (entry->fts_info == FTS_F)
        return hash_contents(hash, entry->fts_accpath);
    if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
        return hash_link(hash, entry->fts_accpath);
    return 0;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int hash_tree(uint64_t *hash, const char *path, char **why)
{
    char *root = strdup(path), *const roots[] = {root, NULL};
    FTS *walk = root ? fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name) : NULL;
    FTSENT *entry;
    int err = walk ? 0 : -errno;
    while (!err && (errno = 0, entry = fts_read(walk)) != NULL) {
        err = hash_entry(hash, entry, strlen(path));
        if (err && asprintf(why, "cannot add %s: %s", entry->fts_path, strerror(-err)) < 0)
            *why = NULL;
    }
    if (!err)
        err = -errno;
    if (walk)
        fts_close(walk);
    free(root);
    return err;
}

int image_key(uint64_t *key, const struct image_spec *spec, char **why)
{
    uint64_t hash = hash_busybox(hash_recipe(CACHE_HASH_START, spec->recipe));
    int err = 0;
    *why = NULL;
    if (spec->packages)
        hash = hash_text(hash_sources(hash), spec->packages);
    if (spec->script)
        hash = hash_text(hash, spec->script);
    for (size_t i = 0; i < spec->n_adds && !err; i++) {
        hash = hash_text(hash, spec->adds[i].guest);
        err = hash_tree(&hash, spec->adds[i].host, why);
    }
    *key = hash;
    return err;
}
