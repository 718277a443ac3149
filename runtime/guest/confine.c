/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of Linux 5.2 and 5.12; the C library may be older. The numbers are the same on all machines. */
#define OPEN_TREE 428
#define MOVE_MOUNT 429
#define MOUNT_SETATTR 442
#define CLONE_TREE 1
#define FROM_EMPTY_PATH 4
#define RECURSIVE 0x8000
#define READ_ONLY 1
#define GET_USERNS 0xb701 /* an ioctl of namespaces: _IO(0xb7, 1) */

/* What all of a container's commands leave in memory at most, in each place. */
#define ROOM "mode=1777,size=256m"
#define ROOM_OF_CHANGES "mode=755,size=512m"

#define PLAIN (MS_NOSUID | MS_NODEV)

/* Where there is a folder, which is covered for a while by a file system in memory. */
static const char scratch[] = "/proc";

static int set_read_only(const char *path, bool read_only, unsigned flags)
{
    struct {
        uint64_t set, clear, propagation, users;
    } attributes = {read_only ? READ_ONLY : 0, read_only ? 0 : READ_ONLY, 0, 0};
    return (int)syscall(MOUNT_SETATTR, AT_FDCWD, path, flags, &attributes, sizeof(attributes));
}

/* Return: a descriptor of a mount like that of @path, in no place yet; or -1. */
static int take_tree(const char *path)
{
    return (int)syscall(OPEN_TREE, AT_FDCWD, path, CLONE_TREE | RECURSIVE | O_CLOEXEC);
}

/* Closes it. */
static int place_tree(int tree, const char *path)
{
    int err = (int)syscall(MOVE_MOUNT, tree, "", AT_FDCWD, path, FROM_EMPTY_PATH);
    close(tree);
    return err;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whether @path is somewhere below @folder. */
static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1];
}

/* With those above it. */
static void make_folder(const char *path)
{
    char part[PATH_MAX];
    for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", end ? (int)(end - path) : (int)strlen(path), path);
        mkdir(part, 0755);
        if (!end)
            return;
    }
}

/* What is mounted below a folder, kept while the folder is covered. */

#define KEPT_MAX 64

struct kept {
    char path[KEPT_MAX][256];
    int tree[KEPT_MAX];
    size_t n;
};

/* A blank and the like is written as its number of three octal digits. */
static void decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (text[0] == '\\' && text[1] && text[2] && text[3]) {
            *to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
            text += 3;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

static bool is_kept(const struct kept *kept, const char *path)
{
    for (size_t i = 0; i < kept->n; i++) {
        if (strcmp(path, kept->path[i]) == 0 || is_below(path, kept->path[i]))
            return true;
    }
    return false;
}

static void keep(struct kept *kept, const char *path)
{
    size_t size = strlen(path) + 1;
    if (kept->n == KEPT_MAX || size > sizeof(kept->path[0]) || is_kept(kept, path))
        return;
    int tree = take_tree(path);
    if (tree < 0)
        return;
    memcpy(kept->path[kept->n], path, size);
    kept->tree[kept->n++] = tree;
}

/* @mounts: the open list of all mounts. */
static void keep_below(struct kept *kept, const char *folder, FILE *mounts)
{
    char line[2048], path[1024];
    rewind(mounts);
    while (fgets(line, sizeof(line), mounts)) {
        if (sscanf(line, "%*s %*s %*s %*s %1023s", path) != 1)
            continue;
        decode(path);
        if (is_below(path, folder))
            keep(kept, path);
    }
}

static void put_back(struct kept *kept)
{
    for (size_t i = 0; i < kept->n; i++)
        place_tree(kept->tree[i], kept->path[i]);
}

/* Changes in memory, over a folder that stays as it is. */

/* By a relative path: none has a character then that would mean something in the options. */
static bool mount_overlay(const char *folder, unsigned number)
{
    char upper[64], work[64], options[256];
    snprintf(upper, sizeof(upper), "%s/%u", scratch, number);
    snprintf(work, sizeof(work), "%s/%u.work", scratch, number);
    struct stat st;
    if (stat(folder, &st) || mkdir(upper, 0755) || mkdir(work, 0755) || chdir(folder))
        return false;
    chown(upper, st.st_uid, st.st_gid);
    chmod(upper, st.st_mode & 07777);
    for (int i = 0; i < 2; i++) {
        snprintf(options, sizeof(options), "lowerdir=.,upperdir=%s,workdir=%s%s", upper, work,
                 i == 0 ? ",userxattr" : "");
        if (mount("qemunet", ".", "overlay", PLAIN & ~MS_NOSUID, options) == 0)
            return true;
    }
    return false;
}

static void cover_one(const char *folder, unsigned number, FILE *mounts)
{
    struct kept kept = {0};
    if (!is_folder(folder))
        return;
    keep_below(&kept, folder, mounts);
    if (mount_overlay(folder, number)) {
        put_back(&kept);
        return;
    }
    for (size_t i = 0; i < kept.n; i++)
        close(kept.tree[i]);
}

/* Where the kernel has none for us, these stay read-only. */
static void cover_folders(void)
{
    const char *folders[] = {"/etc", "/var", "/root", getenv("HOME")};
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts)
        return;
    if (mount("qemunet", scratch, "tmpfs", PLAIN, ROOM_OF_CHANGES) == 0) {
        for (unsigned i = 0; i < 4; i++) {
            const char *folder = folders[i];
            bool is_new = folder && folder[0] == '/' && folder[1] && strcmp(folder, "/root") != 0;
            if (i < 3 || (is_new && !is_below(folder, "/root") && !is_below(folder, "/var")))
                cover_one(folder, i, mounts);
        }
        if (chdir("/") == 0)
            umount2(scratch, MNT_DETACH);
    }
    fclose(mounts);
}

/* Files in memory alone */

static const char *const rooms[] = {"/tmp", "/var/tmp", "/run"};

/* What leads there from /etc: a list of name servers, as some systems have it. */
struct resolver {
    char path[PATH_MAX], text[4096];
    size_t n;
};

static void read_resolver(struct resolver *resolver)
{
    resolver->n = 0;
    if (!realpath("/etc/resolv.conf", resolver->path) || !is_below(resolver->path, "/run"))
        return;
    FILE *file = fopen(resolver->path, "re");
    if (!file)
        return;
    resolver->n = fread(resolver->text, 1, sizeof(resolver->text), file);
    fclose(file);
}

static void write_resolver(struct resolver *resolver)
{
    if (!resolver->n)
        return;
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", resolver->path);
    *strrchr(folder, '/') = '\0';
    make_folder(folder);
    FILE *file = fopen(resolver->path, "we");
    if (!file)
        return;
    fwrite(resolver->text, 1, resolver->n, file);
    fclose(file);
}

/* Sockets of the machine's services go with what they are in, which is why there is no layer over
 * it instead. The folder that commands start in stays where it is, read-only. */
static const char *make_room(const char *start)
{
    struct resolver resolver;
    read_resolver(&resolver);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++) {
        if (!is_folder(rooms[i]))
            continue;
        int tree = is_below(start, rooms[i]) ? take_tree(start) : -1;
        if (mount("qemunet", rooms[i], "tmpfs", PLAIN, ROOM))
            return rooms[i];
        if (tree >= 0) {
            make_folder(start);
            place_tree(tree, start);
        }
    }
    mkdir("/run/lock", 01777);
    chmod("/run/lock", 01777);
    chmod("/run", 0755);
    write_resolver(&resolver);
    return NULL;
}

/* Devices */

static const char *const devices[] = {"null", "zero",    "full", "random", "urandom",
                                      "tty",  "net/tun", "kvm",  "fuse"};
#define N_DEVICES (sizeof(devices) / sizeof(*devices))

static void make_device(const char *name, int tree)
{
    char path[64];
    snprintf(path, sizeof(path), "/dev/%s", name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0)
        close(fd);
    place_tree(tree, path);
}

static void make_terminals(void)
{
    mkdir("/dev/pts", 0755);
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666");
    symlink("pts/ptmx", "/dev/ptmx");
}

static void make_links(void)
{
    symlink("/proc/self/fd", "/dev/fd");
    symlink("fd/0", "/dev/stdin");
    symlink("fd/1", "/dev/stdout");
    symlink("fd/2", "/dev/stderr");
}

static const char *make_devices(void)
{
    int tree[N_DEVICES];
    char path[64];
    for (size_t i = 0; i < N_DEVICES; i++) {
        snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        tree[i] = take_tree(path);
    }
    if (mount("qemunet", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m"))
        return "/dev";
    mkdir("/dev/net", 0755);
    for (size_t i = 0; i < N_DEVICES; i++) {
        if (tree[i] >= 0)
            make_device(devices[i], tree[i]);
    }
    make_terminals();
    make_links();
    mkdir("/dev/shm", 01777);
    return mount("qemunet", "/dev/shm", "tmpfs", PLAIN, ROOM) ? "/dev/shm" : NULL;
}

const char *confine_files(void)
{
    char start[PATH_MAX];
    if (!getcwd(start, sizeof(start)))
        strcpy(start, "/");
    if (set_read_only("/", true, RECURSIVE))
        return "read-only files";
    cover_folders();
    const char *failed = make_room(start);
    if (!failed)
        failed = make_devices();
    if (chdir(start) && chdir("/"))
        return "/";
    return failed;
}

/* The kernel's settings */

static bool is_of_processes(const char *name)
{
    static const char *const own[] = {".", "..", "self", "thread-self", "net", "mounts"};
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        if (strcmp(name, own[i]) == 0)
            return true;
    }
    return name[0] >= '0' && name[0] <= '9';
}

static int protect(const char *path)
{
    struct stat st;
    if (lstat(path, &st) || S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && !(st.st_mode & 0222)))
        return 0;
    if (mount(path, path, NULL, MS_BIND, NULL))
        return -1;
    return set_read_only(path, true, 0);
}

const char *confine_kernel(void)
{
    static const char network[] = "/proc/sys/net";
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    char path[300];
    int failed = folder ? 0 : -1;
    while (!failed && (entry = readdir(folder))) {
        snprintf(path, sizeof(path), "/proc/%s", entry->d_name);
        if (!is_of_processes(entry->d_name))
            failed = protect(path);
    }
    if (folder)
        closedir(folder);
    if (failed)
        return "/proc";
    if (mount(network, network, NULL, MS_BIND, NULL) == 0)
        set_read_only(network, false, 0);
    return set_read_only("/sys", true, RECURSIVE) ? "/sys" : NULL;
}

/* Rights. A mount namespace of an inner user namespace has its mounts as they are: who is root
 * there can neither make them writable nor take away what covers them. */
const char *confine_rights(void)
{
    int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int users = network < 0 ? -1 : ioctl(network, GET_USERNS);
    int failed = users < 0 || setns(users, CLONE_NEWUSER) ||
                 unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC);
    if (network >= 0)
        close(network);
    if (users >= 0)
        close(users);
    return failed ? "a user namespace" : NULL;
}
