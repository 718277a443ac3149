/* SPDX-License-Identifier: MIT */
#include "vmctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void reset_signals(void)
{
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int redirect(int fd, int target, int flags)
{
    int from = fd >= 0 ? fd : open("/dev/null", flags | O_CLOEXEC);
    return from >= 0 && dup2(from, target) >= 0 ? 0 : -1;
}

static int die_with_parent(pid_t parent, int sig)
{
    if (prctl(PR_SET_PDEATHSIG, sig))
        return -1;
    /* The parent may have gone before prctl: then no signal will come. */
    return getppid() == parent ? 0 : -1;
}

int child_detach(pid_t parent, int sig)
{
    reset_signals();
    setsid();
    return die_with_parent(parent, sig);
}

static int keep_descriptors(const struct child_spec *spec)
{
    for (size_t i = 0; i < spec->n_inherit; i++) {
        if (fcntl(spec->inherit[i], F_SETFD, 0))
            return -1;
    }
    return 0;
}

_Noreturn static void run_child(const struct child_spec *spec, pid_t parent, int report)
{
    if (child_detach(parent, spec->death_signal) ||
        redirect(spec->stdin_fd > 0 ? spec->stdin_fd : -1, 0, O_RDONLY) ||
        redirect(spec->stdout_fd, 1, O_WRONLY) || redirect(spec->stderr_fd, 2, O_WRONLY) ||
        keep_descriptors(spec))
        goto fail;
    execvp(spec->argv[0], (char *const *)spec->argv);
fail:;
    int err = errno;
    while (write(report, &err, sizeof(err)) < 0 && errno == EINTR)
        ;
    _exit(127);
}

/* The pipe closes on a successful exec and carries an errno otherwise. */
static int read_report(int fd)
{
    int err = 0;
    ssize_t n;
    do {
        n = read(fd, &err, sizeof(err));
    } while (n < 0 && errno == EINTR);
    close(fd);
    return n == sizeof(err) ? -err : 0;
}

int child_spawn(const struct child_spec *spec, struct child *out)
{
    int report[2];
    pid_t parent = getpid();

    *out = (struct child){.pid = 0, .pidfd = -1};
    if (pipe2(report, O_CLOEXEC))
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        run_child(spec, parent, report[1]);
    int err = pid < 0 ? -errno : 0;
    close(report[1]);
    if (err) {
        close(report[0]);
        return err;
    }
    err = read_report(report[0]);
    if (err) {
        waitpid(pid, NULL, 0);
        return err;
    }
    out->pid = pid;
    out->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (out->pidfd < 0) {
        err = -errno;
        child_stop(out, 0);
        return err;
    }
    fcntl(out->pidfd, F_SETFD, FD_CLOEXEC);
    return 0;
}

int child_reap(struct child *child, int *status)
{
    if (!child->pid)
        return -ECHILD;
    pid_t got = waitpid(child->pid, status, WNOHANG);
    if (got < 0)
        return -errno;
    if (got > 0)
        child->pid = 0;
    return got > 0;
}

void child_stop(struct child *child, int grace_ms)
{
    int status;
    if (!child->pid)
        return;
    if (grace_ms > 0 && child->pidfd >= 0) {
        struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
        kill(-child->pid, SIGTERM); /* it leads its own process group */
        poll(&ended, 1, grace_ms);
        if (child_reap(child, &status) != 0)
            return;
    }
    kill(-child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
    child->pid = 0;
}

void child_close(struct child *child)
{
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}
