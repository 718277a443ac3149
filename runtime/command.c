/* SPDX-License-Identifier: MIT */
#include "runtime/command.h"

#include <stdbool.h>

/* What no shell gives a meaning to, outside quotes and behind the first word. */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                            "_./:,+@%-=!";

/* Builtins that only print or compare, in every shell. */
static const char *const harmless[] = {":", "[", "echo", "false", "test", "true", NULL};

/* Words that, at a command's start, POSIX, ash, dash or bash take for themselves. */
static const char *const taken[] = {
    ".",       "alias",    "bg",      "bind",      "break",    "builtin",  "caller",   "case",
    "cd",      "chdir",    "command", "compgen",   "compopt",  "complete", "continue", "coproc",
    "declare", "dirs",     "disown",  "do",        "done",     "elif",     "else",     "enable",
    "esac",    "eval",     "exec",    "exit",      "export",   "fc",       "fg",       "fi",
    "for",     "function", "getopts", "hash",      "help",     "history",  "if",       "in",
    "jobs",    "kill",     "let",     "local",     "logout",   "mapfile",  "popd",     "printf",
    "pushd",   "pwd",      "read",    "readarray", "readonly", "return",   "select",   "set",
    "shift",   "shopt",    "source",  "suspend",   "then",     "time",     "times",    "trap",
    "type",    "typeset",  "ulimit",  "umask",     "unalias",  "unset",    "until",    "wait",
    "while",   "!",        NULL,
};

static bool is_one_of(const char *word, const char *const *list)
{
    while (*list && strcmp(word, *list) != 0)
        list++;
    return *list != NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Add the word at *@at, and step behind it. Return: whether it is a constant. */
static bool take_word(const char **at, struct bytes *words)
{
    /* By itself it is no pattern. */
    if ((**at == '[' || **at == ']') && (is_blank((*at)[1]) || !(*at)[1]))
        return !bytes_add(words, (*at)++, 1) && !bytes_add(words, "", 1);
    while (**at && !is_blank(**at)) {
        size_t n = strspn(*at, plain);
        if (n == 0 && **at == '\'') {
            const char *end = strchr(*at + 1, '\'');
            if (!end || bytes_add(words, *at + 1, (size_t)(end - *at - 1)))
                return false;
            *at = end + 1;
        } else if (n == 0 || bytes_add(words, *at, n)) {
            return false;
        } else {
            *at += n;
        }
    }
    return !bytes_add(words, "", 1);
}

static bool take_words(const char *text, struct bytes *words)
{
    for (;;) {
        while (is_blank(*text))
            text++;
        if (!*text)
            return words->n > 0;
        if (!take_word(&text, words))
            return false;
    }
}

/* The shell's own descriptors are not the command's. */
static bool shows_descriptors(const char *text)
{
    return strstr(text, "/dev/") || strstr(text, "/proc/");
}

static enum command_need need_of(const char *text, struct bytes *words)
{
    text += strspn(text, " \t");
    size_t first = strcspn(text, " \t");
    if (memchr(text, '\'', first) || memchr(text, '=', first) || !take_words(text, words))
        return COMMAND_SHELL;
    if (is_one_of(words->data, harmless))
        return shows_descriptors(text) ? COMMAND_SHELL : COMMAND_KEEP;
    return is_one_of(words->data, taken) ? COMMAND_SHELL : COMMAND_PROGRAM;
}

enum command_need command_need(const char *text, struct bytes *words)
{
    enum command_need need = need_of(text, words);
    if (need != COMMAND_PROGRAM)
        bytes_free(words);
    return need;
}
