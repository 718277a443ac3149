/* SPDX-License-Identifier: MIT */
/* The words and numbers of a line from the host, and to it. No library's formatted input and
 * output: they are most of such a program, which goes to the guest over the slow shell at each cold
 * boot. */
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

/* Return: the end of what was put at @to, where its NUL is. */
static inline char *put_text(char *to, const char *text)
{
    return stpcpy(to, text);
}

static inline char *put_number(char *to, unsigned long value)
{
    char digits[24];
    size_t at = sizeof(digits);
    digits[--at] = '\0';
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    return put_text(to, digits + at);
}

#endif
