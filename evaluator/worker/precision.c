/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/precision.h"
#include "base/util.h"

#include <math.h>

static const double u32 = 0x1p-24;

/* From fine to coarse. `like` is what an error of this size is called; both of 11 bits look alike. */
static const struct level {
    const char *name, *like;
    double unit;
} levels[] = {
    { "f64", "f64", 0x1p-53 },     { "f32", "f32", 0x1p-24 },  { "tf32", "tf32 or f16", 0x1p-11 },
    { "f16", "tf32 or f16", 0x1p-11 }, { "bf16", "bf16", 0x1p-8 },
    { "f8e4m3", "f8e4m3", 0x1p-4 }, { "f8e5m2", "f8e5m2", 0x1p-3 },
};

double precision_unit(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (str_eq(levels[i].name, name)) {
            return levels[i].unit;
        }
    }
    return 0;
}

/* What an error before the last rounding becomes after it. */
static double rounded(double error, double output_unit)
{
    return sqrt(error * error + 2 * error * output_unit);
}

double precision_limit(const struct precision_rule *rule, double size, size_t n)
{
    double unit = precision_unit(rule->declared), output = precision_unit(dtype_name(rule->output));
    if (unit == 0 || output == 0 || n == 0) {
        return INFINITY;
    }
    double sums = MIN(unit, u32), terms = MAX(rule->terms, 1), count = (double)n;
    double steps = unit > u32 ? terms / 16 : 0;
    double error = sums * (16 + 2 * sqrt(terms) + steps) + 1.3 * sqrt(rule->roundings) * unit;
    /* Few elements: their mean square scatters, and one that falls on the other side of a tie (a
     * unit in the last place of an element of four times the usual size) mustn't decide. */
    error *= 1 + 4 / sqrt(count);
    double square = pow(rounded(error, output), 2);
    return size * sqrt(square + 128 * output * output / count);
}

/* One or two operands, each off by 0.41 units. */
static double signature(const struct precision_rule *rule, const struct level *level)
{
    return rounded(level->unit / 2, precision_unit(dtype_name(rule->output)));
}

static bool is_lower(const struct precision_rule *rule, const struct level *level)
{
    double unit = precision_unit(rule->declared);
    /* Where nothing may be rounded to the declared precision, that itself is lower than f32 sums. */
    return level->unit > unit || (rule->roundings == 0 && unit > u32 && level->unit > u32);
}

const char *precision_like(const struct precision_rule *rule, double error, double spread)
{
    enum { NEAR = 4 };
    const char *like = NULL;
    double nearest = log(NEAR);
    if (!(error > 0) || !(spread > 0) || !isfinite(error)) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        double distance = fabs(log(error / spread / signature(rule, &levels[i])));
        if (is_lower(rule, &levels[i]) && distance < nearest) {
            nearest = distance;
            like = levels[i].like;
        }
    }
    return like;
}

double precision_next(const struct precision_rule *rule)
{
    for (size_t i = 0; precision_unit(rule->declared) > 0 && i < ARRAY_LEN(levels); i++) {
        if (is_lower(rule, &levels[i])) {
            return signature(rule, &levels[i]);
        }
    }
    return 0;
}
