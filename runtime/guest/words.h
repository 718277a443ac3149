/* SPDX-License-Identifier: MIT */
/* The words and numbers of a line from the host. */
#ifndef QN_RUNTIME_GUEST_WORDS_H
#define QN_RUNTIME_GUEST_WORDS_H

#include <string.h>
#include <unistd.h>

/* Return: the word at @*at, ended there by a NUL; "" at the line's end. */
static inline char *next_word(char **at)
{
    char *word = *at, *end = strchrnul(word, ' ');
    *at = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

/* What is no number ends the program: the host is to be trusted. */
static inline unsigned long next_number(char **at)
{
    const char *digit = next_word(at);
    unsigned long value = 0;
    do {
        if (*digit < '0' || *digit > '9')
            _exit(1);
        value = value * 10 + (unsigned long)(*digit - '0');
    } while (*++digit);
    return value;
}

#endif
