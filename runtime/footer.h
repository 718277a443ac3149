/* SPDX-License-Identifier: MIT */
/* A few lines on a terminal, below all that is printed, which leave nothing in its scrollback. The
 * cursor rests at the first one's start: what the terminal does to them when it is resized happens
 * behind it, and one sequence takes them away whatever they have become. */
#ifndef QN_RUNTIME_FOOTER_H
#define QN_RUNTIME_FOOTER_H

#include <stdbool.h>
#include <stddef.h>

#define FOOTER_LINES 8
#define FOOTER_BYTES 8192 /* of all lines; more is cut */

struct footer {
    int fd, lines, room; /* room: lines that there may be, as the terminal is now */
    size_t columns, len;
    bool colour;
    char text[FOOTER_BYTES];
};

/** Begin the next picture of the lines, for the terminal @fd as it is now. */
void footer_begin(struct footer *footer, int fd, bool colour);

/** Add a line of UTF-8, as much as there is room for, control characters as "?". Return: whether
 * there was room for one. */
bool footer_add(struct footer *footer, const char *line);

/** Write them in place of those that are there, in one piece. */
void footer_show(const struct footer *footer);

/** Take them away. Nothing happens where there are none; for signal handlers too. */
void footer_hide(void);

/** Return: whether they are there. */
bool footer_is_shown(void);

#endif
