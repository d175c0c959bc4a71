/* SPDX-License-Identifier: MIT */
#include "kernelbench/ceilings.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>

enum { RATES = 6 };
static const double rate_most = 1e18; /* of one device, for years to come */

static const struct {
    const char *key;
    size_t offset;
} rates[RATES] = {
    { "copy", offsetof(struct ceilings, copy) }, { "read", offsetof(struct ceilings, read) },
    { "f32", offsetof(struct ceilings, f32) },   { "tf32", offsetof(struct ceilings, tf32) },
    { "bf16", offsetof(struct ceilings, bf16) }, { "f16", offsetof(struct ceilings, f16) },
};

static double *at(struct ceilings *ceilings, size_t i)
{
    return (double *)((char *)ceilings + rates[i].offset);
}

json_t *ceilings_json(const struct ceilings *ceilings)
{
    struct ceilings copy = *ceilings;
    json_t *json = json_pack("{s:s, s:s}", "instruction", copy.instruction, "driver", copy.driver);
    require(json != NULL);
    for (size_t i = 0; i < RATES; i++) {
        require(json_object_set_new(json, rates[i].key, json_real(*at(&copy, i))) == 0);
    }
    return json;
}

int ceilings_parse(const json_t *json, struct ceilings *ret, struct err *err)
{
    struct ceilings ceilings = { 0 };
    const char *instruction = "", *driver = "";
    if (!json_is_object(json)) {
        return jread_fail(NULL, err, "expected an object, got %s", jread_kind(json));
    }
    int r = jread_string(json, "instruction", false, NULL, &instruction, err);
    r = r < 0 ? r : jread_string(json, "driver", false, NULL, &driver, err);
    for (size_t i = 0; r == 0 && i < RATES; i++) {
        r = jread_real(json, rates[i].key, false, 0, rate_most, NULL, at(&ceilings, i), err);
    }
    if (r == 0) {
        snprintf(ceilings.instruction, sizeof(ceilings.instruction), "%s", instruction);
        snprintf(ceilings.driver, sizeof(ceilings.driver), "%s", driver);
        *ret = ceilings;
    }
    return r;
}

double ceilings_rate(const struct ceilings *ceilings, const char *precision)
{
    struct ceilings copy = *ceilings;
    for (size_t i = 2; i < RATES; i++) { /* behind the two of memory */
        if (str_eq(rates[i].key, precision)) {
            return *at(&copy, i);
        }
    }
    return 0;
}
