/* SPDX-License-Identifier: MIT */
#include "kernelbench/counter.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name, *unit, *metric, *says;
    double scale;
} list[] = {
#define X(id, text, unit, scale, metric, says) { text, unit, metric, says, scale },
    COUNTER_LIST(X)
#undef X
};

_Static_assert(COUNTER_COUNT <= 64, "struct counters has one word of marks");

const char *counter_name(enum counter counter)
{
    return list[counter].name;
}

const char *counter_unit(enum counter counter)
{
    return list[counter].unit;
}

double counter_scale(enum counter counter)
{
    return list[counter].scale;
}

const char *counter_metric(enum counter counter)
{
    return list[counter].metric;
}

const char *counter_says(enum counter counter)
{
    return list[counter].says;
}

bool counter_is_stall(enum counter counter)
{
    return str_prefix(list[counter].name, "stall_");
}

bool counter_is_sum(enum counter counter)
{
    size_t n = strlen(list[counter].metric);
    return n > 4 && str_eq(list[counter].metric + n - 4, ".sum");
}

bool counters_has(const struct counters *counters, enum counter counter)
{
    return counters->known >> counter & 1;
}

double counters_get(const struct counters *counters, enum counter counter)
{
    return counters_has(counters, counter) ? counters->value[counter] : 0;
}

void counters_set(struct counters *counters, enum counter counter, double value)
{
    if (isfinite(value)) {
        counters->known |= 1ull << counter;
        counters->value[counter] = value;
    }
}

void counters_add(struct counters *sum, const struct counters *kernel)
{
    if (sum->known == 0) {
        *sum = *kernel;
        return;
    }
    double before = counters_get(sum, COUNTER_TIME), own = counters_get(kernel, COUNTER_TIME);
    double share = before + own > 0 ? own / (before + own) : 0;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        enum counter c = (enum counter)i;
        if (!counters_has(sum, c) || !counters_has(kernel, c)) {
            sum->known &= ~(1ull << c); /* part of a total would pass for all of it */
        } else if (counter_is_sum(c)) {
            sum->value[c] += kernel->value[c];
        } else {
            sum->value[c] += share * (kernel->value[c] - sum->value[c]);
        }
    }
}

json_t *counters_json(const struct counters *counters)
{
    if (counters->known == 0) {
        return NULL;
    }
    json_t *object = json_object();
    for (int i = 0; i < COUNTER_COUNT; i++) {
        if (counters_has(counters, (enum counter)i)) {
            require(json_object_set_new(object, list[i].name, json_real(counters->value[i])) == 0);
        }
    }
    return object;
}

void counters_parse(const json_t *object, struct counters *ret)
{
    *ret = (struct counters) { 0 };
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const json_t *value = json_object_get(object, list[i].name);
        if (json_is_number(value)) {
            counters_set(ret, (enum counter)i, json_number_value(value));
        }
    }
}
