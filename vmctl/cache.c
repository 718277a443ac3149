/* SPDX-License-Identifier: MIT */
#include "vmctl/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int cache_make_folders(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        int err = mkdir(path, 0755);
        *at = '/';
        if (err && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

char *cache_folder(void)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int n = base && *base == '/' ? asprintf(&path, "%s/qemunet", base)
            : home && *home      ? asprintf(&path, "%s/.cache/qemunet", home)
                                 : asprintf(&path, "/tmp/qemunet-cache-%u", getuid());
    if (n < 0)
        return NULL;
    if (cache_make_folders(path)) {
        int err = errno;
        free(path);
        errno = err;
        return NULL;
    }
    return path;
}

char *cache_path(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *cache_entry(const char *name)
{
    char *folder = cache_folder(), *path = folder ? cache_path(folder, name) : NULL;
    free(folder);
    return path;
}

static int wait_for_lock(int fd, int (*interrupted)(void))
{
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (interrupted && interrupted())
            return -EINTR;
        poll(NULL, 0, 50); /* a file lock has no event to wait for */
    }
    return 0;
}

/* Return: the malloc'ed path of the lock's file, or NULL with errno set. */
static char *lock_path(const char *name)
{
    char *file = NULL, *path = NULL;
    if (asprintf(&file, "%s.lock", name) < 0)
        return NULL;
    path = cache_entry(file);
    free(file);
    return path;
}

int cache_lock(const char *name, int (*interrupted)(void))
{
    char *path = lock_path(name);
    if (!path)
        return -errno;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : wait_for_lock(fd, interrupted);
    free(path);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

/* The file may have been removed by who held it before. */
static bool is_current(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

int cache_try_lock(const char *name)
{
    char *path = lock_path(name);
    if (!path)
        return -errno;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int err = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
    if (!err && !is_current(fd, path))
        err = -EWOULDBLOCK;
    free(path);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

void cache_unlock(const char *name, int fd)
{
    char *path = lock_path(name);
    if (path)
        unlink(path);
    free(path);
    close(fd);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void cache_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

uint64_t cache_hash(uint64_t hash, const void *data, size_t n)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    return hash;
}
