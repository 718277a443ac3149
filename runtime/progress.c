/* SPDX-License-Identifier: MIT */
#include "runtime/progress.h"

#include "runtime/clock.h"
#include "runtime/footer.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 250
/* What is told about the run changes less often than the times of the waits. */
#define STATUS_TICKS 2
/* A wait is shown once it has lasted this long: what is quick need not flicker. */
#define SHOW_AFTER_NS (300 * CLOCK_NS_PER_MS)
/* Without a terminal, a wait this long is worth one line. */
#define TELL_AFTER_NS (10 * CLOCK_NS_PER_S)
/* Who prints much does not have the lines drawn again each time. */
#define DRAW_AGAIN_NS (50 * CLOCK_NS_PER_MS)

struct wait {
    struct wait *next;
    char *key, *what;
    int64_t since;
    bool told, in_status;
};

struct progress {
    uv_timer_t *tick;
    int level;
    bool terminal, colour;
    bool output_is_terminal;
    bool open_line,
        open_below; /* what is printed, and so on the terminal, has not ended its line */
    bool held;      /* no live lines */
    struct footer footer;
    int64_t again_at; /* when they were drawn again last */
    unsigned ticks;
    char *(*status)(void *arg);
    void *status_arg;
    char *lines; /* of status, as it gave them last */
    void (*hide)(void *arg);
    void *hide_arg;
    struct wait *waits;
};

static void draw(struct progress *progress);

static void on_tick(uv_timer_t *timer)
{
    struct progress *progress = timer->data;
    bool drawing = progress->terminal && progress->level >= 0 && !progress->held;
    if (drawing && progress->status && progress->ticks++ % STATUS_TICKS == 0) {
        free(progress->lines);
        progress->lines = progress->status(progress->status_arg);
    }
    draw(progress);
}

static void on_timer_freed(uv_handle_t *handle)
{
    free(handle);
}

/* The shell's prompt comes where the lines were; the next tick after fg(1) draws them again. What
 * stops is the signal's own action: where no shell could go on with us, it does nothing. */
static void on_suspended(int number)
{
    struct sigaction ours, stop = {.sa_handler = SIG_DFL};
    sigset_t only, before;
    int saved = errno;
    footer_hide();
    sigemptyset(&only);
    sigaddset(&only, number);
    sigaction(number, &stop, &ours);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &only, &before); /* here */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(number, &ours, NULL);
    errno = saved;
}

/* Who starts us with SIGTSTP ignored, as a shell without job control does, wants no stop. */
static void handle_suspension(void)
{
    struct sigaction action = {.sa_handler = on_suspended, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGTSTP, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(SIGTSTP, &action, NULL);
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
    progress->output_is_terminal = isatty(1);
    if (progress->terminal) {
        setlocale(LC_CTYPE, "C.UTF-8"); /* the characters' encoding and nothing else */
        handle_suspension();
    }
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
    footer_hide();
    if (progress->hide)
        progress->hide(progress->hide_arg);
}

static bool add_wait(struct progress *progress, const struct wait *wait)
{
    char line[512];
    double seconds = (double)(clock_now() - wait->since) / CLOCK_NS_PER_S;
    snprintf(line, sizeof(line), "%6.1f s  %s", seconds, wait->what);
    return footer_add(&progress->footer, line);
}

static void add_status(struct progress *progress)
{
    char *text = progress->lines ? strdup(progress->lines) : NULL, *rest = text, *line;
    while (rest && (line = strsep(&rest, "\n")))
        if (*line && !footer_add(&progress->footer, line))
            break;
    free(text);
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
    if (progress->open_below)
        return; /* they would be behind what is there of a line */
    int64_t now = clock_now();
    footer_begin(&progress->footer, 2, progress->colour);
    add_status(progress);
    for (struct wait *wait = progress->waits; wait; wait = wait->next) {
        bool shown = now - wait->since >= SHOW_AFTER_NS && !(wait->in_status && progress->lines);
        if (shown && !add_wait(progress, wait))
            break;
    }
    fflush(stdout);
    footer_show(&progress->footer);
}

/* Something was printed in the lines' place. */
static void draw_again(struct progress *progress)
{
    int64_t now = clock_now();
    if (!progress->terminal || now - progress->again_at < DRAW_AGAIN_NS)
        return;
    progress->again_at = now;
    draw(progress);
}

void progress_status(struct progress *progress, char *(*status)(void *arg), void *arg)
{
    progress->status = status;
    progress->status_arg = arg;
    free(progress->lines);
    progress->lines = NULL;
    if (footer_is_shown())
        draw(progress);
}

static struct wait **find(struct progress *progress, const char *key)
{
    struct wait **at = &progress->waits;
    while (*at && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

void progress_wait(struct progress *progress, const char *key, const char *what, bool in_status)
{
    struct wait **at = find(progress, key);
    char *text = strdup(what);
    if (!*at && text) {
        *at = calloc(1, sizeof(**at));
        if (*at) {
            (*at)->key = strdup(key);
            (*at)->since = clock_now();
            (*at)->in_status = in_status;
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
    if (footer_is_shown())
        draw(progress);
}

/* A message begins at the left. */
static void end_line_below(struct progress *progress)
{
    fputc('\n', stderr);
    progress->open_below = false;
    if (progress->output_is_terminal)
        progress->open_line = false;
}

void progress_log(struct progress *progress, int level, const char *text)
{
    if (level > progress->level)
        return;
    erase(progress);
    if (progress->terminal && progress->open_below)
        end_line_below(progress);
    fprintf(stderr, level < 0 && progress->colour ? "\033[31m%s\033[0m\n" : "%s\n", text);
    draw_again(progress);
}

/* The edited line begins at the left. */
static void end_line(struct progress *progress)
{
    if (progress->open_line)
        fputc('\n', stdout);
    progress->open_line = progress->open_below = false;
}

/* Return: 0 or negative errno. */
static int write_out(FILE *to, const char *data, size_t n)
{
    bool written = fwrite(data, 1, n, to) == n;
    return fflush(to) == 0 && written ? 0 : -errno;
}

int progress_print(struct progress *progress, FILE *to, const char *data, size_t n)
{
    if (footer_is_shown() || progress->hide)
        erase(progress);
    int err = write_out(to, data, n);
    if (n > 0)
        progress->open_line = data[n - 1] != '\n';
    if (n > 0 && (to == stderr || progress->output_is_terminal))
        progress->open_below = progress->open_line;
    if (progress->hide)
        end_line(progress);
    fflush(stdout);
    draw_again(progress);
    return err;
}

void progress_edit(struct progress *progress, void (*hide)(void *arg), void *arg)
{
    progress->hide = NULL;
    erase(progress);
    if (hide)
        end_line(progress);
    progress->hide = hide;
    progress->hide_arg = arg;
    progress->held = hide != NULL;
}

void progress_hold(struct progress *progress, bool hold)
{
    erase(progress);
    progress->held = hold;
}

void progress_close(struct progress *progress)
{
    if (!progress)
        return;
    erase(progress);
    while (progress->waits) {
        struct wait *next = progress->waits->next;
        free_wait(progress->waits);
        progress->waits = next;
    }
    free(progress->lines);
    uv_close((uv_handle_t *)progress->tick, on_timer_freed);
    free(progress);
}
