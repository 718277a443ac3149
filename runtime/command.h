/* SPDX-License-Identifier: MIT */
/* What a command's text needs of a shell. Starting a shell is most of a small command's time in an
 * emulated guest: a simple command can do without, and one that leaves its shell as it was need not
 * cost one. GNU make starts its recipes after the same distinction. */
#ifndef QN_RUNTIME_COMMAND_H
#define QN_RUNTIME_COMMAND_H

#include "runtime/bytes.h"

enum command_need {
    COMMAND_SHELL, /* a shell of its own */
    COMMAND_KEEP,  /* any shell, which is afterwards as it was: one harmless builtin with constants
                    */
    COMMAND_PROGRAM, /* none: a program's name and constants as its arguments */
};

/** @text has no NUL byte before its end. Adds a program's words to @words, each ended by a NUL.
 * Return: what it needs; COMMAND_SHELL in every case of doubt, and when memory runs out. */
enum command_need command_need(const char *text, struct bytes *words);

#endif
