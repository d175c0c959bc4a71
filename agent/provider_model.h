#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A language model as a provider: builds the prompt, asks, reads the reply, asks again with a precise
 * correction where it can't be used, and with the compiler's or the gate's words where its candidate
 * failed.
 *
 * Every call is a record of the store: "intent", with the request and its worst price, before it is
 * sent; "answered", with the reply and what it cost, before it is used. The records stand under
 * campaign, task, attempt and turn, so a step that is done again after a kill finds its answers; an
 * intent without one is sent again under the same key, and its worst case counts as spent besides.
 */
#include "agent/llm.h"
#include "agent/provider.h"
#include "memory/store.h"

struct campaign;

enum { MODEL_CORRECTIONS = 2 }; /* of one reply; repairs are the campaign's to count */

/*
 * Opens the model that the campaign's options name. ERR_INVALID: no such provider, or a budget in
 * dollars without a price; ERR_ENVIRONMENT: no key. Of a replay no model is opened.
 */
int provider_model_new(struct campaign *campaign, struct provider **ret, struct err *err);
/* The messages of a call's record, from PROMPTS. */
int model_request_read(struct store *store, const char *text, struct arena *arena,
                       struct llm_message *ret, size_t most, size_t *ret_n, struct err *err);
/* Its talks must be dropped before; NULL is fine. */
void provider_model_free(struct provider *provider);
