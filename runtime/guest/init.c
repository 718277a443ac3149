/* SPDX-License-Identifier: MIT */
/* The first process of a container (see runtime/container.c):  init NAME [confined]  in new
 * namespaces, with its socket as descriptor 3. It gives the container its name, its own /etc/hosts,
 * /proc and /sys, then starts commands, says how they ended, and collects what they leave behind.
 * When it ends, the kernel ends everything in its process namespace; and it ends with the process
 * that started it, by the parent-death signal and by the end of the socket. */
#include "init.h"

#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINGERING_MAX 64
#define CHUNK 65536
/* What programs expect: select() cannot take higher numbers. Qemunet itself has more. */
#define USUAL_FILES 1024

struct child {
    pid_t pid;
    uint32_t id;
};

static struct {
    int signals, hosts;
    struct child *children;
    size_t n_children, room;
    int lingering[LINGERING_MAX];
    size_t n_lingering;
    bool stopped, ending;
    int64_t kill_at; /* when ending: ns */
    _Alignas(struct init_request) char message[INIT_MESSAGE_MAX];
    char chunk[CHUNK];
} init;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void report(enum init_report_kind kind, uint32_t id, int value, const char *what)
{
    struct init_report message = {.kind = kind, .id = id, .value = value, .time = now()};
    strncpy(message.what, what, sizeof(message.what) - 1);
    while (send(INIT_SOCKET, &message, sizeof(message), MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

/* Setting up */

static void fail(const char *what)
{
    report(INIT_FAILED, 0, errno, what);
    _exit(1);
}

/* Of the /dev that commands see. */
static void open_null(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        fail("/dev/null");
    for (int fd = 0; fd < INIT_SOCKET; fd++)
        dup2(null, fd);
    if (null > INIT_SOCKET)
        close(null);
}

static void set_up_process(void)
{
    sigset_t chld;
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* that it came too late, the socket's end says */
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_SETMASK, &chld, NULL);
    init.signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    if (init.signals < 0)
        fail("a descriptor for signals");
    open_null();
    fcntl(INIT_SOCKET, F_SETFD, FD_CLOEXEC);
}

static void limit_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur <= USUAL_FILES)
        return;
    files.rlim_cur = USUAL_FILES;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* A file of memory alone, which is in no folder afterwards. /proc is where there is a folder. */
static void mount_hosts(void)
{
    if (mount("qemunet", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=16m"))
        fail("a file system in memory");
    init.hosts = open("/proc/hosts", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (init.hosts < 0 || mount("/proc/hosts", "/etc/hosts", NULL, MS_BIND, NULL))
        fail("/etc/hosts");
    if (umount2("/proc", MNT_DETACH))
        fail("/proc");
}

static void confine(const char *failed)
{
    if (failed)
        fail(failed);
}

/* Where the machine's /proc and /sys are partly hidden, as in some containers, new ones are not
 * allowed; then commands see those. */
static void set_up_files(bool confined)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
        fail("a mount namespace");
    if (confined)
        confine(confine_files());
    mount_hosts();
    mount("proc", "/proc", "proc", flags, NULL);
    mount("sysfs", "/sys", "sysfs", flags, NULL);
    if (confined)
        confine(confine_kernel());
}

/* Becoming a member of another user namespace can undo what was asked for at the start. */
static void give_up_rights(void)
{
    confine(confine_rights());
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Commands, in the child */

struct run {
    uint32_t id, flags;
    char *words;
    size_t n_words;
    const char *text;               /* for a shell */
    int out, err, in, hold, script; /* -1: none */
};

/* Return: whether the descriptors of @run are where the command expects them. */
static bool place(const struct run *run)
{
    int in = run->in >= 0 ? run->in : 0; /* /dev/null */
    if (run->script >= 0) {
        if (dup2(in, INIT_SOCKET) < 0)
            return false;
        in = run->script;
    }
    return dup2(in, 0) >= 0 && dup2(run->out, 1) >= 0 && dup2(run->err, 2) >= 0;
}

static void await_release(const struct run *run)
{
    char go;
    report(INIT_ARMED, run->id, 0, "");
    if (read(run->hold, &go, 1) != 1)
        _exit(1); /* nobody is left to release it */
    report(INIT_STARTED, run->id, 0, "");
}

/* Comes back when it cannot be. */
static void run_program(const struct run *run)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < run->n_words; i++)
        n += run->words[i] == '\0';
    char **argv = calloc(n + 1, sizeof(*argv));
    for (size_t i = 0; argv && i < n; i++, at += strlen(run->words + at) + 1)
        argv[i] = run->words + at;
    if (argv && n)
        execvp(argv[0], argv);
    free(argv);
}

/* The shell says in its own words what it cannot find, and runs what the kernel does not. */
static void run_in_shell(const struct run *run)
{
    static const char shell[] = "/bin/sh";
    if (run->script >= 0)
        execl(shell, "sh", (char *)NULL);
    else
        execl(shell, "sh", "-c", "--", run->text, (char *)NULL);
}

_Noreturn static void become(const struct run *run)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    sigprocmask(SIG_SETMASK, &none, NULL);
    limit_files();
    if (init.stopped)
        raise(SIGSTOP);
    if (run->hold >= 0)
        await_release(run);
    int socket = fcntl(INIT_SOCKET, F_DUPFD_CLOEXEC, INIT_SOCKET + 1);
    if (socket >= 0 && place(run)) {
        run_program(run);
        run_in_shell(run);
    }
    int err = errno;
    dup2(socket, INIT_SOCKET);
    report(INIT_REFUSED, run->id, err, "");
    _exit(127);
}

/* Commands, in init */

static bool make_room(void)
{
    if (init.n_children < init.room)
        return true;
    size_t room = init.room ? 2 * init.room : 16;
    struct child *more = realloc(init.children, room * sizeof(*more));
    if (!more)
        return false;
    init.children = more;
    init.room = room;
    return true;
}

static void start(const struct run *run)
{
    if (init.ending || !make_room()) {
        report(INIT_REFUSED, run->id, init.ending ? ESHUTDOWN : ENOMEM, "");
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(run);
    if (pid < 0)
        report(INIT_REFUSED, run->id, errno, "");
    else
        init.children[init.n_children++] = (struct child){pid, run->id};
}

/* The descriptors of a request, in their order. */
struct passed {
    const int *fds;
    size_t n, at;
    bool missing; /* there was no room for all of them */
};

static int take(struct passed *passed, bool wanted)
{
    if (!wanted)
        return -1;
    if (passed->at == passed->n) {
        passed->missing = true;
        return -1;
    }
    return passed->fds[passed->at++];
}

/* Closes the descriptors: the child has them. */
static void take_run(struct init_request *request, const int *fds, size_t n)
{
    struct passed passed = {.fds = fds, .n = n};
    char *text = (char *)(request + 1);
    struct run run = {.id = request->id,
                      .flags = request->value,
                      .words = text,
                      .n_words = request->words,
                      .text = text + request->words};
    run.out = take(&passed, true);
    run.err = take(&passed, true);
    run.in = take(&passed, run.flags & INIT_STDIN);
    run.hold = take(&passed, run.flags & INIT_HOLD);
    run.script = take(&passed, run.flags & INIT_SCRIPT);
    if (passed.missing)
        report(INIT_REFUSED, run.id, EMFILE, "");
    else
        start(&run);
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* A command that has not called setsid() yet is alone. */
static void signal_command(uint32_t id, int number)
{
    for (size_t i = 0; i < init.n_children; i++) {
        if (init.children[i].id == id && kill(-init.children[i].pid, number))
            kill(init.children[i].pid, number);
    }
}

static void signal_all(int number)
{
    if (number == SIGSTOP || number == SIGCONT)
        init.stopped = number == SIGSTOP;
    kill(-1, number);
}

static void shut_down(uint32_t patience_ms)
{
    init.ending = true;
    init.kill_at = now() + patience_ms * 1000000LL;
    kill(-1, SIGTERM);
    signal_all(SIGCONT);
}

static void on_end(pid_t pid, int status)
{
    for (size_t i = 0; i < init.n_children; i++) {
        if (init.children[i].pid != pid)
            continue;
        report(INIT_ENDED, init.children[i].id, status, "");
        init.children[i] = init.children[--init.n_children];
        return;
    }
}

/* Not only when the signal came: what it tells of may be many. */
static void collect(void)
{
    struct signalfd_siginfo told;
    int status;
    pid_t pid;
    while (read(init.signals, &told, sizeof(told)) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_end(pid, status);
    if (init.ending && pid < 0 && errno == ECHILD)
        _exit(0);
}

/* Other requests */

static void drop_lingering(size_t i)
{
    close(init.lingering[i]);
    init.n_lingering--;
    memmove(init.lingering + i, init.lingering + i + 1, (init.n_lingering - i) * sizeof(int));
}

static void linger(int fd)
{
    if (init.n_lingering == LINGERING_MAX)
        drop_lingering(0);
    init.lingering[init.n_lingering++] = fd;
}

static void empty_lingering(size_t i)
{
    ssize_t n = read(init.lingering[i], init.chunk, sizeof(init.chunk));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        drop_lingering(i);
}

static void write_hosts(int from)
{
    ssize_t n;
    off_t at = 0;
    while ((n = pread(from, init.chunk, sizeof(init.chunk), at)) > 0) {
        if (pwrite(init.hosts, init.chunk, (size_t)n, at) != n)
            break;
        at += n;
    }
    if (ftruncate(init.hosts, at))
        return; /* never: it is a file of ours */
}

static void take_request(struct init_request *request, const int *fds, size_t n)
{
    switch (request->kind) {
    case INIT_RUN:
        take_run(request, fds, n);
        return;
    case INIT_KILL:
        signal_command(request->id, (int)request->value);
        break;
    case INIT_LINGER:
        for (size_t i = 0; i < n; i++)
            linger(fds[i]);
        return;
    case INIT_HOSTS:
        if (n)
            write_hosts(fds[0]);
        break;
    case INIT_SIGNAL:
        signal_all((int)request->value);
        break;
    case INIT_SHUTDOWN:
        shut_down(request->value);
        break;
    }
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static size_t descriptors(struct msghdr *message, int *fds)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), n * sizeof(int));
    return n;
}

/* Return: false when there is no request at the moment. */
static bool receive(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(INIT_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {init.message, sizeof(init.message) - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    int fds[INIT_FDS_MAX];
    ssize_t n = recvmsg(INIT_SOCKET, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < (ssize_t)sizeof(struct init_request))
        _exit(0); /* nobody is at the other end */
    init.message[n] = '\0';
    take_request((struct init_request *)init.message, fds, descriptors(&message, fds));
    return true;
}

/* The loop */

enum { SIGNALS, REQUESTS, LINGERING };

/* Return: ms until the next deadline, -1: none. */
static int patience(void)
{
    if (!init.ending)
        return -1;
    int64_t left = init.kill_at - now();
    return left > 0 ? (int)(left / 1000000) + 1 : 10;
}

static void serve(void)
{
    for (;;) {
        struct pollfd watched[LINGERING + LINGERING_MAX] = {
            [SIGNALS] = {.fd = init.signals, .events = POLLIN},
            [REQUESTS] = {.fd = INIT_SOCKET, .events = POLLIN}};
        size_t n = init.n_lingering;
        for (size_t i = 0; i < n; i++)
            watched[LINGERING + i] = (struct pollfd){.fd = init.lingering[i], .events = POLLIN};
        poll(watched, LINGERING + n, patience());
        for (size_t i = n; i-- > 0;) {
            if (watched[LINGERING + i].revents)
                empty_lingering(i);
        }
        if (watched[REQUESTS].revents)
            receive();
        collect(); /* last: there may be nobody who is to end */
        if (init.ending && now() >= init.kill_at)
            kill(-1, SIGKILL);
    }
}

int main(int argc, char **argv)
{
    set_up_process();
    if (argc < 2 || sethostname(argv[1], strlen(argv[1])))
        fail("its host name");
    bool confined = argc > 2;
    set_up_files(confined);
    if (confined)
        give_up_rights();
    open_null();
    report(INIT_READY, 0, 0, "");
    serve();
}
