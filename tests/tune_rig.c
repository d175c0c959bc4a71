/* SPDX-License-Identifier: MIT */
#include "tests/tune_rig.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

enum { BLOCK, VEC, UNROLL, STAGED, MODE, PARAMS };

static int allows(const void *ud, const uint16_t *config)
{
    const struct tune_space *space = ud;
    return space->params[BLOCK].values[config[BLOCK]] * space->params[VEC].values[config[VEC]] <= 2048;
}

static void add_numbers(struct tune_space *s, size_t i, const char *name, enum tune_kind kind,
                        const double *values, uint32_t n)
{
    double *copy = arena_alloc(s->arena, n, sizeof(*copy));
    const char **texts = arena_alloc(s->arena, n, sizeof(*texts));
    for (uint32_t k = 0; k < n; k++) {
        copy[k] = values[k];
        texts[k] = arena_printf(s->arena, "%g", values[k]);
    }
    s->params[i] = (struct tune_param) { .name = name, .kind = kind, .n = n, .values = copy,
                                         .texts = texts };
}

static void list_all(struct tune_space *s)
{
    uint16_t config[PARAMS] = { 0 };
    s->listed = arena_alloc(s->arena, PARAMS * (size_t)tune_space_size(s), sizeof(*s->listed));
    for (uint64_t k = 0; k < tune_space_size(s); k++) {
        uint64_t rest = k;
        for (size_t i = PARAMS; i-- > 0;) {
            config[i] = (uint16_t)(rest % s->params[i].n);
            rest /= s->params[i].n;
        }
        if (allows(s, config)) {
            memcpy(s->listed + s->n_listed++ * PARAMS, config, sizeof(config));
        }
    }
}

struct tune_space *tune_rig_space(bool own)
{
    static const double blocks[] = { 64, 128, 256, 512, 1024 }, vecs[] = { 1, 2, 4 };
    static const double unrolls[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, flags[] = { 0, 1 };
    static const char *const modes[] = { "plain", "swizzled" };
    static const uint16_t start[PARAMS] = { 2, 0, 0, 0, 0 };
    struct arena *arena = arena_new();
    struct tune_space *s = arena_alloc(arena, 1, sizeof(*s));
    *s = (struct tune_space) { .arena = arena, .n = PARAMS, .has_own = own, .allows = allows, .ud = s };
    s->params = arena_alloc(arena, PARAMS, sizeof(*s->params));
    add_numbers(s, BLOCK, "BLOCK", TUNE_POW2, blocks, ARRAY_LEN(blocks));
    add_numbers(s, VEC, "VEC", TUNE_POW2, vecs, ARRAY_LEN(vecs));
    add_numbers(s, UNROLL, "UNROLL", TUNE_NUMBER, unrolls, ARRAY_LEN(unrolls));
    add_numbers(s, STAGED, "STAGED", TUNE_BOOL, flags, ARRAY_LEN(flags));
    s->params[MODE] = (struct tune_param) { .name = "MODE", .kind = TUNE_CHOICE,
                                            .n = ARRAY_LEN(modes), .texts = modes };
    s->own = arena_alloc(arena, PARAMS, sizeof(*s->own));
    memcpy(s->own, start, sizeof(start));
    list_all(s);
    require(tune_space_seal(s, NULL) == 0);
    return s;
}

double tune_rig_time(const struct tune_space *space, const uint16_t *config)
{
    double unroll = space->params[UNROLL].values[config[UNROLL]];
    if (unroll == 8) {
        return (double)NAN;
    }
    double off = fabs(config[BLOCK] - 3.0) * 0.3 + (2 - config[VEC]) * 0.2 + fabs(unroll - 4) * 0.05
        + (1 - config[STAGED]) * 0.1 + (1 - config[MODE]) * 0.02;
    return 50 * (1 + off);
}
