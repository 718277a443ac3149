/* SPDX-License-Identifier: MIT */
#include "vmctl/image.h"

#include "vmctl/cache.h"
#include "vmctl/child.h"
#include "vmctl/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Download, unpack and pack took 6.5 s on a 2-core machine; a slow network may need far longer. */
#define BUILD_TIMEOUT_MS (15 * 60 * 1000)

static uint64_t tiny_key(void)
{
    uint64_t hash = CACHE_HASH_START;
    struct stat busybox = {0};
    for (const struct embedded_file *file = embedded_tiny; file->name; file++) {
        hash = cache_hash(hash, file->name, strlen(file->name));
        hash = cache_hash(hash, file->data, file->size);
    }
    if (stat("/bin/busybox", &busybox) && stat("/usr/bin/busybox", &busybox))
        return hash;
    hash = cache_hash(hash, &busybox.st_size, sizeof(busybox.st_size));
    return cache_hash(hash, &busybox.st_mtim.tv_sec, sizeof(busybox.st_mtim.tv_sec));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int write_file(const char *folder, const struct embedded_file *file)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, file->name) < 0)
        return -ENOMEM;
    FILE *out = fopen(path, "we");
    free(path);
    if (!out)
        return -errno;
    size_t n = fwrite(file->data, 1, file->size, out);
    return fclose(out) || n != file->size ? -EIO : 0;
}

static int write_sources(const char *folder)
{
    int err = mkdir(folder, 0700) ? -errno : 0;
    for (const struct embedded_file *file = embedded_tiny; file->name && !err; file++)
        err = write_file(folder, file);
    return err;
}

/* Return: the child's wait status (>= 0), -ETIMEDOUT or -EINTR; it is stopped and collected either
 * way. */
static int wait_for_end(struct child *child, int timeout_ms, int (*interrupted)(void))
{
    int status = 0, err = 0;
    for (int waited = 0; child_reap(child, &status) == 0; waited += 50) {
        struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
        if (interrupted && interrupted())
            err = -EINTR;
        else if (waited >= timeout_ms)
            err = -ETIMEDOUT;
        if (err)
            break;
        poll(&ended, 1, 50);
    }
    child_stop(child, 1000);
    child_close(child);
    return err ? err : status;
}

static char *read_tail(const char *path)
{
    char *text = calloc(1, 2049);
    FILE *in = fopen(path, "re");
    if (in && text) {
        if (fseek(in, -2048, SEEK_END))
            rewind(in);
        size_t n = fread(text, 1, 2048, in);
        while (n && text[n - 1] == '\n')
            text[--n] = '\0';
    }
    if (in)
        fclose(in);
    return text;
}

static int run_recipe(const struct arch *arch, const char *sources, const char *out,
                      int (*interrupted)(void), char **why)
{
    char *recipe = NULL, *log = NULL;
    if (asprintf(&recipe, "%s/build.sh", sources) < 0 || asprintf(&log, "%s/log", sources) < 0)
        return -ENOMEM;
    const char *argv[] = {"sh", recipe, sources, out, arch->dpkg, NULL};
    struct child child;
    int log_fd = open(log, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    int err = child_spawn(
        &(struct child_spec){
            .argv = argv, .stdout_fd = log_fd, .stderr_fd = log_fd, .death_signal = SIGTERM},
        &child);
    if (!err)
        err = wait_for_end(&child, BUILD_TIMEOUT_MS, interrupted);
    if (log_fd >= 0)
        close(log_fd);
    if (err > 0) {
        *why = read_tail(log);
        err = -EIO;
    }
    free(recipe);
    free(log);
    return err;
}

/* Builds beside the final place and renames, under the lock: a folder with the final name is whole.
 */
static int build(const struct arch *arch, const char *final, int (*interrupted)(void), char **why)
{
    char *work = NULL, *sources = NULL, *out = NULL;
    if (asprintf(&work, "%s.tmp", final) < 0 || asprintf(&sources, "%s/sources", work) < 0 ||
        asprintf(&out, "%s/out", work) < 0)
        return -ENOMEM;
    remove_tree(work);
    int err = mkdir(work, 0700) || mkdir(out, 0700) ? -errno : write_sources(sources);
    if (!err)
        err = run_recipe(arch, sources, out, interrupted, why);
    if (!err && rename(out, final))
        err = -errno;
    remove_tree(work);
    free(work);
    free(sources);
    free(out);
    return err;
}

static char *read_version(const char *folder)
{
    char line[128] = "", *path = NULL;
    if (asprintf(&path, "%s/version", folder) < 0)
        return NULL;
    FILE *in = fopen(path, "re");
    free(path);
    if (!in)
        return NULL;
    char *got = fgets(line, sizeof(line), in);
    fclose(in);
    line[strcspn(line, "\n")] = '\0';
    return got ? strdup(line) : NULL;
}

static int open_image(struct image *image, const char *folder)
{
    image->version = read_version(folder);
    if (!image->version)
        return -ENOENT;
    if (asprintf(&image->kernel, "%s/vmlinuz", folder) < 0 ||
        asprintf(&image->initrd, "%s/initrd.gz", folder) < 0)
        return -ENOMEM;
    return 0;
}

static int build_locked(const struct arch *arch, const char *name, const char *folder,
                        struct image *image, void (*building)(const char *),
                        int (*interrupted)(void), char **why)
{
    int lock = cache_lock(name, interrupted);
    if (lock < 0)
        return lock;
    int err = open_image(image, folder); /* another run may have built it meanwhile */
    if (err == -ENOENT) {
        if (building)
            building("building the tiny guest image (once; downloads a kernel package)");
        err = build(arch, folder, interrupted, why);
        if (!err)
            err = open_image(image, folder);
    }
    close(lock);
    return err;
}

int image_tiny(struct image *image, const struct arch *arch, void (*building)(const char *text),
               int (*interrupted)(void), char **why)
{
    char name[60], *cache = cache_folder(), *folder = NULL;
    *image = (struct image){0};
    *why = NULL;
    if (arch == arch_default())
        snprintf(name, sizeof(name), "tiny-%016" PRIx64, tiny_key());
    else
        snprintf(name, sizeof(name), "tiny-%s-%016" PRIx64, arch->name, tiny_key());
    if (!cache || asprintf(&folder, "%s/%s", cache, name) < 0) {
        free(cache);
        return -errno;
    }
    int err = open_image(image, folder);
    if (err == -ENOENT)
        err = build_locked(arch, name, folder, image, building, interrupted, why);
    if (err)
        image_free(image);
    free(folder);
    free(cache);
    return err;
}

void image_free(struct image *image)
{
    free(image->kernel);
    free(image->initrd);
    free(image->version);
    *image = (struct image){0};
}

/* Of the default architecture, and of another. Return: 0 or negative errno. */
static int find_images(const char *cache, glob_t *found)
{
    static const char *const names[] = {"tiny-????????????????", "tiny-*-????????????????"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char *pattern = NULL;
        if (asprintf(&pattern, "%s/%s", cache, names[i]) < 0)
            return -ENOMEM;
        glob(pattern, i ? GLOB_APPEND : 0, NULL, found);
        free(pattern);
    }
    return 0;
}

int image_each(bool remove, void (*fn)(void *arg, const char *path), void *arg)
{
    char *cache = cache_folder();
    glob_t found = {0};
    int err = cache ? find_images(cache, &found) : -errno;
    for (size_t i = 0; i < found.gl_pathc && !err; i++) {
        fn(arg, found.gl_pathv[i]);
        if (remove)
            remove_tree(found.gl_pathv[i]);
    }
    globfree(&found);
    free(cache);
    return err;
}
