/* SPDX-License-Identifier: MIT */
#include "runtime/progress.h"

#include "runtime/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 250
/* A wait is shown once it has lasted this long: what is quick need not flicker. */
#define SHOW_AFTER_NS (300 * CLOCK_NS_PER_MS)
/* Without a terminal, a wait this long is worth one line. */
#define TELL_AFTER_NS (10 * CLOCK_NS_PER_S)
#define MAX_LINES 12

struct wait {
    struct wait *next;
    char *key, *what;
    int64_t since;
    bool told;
};

struct progress {
    uv_timer_t *tick;
    int level;
    bool terminal, colour;
    int drawn;      /* live lines now on the screen */
    bool open_line; /* standard output has not ended its last line */
    bool held;      /* no live lines */
    void (*hide)(void *arg);
    void *hide_arg;
    struct wait *waits;
};

static void draw(struct progress *progress);

static void on_tick(uv_timer_t *timer)
{
    draw(timer->data);
}

static void on_timer_freed(uv_handle_t *handle)
{
    free(handle);
}

int progress_open(struct progress **out, uv_loop_t *loop, int level)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    struct progress *progress = calloc(1, sizeof(*progress));
    uv_timer_t *tick = malloc(sizeof(*tick));
    if (!progress || !tick) {
        free(progress);
        free(tick);
        return -ENOMEM;
    }
    progress->level = level;
    progress->terminal = isatty(2) && term && strcmp(term, "dumb") != 0;
    progress->colour = progress->terminal && !(no_colour && *no_colour);
    progress->tick = tick;
    uv_timer_init(loop, tick);
    tick->data = progress;
    uv_timer_start(tick, on_tick, TICK_MS, TICK_MS);
    uv_unref((uv_handle_t *)tick);
    *out = progress;
    return 0;
}

static void erase(struct progress *progress)
{
    for (; progress->drawn > 0; progress->drawn--)
        fputs("\033[A\033[2K", stderr);
    if (progress->hide)
        progress->hide(progress->hide_arg);
}

static int terminal_width(void)
{
    struct winsize size;
    return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

static void draw_wait(const struct progress *progress, const struct wait *wait)
{
    char line[512];
    double seconds = (double)(clock_now() - wait->since) / CLOCK_NS_PER_S;
    int room = terminal_width() - 1;
    snprintf(line, sizeof(line), "%6.1f s  %s", seconds, wait->what);
    if (room < (int)sizeof(line))
        line[room] = '\0';
    fprintf(stderr, progress->colour ? "\033[2m%s\033[0m\n" : "%s\n", line);
}

static void tell(struct progress *progress)
{
    int64_t now = clock_now();
    for (struct wait *wait = progress->waits; wait; wait = wait->next) {
        if (wait->told || now - wait->since < TELL_AFTER_NS)
            continue;
        wait->told = true;
        fprintf(stderr, "still waiting: %s (since %.0f s)\n", wait->what,
                (double)(now - wait->since) / CLOCK_NS_PER_S);
    }
}

static void draw(struct progress *progress)
{
    if (progress->level < 0 || progress->held)
        return;
    if (!progress->terminal) {
        tell(progress);
        return;
    }
    int64_t now = clock_now();
    erase(progress);
    for (struct wait *wait = progress->waits; wait && progress->drawn < MAX_LINES;
         wait = wait->next) {
        if (now - wait->since < SHOW_AFTER_NS)
            continue;
        draw_wait(progress, wait);
        progress->drawn++;
    }
    fflush(stderr);
}

static struct wait **find(struct progress *progress, const char *key)
{
    struct wait **at = &progress->waits;
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

void progress_wait(struct progress *progress, const char *key, const char *what)
{
    struct wait **at = find(progress, key);
    char *text = strdup(what);
    if (!*at && text) {
        *at = calloc(1, sizeof(**at));
        if (*at) {
            (*at)->key = strdup(key);
            (*at)->since = clock_now();
        }
    }
    if (!text || !*at || !(*at)->key) {
        free(text);
        return;
    }
    free((*at)->what);
    (*at)->what = text;
}

static void free_wait(struct wait *wait)
{
    free(wait->key);
    free(wait->what);
    free(wait);
}

void progress_done(struct progress *progress, const char *key)
{
    struct wait **at = find(progress, key), *wait = *at;
    if (!wait)
        return;
    *at = wait->next;
    free_wait(wait);
    if (progress->drawn)
        draw(progress);
}

void progress_log(struct progress *progress, int level, const char *text)
{
    if (level > progress->level)
        return;
    erase(progress);
    fprintf(stderr, level < 0 && progress->colour ? "\033[31m%s\033[0m\n" : "%s\n", text);
    if (progress->terminal)
        draw(progress);
}

/* The edited line begins at the left. */
static void end_line(struct progress *progress)
{
    if (progress->open_line)
        fputc('\n', stdout);
    progress->open_line = false;
}

void progress_print(struct progress *progress, FILE *to, const char *data, size_t n)
{
    if (progress->drawn || progress->hide) {
        erase(progress);
        fflush(stderr);
    }
    fwrite(data, 1, n, to);
    if (n > 0)
        progress->open_line = data[n - 1] != '\n';
    if (progress->hide)
        end_line(progress);
    fflush(to);
    fflush(stdout);
}

void progress_edit(struct progress *progress, void (*hide)(void *arg), void *arg)
{
    progress->hide = NULL;
    erase(progress);
    fflush(stderr);
    if (hide)
        end_line(progress);
    progress->hide = hide;
    progress->hide_arg = arg;
    progress->held = hide != NULL;
}

void progress_hold(struct progress *progress, bool hold)
{
    erase(progress);
    fflush(stderr);
    progress->held = hold;
}

void progress_close(struct progress *progress)
{
    if (!progress)
        return;
    erase(progress);
    fflush(stderr);
    while (progress->waits) {
        struct wait *next = progress->waits->next;
        free_wait(progress->waits);
        progress->waits = next;
    }
    uv_close((uv_handle_t *)progress->tick, on_timer_freed);
    free(progress);
}
