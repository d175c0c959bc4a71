/* SPDX-License-Identifier: MIT */
#include "graph/tally.h"
#include "base/util.h"

#include <math.h>

static double clamp(double gain)
{
    return MAX(-TALLY_FAILURE_LOSS, MIN(gain, TALLY_GAIN_MOST));
}

double tally_gain(double parent_us, double child_us)
{
    require(parent_us > 0 && child_us > 0);
    return clamp(log(parent_us / child_us));
}

double tally_value(double gain, bool failed)
{
    return failed ? -TALLY_FAILURE_LOSS : clamp(gain);
}

void tally_add(struct tally *tally, double gain, bool failed)
{
    double x = tally_value(gain, failed);
    tally->n++;
    tally->failures += failed;
    double off = x - tally->mean;
    tally->mean += off / (double)tally->n;
    tally->m2 += off * (x - tally->mean);
}

void tally_merge(struct tally *into, const struct tally *other)
{
    if (other->n == 0) {
        return;
    }
    double a = (double)into->n, b = (double)other->n;
    double off = other->mean - into->mean;
    into->mean += off * b / (a + b);
    into->m2 += other->m2 + off * off * a * b / (a + b);
    into->n += other->n;
    into->failures += other->failures;
}

bool tally_valid(const struct tally *tally)
{
    /* Sums that were merged and taken apart again are off by rounding. */
    const double slack = 1e-6;
    return tally->n >= 0 && tally->failures >= 0 && tally->failures <= tally->n &&
           isfinite(tally->mean) && isfinite(tally->m2) && tally->m2 >= -slack &&
           tally->mean >= -TALLY_FAILURE_LOSS - slack && tally->mean <= TALLY_GAIN_MOST + slack;
}

double tally_variance(const struct tally *tally)
{
    return tally->n < 2 ? 0 : tally->m2 / (double)(tally->n - 1);
}

double tally_shrink_mean(const struct tally *tally, double k, double above)
{
    double n = (double)tally->n;
    return (n * tally->mean + k * above) / (n + k);
}

double tally_shrink_variance(const struct tally *tally, double k, double above)
{
    return (tally->m2 + k * above) / ((double)tally->n + k);
}
