/* SPDX-License-Identifier: MIT */
#include "runtime/container_private.h"

#include "runtime/embed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Files in memory */

static int write_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t written = write(fd, data, n);
        if (written < 0 && errno != EINTR)
            return -errno;
        data += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Nobody can write to it: root in a container has its first process's program, /proc/1/exe, which
 * is that of the other containers too. Older kernels do not know @flag, and need none. */
static int make_file(const char *name, unsigned flag, const void *data, size_t n)
{
    const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flag);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int err = write_all(fd, data, n);
    if (!err && fcntl(fd, F_ADD_SEALS, seals))
        err = -errno;
    if (err)
        close(fd);
    return err ? err : fd;
}

int container_file(const char *name, const void *data, size_t n)
{
    return make_file(name, 0, data, n);
}

int container_program(void)
{
    const struct embedded_file *file = embedded_find(embedded_guest, "init");
    return file ? make_file("init", MFD_EXEC, file->data, file->size) : -ENOENT;
}

/* Requests */

static void free_outgoing(struct outgoing *out)
{
    for (size_t i = 0; i < out->n_fds; i++)
        close(out->fds[i]);
    free(out);
}

static ssize_t send_one(int socket, const struct outgoing *out)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(INIT_FDS_MAX * sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)out->data, out->n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (out->n_fds) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(out->n_fds * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(out->n_fds * sizeof(int));
        memcpy(CMSG_DATA(header), out->fds, out->n_fds * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_socket(uv_poll_t *watch, int status, int events);

static void watch_socket(struct container *container)
{
    uv_poll_start(container->socket_watch, UV_READABLE | (container->queue ? UV_WRITABLE : 0),
                  on_socket);
}

/* What cannot be sent for another reason than want of room: init is gone, and its end tells. */
static void send_queue(struct container *container)
{
    struct outgoing *out;
    while ((out = container->queue)) {
        ssize_t sent = send_one(container->socket, out);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS))
            break;
        if (sent < 0 && errno == EINTR)
            continue;
        container->queue = out->next;
        free_outgoing(out);
    }
    if (!container->queue)
        container->queue_end = &container->queue;
}

int container_send(struct container *container, const struct init_request *head, const char *text,
                   size_t n, const int *fds, size_t n_fds)
{
    struct outgoing *out = container->pid ? malloc(sizeof(*out) + sizeof(*head) + n) : NULL;
    if (!out) {
        for (size_t i = 0; i < n_fds; i++)
            close(fds[i]);
        return container->pid ? -ENOMEM : -ESRCH;
    }
    *out = (struct outgoing){.n_fds = n_fds, .n = sizeof(*head) + n};
    memcpy(out->data, head, sizeof(*head));
    if (n)
        memcpy(out->data + sizeof(*head), text, n);
    if (n_fds)
        memcpy(out->fds, fds, n_fds * sizeof(int));
    *container->queue_end = out;
    container->queue_end = &out->next;
    send_queue(container);
    if (container->queue)
        watch_socket(container);
    return 0;
}

static int send_plain(struct container *container, enum init_request_kind kind, unsigned value)
{
    const struct init_request head = {.kind = kind, .value = value};
    return container_send(container, &head, NULL, 0, NULL, 0);
}

int container_set_hosts(struct container *container, const char *text, size_t n)
{
    const struct init_request head = {.kind = INIT_HOSTS};
    int fd = container_file("hosts", text, n);
    return fd < 0 ? fd : container_send(container, &head, NULL, 0, &fd, 1);
}

int container_shut_down(struct container *container, unsigned patience_ms)
{
    return send_plain(container, INIT_SHUTDOWN, patience_ms);
}

int container_pause(struct container *container, bool pause)
{
    return send_plain(container, INIT_SIGNAL, pause ? SIGSTOP : SIGCONT);
}

void container_crash(struct container *container)
{
    if (container->pid)
        kill(container->pid, SIGKILL);
}

/* Reports */

static void take_report(struct container *container, const struct init_report *report)
{
    switch (report->kind) {
    case INIT_READY:
        container->handler->up(container->arg);
        break;
    case INIT_FAILED:
        snprintf(container->why, sizeof(container->why), "cannot set up %.*s: %s",
                 (int)sizeof(report->what), report->what, strerror(report->value));
        break;
    default:
        container_job_report(container, report);
    }
}

/* Return: whether there was one. */
static bool receive(struct container *container)
{
    struct init_report report;
    ssize_t n = recv(container->socket, &report, sizeof(report), MSG_DONTWAIT);
    if (n == sizeof(report))
        take_report(container, &report);
    return n == sizeof(report);
}

/* How many reports are taken before the loop sees to others. */
#define REPORTS_MAX 64

static void on_socket(uv_poll_t *watch, int status, int events)
{
    struct container *container = watch->data;
    if (status < 0) {
        uv_poll_stop(watch); /* the end of its first process tells */
        return;
    }
    if (events & UV_WRITABLE)
        send_queue(container);
    if (events & UV_READABLE) {
        if (!receive(container)) {
            uv_poll_stop(watch);
            return;
        }
        for (int i = 1; i < REPORTS_MAX && receive(container); i++)
            ;
    }
    watch_socket(container);
}

/* The end */

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_watch(uv_poll_t **watch)
{
    if (*watch)
        uv_close((uv_handle_t *)*watch, on_watch_closed);
    *watch = NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void stop_watching(struct container *container)
{
    close_watch(&container->exit_watch);
    close_watch(&container->socket_watch);
    close_fd(&container->socket);
    close_fd(&container->pidfd);
    while (container->queue) {
        struct outgoing *out = container->queue;
        container->queue = out->next;
        free_outgoing(out);
    }
    container->queue_end = &container->queue;
}

/* Inside, reboot(2) shows as one of these signals; nothing else there can end the first process. */
static enum container_end judge(struct container *container, int status)
{
    bool down = (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                (WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGHUP));
    if (!container->why[0])
        snprintf(container->why, sizeof(container->why), "%s",
                 down ? "it was shut down" : "everything in it was killed");
    return down ? CONTAINER_DOWN : CONTAINER_CRASHED;
}

static void on_exit_event(uv_poll_t *watch, int status, int events)
{
    struct container *container = watch->data;
    int wait_status = 0;
    (void)status;
    (void)events;
    if (waitpid(container->pid, &wait_status, WNOHANG) != container->pid)
        return;
    container->pid = 0;
    while (receive(container))
        ;
    enum container_end end = judge(container, wait_status);
    stop_watching(container);
    container_jobs_end(container, container->why);
    container->handler->ended(container->arg, end, container->why);
}

void container_close(struct container *container)
{
    if (!container)
        return;
    if (container->pid) {
        kill(container->pid, SIGKILL);
        waitpid(container->pid, NULL, 0);
        container->pid = 0;
    }
    container_jobs_end(container, "the host is closed");
    stop_watching(container);
    free(container);
}

/* The start */

/* In the child, a copy of one thread of ours: system calls only. */
_Noreturn static void become(const struct container_config *config, int socket)
{
    static char init[] = "init";
    static char confined[] = "confined";
    char *const argv[] = {init, (char *)config->name, config->confined ? confined : NULL, NULL};
    /* The environment is inherited by what init starts. */
    if (setns(config->stack, CLONE_NEWNET) == 0 && dup2(socket, INIT_SOCKET) == INIT_SOCKET &&
        fcntl(INIT_SOCKET, F_SETFD, 0) == 0) {
        syscall(SYS_close_range, INIT_SOCKET + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        syscall(SYS_execveat, config->program, "", argv, environ, AT_EMPTY_PATH);
    }
    _exit(127);
}

/* As fork(), with a descriptor for the child. */
static pid_t clone_child(int *pidfd)
{
    const unsigned long flags =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD | SIGCHLD;
    return (pid_t)syscall(SYS_clone, flags, NULL, pidfd, NULL, NULL);
}

/* All signals are blocked in the child, until init has its own handlers: one that came before would
 * run ours there, and tell us of it by descriptors that both have. */
static pid_t clone_and_become(const struct container_config *config, int socket, int *pidfd)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pid_t pid = clone_child(pidfd);
    if (pid == 0)
        become(config, socket);
    int err = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = err;
    return pid;
}

static int launch(struct container *container, const struct container_config *config)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    container->socket = pair[0];
    pid_t pid = clone_and_become(config, pair[1], &container->pidfd);
    int err = pid < 0 ? -errno : 0;
    close(pair[1]);
    if (!err)
        container->pid = pid;
    return err;
}

static int watch_fd(uv_poll_t **out, struct container *container, int fd, uv_poll_cb on_event)
{
    uv_poll_t *watch = malloc(sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    int err = uv_poll_init(container->loop, watch, fd);
    if (err) {
        free(watch);
        return err;
    }
    watch->data = container;
    *out = watch;
    return uv_poll_start(watch, UV_READABLE, on_event);
}

int container_open(struct container **out, uv_loop_t *loop, struct timers *timers,
                   const struct container_config *config)
{
    struct container *container = calloc(1, sizeof(*container));
    if (!container)
        return -ENOMEM;
    container->loop = loop;
    container->timers = timers;
    container->handler = config->handler;
    container->arg = config->arg;
    container->pidfd = container->socket = -1;
    container->queue_end = &container->queue;
    int err = launch(container, config);
    if (!err)
        err = watch_fd(&container->exit_watch, container, container->pidfd, on_exit_event);
    if (!err)
        err = watch_fd(&container->socket_watch, container, container->socket, on_socket);
    if (err) {
        container_close(container);
        return err;
    }
    *out = container;
    return 0;
}
