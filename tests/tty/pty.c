/* SPDX-License-Identifier: MIT */
/* A terminal for a test: pty NAME COMMAND...
 * Runs the command on a pseudo-terminal of 80 columns, for who connects to the socket NAME of
 * Linux's abstract namespace. That one gets "[pid N]", then what the command writes, and at its end
 * "[status N, modes kept]", or "changed", of the terminal's. What it sends is typed; a zero byte
 * hangs up. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PATIENCE_MS 60000

static int accept_one(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if (n + 1 > sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path + 1, name, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 1) ||
        poll(&waiting, 1, PATIENCE_MS) != 1)
        return -1;
    return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}

static void say(int peer, const char *text)
{
    if (write(peer, text, strlen(text)) < 0)
        exit(1);
}

/* Types what the peer has sent. Return: whether it goes on; else it hung up. */
static bool type(int peer, int master)
{
    char data[4096];
    ssize_t n = read(peer, data, sizeof(data));
    if (n <= 0)
        return false;
    const char *end = memchr(data, 0, (size_t)n);
    size_t typed = end ? (size_t)(end - data) : (size_t)n;
    return write(master, data, typed) == (ssize_t)typed && !end;
}

static bool show(int peer, int master)
{
    char data[4096];
    ssize_t n = read(master, data, sizeof(data));
    return n > 0 && write(peer, data, (size_t)n) == n;
}

static void relay(int peer, int master)
{
    struct pollfd both[2] = {{.fd = master, .events = POLLIN}, {.fd = peer, .events = POLLIN}};
    bool more = true;
    while (more && poll(both, 2, PATIENCE_MS) > 0) {
        if (both[0].revents)
            more = show(peer, master);
        if (more && both[1].revents)
            more = type(peer, master);
    }
}

int main(int argc, char **argv)
{
    char text[128];
    int master, status;
    struct termios before, after;
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (argc < 3)
        return 2;
    int peer = accept_one(argv[1]);
    if (peer < 0)
        return 1;
    pid_t parent = getpid(), child = forkpty(&master, NULL, NULL, &size);
    if (child < 0)
        return 1;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execv(argv[2], argv + 2);
        _exit(127);
    }
    tcgetattr(master, &before);
    snprintf(text, sizeof(text), "[pid %d]\n", (int)child);
    say(peer, text);
    relay(peer, master);
    bool known = tcgetattr(master, &after) == 0;
    close(master);
    waitpid(child, &status, 0);
    snprintf(text, sizeof(text), "[status %d, modes %s]\n",
             WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
             known && before.c_lflag == after.c_lflag && before.c_iflag == after.c_iflag &&
                     before.c_oflag == after.c_oflag
                 ? "kept"
                 : "changed");
    say(peer, text);
    return 0;
}
