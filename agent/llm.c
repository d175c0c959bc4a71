/* SPDX-License-Identifier: MIT */
/* Opening and closing a provider, and telling who asked. */
#include "agent/llm_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void llm_link_init(struct llm_link *head)
{
    head->next = head->prev = head;
}

bool llm_link_empty(const struct llm_link *head)
{
    return head->next == head;
}

void llm_link_add(struct llm_link *head, struct llm_link *link)
{
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

void llm_link_remove(struct llm_link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = link;
}

const char *llm_stop_name(enum llm_stop stop)
{
    static const char *const names[] = { "end", "length", "refused", "filtered", "other" };
    return names[stop];
}

void llm_options_init(struct llm_options *options)
{
    *options = (struct llm_options) { .temperature = NAN, .retries = -1, .repeats = -1 };
}

static void fill_defaults(struct llm_options *o)
{
    o->max_tokens = o->max_tokens ? o->max_tokens : 16384;
    o->timeout_s = o->timeout_s > 0 ? o->timeout_s : 600;
    o->stall_s = o->stall_s > 0 ? o->stall_s : 60;
    o->backoff_s = o->backoff_s > 0 ? o->backoff_s : 0.5;
    o->max_in_flight = o->max_in_flight > 0 ? o->max_in_flight : 256;
    o->retries = o->retries >= 0 ? o->retries : 6;
    o->repeats = o->repeats >= 0 ? o->repeats : 1;
    o->reply_max = o->reply_max ? o->reply_max : 8 << 20;
}

/* Options outlive the caller's strings. */
static void own_strings(struct llm *llm)
{
    struct llm_options *o = &llm->options;
    const char **const fields[] = { &o->spec, &o->model, &o->base_url, &o->key_file, &o->ca_file,
                                    &o->proxy, &o->prices };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (*fields[i]) {
            *fields[i] = llm->owned[i] = xstrdup(*fields[i]);
        }
    }
}

static int find_price(struct llm *llm, struct err *err)
{
    const char *model = llm->model ? llm->model : "";
    int r = llm_price_find(llm->options.prices, model, &llm->price, err);
    if (r == 0 && !llm->price.known) {
        llm->price_missing = xprintf(
            "no price is known for %s%s: a budget in dollars needs --prices FILE with {\"format\": 1, "
            "\"models\": [{\"name\": \"%s\", \"in\": USD, \"cached\": USD, \"out\": USD}]}, in USD per "
            "million tokens; or give the budget in --tokens",
            *model ? "the model " : "a model without a name (say it with --model)", model,
            *model ? model : "NAME");
    }
    return r;
}

static int open_kind(struct llm *llm, const char *kind, const char *rest, struct err *err)
{
    const struct llm_wire *const wires[] = { &llm_openai, &llm_anthropic };
    for (size_t i = 0; i < ARRAY_LEN(wires); i++) {
        if (str_eq(kind, wires[i]->name)) {
            llm->wire = wires[i];
            llm->name = wires[i]->name;
            llm->way = &llm_way_send;
            if (*rest && !llm->model) {
                llm->model = xstrdup(rest);
            }
            if (!llm->model) {
                return err_set(err, ERR_INVALID, "which model? Say --llm %s:MODEL or --model MODEL",
                               kind);
            }
            int r = find_price(llm, err);
            return r < 0 ? r : llm_send_open(llm, err);
        }
    }
    if (str_eq(kind, "spool") && *rest) {
        llm->name = "spool";
        llm->way = &llm_way_spool;
        int r = find_price(llm, err);
        return r < 0 ? r : llm_spool_open(llm, rest, err);
    }
    if (str_eq(kind, "replay") && *rest) {
        llm->name = "replay";
        llm->way = &llm_way_replay;
        return llm_replay_open(llm, rest, err);
    }
    if (str_eq(kind, "spool") || str_eq(kind, "replay")) {
        return err_set(err, ERR_INVALID, "--llm %s: expected %s", kind,
                       str_eq(kind, "spool") ? "spool:DIR" : "replay:FILE");
    }
    return err_set(err, ERR_INVALID,
                   "--llm %s: no such provider; there are openai:MODEL, anthropic:MODEL, spool:DIR, "
                   "replay:FILE, offline", llm->options.spec);
}

/* Ended calls, each told once. Those that end meanwhile wait for the next turn. */
static void on_wake(uv_async_t *wake)
{
    struct llm *llm = wake->data;
    struct llm_link now;
    llm_link_init(&now);
    while (!llm_link_empty(&llm->ready)) {
        struct llm_link *link = llm->ready.next;
        llm_link_remove(link);
        llm_link_add(&now, link);
    }
    llm->calling = true;
    while (!llm_link_empty(&now)) { /* a callback may cancel another of these */
        struct llm_call *call = container_of(now.next, struct llm_call, link);
        llm_link_remove(&call->link);
        llm->n_pending--;
        call->done(call->ud, &call->reply);
        arena_free(call->arena);
    }
    llm->calling = false;
    if (!llm->n_pending) {
        uv_unref((uv_handle_t *)&llm->wake);
    }
}

int llm_open(uv_loop_t *loop, const struct llm_options *options, struct llm **ret, struct err *err)
{
    require(options->spec);
    struct llm *llm = xcalloc(1, sizeof(*llm));
    llm->loop = loop;
    llm->options = *options;
    fill_defaults(&llm->options);
    own_strings(llm);
    llm_link_init(&llm->pending);
    llm_link_init(&llm->ready);
    llm->model = options->model && *options->model ? xstrdup(options->model) : NULL;
    uv_async_init(loop, &llm->wake, on_wake);
    uv_unref((uv_handle_t *)&llm->wake);
    llm->wake.data = llm;
    llm->handles = 1;
    const char *colon = strchrnul(options->spec, ':');
    auto_free char *kind = strndup(options->spec, (size_t)(colon - options->spec));
    int r = open_kind(llm, kind, *colon ? colon + 1 : "", err);
    if (r < 0) {
        llm->way = llm->state ? llm->way : NULL;
        llm_close(llm);
        return r;
    }
    *ret = llm;
    return 0;
}

void llm_handle_gone(struct llm *llm)
{
    if (--llm->handles > 0 || !llm->closing) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(llm->owned); i++) {
        free(llm->owned[i]);
    }
    free(llm->model);
    free(llm->where);
    free(llm->price_missing);
    free(llm);
}

static void on_wake_closed(uv_handle_t *handle)
{
    llm_handle_gone(handle->data);
}

void llm_close(struct llm *llm)
{
    if (!llm) {
        return;
    }
    require(!llm->calling);
    struct llm_link *const lists[] = { &llm->pending, &llm->ready };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (!llm_link_empty(lists[i])) {
            llm_cancel(container_of(lists[i]->next, struct llm_call, link));
        }
    }
    llm->closing = true;
    if (llm->way) {
        llm->way->close(llm);
    }
    uv_close((uv_handle_t *)&llm->wake, on_wake_closed);
}

const char *llm_price_missing(const struct llm *llm)
{
    return llm->price_missing;
}

size_t llm_waiting(const struct llm *llm)
{
    return llm->way->waiting ? llm->way->waiting(llm) : 0;
}

size_t llm_pending(const struct llm *llm)
{
    return llm->n_pending;
}

const char *llm_where(const struct llm *llm)
{
    return llm->where ? llm->where : "";
}

const char *llm_name(const struct llm *llm)
{
    return llm->name;
}

const char *llm_model(const struct llm *llm)
{
    return llm->model ? llm->model : "";
}
