/* SPDX-License-Identifier: MIT */
#include "vmctl/image_store.h"

#include "vmctl/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name is a symbolic link in this folder of the cache to the image's folder. */
#define NAMES "names"
#define TEXT_MAX 65536

static char *read_text(const char *folder, const char *name)
{
    char *path = cache_path(folder, name);
    FILE *in = path ? fopen(path, "re") : NULL;
    free(path);
    if (!in)
        return NULL;
    char *text = calloc(1, TEXT_MAX + 1);
    size_t n = text ? fread(text, 1, TEXT_MAX, in) : 0;
    while (n && text[n - 1] == '\n')
        text[--n] = '\0';
    fclose(in);
    return text;
}

static uint64_t size_of(const char *folder)
{
    uint64_t size = 0;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            size += (uint64_t)st.st_blocks * 512;
    }
    if (dir)
        closedir(dir);
    return size;
}

static time_t changed(const char *folder, const char *name)
{
    struct stat st;
    char *path = cache_path(folder, name);
    time_t time = path && stat(path, &st) == 0 ? st.st_mtime : 0;
    free(path);
    return time;
}

static void tell(const char *folder, void (*fn)(void *arg, const struct image_info *info),
                 void *arg)
{
    char *name = read_text(folder, "name"), *packages = read_text(folder, "packages");
    const char *base = strrchr(folder, '/') + 1;
    fn(arg, &(struct image_info){.folder = folder,
                                 .recipe = strncmp(base, "tiny-", 5) == 0 ? "tiny" : "debian",
                                 .name = name,
                                 .packages = packages,
                                 .size = size_of(folder),
                                 .built = changed(folder, "version"),
                                 .used = changed(folder, ".")});
    free(name);
    free(packages);
}

int image_store_each(void (*fn)(void *arg, const struct image_info *info), void *arg)
{
    char *pattern = cache_entry("{tiny,tiny-*,debian}-????????????????");
    glob_t found = {0};
    if (!pattern)
        return -errno;
    if (glob(pattern, GLOB_BRACE, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            tell(found.gl_pathv[i], fn, arg);
    }
    globfree(&found);
    free(pattern);
    return 0;
}

static void tell_name(const char *path, void (*fn)(void *, const char *, const char *), void *arg)
{
    char *folder = realpath(path, NULL);
    if (folder)
        fn(arg, strrchr(path, '/') + 1, folder);
    free(folder);
}

int image_store_names(void (*fn)(void *arg, const char *name, const char *folder), void *arg)
{
    char *pattern = cache_entry(NAMES "/*");
    glob_t found = {0};
    if (!pattern)
        return -errno;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            tell_name(found.gl_pathv[i], fn, arg);
    }
    globfree(&found);
    free(pattern);
    return 0;
}

/* Made beside, hidden from the list of names, and renamed: the name is always there. */
static int link_beside(const char *target, const char *beside, const char *final)
{
    unlink(beside); /* of one that was killed, and may point elsewhere */
    if (symlink(target, beside))
        return -errno;
    int err = rename(beside, final) ? -errno : 0;
    unlink(beside);
    return err;
}

static int link_name(const char *names, const char *name, const char *folder)
{
    char *target = NULL, *beside = NULL, *final = cache_path(names, name);
    int n = final ? asprintf(&target, "../%s", strrchr(folder, '/') + 1) : -1;
    n = n < 0 ? n : asprintf(&beside, "%s/.%s-%d", names, name, getpid());
    int err = n < 0 ? -ENOMEM : link_beside(target, beside, final);
    free(target);
    free(beside);
    free(final);
    return err;
}

int image_store_name(const char *name, const char *folder)
{
    char *names = cache_entry(NAMES);
    if (!names)
        return -errno;
    int err = mkdir(names, 0700) && errno != EEXIST ? -errno : link_name(names, name, folder);
    free(names);
    return err;
}

int image_store_unname(const char *name)
{
    char *names = cache_entry(NAMES), *path = names ? cache_path(names, name) : NULL;
    int err = !path || unlink(path) ? -errno : 0;
    free(names);
    free(path);
    return err;
}

/* Whoever looks for it meanwhile finds all of it or nothing. The place is that of a build under
 * way, which the lock keeps away. */
static int remove_locked(const char *folder)
{
    char *gone = NULL;
    if (asprintf(&gone, "%s.tmp", folder) < 0)
        return -ENOMEM;
    cache_remove(gone);
    int err = rename(folder, gone) ? -errno : 0;
    cache_remove(gone);
    free(gone);
    return err;
}

int image_store_remove(const char *folder, int (*interrupted)(void))
{
    int lock = cache_lock(strrchr(folder, '/') + 1, interrupted);
    if (lock < 0)
        return lock;
    int err = remove_locked(folder);
    close(lock);
    return err;
}
