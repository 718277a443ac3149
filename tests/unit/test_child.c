/* SPDX-License-Identifier: MIT */
#include "tests/unit/check.h"
#include "vmctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static int spawn(struct child *child, const char *script, int out)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return child_spawn(
        &(struct child_spec){
            .argv = argv, .stdout_fd = out, .stderr_fd = -1, .death_signal = SIGKILL},
        child);
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Return: whether that process ends in time. */
static bool ends(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    return poll(&ended, 1, PATIENCE_MS) == 1;
}

/* Return: the number that a line on the pipe holds; 0 when none comes. */
static pid_t read_number(int fd)
{
    char line[32] = "";
    struct pollfd in = {.fd = fd, .events = POLLIN};
    if (poll(&in, 1, PATIENCE_MS) != 1 || read(fd, line, sizeof(line) - 1) <= 0)
        return 0;
    return (pid_t)strtol(line, NULL, 10);
}

/* Return: the wait status once it has ended by itself. */
static int wait_status(struct child *child)
{
    int status = -1;
    CHECK(ends(child->pidfd));
    CHECK_INT(child_reap(child, &status), 1);
    CHECK_INT(child->pid, 0);
    CHECK_INT(child_reap(child, &status), -ECHILD);
    child_close(child);
    child_close(child);
    return status;
}

static void true_and_false(void)
{
    const char *argv[] = {"/bin/true", NULL};
    struct child child;
    CHECK_INT(child_spawn(
                  &(struct child_spec){
                      .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGKILL},
                  &child),
              0);
    CHECK_INT(wait_status(&child), 0);
    CHECK_INT(spawn(&child, "exit 3", -1), 0);
    CHECK_INT(WEXITSTATUS(wait_status(&child)), 3);
    CHECK_INT(spawn(&child, "kill -9 $$", -1), 0);
    CHECK_INT(WTERMSIG(wait_status(&child)), SIGKILL);
}

static void missing_program(void)
{
    const char *const programs[] = {"no-such-program-anywhere", "/no/such/program"};
    for (int i = 0; i < 2; i++) {
        const char *argv[] = {programs[i], NULL};
        struct child child;
        CHECK_INT(child_spawn(
                      &(struct child_spec){
                          .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGKILL},
                      &child),
                  -ENOENT);
        CHECK_INT(child.pid, 0);
        child_stop(&child, 0);
        child_close(&child);
    }
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);
}

static void not_a_program(void)
{
    const char *argv[] = {"/etc/passwd", NULL};
    struct child child;
    CHECK_INT(child_spawn(
                  &(struct child_spec){
                      .argv = argv, .stdout_fd = -1, .stderr_fd = -1, .death_signal = SIGKILL},
                  &child),
              -EACCES);
}

static void still_running_is_not_collected(void)
{
    struct child child;
    int status;
    CHECK_INT(spawn(&child, "exec sleep 1000", -1), 0);
    CHECK_INT(child_reap(&child, &status), 0);
    CHECK(child.pid > 0);
    child_stop(&child, 0);
    CHECK_INT(child.pid, 0);
    child_stop(&child, 0);
    child_close(&child);
}

/* The grandchild too, although it does not end with its parent. */
static void stop_kills_the_whole_group(void)
{
    int out[2];
    struct child child;
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    CHECK_INT(spawn(&child, "sleep 1000 & echo $!; wait", out[1]), 0);
    close(out[1]);
    pid_t grandchild = read_number(out[0]);
    CHECK(grandchild > 1);
    int pidfd = open_pidfd(grandchild);
    CHECK(pidfd >= 0);
    child_stop(&child, 0);
    child_close(&child);
    CHECK(ends(pidfd));
    close(pidfd);
    close(out[0]);
}

static void stop_asks_first(void)
{
    int out[2];
    char text[16] = "";
    struct child child;
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    CHECK_INT(
        spawn(&child,
              "trap 'echo bye; kill $!; exit' TERM; echo 1; while :; do sleep 1000 & wait; done",
              out[1]),
        0);
    close(out[1]);
    CHECK_INT(read_number(out[0]), 1);
    child_stop(&child, PATIENCE_MS);
    child_close(&child);
    CHECK_INT(read(out[0], text, sizeof(text)), 4);
    CHECK_STR(text, "bye\n");
    close(out[0]);
}

static void stop_does_not_ask_forever(void)
{
    int out[2];
    struct child child;
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    CHECK_INT(spawn(&child, "trap '' TERM; echo 1; while :; do sleep 1000; done", out[1]), 0);
    close(out[1]);
    CHECK_INT(read_number(out[0]), 1);
    child_stop(&child, 50);
    CHECK_INT(child.pid, 0);
    child_close(&child);
    close(out[0]);
}

/* Standard input is empty; standard error goes nowhere; what is not listed is closed. */
static void descriptors(void)
{
    int out[2], kept[2];
    char script[160], text[128] = "";
    struct child child;
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    CHECK_INT(pipe2(kept, O_CLOEXEC), 0);
    snprintf(script, sizeof(script),
             "cat; echo lost >&2; echo kept >&%d; "
             "for fd in %d %d %d; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done; echo end",
             kept[1], out[0], out[1], kept[0]);
    const char *argv[] = {"sh", "-c", script, NULL};
    CHECK_INT(child_spawn(&(struct child_spec){.argv = argv,
                                               .inherit = &kept[1],
                                               .n_inherit = 1,
                                               .stdout_fd = out[1],
                                               .stderr_fd = -1,
                                               .death_signal = SIGKILL},
                          &child),
              0);
    close(out[1]);
    close(kept[1]);
    CHECK_INT(wait_status(&child), 0);
    CHECK_INT(read(kept[0], text, sizeof(text)), 5);
    CHECK_STR(text, "kept\n");
    CHECK_INT(read(out[0], text, sizeof(text)), 4);
    CHECK(strncmp(text, "end\n", 4) == 0);
    close(kept[0]);
    close(out[0]);
}

static void signals_are_reset(void)
{
    sigset_t blocked, before;
    struct child child;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGPIPE, SIG_IGN);
    CHECK_INT(spawn(&child, "kill -USR1 $$; sleep 1000", -1), 0);
    CHECK_INT(WTERMSIG(wait_status(&child)), SIGUSR1);
    CHECK_INT(spawn(&child, "kill -PIPE $$; sleep 1000", -1), 0);
    CHECK_INT(WTERMSIG(wait_status(&child)), SIGPIPE);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* A process that spawns, tells whom, and waits to be killed. */
_Noreturn static void middle(int report)
{
    struct child child;
    char line[32];
    if (spawn(&child, "exec sleep 1000", -1))
        _exit(1);
    int n = snprintf(line, sizeof(line), "%d\n", child.pid);
    if (write(report, line, (size_t)n) != n)
        _exit(1);
    for (;;)
        pause();
}

static void dies_with_its_parent(void)
{
    int report[2];
    CHECK_INT(pipe2(report, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0)
        middle(report[1]);
    close(report[1]);
    pid_t grandchild = read_number(report[0]);
    CHECK(grandchild > 1);
    int pidfd = open_pidfd(grandchild);
    CHECK(pidfd >= 0);
    struct pollfd alive = {.fd = pidfd, .events = POLLIN};
    CHECK_INT(poll(&alive, 1, 0), 0);
    kill(parent, SIGKILL);
    CHECK_INT(waitpid(parent, NULL, 0), parent);
    CHECK(ends(pidfd));
    close(pidfd);
    close(report[0]);
}

static const struct check_test tests[] = {
    {"exit status and signal of what was spawned", true_and_false},
    {"a missing program is -ENOENT, and nothing is left", missing_program},
    {"what is no program is -EACCES", not_a_program},
    {"what still runs is not collected", still_running_is_not_collected},
    {"stop kills the whole group", stop_kills_the_whole_group},
    {"stop asks first", stop_asks_first},
    {"stop does not ask forever", stop_does_not_ask_forever},
    {"only what is listed is inherited", descriptors},
    {"ignored and blocked signals are not inherited", signals_are_reset},
    {"a child dies with its parent, even by SIGKILL", dies_with_its_parent},
};

CHECK_MAIN(tests)
