/* SPDX-License-Identifier: MIT */
/* One command processing unit in the guest, for guests that can run a static program of ours; in
 * all others unit.sh does the same, slower:  serve NUMBER. Without NUMBER it only shows that it
 * runs.
 *
 * Two virtio-serial ports belong to the unit. On qn.cN come lines, the first of them the key:
 *
 * - run SEQ HOW WORDS SCRIPT, then WORDS bytes, each word ended by a NUL, and SCRIPT bytes, a line
 * - go SEQ, which lets a held command begin
 * - kill SEQ NAME, which signals its process group
 *
 * HOW is p (a program: exec the words, or run the script in a shell if that cannot be), k (the
 * script leaves the shell as it was, and says its status on descriptor 4: keep the shell) or s (the
 * shell ends with the script) or c (the script is for take_identity(), in this process; what it
 * says is its standard output, and what fails, with the errno as the status, its standard error);
 * with i for standard input from the host, h for a command that is held. On qn.eN come lines "SEQ
 * SIZE", each followed by that many bytes of standard input; 0 ends it.
 *
 * On qn.cN go the outputs as they come, and between them messages, each behind the key, which
 * commands never see: serve; out, err (whose bytes follow; out at a command's start); armed SEQ;
 * started SEQ; end SEQ STATUS; killed SEQ STATUS, by a signal; fail SEQ ERRNO.
 *
 * Each command has pipes of its own and is the leader of its own session. A shell for the next one
 * is started ahead and waits for its script. Pipes that something left behind still holds open are
 * emptied to nowhere. */
#include "identity.h"
#include "signals.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY_LEN 33
#define KEY_MAX 64
#define MESSAGE_MAX (KEY_MAX + 64)
#define CHUNK 32768 /* Linux takes no more in one write to a port */
/* A pipe that is found so full gets larger: each time it is full costs two process switches, of
 * 0.17 ms under TCG. */
#define LARGE 16384
#define LARGE_PIPE (256 << 10) /* 1 MiB measured 4 % faster, and 64 units may have two each */
#define SCRIPT_MAX (256UL << 20)
#define PORTS "/sys/class/virtio-ports/"
#define LINGERING_MAX 32
#define LOW_FDS 10 /* kept occupied, so that a child's 0 to 4 are never a source as well */

enum { OUT, ERR, STREAMS };

/* A process that runs or will run a command, and our ends of its pipes; -1: none. */
struct process {
    pid_t pid; /* 0: none */
    int script, in, status, output[STREAMS];
};

enum state { FREE, HELD, RUNNING };

struct command {
    unsigned long seq;
    char how;
    bool with_stdin, signalled;
    char *words, *script; /* one block, of words */
    size_t n_words, n_script, written;
    struct process process;
};

/* Bytes that came from a port. */
struct input {
    int fd;
    size_t at, n;
    char data[CHUNK];
};

static struct {
    char key[KEY_MAX];
    enum state state;
    struct command command;
    struct process shell; /* waits for the next command */
    int current;          /* the stream whose bytes follow */
    int null;
    struct input commands, feed;
    unsigned long feed_seq;
    size_t feed_left;
    bool feed_in_frame, feed_blocked, streaming;
    unsigned moved; /* how often output of the command was */
    int lingering[LINGERING_MAX];
    size_t n_lingering;
} unit;

static void on_nothing(int number)
{
    (void)number;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* To the host */

static void send_all(const char *data, size_t n)
{
    while (n) {
        ssize_t sent = write(unit.commands.fd, data, n < CHUNK ? n : CHUNK);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            _exit(1); /* the port is gone */
        if (sent > 0) {
            data += sent;
            n -= (size_t)sent;
        }
    }
}

/* Return: the end of a message behind the key: WORD [FIRST [SECOND]], numbers if not negative. */
static char *put_message(char *to, const char *word, long first, long second)
{
    const long numbers[] = {first, second};
    to = put_text(put_text(put_text(to, unit.key), " "), word);
    for (int i = 0; i < 2 && numbers[i] >= 0; i++)
        to = put_number(put_text(to, " "), (unsigned long)numbers[i]);
    return put_text(to, "\n");
}

static void send_message(const char *word, long first, long second)
{
    char text[MESSAGE_MAX];
    send_all(text, (size_t)(put_message(text, word, first, second) - text));
}

/* Many small writes of a command are better sent together: a process of this policy does not
 * interrupt the one that writes. */
static void set_streaming(bool on)
{
    struct sched_param none = {0};
    if (unit.streaming != on)
        syscall(SYS_sched_setscheduler, 0, on ? SCHED_BATCH : SCHED_OTHER, &none);
    unit.streaming = on;
}

/* Processes */

static int open_pipe(int *ours, int *theirs, bool we_read)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    *ours = fds[!we_read];
    *theirs = fds[we_read];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static void close_process(struct process *process)
{
    close_fd(&process->script);
    close_fd(&process->in);
    close_fd(&process->status);
    close_fd(&process->output[OUT]);
    close_fd(&process->output[ERR]);
    process->pid = 0;
}

/* In the child, which shares our memory until it executes: handlers are reset by that, the mask of
 * blocked signals is not. */
static void become(char *const *argv, const int *fds, int n_fds, volatile int *error)
{
    sigset_t none;
    sigemptyset(&none);
    setsid();
    for (int i = 0; i < n_fds; i++) {
        if (fds[i] >= 0)
            dup2(fds[i], i);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    *error = errno;
    _exit(127);
}

/* Starts @argv; its descriptors 0 to 4 are @fds. Return: 0, or why it could not be, an errno. */
static int start(struct process *process, char *const *argv, const int *fds, int n_fds)
{
    volatile int error = 0;
    /* A fork of this process costs the guest 1.9 ms under TCG. The child does system calls only.
     * NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork) */
    pid_t pid = vfork();
    if (pid == 0)
        become(argv, fds, n_fds, &error); /* NOLINT(clang-analyzer-unix.Vfork) */
    if (pid < 0)
        return errno;
    if (error) {
        waitpid(pid, NULL, 0);
        return error;
    }
    process->pid = pid;
    return 0;
}

static const struct process nothing = {0, -1, -1, -1, {-1, -1}};

static int open_outputs(struct process *process, int *fds)
{
    return open_pipe(&process->output[OUT], &fds[1], true) ||
           open_pipe(&process->output[ERR], &fds[2], true);
}

/* A shell that waits for its script. Return: 0 or an errno. */
static int start_shell(struct process *process)
{
    static char shell[] = "sh", reads[] = "-s";
    static char *const argv[] = {shell, reads, NULL};
    int fds[5] = {-1, -1, -1, -1, -1};
    *process = nothing;
    int err = open_pipe(&process->script, &fds[0], false) || open_outputs(process, fds) ||
                      open_pipe(&process->in, &fds[3], false) ||
                      open_pipe(&process->status, &fds[4], true)
                  ? errno
                  : start(process, argv, fds, 5);
    for (int i = 0; i < 5; i++)
        close_fd(&fds[i]);
    if (err)
        close_process(process);
    return err;
}

/* Return: 0 or an errno. */
static int start_program(struct process *process, char *const *argv, bool with_stdin)
{
    int fds[3] = {-1, -1, -1};
    *process = nothing;
    int err = open_outputs(process, fds) || (with_stdin && open_pipe(&process->in, &fds[0], false))
                  ? errno
                  : 0;
    if (!err) {
        int plain[3] = {with_stdin ? fds[0] : unit.null, fds[1], fds[2]};
        err = start(process, argv, plain, 3);
    }
    for (int i = 0; i < 3; i++)
        close_fd(&fds[i]);
    if (err)
        close_process(process);
    return err;
}

/* Output */

static void linger(int fd)
{
    if (unit.n_lingering == LINGERING_MAX) {
        close(unit.lingering[0]);
        unit.n_lingering--;
        memmove(unit.lingering, unit.lingering + 1, unit.n_lingering * sizeof(int));
    }
    unit.lingering[unit.n_lingering++] = fd;
}

static void empty_lingering(size_t i)
{
    char nowhere[4096];
    ssize_t n = read(unit.lingering[i], nowhere, sizeof(nowhere));
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    close(unit.lingering[i]);
    unit.n_lingering--;
    memmove(unit.lingering + i, unit.lingering + i + 1, (unit.n_lingering - i) * sizeof(int));
}

static void select_stream(int which)
{
    if (unit.current != which)
        send_message(which == ERR ? "err" : "out", -1, -1);
    unit.current = which;
}

/* Moves at most @max bytes of output; not by splice: two busy streams then hung
 * the guest (Linux 6.1, QEMU 7.2). Return: how many, 0 at its end, or -1. */
static ssize_t move_output(int which, size_t max)
{
    char data[CHUNK];
    int fd = unit.command.process.output[which];
    select_stream(which);
    ssize_t n = read(fd, data, max < sizeof(data) ? max : sizeof(data));
    if (n > 0)
        send_all(data, (size_t)n);
    return n;
}

static size_t waiting_bytes(int fd)
{
    int n = 0;
    return fd >= 0 && ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void move_all(int which, size_t left)
{
    for (ssize_t n; left && (n = move_output(which, left)) > 0;)
        left -= (size_t)n;
}

static void take_output(int which)
{
    int *fd = &unit.command.process.output[which];
    size_t n = waiting_bytes(*fd);
    if (n == 0) {
        close_fd(fd); /* readable, and nothing in it: every writer has gone */
        return;
    }
    if (n >= LARGE)
        fcntl(*fd, F_SETPIPE_SZ, LARGE_PIPE);
    if (unit.moved++)
        set_streaming(true);
    move_all(which, n);
}

/* Return: bytes put in @to, at most @left and a message. */
static size_t gather(int which, size_t left, char *to)
{
    size_t n = 0;
    if (!left)
        return 0;
    if (unit.current != which)
        n = (size_t)(put_message(to, which == ERR ? "err" : "out", -1, -1) - to);
    unit.current = which;
    ssize_t got = read(unit.command.process.output[which], to + n, left);
    return n + (got > 0 ? (size_t)got : 0);
}

/* Sends what the streams hold at the command's end, and no more, since something left behind may go
 * on writing; and that it has ended. A little is sent in one piece. */
static void send_end(int status, bool by_signal)
{
    char text[CHUNK];
    const int *output = unit.command.process.output;
    size_t left[STREAMS] = {waiting_bytes(output[OUT]), waiting_bytes(output[ERR])}, n = 0;
    if (left[OUT] + left[ERR] > CHUNK / 2) {
        move_all(OUT, left[OUT]);
        move_all(ERR, left[ERR]);
        left[OUT] = left[ERR] = 0;
    }
    for (int i = 0, which = unit.current; i < STREAMS; i++, which = !which)
        n += gather(which, left[which], text + n);
    char *end = put_message(text + n, by_signal ? "killed" : "end", (long)unit.command.seq, status);
    send_all(text, (size_t)(end - text));
}

/* Commands */

static void forget_command(void)
{
    free(unit.command.words);
    unit.command.words = unit.command.script = NULL;
    unit.command.n_script = unit.command.written = 0;
    unit.command.signalled = false;
    unit.state = FREE;
    unit.current = OUT;
    set_streaming(false);
    unit.moved = 0;
}

/* The end of a command whose process has ended. */
static void finish(int status, bool by_signal)
{
    struct process *process = &unit.command.process;
    send_end(status, by_signal);
    for (int which = 0; which < STREAMS; which++) {
        if (process->output[which] >= 0)
            linger(process->output[which]);
        process->output[which] = -1;
    }
    close_process(process);
    forget_command();
}

/* The end of one whose shell waits for the next. */
static void finish_kept(int status)
{
    send_end(status, false);
    if (unit.command.signalled)
        close_process(&unit.command.process); /* it may be about to die */
    else
        unit.shell = unit.command.process;
    unit.command.process = nothing;
    forget_command();
}

static void on_exit_status(pid_t pid, int status)
{
    bool by_signal = WIFSIGNALED(status);
    if (unit.state == RUNNING && pid == unit.command.process.pid)
        finish(by_signal ? 128 + WTERMSIG(status) : WEXITSTATUS(status), by_signal);
    else if (pid == unit.shell.pid)
        close_process(&unit.shell);
}

static void collect_children(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        on_exit_status(pid, status);
}

static void write_script(void)
{
    struct command *c = &unit.command;
    ssize_t n = write(c->process.script, c->script + c->written, c->n_script - c->written);
    if (n > 0)
        c->written += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->written = c->n_script; /* the shell's end tells */
    if (c->written == c->n_script && c->how != 'k')
        close_fd(&c->process.script);
}

/* Return: 0 or an errno. */
static int run_in_shell(void)
{
    struct command *c = &unit.command;
    int err = unit.shell.pid ? 0 : start_shell(&unit.shell);
    if (err)
        return err;
    c->process = unit.shell;
    unit.shell = nothing;
    if (c->how == 'p')
        c->how = 's';
    if (!c->with_stdin && c->how != 'k')
        close_fd(&c->process.in);
    write_script();
    return 0;
}

static int run_program(void)
{
    struct command *c = &unit.command;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < c->n_words; i++)
        n += c->words[i] == '\0';
    char **argv = calloc(n + 1, sizeof(*argv));
    if (!argv)
        return ENOMEM;
    for (size_t i = 0; i < n; i++, at += strlen(c->words + at) + 1)
        argv[i] = c->words + at;
    int err = start_program(&c->process, argv, c->with_stdin);
    free(argv);
    return err;
}

static void say(const char *line)
{
    select_stream(OUT);
    send_all(line, strlen(line));
    send_all("\n", 1);
}

static void configure(void)
{
    struct command *c = &unit.command;
    const char *failed = take_identity(c->script, c->n_script, say);
    int status = failed ? errno & 255 : 0;
    if (failed) {
        select_stream(ERR);
        send_all(failed, strlen(failed));
    }
    finish(status, false);
}

static void begin(void)
{
    unit.state = RUNNING;
    if (unit.command.how == 'c') {
        configure();
        return;
    }
    int err = unit.command.how == 'p' ? run_program() : run_in_shell();
    /* The shell says in its own words what it cannot find, and runs what the kernel does not. */
    if (err && unit.command.how == 'p')
        err = run_in_shell();
    if (!err)
        return;
    send_message("fail", (long)unit.command.seq, err);
    forget_command();
}

static void signal_command(unsigned long seq, const char *name)
{
    int number = signal_number(name);
    if (!number || unit.state == FREE || seq != unit.command.seq)
        return;
    unit.command.signalled = true;
    if (unit.state == HELD)
        finish(128 + number, true);
    else
        kill(-unit.command.process.pid, number);
}

/* From the host. What it says is to be trusted; what cannot be read ends the unit. */

/* More bytes. Return: false when there are none at the moment. */
static bool fill(struct input *input)
{
    ssize_t n = read(input->fd, input->data, sizeof(input->data));
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        _exit(1);
    if (n == 0)
        usleep(100000); /* the host's end is not open */
    input->at = 0;
    input->n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static char next_byte(struct input *input)
{
    while (input->at == input->n)
        fill(input);
    return input->data[input->at++];
}

static void read_line(struct input *input, char *line, size_t room)
{
    size_t n = 0;
    for (char c; (c = next_byte(input)) != '\n';) {
        if (n + 1 == room)
            _exit(1);
        line[n++] = c;
    }
    line[n] = '\0';
}

static void read_block(struct input *input, char *to, size_t n)
{
    while (n) {
        size_t part = input->n - input->at;
        if (part == 0) {
            fill(input);
            continue;
        }
        part = part < n ? part : n;
        memcpy(to, input->data + input->at, part);
        input->at += part;
        to += part;
        n -= part;
    }
}

/* What is left in a port by a unit that was killed is over with the line that holds the key. */
static void read_key(struct input *input)
{
    size_t n;
    do {
        char c;
        for (n = 0; (c = next_byte(input)) != '\n'; n++) {
            if (n < sizeof(unit.key) - 1)
                unit.key[n] = c;
        }
    } while (n != KEY_LEN || unit.key[0] != '\036');
    unit.key[n] = '\0';
}

static void take_run(char *line)
{
    struct command *c = &unit.command;
    c->seq = next_number(&line);
    const char *how = next_word(&line);
    size_t words = next_number(&line), script = next_number(&line);
    if (unit.state != FREE || words > SCRIPT_MAX || script > SCRIPT_MAX ||
        !(c->words = malloc(words + script + 1)))
        _exit(1);
    read_block(&unit.commands, c->words, words + script);
    c->words[words + script] = '\0';
    c->script = c->words + words;
    c->n_words = words;
    c->n_script = script;
    c->written = 0;
    c->how = how[0];
    c->with_stdin = strchr(how, 'i');
    c->process = nothing;
    if (!strchr(how, 'h')) {
        begin();
        return;
    }
    unit.state = HELD;
    send_message("armed", (long)c->seq, -1);
}

static void take_go(unsigned long seq)
{
    if (unit.state != HELD || seq != unit.command.seq)
        return;
    send_message("started", (long)seq, -1);
    begin();
}

static void take_line(void)
{
    char line[160], *at = line;
    read_line(&unit.commands, line, sizeof(line));
    const char *what = next_word(&at);
    if (strcmp(what, unit.key) == 0 && unit.state == FREE)
        send_message("serve", -1, -1); /* the host asks anew */
    if (strcmp(what, "run") == 0) {
        take_run(at);
    } else if (strcmp(what, "go") == 0) {
        take_go(next_number(&at));
    } else if (strcmp(what, "kill") == 0) {
        unsigned long seq = next_number(&at);
        signal_command(seq, next_word(&at));
    }
}

/* Standard input */

/* Return: whether the frame is for a command that has not begun. */
static bool is_early(void)
{
    return unit.feed_seq > unit.command.seq ||
           (unit.feed_seq == unit.command.seq && unit.state == HELD);
}

/* Passes on, or drops, bytes of the frame. Return: false when they have to wait. */
static bool feed_some(void)
{
    struct input *input = &unit.feed;
    int *in = &unit.command.process.in;
    size_t n = input->n - input->at;
    n = n < unit.feed_left ? n : unit.feed_left;
    if (unit.state == RUNNING && unit.feed_seq == unit.command.seq && *in >= 0) {
        ssize_t written = write(*in, input->data + input->at, n);
        if (written < 0 && errno == EAGAIN) {
            unit.feed_blocked = true;
            return false;
        }
        if (written < 0 && errno != EINTR)
            close_fd(in);
        n = written > 0 ? (size_t)written : 0;
    }
    input->at += n;
    unit.feed_left -= n;
    return true;
}

static void take_feed_line(void)
{
    char line[64], *at = line;
    read_line(&unit.feed, line, sizeof(line));
    if (*line < '0' || *line > '9')
        return; /* the key again */
    unit.feed_seq = next_number(&at);
    unit.feed_left = next_number(&at);
    unit.feed_in_frame = true;
}

/* Works off what has come of standard input. */
static void feed(void)
{
    struct input *input = &unit.feed;
    unit.feed_blocked = false;
    for (;;) {
        if (!unit.feed_in_frame) {
            if (input->at == input->n)
                return;
            take_feed_line();
            if (!unit.feed_in_frame)
                continue;
        }
        if (is_early())
            return;
        if (unit.feed_left == 0) { /* its end */
            if (unit.state == RUNNING && unit.feed_seq == unit.command.seq)
                close_fd(&unit.command.process.in);
            unit.feed_in_frame = false;
            continue;
        }
        if (input->at == input->n || !feed_some())
            return;
        unit.feed_in_frame = unit.feed_left > 0;
    }
}

/* The loop */

enum {
    COMMANDS,
    FEED,
    SCRIPT,
    IN,
    STATUS,
    OUTPUT,
    LINGERING = OUTPUT + STREAMS,
    WATCHED = LINGERING + LINGERING_MAX
};

static void watch(struct pollfd *watched)
{
    const struct command *c = &unit.command;
    const struct process *p = &c->process;
    bool running = unit.state == RUNNING, feed_waits = unit.feed.at < unit.feed.n;
    for (int i = 0; i < WATCHED; i++)
        watched[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    watched[COMMANDS].fd = unit.commands.fd;
    watched[FEED].fd = feed_waits ? -1 : unit.feed.fd;
    watched[SCRIPT].events = watched[IN].events = POLLOUT;
    for (size_t i = 0; i < unit.n_lingering; i++)
        watched[LINGERING + i].fd = unit.lingering[i];
    if (!running)
        return;
    watched[SCRIPT].fd = c->written < c->n_script ? p->script : -1;
    watched[IN].fd = unit.feed_blocked ? p->in : -1;
    watched[STATUS].fd = c->how == 'k' ? p->status : -1;
    watched[OUTPUT + OUT].fd = p->output[OUT];
    watched[OUTPUT + ERR].fd = p->output[ERR];
}

static void take_kept_status(void)
{
    char text[16], *at = text;
    int *fd = &unit.command.process.status;
    ssize_t n = read(*fd, text, sizeof(text) - 1);
    if (n == 0)
        close_fd(fd); /* the shell's end tells */
    if (n <= 0)
        return;
    text[n - 1] = '\0'; /* for its newline */
    finish_kept((int)(next_number(&at) & 255));
}

static void work_off(const struct pollfd *watched)
{
    for (int which = 0; which < STREAMS; which++) {
        if (unit.state == RUNNING && watched[OUTPUT + which].revents)
            take_output(which);
    }
    if (unit.state == RUNNING && watched[SCRIPT].revents)
        write_script();
    if (unit.state == RUNNING && watched[STATUS].revents)
        take_kept_status();
    for (size_t i = unit.n_lingering; i-- > 0;) {
        if (watched[LINGERING + i].revents && watched[LINGERING + i].fd == unit.lingering[i])
            empty_lingering(i);
    }
    if (watched[FEED].revents)
        fill(&unit.feed);
    if (watched[COMMANDS].revents && fill(&unit.commands)) {
        while (unit.commands.at < unit.commands.n)
            take_line();
    }
    feed();
}

static void serve(void)
{
    struct pollfd watched[WATCHED];
    sigset_t none;
    sigemptyset(&none);
    for (;;) {
        if (unit.state == FREE && !unit.shell.pid)
            start_shell(&unit.shell); /* if it cannot be now, then when it is needed */
        watch(watched);
        int n = ppoll(watched, WATCHED, NULL, &none);
        if (n > 0)
            work_off(watched);
        /* Not when its signal came: ppoll lets none in while it finds something to read, and what a
         * command left behind may write without end. */
        collect_children();
    }
}

/* The ports: two files of /dev, by the names that the host gave them. A port that was just plugged
 * in may be seen late, and its name later still. */
static bool has_name(const char *port, const char *want)
{
    char path[300], found[32];
    put_text(put_text(put_text(path, PORTS), port), "/name");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, found, sizeof(found)) : -1;
    close_fd(&fd);
    return n == (ssize_t)strlen(want) && memcmp(found, want, (size_t)n) == 0;
}

/* Return: the open port, or -1. */
static int try_port(const char *want)
{
    char path[300];
    int fd = -1;
    DIR *ports = opendir(PORTS);
    for (const struct dirent *entry; fd < 0 && ports && (entry = readdir(ports));) {
        put_text(put_text(path, "/dev/"), entry->d_name);
        if (entry->d_name[0] != '.' && has_name(entry->d_name, want))
            fd = open(path, O_RDWR | O_CLOEXEC);
    }
    if (ports)
        closedir(ports);
    return fd;
}

static int open_port(const char *kind, const char *number)
{
    char want[64];
    int fd = -1;
    if (strlen(number) > 20)
        return -1;
    put_text(put_text(put_text(want, kind), number), "\n");
    for (int tries = 0; fd < 0 && tries < 250; tries++) {
        if (tries)
            usleep(20000);
        fd = try_port(want);
    }
    return fd;
}

/* What came from the shell that started this one is not for commands. */
static void reset_signals(void)
{
    struct sigaction child = {.sa_handler = on_nothing, .sa_flags = SA_NOCLDSTOP},
                     nothing_done = {.sa_handler = on_nothing, .sa_flags = SA_RESTART};
    sigset_t blocked;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigaction(SIGCHLD, &child, NULL);
    sigaction(SIGPIPE, &nothing_done, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD); /* let in by ppoll alone */
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static void occupy_low_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd < LOW_FDS);
    unit.null = fd;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 0;
    if (fork()) /* the shell does not wait for it */
        _exit(0);
    setsid();
    reset_signals();
    occupy_low_fds();
    unit.shell = unit.command.process = nothing;
    unit.commands.fd = open_port("qn.c", argv[1]);
    unit.feed.fd = open_port("qn.e", argv[1]);
    if (unit.null < 0 || unit.commands.fd < 0 || unit.feed.fd < 0)
        return 1;
    read_key(&unit.commands);
    read_key(&unit.feed);
    send_message("serve", -1, -1);
    serve();
}
