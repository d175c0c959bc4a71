#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Asking language models. One `struct llm` is one provider on one loop; calls are asked, answered
 * once through a callback on a later turn of the loop (never from inside llm_ask), or cancelled.
 *
 *   openai[:MODEL]     any server with /v1/chat/completions
 *   anthropic[:MODEL]  /v1/messages
 *   spool:DIR          requests as DIR/out/KEY.json, replies as DIR/in/KEY.json or KEY.txt
 *   replay:FILE        what was recorded (llm_record.h); no network, no wait
 *
 * Retries, back-off, rate limits and the cap on calls in flight are in here: what reaches the
 * callback is an answer, or an error that trying again wouldn't mend now. Money is counted so that a
 * budget can be hard: reserve llm_worst_usd before asking, settle with usd + usd_unsure.
 *
 * All strings of a request are copied. Those of a reply live until its callback returns.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "base/err.h"
#include "base/id.h"
#include "base/log.h"

struct llm;
struct llm_call;

struct llm_message {
    const char *role, *text; /* role: "system", "user", "assistant" */
};

enum { LLM_KEY_MAX = 128, LLM_MESSAGES_MAX = 64 };

struct llm_request {
    const char *key; /* unique for ever: [A-Za-z0-9._-], not starting with '.'; at most LLM_KEY_MAX */
    const struct llm_message *messages;
    size_t n;
    int64_t max_tokens; /* of the answer, reasoning included; 0: the options' */
    double temperature; /* NAN: the options'; NAN there too: left out */
};

enum llm_stop { LLM_STOP_END, LLM_STOP_LENGTH, LLM_STOP_REFUSED, LLM_STOP_FILTERED, LLM_STOP_OTHER };
const char *llm_stop_name(enum llm_stop stop); /* "end", "length", ... */

/* Tokens. `cached` is the part of `in` read from the provider's cache, `written` the part of `in`
 * written to it (at a price of its own); `reasoning` is the part of `out` that isn't in the text. */
struct llm_usage {
    int64_t in, cached, written, out, reasoning;
};

struct llm_reply {
    int code;          /* 0: answered; a refusal is an answer, see `stop` */
    const char *error; /* what went wrong and what to do; "" if answered */
    bool fatal;        /* no call of this provider can succeed as things are: key, quota, model */
    const char *text;  /* "" if there's none */
    size_t len;
    enum llm_stop stop;
    struct llm_usage usage;
    bool usage_known;        /* false: the reply says nothing (plain text in a spool, some servers) */
    double usd;              /* of this answer; NAN: no price known for the model, or no usage */
    double usd_unsure;       /* most that tries without an answer may have cost besides; NAN as usd */
    int64_t tokens_unsure;   /* the same in tokens */
    const char *model, *request_id; /* as the provider says; "" if it doesn't */
    int tries;
};

typedef void (*llm_cb)(void *ud, const struct llm_reply *reply);

struct llm_options {
    const char *spec;     /* see above */
    const char *model;    /* NULL: the one in `spec` */
    const char *base_url; /* NULL: the provider's own (OPENAI_BASE_URL, ANTHROPIC_BASE_URL) */
    const char *key_file; /* NULL: OPENAI_API_KEY, ANTHROPIC_API_KEY */
    const char *ca_file;  /* trusted besides the system's own; NULL: none */
    const char *proxy;    /* NULL: as the environment says (https_proxy, no_proxy, ...) */
    const char *prices;   /* NULL: the shipped table only; what this file says goes first */
    int64_t max_tokens;   /* 0: 16384 */
    double temperature;   /* NAN: left out */
    double timeout_s;     /* of one try, whole; 0: 600 */
    double stall_s;       /* without a byte in the middle of an answer; 0: 60 */
    double backoff_s;     /* before the first retry, doubled from there; 0: 0.5 */
    int max_in_flight;    /* 0: 256 */
    int retries;          /* -1: 6; of failures that cost nothing (429, 5xx, no connection) */
    int repeats;          /* -1: 1; of a try that was sent whole and got no answer: may be billed twice */
    size_t reply_max;     /* 0: 8 MiB of body, decompressed */
    uint64_t seed;        /* of the jitter */
    const struct log *log; /* NULL is fine */
};

/* All fields as "use the default"; then set what you know. */
void llm_options_init(struct llm_options *options);

/* ERR_INVALID (bad spec, model missing), ERR_ENVIRONMENT (no key, key file open to others), ... */
int llm_open(uv_loop_t *loop, const struct llm_options *options, struct llm **ret, struct err *err);
/* Drops what is pending without calling back. Run the loop afterwards until it is empty. NULL is fine. */
void llm_close(struct llm *llm);

/* ERR_INVALID for a bad key, role or size, ERR_EXISTS for a key that is pending; nothing was sent. */
int llm_ask(struct llm *llm, const struct llm_request *request, llm_cb done, void *ud,
            struct llm_call **ret, struct err *err);
/* No callback any more; what was sent may be billed all the same. Not from the call's own callback. */
void llm_cancel(struct llm_call *call);

/* The most that this request can cost, all repeats included: a token for each byte of the prompt (no
 * tokenizer makes more), all of max_tokens as answer. NAN: no price is known, see llm_price_missing. */
double llm_worst_usd(const struct llm *llm, const struct llm_request *request);
int64_t llm_worst_tokens(const struct llm *llm, const struct llm_request *request);
/* NULL if prices are known; else "no price is known for MODEL: give --prices FILE, ...". */
const char *llm_price_missing(const struct llm *llm);

/* Calls that only somebody outside can bring on (a spool); others in flight finish by themselves. */
size_t llm_waiting(const struct llm *llm);
size_t llm_pending(const struct llm *llm);     /* all, these included */
const char *llm_where(const struct llm *llm); /* replies are awaited here ("DIR/in"), or "" */
const char *llm_name(const struct llm *llm);  /* "openai", "anthropic", "spool", "replay" */
const char *llm_model(const struct llm *llm); /* as asked for; "" if the provider chooses */

/* Hash of roles and texts: what a record is held against. */
void llm_prompt_id(const struct llm_request *request, struct id *ret);
