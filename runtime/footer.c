/* SPDX-License-Identifier: MIT */
#include "runtime/footer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define TOP_AND_CLEAR "\r\033[J"
#define CLEAR_LINE "\033[K"
#define LINE_EXTRA 16 /* bytes around a line */

/* A signal handler reaches nothing but globals. */
static volatile sig_atomic_t shown_on = -1; /* the terminal's descriptor; -1: none is */

void footer_begin(struct footer *footer, int fd, bool colour)
{
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size))
        size = (struct winsize){0};
    footer->fd = fd;
    footer->colour = colour;
    footer->columns = size.ws_col > 10 ? size.ws_col : 80;
    /* A row is left for what is printed. */
    footer->room = size.ws_row == 0                 ? FOOTER_LINES
                   : size.ws_row - 1 < FOOTER_LINES ? size.ws_row - 1
                                                    : FOOTER_LINES;
    footer->lines = 0;
    footer->len = 0;
}

static void put(struct footer *footer, const char *data, size_t n)
{
    if (n > sizeof(footer->text) - footer->len)
        n = sizeof(footer->text) - footer->len;
    memcpy(footer->text + footer->len, data, n);
    footer->len += n;
}

static void put_text(struct footer *footer, const char *text)
{
    put(footer, text, strlen(text));
}

/* Put the next character of @line. Return: its bytes; 0 when it does not fit into the @left
 * columns.
 */
static size_t put_character(struct footer *footer, const char *line, size_t *left)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, line, strlen(line), &state);
    int width = n == (size_t)-1 || n == (size_t)-2 ? -1 : wcwidth(c);
    size_t columns = width < 0 ? 1 : (size_t)width;
    if (columns > *left || footer->len + LINE_EXTRA + n > sizeof(footer->text))
        return 0;
    *left -= columns;
    if (width < 0)
        put_text(footer, "?");
    else
        put(footer, line, n);
    return n == (size_t)-1 || n == (size_t)-2 ? 1 : n;
}

bool footer_add(struct footer *footer, const char *line)
{
    /* Not the last column: in it a terminal waits with going on to the next line. */
    size_t left = footer->columns - 1, n;
    if (footer->lines >= footer->room || footer->len + 2 * LINE_EXTRA > sizeof(footer->text))
        return false;
    put_text(footer, footer->lines > 0 ? "\n" : "\r");
    if (footer->colour)
        put_text(footer, "\033[2m");
    while (*line && (n = put_character(footer, line, &left)) > 0)
        line += n;
    put_text(footer, footer->colour ? "\033[0m" CLEAR_LINE : CLEAR_LINE);
    footer->lines++;
    return true;
}

void footer_show(const struct footer *footer)
{
    char all[FOOTER_BYTES + 32];
    if (footer->lines == 0) {
        footer_hide();
        return;
    }
    memcpy(all, footer->text, footer->len);
    size_t n = footer->len;
    n += (size_t)snprintf(all + n, sizeof(all) - n, "\033[J");
    if (footer->lines > 1)
        n += (size_t)snprintf(all + n, sizeof(all) - n, "\033[%dA", footer->lines - 1);
    all[n++] = '\r';
    /* First, as a signal may come as soon as they are there. A terminal that has stopped takes part
     * of them, or none. */
    sig_atomic_t before = shown_on;
    shown_on = footer->fd;
    if (write(footer->fd, all, n) <= 0)
        shown_on = before;
}

void footer_hide(void)
{
    int fd = shown_on;
    shown_on = -1;
    if (fd >= 0 && write(fd, TOP_AND_CLEAR, sizeof(TOP_AND_CLEAR) - 1) < 0)
        return; /* the terminal has gone */
}

bool footer_is_shown(void)
{
    return shown_on >= 0;
}
