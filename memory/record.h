#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The typed records of the store: campaigns, attempts, calls of language models, candidates. Kept
 * as JSON with a format number; reading validates everything, so what comes back is sound or an
 * error that names the record ("attempts/c7/softmax/000003: gain: expected a number, got true").
 *
 * Strings and lists belong to the arena they were read into. A string that doesn't apply is "",
 * never NULL; on writing NULL counts as "". Ids are hex text (base/id.h). `extra` is the agent's
 * own JSON text, or "".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "memory/store.h"

/* Keys of parts joined by '/'; '/', '%' and control bytes inside a part are written %XX. */
char *record_key(struct arena *arena, const char *const *parts, size_t n);
/* CAMPAIGN/TASK/000042, and CAMPAIGN/TASK/000042/01 for a call. */
char *record_attempt_key(struct arena *arena, const char *campaign, const char *task, int64_t seq);
char *record_call_key(struct arena *arena, const char *campaign, const char *task, int64_t seq,
                      int64_t attempt);

struct campaign_record {
    const char *id;
    const char *status; /* "running", "waiting" (for replies), "done", "failed", "canceled" */
    const char *device, *llm, *baseline;
    size_t n_tasks;
    const char *const *tasks;
    int64_t seed, steps;
    int64_t started_s, ended_s; /* Unix time; 0: not yet */
    const char *error;          /* why it failed */
    const char *extra;          /* options and results */
};

/* What one attempt taught: the increments made together with its record. */
struct learned {
    const char *key; /* of STORE_DB_STATS */
    double gain;
    bool failed;
};

struct attempt_record {
    const char *campaign, *task;
    int64_t seq;
    const char *parent,
        *candidate;      /* ids; parent "" for the start; candidate "" if none was made */
    const char *verdict; /* key in STORE_DB_VERDICTS, or "" */
    const char *direction, *strategy;
    const char *status; /* a verdict's status, or "no_reply", "bad_reply", "budget", ... */
    bool control;       /* memory was ignored on purpose */
    bool modelled;
    double gain, time_us; /* ln(parent time / child time); 0 if not timed */
    size_t n_learned;
    const struct learned *learned;
    const char *extra;
};

struct call_record {
    const char *campaign, *task;
    int64_t seq, attempt; /* which step asked; 0.. for corrections and repairs */
    const char *state;    /* "intent", "answered", "failed" */
    const char *provider, *model;
    const char *request, *reply; /* request: the id or the text, as the agent likes */
    const char *error;
    double reserved_usd, usd;
    int64_t tokens_in, tokens_cached, tokens_out;
    const char *extra;
};

struct candidate_record {
    const char *id;
    const char *source, *plan; /* CUDA text; canonical JSON text */
    const char *name, *extra;
};

/* Into a batch. A record that wouldn't read back is ERR_INVALID, and nothing is put. An attempt is
 * new or the batch fails, and its increments go with it; a candidate is put once. */
int record_put_campaign(struct store_batch *batch, const struct campaign_record *record,
                        struct err *err);
int record_put_attempt(struct store_batch *batch, const struct attempt_record *record,
                       struct err *err);
int record_put_call(struct store_batch *batch, const struct call_record *record, struct err *err);
int record_put_candidate(struct store_batch *batch, const struct candidate_record *record,
                         struct err *err);

/* ERR_NOTFOUND, ERR_INVALID (damaged), ERR_VERSION. */
int record_get_campaign(struct store *store, const char *id, struct arena *arena,
                        struct campaign_record *ret, struct err *err);
int record_get_attempt(struct store *store, const char *campaign, const char *task, int64_t seq,
                       struct arena *arena, struct attempt_record *ret, struct err *err);
int record_get_call(struct store *store, const char *campaign, const char *task, int64_t seq,
                    int64_t attempt, struct arena *arena, struct call_record *ret, struct err *err);
int record_get_candidate(struct store *store, const char *id, struct arena *arena,
                         struct candidate_record *ret, struct err *err);

/* All, in key order: by campaign, task, seq. `task` NULL: of every task. */
int record_list_campaigns(struct store *store, struct arena *arena, struct campaign_record **ret,
                          size_t *ret_n, struct err *err);
int record_list_attempts(struct store *store, const char *campaign, const char *task,
                         struct arena *arena, struct attempt_record **ret, size_t *ret_n,
                         struct err *err);
int record_list_calls(struct store *store, const char *campaign, const char *task,
                      struct arena *arena, struct call_record **ret, size_t *ret_n,
                      struct err *err);

/* From the bytes of a scan, for those who walk the store themselves. */
int record_read_campaign(const struct store_item *item, struct arena *arena,
                         struct campaign_record *ret, struct err *err);
int record_read_attempt(const struct store_item *item, struct arena *arena,
                        struct attempt_record *ret, struct err *err);
int record_read_call(const struct store_item *item, struct arena *arena, struct call_record *ret,
                     struct err *err);
int record_read_candidate(const struct store_item *item, struct arena *arena,
                          struct candidate_record *ret, struct err *err);
