/* SPDX-License-Identifier: MIT */
/* The signals that a command can be sent, by their names without "SIG". */
#ifndef QN_RUNTIME_GUEST_SIGNALS_H
#define QN_RUNTIME_GUEST_SIGNALS_H

#include <signal.h>
#include <stddef.h>
#include <string.h>

/** Return: the number of signal @name, or 0: there is none. */
static inline int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {
        {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"KILL", SIGKILL},
        {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM},
        {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP},
        {"TSTP", SIGTSTP}, {"ABRT", SIGABRT}, {"WINCH", SIGWINCH},
    };
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    }
    return 0;
}

#endif
