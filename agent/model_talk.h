#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Shared by provider_model.c (the life of a call, reading replies) and model_request.c (what is asked,
 * and how it is kept): a model on a campaign, and one sample's conversation with it.
 */
#include "agent/campaign_internal.h"
#include "agent/provider_model.h"
#include "agent/reply.h"

struct model {
    struct provider provider; /* first: the campaign sees only this */
    struct campaign *campaign;
    struct llm *llm; /* NULL in a replay */
    char contract[ID_HEX]; /* hash of the first message, once it is on its way to the store */
    size_t asking, in_a_row; /* failures without an answer in between */
};

struct talk {
    struct model *model;
    const struct ask *ask;
    struct arena *arena;
    struct prompt_turn turns[PROMPT_TURNS_MAX];
    size_t n_turns;
    int64_t n_calls, corrections;
    const struct reply *before;
    /* The call under way. */
    struct llm_message messages[PROMPT_MESSAGES_MAX];
    const char *prompts[PROMPT_MESSAGES_MAX]; /* their hashes; NULL: they are in the store already */
    size_t n_messages;
    struct call_record record;
    struct call_extra extra;
    struct llm_call *call;
    struct turn turn; /* while a commit is over and its turn hasn't come */
    int code;        /* of its failure, with `fatal` */
    bool fatal, reserved, committing, dropped, asking;
    proposal_cb done;
    void *ud;
};

struct store *model_store(const struct talk *talk);

/* model_request.c */
/* The idempotency key of call `number` of the talk. */
const char *model_key(struct talk *talk, int64_t number);
/* The prompt for the talk's turns so far, into its messages. */
int model_build(struct talk *talk, struct err *err);
/* The request as its record has it: roles, and the hashes that its texts lie under in PROMPTS. */
const char *model_request_text(struct talk *talk);
/* The texts themselves; the contract, which is always the same, with the first intent only. */
void model_put_prompts(struct talk *talk, struct store_batch *batch);
