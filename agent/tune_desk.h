#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * A model for tunings outside of a campaign: `warpsmith tune ... --llm SPEC`. Their calls need what a
 * campaign's have (a record that says what they belong to, a budget that holds over a kill, a lock), so
 * such a tuning stands in the store as one, under an id that follows from what is tuned and how: the
 * same command again finds the answers that came before, and `ledger ID` says what they cost.
 */
#include "agent/model_call.h"
#include "agent/session.h"

struct tune_desk;

/* What the record of such a tuning says beside its name: nothing that a campaign's does. */
#define TUNE_DESK_EXTRA "{\"kind\":\"tune\"}"

/*
 * Opens the model that the session's options name; the session has a store. `what` is everything that
 * tells this tuning from another (hashed into the id); `task` a name for people. Where this machine lacks
 * something (a key) the desk opens all the same, every call fails with the reason, and answers from before
 * count. ERR_INVALID: no such model, a budget in dollars without a price; ERR_BUSY: the same tuning runs
 * elsewhere.
 */
int tune_desk_open(struct session *session, const char *what, const char *task, const char *device,
                   struct tune_desk **ret, struct err *err);
struct model_desk *tune_desk_model(struct tune_desk *desk);
/* The id, for people. */
const char *tune_desk_id(const struct tune_desk *desk);
/* `status` as a campaign's: "done", "waiting", "failed", "canceled". NULL is fine. */
void tune_desk_close(struct tune_desk *desk, const char *status);
