/* SPDX-License-Identifier: MIT */
/*
 * `llm`: a proposer (a language model, outside) names configs in rounds while a few random ones are
 * measured beside the first; two rounds that improve by less than `delta` are the end. `hybrid`: one
 * round, then the default search goes on from all that was measured. Where the proposer fails, both
 * do the latter.
 */
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

enum { FLAG_ROUNDS, FLAG_CONFIGS, FLAG_RANDOM, FLAG_DELTA, FLAG_STAGNANT };

static const struct tuner_flag llm_flags[] = {
    [FLAG_ROUNDS] = { "rounds", 4, 1, 1000, NULL, "of proposals" },
    [FLAG_CONFIGS] = { "configs", 15, 1, 100, NULL, "that are asked for in a round" },
    [FLAG_RANDOM] = { "random", 10, 0, 1e5, NULL, "random configs beside the first round" },
    [FLAG_DELTA] = { "delta", 0.005, 0, 1, NULL, "a round that improves by less is stagnant" },
    [FLAG_STAGNANT] = { "stagnant", 2, 1, 1000, NULL, "stagnant rounds in a row that end it" },
    { .name = NULL },
};

static const struct tuner_flag hybrid_flags[] = {
    [FLAG_ROUNDS] = { "rounds", 1, 1, 1000, NULL, "of proposals before the search" },
    [FLAG_CONFIGS] = { "configs", 15, 1, 100, NULL, "that are asked for in a round" },
    [FLAG_RANDOM] = { "random", 10, 0, 1e5, NULL, "random configs beside the first round" },
    [FLAG_DELTA] = { "delta", 0.005, 0, 1, NULL, "a round that improves by less is stagnant" },
    [FLAG_STAGNANT] = { "stagnant", 2, 1, 1000, NULL, "stagnant rounds in a row that end it" },
    { .name = NULL },
};

struct llm {
    struct tuner_part *after; /* the search that goes on; NULL: none yet */
    bool hybrid, failed;
    int round;
    unsigned stagnant, drawn;
    double before; /* the best when the round's proposals came; INFINITY: none ran */
    uint16_t *queue;
    size_t n, at;
};

static int open_some(struct tuner *t, bool hybrid)
{
    struct llm *s = arena_alloc(t->arena, 1, sizeof(*s));
    s->hybrid = hybrid;
    s->before = INFINITY;
    t->state = s;
    return 0;
}

static int open_llm(struct tuner *t, struct err *err)
{
    (void)err;
    return open_some(t, false);
}

static int open_hybrid(struct tuner *t, struct err *err)
{
    (void)err;
    return open_some(t, true);
}

static double best_time(const struct tuner *t)
{
    const struct tuner_sample *best = tuner_best(t);
    return best ? best->time : INFINITY;
}

/* How many stagnant rounds there were, the one that was just measured included. */
static unsigned stagnant(const struct tuner *t, const struct llm *s)
{
    bool better = best_time(t) < s->before * (1 - t->flags[FLAG_DELTA]);
    return s->round == 0 || better ? 0 : s->stagnant + 1;
}

/* Nothing is asked for that will be measured anyway. */
static bool measures_all(const struct tuner *t)
{
    return t->space->n_listed && t->space->n_listed <= t->budget;
}

static bool proposals_over(const struct tuner *t, const struct llm *s)
{
    return s->failed || measures_all(t) || s->round >= t->flags[FLAG_ROUNDS]
        || stagnant(t, s) >= t->flags[FLAG_STAGNANT];
}

/* Round 0 may be asked for at once, the others when all before is measured. */
static int waits(const struct tuner *t)
{
    const struct llm *s = t->state;
    if (s->after || s->at < s->n || (s->round > 0 && t->n_told < t->n) || proposals_over(t, s)) {
        return -1;
    }
    return s->round;
}

size_t tuner_wants(const struct tuner *t)
{
    return t->algorithm->waits ? (size_t)t->flags[FLAG_CONFIGS] : 0;
}

static size_t offer(struct tuner *t, const uint16_t *configs, size_t n)
{
    struct llm *s = t->state;
    size_t kept = 0, row = t->space->n;
    s->stagnant = stagnant(t, s);
    s->before = best_time(t);
    s->failed = n == 0;
    s->round++;
    s->queue = arena_alloc(t->arena, n + 1, tuner_row_bytes(t));
    for (size_t i = 0; i < n; i++) {
        const uint16_t *config = configs + i * row;
        bool twice = false;
        for (size_t k = 0; k < kept && !twice; k++) {
            twice = memcmp(s->queue + k * row, config, tuner_row_bytes(t)) == 0;
        }
        if (!twice && tune_space_allows(t->space, config) == 1 && !tuner_asked(t, config)) {
            memcpy(s->queue + kept++ * row, config, tuner_row_bytes(t));
        }
    }
    s->n = kept;
    s->at = 0;
    return kept;
}

static bool next(struct tuner *t, uint16_t *ret_config)
{
    struct llm *s = t->state;
    while (s->at < s->n) {
        const uint16_t *config = s->queue + s->at++ * t->space->n;
        if (!tuner_asked(t, config)) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    if (s->drawn < t->flags[FLAG_RANDOM] && s->round <= 1 && !s->failed) {
        s->drawn++;
        return tuner_draw(t, ret_config);
    }
    if (!s->after && (waits(t) >= 0 || t->n_told < t->n)) {
        return false;
    }
    if (!s->hybrid && !s->failed && !measures_all(t)) {
        return false; /* the proposer is done */
    }
    if (!s->after) {
        s->after = tuner_part_new(t, &search_auto);
    }
    return tuner_part_next(t, s->after, ret_config);
}

const struct algorithm search_llm = { "llm", llm_flags, open_llm, next, waits, offer };
const struct algorithm search_hybrid = { "hybrid", hybrid_flags, open_hybrid, next, waits, offer };
