/* SPDX-License-Identifier: MIT */
/* Messages: https://docs.claude.com/en/api/messages, errors: .../api/errors */
#include "agent/llm_wire.h"
#include "base/util.h"

#include <string.h>

/* One text block; the mark says: what stands up to here may be read from the cache next time. */
static void write_block(struct jwriter *w, const char *text, bool mark)
{
    jwrite_open(w, NULL, '{');
    jwrite_string(w, "type", "text");
    jwrite_string(w, "text", text);
    if (mark) {
        jwrite_open(w, "cache_control", '{');
        jwrite_string(w, "type", "ephemeral");
        jwrite_close(w, '}');
    }
    jwrite_close(w, '}');
}

/* A block without text is refused, so an empty answer that is talked about leaves its turn out: turns
 * of one role in a row count as one. */
static bool is_blank(const struct llm_message *m)
{
    return m->text[strspn(m->text, " \t\r\n")] == '\0';
}

/* System messages stand outside of the turns. The last of them, and the first user message (task and
 * parent, the same for every sample and correction of a step) end a stable prefix. */
static int anthropic_body(const struct llm_request *q, const struct llm_shape *shape, struct buf *out)
{
    struct jwriter w = { .out = out };
    size_t system_last = q->n, user_first = q->n;
    for (size_t i = 0; i < q->n; i++) {
        if (is_blank(&q->messages[i])) {
            continue;
        }
        if (str_eq(q->messages[i].role, "system")) {
            system_last = i;
        } else if (user_first == q->n) {
            user_first = i;
        }
    }
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "model", shape->model);
    jwrite_int(&w, "max_tokens", shape->max_tokens);
    if (shape->temperature == shape->temperature && !shape->temperature_refused) {
        jwrite_real(&w, "temperature", MIN(shape->temperature, 1.0)); /* its range ends there */
    }
    if (system_last < q->n) {
        jwrite_open(&w, "system", '[');
        for (size_t i = 0; i <= system_last; i++) {
            if (str_eq(q->messages[i].role, "system") && !is_blank(&q->messages[i])) {
                write_block(&w, q->messages[i].text, i == system_last);
            }
        }
        jwrite_close(&w, ']');
    }
    jwrite_open(&w, "messages", '[');
    for (size_t i = 0; i < q->n; i++) {
        if (str_eq(q->messages[i].role, "system") || is_blank(&q->messages[i])) {
            continue;
        }
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "role", q->messages[i].role);
        jwrite_open(&w, "content", '[');
        write_block(&w, q->messages[i].text, i == user_first);
        jwrite_close(&w, ']');
        jwrite_close(&w, '}');
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
    return out->failed;
}

/* Three counts of input that don't overlap: fresh, written to the cache, read from it. */
static bool read_usage(const json_t *body, struct llm_usage *ret)
{
    const json_t *usage = json_object_get(body, "usage");
    struct llm_usage u = { 0 };
    int64_t fresh = 0;
    bool good = json_is_object(usage) && json_object_get(usage, "input_tokens")
        && json_object_get(usage, "output_tokens") && llm_wire_count(usage, "input_tokens", &fresh)
        && llm_wire_count(usage, "cache_creation_input_tokens", &u.written)
        && llm_wire_count(usage, "cache_read_input_tokens", &u.cached)
        && llm_wire_count(usage, "output_tokens", &u.out); /* thinking included, not told apart */
    u.in = fresh + u.written + u.cached;
    *ret = good ? u : (struct llm_usage) { 0 };
    return good;
}

static enum llm_stop read_stop(const json_t *body)
{
    const char *reason = json_string_value(json_object_get(body, "stop_reason"));
    return !reason                                                  ? LLM_STOP_OTHER
        : str_eq(reason, "end_turn") || str_eq(reason, "stop_sequence") ? LLM_STOP_END
        : str_eq(reason, "max_tokens")
            || str_eq(reason, "model_context_window_exceeded")      ? LLM_STOP_LENGTH
        : str_eq(reason, "refusal")                                 ? LLM_STOP_REFUSED
                                                                    : LLM_STOP_OTHER;
}

static int anthropic_read(const json_t *body, struct arena *arena, struct llm_answer *ret,
                          struct err *err)
{
    const json_t *content = json_object_get(body, "content");
    if (!json_is_array(content)) {
        return err_set(err, ERR_PROTOCOL, "content: expected an array, got %s",
                       content ? jread_kind(content) : "nothing");
    }
    struct llm_answer a = { .text = "", .stop = read_stop(body) };
    int r = llm_wire_text(content, arena, &a.text, &a.len, err);
    if (r < 0) {
        return r;
    }
    a.usage_known = read_usage(body, &a.usage);
    a.model = llm_wire_string(body, "model", arena);
    a.id = llm_wire_string(body, "id", arena);
    *ret = a;
    return 0;
}

const struct llm_wire llm_anthropic = {
    .name = "anthropic",
    .path = "/v1/messages",
    .base_url = "https://api.anthropic.com",
    .url_env = "ANTHROPIC_BASE_URL",
    .key_env = "ANTHROPIC_API_KEY",
    .key_header = "x-api-key: ",
    .extra_header = "anthropic-version: 2023-06-01",
    .idempotency_header = NULL,
    .body = anthropic_body,
    .read = anthropic_read,
};
