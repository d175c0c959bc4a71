/* SPDX-License-Identifier: MIT */
/*
 * What a prior proposes: a handful at once, then, with every measurement, what it holds for best. Later an
 * algorithm has every other config: the two search in different ways, and each learns from what the
 * other found. At first, now and then a config is drawn at random: a prior that is wrong
 * finds its worst configs much alike, and only a control shows that there are better ones.
 */
#include "agent/tune/prior.h"
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <string.h>

enum {
    AHEAD = 16,  /* configs that one look at the samples must be enough for */
    CONTROL = 8, /* every eighth is drawn */
};

struct tuner_guided {
    struct prior_guide *guide;
    size_t alone; /* configs of the tuner until an algorithm takes every other one */
    uint16_t *ahead;
    size_t n, at, told;
};

void tuner_guided_open(struct tuner *t, struct prior_guide *guide, size_t alone)
{
    t->guided = arena_alloc(t->arena, 1, sizeof(*t->guided));
    *t->guided = (struct tuner_guided) {
        .guide = guide, .alone = alone,
        .ahead = arena_alloc(t->arena, AHEAD * t->space->n, sizeof(uint16_t)),
    };
}

static void look(struct tuner *t, struct tuner_guided *g)
{
    auto_free struct prior_sample *own = xcalloc(t->n + 1, sizeof(*own));
    for (size_t i = 0; i < t->n; i++) {
        own[i] = (struct prior_sample) { t->samples[i].config, t->samples[i].time };
    }
    g->n = prior_guide_next(g->guide, own, t->n, AHEAD, g->ahead);
    g->at = 0;
    g->told = t->n_told;
}

bool tuner_guided_next(struct tuner *t, uint16_t *ret_config)
{
    struct tuner_guided *g = t->guided;
    bool alone = g && t->n < g->alone;
    if (!g || (!alone && t->n % 2)) {
        return false;
    }
    if (alone && t->n % CONTROL == CONTROL - 1) {
        return tuner_draw(t, ret_config);
    }
    if (g->at == g->n || t->n_told > g->told) {
        look(t, g);
    }
    while (g->at < g->n) {
        const uint16_t *config = g->ahead + g->at++ * t->space->n;
        if (!tuner_asked(t, config) && tune_space_allows(t->space, config) == 1) {
            memcpy(ret_config, config, tuner_row_bytes(t));
            return true;
        }
    }
    return false;
}
