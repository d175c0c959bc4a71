/* SPDX-License-Identifier: MIT */
#include "agent/tune/tune_space.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

enum { DRAW_TRIES = 10000 };

/* Open addressing: slots hold a row + 1, 0 is empty; a power of two, at most half full. */
struct tune_index {
    size_t mask;
    uint32_t slots[];
};

static uint64_t hash(const uint16_t *config, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ config[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h;
}

/* Where this config is, or the empty slot where it would be. */
static uint32_t *slot_of(const struct tune_space *space, const uint16_t *config)
{
    struct tune_index *index = space->index;
    size_t bytes = space->n * sizeof(*config);
    for (size_t at = hash(config, space->n) & index->mask;; at = (at + 1) & index->mask) {
        uint32_t row = index->slots[at];
        if (row == 0 || memcmp(space->listed + (row - 1) * space->n, config, bytes) == 0) {
            return &index->slots[at];
        }
    }
}

static size_t n_features_of(const struct tune_param *param)
{
    switch (param->kind) {
    case TUNE_CHOICE: return param->n;
    case TUNE_PERMUTATION: return param->places;
    default: return 1;
    }
}

int tune_space_seal(struct tune_space *space, struct err *err)
{
    space->n_features = 0;
    for (size_t i = 0; i < space->n; i++) {
        require(space->params[i].n >= 2 && space->params[i].n <= TUNE_VALUES_MAX);
        space->n_features += n_features_of(&space->params[i]);
    }
    if (space->n_listed == 0) {
        return 0;
    }
    size_t slots = 16;
    while (slots < 2 * space->n_listed) {
        slots *= 2;
    }
    space->index = arena_alloc(space->arena, 1, sizeof(*space->index) + slots * sizeof(uint32_t));
    space->index->mask = slots - 1;
    for (size_t row = 0; row < space->n_listed; row++) {
        uint32_t *slot = slot_of(space, space->listed + row * space->n);
        if (*slot) {
            return err_set(err, ERR_EXISTS, "config %zu is config %u again", row, *slot - 1);
        }
        *slot = (uint32_t)row + 1;
    }
    space->n_allowed = (double)space->n_listed;
    space->count = TUNE_COUNT_EXACT;
    return 0;
}

uint64_t tune_space_size(const struct tune_space *space)
{
    uint64_t size = 1;
    for (size_t i = 0; i < space->n; i++) {
        if (__builtin_mul_overflow(size, (uint64_t)space->params[i].n, &size)) {
            return UINT64_MAX;
        }
    }
    return size;
}

int64_t tune_space_find(const struct tune_space *space, const uint16_t *config)
{
    return space->n_listed ? (int64_t)*slot_of(space, config) - 1 : -1;
}

int tune_space_allows(const struct tune_space *space, const uint16_t *config)
{
    for (size_t i = 0; i < space->n; i++) {
        if (config[i] >= space->params[i].n) {
            return 0;
        }
    }
    if (space->n_listed) {
        return tune_space_find(space, config) >= 0;
    }
    return space->allows ? space->allows(space->ud, config) : 1;
}

int tune_space_draw(const struct tune_space *space, struct rng *rng, uint16_t *ret_config)
{
    if (space->n_listed) {
        const uint16_t *row = space->listed + rng_below(rng, space->n_listed) * space->n;
        memcpy(ret_config, row, space->n * sizeof(*row));
        return 0;
    }
    if (space->draw) {
        return space->draw(space->ud, rng, ret_config);
    }
    uint16_t config[TUNE_PARAMS_MAX];
    for (int try = 0; try < DRAW_TRIES; try++) {
        for (size_t i = 0; i < space->n; i++) {
            config[i] = (uint16_t)rng_below(rng, space->params[i].n);
        }
        int r = space->allows ? space->allows(space->ud, config) : 1;
        if (r != 0) {
            if (r > 0) {
                memcpy(ret_config, config, space->n * sizeof(*config));
            }
            return MIN(r, 0);
        }
    }
    return ERR_NOTFOUND;
}

void tune_permutation(uint32_t places, uint32_t rank, uint8_t *ret)
{
    require(places <= TUNE_PLACES_MAX);
    uint8_t left[TUNE_PLACES_MAX];
    uint32_t block = 1;
    for (uint32_t i = 0; i < places; i++) {
        left[i] = (uint8_t)i;
        block *= i + 1;
    }
    for (uint32_t i = 0; i < places; i++) {
        block /= places - i;
        uint32_t k = rank / block;
        rank %= block;
        ret[i] = left[k];
        memmove(left + k, left + k + 1, places - i - k - 1);
    }
}

static uint32_t permutation_rank(uint32_t places, const uint8_t *order)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < places; i++) {
        uint32_t smaller = 0;
        for (uint32_t k = i + 1; k < places; k++) {
            smaller += order[k] < order[i];
        }
        rank = rank * (places - i) + smaller;
    }
    return rank;
}

static size_t swaps(const struct tune_param *param, uint16_t rank, uint16_t *ret)
{
    uint8_t order[TUNE_PLACES_MAX];
    size_t n = 0;
    tune_permutation(param->places, rank, order);
    for (uint32_t a = 0; a < param->places; a++) {
        for (uint32_t b = a + 1; b < param->places; b++) {
            uint8_t kept = order[a];
            order[a] = order[b];
            order[b] = kept;
            ret[n++] = (uint16_t)permutation_rank(param->places, order);
            order[b] = order[a];
            order[a] = kept;
        }
    }
    return n;
}

size_t tune_space_neighbours(const struct tune_space *space, const uint16_t *config, size_t i,
                             unsigned radius, uint16_t *ret)
{
    const struct tune_param *param = &space->params[i];
    uint32_t from = 0, to = param->n - 1;
    size_t n = 0;
    if (param->kind == TUNE_PERMUTATION) {
        return swaps(param, config[i], ret);
    }
    if (param->kind == TUNE_POW2 || param->kind == TUNE_NUMBER) {
        from = config[i] > radius ? config[i] - radius : 0;
        to = MIN(to, config[i] + radius);
    }
    for (uint32_t rank = from; rank <= to; rank++) {
        if (rank != config[i]) {
            ret[n++] = (uint16_t)rank;
        }
    }
    return n;
}

void tune_space_features(const struct tune_space *space, const uint16_t *config, float *ret)
{
    uint8_t order[TUNE_PLACES_MAX];
    for (size_t i = 0; i < space->n; i++) {
        const struct tune_param *param = &space->params[i];
        switch (param->kind) {
        case TUNE_POW2:
            *ret++ = (float)log2(param->values[config[i]]);
            break;
        case TUNE_NUMBER:
            *ret++ = (float)param->values[config[i]];
            break;
        case TUNE_BOOL:
            *ret++ = (float)config[i];
            break;
        case TUNE_CHOICE:
            for (uint32_t k = 0; k < param->n; k++) {
                *ret++ = k == config[i];
            }
            break;
        case TUNE_PERMUTATION:
            tune_permutation(param->places, config[i], order);
            for (uint32_t k = 0; k < param->places; k++) {
                *ret++ = order[k];
            }
            break;
        }
    }
}

size_t tune_space_feature_param(const struct tune_space *space, size_t feature)
{
    for (size_t i = 0; i < space->n; i++) {
        size_t n = n_features_of(&space->params[i]);
        if (feature < n) {
            return i;
        }
        feature -= n;
    }
    return space->n;
}

void tune_space_free(struct tune_space *space)
{
    if (space) {
        arena_free(space->arena); /* which it lies in itself */
    }
}
