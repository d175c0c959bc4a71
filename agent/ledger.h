#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What a campaign cost, counted from its records alone: calls, tokens and dollars from CALLS, device
 * seconds from ATTEMPTS. Every call is one record that changes its state, so nothing counts twice,
 * however often the campaign was killed. What may have been billed without an answer having come (a
 * call that was under way when the process died, and was sent again) is kept apart as unsure, at its
 * worst price.
 */
#include "agent/budget.h"
#include "memory/record.h"

struct ledger_line {
    const char *task;
    int64_t calls, answered, failed, open; /* open: sent or about to be, no answer yet */
    int64_t corrections, repairs;          /* calls that asked again */
    int64_t tokens_in, tokens_cached, tokens_out, tokens_unsure;
    int64_t unknown;   /* answers that don't say their tokens; at most `tokens_bound` */
    int64_t tokens_bound;
    int64_t unpriced;  /* answers whose price isn't known */
    double usd, usd_unsure, usd_reserved;
    int64_t tokens_reserved;
    int64_t attempts, accepted;
    double device_s;
};

/* One line a task, in the order of names, and their sum. ERR_NOTFOUND: no such campaign. */
int ledger_read(struct store *store, const char *campaign, struct arena *arena,
                struct ledger_line **ret, size_t *ret_n, struct ledger_line *ret_total,
                struct err *err);
/* What counts as spent already, for a resume; limits and reservations are left alone. */
int ledger_budget(struct store *store, const char *campaign, struct budget *budget,
                  struct err *err);

/* What a call's `extra` says; see provider_model.c. */
struct call_extra {
    const char *key, *stop, *kind; /* kind: "ask", "correction", "repair" */
    int64_t sends;
    bool usage_known, usd_known;
    int64_t tokens_reserved, tokens_bound, tokens_unsure, written, reasoning;
    double usd_unsure;
    const char *request_id;
};
void call_extra_read(const char *text, struct arena *arena, struct call_extra *ret);
char *call_extra_text(const struct call_extra *extra); /* the caller frees */
