/* SPDX-License-Identifier: MIT */
#include "agent/llm_price.h"
#include "base/embed.h"
#include "base/jread.h"
#include "base/util.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

EMBED_TEXT(llm_prices_shipped, WS_LLM_PRICES);

enum { PRICES_MAX = 10000 };
static const double price_max = 1e6; /* USD for a million tokens */

/* "-20250929", "-2025-08-07", "-latest", "@anything": the same model at another time or place. */
static bool is_dated(const char *rest)
{
    if (*rest == '\0' || *rest == '@' || str_eq(rest, "-latest")) {
        return true;
    }
    if (*rest++ != '-') {
        return false;
    }
    size_t digits = 0;
    for (; *rest; rest++) {
        if (isdigit((unsigned char)*rest)) {
            digits++;
        } else if (*rest != '-') {
            return false;
        }
    }
    return digits == 8 || digits == 4;
}

static int read_price(const json_t *entry, const struct jpath *at, struct llm_price *ret,
                      struct err *err)
{
    static const char *const known[] = { "name", "in", "cached", "written", "out", "in_max", "note" };
    struct llm_price p = { .known = true };
    int r = jread_object(entry, at, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_real(entry, "in", true, 0, price_max, at, &p.in, err);
    p.cached = p.written = p.in;
    r = r < 0 ? r : jread_real(entry, "cached", false, 0, price_max, at, &p.cached, err);
    r = r < 0 ? r : jread_real(entry, "written", false, 0, price_max, at, &p.written, err);
    r = r < 0 ? r : jread_real(entry, "out", true, 0, price_max, at, &p.out, err);
    r = r < 0 ? r : jread_int(entry, "in_max", false, 1, INT64_C(1) << 40, at, &p.in_max, err);
    if (r == 0) {
        *ret = p;
    }
    return r;
}

/* Every entry is read, so that a broken file is found at the start. */
static int find_in(const json_t *json, const char *model, bool shipped, struct llm_price *ret,
                   struct err *err)
{
    static const char *const known[] = { "format", "as_of", "source", "models" };
    int64_t format;
    const char *as_of = "";
    const json_t *models = NULL, *entry;
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    r = r < 0 ? r : jread_int(json, "format", true, 1, 1, NULL, &format, err);
    r = r < 0 ? r : jread_string(json, "as_of", false, NULL, &as_of, err);
    r = r < 0 ? r : jread_array(json, "models", true, PRICES_MAX, NULL, &models, err);
    size_t i;
    struct jpath top = { NULL, "models", 0 };
    json_array_foreach(models, i, entry) {
        struct jpath at = { &top, NULL, i };
        const char *name;
        struct llm_price p = { .known = false };
        r = r < 0 ? r : jread_string(entry, "name", true, &at, &name, err);
        r = r < 0 ? r : read_price(entry, &at, &p, err);
        if (r < 0) {
            return r;
        }
        if (!ret->known && *name && str_prefix(model, name) && is_dated(model + strlen(name))) {
            *ret = p;
            snprintf(ret->from, sizeof(ret->from), "%s%.40s", shipped ? "shipped prices of " : "the "
                     "prices given", shipped ? as_of : "");
        }
    }
    return r;
}

int llm_price_find(const char *file, const char *model, struct llm_price *ret, struct err *err)
{
    struct llm_price price = { .known = false };
    json_t *json = NULL;
    int r = 0;
    if (file) {
        r = jread_file(file, &json, err);
        if (r == 0 && (r = find_in(json, model, false, &price, err)) < 0) {
            err_wrap(err, "%s", file);
        }
        json_decref(json);
        json = NULL;
    }
    if (r == 0 && !price.known) {
        r = jread_parse(llm_prices_shipped, strlen(llm_prices_shipped), &json, err);
        r = r < 0 ? r : find_in(json, model, true, &price, err);
        json_decref(json);
    }
    if (r == 0) {
        *ret = price;
    }
    return r;
}

double llm_price_of(const struct llm_price *p, const struct llm_usage *u)
{
    if (!p->known || (p->in_max && u->in > p->in_max)) {
        return NAN;
    }
    double fresh = (double)(u->in - u->cached - u->written);
    return (fresh * p->in + (double)u->cached * p->cached + (double)u->written * p->written
            + (double)u->out * p->out) / 1e6;
}

double llm_price_worst(const struct llm_price *p, int64_t in, int64_t out)
{
    if (!p->known || (p->in_max && in > p->in_max)) {
        return NAN;
    }
    return ((double)in * fmax(p->in, fmax(p->cached, p->written)) + (double)out * p->out) / 1e6;
}
