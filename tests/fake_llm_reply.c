/* SPDX-License-Identifier: MIT */
#include "tests/fake_llm_reply.h"
#include "base/jwrite.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

enum { ANSWER_MAX = 32 << 20, PIECE = 65536, HUGE_BYTES = 100 << 20 };

static const char *reason_of(int status)
{
    return status == 200 ? "OK" : status == 429 ? "Too Many Requests" : "Whatever";
}

static void put_head(struct fake_answer *a, int status, const char *extra, int64_t length)
{
    a->status = status;
    buf_printf(&a->bytes, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nx-request-id: req_%d\r\n%s",
               status, reason_of(status), status, extra);
    if (length >= 0) {
        buf_printf(&a->bytes, "Content-Length: %lld\r\n", (long long)length);
    }
    buf_puts(&a->bytes, "\r\n");
}

static void put_answer(struct fake_answer *a, int status, const char *extra, const char *body)
{
    put_head(a, status, extra, (int64_t)strlen(body));
    buf_puts(&a->bytes, body);
}

static void put_error(struct fake_answer *a, const struct fake_question *q, int status,
                      const char *extra, const char *type, const char *code, const char *param,
                      const char *message)
{
    auto_buf struct buf body;
    struct jwriter w = { .out = &body };
    buf_init(&body, ANSWER_MAX);
    jwrite_open(&w, NULL, '{');
    if (strstr(q->path, "/messages")) {
        jwrite_string(&w, "type", "error");
    }
    jwrite_open(&w, "error", '{');
    jwrite_string(&w, "type", type);
    jwrite_string(&w, "message", message);
    if (!strstr(q->path, "/messages")) {
        jwrite_string(&w, "code", code);
        jwrite_string(&w, "param", param);
    }
    jwrite_close(&w, '}');
    jwrite_close(&w, '}');
    put_answer(a, status, extra, body.at);
}

/* A chat completion, or a message, as the address asks for. */
static void write_good(struct buf *out, const struct fake_question *q, const char *stop,
                       const char *refusal)
{
    struct jwriter w = { .out = out };
    bool messages = strstr(q->path, "/messages");
    int64_t in = (int64_t)q->body_len / 4, answer = (int64_t)strlen(q->text) / 4 + 1;
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "id", messages ? "msg_1" : "chatcmpl-1");
    jwrite_string(&w, "model", "fake-1");
    if (messages) {
        jwrite_string(&w, "type", "message");
        jwrite_string(&w, "role", "assistant");
        jwrite_open(&w, "content", '[');
        jwrite_json(&w, NULL, "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"}");
        jwrite_open(&w, NULL, '{');
        jwrite_string(&w, "type", "text");
        jwrite_string(&w, "text", refusal ? refusal : q->text);
        jwrite_close(&w, '}');
        jwrite_close(&w, ']');
        jwrite_string(&w, "stop_reason", stop);
        jwrite_null(&w, "stop_sequence");
        jwrite_open(&w, "usage", '{');
        jwrite_int(&w, "input_tokens", in / 4);
        jwrite_int(&w, "cache_creation_input_tokens", in / 4);
        jwrite_int(&w, "cache_read_input_tokens", in / 2);
        jwrite_int(&w, "output_tokens", answer);
        jwrite_close(&w, '}');
    } else {
        jwrite_string(&w, "object", "chat.completion");
        jwrite_open(&w, "choices", '[');
        jwrite_open(&w, NULL, '{');
        jwrite_int(&w, "index", 0);
        jwrite_open(&w, "message", '{');
        jwrite_string(&w, "role", "assistant");
        jwrite_string(&w, refusal ? "refusal" : "content", refusal ? refusal : q->text);
        jwrite_null(&w, refusal ? "content" : "refusal");
        jwrite_close(&w, '}');
        jwrite_string(&w, "finish_reason", stop);
        jwrite_close(&w, '}');
        jwrite_close(&w, ']');
        jwrite_open(&w, "usage", '{');
        jwrite_int(&w, "prompt_tokens", in);
        jwrite_int(&w, "completion_tokens", answer);
        jwrite_int(&w, "total_tokens", in + answer);
        jwrite_json(&w, "prompt_tokens_details", "{\"cached_tokens\":0,\"audio_tokens\":0}");
        jwrite_json(&w, "completion_tokens_details", "{\"reasoning_tokens\":1}");
        jwrite_close(&w, '}');
    }
    jwrite_close(&w, '}');
}

static void good(struct fake_answer *a, const struct fake_question *q)
{
    auto_buf struct buf body;
    buf_init(&body, ANSWER_MAX);
    write_good(&body, q, strstr(q->path, "/messages") ? "end_turn" : "stop", NULL);
    put_answer(a, 200, "", body.at);
}

static void stopped(struct fake_answer *a, const struct fake_question *q, const char *openai,
                    const char *anthropic, const char *refusal)
{
    auto_buf struct buf body;
    buf_init(&body, ANSWER_MAX);
    write_good(&body, q, strstr(q->path, "/messages") ? anthropic : openai, refusal);
    put_answer(a, 200, "", body.at);
}

static void put_date(struct fake_answer *a, const struct fake_question *q)
{
    char date[64], header[96];
    time_t at = time(NULL) + 2;
    struct tm tm;
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
    snprintf(header, sizeof(header), "Retry-After: %s\r\n", date);
    put_error(a, q, 429, header, "rate_limit_error", "rate_limit_exceeded", "", "slow down");
}

/* A good answer, but promised longer than it is, or changed. */
static void spoiled(struct fake_answer *a, const struct fake_question *q, const char *how)
{
    auto_buf struct buf body;
    buf_init(&body, ANSWER_MAX);
    write_good(&body, q, "stop", NULL);
    if (str_eq(how, "truncated")) { /* whole as HTTP, half as JSON */
        body.at[body.len / 2] = '\0';
        put_answer(a, 200, "", body.at);
        return;
    }
    put_head(a, 200, "", (int64_t)body.len + (str_eq(how, "drip") ? 0 : 1000));
    buf_puts(&a->bytes, body.at);
    a->pace = str_eq(how, "cut") ? FAKE_PACE_CUT : str_eq(how, "stall") ? FAKE_PACE_STALL
                                                                        : FAKE_PACE_DRIP;
}

/* Spaces that compress to almost nothing. */
static void bomb(struct fake_answer *a)
{
    size_t raw = 64 << 20, room = ZSTD_compressBound(raw);
    char *spaces = xrealloc(NULL, raw, 1), *packed = xrealloc(NULL, room, 1);
    memset(spaces, ' ', raw);
    size_t n = ZSTD_compress(packed, room, spaces, raw, 1);
    put_head(a, 200, "Content-Encoding: zstd\r\n", (int64_t)n);
    buf_add(&a->bytes, packed, n);
    free(spaces);
    free(packed);
}

static void huge(struct fake_answer *a)
{
    a->status = 200;
    buf_printf(&a->bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    a->pace = FAKE_PACE_PIECES; /* the sender makes chunks of spaces */
    a->repeat = HUGE_BYTES / PIECE;
}

static void flood(struct fake_answer *a)
{
    buf_puts(&a->bytes, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++) {
        buf_printf(&a->bytes, "x-header-%d: nothing\r\n", i);
    }
    buf_puts(&a->bytes, "Content-Length: 0\r\n\r\n");
}

/* Blank lines while a model thinks, as some servers send, and an answer in chunks. */
static void blank(struct fake_answer *a, const struct fake_question *q)
{
    auto_buf struct buf body;
    buf_init(&body, ANSWER_MAX);
    buf_puts(&body, "\n\n\n\n");
    write_good(&body, q, "stop", NULL);
    put_head(a, 200, "Transfer-Encoding: chunked\r\n", -1);
    for (size_t at = 0; at < body.len; at += 7) {
        size_t n = MIN((size_t)7, body.len - at);
        buf_printf(&a->bytes, "%zx\r\n", n);
        buf_add(&a->bytes, body.at + at, n);
        buf_puts(&a->bytes, "\r\n");
    }
    buf_puts(&a->bytes, "0\r\n\r\n");
}

/* Takes what real models of both providers take: refuses what they refuse, in their words. */
static void picky(struct fake_answer *a, const struct fake_question *q)
{
    if (strstr(q->body, "\"temperature\"")) {
        put_error(a, q, 400, "", "invalid_request_error", "unsupported_value", "temperature",
                  strstr(q->path, "/messages")
                      ? "`temperature` is deprecated for this model."
                      : "Unsupported value: 'temperature' does not support 0.5 with this model. Only the "
                        "default (1) value is supported.");
    } else if (strstr(q->body, "\"max_tokens\"") && !strstr(q->path, "/messages")) {
        put_error(a, q, 400, "", "invalid_request_error", "unsupported_parameter", "max_tokens",
                  "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                  "'max_completion_tokens' instead.");
    } else {
        good(a, q);
    }
}

static bool make_odd(const char *name, const struct fake_question *q, struct fake_answer *a)
{
    if (str_eq(name, "cut") || str_eq(name, "stall") || str_eq(name, "drip")
        || str_eq(name, "truncated")) {
        spoiled(a, q, name);
    } else if (str_eq(name, "reset")) {
        a->pace = FAKE_PACE_RESET;
    } else if (str_eq(name, "silent")) {
        a->pace = FAKE_PACE_SILENT;
    } else if (str_eq(name, "garbage")) {
        buf_puts(&a->bytes, "this is no HTTP\r\n\r\n");
        a->pace = FAKE_PACE_CUT;
    } else if (str_eq(name, "html")) {
        buf_puts(&a->bytes, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n\r\n"
                            "<html>Sign in</html>\r\n");
    } else if (str_eq(name, "list")) {
        put_answer(a, 200, "", "[]");
    } else if (str_eq(name, "shapeless")) {
        put_answer(a, 200, "", "{\"choices\":[{\"message\":5}],\"content\":5}");
    } else if (str_eq(name, "badzip")) {
        put_answer(a, 200, "Content-Encoding: gzip\r\n", "not gzip at all, not at all");
    } else if (str_eq(name, "bomb")) {
        bomb(a);
    } else if (str_eq(name, "huge")) {
        huge(a);
    } else if (str_eq(name, "flood")) {
        flood(a);
    } else if (str_eq(name, "blank")) {
        blank(a, q);
    } else if (str_eq(name, "late")) {
        good(a, q);
        a->pace = FAKE_PACE_LATE;
    } else if (str_eq(name, "picky")) {
        picky(a, q);
    } else if (str_eq(name, "redirect")) {
        put_answer(a, 302, "Location: http://127.0.0.1:1/elsewhere\r\n", "");
    } else if (str_eq(name, "routed")) { /* 200, with what went wrong behind the router */
        put_answer(a, 200, "", "{\"error\":{\"message\":\"busy there\",\"code\":429}}");
    } else {
        return false;
    }
    return true;
}

static bool make_refusal(const char *name, const struct fake_question *q, struct fake_answer *a)
{
    if (str_eq(name, "401")) {
        put_error(a, q, 401, "", "authentication_error", "invalid_api_key", "",
                  "Incorrect API key: sk-secret");
    } else if (str_eq(name, "402")) {
        put_error(a, q, 402, "", "billing_error", "", "", "pay first");
    } else if (str_eq(name, "403")) {
        put_error(a, q, 403, "", "permission_error", "", "", "not for you");
    } else if (str_eq(name, "404")) {
        put_error(a, q, 404, "", "not_found_error", "model_not_found", "", "no such model");
    } else if (str_eq(name, "400")) {
        put_error(a, q, 400, "", "invalid_request_error", "context_length_exceeded", "messages",
                  "too long by far");
    } else if (str_eq(name, "413")) {
        put_error(a, q, 413, "", "request_too_large", "", "", "too large");
    } else if (str_eq(name, "quota")) {
        put_error(a, q, 429, "", "insufficient_quota", "insufficient_quota", "",
                  "You exceeded your current quota");
    } else if (str_eq(name, "credit")) {
        put_error(a, q, 400, "", "invalid_request_error", "", "",
                  "Your credit balance is too low to access the API.");
    } else if (str_eq(name, "final")) {
        put_error(a, q, 500, "x-should-retry: false\r\n", "server_error", "", "", "don't come back");
    } else {
        return false;
    }
    return true;
}

bool fake_answer_make(const char *name, const struct fake_question *q, struct fake_answer *a)
{
    *a = (struct fake_answer) { .pace = FAKE_PACE_WHOLE };
    buf_init(&a->bytes, ANSWER_MAX);
    if (str_eq(name, "ok")) {
        good(a, q);
    } else if (str_eq(name, "429")) {
        put_error(a, q, 429, "", "rate_limit_error", "rate_limit_exceeded", "", "slow down");
    } else if (str_eq(name, "429after")) {
        put_error(a, q, 429, "Retry-After: 1\r\n", "rate_limit_error", "rate_limit_exceeded", "",
                  "slow down");
    } else if (str_eq(name, "429ms")) {
        put_error(a, q, 429, "retry-after-ms: 300\r\n", "rate_limit_error", "", "", "slow down");
    } else if (str_eq(name, "429date")) {
        put_date(a, q);
    } else if (str_eq(name, "429long")) {
        put_error(a, q, 429, "Retry-After: 86400\r\n", "rate_limit_error", "", "", "come tomorrow");
    } else if (str_eq(name, "500") || str_eq(name, "502") || str_eq(name, "503")
               || str_eq(name, "504") || str_eq(name, "529") || str_eq(name, "408")) {
        put_error(a, q, atoi(name), "", str_eq(name, "529") ? "overloaded_error" : "server_error", "",
                  "", "in trouble");
    } else if (str_eq(name, "length")) {
        stopped(a, q, "length", "max_tokens", NULL);
    } else if (str_eq(name, "filter")) {
        stopped(a, q, "content_filter", "refusal", NULL);
    } else if (str_eq(name, "refusal")) {
        stopped(a, q, "stop", "refusal", "I won't.");
    } else {
        return make_refusal(name, q, a) || make_odd(name, q, a);
    }
    return true;
}
