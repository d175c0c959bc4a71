#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Faults planted in correct kernels, to see what the gate misses. `mutate_all` finds every place of a
 * CUDA source and its plan where a rule applies; each mutant changes exactly one of them. The rules
 * work on tokens: comments, strings and directives are left alone (but for the numbers of macros).
 * What comes out needn't compile, and may turn out to be the same program: whoever judges mutants
 * drops those.
 *
 * Pure: the same text gives the same mutants in the same order. Rules that would nearly always make
 * an equivalent program are left out (an if on == before a broadcast value, a shorter grid under a
 * grid-stride loop), and memory fences, whose loss no run shows.
 */
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

#define MUTATE_CLASS_LIST(X)                                                                       \
    X(LOOP, "loop bound or start") X(INDEX, "index off by one") X(TERM, "dropped term")            \
    X(SWAP, "swapped index") X(IDENTITY, "wrong identity") X(BOUNDARY, "lost boundary")            \
    X(TAIL, "skipped tail") X(PRECISION, "lower precision") X(BARRIER, "missing barrier")          \
    X(CAST, "wrong cast") X(OPERATOR, "wrong operator") X(CONSTANT, "wrong constant")              \
    X(STRIDE, "wrong stride") X(INIT, "missing initialisation") X(RACE, "race")

enum mutate_class {
#define X(name, text) MUTATE_CLASS_##name,
    MUTATE_CLASS_LIST(X)
#undef X
    MUTATE_CLASSES,
};

struct mutant {
    enum mutate_class kind;
    size_t at, len;   /* the bytes of the source that `with` replaces */
    const char *with; /* NULL: the plan is changed */
    const char *plan; /* the new plan, where that is changed */
    int line;         /* of the source; 0: the plan */
    char what[160];   /* "c < cols -> c <= cols" */
};

struct mutants {
    size_t n, room;
    struct mutant *at;
    struct arena *arena; /* borrowed */
};

const char *mutate_class_name(enum mutate_class kind);

/* `precision` is the task's: rounding to what it allows is no fault. Plans that aren't JSON: none. */
void mutate_all(const char *source, const char *plan, const char *precision, struct arena *arena,
                struct mutants *ret);

/* The mutant's source or plan; unchanged ones are copies. */
char *mutate_source(const char *source, const struct mutant *mutant, struct arena *arena);

/* At most `most` of them by seed, taking turns over the classes; lower precision gets two turns. */
size_t mutate_pick(const struct mutants *all, uint64_t seed, size_t most, size_t *ret_index);
