/* SPDX-License-Identifier: MIT */
#include "graph/estimate.h"
#include "base/util.h"

#include <math.h>

void estimate_climb(struct estimate *estimate, double k)
{
    double mean = estimate->prior, variance = ESTIMATE_PRIOR_VARIANCE, unseen = 1;
    enum context_rung level = CONTEXT_RUNGS;
    for (int i = CONTEXT_RUNGS - 1; i >= 0; i--) {
        const struct tally *tally = &estimate->rung[i];
        if (tally->n == 0) {
            continue;
        }
        mean = tally_shrink_mean(tally, k, mean);
        variance = tally_shrink_variance(tally, k, variance);
        unseen *= k / ((double)tally->n + k);
        level = (enum context_rung)i;
    }
    estimate->mean = mean;
    estimate->variance = variance;
    estimate->share = 1 - unseen;
    estimate->level = level;
}

double estimate_round(double value)
{
    return rint(value * 1e9) / 1e9;
}

void estimate_read(const struct htg *htg, enum stats_kind kind, const char *from, const char *node,
                   const struct context *context, double prior, double k, struct estimate *ret)
{
    *ret = (struct estimate){.prior = estimate_round(prior)};
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        char where[CONTEXT_KEY_MAX], key[STATS_KEY_MAX];
        context_key(context, (enum context_rung)i, where);
        stats_key(kind, from, node, where, key);
        const struct tally *tally = htg_stat(htg, key);
        if (tally) {
            ret->rung[i] = *tally;
            ret->rung[i].mean = estimate_round(tally->mean);
            ret->rung[i].m2 = estimate_round(tally->m2);
        }
    }
    estimate_climb(ret, k);
}

double estimate_doubt(const struct estimate *estimate, double k)
{
    return sqrt(estimate->variance / ((double)estimate->rung[CONTEXT_RUNG_EXACT].n + k));
}

static void set(json_t *object, const char *key, json_t *value)
{
    require(json_object_set_new_nocheck(object, key, value) == 0);
}

static json_t *tally_json(const struct tally *tally)
{
    json_t *list = json_array();
    json_array_append_new(list, json_integer(tally->n));
    json_array_append_new(list, json_integer(tally->failures));
    json_array_append_new(list, json_real(tally->mean));
    json_array_append_new(list, json_real(tally->m2));
    return list;
}

/* {"prior": 0.3, "mean": 0.41, "level": "class", "class": [n, failures, mean, m2], ...} */
json_t *estimate_json(const struct estimate *estimate)
{
    json_t *json = json_object();
    set(json, "prior", json_real(estimate->prior));
    if (estimate->level == CONTEXT_RUNGS) {
        return json;
    }
    set(json, "mean", json_real(estimate_round(estimate->mean)));
    set(json, "variance", json_real(estimate_round(estimate->variance)));
    set(json, "share", json_real(estimate_round(estimate->share)));
    set(json, "level", json_string(context_rung_name(estimate->level)));
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        if (estimate->rung[i].n > 0) {
            set(json, context_rung_name((enum context_rung)i), tally_json(&estimate->rung[i]));
        }
    }
    return json;
}

static int parse_tally(const json_t *json, const struct jpath *at, struct tally *ret,
                       struct err *err)
{
    struct tally tally = {0};
    const json_t *m[4];
    for (size_t i = 0; i < 4; i++) {
        m[i] = json_array_get(json, i);
    }
    if (json_array_size(json) != 4 || !json_is_integer(m[0]) || !json_is_integer(m[1]) ||
        !json_is_number(m[2]) || !json_is_number(m[3])) {
        return jread_fail(at, err, "expected [n, failures, mean, m2]");
    }
    tally.n = json_integer_value(m[0]);
    tally.failures = json_integer_value(m[1]);
    tally.mean = json_number_value(m[2]);
    tally.m2 = json_number_value(m[3]);
    if (!tally_valid(&tally)) {
        return jread_fail(at, err, "these numbers can't be a tally");
    }
    *ret = tally;
    return 0;
}

int estimate_parse(const json_t *json, const struct jpath *at, double k, struct estimate *ret,
                   struct err *err)
{
    static const char *const known[] = {"prior", "mean",  "variance", "share",
                                        "level", "exact", "class",    "everywhere"};
    int r = jread_object(json, at, known, ARRAY_LEN(known), err);
    if (r < 0) {
        return r;
    }
    struct estimate made = {.prior = 0};
    r = jread_real(json, "prior", true, -100, 100, at, &made.prior, err);
    for (int i = 0; r == 0 && i < CONTEXT_RUNGS; i++) {
        const char *name = context_rung_name((enum context_rung)i);
        const json_t *rung = json_object_get(json, name);
        struct jpath here = {at, name, 0};
        r = rung ? parse_tally(rung, &here, &made.rung[i], err) : 0;
    }
    estimate_climb(&made, k);
    double mean = made.prior;
    if (r == 0) {
        bool required = made.level != CONTEXT_RUNGS;
        r = jread_real(json, "mean", required, -100, 100, at, &mean, err);
    }
    if (r < 0) {
        return r;
    }
    if (fabs(made.mean - mean) > 1e-9) {
        return jread_fail(at, err, "the mean says %g, its evidence %g", mean, made.mean);
    }
    *ret = made;
    return 0;
}
