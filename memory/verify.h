#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Proves that a store hangs together, over one snapshot: every record reads back, every reference
 * resolves (an attempt's campaign, candidate, parent and verdict; a call's campaign), and the kept
 * statistics equal those counted anew from the attempts plus what was imported, within rounding.
 */
#include "base/arena.h"
#include "memory/store.h"

enum { VERIFY_PROBLEMS_MAX = 100 };

struct verify_report {
    uint64_t records, references, statistics; /* how many were checked */
    uint64_t n_problems;                      /* all of them; `problems` holds the first 100 */
    const char *problems[VERIFY_PROBLEMS_MAX];
};

/* Negative only if the store couldn't be read; problems are in the report. Texts: the arena's. */
int store_verify(struct store *store, struct arena *arena, struct verify_report *ret,
                 struct err *err);
