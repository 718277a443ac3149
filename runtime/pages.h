/* SPDX-License-Identifier: MIT */
/* Pages for a browser on this machine, for who knows their address: only from 127.0.0.1, below a
 * token that is guessed by nobody, and not for another site's pages. */
#ifndef QN_RUNTIME_PAGES_H
#define QN_RUNTIME_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define PAGES_ADDRESS_SIZE 80

struct pages;

/* What is sent. @body need not last beyond pages_answer(). */
struct page {
    const char *body, *type, *policy; /* type: "text/html", ...; policy: of its contents */
    size_t size;
};

struct pages_request;

/** Serve; @get(@arg, @request, @path) is called for each page that is asked for, @path being what
 * comes behind the token, and may call pages_answer() once: else there is no such page.
 * Return: 0 or negative errno. */
int pages_open(struct pages **out, uv_loop_t *loop,
               void (*get)(void *arg, struct pages_request *request, const char *path), void *arg);

void pages_answer(struct pages_request *request, const struct page *page);

/** Return: the address of the page with the empty path. */
const char *pages_address(const struct pages *pages);

/** Stop. NULL is allowed. */
void pages_close(struct pages *pages);

#endif
