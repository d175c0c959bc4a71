/* SPDX-License-Identifier: MIT */
#include "graph/estimate.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

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

void estimate_read(const struct ladder *ladder, double prior, double k, struct estimate *ret)
{
    *ret = (struct estimate){.prior = estimate_round(prior)};
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        const struct tally *tally = ladder->rung[i];
        if (tally) {
            ret->rung[i] = *tally;
            ret->rung[i].mean = estimate_round(tally->mean);
            ret->rung[i].m2 = estimate_round(tally->m2);
        }
    }
    estimate_climb(ret, k);
}

double estimate_mean(const struct ladder *ladder, double prior, double k)
{
    double mean = prior;
    for (int i = CONTEXT_RUNGS - 1; i >= 0; i--) {
        const struct tally *tally = ladder->rung[i];
        mean = tally ? tally_shrink_mean(tally, k, mean) : mean;
    }
    return mean;
}

double estimate_doubt(const struct estimate *estimate, double k)
{
    return sqrt(estimate->variance / ((double)estimate->rung[CONTEXT_RUNG_EXACT].n + k));
}

/* {"prior": 0.3, "mean": 0.41, "level": "class", "class": [n, failures, mean, m2], ...} */
void estimate_write(struct jwriter *w, const char *key, const struct estimate *estimate)
{
    jwrite_open(w, key, '{');
    jwrite_real(w, "prior", estimate->prior);
    if (estimate->level != CONTEXT_RUNGS) {
        jwrite_real(w, "mean", estimate_round(estimate->mean));
        jwrite_real(w, "variance", estimate_round(estimate->variance));
        jwrite_real(w, "share", estimate_round(estimate->share));
        jwrite_string(w, "level", context_rung_name(estimate->level));
    }
    for (int i = 0; i < CONTEXT_RUNGS; i++) {
        const struct tally *tally = &estimate->rung[i];
        if (tally->n > 0) {
            jwrite_open(w, context_rung_name((enum context_rung)i), '[');
            jwrite_int(w, NULL, tally->n);
            jwrite_int(w, NULL, tally->failures);
            jwrite_real(w, NULL, tally->mean);
            jwrite_real(w, NULL, tally->m2);
            jwrite_close(w, ']');
        }
    }
    jwrite_close(w, '}');
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
