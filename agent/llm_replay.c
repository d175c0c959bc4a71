/* SPDX-License-Identifier: MIT */
/* Calls written down, one a line, and answered from there. */
#include "agent/llm_internal.h"
#include "agent/llm_record.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = 1 << 30, TOKENS_MAX = 1000000000 };

/* A line with a call, found by its key. */
struct entry {
    char *key;
    size_t at, len, line;
};

struct replay {
    struct llm *llm;
    char *text, *file;
    struct entry *entries;
    size_t n;
};

static void write_reply(struct jwriter *w, const struct llm_reply *r)
{
    jwrite_open(w, "reply", '{');
    jwrite_int(w, "code", r->code);
    if (r->code < 0) {
        jwrite_string(w, "error", r->error);
        jwrite_bool(w, "fatal", r->fatal);
    } else {
        jwrite_string(w, "text", r->text);
        jwrite_string(w, "stop", llm_stop_name(r->stop));
    }
    if (r->usage_known) {
        jwrite_open(w, "usage", '{');
        jwrite_int(w, "in", r->usage.in);
        jwrite_int(w, "cached", r->usage.cached);
        jwrite_int(w, "written", r->usage.written);
        jwrite_int(w, "out", r->usage.out);
        jwrite_int(w, "reasoning", r->usage.reasoning);
        jwrite_close(w, '}');
    }
    if (isfinite(r->usd)) {
        jwrite_real(w, "usd", r->usd);
    }
    if (isfinite(r->usd_unsure)) {
        jwrite_real(w, "usd_unsure", r->usd_unsure);
    }
    jwrite_int(w, "tokens_unsure", r->tokens_unsure);
    jwrite_string(w, "model", r->model);
    jwrite_string(w, "request_id", r->request_id);
    jwrite_int(w, "tries", r->tries);
    jwrite_close(w, '}');
}

int llm_record_call(const struct llm_request *q, const struct llm_reply *reply, struct buf *out)
{
    struct id id;
    char hex[ID_HEX];
    struct jwriter w = { .out = out };
    llm_prompt_id(q, &id);
    id_hex(&id, hex);
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "kind", "call");
    jwrite_string(&w, "key", q->key);
    jwrite_string(&w, "prompt", hex);
    jwrite_open(&w, "messages", '[');
    for (size_t i = 0; i < q->n; i++) {
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "role", q->messages[i].role);
        jwrite_string(&w, "content", q->messages[i].text);
        jwrite_close(&w, '}');
    }
    jwrite_close(&w, ']');
    write_reply(&w, reply);
    jwrite_close(&w, '}');
    return buf_puts(out, "\n");
}

static int read_stop(const char *name, const struct jpath *at, enum llm_stop *ret, struct err *err)
{
    for (int i = 0; i <= LLM_STOP_OTHER; i++) {
        if (str_eq(name, llm_stop_name((enum llm_stop)i))) {
            *ret = (enum llm_stop)i;
            return 0;
        }
    }
    return jread_fail(at, err, "stop: no way to stop is called \"%.40s\"", name);
}

static int read_usage(const json_t *reply, const struct jpath *up, struct llm_reply *ret,
                      struct err *err)
{
    const json_t *usage = json_object_get(reply, "usage");
    struct jpath at = { up, "usage", 0 };
    struct llm_usage *u = &ret->usage;
    if (!usage) {
        return 0;
    }
    const struct {
        const char *key;
        int64_t *to;
    } counts[] = { { "in", &u->in }, { "cached", &u->cached }, { "written", &u->written },
                   { "out", &u->out }, { "reasoning", &u->reasoning } };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(counts); i++) {
        r = jread_int(usage, counts[i].key, i == 0, 0, TOKENS_MAX, &at, counts[i].to, err);
    }
    ret->usage_known = r == 0;
    return r;
}

int llm_replay_read(const json_t *line, struct arena *arena, struct llm_reply *ret, struct err *err)
{
    struct jpath at = { NULL, "reply", 0 };
    const json_t *json = json_object_get(line, "reply");
    const char *text = "", *error = "", *stop = "end", *model = "", *request_id = "";
    int64_t code = 0, tries = 1;
    struct llm_reply r = { .usd = NAN };
    if (!json_is_object(json)) {
        return jread_fail(&at, err, "expected an object, got %s", json ? jread_kind(json) : "nothing");
    }
    int c = jread_int(json, "code", false, INT32_MIN, 0, &at, &code, err);
    c = c < 0 ? c : jread_string(json, "text", code == 0, &at, &text, err);
    c = c < 0 ? c : jread_string(json, "error", code < 0, &at, &error, err);
    c = c < 0 ? c : jread_string(json, "stop", false, &at, &stop, err);
    c = c < 0 ? c : read_stop(stop, &at, &r.stop, err);
    c = c < 0 ? c : jread_bool(json, "fatal", false, &at, &r.fatal, err);
    c = c < 0 ? c : read_usage(json, &at, &r, err);
    c = c < 0 ? c : jread_real(json, "usd", false, 0, 1e9, &at, &r.usd, err);
    c = c < 0 ? c : jread_real(json, "usd_unsure", false, 0, 1e9, &at, &r.usd_unsure, err);
    c = c < 0 ? c : jread_int(json, "tokens_unsure", false, 0, INT64_C(1) << 50, &at,
                              &r.tokens_unsure, err);
    c = c < 0 ? c : jread_string(json, "model", false, &at, &model, err);
    c = c < 0 ? c : jread_string(json, "request_id", false, &at, &request_id, err);
    c = c < 0 ? c : jread_int(json, "tries", false, 0, 1000000, &at, &tries, err);
    if (c < 0) {
        return c;
    }
    r.code = (int)code;
    r.fatal = r.fatal && code < 0;
    r.tries = (int)tries;
    r.text = arena_strdup(arena, text);
    r.len = strlen(text);
    r.error = arena_strdup(arena, error);
    r.model = arena_strdup(arena, model);
    r.request_id = arena_strdup(arena, request_id);
    *ret = r;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* Line by line, so that only one is a tree at a time. Lines of other kinds aren't ours. */
static int index_line(struct replay *p, size_t at, size_t len, size_t number, struct err *err)
{
    json_t *json = NULL;
    const char *kind = "", *key = NULL, *prompt = NULL;
    int r = jread_parse(p->text + at, len, &json, err);
    r = r < 0 ? r : jread_string(json, "kind", true, NULL, &kind, err);
    if (r == 0 && str_eq(kind, "call")) {
        auto_arena struct arena *arena = arena_new();
        struct llm_reply reply;
        r = jread_string(json, "key", true, NULL, &key, err);
        r = r < 0 ? r : jread_string(json, "prompt", true, NULL, &prompt, err);
        r = r < 0 ? r : llm_replay_read(json, arena, &reply, err);
        if (r == 0) {
            p->entries = p->n & (p->n - 1) ? p->entries
                                           : xrealloc(p->entries, p->n ? 2 * p->n : 1,
                                                      sizeof(*p->entries));
            p->entries[p->n++] = (struct entry) { xstrdup(key), at, len, number };
        }
    }
    json_decref(json);
    return r < 0 ? err_wrap(err, "%s:%zu", p->file, number) : 0;
}

static int index_file(struct replay *p, size_t len, struct err *err)
{
    size_t number = 1;
    for (size_t at = 0; at < len; number++) {
        const char *end = memchr(p->text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (p->text + at)) : len - at;
        int r = n ? index_line(p, at, n, number, err) : 0;
        if (r < 0) {
            return r;
        }
        at += n + 1;
    }
    if (p->n) {
        qsort(p->entries, p->n, sizeof(*p->entries), by_key);
    }
    for (size_t i = 1; i < p->n; i++) {
        if (str_eq(p->entries[i].key, p->entries[i - 1].key)) {
            return err_set(err, ERR_INVALID, "%s:%zu: call %s is recorded twice (see line %zu)",
                           p->file, MAX(p->entries[i].line, p->entries[i - 1].line),
                           p->entries[i].key, MIN(p->entries[i].line, p->entries[i - 1].line));
        }
    }
    return p->n ? 0 : err_set(err, ERR_INVALID, "%s: no recorded call in it", p->file);
}

/* Where two texts part, with what stands there in each. */
static void describe_text(const char *was, const char *is, char *ret, size_t size)
{
    size_t at = 0;
    while (was[at] && was[at] == is[at]) {
        at++;
    }
    size_t from = at > 20 ? at - 20 : 0;
    char before[60], after[60];
    llm_wire_quote(was + from, strnlen(was + from, 45), before, sizeof(before));
    llm_wire_quote(is + from, strnlen(is + from, 45), after, sizeof(after));
    snprintf(ret, size, "at byte %zu: recorded \"%s\", now \"%s\"", at, before, after);
}

static void describe_change(const json_t *line, const struct llm_request *q, char *ret, size_t size)
{
    const json_t *messages = json_object_get(line, "messages");
    if (!json_is_array(messages)) {
        snprintf(ret, size, "the record holds no messages to compare with");
        return;
    }
    for (size_t i = 0; i < MIN(q->n, json_array_size(messages)); i++) {
        const json_t *m = json_array_get(messages, i);
        const char *role = json_string_value(json_object_get(m, "role"));
        const char *text = json_string_value(json_object_get(m, "content"));
        if (!role || !text || !str_eq(role, q->messages[i].role)) {
            snprintf(ret, size, "messages[%zu] is another role's", i);
            return;
        }
        if (!str_eq(text, q->messages[i].text)) {
            char where[200];
            describe_text(text, q->messages[i].text, where, sizeof(where));
            snprintf(ret, size, "messages[%zu] (%s) differs %s", i, role, where);
            return;
        }
    }
    snprintf(ret, size, "%zu messages were recorded, now there are %zu", json_array_size(messages),
             q->n);
}

static int replay_start(struct llm_call *call, struct err *err)
{
    struct replay *p = call->llm->state;
    struct entry wanted = { .key = (char *)(uintptr_t)call->request.key };
    const struct entry *e = bsearch(&wanted, p->entries, p->n, sizeof(*e), by_key);
    char text[600], change[400], hex[ID_HEX];
    if (!e) {
        snprintf(text, sizeof(text), "%s: no call %s was recorded: this campaign goes another way than "
                 "the recorded one", p->file, call->request.key);
        llm_call_fail(call, ERR_NOTFOUND, true, text);
        return 0;
    }
    json_t *line = NULL;
    int r = jread_parse(p->text + e->at, e->len, &line, err);
    const char *prompt = r < 0 ? NULL : json_string_value(json_object_get(line, "prompt"));
    struct id id;
    llm_prompt_id(&call->request, &id);
    id_hex(&id, hex);
    if (r == 0 && str_eq(prompt, hex)) {
        r = llm_replay_read(line, call->arena, &call->reply, err);
        if (r == 0) {
            llm_call_end(call);
        }
    } else if (r == 0) {
        describe_change(line, &call->request, change, sizeof(change));
        snprintf(text, sizeof(text), "%s:%zu: call %s isn't the recorded one: %s", p->file, e->line,
                 e->key, change);
        llm_call_fail(call, ERR_INVALID, true, text);
    }
    json_decref(line);
    return r;
}

static void replay_cancel(struct llm_call *call)
{
    (void)call; /* nothing is in flight */
}

static void replay_free(struct replay *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->entries[i].key);
    }
    free(p->entries);
    free(p->text);
    free(p->file);
    free(p);
}

static void replay_close(struct llm *llm)
{
    replay_free(llm->state);
}

const struct llm_way llm_way_replay = { .start = replay_start, .cancel = replay_cancel,
                                        .close = replay_close };

int llm_replay_open(struct llm *llm, const char *file, struct err *err)
{
    struct replay *p = xcalloc(1, sizeof(*p));
    size_t len;
    p->llm = llm;
    p->file = xstrdup(file);
    int r = file_read(file, RECORD_MAX, &p->text, &len, err);
    r = r < 0 ? r : index_file(p, len, err);
    if (r < 0) {
        replay_free(p);
        return r;
    }
    llm->state = p;
    return 0;
}
