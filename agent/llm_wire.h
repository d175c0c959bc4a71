#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The two public wire formats, pure: a request as body text, a body as an answer or an error. Neither
 * streams: usage comes in one piece, a cut is seen by length, and nothing could be done with half a
 * kernel. What isn't ours to check (unknown members, further choices) is passed over; what is used is
 * checked.
 *
 *   llm_openai.c     POST /v1/chat/completions
 *   llm_anthropic.c  POST /v1/messages, version 2023-06-01
 */
#include "agent/llm.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/jread.h"

enum { LLM_ERROR_MAX = 600 }; /* bytes kept of what a provider says went wrong */

/* How a model wants to be asked; `..._refused` is learned from its error bodies. */
struct llm_shape {
    const char *model;
    int64_t max_tokens;
    double temperature;       /* NAN: left out */
    bool old_max_tokens;      /* "max_tokens", not "max_completion_tokens" (openai) */
    bool temperature_refused;
};

/* An answer; strings in the arena. */
struct llm_answer {
    const char *text;
    size_t len;
    enum llm_stop stop;
    struct llm_usage usage;
    bool usage_known;
    const char *model, *id;
};

/* An error body, its texts made fit for a terminal. "" for what it doesn't say. */
struct llm_problem {
    char message[LLM_ERROR_MAX], type[64], code[64], param[64];
};

struct llm_wire {
    const char *name, *path, *base_url, *url_env, *key_env, *key_header, *extra_header;
    const char *idempotency_header; /* NULL: the provider documents none */
    /* ERR_TOOBIG where `out` is full. */
    int (*body)(const struct llm_request *request, const struct llm_shape *shape, struct buf *out);
    /* ERR_PROTOCOL, with what was expected and where. */
    int (*read)(const json_t *body, struct arena *arena, struct llm_answer *ret, struct err *err);
};

extern const struct llm_wire llm_openai, llm_anthropic;

/* A body of any bytes as JSON: no depth or NUL can hurt. ERR_PROTOCOL. */
int llm_wire_parse(const char *body, size_t len, json_t **ret, struct err *err);
/* {"error": {...}} in the forms that servers use; false if it isn't one. Both formats. */
bool llm_wire_problem(const json_t *body, struct llm_problem *ret);
/* Which of our parameters the problem is about: changes `shape` and says true if asking in the new
 * shape may help. */
bool llm_wire_reshape(const struct llm_problem *problem, struct llm_shape *shape);

/* For the readers: a string member or ""; texts in pieces of type "text"; a count, 0 if absent. */
const char *llm_wire_string(const json_t *object, const char *key, struct arena *arena);
int llm_wire_text(const json_t *content, struct arena *arena, const char **ret, size_t *ret_len,
                  struct err *err);
bool llm_wire_count(const json_t *object, const char *key, int64_t *ret);

/* Bytes from outside for an error text: printable, one line, cut. */
void llm_wire_quote(const char *bytes, size_t len, char *ret, size_t size);
