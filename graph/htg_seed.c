/* SPDX-License-Identifier: MIT */
#include "graph/htg_seed.h"
#include "base/jread.h"
#include "base/util.h"

#include <string.h>

/* `entries` is "directions", "strategies" or "transitions". */
static int parse_document(const char *text, size_t len, const char *entries, size_t most,
                          json_t **ret, const json_t **ret_entries, struct err *err)
{
    json_t *json;
    int r = jread_parse(text, len, &json, err);
    if (r < 0) {
        return r;
    }
    const char *const known[] = {"format", entries};
    int64_t format = 0;
    r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = jread_int(json, "format", true, 1, INT64_MAX, NULL, &format, err);
    }
    if (r == 0 && format != 1) {
        r = err_set(err, ERR_VERSION, "format is %lld, this program reads 1", (long long)format);
    }
    if (r == 0) {
        r = jread_array(json, entries, true, most, NULL, ret_entries, err);
    }
    if (r < 0) {
        json_decref(json);
        return r;
    }
    *ret = json;
    return 0;
}

static int read_prior(const json_t *entry, const struct jpath *at, struct htg_prior *ret,
                      struct err *err)
{
    const json_t *json = json_object_get(entry, "prior");
    struct jpath here = {at, "prior", 0};
    static const char *const classes[] = {
#define X(name, text) text,
        CONTEXT_CLASS_LIST(X)
#undef X
    };
    int r = json ? jread_object(json, &here, classes, ARRAY_LEN(classes), err) : 0;
    for (size_t i = 0; r == 0 && json && i < ARRAY_LEN(classes); i++) {
        if (json_object_get(json, classes[i])) {
            r = jread_real(json, classes[i], true, -2, 3, &here, &ret->gain[i], err);
            ret->given |= 1u << i;
        }
    }
    return r;
}

struct list_room {
    const char *at[HTG_LIST_MAX];
};

static int read_list(const json_t *object, const char *key, const struct jpath *at,
                     struct list_room *room, struct htg_list *ret, struct err *err)
{
    const json_t *array = NULL;
    int r = jread_array(object, key, false, HTG_LIST_MAX, at, &array, err);
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        struct jpath list = {at, key, 0}, here = {&list, NULL, i};
        if (!json_is_string(value)) {
            return jread_fail(&here, err, "expected a string, got %s", jread_kind(value));
        }
        room->at[i] = json_string_value(value);
    }
    if (r == 0) {
        *ret = (struct htg_list){room->at, json_array_size(array)};
    }
    return r;
}

/* Several string members; the first `required` of them have to be there. */
static int read_texts(const json_t *entry, const struct jpath *at, const char *const *keys,
                      const char **const *rets, size_t n, size_t required, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = jread_string(entry, keys[i], i < required, at, rets[i], err);
    }
    return r;
}

/* Text too long, id unknown...: the graph's own complaint, with where it stands. */
static int place(int r, const struct jpath *at, struct err *err)
{
    return r < 0 ? err_wrap(err, "%s[%zu]", at->up->key, at->index) : 0;
}

static int add_direction(struct htg *htg, const json_t *entry, const struct jpath *at,
                         struct err *err)
{
    static const char *const known[] = {"id", "title", "summary", "prior"};
    struct htg_direction direction = {0};
    const char **const rets[] = {&direction.id, &direction.title, &direction.summary};
    int r = jread_object(entry, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = read_texts(entry, at, known, rets, ARRAY_LEN(rets), 2, err);
    }
    if (r == 0) {
        r = read_prior(entry, at, &direction.prior, err);
    }
    return r < 0 ? r : place(htg_add_direction(htg, &direction, err), at, err);
}

static int read_applies(const json_t *entry, const struct jpath *at, struct list_room room[4],
                        struct htg_strategy *ret, struct err *err)
{
    static const char *const known[] = {"families", "bottlenecks", "arch", "dtypes"};
    const json_t *applies = json_object_get(entry, "applies");
    if (!applies) {
        return 0;
    }
    struct jpath here = {at, "applies", 0};
    struct htg_list *const rets[] = {&ret->families, &ret->bottlenecks, &ret->archs, &ret->dtypes};
    int r = jread_object(applies, &here, known, ARRAY_LEN(known), err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++) {
        r = read_list(applies, known[i], &here, &room[i], rets[i], err);
    }
    return r;
}

static int read_state(const json_t *entry, const struct jpath *at, enum htg_state *ret,
                      struct err *err)
{
    const char *name = htg_state_name(*ret);
    int r = jread_string(entry, "state", false, at, &name, err);
    if (r == 0 && !htg_state_parse(name, ret)) {
        struct jpath here = {at, "state", 0};
        return jread_fail(&here, err, "\"%s\" is none of seed, provisional, promoted, retired",
                          name);
    }
    return r;
}

static int add_strategy(struct htg *htg, const json_t *entry, const struct jpath *at,
                        struct err *err)
{
    static const char *const known[] = {"id",       "direction", "title", "guidance", "pitfalls",
                                        "tunables", "applies",   "prior", "state"};
    struct htg_strategy strategy = {.state = HTG_STATE_SEED};
    const char **const rets[] = {&strategy.id, &strategy.direction, &strategy.title,
                                 &strategy.guidance, &strategy.pitfalls};
    struct list_room tunables, applies[4];
    int r = jread_object(entry, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = read_texts(entry, at, known, rets, ARRAY_LEN(rets), 4, err);
    }
    if (r == 0) {
        r = read_list(entry, "tunables", at, &tunables, &strategy.tunables, err);
    }
    if (r == 0) {
        r = read_applies(entry, at, applies, &strategy, err);
    }
    if (r == 0) {
        r = read_prior(entry, at, &strategy.prior, err);
    }
    if (r == 0) {
        r = read_state(entry, at, &strategy.state, err);
    }
    return r < 0 ? r : place(htg_add_strategy(htg, &strategy, err), at, err);
}

static int add_transition(struct htg *htg, const json_t *entry, const struct jpath *at,
                          struct err *err)
{
    static const char *const known[] = {"from", "to", "when", "why", "risk", "prior"};
    struct htg_transition transition = {0};
    const char **const rets[] = {&transition.from, &transition.to, &transition.when,
                                 &transition.why, &transition.risk};
    int r = jread_object(entry, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = read_texts(entry, at, known, rets, ARRAY_LEN(rets), 2, err);
    }
    if (r == 0) {
        r = jread_real(entry, "prior", false, -2, 3, at, &transition.prior, err);
    }
    return r < 0 ? r : place(htg_add_transition(htg, &transition, err), at, err);
}

typedef int add_fn(struct htg *htg, const json_t *entry, const struct jpath *at, struct err *err);

static int add_all(struct htg *htg, const char *text, size_t len, const char *entries, size_t most,
                   add_fn *add, struct err *err)
{
    json_t *json;
    const json_t *array;
    int r = parse_document(text, len, entries, most, &json, &array, err);
    if (r < 0) {
        return r;
    }
    struct jpath list = {NULL, entries, 0};
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        struct jpath at = {&list, NULL, i};
        r = add(htg, json_array_get(array, i), &at, err);
    }
    json_decref(json);
    return r;
}

int htg_seed_directions(struct htg *htg, const char *text, size_t len, struct err *err)
{
    return add_all(htg, text, len, "directions", HTG_DIRECTIONS_MAX, add_direction, err);
}

int htg_seed_strategies(struct htg *htg, const char *text, size_t len, struct err *err)
{
    return add_all(htg, text, len, "strategies", HTG_STRATEGIES_MAX, add_strategy, err);
}

int htg_seed_transitions(struct htg *htg, const char *text, size_t len, struct err *err)
{
    return add_all(htg, text, len, "transitions", HTG_TRANSITIONS_MAX, add_transition, err);
}

int htg_seed_strategy(struct htg *htg, const json_t *entry, struct err *err)
{
    struct jpath list = {NULL, "strategies", 0}, at = {&list, NULL, 0};
    return add_strategy(htg, entry, &at, err);
}

static json_t *list_json(const struct htg_list *list)
{
    json_t *json = json_array();
    for (size_t i = 0; i < list->n; i++) {
        json_array_append_new(json, json_string(list->at[i]));
    }
    return json;
}

json_t *htg_seed_strategy_json(const struct htg_strategy *strategy)
{
    json_t *prior = json_object();
    for (int i = 0; i < CONTEXT_CLASSES; i++) {
        if (strategy->prior.given >> i & 1) {
            json_object_set_new(prior, context_class_name((enum context_class)i),
                                json_real(strategy->prior.gain[i]));
        }
    }
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:{s:o, s:o, s:o, s:o}, s:o, s:s}", "id", strategy->id,
        "direction", strategy->direction, "title", strategy->title, "guidance", strategy->guidance,
        "pitfalls", strategy->pitfalls, "tunables", list_json(&strategy->tunables), "applies",
        "families", list_json(&strategy->families), "bottlenecks",
        list_json(&strategy->bottlenecks), "arch", list_json(&strategy->archs), "dtypes",
        list_json(&strategy->dtypes), "prior", prior, "state", htg_state_name(strategy->state));
    require(json != NULL);
    return json;
}
