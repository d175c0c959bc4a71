#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Many judgements at once, for benches that judge hundreds of candidates: compiling goes on for the
 * next ones while the device has one, so the device never waits. `next` fills in a request whose
 * parts live until its `done`, and returns false when there are no more; `done` gets each verdict
 * in the order they end. A machine that fails (code < 0) ends it all with that error.
 */
#include "agent/session.h"

struct many {
    bool (*next)(void *ud, struct judge_request *ret, void **ret_item);
    /* What the verdict holds lives until `done` returns. */
    void (*done)(void *ud, void *item, const struct verdict *verdict);
    void *ud;
};

/* Runs the loop until all is judged; at most `most` judgements are under way. */
int many_run(struct session *session, const struct many *many, size_t most, struct err *err);
