/* SPDX-License-Identifier: MIT */
/* The person's side of a prompt: standard input, edited by libedit when it and standard output are
 * terminals, and plain lines otherwise. The loop turns while a line is edited. */
#ifndef QN_RUNTIME_TERMINAL_H
#define QN_RUNTIME_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct terminal;

struct terminal_handler {
    /* Let the loop turn once: an edit waits for a key. Return: false to end the edit. */
    bool (*turn)(void *arg);
    /* The person wants the word before the cursor completed; see terminal_insert(). */
    void (*complete)(void *arg, const char *before, size_t n);
    /* Keys came, between terminal_take_keys() and terminal_give_keys(); @n 0: none will come. */
    void (*keys)(void *arg, const char *data, size_t n);
};

/* No line of a plain input may be longer. */
#define LINE_MAX_SIZE (1 << 20)

/* How an edit ended: with a line; at the end of the input (Ctrl-D); by terminal_interrupt(); by
 * terminal_stop(); with a line that is too long, of which the next edit would get the rest. */
enum terminal_outcome {
    TERMINAL_LINE,
    TERMINAL_END,
    TERMINAL_INTERRUPTED,
    TERMINAL_STOPPED,
    TERMINAL_TOO_LONG
};

/** Return: whether standard input and output are both terminals. */
bool terminal_is_there(void);

/** Return: 0 or negative errno. At most one is open. */
int terminal_open(struct terminal **out, uv_loop_t *loop, const struct terminal_handler *handler,
                  void *arg);

/** Put the terminal's modes back, close and free. NULL is allowed. */
void terminal_close(struct terminal *terminal);

/** Put the terminal's modes back as terminal_open() found them, until the next edit, if the
 * terminal is ours now; for signal handlers too. */
void terminal_restore(void);

/** Read a line behind @prompt, with @text typed already, while the loop turns. @line gets what was
 * typed, @size bytes without its newline: the caller frees it; NULL at the end of the input. Not
 * from within the loop. */
enum terminal_outcome terminal_edit(struct terminal *terminal, const char *prompt, const char *text,
                                    char **line, size_t *size);

/** End the edit, if there is one: the line is discarded. Return: whether there was one. */
bool terminal_interrupt(struct terminal *terminal);

/** End the edit, if there is one, and take the line from the screen. */
void terminal_stop(struct terminal *terminal);

/** Take the edited line from the screen, if it is there: something else is about to be written. It
 * comes back when the loop has turned. */
void terminal_hide(struct terminal *terminal);

/** Insert text at the cursor, from handler->complete. */
void terminal_insert(struct terminal *terminal, const char *text);

/** Add a line to those that the arrow keys bring back. */
void terminal_remember(struct terminal *terminal, const char *line);

/** Give each key to handler->keys as it comes, unedited and without echo, signals' keys included.
 * Return: 0 or negative errno. */
int terminal_take_keys(struct terminal *terminal);
void terminal_give_keys(struct terminal *terminal);

#endif
