#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * One estimate read off the ladder, with everything it was read from, so that it can be shown and
 * recomputed. From the prior down: m = (n mean + k m_above) / (n + k) and
 * v = (m2 + k v_above) / (n + k) on every rung; a rung without experience passes on what's above.
 * An outcome stands on all its rungs, so k acts about three times weaker than on one rung.
 */
#include <jansson.h>
#include "base/jread.h"
#include "graph/view.h"

#define ESTIMATE_PRIOR_VARIANCE 0.09 /* gains of one direction spread by about 0.3 nats */

struct estimate {
    struct tally rung[CONTEXT_RUNGS]; /* n == 0: nothing */
    double prior;
    double mean, variance; /* after the ladder */
    double share;          /* of the mean that is experience and not prior: 1 - prod k/(n+k) */
    enum context_rung level; /* the nearest rung with experience; CONTEXT_RUNGS: prior only */
};

/* Works the ladder of what a view sees. */
void estimate_read(const struct ladder *ladder, double prior, double k, struct estimate *ret);
/* Its mean alone, which most edges of a decision are read for. */
double estimate_mean(const struct ladder *ladder, double prior, double k);
/* Works the ladder again from rungs and prior. */
void estimate_climb(struct estimate *estimate, double k);

/*
 * What a decision reads stands on a grid of 1e-9: far finer than any measurement, and short in a
 * record, from which the decision has to come out the same to the last bit.
 */
double estimate_round(double value);

/* sqrt(v / (n + k)) with the n of the exact context: how little is known here. */
double estimate_doubt(const struct estimate *estimate, double k);

/* Without experience only the prior is written: it is the mean then. */
void estimate_write(struct jwriter *w, const char *key, const struct estimate *estimate);
int estimate_parse(const json_t *json, const struct jpath *at, double k, struct estimate *ret,
                   struct err *err);
