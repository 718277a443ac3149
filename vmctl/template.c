/* SPDX-License-Identifier: MIT */
#include "vmctl/template.h"

#include "vmctl/cache.h"
#include "vmctl/child.h"
#include "vmctl/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#define NOTE_MAX ((size_t)16 << 20)
#define QEMU_IMG_TIMEOUT_MS 30000
/* What a template takes besides memory: 1 MB of state, and what a booting guest writes to its disk.
 */
#define SPARE_ROOM ((uint64_t)16 << 20)

enum part { MEMORY, STATE, DISK, PARTS };

static const char *const part_names[PARTS] = {"memory", "state", "disk"};

struct template
{
    char *folder;
    int fd[PARTS]; /* -1: none */
    struct stat st[PARTS];
    char wanted[PARTS][DIGEST_LEN + 1];
    struct digest *digest; /* of the part that is being checked */
    int checking;
    char *note;
    size_t n_note;
};

struct template_draft {
    char *name, *folder, *final;
    int lock;
    int fd[PARTS];
    char found[PARTS][DIGEST_LEN + 1];
    struct digest *digest;
    int digesting;
};

static void close_parts(int fd[PARTS])
{
    for (int i = 0; i < PARTS; i++) {
        if (fd[i] >= 0)
            close(fd[i]);
        fd[i] = -1;
    }
}

/* Return: a descriptor, -EBADMSG where it is no regular file, or another negative errno. */
static int open_regular(const char *folder, const char *name, int flags, struct stat *st)
{
    char *path = cache_path(folder, name);
    if (!path)
        return -ENOMEM;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
    int err = -errno;
    free(path);
    if (fd < 0)
        return err;
    err = fstat(fd, st) ? -errno : S_ISREG(st->st_mode) ? 0 : -EBADMSG;
    if (err)
        close(fd);
    return err ? err : fd;
}

static int open_part(const char *folder, enum part part, int flags)
{
    struct stat st;
    return open_regular(folder, part_names[part], flags, &st);
}

/* The key */

static void add_text(XXH3_state_t *hash, const char *text)
{
    XXH3_128bits_update(hash, text ? text : "", (text ? strlen(text) : 0) + 1);
}

static int add_file(XXH3_state_t *hash, const char *path)
{
    struct stat st;
    if (!path)
        return 0;
    if (stat(path, &st))
        return -errno;
    const int64_t identity[] = {(int64_t)st.st_dev, (int64_t)st.st_ino, st.st_size,
                                st.st_mtim.tv_sec,  st.st_mtim.tv_nsec, st.st_ctim.tv_sec,
                                st.st_ctim.tv_nsec};
    XXH3_128bits_update(hash, identity, sizeof(identity));
    return 0;
}

/* QEMU as it is found on PATH. */
static int add_qemu(XXH3_state_t *hash, const char *program)
{
    const char *at = getenv("PATH");
    for (size_t n; at && *at; at += n + (at[n] == ':')) {
        char *path = NULL;
        n = strcspn(at, ":");
        if (asprintf(&path, "%.*s/%s", (int)n, at, program) < 0)
            return -ENOMEM;
        int err = access(path, X_OK) ? -ENOENT : add_file(hash, path);
        free(path);
        if (!err)
            return 0;
    }
    return -ENOENT;
}

/* A guest under KVM sees the host's processor. */
static void add_processor(XXH3_state_t *hash)
{
    char line[4096];
    FILE *in = fopen("/proc/cpuinfo", "re");
    while (in && fgets(line, sizeof(line), in) && *line != '\n') {
        if (strncmp(line, "model", 5) == 0 || strncmp(line, "flags", 5) == 0)
            add_text(hash, line);
    }
    if (in)
        fclose(in);
}

/* What differs between machines that can go on from one template, made equal. */
static int add_command_line(XXH3_state_t *hash, const struct qemu_config *config)
{
    struct qemu_config same = *config;
    struct qemu_args args;
    struct qemu_nic *nics = calloc(config->n_nics + 1, sizeof(*nics));
    if (!nics)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_nics; i++)
        nics[i].number = config->nics[i].number; /* by which its place is chosen */
    same.name = "vm";
    same.nics = nics;
    same.memory_in_file = same.incoming = same.confined = false;
    same.monitor_fd = same.console_fd = 0;
    same.seed_fd = config->seed_fd > 0;
    same.n_inherited = same.n_ports = 0; /* a machine has the same ports as another */
    int err = qemu_args_build(&args, &same);
    for (size_t i = 0; !err && i < args.n; i++)
        add_text(hash, args.argv[i]);
    qemu_args_free(&args);
    free(nics);
    return err;
}

static int add_all(XXH3_state_t *hash, const struct qemu_config *config, const char *more)
{
    add_text(hash, TEMPLATE_FORMAT);
    add_text(hash, more);
    if (config->kvm)
        add_processor(hash);
    int err = add_command_line(hash, config);
    if (!err)
        err = add_qemu(hash, qemu_arch(config)->program);
    if (!err)
        err = add_file(hash, config->kernel);
    if (!err)
        err = add_file(hash, config->initrd);
    if (!err)
        err = add_file(hash, config->disk);
    if (!err)
        err = add_file(hash, config->root);
    return err;
}

int template_key(char key[TEMPLATE_KEY_LEN + 1], const struct qemu_config *config, const char *more)
{
    XXH3_state_t *hash = XXH3_createState();
    if (!hash)
        return -ENOMEM;
    XXH3_128bits_reset(hash);
    int err = add_all(hash, config, more);
    XXH128_hash_t sum = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    snprintf(key, TEMPLATE_KEY_LEN + 1, "%016" PRIx64 "%016" PRIx64, sum.high64, sum.low64);
    return err;
}

/* Return: the malloc'ed name of its folder and lock. */
static char *name_of(const char *key)
{
    char *name = NULL;
    return asprintf(&name, "template-%s", key) < 0 ? NULL : name;
}

/* What it says about itself */

static uint64_t sum_of(const char *text, size_t n)
{
    return cache_hash(CACHE_HASH_START, text, n);
}

/* Return: 0 with the malloc'ed text, whole and NUL-terminated, or negative errno. */
static int read_about(const char *folder, char **text, size_t *n)
{
    struct stat st = {0};
    int fd = open_regular(folder, "about", O_RDONLY, &st);
    if (fd < 0)
        return fd;
    if ((uint64_t)st.st_size > NOTE_MAX + 4096) {
        close(fd);
        return -EBADMSG;
    }
    *n = (size_t)st.st_size;
    *text = calloc(1, *n + 1);
    ssize_t got = *text ? read(fd, *text, *n) : -1;
    futimens(fd, NULL); /* its last use */
    close(fd);
    if (got == st.st_size)
        return 0;
    free(*text);
    *text = NULL;
    return got < 0 ? -EIO : -EBADMSG;
}

/* "TEMPLATE_FORMAT SUM\n", then what the sum is of: "DIGEST DIGEST DIGEST NOTE_SIZE\n" and the
 * note. */
static int parse_about(struct template *t, char *text, size_t n)
{
    uint64_t sum;
    size_t n_note;
    int at = 0;
    char *body = strchr(text, '\n');
    if (!body || sscanf(text, TEMPLATE_FORMAT " %16" SCNx64 "\n", &sum) != 1)
        return -EBADMSG;
    body++;
    if (sum_of(body, n - (size_t)(body - text)) != sum ||
        sscanf(body, "%32s %32s %32s %zu%n", t->wanted[MEMORY], t->wanted[STATE], t->wanted[DISK],
               &n_note, &at) != 4 ||
        body[at] != '\n' || n_note != n - (size_t)(body + at + 1 - text))
        return -EBADMSG;
    t->note = malloc(n_note + 1);
    if (!t->note)
        return -ENOMEM;
    memcpy(t->note, body + at + 1, n_note);
    t->n_note = n_note;
    return 0;
}

/* Return: 0 with the malloc'ed body, or -ENOMEM. */
static int compose_about(const struct template_draft *draft, const char *note, size_t n_note,
                         char **body, size_t *n)
{
    FILE *out = open_memstream(body, n);
    if (!out)
        return -ENOMEM;
    fprintf(out, "%s %s %s %zu\n", draft->found[MEMORY], draft->found[STATE], draft->found[DISK],
            n_note);
    fwrite(note, 1, n_note, out);
    if (fclose(out) == 0)
        return 0;
    free(*body);
    return -ENOMEM;
}

static int write_about(const struct template_draft *draft, const char *note, size_t n_note)
{
    char *body = NULL;
    size_t n = 0;
    int err = compose_about(draft, note, n_note, &body, &n);
    if (err)
        return err;
    char *path = cache_path(draft->folder, "about");
    FILE *out = path ? fopen(path, "we") : NULL;
    err = out ? 0 : -errno;
    free(path);
    if (out) {
        fprintf(out, TEMPLATE_FORMAT " %016" PRIx64 "\n", sum_of(body, n));
        fwrite(body, 1, n, out);
        int failed = ferror(out);
        err = fclose(out) || failed ? -EIO : 0;
    }
    free(body);
    return err;
}

/* Using one */

static int open_parts(struct template *t)
{
    for (int i = 0; i < PARTS; i++) {
        if (strcmp(t->wanted[i], "-") == 0)
            continue;
        /* QEMU wants to be able to write to memory that it maps privately. */
        int flags = i == MEMORY ? O_RDWR : O_RDONLY;
        t->fd[i] = open_regular(t->folder, part_names[i], flags, &t->st[i]);
        if (t->fd[i] < 0)
            return t->fd[i];
    }
    return t->fd[MEMORY] < 0 || t->fd[STATE] < 0 ? -EBADMSG : 0;
}

static int read_folder(struct template *t)
{
    size_t n = 0;
    char *about = NULL;
    int err = read_about(t->folder, &about, &n);
    if (!err)
        err = parse_about(t, about, n);
    free(about);
    if (!err)
        err = open_parts(t);
    return err == -ENOENT && access(t->folder, F_OK) == 0 ? -EBADMSG : err;
}

static int open_folder(struct template **out, const char *folder)
{
    struct template *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    memset(t->fd, 0xff, sizeof(t->fd));
    t->folder = strdup(folder);
    int err = t->folder ? read_folder(t) : -ENOMEM;
    if (err)
        template_close(t);
    else
        *out = t;
    return err;
}

int template_open(struct template **out, const char *key)
{
    char *name = name_of(key), *folder = name ? cache_entry(name) : NULL;
    int err = folder ? open_folder(out, folder) : -errno;
    if (err == -EBADMSG)
        template_remove(folder);
    free(name);
    free(folder);
    return err;
}

/* Begins with the part of number @part or the next that is there. Return: 0, 1 when there is none,
 * or negative errno. */
static int begin_digest(struct digest **digest, const int fd[PARTS], int *part)
{
    while (*part < PARTS && fd[*part] < 0)
        ++*part;
    return *part == PARTS ? 1 : digest_new(digest, fd[*part]);
}

/* Goes on with one part after the other. Return: 1 when all are done, 0, or negative errno; the
 * digest of part *done is in @text, if *done is not negative. */
static int step(struct digest **digest, const int fd[PARTS], int *part, uint64_t bytes, int *done,
                char text[DIGEST_LEN + 1])
{
    *done = -1;
    int err = *digest ? 0 : begin_digest(digest, fd, part);
    if (err)
        return err;
    err = digest_step(*digest, bytes);
    if (err <= 0)
        return err;
    digest_text(*digest, text);
    digest_free(*digest);
    *digest = NULL;
    *done = (*part)++;
    return 0;
}

int template_check(struct template *t, uint64_t bytes)
{
    char text[DIGEST_LEN + 1];
    int part;
    int err = step(&t->digest, t->fd, &t->checking, bytes, &part, text);
    return part >= 0 && strcmp(text, t->wanted[part]) != 0 ? -EBADMSG : err;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool template_is_unchanged(const struct template *t)
{
    struct stat now;
    for (int i = 0; i < PARTS; i++) {
        if (t->fd[i] >= 0 && (fstat(t->fd[i], &now) || !is_same(&now, &t->st[i])))
            return false;
    }
    return true;
}

struct template_files template_files(const struct template *t)
{
    return (struct template_files){t->fd[MEMORY], t->fd[STATE], t->fd[DISK]};
}

const char *template_note(const struct template *t, size_t *n)
{
    *n = t->n_note;
    return t->note;
}

void template_close(struct template *t)
{
    if (!t)
        return;
    digest_free(t->digest);
    close_parts(t->fd);
    free(t->note);
    free(t->folder);
    free(t);
}

void template_discard(struct template *t)
{
    template_remove(t->folder);
    template_close(t);
}

/* Making one */

/* Return: 0, -ENOENT when there is no such program, -EIO when it failed or did not end in time, or
 * another negative errno. */
static int run_program(const char *const *argv)
{
    struct child child;
    int status = 0;
    int err = child_spawn(
        &(struct child_spec){
            .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGKILL},
        &child);
    if (err)
        return err;
    struct pollfd ended = {.fd = child.pidfd, .events = POLLIN};
    poll(&ended, 1, QEMU_IMG_TIMEOUT_MS);
    bool ran = child_reap(&child, &status) == 1 && status == 0;
    child_stop(&child, 0);
    child_close(&child);
    return ran ? 0 : -EIO;
}

/* Return: 0 or negative errno, with why in *@why where there is more to say. */
static int make_overlay(const char *path, const char *disk, const char *format, char **why)
{
    char *base = realpath(disk, NULL);
    if (!base)
        return -errno;
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F",
                          format,     "-b",     base, path, NULL};
    int err = run_program(argv);
    free(base);
    if (err == -ENOENT)
        *why = strdup("qemu-img is not installed: install the package qemu-utils");
    else if (err == -EIO)
        *why = strdup("qemu-img could not make an overlay of the disk");
    return err;
}

static int make_disk(struct template_draft *draft, const char *disk, const char *format, char **why)
{
    char *path = cache_path(draft->folder, part_names[DISK]);
    int err = path ? make_overlay(path, disk, format, why) : -ENOMEM;
    free(path);
    if (err)
        return err;
    draft->fd[DISK] = open_part(draft->folder, DISK, O_RDWR);
    return draft->fd[DISK] < 0 ? draft->fd[DISK] : 0;
}

/* A guest's memory in a file that the disk has no room for ends its QEMU by a signal. */
static int check_room(const char *folder, uint64_t memory)
{
    struct statvfs fs;
    if (statvfs(folder, &fs))
        return -errno;
    return (uint64_t)fs.f_bavail * fs.f_frsize < memory + SPARE_ROOM ? -ENOSPC : 0;
}

static int make_parts(struct template_draft *draft, uint64_t memory)
{
    cache_remove(draft->folder);    /* of a maker that was killed */
    if (mkdir(draft->folder, 0700)) /* NOLINT(clang-analyzer-core.NonNullParamChecker) */
        return -errno;
    int err = check_room(draft->folder, memory);
    if (err)
        return err;
    draft->fd[MEMORY] = open_part(draft->folder, MEMORY, O_RDWR | O_CREAT);
    draft->fd[STATE] = open_part(draft->folder, STATE, O_RDWR | O_CREAT);
    if (draft->fd[MEMORY] < 0 || draft->fd[STATE] < 0)
        return draft->fd[MEMORY] < 0 ? draft->fd[MEMORY] : draft->fd[STATE];
    return ftruncate(draft->fd[MEMORY], (off_t)memory) ? -errno : 0;
}

static void close_draft(struct template_draft *draft)
{
    if (draft->lock >= 0)
        cache_unlock(draft->name, draft->lock);
    digest_free(draft->digest);
    close_parts(draft->fd);
    free(draft->name);
    free(draft->folder);
    free(draft->final);
    free(draft);
}

static int name_draft(struct template_draft *draft, const char *key)
{
    draft->name = name_of(key);
    draft->final = draft->name ? cache_entry(draft->name) : NULL;
    if (!draft->final)
        return -errno;
    return asprintf(&draft->folder, "%s.tmp", draft->final) < 0 ? -ENOMEM : 0;
}

int template_begin(struct template_draft **out, const char *key, uint64_t memory, const char *disk,
                   const char *disk_format, char **why)
{
    struct template_draft *draft = calloc(1, sizeof(*draft));
    *why = NULL;
    if (!draft)
        return -ENOMEM;
    memset(draft->fd, 0xff, sizeof(draft->fd));
    for (int i = 0; i < PARTS; i++)
        memcpy(draft->found[i], "-", 2);
    draft->lock = -1;
    int err = name_draft(draft, key);
    if (!err) {
        draft->lock = cache_try_lock(draft->name);
        err = draft->lock < 0 ? draft->lock : make_parts(draft, memory);
    }
    if (!err && disk)
        err = make_disk(draft, disk, disk_format, why);
    if (err == -ENOSPC &&
        asprintf(why, "the disk has no room for %" PRIu64 " MiB", memory >> 20) < 0)
        *why = NULL;
    if (err && draft->lock >= 0)
        template_abort(draft);
    else if (err)
        close_draft(draft);
    else
        *out = draft;
    return err;
}

struct template_files template_draft_files(const struct template_draft *draft)
{
    return (struct template_files){draft->fd[MEMORY], draft->fd[STATE], draft->fd[DISK]};
}

int template_digest(struct template_draft *draft, uint64_t bytes)
{
    char text[DIGEST_LEN + 1];
    int part;
    int err = step(&draft->digest, draft->fd, &draft->digesting, bytes, &part, text);
    if (part >= 0)
        memcpy(draft->found[part], text, sizeof(text));
    return err;
}

/* Moves it to where others find it. */
static int publish(struct template_draft *draft, struct template *t)
{
    char *final = strdup(draft->final);
    if (!final)
        return -ENOMEM;
    template_remove(final); /* one that was not good */
    if (rename(draft->folder, final)) {
        int err = -errno;
        free(final);
        return err;
    }
    free(t->folder);
    t->folder = final;
    return 0;
}

int template_commit(struct template_draft *draft, const char *note, size_t n, struct template **out)
{
    struct template *t = NULL;
    int err = n > NOTE_MAX ? -EMSGSIZE : write_about(draft, note, n);
    if (!err)
        err = open_folder(&t, draft->folder);
    if (!err)
        err = publish(draft, t);
    if (err) {
        template_close(t);
        template_abort(draft);
    } else {
        close_draft(draft);
        *out = t;
    }
    return err;
}

void template_abort(struct template_draft *draft)
{
    cache_remove(draft->folder);
    close_draft(draft);
}
