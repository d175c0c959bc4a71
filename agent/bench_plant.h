#pragma once
/* SPDX-License-Identifier: MIT */
/* What bench_mutants.c works with: the kernels that faults are planted in, the mutants picked, and
 * what became of them. Prefix: plant_. */
#include "agent/bench.h"
#include "agent/mutate.h"
#include "agent/session.h"

enum { PLANT_SUBJECTS_MAX = 256, PLANT_FAMILIES_MAX = 256, PLANT_WORDS_MAX = 16 };

/* A right kernel. */
struct subject {
    char *name, *plan; /* "softmax/02_block_per_row", its plan as text */
    struct task *task;
    struct candidate *candidate;
    size_t family; /* in plant.families */
    struct arena *arena;
    struct mutants mutants;
    size_t *picked, n_picked, next;
    bool begun;
};

/* A mutant that is being judged; mutant NULL: the original. */
struct planted {
    struct planted *next;
    struct subject *subject;
    const struct mutant *mutant;
    struct candidate *candidate;
    bool owned;
};

struct plant_count {
    size_t differ, killed;
};

struct plant {
    const struct options *options;
    struct bench_report *report;
    struct session *session;
    struct subject subjects[PLANT_SUBJECTS_MAX];
    size_t n_subjects, at, index, part, parts, n_families, n_words;
    const char *families[PLANT_FAMILIES_MAX], *words[PLANT_WORDS_MAX];
    struct plant_count count[PLANT_FAMILIES_MAX][MUTATE_CLASSES];
    size_t by_status[16], broken, unsupported, same, argued, honest, honest_rejected;
    struct planted *survivors;
    uint64_t deadline_ms, began;
    size_t judged, accepted; /* originals, too */
    char *arguments; /* tests/mutants/equivalent.txt */
    bool whole;
};

struct plant *plant_new(const struct options *options, struct bench_report *report);
void plant_done(struct plant *p);
/* Reads shipped variants and honest kernels that the words on the command line allow. */
int plant_read(struct plant *p, struct err *err);
/* About `most` mutants over all subjects, by seed. */
void plant_pick(struct plant *p, uint64_t seed, size_t most);

struct planted *plant_original(struct subject *s);
/* The picked mutant of this number; NULL (and counted) if it can't be read as a candidate. */
struct planted *plant_one(struct plant *p, struct subject *s, size_t index);
void plant_free(struct planted *item);

struct plant_count *plant_count_of(struct plant *p, const struct planted *item);
void plant_add(struct plant_count *to, const struct plant_count *from); /* NULL: nowhere */
/* Families that nobody looked at while the gate's rules were made. */
bool plant_held_out(const char *family);

/* Same launches and same image at every shape? Runs the loop. */
int plant_is_same(struct plant *p, const struct planted *item, bool *ret, struct err *err);
bool plant_is_argued(const struct plant *p, const struct planted *item);
/* Says which mutant it is, with a word before it, and keeps it under --out. */
void plant_report(struct plant *p, const struct planted *item, const char *word);
