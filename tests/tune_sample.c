/* SPDX-License-Identifier: MIT */
#include "tests/tune_sample.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

enum { BLOCK, TILE, MODE, FAST, ORDER, N_PARAMS };

static int allows(const void *ud, const uint16_t *config)
{
    const struct tune_space *s = ud;
    return s->params[BLOCK].values[config[BLOCK]] * s->params[TILE].values[config[TILE]] <= 2048;
}

static int allows_none(const void *ud, const uint16_t *config)
{
    (void)ud;
    (void)config;
    return 0;
}

static void add_param(struct tune_space *s, const char *name, enum tune_kind kind, uint32_t n,
                      double (*value)(uint32_t rank))
{
    struct tune_param *p = &s->params[s->n++];
    double *values = arena_alloc(s->arena, n, sizeof(*values));
    const char **texts = arena_alloc(s->arena, n, sizeof(*texts));
    for (uint32_t i = 0; i < n; i++) {
        values[i] = value ? value(i) : (double)i;
        texts[i] = arena_printf(s->arena, "%g", values[i]);
    }
    *p = (struct tune_param) { .name = name, .kind = kind, .n = n, .texts = texts,
                               .places = kind == TUNE_PERMUTATION ? 3 : 0,
                               .values = kind == TUNE_CHOICE ? NULL : values };
}

static double block(uint32_t rank)
{
    return 32u << rank;
}

static double tile(uint32_t rank)
{
    return rank + 1;
}

static void list(struct tune_space *s)
{
    uint16_t config[TUNE_PARAMS_MAX] = { 0 };
    uint64_t size = tune_space_size(s);
    s->listed = arena_alloc(s->arena, size * s->n, sizeof(*s->listed));
    for (uint64_t k = 0; k < size; k++) {
        uint64_t rest = k;
        for (size_t i = 0; i < s->n; i++) {
            config[i] = (uint16_t)(rest % s->params[i].n);
            rest /= s->params[i].n;
        }
        if (allows(s, config)) {
            memcpy(s->listed + s->n * s->n_listed++, config, s->n * sizeof(*config));
        }
    }
}

static struct tune_space *make(uint32_t tiles, bool listed, bool any)
{
    struct arena *arena = arena_new();
    struct tune_space *s = arena_alloc(arena, 1, sizeof(*s));
    s->arena = arena;
    s->params = arena_alloc(arena, N_PARAMS, sizeof(*s->params));
    add_param(s, "BLOCK", TUNE_POW2, 6, block);
    add_param(s, "TILE", TUNE_NUMBER, MAX(tiles, 2u), tile);
    add_param(s, "MODE", TUNE_CHOICE, 3, NULL);
    add_param(s, "FAST", TUNE_BOOL, 2, NULL);
    add_param(s, "ORDER", TUNE_PERMUTATION, 6, NULL);
    s->has_own = any;
    s->own = arena_alloc(arena, s->n, sizeof(*s->own));
    s->allows = any ? allows : allows_none;
    s->ud = s;
    if (listed) {
        list(s);
    }
    require(tune_space_seal(s, NULL) == 0);
    return s;
}

struct tune_space *sample_space(uint32_t tiles, bool listed)
{
    return make(tiles, listed, true);
}

struct tune_space *sample_space_without_configs(void)
{
    return make(4, false, false);
}

double sample_time(const struct tune_space *s, const uint16_t *c)
{
    if (c[BLOCK] == 5 && c[MODE] == 1) {
        return (double)NAN;
    }
    double threads = log2(s->params[BLOCK].values[c[BLOCK]] * s->params[TILE].values[c[TILE]]);
    double off = fabs(threads - 9) + (c[MODE] == 2 ? 0 : 0.5) + (c[FAST] == 1 ? 0 : 0.3);
    double tiles = fabs(s->params[TILE].values[c[TILE]] - 4);
    return 1 + off + 0.1 * tiles + 0.05 * c[ORDER] + (c[FAST] == 0 && c[MODE] == 0 ? -0.4 : 0);
}
