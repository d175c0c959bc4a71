/* SPDX-License-Identifier: MIT */
/* Configs near a config, and the fastest ones. */
#include "agent/tune/tuner_algorithm.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { REPAIR_TRIES = 300, STEPS_MAX = 4096 };

bool tuner_step(struct tuner *t, const uint16_t *config, uint16_t *ret_config)
{
    const struct tune_space *s = t->space;
    uint16_t near[TUNE_PARAMS_MAX];
    size_t found = 0, all = 0;
    memcpy(near, config, tuner_row_bytes(t));
    for (size_t i = 0; i < s->n; i++) {
        all += s->params[i].n;
    }
    for (size_t i = 0; i < s->n; i++) {
        uint32_t few = (uint32_t)MIN(s->params[i].n, 1 + STEPS_MAX / s->n);
        for (uint32_t k = 0; k < few; k++) {
            near[i] = (uint16_t)(all <= STEPS_MAX ? k : rng_below(&t->rng, s->params[i].n));
            if (near[i] != config[i] && tune_space_allows(s, near) == 1
                && rng_below(&t->rng, ++found) == 0) {
                memcpy(ret_config, near, tuner_row_bytes(t));
            }
        }
        near[i] = config[i];
    }
    return found > 0;
}

static bool within_one(const struct tune_space *s, const uint16_t *a, const uint16_t *b)
{
    for (size_t i = 0; i < s->n; i++) {
        if (a[i] > b[i] + 1 || b[i] > a[i] + 1) {
            return false;
        }
    }
    return true;
}

/* Every rank off by one at most. */
static bool repair_closely(struct tuner *t, const uint16_t *config, uint16_t *ret_config)
{
    const struct tune_space *s = t->space;
    size_t found = 0;
    for (size_t i = 0; i < s->n_listed; i++) {
        if (within_one(s, tuner_listed(t, i), config) && rng_below(&t->rng, ++found) == 0) {
            memcpy(ret_config, tuner_listed(t, i), tuner_row_bytes(t));
        }
    }
    for (int try = 0; try < REPAIR_TRIES && s->n_listed == 0; try++) {
        for (size_t i = 0; i < s->n; i++) {
            int rank = (int)config[i] + (int)rng_below(&t->rng, 3) - 1;
            ret_config[i] = (uint16_t)MIN(MAX(rank, 0), (int)s->params[i].n - 1);
        }
        if (tune_space_allows(s, ret_config) == 1) {
            return true;
        }
    }
    return found > 0;
}

bool tuner_repair(struct tuner *t, uint16_t *config)
{
    uint16_t near[TUNE_PARAMS_MAX];
    bool good = tune_space_allows(t->space, config) == 1;
    if (!good) {
        good = repair_closely(t, config, near) || tuner_step(t, config, near);
        memcpy(config, near, good ? tuner_row_bytes(t) : 0);
    }
    return good;
}

static int by_time(const void *a, const void *b)
{
    const struct tuner_sample *x = *(const struct tuner_sample *const *)a;
    const struct tuner_sample *y = *(const struct tuner_sample *const *)b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : (x > y) - (x < y);
}

size_t tuner_fastest(const struct tuner *t, size_t most, const struct tuner_sample **ret)
{
    auto_free const struct tuner_sample **ran = xcalloc(t->n + 1, sizeof(*ran));
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->samples[i].time > 0) {
            ran[n++] = &t->samples[i];
        }
    }
    qsort(ran, n, sizeof(*ran), by_time);
    memcpy(ret, ran, MIN(n, most) * sizeof(*ran));
    return MIN(n, most);
}
