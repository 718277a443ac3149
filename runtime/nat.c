/* SPDX-License-Identifier: MIT */
#include "runtime/nat.h"

#include "vmctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL 3 /* the process's one descriptor but for the standard ones */

enum { LIFE, FRAMES, PASSED }; /* what is passed with a configuration */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PASSED * sizeof(int))];
};

/* Requests: one message each, a configuration and two descriptors. */

static struct msghdr message(struct iovec *part, union control *control)
{
    return (struct msghdr){.msg_iov = part,
                           .msg_iovlen = 1,
                           .msg_control = control->bytes,
                           .msg_controllen = sizeof(control->bytes)};
}

static int send_request(int socket, const struct gateway_config *config, const int fds[PASSED])
{
    union control control = {0};
    struct iovec part = {(void *)config, sizeof(*config)};
    struct msghdr m = message(&part, &control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&m);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(PASSED * sizeof(int));
    memcpy(CMSG_DATA(header), fds, PASSED * sizeof(int));
    return sendmsg(socket, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Return: 1, 0 when there will be no more, or negative errno. */
static int take_request(int socket, struct gateway_config *config, int fds[PASSED])
{
    union control control = {0};
    struct iovec part = {config, sizeof(*config)};
    struct msghdr m = message(&part, &control);
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&m);
    if (n != sizeof(*config) || !header || header->cmsg_len != CMSG_LEN(PASSED * sizeof(int)))
        return -EPROTO;
    memcpy(fds, CMSG_DATA(header), PASSED * sizeof(int));
    return 1;
}

/* The process. With _Fork(), since libuv has fork() close what it believes to be its descriptors.
 */

static void serve_request(const struct gateway_config *config, const int fds[PASSED])
{
    pid_t parent = getpid();
    if (_Fork() == 0) {
        close(CONTROL);
        if (child_detach(parent, SIGKILL))
            _exit(0);
        gateway_run(config, fds[LIFE], fds[FRAMES]);
    }
    close(fds[LIFE]);
    close(fds[FRAMES]);
}

/* What we had open is not for it: it would keep others' ends open. */
static int keep_only(int control)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < CONTROL; fd++)
        dup2(null, fd);
    if (dup2(control, CONTROL) < 0)
        return -errno;
    return close_range(CONTROL + 1, ~0U, 0) ? -errno : 0;
}

_Noreturn static void serve(pid_t parent, int control)
{
    struct gateway_config config;
    int fds[PASSED] = {-1, -1};
    if (child_detach(parent, SIGKILL) || keep_only(control))
        _exit(1);
    signal(SIGCHLD, SIG_IGN); /* collects them */
    for (int got; (got = take_request(CONTROL, &config, fds));) {
        if (got > 0)
            serve_request(&config, fds);
        else if (got != -EINTR)
            _exit(1);
    }
    _exit(0);
}

/* Our side */

int nat_start(struct nat *nat)
{
    int pair[2];
    pid_t parent = getpid();
    *nat = (struct nat){.control = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    pid_t pid = _Fork();
    if (pid == 0)
        serve(parent, pair[1]);
    int err = pid < 0 ? -errno : 0;
    close(pair[1]);
    if (err) {
        close(pair[0]);
        return err;
    }
    *nat = (struct nat){.pid = pid, .control = pair[0]};
    return 0;
}

void nat_stop(struct nat *nat)
{
    if (!nat->pid)
        return;
    close(nat->control);
    kill(nat->pid, SIGKILL);
    waitpid(nat->pid, NULL, 0);
    nat->pid = 0;
}

int nat_open(struct nat *nat, const struct gateway_config *config, int frames)
{
    int life[2];
    if (!nat->pid)
        return -ESRCH;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life))
        return -errno;
    int err = send_request(nat->control, config, (int[PASSED]){life[1], frames});
    close(life[1]);
    if (err)
        close(life[0]);
    return err ? err : life[0];
}
