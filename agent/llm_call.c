/* SPDX-License-Identifier: MIT */
/* The life of a call: checked, copied, pending, ended; and what it can cost. */
#include "agent/llm_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 16 << 20, /* bytes of one prompt */
    MESSAGE_TOKENS = 16, /* what a provider may put around a message, generously */
    PROMPT_TOKENS = 64,
};

static int check_key(const struct llm *llm, const char *key, struct err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t n = key ? strlen(key) : 0;
    if (!n || n > LLM_KEY_MAX || strspn(key, allowed) != n || *key == '.') {
        return err_set(err, ERR_INVALID, "\"%.*s\" can't be the key of a call", LLM_KEY_MAX,
                       key ? key : "");
    }
    const struct llm_link *const lists[] = { &llm->pending, &llm->ready };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (struct llm_link *l = lists[i]->next; l != lists[i]; l = l->next) {
            if (str_eq(container_of(l, struct llm_call, link)->request.key, key)) {
                return err_set(err, ERR_EXISTS, "a call with the key %s is pending", key);
            }
        }
    }
    return 0;
}

static int check_messages(const struct llm_request *q, struct err *err)
{
    if (!q->n || q->n > LLM_MESSAGES_MAX) {
        return err_set(err, ERR_INVALID, "call %s: %zu messages, 1 to %d can be sent", q->key, q->n,
                       LLM_MESSAGES_MAX);
    }
    size_t total = 0, turns = 0;
    for (size_t i = 0; i < q->n; i++) {
        const char *role = q->messages[i].role;
        if (!str_eq(role, "system") && !str_eq(role, "user") && !str_eq(role, "assistant")) {
            return err_set(err, ERR_INVALID, "call %s: messages[%zu]: no role \"%s\"", q->key, i, role);
        }
        total += strlen(q->messages[i].text);
        turns += !str_eq(role, "system");
    }
    if (total > TEXT_MAX) {
        return err_set(err, ERR_TOOBIG, "call %s: a prompt of %zu bytes, %d at most", q->key, total,
                       TEXT_MAX);
    }
    return turns ? 0 : err_set(err, ERR_INVALID, "call %s: nothing but system messages", q->key);
}

static struct llm_call *call_new(struct llm *llm, const struct llm_request *q)
{
    struct arena *arena = arena_new();
    struct llm_call *call = arena_alloc(arena, 1, sizeof(*call));
    struct llm_message *messages = arena_alloc(arena, q->n, sizeof(*messages));
    for (size_t i = 0; i < q->n; i++) {
        messages[i] = (struct llm_message) { arena_strdup(arena, q->messages[i].role),
                                             arena_strdup(arena, q->messages[i].text) };
    }
    call->llm = llm;
    call->arena = arena;
    call->request = *q;
    call->request.key = arena_strdup(arena, q->key);
    call->request.messages = messages;
    if (!q->max_tokens) {
        call->request.max_tokens = llm->options.max_tokens;
    }
    if (isnan(q->temperature)) {
        call->request.temperature = llm->options.temperature;
    }
    call->reply = (struct llm_reply) { .error = "", .text = "", .model = "", .request_id = "",
                                       .stop = LLM_STOP_OTHER };
    llm_link_init(&call->link);
    llm_link_init(&call->wait);
    return call;
}

int llm_ask(struct llm *llm, const struct llm_request *request, llm_cb done, void *ud,
            struct llm_call **ret, struct err *err)
{
    int r = check_key(llm, request->key, err);
    r = r < 0 ? r : check_messages(request, err);
    if (r < 0) {
        return r;
    }
    struct llm_call *call = call_new(llm, request);
    call->done = done;
    call->ud = ud;
    llm_link_add(&llm->pending, &call->link);
    if (llm->n_pending++ == 0) {
        uv_ref((uv_handle_t *)&llm->wake);
    }
    r = llm->way->start(call, err);
    if (r < 0) {
        llm_cancel(call);
        return r;
    }
    *ret = call;
    return 0;
}

void llm_cancel(struct llm_call *call)
{
    struct llm *llm = call->llm;
    if (!call->ended) {
        llm->way->cancel(call);
    }
    llm_link_remove(&call->wait);
    llm_link_remove(&call->link);
    if (--llm->n_pending == 0 && !llm->calling) {
        uv_unref((uv_handle_t *)&llm->wake);
    }
    arena_free(call->arena);
}

void llm_call_end(struct llm_call *call)
{
    require(!call->ended);
    call->ended = true;
    call->due_ms = 0;
    llm_link_remove(&call->wait);
    llm_link_remove(&call->link);
    llm_link_add(&call->llm->ready, &call->link);
    uv_async_send(&call->llm->wake);
}

void llm_call_answer(struct llm_call *call, const struct llm_answer *a)
{
    struct llm_reply *r = &call->reply;
    r->code = 0;
    r->text = a->text;
    r->len = a->len;
    r->stop = a->stop;
    r->usage = a->usage;
    r->usage_known = a->usage_known;
    r->usd = a->usage_known ? llm_price_of(&call->llm->price, &a->usage) : NAN;
    r->model = a->model;
    if (!*r->request_id) {
        r->request_id = a->id;
    }
    llm_call_end(call);
}

void llm_call_fail(struct llm_call *call, int code, bool fatal, const char *text)
{
    call->reply.code = code;
    call->reply.fatal = fatal;
    call->reply.error = arena_strdup(call->arena, text);
    llm_call_end(call);
}

static int64_t prompt_tokens(const struct llm_request *q)
{
    int64_t n = PROMPT_TOKENS;
    for (size_t i = 0; i < q->n; i++) {
        n += (int64_t)strlen(q->messages[i].text) + MESSAGE_TOKENS;
    }
    return n;
}

static int64_t answer_tokens(const struct llm *llm, const struct llm_request *q)
{
    return q->max_tokens ? q->max_tokens : llm->options.max_tokens;
}

int64_t llm_try_tokens(const struct llm *llm, const struct llm_request *q)
{
    return prompt_tokens(q) + answer_tokens(llm, q);
}

double llm_try_usd(const struct llm *llm, const struct llm_request *q)
{
    return llm_price_worst(&llm->price, prompt_tokens(q), answer_tokens(llm, q));
}

void llm_call_unsure(struct llm_call *call)
{
    call->reply.tokens_unsure += llm_try_tokens(call->llm, &call->request);
    call->reply.usd_unsure += llm_try_usd(call->llm, &call->request);
}

/* What is replayed costs nothing; what is spooled is asked once. */
static int tries_billed(const struct llm *llm)
{
    return llm->way == &llm_way_replay ? 0 : llm->way == &llm_way_send ? 1 + llm->options.repeats : 1;
}

double llm_worst_usd(const struct llm *llm, const struct llm_request *request)
{
    int n = tries_billed(llm);
    return n ? n * llm_try_usd(llm, request) : 0;
}

int64_t llm_worst_tokens(const struct llm *llm, const struct llm_request *request)
{
    return tries_billed(llm) * llm_try_tokens(llm, request);
}

void llm_prompt_id(const struct llm_request *q, struct id *ret)
{
    struct id_part *parts = xcalloc(2 * q->n, sizeof(*parts));
    for (size_t i = 0; i < q->n; i++) {
        parts[2 * i] = (struct id_part) { q->messages[i].role, strlen(q->messages[i].role) };
        parts[2 * i + 1] = (struct id_part) { q->messages[i].text, strlen(q->messages[i].text) };
    }
    id_of_parts(parts, 2 * q->n, ret);
    free(parts);
}
