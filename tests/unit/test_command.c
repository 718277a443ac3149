/* SPDX-License-Identifier: MIT */
#include "runtime/command.h"
#include "tests/unit/check.h"

static enum command_need need_of(const char *text)
{
    struct bytes words = {0};
    enum command_need need = command_need(text, &words);
    CHECK_INT(words.n > 0, need == COMMAND_PROGRAM);
    bytes_free(&words);
    return need;
}

static void needs_a_shell(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "\t",
        "x=1",
        "x=1 env",
        "ls *",
        "echo $HOME",
        "echo `id`",
        "echo \"a\"",
        "echo a\\ b",
        "a; b",
        "a & b",
        "a && b",
        "a | b",
        "a <b",
        "a >b",
        "(a)",
        "{ a; }",
        "# a",
        "a #b",
        "a\nb",
        "echo 'a",
        "'a'",
        "'echo' a",
        "a'b' c",
        "ls ~",
        "ls a?",
        "ls [a]",
        "echo {a,b}",
        "cd /",
        "exit 3",
        "exec ls",
        "export A",
        ". ./x",
        "eval :",
        "set -e",
        "trap",
        "kill 1",
        "wait",
        "umask",
        "! true",
        "printf a",
        "a\302\240b",
        "if",
        "time ls",
        "read x",
        "ulimit -n",
        "a^b",
        "test -e /dev/stdin",
        "[ -t /proc/self/fd/0 ]",
        "[a] b",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (need_of(texts[i]) != COMMAND_SHELL)
            fprintf(stderr, "text: %s\n", texts[i]);
        CHECK_INT(need_of(texts[i]), COMMAND_SHELL);
    }
}

static void leaves_its_shell_as_it_was(void)
{
    static const char *const texts[] = {
        ":",
        "true",
        "false",
        "echo",
        "echo a  b",
        " echo 'a $b; c\n' ",
        "[ -e '/a b' ]",
        "test 1 -lt 2",
        "[ a != b ]",
        "[ ! -e /x ]",
        ": a=b",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        CHECK_INT(need_of(texts[i]), COMMAND_KEEP);
}

static void check_program(const char *text, const char *expected, size_t n)
{
    struct bytes words = {0};
    CHECK_INT(command_need(text, &words), COMMAND_PROGRAM);
    CHECK_INT(words.n, n);
    CHECK(words.n == n && memcmp(words.data, expected, n) == 0);
    bytes_free(&words);
}

#define PROGRAM(text, expected) check_program(text, expected, sizeof(expected))

static void is_a_program(void)
{
    PROGRAM("ls", "ls");
    PROGRAM("/bin/true", "/bin/true");
    PROGRAM(" ping\t-c  1 b ", "ping\0-c\0001\0b");
    PROGRAM("sh -c 'kill -9 $$'", "sh\0-c\0kill -9 $$");
    PROGRAM("env A=1 '' x", "env\0A=1\0\0x");
    PROGRAM("a b'c d'e''f", "a\0bc def");
    PROGRAM("cat 'a\nb'", "cat\0a\nb");
}

static const struct check_test tests[] = {
    {"text that needs a shell", needs_a_shell},
    {"builtins that leave their shell as it was", leaves_its_shell_as_it_was},
    {"a program and its words", is_a_program},
};

CHECK_MAIN(tests)
