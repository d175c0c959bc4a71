/* SPDX-License-Identifier: MIT */
#include "graph/choice.h"
#include "base/util.h"
#include "graph/order.h"
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
    D(opens, false),     D(local, false),  D(failed, false),     D(stale, false),
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

/* What is 0 is left out. What is decided is kept rounded: it is worked out again after reading. */
static void write_fields(struct jwriter *w, const void *base, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double value = *field_at(base, &fields[i]);
        if (value != 0) {
            jwrite_real(w, fields[i].name, fields[i].decided ? estimate_round(value) : value);
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

static void write_direction(struct jwriter *w, const struct choice *choice,
                            const struct choice_direction *direction)
{
    jwrite_open(w, NULL, '{');
    jwrite_string(w, "id", direction->id);
    jwrite_bool(w, "allowed", direction->allowed);
    estimate_write(w, "estimate", &direction->estimate);
    jwrite_open(w, "terms", '[');
    for (size_t j = 0; j < choice->n_sources; j++) {
        jwrite_open(w, NULL, '{');
        jwrite_real(w, "attention", estimate_round(direction->terms[j].attention));
        estimate_write(w, "estimate", &direction->terms[j].estimate);
        jwrite_close(w, '}');
    }
    jwrite_close(w, ']');
    if (*direction->opens_to) {
        jwrite_string(w, "opens_to", direction->opens_to);
    }
    write_fields(w, direction, direction_fields, ARRAY_LEN(direction_fields));
    jwrite_close(w, '}');
}

static void write_strategy(struct jwriter *w, const struct choice_strategy *strategy)
{
    jwrite_open(w, NULL, '{');
    jwrite_string(w, "id", strategy->id);
    jwrite_bool(w, "provisional", strategy->provisional);
    estimate_write(w, "estimate", &strategy->estimate);
    write_fields(w, strategy, strategy_fields, ARRAY_LEN(strategy_fields));
    jwrite_close(w, '}');
}

static void write_head(struct jwriter *w, const struct choice *choice)
{
    char context[CONTEXT_KEY_MAX];
    context_key(&choice->context, CONTEXT_RUNG_EXACT, context);
    jwrite_int(w, "format", CHOICE_FORMAT);
    jwrite_int(w, "seed", (int64_t)choice->seed);
    jwrite_int(w, "step", (int64_t)choice->step);
    jwrite_string(w, "task", choice->task);
    jwrite_string(w, "context", context);
    jwrite_string(w, "ablation", select_ablation_name(choice->ablation));
    jwrite_real(w, "trust", choice->trust);
    jwrite_real(w, "k_edge", choice->k_edge);
    jwrite_bool(w, "control", choice->control);
    jwrite_bool(w, "recall", choice->recall);
    jwrite_string(w, "picked", choice->directions[choice->picked].id);
    jwrite_int(w, "recalled", (int64_t)choice->n_recalled);
    jwrite_open(w, "tuning", '{');
    jwrite_int(w, "window", choice->tuning.window);
    write_fields(w, &choice->tuning, tuning_fields, ARRAY_LEN(tuning_fields));
    jwrite_close(w, '}');
}

void choice_write(struct jwriter *w, const char *key, const struct choice *choice)
{
    jwrite_open(w, key, '{');
    write_head(w, choice);
    jwrite_open(w, "sources", '[');
    for (size_t i = 0; i < choice->n_sources; i++) {
        jwrite_string(w, NULL, choice->sources[i]);
    }
    jwrite_close(w, ']');
    jwrite_open(w, "directions", '[');
    for (size_t i = 0; i < choice->n_directions; i++) {
        write_direction(w, choice, &choice->directions[i]);
    }
    jwrite_close(w, ']');
    jwrite_open(w, "strategies", '[');
    for (size_t i = 0; i < choice->n_strategies; i++) {
        write_strategy(w, &choice->strategies[i]);
    }
    jwrite_close(w, ']');
    jwrite_close(w, '}');
}

json_t *choice_json(const struct choice *choice)
{
    auto_buf struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    struct jwriter w = {&text, false};
    choice_write(&w, NULL, choice);
    json_t *json = json_loadb(text.at, text.len, 0, NULL);
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
        r = estimate_parse(json_object_get(json, "estimate"), &here, choice->tuning.k, &ret->estimate, err);
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
        r = parse_term(json_array_get(terms, j), &term, choice->k_edge, &ret->terms[j], err);
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
        "ablation", "picked", "tuning", "sources", "directions", "strategies", "recalled", "k_edge"};
    int64_t format = 1, seed = 0, step = 0, recalled = 0;
    const char *task = NULL, *context = NULL, *ablation = NULL;
    int r = jread_object(json, NULL, known, ARRAY_LEN(known), err);
    const struct {
        const char *key;
        int64_t *ret;
        int64_t lo, hi;
    } ints[] = {
        {"format", &format, 1, CHOICE_FORMAT},
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
    if (r == 0 && format != CHOICE_FORMAT) {
        r = err_set(err, ERR_VERSION, "a choice of format %lld, made by another rule than today's "
                    "(format %d)", (long long)format, CHOICE_FORMAT);
    }
    if (r == 0) {
        r = jread_real(json, "k_edge", true, ORDER_K_LEAST, 1e6, NULL, &ret->k_edge, err);
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
