/* SPDX-License-Identifier: MIT */
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

/* How far the process stays alike, as a share of a feature's range: a switch is nearly independent of
   its other position, neighbouring tile sizes are alike. */
#define REACH 0.4

struct prior_waves {
    const struct tune_space *space;
    float *slope, *phase; /* slope[feature * PRIOR_WAVES + wave] */
};

static double range_of(const struct tune_param *param)
{
    switch (param->kind) {
    case TUNE_POW2: return log2(param->values[param->n - 1] / param->values[0]);
    case TUNE_NUMBER: return param->values[param->n - 1] - param->values[0];
    case TUNE_PERMUTATION: return param->places - 1;
    default: return 1;
    }
}

struct prior_waves *prior_waves_new(const struct tune_space *space, uint64_t seed)
{
    struct prior_waves *waves = xcalloc(1, sizeof(*waves));
    waves->space = space;
    waves->slope = xcalloc(space->n_features * PRIOR_WAVES, sizeof(*waves->slope));
    waves->phase = xcalloc(PRIOR_WAVES, sizeof(*waves->phase));
    struct rng rng;
    rng_init(&rng, seed, rng_key("prior waves"), 0);
    for (size_t f = 0; f < space->n_features; f++) {
        double range = range_of(&space->params[tune_space_feature_param(space, f)]);
        for (size_t k = 0; k < PRIOR_WAVES; k++) {
            waves->slope[f * PRIOR_WAVES + k] = (float)(rng_normal(&rng) / (range * REACH));
        }
    }
    for (size_t k = 0; k < PRIOR_WAVES; k++) {
        waves->phase[k] = (float)(2 * M_PI * rng_unit(&rng));
    }
    return waves;
}

void prior_waves_free(struct prior_waves *waves)
{
    if (waves) {
        free(waves->slope);
        free(waves->phase);
        free(waves);
    }
}

void prior_waves_at(const struct prior_waves *waves, const uint16_t *configs, size_t n, float *ret)
{
    const struct tune_space *space = waves->space;
    auto_free float *x = xcalloc(space->n_features, sizeof(*x));
    float height = sqrtf(2.0f / PRIOR_WAVES);
    for (size_t i = 0; i < n; i++, ret += PRIOR_WAVES) {
        tune_space_features(space, configs + i * space->n, x);
        for (size_t k = 0; k < PRIOR_WAVES; k++) {
            ret[k] = waves->phase[k];
        }
        for (size_t f = 0; f < space->n_features; f++) {
            for (size_t k = 0; k < PRIOR_WAVES; k++) {
                ret[k] += x[f] * waves->slope[f * PRIOR_WAVES + k];
            }
        }
        for (size_t k = 0; k < PRIOR_WAVES; k++) {
            ret[k] = height * cosf(ret[k]);
        }
    }
}
