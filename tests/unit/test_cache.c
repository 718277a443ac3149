/* SPDX-License-Identifier: MIT */
#include "tests/unit/scratch.h"
#include "vmctl/cache.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static int at_once(void)
{
    return 1;
}

static time_t deadline;

static int after_a_while(void)
{
    return time(NULL) > deadline;
}

static struct scratch scratch;

/* The cache is in a scratch folder. */
static void open_cache(void)
{
    scratch_open(&scratch);
    setenv("XDG_CACHE_HOME", scratch.path, 1);
    deadline = time(NULL) + 10;
}

static void folder_from_xdg(void)
{
    char want[64];
    struct stat st = {0};
    open_cache();
    snprintf(want, sizeof(want), "%s/a/b", scratch.path);
    setenv("XDG_CACHE_HOME", want, 1);
    snprintf(want, sizeof(want), "%s/a/b/qemunet", scratch.path);
    char *folder = cache_folder();
    CHECK_STR(folder, want);
    CHECK(folder && stat(folder, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK_INT(st.st_mode & 077, 0);
    char *again = cache_folder();
    CHECK_STR(again, want);
    free(folder);
    free(again);
    scratch_close(&scratch);
}

static void folder_from_home(void)
{
    const char *before = getenv("HOME");
    char want[64], *home = strdup(before ? before : "/");
    open_cache();
    snprintf(want, sizeof(want), "%s/.cache/qemunet", scratch.path);
    setenv("HOME", scratch.path, 1);
    unsetenv("XDG_CACHE_HOME");
    char *folder = cache_folder();
    CHECK_STR(folder, want);
    free(folder);
    setenv("XDG_CACHE_HOME", "relative/is/to/be/ignored", 1);
    folder = cache_folder();
    CHECK_STR(folder, want);
    free(folder);
    setenv("HOME", home, 1);
    free(home);
    scratch_close(&scratch);
}

static void folder_that_cannot_be_made(void)
{
    char path[64];
    open_cache();
    snprintf(path, sizeof(path), "%s/file", scratch.path);
    fclose(fopen(path, "w"));
    setenv("XDG_CACHE_HOME", path, 1);
    CHECK(cache_folder() == NULL);
    CHECK_INT(errno, ENOTDIR);
    CHECK_INT(cache_lock("x", NULL), -ENOTDIR);
    scratch_close(&scratch);
}

static void lock_excludes(void)
{
    open_cache();
    int fd = cache_lock("name", NULL);
    CHECK(fd >= 0);
    CHECK_INT(cache_lock("name", at_once), -EINTR);
    int other = cache_lock("other", at_once);
    CHECK(other >= 0);
    close(other);
    close(fd);
    fd = cache_lock("name", at_once);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    scratch_close(&scratch);
}

/* Return: the process that holds the lock, once it does. */
static pid_t fork_holder(void)
{
    int ready[2];
    char c;
    CHECK_INT(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (cache_lock("name", NULL) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    CHECK_INT(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static void lock_is_released_by_death(void)
{
    open_cache();
    pid_t pid = fork_holder();
    CHECK_INT(cache_lock("name", at_once), -EINTR);
    kill(pid, SIGKILL);
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    int fd = cache_lock("name", after_a_while);
    CHECK(fd >= 0);
    close(fd);
    scratch_close(&scratch);
}

static pid_t holder;
static int asked;

/* Ends the holder at the second question, and gives up long after. */
static int end_the_holder(void)
{
    if (++asked == 2)
        kill(holder, SIGKILL);
    return after_a_while();
}

static void lock_waits_for_its_holder(void)
{
    open_cache();
    asked = 0;
    holder = fork_holder();
    int fd = cache_lock("name", end_the_holder);
    CHECK(fd >= 0);
    CHECK(asked >= 2);
    CHECK_INT(waitpid(holder, NULL, 0), holder);
    close(fd);
    scratch_close(&scratch);
}

/* From the page that the header names. */
static void hash(void)
{
    CHECK(cache_hash(CACHE_HASH_START, "", 0) == 0xcbf29ce484222325U);
    CHECK(cache_hash(CACHE_HASH_START, "a", 1) == 0xaf63dc4c8601ec8cU);
    CHECK(cache_hash(CACHE_HASH_START, "foobar", 6) == 0x85944171f73967e8U);
    CHECK(cache_hash(cache_hash(CACHE_HASH_START, "foo", 3), "bar", 3) == 0x85944171f73967e8U);
}

static const struct check_test tests[] = {
    {"the folder is made under XDG_CACHE_HOME, for its user alone", folder_from_xdg},
    {"the folder is under HOME otherwise", folder_from_home},
    {"a folder that cannot be made", folder_that_cannot_be_made},
    {"a lock excludes, by name", lock_excludes},
    {"a lock is released by its holder's death", lock_is_released_by_death},
    {"a lock waits for its holder", lock_waits_for_its_holder},
    {"the hash is FNV-1a", hash},
};

CHECK_MAIN(tests)
