/* SPDX-License-Identifier: MIT */
/* A landscape as a JSON document, so that a world can be looked at, changed and kept. */
#include "agent/landscape.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>

void landscape_write(const struct landscape *l, struct buf *out)
{
    struct jwriter w = { out, false };
    jwrite_open(&w, NULL, '{');
    jwrite_string(&w, "world", l->world);
    jwrite_int(&w, "seed", (int64_t)l->seed);
    jwrite_real(&w, "loses", l->loses);
    jwrite_real(&w, "noise", l->noise);
    jwrite_real(&w, "slip", l->slip);
    jwrite_open(&w, "resource", '[');
    for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
        jwrite_int(&w, NULL, l->resource[d]);
    }
    jwrite_close(&w, ']');
    jwrite_open(&w, "gain", '[');
    for (int f = 0; f < LANDSCAPE_FAMILIES; f++) {
        jwrite_open(&w, NULL, '[');
        for (int d = 0; d < LANDSCAPE_DIRECTIONS; d++) {
            jwrite_open(&w, NULL, '[');
            for (int s = 0; s < LANDSCAPE_STRATEGIES; s++) {
                jwrite_real(&w, NULL, l->gain[f][d][s]);
            }
            jwrite_close(&w, ']');
        }
        jwrite_close(&w, ']');
    }
    jwrite_close(&w, ']');
    jwrite_open(&w, "dependencies", '[');
    for (size_t i = 0; i < l->n_dependencies; i++) {
        const struct landscape_dependency *d = &l->dependencies[i];
        jwrite_open(&w, NULL, '{');
        jwrite_int(&w, "family", d->family);
        jwrite_int(&w, "first", d->first);
        jwrite_int(&w, "then", d->then);
        jwrite_bool(&w, "spoils", d->spoils);
        jwrite_close(&w, '}');
    }
    jwrite_close(&w, ']');
    jwrite_close(&w, '}');
}

/* The element `index` of an array of exactly `n`. */
static int element(const json_t *array, const struct jpath *at, size_t n, size_t index,
                   const json_t **ret, struct err *err)
{
    if (!json_is_array(array) || json_array_size(array) != n) {
        return jread_fail(at, err, "expected an array of %zu", n);
    }
    *ret = json_array_get(array, index);
    return 0;
}

static int read_gains(const json_t *json, struct landscape *l, struct err *err)
{
    const struct jpath top = { NULL, "gain", 0 };
    int r = 0;
    for (size_t i = 0; r == 0 && i < LANDSCAPE_FAMILIES * LANDSCAPE_DIRECTIONS * LANDSCAPE_STRATEGIES;
         i++) {
        size_t s = i % LANDSCAPE_STRATEGIES, d = i / LANDSCAPE_STRATEGIES % LANDSCAPE_DIRECTIONS;
        size_t f = i / LANDSCAPE_STRATEGIES / LANDSCAPE_DIRECTIONS;
        const struct jpath family = { &top, NULL, f }, direction = { &family, NULL, d };
        const struct jpath strategy = { &direction, NULL, s };
        const json_t *x = json;
        r = element(x, &top, LANDSCAPE_FAMILIES, f, &x, err);
        r = r < 0 ? r : element(x, &family, LANDSCAPE_DIRECTIONS, d, &x, err);
        r = r < 0 ? r : element(x, &direction, LANDSCAPE_STRATEGIES, s, &x, err);
        double gain = r == 0 && json_is_number(x) ? json_number_value(x) : -9;
        if (r == 0 && !(gain >= -3 && gain <= 3)) {
            r = jread_fail(&strategy, err, "expected a gain between -3 and 3 nats");
        }
        l->gain[f][d][s] = gain;
    }
    return r;
}

static int read_dependency(const json_t *json, const struct jpath *at,
                           struct landscape_dependency *ret, struct err *err)
{
    static const char *const keys[] = { "family", "first", "then", "spoils" };
    int64_t family = 0, first = 0, then = 0;
    int r = jread_object(json, at, keys, ARRAY_LEN(keys), err);
    r = r < 0 ? r : jread_int(json, "family", true, 0, LANDSCAPE_FAMILIES - 1, at, &family, err);
    r = r < 0 ? r : jread_int(json, "first", true, 0, LANDSCAPE_DIRECTIONS - 1, at, &first, err);
    r = r < 0 ? r : jread_int(json, "then", true, 0, LANDSCAPE_DIRECTIONS - 1, at, &then, err);
    r = r < 0 ? r : jread_bool(json, "spoils", true, at, &ret->spoils, err);
    ret->family = (int)family;
    ret->first = (int)first;
    ret->then = (int)then;
    return r;
}

static int read_lists(const json_t *json, struct landscape *l, struct err *err)
{
    const json_t *resources = NULL, *dependencies = NULL, *gains = NULL;
    int r = jread_array(json, "resource", true, LANDSCAPE_DIRECTIONS, NULL, &resources, err);
    r = r < 0 ? r : jread_array(json, "gain", true, LANDSCAPE_FAMILIES, NULL, &gains, err);
    r = r < 0 ? r : jread_array(json, "dependencies", true, LANDSCAPE_DEPENDENCIES_MAX, NULL,
                                &dependencies, err);
    const struct jpath top = { NULL, "resource", 0 };
    for (size_t d = 0; r == 0 && d < LANDSCAPE_DIRECTIONS; d++) {
        const struct jpath at = { &top, NULL, d };
        const json_t *x = NULL;
        r = element(resources, &top, LANDSCAPE_DIRECTIONS, d, &x, err);
        int64_t value = r == 0 && json_is_integer(x) ? json_integer_value(x) : -1;
        if (r == 0 && (value < 0 || value >= LANDSCAPE_RESOURCES)) {
            r = jread_fail(&at, err, "expected an integer from 0 to %d", LANDSCAPE_RESOURCES - 1);
        }
        l->resource[d] = (int)value;
    }
    const struct jpath list = { NULL, "dependencies", 0 };
    l->n_dependencies = r == 0 ? json_array_size(dependencies) : 0;
    for (size_t i = 0; r == 0 && i < l->n_dependencies; i++) {
        const struct jpath at = { &list, NULL, i };
        r = read_dependency(json_array_get(dependencies, i), &at, &l->dependencies[i], err);
    }
    return r < 0 ? r : read_gains(gains, l, err);
}

int landscape_read(const char *path, struct landscape *ret, struct err *err)
{
    static const char *const keys[]
        = { "world", "seed", "loses", "noise", "slip", "resource", "gain", "dependencies" };
    struct landscape l = { .seed = 0 };
    const char *world = NULL;
    int64_t seed = 0;
    json_t *json = NULL;
    int r = jread_file(path, &json, err);
    if (r < 0) {
        return r;
    }
    r = jread_object(json, NULL, keys, ARRAY_LEN(keys), err);
    r = r < 0 ? r : jread_string(json, "world", true, NULL, &world, err);
    r = r < 0 ? r : jread_int(json, "seed", true, 0, INT64_MAX, NULL, &seed, err);
    r = r < 0 ? r : jread_real(json, "loses", true, 0, 1, NULL, &l.loses, err);
    r = r < 0 ? r : jread_real(json, "noise", true, 0, 1, NULL, &l.noise, err);
    r = r < 0 ? r : jread_real(json, "slip", true, 0, 1, NULL, &l.slip, err);
    r = r < 0 ? r : read_lists(json, &l, err);
    if (r == 0 && strlen(world) >= sizeof(l.world)) {
        r = err_set(err, ERR_INVALID, "%s: world: order, unary or none", path);
    }
    if (r == 0) {
        snprintf(l.world, sizeof(l.world), "%s", world);
        l.seed = (uint64_t)seed;
        *ret = l;
    }
    json_decref(json);
    return r;
}
