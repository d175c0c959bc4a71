#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A language model as a provider: builds the prompt, asks, reads the reply, asks again with a precise
 * correction where it can't be used, and with the compiler's or the gate's words where its candidate
 * failed.
 *
 * Every call is a record of the store (model_call.h) under campaign, task, attempt and turn, so a step
 * that is done again after a kill finds its answers.
 */
#include "agent/model_call.h"
#include "agent/provider.h"

struct campaign;

enum { MODEL_CORRECTIONS = 2 }; /* of one reply; repairs are the campaign's to count */

/*
 * Opens the model that the campaign's options name. ERR_INVALID: no such provider, or a budget in
 * dollars without a price; ERR_ENVIRONMENT: no key. Of a replay no model is opened.
 */
int provider_model_new(struct campaign *campaign, struct provider **ret, struct err *err);
/* Its talks must be dropped before; NULL is fine. */
void provider_model_free(struct provider *provider);
