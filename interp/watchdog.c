/* SPDX-License-Identifier: MIT */
#include "interp/watchdog.h"

#include "interp/host.h"
#include "interp/place.h"
#include "runtime/clock.h"
#include "runtime/progress.h"
#include "runtime/record.h"

#include <jansson.h>
#include <stdio.h>

/* Shorter than this, nobody notices. */
#define FIRST_NS CLOCK_NS_PER_S

void watchdog_begin(struct watchdog *watchdog)
{
    watchdog->since = clock_now();
    watchdog->tell = FIRST_NS;
}

void watchdog_excuse(struct watchdog *watchdog)
{
    watchdog_begin(watchdog);
}

static void say(struct host *host, const char *where, double seconds, const char *text)
{
    if (host->progress)
        progress_log(host->progress, 0, text);
    if (host->record)
        record_event(host->record,
                     json_pack("{s:f, s:s, s:s, s:f}", "t", (double)clock_now() / CLOCK_NS_PER_S,
                               "kind", "busy", "where", where, "seconds", seconds));
}

void watchdog_look(struct host *host, lua_State *L)
{
    struct watchdog *watchdog = &host->watchdog;
    int64_t spent = clock_now() - watchdog->since;
    char place[LUA_IDSIZE + 16], text[LUA_IDSIZE + 256];
    if (spent < watchdog->tell)
        return;
    while (watchdog->tell <= spent)
        watchdog->tell *= 2;
    place_text(L, place, sizeof(place));
    double seconds = (double)spent / CLOCK_NS_PER_S;
    snprintf(text, sizeof(text),
             "%s: %.1f s without waiting; other tasks, timers and callbacks stand still meanwhile: "
             "sleep(0) lets them in",
             place, seconds);
    say(host, place, seconds, text);
}

void watchdog_end(struct host *host, lua_State *co)
{
    char text[64];
    double seconds = (double)(clock_now() - host->watchdog.since) / CLOCK_NS_PER_S;
    if (host->watchdog.tell == FIRST_NS) {
        watchdog_look(host, co); /* what took long was no Lua */
        return;
    }
    snprintf(text, sizeof(text), "the others go on after %.1f s", seconds);
    say(host, "", seconds, text);
}
