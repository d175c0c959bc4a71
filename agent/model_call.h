#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One call of a language model that must not get lost, from intent to use:
 *
 *     words -> reserve the worst price -> INTENT durable -> sent -> settle -> ANSWER durable -> use
 *
 * A call's record stands under campaign, task, seq and number. One that the store has an answer of is
 * used at once; one that it has an intent of is sent again, under its key and with its words, and its
 * worst case counts as spent besides. Whoever asks (a provider of candidates, a tuner) embeds a struct
 * model_call and is told how it ended; what it makes of the reply is its own.
 */
#include "agent/budget.h"
#include "agent/ledger.h"
#include "agent/llm.h"
#include "agent/turns.h"

/* An opened model, what its calls may spend, and where they are kept; shared by all who ask it. */
struct model_desk {
    struct llm *llm;     /* NULL in a replay: the record answers; or where none could be opened */
    const char *missing; /* why, in that case: every new call fails with it */
    struct store *store;
    struct budget *budget;
    struct turns *turns;
    const char *campaign, *provider;
    bool replay;
    char contract[ID_HEX]; /* hash of the first message, once it is on its way to the store */
    size_t asking, in_a_row; /* calls under way; failures without an answer in between */
};

enum model_call_end {
    MODEL_CALL_ANSWERED, /* record.reply is durable */
    MODEL_CALL_REFUSED,  /* the model refused, or was kept from answering */
    MODEL_CALL_FAILED,   /* no answer, after all retries; see model_call_hopeless */
    MODEL_CALL_BUDGET,   /* not sent: it might cost more than is left */
    MODEL_CALL_BROKEN,   /* the store or the call itself: `code` says what */
};

struct model_call;
/* Fills messages and n_messages, for a call that no record knows yet. */
typedef int (*model_call_words)(struct model_call *call, struct err *err);
/* `why` is "" for an answer. May come from inside model_call_begin; the next call may begin in it. */
typedef void (*model_call_done)(struct model_call *call, enum model_call_end end, const char *why);

struct model_call {
    struct model_desk *desk;
    struct arena *arena; /* the owner's; must outlive it */
    const char *task;
    int64_t seq;
    model_call_words words;
    model_call_done done;
    /* The call under way, or that ended last. */
    struct llm_message messages[LLM_MESSAGES_MAX];
    const char *prompts[LLM_MESSAGES_MAX]; /* their hashes; NULL: they are in the store already */
    size_t n_messages;
    struct call_record record;
    struct call_extra extra;
    int code; /* of its failure, with `fatal` */
    bool fatal;
    /* Its life's own. */
    struct llm_call *call;
    struct turn turn; /* while a commit is over and its turn hasn't come */
    bool reserved, committing, begun;
    void (*dropped)(struct model_call *call);
};

/* Number `number` of task and seq. `kind` is for the ledger: "ask", "correction", "repair", "tune". */
void model_call_begin(struct model_call *call, int64_t number, const char *kind);
/* `done` doesn't come any more; `dropped` does, once, now or when a commit has ended: to free it. */
void model_call_drop(struct model_call *call, void (*dropped)(struct model_call *call));
/* After MODEL_CALL_FAILED: would the next call fare no better? */
bool model_call_hopeless(const struct model_call *call);

/* model_request.c: how a request is kept, its texts once each, under their hashes. */
/* The idempotency key of call `number`. */
const char *model_request_key(struct model_call *call, int64_t number);
/* The request as its record has it: roles, and the hashes that its texts lie under in PROMPTS. */
const char *model_request_text(struct model_call *call);
/* The texts themselves; the contract, which is always the same, with the first intent only. */
void model_request_put(struct model_call *call, struct store_batch *batch);
/* The messages of a call's record, from PROMPTS. */
int model_request_read(struct store *store, const char *text, struct arena *arena,
                       struct llm_message *ret, size_t most, size_t *ret_n, struct err *err);
