#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * The gate of the task itself: trivial candidates go through the comparison that every candidate
 * goes through. Zeros; a constant (the mean of what is expected); a copy of an input; a stale answer
 * (to other inputs, with the same weights); half of the work (the reference, where the second half
 * of the inputs, or of each row, is the first half once more).
 *
 * One that passes every distribution at every shape, or at the shape that is timed, makes the task
 * degenerate: a candidate could be told from it by nothing. Passing at some other shape alone is
 * said, and harmless: the sum of one row is a copy of it.
 *
 * A task is looked at once; the cache knows it by what it is made of, not by name.
 */
#include "evaluator/worker/judge.h"

enum { DEGENERATE_KNOWN = 64 };

struct degenerate_cache {
    size_t next;
    struct {
        struct id id;
        bool known;
        char text[256];
    } at[DEGENERATE_KNOWN];
};

/* The job's cases that are checked. Sets verdict.degenerate ("" if the task is sound), from the
 * cache where it knows; ret_detail (may be NULL) gets what passes where, or "". */
int degenerate_check(struct judge *judge, char *ret_detail, size_t size);
