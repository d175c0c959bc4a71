/* SPDX-License-Identifier: MIT */
#include "agent/tune/prior_internal.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct prior *prior_new(void)
{
    struct prior *prior = xcalloc(1, sizeof(*prior));
    prior->arena = arena_new();
    return prior;
}

void prior_free(struct prior *prior)
{
    if (prior) {
        arena_free(prior->arena);
        free(prior->tunings);
        free(prior);
    }
}

size_t prior_tunings(const struct prior *prior)
{
    return prior->n;
}

static const char *copy_text(struct arena *arena, const char *text)
{
    return text ? arena_strdup(arena, text) : NULL;
}

static struct prior_place copy_place(struct arena *arena, const struct prior_place *place)
{
    struct prior_place ret = *place;
    ret.kernel = copy_text(arena, place->kernel);
    ret.family = copy_text(arena, place->family);
    ret.vendor = copy_text(arena, place->vendor);
    ret.arch = copy_text(arena, place->arch);
    struct prior_size *shape = arena_alloc(arena, place->n_shape + 1, sizeof(*shape));
    for (size_t i = 0; i < place->n_shape; i++) {
        shape[i] = (struct prior_size) { copy_text(arena, place->shape[i].name),
                                         place->shape[i].value };
    }
    ret.shape = shape;
    return ret;
}

static struct tune_param copy_param(struct arena *arena, const struct tune_param *param)
{
    struct tune_param ret = *param;
    ret.name = copy_text(arena, param->name);
    const char **texts = arena_alloc(arena, param->n, sizeof(*texts));
    double *values = param->values ? arena_alloc(arena, param->n, sizeof(*values)) : NULL;
    for (uint32_t k = 0; k < param->n; k++) {
        texts[k] = arena_strdup(arena, param->texts[k]);
        if (values) {
            values[k] = param->values[k];
        }
    }
    ret.texts = texts;
    ret.values = values;
    return ret;
}

void prior_add(struct prior *prior, const struct prior_place *place, const struct tune_param *params,
               size_t n_params, const uint16_t *configs, const double *times, size_t n)
{
    double best = INFINITY;
    for (size_t i = 0; i < n; i++) {
        best = times[i] < best ? times[i] : best; /* false for NAN */
    }
    if (!isfinite(best) || best <= 0) {
        return;
    }
    struct arena *arena = prior->arena;
    struct prior_tuning tuning = { .place = copy_place(arena, place), .n_params = n_params, .n = n };
    tuning.params = arena_alloc(arena, n_params + 1, sizeof(*tuning.params));
    for (size_t i = 0; i < n_params; i++) {
        tuning.params[i] = copy_param(arena, &params[i]);
    }
    tuning.configs = arena_alloc(arena, n * n_params + 1, sizeof(*tuning.configs));
    memcpy(tuning.configs, configs, n * n_params * sizeof(*configs));
    tuning.y = arena_alloc(arena, n, sizeof(*tuning.y));
    for (size_t i = 0; i < n; i++) {
        double y = log(times[i] / best);
        tuning.y[i] = (float)(y < PRIOR_WORST ? y : PRIOR_WORST);
    }
    prior->tunings = xrealloc(prior->tunings, prior->n + 1, sizeof(*prior->tunings));
    prior->tunings[prior->n++] = tuning;
}

static bool differ(const char *a, const char *b)
{
    return a && b && !str_eq(a, b);
}

static void add_ratio(double a, double b, double *sum, double *n)
{
    if (a > 0 && b > 0) {
        *sum += fabs(log2(a / b));
        *n += 1;
    }
}

double prior_similarity(const struct prior_place *here, const struct prior_place *there)
{
    double s = 1, facts = 0, n_facts = 0, sizes = 0, n_sizes = 0;
    s *= differ(here->vendor, there->vendor) ? 0.1 : 1;
    s *= differ(here->arch, there->arch) ? 0.7 : 1;
    s *= differ(here->family, there->family) ? 0.1 : 1;
    s *= differ(here->kernel, there->kernel) ? 0.3 : 1;
    add_ratio(here->sm_count, there->sm_count, &facts, &n_facts);
    add_ratio(here->bandwidth, there->bandwidth, &facts, &n_facts);
    add_ratio(here->flops, there->flops, &facts, &n_facts);
    add_ratio(here->l2, there->l2, &facts, &n_facts);
    add_ratio(here->shared, there->shared, &facts, &n_facts);
    for (size_t i = 0; i < here->n_shape; i++) {
        for (size_t k = 0; k < there->n_shape; k++) {
            if (str_eq(here->shape[i].name, there->shape[k].name)) {
                add_ratio(here->shape[i].value, there->shape[k].value, &sizes, &n_sizes);
            }
        }
    }
    s *= n_facts > 0 ? exp2(-0.25 * facts / n_facts) : 1;
    s *= n_sizes > 0 ? exp2(-0.25 * sizes / n_sizes) : 1;
    return s;
}
