/* SPDX-License-Identifier: MIT */
/*
 * libcurl under libuv: curl says which sockets it watches and when it wants to be called, we own the
 * handles. curl is entered from poll and timer callbacks only; who asked is called after curl is done,
 * so a callback may post or cancel.
 */
#include "agent/http_internal.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>

enum { HTTP_STALL_CHECK_MS = 250 };

/* One watched socket. */
struct watch {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
};

static void link_in(struct http_transfer **list, struct http_transfer *t)
{
    t->prev = NULL;
    t->next = *list;
    if (*list) {
        (*list)->prev = t;
    }
    *list = t;
}

static void unlink_from(struct http_transfer **list, struct http_transfer *t)
{
    if (t->prev) {
        t->prev->next = t->next;
    } else {
        *list = t->next;
    }
    if (t->next) {
        t->next->prev = t->prev;
    }
}

/* From busy to ended. */
static void retire(struct http_transfer *t)
{
    struct http *h = t->http;
    curl_multi_remove_handle(h->multi, t->easy);
    unlink_from(&h->busy, t);
    link_in(&h->ended, t);
    t->is_ended = true;
}

/* Collects what curl has finished, then calls; a callback may post and cancel. */
static void drain(struct http *h)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(h->multi, &left))) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        struct http_transfer *t = NULL;
        CURLcode result = message->data.result; /* the message dies with remove_handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        retire(t);
        t->result = result;
    }
    h->calling = true;
    while (h->ended) {
        struct http_transfer *t = h->ended;
        unlink_from(&h->ended, t);
        http_transfer_end(t);
    }
    h->calling = false;
    if (!h->busy) {
        uv_timer_stop(&h->stall_timer);
    }
}

/* curl's state is uncertain after an error of its own: everything in flight ends as cut. */
static void enter(struct http *h, curl_socket_t fd, int events)
{
    int running;
    CURLMcode code = curl_multi_socket_action(h->multi, fd, events, &running);
    if (code != CURLM_OK) {
        struct http_transfer *next;
        for (struct http_transfer *t = h->busy; t; t = next) {
            next = t->next;
            retire(t);
            t->result = CURLE_RECV_ERROR;
            snprintf(t->error, sizeof(t->error), "%s", curl_multi_strerror(code));
        }
    }
    drain(h);
}

static void on_timer(uv_timer_t *timer)
{
    enter(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* From within curl, so it must not be entered here. 0 would be run again in the same pass of older
 * libuvs, for ever. */
static int on_curl_timer(CURLM *multi, long ms, void *ud)
{
    struct http *h = ud;
    (void)multi;
    if (h->closing || ms < 0) {
        uv_timer_stop(&h->timer);
    } else {
        uv_timer_start(&h->timer, on_timer, ms > 0 ? (uint64_t)ms : 1, 0);
    }
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    what |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    what |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    enter(w->http, w->fd, what);
}

static void handle_gone(struct http *h)
{
    if (--h->handles == 0 && h->closing) {
        free(h->ca_file);
        free(h->ca_path);
        free(h->proxy);
        free(h);
    }
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    struct http *h = w->http;
    free(w);
    handle_gone(h);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

/* A nonzero return would end every transfer, so a socket that can't be watched is left to time out. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ud, void *socket_ud)
{
    struct http *h = ud;
    struct watch *w = socket_ud;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            uv_poll_stop(&w->poll);
            curl_multi_assign(h->multi, fd, NULL);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return 0;
    }
    if (!w) {
        w = xcalloc(1, sizeof(*w));
        if (uv_poll_init_socket(h->loop, &w->poll, fd) < 0) {
            free(w);
            return 0;
        }
        w->poll.data = w;
        w->http = h;
        w->fd = fd;
        h->handles++;
        curl_multi_assign(h->multi, fd, w);
    }
    int events = what == CURL_POLL_IN ? UV_READABLE
        : what == CURL_POLL_OUT       ? UV_WRITABLE
                                      : UV_READABLE | UV_WRITABLE;
    uv_poll_start(&w->poll, events, on_poll);
    return 0;
}

/* curl's own low-speed limit would also count the time a model thinks before the first byte. */
static void on_stall_check(uv_timer_t *timer)
{
    struct http *h = timer->data;
    uint64_t now = clock_ns();
    struct http_transfer *next;
    for (struct http_transfer *t = h->busy; t; t = next) {
        next = t->next;
        if (t->last_byte_ns && (double)(now - t->last_byte_ns) > t->stall_s * 1e9) {
            t->stalled = true;
            retire(t);
        }
    }
    drain(h);
}

void http_loop_open(struct http *h, int connections)
{
    h->multi = curl_multi_init();
    require(h->multi);
    uv_timer_init(h->loop, &h->timer);
    uv_timer_init(h->loop, &h->stall_timer);
    h->timer.data = h->stall_timer.data = h;
    h->handles = 2;
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)MAX(connections, 16));
}

void http_loop_close(struct http *h)
{
    curl_multi_cleanup(h->multi); /* ends its connections, and with them our watches */
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
    uv_close((uv_handle_t *)&h->stall_timer, on_timer_closed);
}

CURLMcode http_loop_add(struct http_transfer *t)
{
    struct http *h = t->http;
    CURLMcode code = curl_multi_add_handle(h->multi, t->easy);
    if (code == CURLM_OK) {
        link_in(&h->busy, t);
        if (!uv_is_active((uv_handle_t *)&h->stall_timer)) {
            uv_timer_start(&h->stall_timer, on_stall_check, HTTP_STALL_CHECK_MS, HTTP_STALL_CHECK_MS);
        }
    }
    return code;
}

void http_loop_remove(struct http_transfer *t)
{
    struct http *h = t->http;
    if (t->is_ended) {
        unlink_from(&h->ended, t);
        return;
    }
    curl_multi_remove_handle(h->multi, t->easy);
    unlink_from(&h->busy, t);
    if (!h->busy) {
        uv_timer_stop(&h->stall_timer);
    }
}
