/* SPDX-License-Identifier: MIT */
/* Chat completions: https://platform.openai.com/docs/api-reference/chat */
#include "agent/llm_wire.h"
#include "base/util.h"

#include <string.h>

static int openai_body(const struct llm_request *q, const struct llm_shape *shape, struct buf *out)
{
    struct jwriter w = { .out = out };
    jwrite_open(&w, NULL, '{');
    if (*shape->model) { /* else whoever answers chooses */
        jwrite_string(&w, "model", shape->model);
    }
    jwrite_open(&w, "messages", '[');
    for (size_t i = 0; i < q->n; i++) {
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "role", q->messages[i].role);
        jwrite_string(&w, "content", q->messages[i].text);
        jwrite_close(&w, '}');
    }
    jwrite_close(&w, ']');
    jwrite_int(&w, shape->old_max_tokens ? "max_tokens" : "max_completion_tokens",
               shape->max_tokens);
    if (shape->temperature == shape->temperature && !shape->temperature_refused) {
        jwrite_real(&w, "temperature", shape->temperature);
    }
    jwrite_close(&w, '}');
    return out->failed;
}

static bool read_usage(const json_t *body, struct llm_usage *ret)
{
    const json_t *usage = json_object_get(body, "usage");
    const json_t *in = json_object_get(usage, "prompt_tokens_details");
    const json_t *out = json_object_get(usage, "completion_tokens_details");
    struct llm_usage u = { 0 };
    bool good = json_is_object(usage) && json_object_get(usage, "prompt_tokens")
        && json_object_get(usage, "completion_tokens")
        && llm_wire_count(usage, "prompt_tokens", &u.in)
        && llm_wire_count(usage, "completion_tokens", &u.out)
        && llm_wire_count(in, "cached_tokens", &u.cached)
        && llm_wire_count(out, "reasoning_tokens", &u.reasoning) && u.cached <= u.in;
    *ret = good ? u : (struct llm_usage) { 0 };
    return good;
}

static enum llm_stop read_stop(const json_t *choice)
{
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    return !reason                        ? LLM_STOP_OTHER
        : str_eq(reason, "stop")          ? LLM_STOP_END
        : str_eq(reason, "length")        ? LLM_STOP_LENGTH
        : str_eq(reason, "content_filter") ? LLM_STOP_FILTERED
                                          : LLM_STOP_OTHER;
}

static int openai_read(const json_t *body, struct arena *arena, struct llm_answer *ret,
                       struct err *err)
{
    const json_t *choice = json_array_get(json_object_get(body, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    if (!json_is_object(message)) {
        return err_set(err, ERR_PROTOCOL, "choices[0].message: expected an object, got %s",
                       message ? jread_kind(message) : "nothing");
    }
    struct llm_answer a = { .text = "", .stop = read_stop(choice) };
    const json_t *content = json_object_get(message, "content");
    const json_t *refusal = json_object_get(message, "refusal");
    if (json_is_string(refusal) && json_string_length(refusal)) {
        a.stop = LLM_STOP_REFUSED;
        content = refusal;
    }
    if (content && !json_is_null(content)) {
        int r = llm_wire_text(content, arena, &a.text, &a.len, err);
        if (r < 0) {
            return err_wrap(err, "choices[0].message");
        }
    }
    a.usage_known = read_usage(body, &a.usage);
    a.model = llm_wire_string(body, "model", arena);
    a.id = llm_wire_string(body, "id", arena);
    *ret = a;
    return 0;
}

const struct llm_wire llm_openai = {
    .name = "openai",
    .path = "/v1/chat/completions",
    .base_url = "https://api.openai.com",
    .url_env = "OPENAI_BASE_URL",
    .key_env = "OPENAI_API_KEY",
    .key_header = "Authorization: Bearer ",
    /* Not documented for this address; servers in front of it may honour it. Never relied on. */
    .idempotency_header = "Idempotency-Key: ",
    .body = openai_body,
    .read = openai_read,
};
