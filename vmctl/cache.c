/* SPDX-License-Identifier: MIT */
#include "vmctl/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_folders(char *path)
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
    if (make_folders(path)) {
        int err = errno;
        free(path);
        errno = err;
        return NULL;
    }
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

int cache_lock(const char *name, int (*interrupted)(void))
{
    char *folder = cache_folder(), *path = NULL;
    if (!folder || asprintf(&path, "%s/%s.lock", folder, name) < 0) {
        free(folder);
        return -errno;
    }
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int err = fd < 0 ? -errno : wait_for_lock(fd, interrupted);
    free(path);
    free(folder);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
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
