/* SPDX-License-Identifier: MIT */
#include "graph/choice.h"
#include "base/util.h"
#include "graph/select.h"

#include <math.h>
#include <stddef.h>

/* Members that are plain numbers, written and read by the same table. */
struct field {
    const char *name;
    size_t offset;
    bool decided; /* worked out again after reading, and held against what was kept */
};

#define T(name)                                                                                    \
    {                                                                                              \
#name, offsetof(struct select_tuning, name), false                                         \
    }
static const struct field tuning_fields[] = {
    T(temperature), T(w),      T(u),     T(opening),   T(k),     T(position),
    T(evidence),    T(failed), T(stale), T(exhausted), T(unfit), T(control_share),
    T(trust_floor),
};
#undef T

#define D(name, decided)                                                                           \
    {                                                                                              \
#name, offsetof(struct choice_direction, name), decided                                    \
    }
static const struct field direction_fields[] = {
    D(opens, false),     D(flat, false),  D(failed, false),     D(stale, false),
    D(exhausted, false), D(unfit, false), D(transition, true),  D(unary, true),
    D(explore, true),    D(score, true),  D(probability, true),
};
#undef D

#define S(name, decided)                                                                           \
    {                                                                                              \
#name, offsetof(struct choice_strategy, name), decided                                     \
    }
static const struct field strategy_fields[] = {
    S(penalty, false),
    S(explore, true),
    S(score, true),
    S(probability, true),
};
#undef S

static double *field_at(const void *base, const struct field *field)
{
    return (double *)((uintptr_t)base + field->offset);
}

static void set(json_t *object, const char *key, json_t *value)
{
    require(json_object_set_new_nocheck(object, key, value) == 0);
}

/* What is 0 is left out. What is decided is kept rounded: it is worked out again after reading. */
static void put_fields(json_t *json, const void *base, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double value = *field_at(base, &fields[i]);
        if (value != 0) {
            set(json, fields[i].name,
                json_real(fields[i].decided ? estimate_round(value) : value));
        }
    }
}

static int get_fields(const json_t *json, const struct jpath *at, void *base,
                      const struct field *fields, size_t n, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = jread_real(json, fields[i].name, false, -1e6, 1e6, at, field_at(base, &fields[i]), err);
    }
    return r;
}

/* After deciding anew: is it what was kept? */
static int hold(const json_t *json, const char *what, const void *base, const struct field *fields,
                size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        double kept = json_number_value(json_object_get(json, fields[i].name));
        double now = *field_at(base, &fields[i]);
        if (fields[i].decided && !(fabs(kept - now) <= 1e-9)) {
            return err_set(err, ERR_INVALID, "%s: %s was kept as %g, its evidence decides %g", what,
                           fields[i].name, kept, now);
        }
    }
    return 0;
}

static json_t *term_json(const struct choice_term *term)
{
    json_t *json = json_object();
    set(json, "attention", json_real(estimate_round(term->attention)));
    set(json, "estimate", estimate_json(&term->estimate));
    return json;
}

static json_t *direction_json(const struct choice *choice, const struct choice_direction *direction)
{
    json_t *json = json_object(), *terms = json_array();
    for (size_t j = 0; j < choice->n_sources; j++) {
        json_array_append_new(terms, term_json(&direction->terms[j]));
    }
    set(json, "id", json_string(direction->id));
    set(json, "allowed", json_boolean(direction->allowed));
    set(json, "estimate", estimate_json(&direction->estimate));
    set(json, "terms", terms);
    if (*direction->opens_to) {
        set(json, "opens_to", json_string(direction->opens_to));
    }
    put_fields(json, direction, direction_fields, ARRAY_LEN(direction_fields));
    return json;
}

static json_t *strategy_json(const struct choice_strategy *strategy)
{
    json_t *json = json_object();
    set(json, "id", json_string(strategy->id));
    set(json, "provisional", json_boolean(strategy->provisional));
    set(json, "estimate", estimate_json(&strategy->estimate));
    put_fields(json, strategy, strategy_fields, ARRAY_LEN(strategy_fields));
    return json;
}

json_t *choice_json(const struct choice *choice)
{
    char context[CONTEXT_KEY_MAX];
    context_key(&choice->context, CONTEXT_RUNG_EXACT, context);
    json_t *sources = json_array(), *directions = json_array(), *strategies = json_array();
    for (size_t i = 0; i < choice->n_sources; i++) {
        json_array_append_new(sources, json_string(choice->sources[i]));
    }
    for (size_t i = 0; i < choice->n_directions; i++) {
        json_array_append_new(directions, direction_json(choice, &choice->directions[i]));
    }
    for (size_t i = 0; i < choice->n_strategies; i++) {
        json_array_append_new(strategies, strategy_json(&choice->strategies[i]));
    }
    json_t *tuning = json_object();
    set(tuning, "window", json_integer(choice->tuning.window));
    put_fields(tuning, &choice->tuning, tuning_fields, ARRAY_LEN(tuning_fields));
    json_t *json = json_pack(
        "{s:i, s:I, s:I, s:s, s:s, s:s, s:f, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:I}", "format", 1,
        "seed", (json_int_t)choice->seed, "step", (json_int_t)choice->step, "task", choice->task,
        "context", context, "ablation", select_ablation_name(choice->ablation), "trust",
        choice->trust, "control", choice->control, "recall", choice->recall, "picked",
        choice->directions[choice->picked].id, "tuning", tuning, "sources", sources, "directions",
        directions, "strategies", strategies, "recalled", (json_int_t)choice->n_recalled);
    require(json != NULL);
    return json;
}

static int parse_term(const json_t *json, const struct jpath *at, double k, struct choice_term *ret,
                      struct err *err)
{
    static const char *const known[] = {"attention", "estimate"};
    int r = jread_object(json, at, known, ARRAY_LEN(known), err);
    if (r == 0) {
        r = jread_real(json, "attention", true, 0, 1, at, &ret->attention, err);
    }
    struct jpath here = {at, "estimate", 0};
    return r < 0 ? r
                 : estimate_parse(json_object_get(json, "estimate"), &here, k, &ret->estimate, err);
}

static int parse_direction(const json_t *json, const struct jpath *at, struct arena *arena,
                           const struct choice *choice, struct choice_direction *ret,
                           struct err *err)
{
    double k = choice->tuning.k;
    const char *id = NULL, *opens_to = "";
    const json_t *terms = NULL;
    int r = jread_string(json, "id", true, at, &id, err);
    if (r == 0) {
        r = jread_string(json, "opens_to", false, at, &opens_to, err);
    }
    if (r == 0) {
        r = jread_bool(json, "allowed", true, at, &ret->allowed, err);
    }
    if (r == 0) {
        r = get_fields(json, at, ret, direction_fields, ARRAY_LEN(direction_fields), err);
    }
    struct jpath here = {at, "estimate", 0};
    if (r == 0) {
        r = estimate_parse(json_object_get(json, "estimate"), &here, k, &ret->estimate, err);
    }
    if (r == 0) {
        r = jread_array(json, "terms", true, CHOICE_SOURCES_MAX, at, &terms, err);
    }
    if (r == 0 && json_array_size(terms) != choice->n_sources) {
        r = jread_fail(at, err, "%zu terms for %zu sources", json_array_size(terms),
                       choice->n_sources);
    }
    if (r < 0) {
        return r;
    }
    ret->id = arena_strdup(arena, id);
    ret->opens_to = arena_strdup(arena, opens_to);
    ret->terms = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*ret->terms));
    struct jpath list = {at, "terms", 0};
    for (size_t j = 0; r == 0 && j < choice->n_sources; j++) {
        struct jpath term = {&list, NULL, j};
        r = parse_term(json_array_get(terms, j), &term, k, &ret->terms[j], err);
    }
    return r;
}

static int parse_strategy(const json_t *json, const struct jpath *at, struct arena *arena, double k,
                          struct choice_strategy *ret, struct err *err)
{
    const char *id = NULL;
    int r = jread_string(json, "id", true, at, &id, err);
    if (r == 0) {
        r = jread_bool(json, "provisional", true, at, &ret->provisional, err);
    }
    if (r == 0) {
        r = get_fields(json, at, ret, strategy_fields, ARRAY_LEN(strategy_fields), err);
    }
    struct jpath here = {at, "estimate", 0};
    if (r == 0) {
        r = estimate_parse(json_object_get(json, "estimate"), &here, k, &ret->estimate, err);
    }
    if (r == 0) {
        ret->id = arena_strdup(arena, id);
    }
    return r;
}

static int parse_tuning(const json_t *json, struct select_tuning *ret, struct err *err)
{
    struct jpath at = {NULL, "tuning", 0};
    if (!json_is_object(json)) {
        return jread_fail(&at, err, "expected an object, got %s", jread_kind(json));
    }
    int r = get_fields(json, &at, ret, tuning_fields, ARRAY_LEN(tuning_fields), err);
    if (r == 0) {
        r = jread_int(json, "window", true, 1, CHOICE_SOURCES_MAX, &at, &ret->window, err);
    }
    if (r == 0 && !(ret->k > 0 && ret->temperature >= 0)) {
        r = jread_fail(&at, err, "k has to be above 0 and temperature not below");
    }
    return r;
}

static int parse_head(const json_t *json, struct arena *arena, struct choice *ret, struct err *err)
{
    static const char *const known[] = {
        "format",   "seed",   "step",   "task",    "context",    "trust",      "recall",  "control",
        "ablation", "picked", "tuning", "sources", "directions", "strategies", "recalled"};
    int64_t format = 1, seed = 0, step = 0, recalled = 0;
    const char *task = NULL, *context = NULL, *ablation = NULL;
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    const struct {
        const char *key;
        int64_t *ret;
        int64_t lo, hi;
    } ints[] = {
        {"format", &format, 1, 1},
        {"seed", &seed, INT64_MIN, INT64_MAX},
        {"step", &step, INT64_MIN, INT64_MAX},
        {"recalled", &recalled, 0, CHOICE_STRATEGIES_MAX},
    };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(ints); i++) {
        r = jread_int(json, ints[i].key, true, ints[i].lo, ints[i].hi, NULL, ints[i].ret, err);
    }
    const struct {
        const char *key, **ret;
    } texts[] = {
        {"task", &task},
        {"context", &context},
        {"ablation", &ablation},
    };
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++) {
        r = jread_string(json, texts[i].key, true, NULL, texts[i].ret, err);
    }
    if (r == 0) {
        r = jread_real(json, "trust", true, 0, 1, NULL, &ret->trust, err);
    }
    if (r == 0) {
        r = context_parse(context, &ret->context, err);
    }
    if (r == 0 && !select_ablation_parse(ablation, &ret->ablation)) {
        r = err_set(err, ERR_INVALID, "ablation: unknown name \"%.40s\"", ablation);
    }
    if (r < 0) {
        return r;
    }
    ret->seed = (uint64_t)seed;
    ret->step = (uint64_t)step;
    ret->n_recalled = (size_t)recalled;
    ret->task = arena_strdup(arena, task);
    return parse_tuning(json_object_get(json, "tuning"), &ret->tuning, err);
}

static int parse_sources(const json_t *json, struct arena *arena, struct choice *ret,
                         struct err *err)
{
    const json_t *sources = NULL;
    int r = jread_array(json, "sources", true, CHOICE_SOURCES_MAX, NULL, &sources, err);
    ret->sources = arena_alloc(arena, CHOICE_SOURCES_MAX, sizeof(*ret->sources));
    for (size_t i = 0; r == 0 && i < json_array_size(sources); i++) {
        const char *source = json_string_value(json_array_get(sources, i));
        if (!source) {
            return err_set(err, ERR_INVALID, "sources[%zu]: expected a string", i);
        }
        ret->sources[ret->n_sources++] = arena_strdup(arena, source);
    }
    return r;
}

static int parse_lists(const json_t *json, struct arena *arena, struct choice *ret, struct err *err)
{
    const json_t *directions = NULL, *strategies = NULL;
    int r = jread_array(json, "directions", true, HTG_DIRECTIONS_MAX, NULL, &directions, err);
    if (r == 0) {
        r = jread_array(json, "strategies", true, CHOICE_STRATEGIES_MAX, NULL, &strategies, err);
    }
    if (r < 0) {
        return r;
    }
    ret->n_directions = json_array_size(directions);
    ret->n_strategies = json_array_size(strategies);
    ret->directions = arena_alloc(arena, ret->n_directions + 1, sizeof(*ret->directions));
    ret->strategies = arena_alloc(arena, ret->n_strategies + 1, sizeof(*ret->strategies));
    struct jpath up = {NULL, "directions", 0};
    for (size_t i = 0; r == 0 && i < ret->n_directions; i++) {
        struct jpath at = {&up, NULL, i};
        r = parse_direction(json_array_get(directions, i), &at, arena, ret, &ret->directions[i],
                            err);
    }
    up.key = "strategies";
    for (size_t i = 0; r == 0 && i < ret->n_strategies; i++) {
        struct jpath at = {&up, NULL, i};
        r = parse_strategy(json_array_get(strategies, i), &at, arena, ret->tuning.k,
                           &ret->strategies[i], err);
    }
    return r;
}

static int hold_pick(const json_t *json, const struct choice *choice, struct err *err)
{
    const char *picked = NULL, *now = choice->directions[choice->picked].id;
    bool control = false, recall = false;
    int r = jread_string(json, "picked", true, NULL, &picked, err);
    if (r == 0) {
        r = jread_bool(json, "control", true, NULL, &control, err);
    }
    if (r == 0) {
        r = jread_bool(json, "recall", true, NULL, &recall, err);
    }
    if (r == 0 &&
        (!str_eq(picked, now) || control != choice->control || recall != choice->recall)) {
        return err_set(err, ERR_INVALID, "picked: kept \"%.63s\"%s, decides \"%s\"%s", picked,
                       control ? " as a control" : "", now, choice->control ? " as a control" : "");
    }
    return r;
}

/* Decides and ranks again; everything has to come out as it was kept. */
static int decide_again(const json_t *json, struct choice *choice, struct err *err)
{
    int r = choice_decide(choice, err);
    const json_t *list = json_object_get(json, "directions");
    for (size_t i = 0; r == 0 && i < choice->n_directions; i++) {
        const struct choice_direction *direction = &choice->directions[i];
        r = hold(json_array_get(list, i), direction->id, direction, direction_fields,
                 ARRAY_LEN(direction_fields), err);
    }
    if (r < 0) {
        return r;
    }
    r = hold_pick(json, choice, err);
    if (r < 0) {
        return r;
    }
    choice_rank(choice, choice->n_recalled);
    list = json_object_get(json, "strategies");
    for (size_t i = 0; r == 0 && i < choice->n_strategies; i++) {
        const struct choice_strategy *strategy = &choice->strategies[i];
        const char *id = json_string_value(json_object_get(json_array_get(list, i), "id"));
        if (!str_eq(id, strategy->id)) {
            return err_set(err, ERR_INVALID, "strategies[%zu]: kept \"%.63s\", ranks \"%s\"", i, id,
                           strategy->id);
        }
        r = hold(json_array_get(list, i), strategy->id, strategy, strategy_fields,
                 ARRAY_LEN(strategy_fields), err);
    }
    return r;
}

int choice_parse(const json_t *json, struct arena *arena, struct choice **ret, struct err *err)
{
    struct choice *choice = arena_alloc(arena, 1, sizeof(*choice));
    int r = parse_head(json, arena, choice, err);
    if (r == 0) {
        r = parse_sources(json, arena, choice, err);
    }
    if (r == 0) {
        r = parse_lists(json, arena, choice, err);
    }
    if (r == 0) {
        r = decide_again(json, choice, err);
    }
    if (r < 0) {
        return err_wrap(err, "choice");
    }
    *ret = choice;
    return 0;
}
