/* SPDX-License-Identifier: MIT */
#include "runtime/pages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TOKEN_BYTES 16
#define TOKEN_SIZE (2 * TOKEN_BYTES)
#define CONNECTIONS 64
#define PATIENCE_S 10 /* with a connection on which nothing happens */
#define RUNS 64       /* of the server in one turn of the loop */

struct pages {
    uv_poll_t poll;
    uv_timer_t timer;
    int handles; /* that are not closed yet */
    struct MHD_Daemon *server;
    char token[TOKEN_SIZE + 1], host[32], origin[40], address[PAGES_ADDRESS_SIZE];
    void (*get)(void *arg, struct pages_request *request, const char *path);
    void *arg;
};

struct pages_request {
    struct MHD_Connection *connection;
    enum MHD_Result sent;
    bool answered;
};

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     const struct page *page)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->size, (void *)page->body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", page->type);
    MHD_add_response_header(response, "Content-Security-Policy", page->policy);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    enum MHD_Result sent = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why)
{
    struct page page = {why, "text/plain; charset=utf-8", "default-src 'none'", strlen(why)};
    return send_response(connection, status, &page);
}

void pages_answer(struct pages_request *request, const struct page *page)
{
    request->answered = true;
    request->sent = send_response(request->connection, MHD_HTTP_OK, page);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Another name for our address is a page's that has its name resolved to it; a page of another
 * origin says so. */
static bool is_from_here(const struct pages *pages, struct MHD_Connection *connection)
{
    const char *host = header(connection, "Host"), *origin = header(connection, "Origin"),
               *site = header(connection, "Sec-Fetch-Site");
    return host && strcmp(host, pages->host) == 0 &&
           (!origin || strcmp(origin, pages->origin) == 0) &&
           (!site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0);
}

/* Return: what comes behind the token, NULL if that is another. Takes as long for each that is as
 * long: nothing can be learnt of it piece by piece. */
static const char *behind_token(const struct pages *pages, const char *url)
{
    volatile unsigned char differs = 0;
    if (strlen(url) < TOKEN_SIZE + 2)
        return NULL;
    for (size_t i = 0; i < TOKEN_SIZE; i++)
        differs |= (unsigned char)(url[i + 1] ^ pages->token[i]);
    differs |= (unsigned char)((url[0] ^ '/') | (url[TOKEN_SIZE + 1] ^ '/'));
    return differs ? NULL : url + TOKEN_SIZE + 2;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **state)
{
    struct pages *pages = arg;
    struct pages_request request = {.connection = connection};
    (void)version;
    (void)data;
    if (!*state) { /* the first call, with the headers alone */
        *state = pages;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0; /* no request of ours has a body */
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    const char *path = is_from_here(pages, connection) ? behind_token(pages, url) : NULL;
    if (!path)
        return refuse(connection, MHD_HTTP_FORBIDDEN,
                      "open the address that qemunet watch printed\n");
    pages->get(pages->arg, &request, path);
    return request.answered ? request.sent
                            : refuse(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
}

static void on_time(uv_timer_t *timer);

static void serve(struct pages *pages)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    int runs = 0;
    do
        MHD_run(pages->server);
    while (MHD_get_timeout(pages->server, &ms) == MHD_YES && ms == 0 && ++runs < RUNS);
    uv_timer_start(&pages->timer, on_time, runs == RUNS ? 0 : 1000, 0);
}

static void on_time(uv_timer_t *timer)
{
    serve(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    serve(poll->data);
}

static int make_token(struct pages *pages)
{
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return -errno;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(pages->token + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static int start_server(struct pages *pages)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pages->server =
        MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, pages, MHD_OPTION_SOCK_ADDR,
                         &here, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S, MHD_OPTION_END);
    if (!pages->server)
        return errno ? -errno : -EIO;
    unsigned port = MHD_get_daemon_info(pages->server, MHD_DAEMON_INFO_BIND_PORT)->port;
    snprintf(pages->host, sizeof(pages->host), "127.0.0.1:%u", port);
    snprintf(pages->origin, sizeof(pages->origin), "http://%s", pages->host);
    snprintf(pages->address, sizeof(pages->address), "%s/%s/", pages->origin, pages->token);
    return 0;
}

static int watch_server(struct pages *pages, uv_loop_t *loop)
{
    int fd = MHD_get_daemon_info(pages->server, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int err = uv_poll_init(loop, &pages->poll, fd);
    if (err)
        return err;
    uv_timer_init(loop, &pages->timer);
    pages->poll.data = pages->timer.data = pages;
    pages->handles = 2;
    uv_poll_start(&pages->poll, UV_READABLE, on_ready);
    serve(pages);
    return 0;
}

int pages_open(struct pages **out, uv_loop_t *loop,
               void (*get)(void *arg, struct pages_request *request, const char *path), void *arg)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    if (!pages)
        return -ENOMEM;
    pages->get = get;
    pages->arg = arg;
    int err = make_token(pages);
    if (!err)
        err = start_server(pages);
    if (!err)
        err = watch_server(pages, loop);
    if (err) {
        if (pages->server)
            MHD_stop_daemon(pages->server);
        free(pages);
        return err;
    }
    *out = pages;
    return 0;
}

const char *pages_address(const struct pages *pages)
{
    return pages->address;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pages *pages = handle->data;
    if (--pages->handles == 0)
        free(pages);
}

void pages_close(struct pages *pages)
{
    if (!pages)
        return;
    uv_poll_stop(&pages->poll);
    uv_close((uv_handle_t *)&pages->poll, on_handle_closed);
    uv_close((uv_handle_t *)&pages->timer, on_handle_closed);
    MHD_stop_daemon(pages->server);
    pages->server = NULL;
}
