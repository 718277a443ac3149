/* SPDX-License-Identifier: MIT */
#include "vmctl/image.h"

#include "vmctl/cache.h"
#include "vmctl/child.h"
#include "vmctl/image_key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tiny guest took 6.5 s on a 2-core machine, a Debian system of few packages 25 s; a slow
 * network or many packages may need far longer. */
#define BUILD_TIMEOUT_MS (30 * 60 * 1000)
/* For what removes its files, and unmounts, when it is told to end. */
#define BUILD_GRACE_MS 10000
/* Lines of a recipe's that begin so are for the person who waits. */
#define RECIPE_SAYS "image: "

/* One build. */
struct build {
    const struct image_spec *spec;
    char *final, *work, *sources, *out, *log; /* folders, and the log, which is a file */
    void (*building)(const char *text);
    int (*interrupted)(void);
    char **why;
    FILE *said; /* the log, as it grows */
};

static int write_text(const char *folder, const char *name, const void *data, size_t n)
{
    char *path = cache_path(folder, name);
    if (!path)
        return -ENOMEM;
    FILE *out = fopen(path, "we");
    free(path);
    if (!out)
        return -errno;
    size_t written = fwrite(data, 1, n, out);
    return fclose(out) || written != n ? -EIO : 0;
}

static int make_subfolder(const char *folder, const char *name)
{
    char *path = cache_path(folder, name);
    if (!path)
        return -ENOMEM;
    int err = mkdir(path, 0700) ? -errno : 0;
    free(path);
    return err;
}

static int write_recipe(const struct build *b)
{
    int err = make_subfolder(b->sources, b->spec->recipe);
    for (const struct embedded_file *file = embedded_recipes; file->name && !err; file++) {
        if (image_key_uses(b->spec->recipe, file))
            err = write_text(b->sources, file->name, file->data, file->size);
    }
    return err;
}

/* Two lines for each: the recipe reads them, and neither path has a line's end. */
static int write_adds(const struct build *b)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < b->spec->n_adds; i++)
        fprintf(out, "%s\n%s\n", b->spec->adds[i].guest, b->spec->adds[i].host);
    int err = fclose(out) ? -ENOMEM : write_text(b->sources, "add", text, n);
    free(text);
    return err;
}

static int write_spec(const struct build *b)
{
    const struct image_spec *spec = b->spec;
    int err = 0;
    if (spec->packages)
        err = write_text(b->sources, "packages", spec->packages, strlen(spec->packages));
    if (!err && spec->script)
        err = write_text(b->sources, "run", spec->script, strlen(spec->script));
    if (!err && spec->n_adds)
        err = write_adds(b);
    if (!err)
        err = write_text(b->out, "name", spec->name, strlen(spec->name));
    return err;
}

/* Passes on what the recipe has said meanwhile. */
static void relay(struct build *b)
{
    char line[512];
    while (b->said && b->building && fgets(line, sizeof(line), b->said)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, RECIPE_SAYS, strlen(RECIPE_SAYS)) == 0)
            b->building(line);
    }
    if (b->said)
        clearerr(b->said);
}

/* Return: the child's wait status (>= 0), -ETIMEDOUT or -EINTR; it is stopped and collected either
 * way. */
static int wait_for_end(struct build *b, struct child *child)
{
    int status = 0, err = 0;
    for (int waited = 0; child_reap(child, &status) == 0; waited += 50) {
        struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
        if (b->interrupted && b->interrupted())
            err = -EINTR;
        else if (waited >= BUILD_TIMEOUT_MS)
            err = -ETIMEDOUT;
        if (err)
            break;
        poll(&ended, 1, 50);
        relay(b);
    }
    child_stop(child, BUILD_GRACE_MS);
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

/* What the recipe said last is the reason. */
static void explain(struct build *b)
{
    char *tail = read_tail(b->log);
    if (asprintf(b->why, "%s\n(all that was said: %s)", tail ? tail : "", b->log) < 0)
        *b->why = NULL;
    free(tail);
}

static int run_recipe(struct build *b)
{
    char *recipe = NULL;
    struct child child;
    if (asprintf(&recipe, "%s/%s/build.sh", b->sources, b->spec->recipe) < 0)
        return -ENOMEM;
    const char *argv[] = {"sh", recipe, b->sources, b->out, b->spec->arch->dpkg, NULL};
    int log = open(b->log, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    int err = log < 0 ? -errno
                      : child_spawn(&(struct child_spec){.argv = argv,
                                                         .stdout_fd = log,
                                                         .stderr_fd = log,
                                                         .death_signal = SIGTERM},
                                    &child);
    b->said = err ? NULL : fopen(b->log, "re");
    if (!err)
        err = wait_for_end(b, &child);
    if (b->said)
        fclose(b->said);
    if (log >= 0)
        close(log);
    if (err > 0 || err == -ETIMEDOUT) {
        explain(b);
        err = err > 0 ? -EIO : err;
    }
    free(recipe);
    return err;
}

static int publish(const struct build *b)
{
    cache_remove(b->final); /* what power loss, say, has left of one */
    return rename(b->out, b->final) ? -errno : 0;
}

/* Builds beside the final place and renames, under the lock: a folder with the final name is whole.
 * The log of a build that failed stays. */
static int build(struct build *b)
{
    cache_remove(b->work);
    int err = mkdir(b->work, 0700) || mkdir(b->out, 0700) || mkdir(b->sources, 0700) ? -errno : 0;
    if (!err)
        err = write_recipe(b);
    if (!err)
        err = write_spec(b);
    if (!err)
        err = run_recipe(b);
    if (!err)
        err = publish(b);
    cache_remove(b->work);
    if (!err)
        unlink(b->log);
    return err;
}

static int build_in(const char *folder, struct build *b)
{
    b->final = strdup(folder);
    int n = b->final ? asprintf(&b->work, "%s.tmp", folder) : -1;
    n = n < 0 ? n : asprintf(&b->sources, "%s/sources", b->work);
    n = n < 0 ? n : asprintf(&b->out, "%s/out", b->work);
    n = n < 0 ? n : asprintf(&b->log, "%s.log", folder);
    int err = n < 0 ? -ENOMEM : build(b);
    free(b->final);
    free(b->work);
    free(b->sources);
    free(b->out);
    free(b->log);
    return err;
}

/* Return: the first line of the file, to free; NULL: there is none. */
static char *read_line(const char *folder, const char *name)
{
    char line[128] = "", *path = cache_path(folder, name);
    if (!path)
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

static int set_paths(struct image *image, const char *folder)
{
    image->folder = strdup(folder);
    if (!image->folder || asprintf(&image->kernel, "%s/vmlinuz", folder) < 0 ||
        asprintf(&image->initrd, "%s/initrd.gz", folder) < 0 ||
        asprintf(&image->root, "%s/root.erofs", folder) < 0)
        return -ENOMEM;
    if (access(image->root, F_OK) == 0)
        return 0;
    free(image->root);
    image->root = NULL;
    return 0;
}

int image_open(struct image *image, const char *folder)
{
    *image = (struct image){.version = read_line(folder, "version")};
    if (!image->version)
        return -ENOENT;
    char *init = read_line(folder, "init");
    image->system = init && strcmp(init, "system") == 0;
    free(init);
    if (set_paths(image, folder)) {
        image_free(image);
        return -ENOMEM;
    }
    utimensat(AT_FDCWD, folder, NULL, 0); /* when it was last used */
    return 0;
}

static void announce(const struct build *b)
{
    char *text = NULL;
    if (!b->building)
        return;
    if (asprintf(&text, "building the image %s (once; downloads packages)", b->spec->name) >= 0)
        b->building(text);
    free(text);
}

static int get_locked(struct image *image, const char *name, const char *folder, struct build *b)
{
    int lock = cache_lock(name, b->interrupted);
    if (lock < 0)
        return lock;
    int err = image_open(image, folder); /* another run may have built it meanwhile */
    if (err == -ENOENT) {
        announce(b);
        err = build_in(folder, b);
        if (!err)
            err = image_open(image, folder);
    }
    close(lock);
    return err;
}

/* The architecture has a part in it unless it is the default. Return: 0 or -ENOMEM. */
static int name_folder(char **name, const struct image_spec *spec, uint64_t key)
{
    bool is_default = spec->arch == arch_default();
    int n = asprintf(name, "%s%s%s-%016" PRIx64, spec->recipe, is_default ? "" : "-",
                     is_default ? "" : spec->arch->name, key);
    return n < 0 ? -ENOMEM : 0;
}

int image_get(struct image *image, const struct image_spec *spec,
              void (*building)(const char *text), int (*interrupted)(void), char **why)
{
    char *name = NULL, *folder = NULL;
    uint64_t key = 0;
    *image = (struct image){0};
    *why = NULL;
    int err = image_key(&key, spec, why);
    if (!err)
        err = name_folder(&name, spec, key);
    if (!err) {
        folder = cache_entry(name);
        err = folder ? image_open(image, folder) : -errno;
    }
    if (err == -ENOENT && folder) {
        struct build b = {
            .spec = spec, .building = building, .interrupted = interrupted, .why = why};
        err = get_locked(image, name, folder, &b);
    }
    free(name);
    free(folder);
    return err;
}

int image_tiny(struct image *image, const struct arch *arch, void (*building)(const char *text),
               int (*interrupted)(void), char **why)
{
    char name[32] = "tiny";
    if (arch != arch_default())
        snprintf(name, sizeof(name), "tiny-%s", arch->name);
    return image_get(image, &(struct image_spec){.recipe = "tiny", .arch = arch, .name = name},
                     building, interrupted, why);
}

void image_free(struct image *image)
{
    free(image->folder);
    free(image->kernel);
    free(image->initrd);
    free(image->root);
    free(image->version);
    *image = (struct image){0};
}
