/* SPDX-License-Identifier: MIT */
/*
 * What the store has of other tunings of the family, on other devices, of other kernels, goes into a
 * prior (tune/prior.h). It proposes what is measured first, and goes on with what that brings.
 */
#include "agent/tuning_internal.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKED_AT_MOST = 4096, EARLIER_MOST = 48, SAMPLES_MOST = 4096, SYMBOLS_MAX = 64 };

/* Where a tuning was measured, from what stands at the head of its samples. */
struct place {
    struct prior_place at;
    struct prior_size shape[SYMBOLS_MAX];
};

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

/* Strings belong to `head`. */
static void read_place(const json_t *head, struct place *ret)
{
    const json_t *device = json_object_get(head, "device");
    const json_t *ceilings = json_object_get(device, "ceilings");
    bool modelled = json_is_true(json_object_get(device, "modelled"));
    *ret = (struct place) { 0 };
    ret->at = (struct prior_place) {
        .kernel = text_of(head, "kernel"), .family = text_of(head, "family"),
        .vendor = modelled ? "simulated" : "NVIDIA", .arch = text_of(device, "arch"),
        .sm_count = json_number_value(json_object_get(device, "sm_count")),
        .shared = json_number_value(json_object_get(device, "max_shared")),
        .bandwidth = json_number_value(json_object_get(ceilings, "copy")),
        .flops = json_number_value(json_object_get(ceilings, "f32")), .shape = ret->shape,
    };
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(head, "shape"), name, value) {
        if (ret->at.n_shape < SYMBOLS_MAX) {
            ret->shape[ret->at.n_shape++] = (struct prior_size) { name, json_number_value(value) };
        }
    }
}

static bool power_of_two(double v)
{
    return v >= 1 && v < 9e15 && ((int64_t)v & ((int64_t)v - 1)) == 0;
}

/* {"BLOCK": [64, 128]}: false if it isn't that. */
static bool read_param(struct arena *arena, const char *name, const json_t *list,
                       struct tune_param *ret)
{
    size_t n = json_array_size(list);
    double *values = arena_alloc(arena, n + 1, sizeof(*values));
    const char **texts = arena_alloc(arena, n + 1, sizeof(*texts));
    bool pow2 = true;
    if (n < 1 || n > PLAN_CHOICES_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = json_number_value(json_array_get(list, i));
        texts[i] = arena_printf(arena, "%.0f", values[i]);
        pow2 = pow2 && power_of_two(values[i]);
        if (i > 0 && values[i] <= values[i - 1]) {
            return false;
        }
    }
    *ret = (struct tune_param) { .name = name, .kind = pow2 ? TUNE_POW2 : TUNE_NUMBER,
                                 .n = (uint32_t)n, .values = values, .texts = texts };
    return true;
}

static size_t read_params(struct arena *arena, const json_t *head, struct tune_param *ret)
{
    size_t n = 0;
    const char *name;
    json_t *list;
    json_object_foreach(json_object_get(head, "params"), name, list) {
        n += n < PLAN_PARAMS_MAX && json_array_size(list) > 1 && read_param(arena, name, list, &ret[n]);
    }
    return n;
}

static bool read_config(const char *text, const struct tune_param *params, size_t n, uint16_t *ret)
{
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        double value = json_number_value(json_object_get(json, params[i].name));
        for (uint32_t k = 0; k < params[i].n; k++) {
            if (params[i].values[k] == value) {
                ret[i] = (uint16_t)k;
                found++;
            }
        }
    }
    json_decref(json);
    return found == n;
}

/* All samples of one space on one device. */
static void add_tuning(struct tuning *t, struct prior *prior, const char *prefix, const json_t *head)
{
    auto_arena struct arena *arena = arena_new();
    struct tune_param params[PLAN_PARAMS_MAX];
    struct place place;
    struct store_item *items;
    size_t n = 0, n_items = 0, n_params = read_params(arena, head, params);
    read_place(head, &place);
    if (n_params == 0
        || store_scan(t->session->store, STORE_DB_TUNINGS, prefix, NULL, SAMPLES_MOST, arena, &items,
                      &n_items, NULL) < 0) {
        return;
    }
    uint16_t *configs = arena_alloc(arena, n_items * n_params + 1, sizeof(*configs));
    double *times = arena_alloc(arena, n_items + 1, sizeof(*times));
    for (size_t i = 0; i < n_items; i++) {
        json_t *json;
        if (tuning_sample_read(items[i].at, items[i].len, &json, &times[n]) >= 0) {
            n += read_config(text_of(json, "config"), params, n_params, configs + n * n_params);
            json_decref(json);
        }
    }
    prior_add(prior, &place.at, params, n_params, configs, times, n);
}

/* The head of the group that a key belongs to, and the group's prefix; NULL: it has none. */
static json_t *head_of(const struct tuning *t, const char *key, struct arena *arena, char **ret_prefix)
{
    const char *slash = strrchr(key, '/');
    const void *at;
    size_t len;
    *ret_prefix = arena_strndup(arena, key, slash ? (size_t)(slash + 1 - key) : strlen(key));
    const char *head = arena_printf(arena, "%s-", *ret_prefix);
    return store_get(t->session->store, STORE_DB_TUNINGS, head, arena, &at, &len, NULL) < 0
        ? NULL
        : json_loadb(at, len, 0, NULL);
}

/* Group after group: the first key after all that begin with a prefix begins the next. */
static void learn(struct tuning *t, struct prior *prior)
{
    auto_arena struct arena *arena = arena_new();
    const char *after = NULL;
    struct store_item *item;
    size_t n;
    for (size_t i = 0; i < LOOKED_AT_MOST && prior_tunings(prior) < EARLIER_MOST; i++) {
        if (store_scan(t->session->store, STORE_DB_TUNINGS, "", after, 1, arena, &item, &n, NULL) < 0
            || n == 0) {
            return;
        }
        char *prefix;
        json_t *head = head_of(t, item->key, arena, &prefix);
        const char *family = text_of(head, "family");
        if (family && str_eq(family, t->options.task->family) && !str_eq(prefix, t->prefix)) {
            add_tuning(t, prior, prefix, head);
        }
        json_decref(head);
        after = arena_printf(arena, "%s~", prefix);
    }
}

void tuning_prior(struct tuning *t)
{
    const struct tuning_options *o = &t->options;
    bool asked = o->algorithm && str_eq(o->algorithm, "prior");
    bool whole = !asked && t->space->n_listed > 0 && o->budget >= t->space->n_listed;
    if (whole || t->space->n == 0) {
        return; /* whatever is proposed, all of it is measured */
    }
    t->prior = prior_new();
    if (t->session->store) {
        learn(t, t->prior);
    }
    json_t *head = tuning_head(t);
    struct place here;
    read_place(head, &here);
    t->guide = prior_guide_new(t->prior, &here.at, t->space, o->seed);
    t->earlier = t->guide ? prior_guide_tunings(t->guide) : 0;
    json_decref(head);
    if (asked && !t->guide) {
        tuning_say(t, "the store has no earlier tuning of this family to learn from");
    }
}
