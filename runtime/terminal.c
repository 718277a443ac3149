/* SPDX-License-Identifier: MIT */
#include "runtime/terminal.h"

#include "runtime/input_watch.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define INPUT 0
#define KEYS_SIZE 4096
#define HISTORY_SIZE 1000

struct terminal {
    uv_loop_t *loop;
    const struct terminal_handler *handler;
    void *arg;
    EditLine *editor; /* NULL: plain lines */
    History *history;
    struct input_watch input; /* its poll is NULL: a file, which can always be read */
    uv_idle_t *busy;          /* while it runs, the loop serves what is there and does not wait */
    uv_signal_t *resized, *suspended;
    const char *prompt;
    bool editing, hidden;
    bool stopping; /* the edit is to end; how is in outcome */
    bool ended;    /* no more input comes */
    bool raw;      /* the keys are the handler's; without_keys is how it was before */
    struct termios without_keys;
    enum terminal_outcome outcome;
    char *text; /* of the line that was stopped */
    char keys[KEYS_SIZE];
    size_t from, n; /* of keys, those that are not taken yet */
};

/* A signal handler reaches nothing but globals. */
static struct termios modes;
static volatile sig_atomic_t modes_known;

bool terminal_is_there(void)
{
    return isatty(INPUT) && isatty(1);
}

/* In the background the terminal is another's, with its own modes, and who sets them is stopped. */
void terminal_restore(void)
{
    pid_t owner = tcgetpgrp(INPUT);
    if (modes_known && (owner < 0 || owner == getpgrp()))
        tcsetattr(INPUT, TCSANOW, &modes);
}

/* Input */

static void read_keys(struct terminal *terminal)
{
    ssize_t n = read(INPUT, terminal->keys, sizeof(terminal->keys));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    terminal->from = 0;
    terminal->n = n > 0 ? (size_t)n : 0;
    terminal->ended = n <= 0; /* a terminal that has gone is an error */
}

static void pass_keys(struct terminal *terminal)
{
    size_t n = terminal->n;
    terminal->n = 0;
    if (n > 0 || terminal->ended)
        terminal->handler->keys(terminal->arg, terminal->keys + terminal->from, n);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct terminal *terminal = poll->data;
    (void)status;
    (void)events;
    if (terminal->n == 0)
        read_keys(terminal);
    if (terminal->n > 0 || terminal->ended)
        uv_poll_stop(poll);
    if (!terminal->raw)
        return;
    pass_keys(terminal);
    if (terminal->raw && !terminal->ended)
        uv_poll_start(poll, UV_READABLE, on_readable);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* The loop is not to wait before the edit goes on. Not by uv_stop(): with that, what comes again
 * and again would keep it from looking at anything else, such as signals. */
static void hurry(struct terminal *terminal)
{
    uv_idle_start(terminal->busy, on_idle);
}

static void listen_to_keys(struct terminal *terminal)
{
    if (terminal->input.poll) {
        uv_poll_start(terminal->input.poll, UV_READABLE, on_readable);
    } else {
        read_keys(terminal);
        hurry(terminal);
    }
}

static bool is_over(const struct terminal *terminal)
{
    return terminal->stopping || (terminal->ended && terminal->n == 0);
}

static void show(struct terminal *terminal)
{
    if (!terminal->hidden)
        return;
    terminal->hidden = false;
    el_set(terminal->editor, EL_REFRESH);
}

static void keep_text(struct terminal *terminal)
{
    if (!terminal->stopping || terminal->text || !terminal->editor)
        return;
    const LineInfo *line = el_line(terminal->editor);
    terminal->text = strndup(line->buffer, (size_t)(line->lastchar - line->buffer));
}

/* Return: whether there is a byte, now in @byte; else the edit is over. */
static bool next_byte(struct terminal *terminal, char *byte)
{
    while (terminal->n == 0 && !is_over(terminal)) {
        show(terminal);
        listen_to_keys(terminal);
        if (!terminal->handler->turn(terminal->arg)) {
            terminal->stopping = true;
            terminal->outcome = TERMINAL_STOPPED;
        }
        uv_idle_stop(terminal->busy);
    }
    keep_text(terminal);
    if (is_over(terminal))
        return false;
    show(terminal);
    *byte = terminal->keys[terminal->from++];
    terminal->n--;
    return true;
}

/* Editing */

/* What libedit calls for a key. Return: 1; 0 at the end. */
static int read_character(EditLine *editor, wchar_t *out)
{
    struct terminal *terminal;
    mbstate_t state = {0};
    char byte;
    el_get(editor, EL_CLIENTDATA, &terminal);
    while (next_byte(terminal, &byte)) {
        size_t n = mbrtowc(out, &byte, 1, &state);
        if (n == (size_t)-1)
            memset(&state, 0, sizeof(state)); /* no UTF-8: what can a person have meant? */
        else if (n != (size_t)-2)
            return 1;
    }
    return 0;
}

static char *prompt_of(EditLine *editor)
{
    struct terminal *terminal;
    el_get(editor, EL_CLIENTDATA, &terminal);
    return (char *)terminal->prompt;
}

static unsigned char on_complete(EditLine *editor, int key)
{
    struct terminal *terminal;
    const LineInfo *line = el_line(editor);
    (void)key;
    el_get(editor, EL_CLIENTDATA, &terminal);
    /* A copy: what the handler inserts moves the line. */
    size_t n = (size_t)(line->cursor - line->buffer);
    char *before = strndup(line->buffer, n);
    if (!before)
        return CC_ERROR;
    terminal->handler->complete(terminal->arg, before, n);
    free(before);
    if (!terminal->hidden)
        return CC_REFRESH;
    show(terminal);
    return CC_NORM;
}

void terminal_insert(struct terminal *terminal, const char *text)
{
    if (terminal->editor && terminal->editing)
        el_insertstr(terminal->editor, text);
}

static int columns(void)
{
    struct winsize size;
    return ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Return: the columns that a character takes as libedit shows it: ^A, \U+85. */
static int width_of(wchar_t c)
{
    int width = wcwidth(c);
    if (width >= 0)
        return width;
    return c < 0x80 ? 2 : c < 0x10000 ? 7 : 8;
}

/* Return: the row of the cursor, counted from that of the prompt. */
static int cursor_row(const struct terminal *terminal)
{
    int width = columns(), row = 0, column = (int)strlen(terminal->prompt);
    const LineInfoW *line = el_wline(terminal->editor);
    for (const wchar_t *c = line->buffer; c < line->cursor; c++) {
        if (*c == L'\n') {
            row += column / width + 1;
            column = 0;
        } else {
            column += width_of(*c);
        }
    }
    return row + column / width;
}

void terminal_hide(struct terminal *terminal)
{
    if (!terminal->editing || terminal->hidden || !terminal->editor)
        return;
    int row = cursor_row(terminal);
    if (row > 0)
        printf("\033[%dA", row);
    fputs("\r\033[J", stdout);
    fflush(stdout);
    terminal->hidden = true;
    hurry(terminal);
}

static void on_resized(uv_signal_t *signal, int number)
{
    struct terminal *terminal = signal->data;
    (void)number;
    if (!terminal->editing)
        return;
    terminal_hide(terminal);
    el_resize(terminal->editor);
}

/* Ctrl-Z. The loop stands still until the shell lets us go on. */
static void on_suspended(uv_signal_t *signal, int number)
{
    struct terminal *terminal = signal->data;
    struct termios now;
    (void)number;
    terminal_hide(terminal);
    if (tcgetattr(INPUT, &now))
        return;
    terminal_restore();
    kill(getpid(), SIGSTOP);
    tcsetattr(INPUT, TCSADRAIN, &now);
}

/* What is typed already goes through the editor as if it were typed now. */
static void push_text(struct terminal *terminal, const char *text)
{
    if (text && *text)
        el_push(terminal->editor, text);
}

static char *edit(struct terminal *terminal, const char *text, size_t *size)
{
    int n = 0;
    push_text(terminal, text);
    el_set(terminal->editor, EL_PREP_TERM, 1); /* before the person sees the prompt */
    const char *line = el_gets(terminal->editor, &n);
    if (!line || n <= 0 || terminal->stopping)
        return NULL;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    *size = (size_t)n;
    return strndup(line, (size_t)n);
}

/* Return: the line, with a byte more than may be when it is too long; NULL at the end. */
static char *read_plain(struct terminal *terminal, size_t *size)
{
    char *line = NULL, byte = 0;
    size_t n = 0, room = 0;
    while (byte != '\n' && n <= LINE_MAX_SIZE && next_byte(terminal, &byte)) {
        if (n == room) {
            char *larger = realloc(line, room = room * 2 + 256);
            if (!larger)
                break;
            line = larger;
        }
        line[n++] = byte;
    }
    *size = n > 0 && line[n - 1] == '\n' ? n - 1 : n;
    return line;
}

/* What the screen shows behind a line that has ended without Enter. */
static void leave_line(struct terminal *terminal)
{
    if (terminal->outcome == TERMINAL_STOPPED)
        terminal_hide(terminal);
    else
        fputs(terminal->outcome == TERMINAL_END ? "\r\n" : "^C\r\n", stdout);
    fflush(stdout);
}

enum terminal_outcome terminal_edit(struct terminal *terminal, const char *prompt, const char *text,
                                    char **line, size_t *size)
{
    *size = 0;
    terminal->prompt = prompt;
    terminal->stopping = terminal->hidden = false;
    terminal->outcome = TERMINAL_END;
    terminal->editing = true;
    *line = terminal->editor ? edit(terminal, text, size) : read_plain(terminal, size);
    if (terminal->stopping) {
        free(*line);
        *line = terminal->text;
        *size = *line ? strlen(*line) : 0;
        terminal->text = NULL;
    } else if (*line) {
        bool too_long = !terminal->editor && *size > LINE_MAX_SIZE;
        terminal->outcome = too_long ? TERMINAL_TOO_LONG : TERMINAL_LINE;
    }
    if (terminal->editor && terminal->outcome != TERMINAL_LINE)
        leave_line(terminal);
    terminal->editing = false;
    uv_idle_stop(terminal->busy);
    if (terminal->input.poll)
        uv_poll_stop(terminal->input.poll);
    return terminal->outcome;
}

static bool end_edit(struct terminal *terminal, enum terminal_outcome outcome)
{
    if (!terminal->editing)
        return false;
    if (!terminal->stopping)
        terminal->outcome = outcome;
    terminal->stopping = true;
    hurry(terminal);
    return true;
}

bool terminal_interrupt(struct terminal *terminal)
{
    return end_edit(terminal, TERMINAL_INTERRUPTED);
}

void terminal_stop(struct terminal *terminal)
{
    end_edit(terminal, TERMINAL_STOPPED);
}

void terminal_remember(struct terminal *terminal, const char *line)
{
    HistEvent event;
    if (terminal->history)
        history(terminal->history, &event, H_ENTER, line);
}

/* Keys */

int terminal_take_keys(struct terminal *terminal)
{
    struct termios raw;
    if (!terminal->editor || tcgetattr(INPUT, &raw))
        return -ENOTTY;
    terminal->without_keys = raw;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP | BRKINT);
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(INPUT, TCSADRAIN, &raw))
        return -errno;
    terminal->raw = true;
    uv_poll_start(terminal->input.poll, UV_READABLE, on_readable);
    return 0;
}

void terminal_give_keys(struct terminal *terminal)
{
    if (!terminal->raw)
        return;
    terminal->raw = false;
    if (!terminal->editing)
        uv_poll_stop(terminal->input.poll);
    tcsetattr(INPUT, TCSADRAIN, &terminal->without_keys);
}

/* Opening */

static int open_editor(struct terminal *terminal)
{
    EditLine *editor = el_init("qemunet", stdin, stdout, stderr);
    HistEvent event;
    terminal->editor = editor;
    terminal->history = history_init();
    if (!editor || !terminal->history)
        return -ENOMEM;
    history(terminal->history, &event, H_SETSIZE, HISTORY_SIZE);
    history(terminal->history, &event, H_SETUNIQUE, 1);
    el_set(editor, EL_CLIENTDATA, terminal);
    el_set(editor, EL_PROMPT, prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, terminal->history);
    el_set(editor, EL_GETCFN, read_character);
    el_wset(editor, EL_ADDFN, L"complete", L"complete the word", on_complete); /* el_set leaks */
    el_set(editor, EL_BIND, "^I", "complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(editor, EL_BIND, "^[[3~", "ed-delete-next-char", NULL);
    el_set(editor, EL_BIND, "^[[1;5C", "em-next-word", NULL);
    el_set(editor, EL_BIND, "^[[1;5D", "ed-prev-word", NULL);
    /* Between lines too: what is typed meanwhile is for the next line, and shown there. */
    el_set(editor, EL_SETTY, "-x", "-icanon", "-echo", NULL);
    el_source(editor, NULL); /* the person's own ~/.editrc */
    return 0;
}

static uv_signal_t *open_signal(struct terminal *terminal, uv_signal_cb fn, int number)
{
    uv_signal_t *handle = malloc(sizeof(*handle));
    if (!handle)
        return NULL;
    uv_signal_init(terminal->loop, handle);
    handle->data = terminal;
    uv_signal_start(handle, fn, number);
    uv_unref((uv_handle_t *)handle);
    return handle;
}

static int open_on_terminal(struct terminal *terminal)
{
    if (tcgetattr(INPUT, &modes))
        return -errno;
    modes_known = 1;
    /* The characters' encoding and nothing else: numbers are written as ever. */
    setlocale(LC_CTYPE, "C.UTF-8");
    int err = open_editor(terminal);
    if (err)
        return err;
    terminal->resized = open_signal(terminal, on_resized, SIGWINCH);
    terminal->suspended = open_signal(terminal, on_suspended, SIGTSTP);
    return 0;
}

static void on_freed(uv_handle_t *handle)
{
    free(handle);
}

static void close_handle(void *handle)
{
    if (handle)
        uv_close(handle, on_freed);
}

static int open_input(struct terminal *terminal)
{
    int err = input_watch_open(&terminal->input, terminal->loop, terminal);
    return err == -EPERM ? 0 : err; /* a plain file, of which there are no events */
}

static int open_busy(struct terminal *terminal)
{
    terminal->busy = malloc(sizeof(*terminal->busy));
    return terminal->busy ? uv_idle_init(terminal->loop, terminal->busy) : -ENOMEM;
}

int terminal_open(struct terminal **out, uv_loop_t *loop, const struct terminal_handler *handler,
                  void *arg)
{
    struct terminal *terminal = calloc(1, sizeof(*terminal));
    if (!terminal)
        return -ENOMEM;
    terminal->loop = loop;
    terminal->handler = handler;
    terminal->arg = arg;
    int err = open_busy(terminal);
    if (!err)
        err = open_input(terminal);
    if (!err && terminal_is_there())
        err = open_on_terminal(terminal);
    if (err) {
        terminal_close(terminal);
        return err;
    }
    *out = terminal;
    return 0;
}

void terminal_close(struct terminal *terminal)
{
    if (!terminal)
        return;
    close_handle(terminal->busy);
    input_watch_close(&terminal->input);
    close_handle(terminal->resized);
    close_handle(terminal->suspended);
    if (terminal->editor)
        el_end(terminal->editor);
    if (terminal->history)
        history_end(terminal->history);
    terminal_restore();
    modes_known = 0;
    free(terminal);
}
