/* SPDX-License-Identifier: MIT */
#include "runtime/trial.h"

#include "runtime/netns.h"
#include "runtime/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* Who changes identity loses the right to write its own maps, unless it is dumpable again. A root
 * that may not change (of a user namespace) has no rights to give up. */
static void become_ordinary(void)
{
    if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
        setresuid(NOBODY, NOBODY, NOBODY) == 0)
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void enter_namespace(struct trial *trial)
{
    struct netns netns;
    netns_enter(&netns);
    trial->worked = netns.is_private;
    snprintf(trial->why, sizeof(trial->why), "%s", netns.why);
}

static void try_user_namespace(struct trial *trial)
{
    become_ordinary();
    enter_namespace(trial);
}

static void try_tap(struct trial *trial)
{
    enter_namespace(trial);
    if (!trial->worked)
        return;
    int stack = stack_open(-1);
    int tap = stack < 0 ? stack : stack_add_tap(stack, "eth0");
    trial->worked = tap >= 0;
    if (tap < 0)
        snprintf(trial->why, sizeof(trial->why), "no tap: %s%s", strerror(-tap), stack_advice(tap));
}

static int read_answer(int fd, struct trial *trial)
{
    size_t n = 0;
    ssize_t got;
    while (n < sizeof(*trial) && (got = read(fd, (char *)trial + n, sizeof(*trial) - n)) != 0) {
        if (got < 0 && errno != EINTR)
            return -errno;
        n += got > 0 ? (size_t)got : 0;
    }
    return n == sizeof(*trial) ? 0 : -EPROTO;
}

static int in_process(void (*fn)(struct trial *), struct trial *trial)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC))
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        struct trial answer = {0};
        fn(&answer);
        _exit(write(pipe_fds[1], &answer, sizeof(answer)) != sizeof(answer));
    }
    int err = pid < 0 ? -errno : 0;
    close(pipe_fds[1]);
    if (!err)
        err = read_answer(pipe_fds[0], trial);
    close(pipe_fds[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err;
}

int trial_user_namespace(struct trial *trial)
{
    return in_process(try_user_namespace, trial);
}

int trial_tap(struct trial *trial)
{
    return in_process(try_tap, trial);
}
