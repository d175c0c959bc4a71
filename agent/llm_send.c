/* SPDX-License-Identifier: MIT */
/*
 * Calls over HTTP: a queue, a window of calls in flight that halves where the provider is crowded and
 * grows back with every answer, and waits between tries: as long as the provider asks, else doubled
 * each time, with jitter from the seed so that a thousand calls don't come back at once.
 */
#include "agent/http.h"
#include "agent/llm_internal.h"
#include "agent/llm_outcome.h"
#include "base/rng.h"
#include "base/util.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BODY_MAX = 64 << 20,
    RESHAPES_MAX = 3,
    TRIES_MAX = 100,
    BACKOFF_MAX_S = 60,
    ASKED_WAIT_MAX_S = 600, /* a provider that asks for more is out for now */
    SHRINK_EVERY_MS = 1000, /* one crowd is one reason to ask less */
};

struct send {
    struct llm *llm;
    struct http *http;
    char *url;
    struct llm_key key;
    struct llm_shape shape;
    struct llm_link queue, later; /* ready to go; waiting for their time */
    size_t in_flight;
    uint64_t answered;
    double window;
    uint64_t hold_ms, shrunk_ms; /* nothing leaves before; last time the window shrank */
    struct rng rng;
    uv_timer_t timer;
};

/* By the whole name: 127.0.0.1.example.org is somebody else's. */
static bool is_loopback(const char *host)
{
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    auto_free char *name = strndup(host, len);
    struct in_addr address;
    return strcasecmp(name, "localhost") == 0 || str_eq(name, "[::1]")
        || (inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

int llm_send_url(const struct llm_wire *wire, const char *base, bool has_key, char **ret,
                 struct err *err)
{
    bool tls = strncasecmp(base, "https://", 8) == 0;
    const char *host = strstr(base, "://") ? strstr(base, "://") + 3 : "";
    for (const char *c = base; *c; c++) {
        if (*c <= ' ' || *c > '~') {
            return err_set(err, ERR_INVALID, "--base-url: byte %d can't stand in an address",
                           (int)(c - base));
        }
    }
    if ((!tls && strncasecmp(base, "http://", 7) != 0) || !*host || *host == '/') {
        return err_set(err, ERR_INVALID, "--base-url %s: expected https://HOST or http://HOST", base);
    }
    if (strcspn(host, "@") < strcspn(host, "/")) {
        return err_set(err, ERR_INVALID, "--base-url: a password in an address would be seen by "
                       "others; give keys by --key-file or the environment");
    }
    if (!tls && has_key && !is_loopback(host)) {
        return err_set(err, ERR_INVALID, "--base-url %s: a key isn't sent over plain HTTP to another "
                       "machine: use https://, or unset the key if this server needs none", base);
    }
    const char *name = wire->path + strlen("/v1");
    size_t len = strlen(base);
    while (len && base[len - 1] == '/') {
        len--;
    }
    bool whole = strstr(host, name) != NULL; /* the address of the interface itself, query and all */
    bool versioned = len > 3 && strncmp(base + len - 3, "/v1", 3) == 0;
    *ret = whole ? xstrdup(base) : xprintf("%.*s%s", (int)len, base, versioned ? name : wire->path);
    return 0;
}

static void pump(struct send *s);

static void on_timer(uv_timer_t *timer)
{
    struct send *s = timer->data;
    uint64_t now = uv_now(s->llm->loop);
    struct llm_link *next;
    for (struct llm_link *l = s->later.next; l != &s->later; l = next) {
        next = l->next;
        if (container_of(l, struct llm_call, wait)->due_ms <= now) {
            llm_link_remove(l);
            llm_link_add(&s->queue, l);
        }
    }
    pump(s);
}

/* Wakes for the first of what waits. */
static void set_timer(struct send *s)
{
    uint64_t now = uv_now(s->llm->loop), due = UINT64_MAX;
    for (struct llm_link *l = s->later.next; l != &s->later; l = l->next) {
        due = MIN(due, container_of(l, struct llm_call, wait)->due_ms);
    }
    if (!llm_link_empty(&s->queue) && s->hold_ms > now) {
        due = MIN(due, s->hold_ms);
    }
    if (due == UINT64_MAX) {
        uv_timer_stop(&s->timer);
    } else {
        uv_timer_start(&s->timer, on_timer, due > now ? due - now : 1, 0);
    }
}

static double back_off(struct send *s, int failures)
{
    double most = fmin(BACKOFF_MAX_S, s->llm->options.backoff_s * ldexp(1, MIN(failures, 20) - 1));
    return most * (0.5 + 0.5 * rng_unit(&s->rng));
}

static void try_later(struct send *s, struct llm_call *call, double wait_s)
{
    call->due_ms = uv_now(s->llm->loop) + (uint64_t)(wait_s * 1000) + 1;
    llm_link_add(&s->later, &call->wait);
}

/* Some servers say in an error which key they were given. */
static void hide_key(const struct send *s, char *text)
{
    size_t len = s->key.text ? strlen(s->key.text) : 0;
    for (char *at = text; len && (at = strstr(at, s->key.text)); at += len) {
        memset(at, '*', len);
    }
}

static void fail(struct llm_call *call, const struct llm_outcome *o)
{
    char text[1200];
    snprintf(text, sizeof(text), "%s%s", o->text,
             call->reply.tries > 1 ? " (after several tries)" : "");
    llm_call_fail(call, o->code, o->fatal, text);
}

/* A crowd isn't this call's fault alone: all hold back. */
static void yield_to_crowd(struct send *s, const struct llm_outcome *o)
{
    uint64_t now = uv_now(s->llm->loop);
    if (o->wait_s > 0) {
        s->hold_ms = MAX(s->hold_ms, now + (uint64_t)(fmin(o->wait_s, ASKED_WAIT_MAX_S) * 1000));
    }
    if (now >= s->shrunk_ms + SHRINK_EVERY_MS) {
        s->window = fmax(1, s->window / 2);
        s->shrunk_ms = now;
    }
}

static void go_on(struct send *s, struct llm_call *call, const struct llm_outcome *o)
{
    const struct llm_options *options = &s->llm->options;
    if (o->crowded) {
        yield_to_crowd(s, o);
    }
    if (o->action == LLM_ACTION_REPEAT || o->billed) {
        llm_call_unsure(call);
    }
    if (o->action == LLM_ACTION_RESHAPE && call->reshapes++ < RESHAPES_MAX) {
        llm_link_add(&s->queue, &call->wait);
        return;
    }
    bool again = (o->action == LLM_ACTION_RETRY && call->failures < options->retries)
        || (o->action == LLM_ACTION_REPEAT && call->repeats < options->repeats);
    if (!again || o->wait_s > ASKED_WAIT_MAX_S) {
        fail(call, o);
        return;
    }
    call->repeats += o->action == LLM_ACTION_REPEAT;
    /* In a crowd that others come through, waiting longer is all that is asked. */
    bool served = o->crowded && s->answered > call->answered_seen && call->reply.tries < TRIES_MAX;
    call->failures += call->failures == 0 || !served;
    call->answered_seen = s->answered;
    log_line(options->log, LOG_LEVEL_INFO, "llm", "call %s: %s; again", call->request.key, o->text);
    try_later(s, call, fmax(o->wait_s, back_off(s, call->failures)));
}

static void on_reply(void *ud, const struct http_reply *reply)
{
    struct llm_call *call = ud;
    struct send *s = call->llm->state;
    struct llm_answer answer;
    struct llm_outcome outcome;
    struct llm_shape shape = call->sent; /* others in flight may have taught another one meanwhile */
    call->way = NULL;
    s->in_flight--;
    llm_outcome_of(s->llm->wire, reply, s->key.from ? s->key.from : s->llm->wire->key_env, &shape,
                   call->arena, &answer, &outcome);
    if (outcome.action == LLM_ACTION_RESHAPE) {
        s->shape.old_max_tokens = shape.old_max_tokens;
        s->shape.temperature_refused = shape.temperature_refused || s->shape.temperature_refused;
    }
    hide_key(s, outcome.text);
    call->reply.request_id = arena_strdup(call->arena, reply->request_id);
    if (outcome.action == LLM_ACTION_ANSWER) {
        s->answered++;
        s->window = fmin(s->llm->options.max_in_flight, s->window + 0.5);
        llm_call_answer(call, &answer);
    } else {
        go_on(s, call, &outcome);
    }
    pump(s);
}

/* Headers live for the post only; the one with the key is wiped. */
static int post(struct send *s, struct llm_call *call, const struct buf *body, struct err *err)
{
    const struct llm_wire *wire = s->llm->wire;
    const struct llm_options *o = &s->llm->options;
    char *key = s->key.text ? xprintf("%s%s", wire->key_header, s->key.text) : NULL;
    char idempotency[LLM_KEY_MAX + 64];
    const char *headers[6] = { "Content-Type: application/json", "Accept: application/json",
                               "User-Agent: warpsmith" };
    size_t n = 3;
    if (wire->extra_header) {
        headers[n++] = wire->extra_header;
    }
    if (wire->idempotency_header) { /* another shape is another request */
        snprintf(idempotency, sizeof(idempotency), call->reshapes ? "%s%s-%d" : "%s%s",
                 wire->idempotency_header, call->request.key, call->reshapes);
        headers[n++] = idempotency;
    }
    if (key) {
        headers[n++] = key;
    }
    struct http_request request = { .url = s->url, .headers = headers, .n_headers = n,
                                    .body = body->at, .len = body->len, .reply_max = o->reply_max,
                                    .timeout_s = o->timeout_s, .stall_s = o->stall_s };
    struct http_transfer *transfer = NULL;
    int r = http_post(s->http, &request, on_reply, call, &transfer, err);
    call->way = transfer;
    if (key) {
        explicit_bzero(key, strlen(key));
        free(key);
    }
    return r;
}

static void transmit(struct send *s, struct llm_call *call)
{
    struct llm_shape shape = s->shape;
    shape.max_tokens = call->request.max_tokens;
    shape.temperature = call->request.temperature;
    call->sent = shape;
    auto_buf struct buf body;
    struct err err = { 0 };
    buf_init(&body, BODY_MAX);
    int r = s->llm->wire->body(&call->request, &shape, &body);
    if (r < 0) {
        err_set(&err, r, "call %s: the request is over %d bytes", call->request.key, BODY_MAX);
    } else {
        call->reply.tries++;
        call->due_ms = 0;
        r = post(s, call, &body, &err);
    }
    if (r < 0) {
        llm_call_fail(call, r, true, err_text(&err));
    } else {
        s->in_flight++;
    }
}

static void pump(struct send *s)
{
    uint64_t now = uv_now(s->llm->loop);
    while (!llm_link_empty(&s->queue) && s->in_flight < (size_t)s->window && now >= s->hold_ms) {
        struct llm_call *call = container_of(s->queue.next, struct llm_call, wait);
        llm_link_remove(&call->wait);
        transmit(s, call);
    }
    set_timer(s);
}

static int send_start(struct llm_call *call, struct err *err)
{
    struct send *s = call->llm->state;
    (void)err;
    llm_link_add(&s->queue, &call->wait);
    pump(s);
    return 0;
}

static void send_cancel(struct llm_call *call)
{
    struct send *s = call->llm->state;
    if (call->way) {
        http_cancel(call->way);
        call->way = NULL;
        s->in_flight--;
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct send *s = handle->data;
    struct llm *llm = s->llm;
    free(s);
    llm_handle_gone(llm);
}

static void send_close(struct llm *llm)
{
    struct send *s = llm->state;
    http_close(s->http);
    llm_key_done(&s->key);
    free(s->url);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

const struct llm_way llm_way_send = { .start = send_start, .cancel = send_cancel,
                                      .close = send_close };

int llm_send_open(struct llm *llm, struct err *err)
{
    const struct llm_wire *wire = llm->wire;
    const struct llm_options *o = &llm->options;
    const char *env = getenv(wire->url_env);
    const char *base = o->base_url ? o->base_url : env && *env ? env : wire->base_url;
    struct send *s = xcalloc(1, sizeof(*s));
    int r = llm_key_load(o->key_file, wire->key_env, &s->key, err);
    if (r == 0 && !s->key.text && str_eq(base, wire->base_url)) {
        r = err_set(err, ERR_ENVIRONMENT, "%s needs a key: set %s, or give --key-file FILE (chmod 600)",
                    wire->name, wire->key_env);
    }
    r = r < 0 ? r : llm_send_url(wire, base, s->key.text != NULL, &s->url, err);
    struct http_options http = { .ca_file = o->ca_file, .proxy = o->proxy,
                                 .connections = o->max_in_flight };
    r = r < 0 ? r : http_open(llm->loop, &http, &s->http, err);
    if (r < 0) {
        llm_key_done(&s->key);
        free(s->url);
        free(s);
        return r;
    }
    s->llm = llm;
    s->window = o->max_in_flight;
    /* Most servers other than the provider's own know the older name only; both kinds say so. */
    s->shape = (struct llm_shape) { .model = llm->model,
                                    .old_max_tokens = !str_eq(base, wire->base_url)
                                        && wire == &llm_openai };
    llm_link_init(&s->queue);
    llm_link_init(&s->later);
    rng_init(&s->rng, o->seed, rng_key("llm"), 0);
    uv_timer_init(llm->loop, &s->timer);
    s->timer.data = s;
    llm->handles++;
    llm->state = s;
    return 0;
}
