#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of many outcomes: how often, the mean gain, its spread, how many failed. A
 * gain is g = ln(parent time / child time) in nats; a failure counts as the fixed loss
 * -TALLY_FAILURE_LOSS and is part of n, mean and m2. Gains are clamped to [-TALLY_FAILURE_LOSS,
 * TALLY_GAIN_MOST]: nothing that runs is worse than a failure, and one freak can't own a mean.
 *
 * Updates by Welford, merges by Chan et al. 1979, so increments commute and several processes may
 * add to one record. (The name isn't "stat": POSIX has that one.)
 */
#include <stdbool.h>
#include <stdint.h>

#define TALLY_FAILURE_LOSS 0.3 /* as if the child were 1.35 times slower */
#define TALLY_GAIN_MOST 2.5    /* 12 times faster */

struct tally {
    int64_t n, failures;
    double mean, m2; /* m2: sum of squared distances from the mean */
};

/* ln(parent / child) for two times above zero, clamped. */
double tally_gain(double parent_us, double child_us);
/* The value that counts: the loss if it failed, else the gain clamped. */
double tally_value(double gain, bool failed);

void tally_add(struct tally *tally, double gain, bool failed);
void tally_merge(struct tally *into, const struct tally *other);

/* Numbers that tally_add could have made: finite, m2 >= 0, 0 <= failures <= n, mean in range. */
bool tally_valid(const struct tally *tally);
/* Sample variance m2 / (n - 1); 0 below two. */
double tally_variance(const struct tally *tally);

/* Shrinkage towards what is known above: (n mean + k above) / (n + k), k > 0. */
double tally_shrink_mean(const struct tally *tally, double k, double above);
/* The same for the variance: (m2 + k above) / (n + k). */
double tally_shrink_variance(const struct tally *tally, double k, double above);
