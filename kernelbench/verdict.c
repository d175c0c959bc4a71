/* SPDX-License-Identifier: MIT */
#include "kernelbench/verdict.h"
#include "base/jread.h"
#include "base/util.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { SAMPLES_MAX = 100000 };

static const char *const statuses[] = {
#define X(name, text) text,
    VERDICT_STATUS_LIST(X)
#undef X
};

static const char *const bottlenecks[] = {
#define X(name, text) text,
    BOTTLENECK_LIST(X)
#undef X
};

static bool find(const char *const *names, size_t n, const char *name, int *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(names[i], name)) {
            *ret = (int)i;
            return true;
        }
    }
    return false;
}

const char *verdict_status_name(enum verdict_status status)
{
    return statuses[status];
}

bool verdict_status_parse(const char *name, enum verdict_status *ret)
{
    int index;
    bool found = find(statuses, ARRAY_LEN(statuses), name, &index);
    if (found) {
        *ret = (enum verdict_status)index;
    }
    return found;
}

bool verdict_status_final(enum verdict_status status)
{
    return status == VERDICT_STATUS_ACCEPTED || status == VERDICT_STATUS_INCORRECT
        || status == VERDICT_STATUS_COMPILE_ERROR || status == VERDICT_STATUS_PLAN_ERROR;
}

const char *bottleneck_name(enum bottleneck bottleneck)
{
    return bottlenecks[bottleneck];
}

bool bottleneck_parse(const char *name, enum bottleneck *ret)
{
    int index;
    bool found = find(bottlenecks, ARRAY_LEN(bottlenecks), name, &index);
    if (found) {
        *ret = (enum bottleneck)index;
    }
    return found;
}

/* One table for both directions; members that stand elsewhere are written out below. */
struct member {
    const char *key;
    enum { MEMBER_TEXT, MEMBER_REAL, MEMBER_INT, MEMBER_BOOL } kind;
    size_t offset;
};

#define AT(field) offsetof(struct verdict, field)
static const struct member members[] = {
    { "phase", MEMBER_TEXT, AT(phase) },
    { "detail", MEMBER_TEXT, AT(detail) },
    { "modelled", MEMBER_BOOL, AT(modelled) },
    { "nondeterministic", MEMBER_BOOL, AT(nondeterministic) },
    { "speedup", MEMBER_REAL, AT(speedup) },
    { "speedup_lo", MEMBER_REAL, AT(speedup_lo) },
    { "speedup_hi", MEMBER_REAL, AT(speedup_hi) },
    { "relation", MEMBER_TEXT, AT(relation) },
    { "throttle", MEMBER_TEXT, AT(throttle) },
    { "shared", MEMBER_BOOL, AT(shared) },
    { "prepare_us", MEMBER_REAL, AT(prepare_us) },
    { "sol", MEMBER_REAL, AT(sol) },
    { "sol_bound", MEMBER_TEXT, AT(sol_bound) },
    { "sol_basis", MEMBER_TEXT, AT(sol_basis) },
    { "bottleneck_why", MEMBER_TEXT, AT(bottleneck_why) },
    { "joules", MEMBER_REAL, AT(joules) },
    { "profile", MEMBER_TEXT, AT(profile) },
    { "registers", MEMBER_INT, AT(registers) },
    { "spill_bytes", MEMBER_INT, AT(spill_bytes) },
    { "shared_bytes", MEMBER_INT, AT(shared_bytes) },
    { "occupancy", MEMBER_REAL, AT(occupancy) },
    { "max_error", MEMBER_REAL, AT(max_error) },
    { "precision_error", MEMBER_REAL, AT(precision_error) },
    { "precision_limit", MEMBER_REAL, AT(precision_limit) },
    { "remarks", MEMBER_TEXT, AT(remarks) },
    { "libraries", MEMBER_TEXT, AT(libraries) },
    { "degenerate", MEMBER_TEXT, AT(degenerate) },
    { "device", MEMBER_TEXT, AT(device) },
    { "arch", MEMBER_TEXT, AT(arch) },
    { "driver", MEMBER_TEXT, AT(driver) },
    { "compiler", MEMBER_TEXT, AT(compiler) },
    { "task", MEMBER_TEXT, AT(task) },
    { "candidate", MEMBER_TEXT, AT(candidate) },
    { "gate_version", MEMBER_INT, AT(gate_version) },
    { "compile_s", MEMBER_REAL, AT(compile_s) },
    { "device_s", MEMBER_REAL, AT(device_s) },
};

/* In an object of their own, which is there if a sanitizer was asked for. */
static const struct member sanitizer_members[] = {
    { "tool", MEMBER_TEXT, AT(sanitizer.tool) },
    { "errors", MEMBER_INT, AT(sanitizer.errors) },
    { "text", MEMBER_TEXT, AT(sanitizer.text) },
};

static void set(json_t *object, const char *key, json_t *value)
{
    require(json_object_set_new(object, key, value) == 0);
}

/* JSON has no infinity and no NaN: the first becomes the largest number, the second is left out. */
static double bounded(double value)
{
    return isinf(value) ? copysign(DBL_MAX, value) : value;
}

static void set_real(json_t *object, const char *key, double value)
{
    if (!isnan(value)) {
        set(object, key, json_real(bounded(value)));
    }
}

static void set_list(json_t *object, const char *key, const double *values, size_t n)
{
    if (!values) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        double v = isfinite(values[i]) ? values[i] : 0;
        require(json_array_append_new(list, json_real(v)) == 0);
    }
    set(object, key, list);
}

static json_t *time_json(const struct verdict_time *time)
{
    json_t *object = json_object();
    set_real(object, "median_us", time->median_us);
    set_real(object, "lo_us", time->lo_us);
    set_real(object, "hi_us", time->hi_us);
    set(object, "n", json_integer((json_int_t)time->n));
    set(object, "dropped", json_integer((json_int_t)time->dropped));
    set_list(object, "samples_us", time->samples_us, time->n + time->dropped);
    set_list(object, "clocks_mhz", time->clocks_mhz, time->n + time->dropped);
    return object;
}

static void put_member(json_t *object, const struct verdict *verdict, const struct member *member)
{
    const void *at = (const char *)verdict + member->offset;
    const char *text;
    switch (member->kind) {
    case MEMBER_TEXT:
        text = *(const char *const *)at;
        text = text ? text : "";
        set(object, member->key, json_text(text, strlen(text)));
        break;
    case MEMBER_REAL: set_real(object, member->key, *(const double *)at); break;
    case MEMBER_INT: set(object, member->key, json_integer(*(const int *)at)); break;
    case MEMBER_BOOL: set(object, member->key, json_boolean(*(const bool *)at)); break;
    }
}

json_t *verdict_json(const struct verdict *verdict)
{
    json_t *object = json_object();
    set(object, "status", json_string(statuses[verdict->status]));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        put_member(object, verdict, &members[i]);
    }
    set(object, "bottleneck", json_string(bottlenecks[verdict->bottleneck]));
    if (verdict->sanitizer.tool && *verdict->sanitizer.tool) {
        json_t *sanitizer = json_object();
        for (size_t i = 0; i < ARRAY_LEN(sanitizer_members); i++) {
            put_member(sanitizer, verdict, &sanitizer_members[i]);
        }
        set(object, "sanitizer", sanitizer);
    }
    json_t *counters = counters_json(&verdict->counters);
    if (counters) {
        set(object, "counters", counters);
    }
    if (verdict->time.n) {
        set(object, "time", time_json(&verdict->time));
    }
    if (verdict->baseline.n) {
        set(object, "baseline", time_json(&verdict->baseline));
    }
    return object;
}

/* One number for every sample. */
static int parse_list(const json_t *object, const char *key, const struct jpath *at,
                      struct arena *arena, size_t n, const double **ret, struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(object, key, false, 2 * SAMPLES_MAX, at, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    struct jpath here = { at, key, 0 };
    if (json_array_size(list) != n) {
        return jread_fail(&here, err, "%zu numbers for %zu samples", json_array_size(list), n);
    }
    double *values = arena_alloc(arena, n, sizeof(*values));
    for (size_t i = 0; i < n; i++) {
        struct jpath element = { &here, NULL, i };
        const json_t *value = json_array_get(list, i);
        if (!json_is_number(value) || json_number_value(value) < 0) {
            return jread_fail(&element, err, "expected a number that isn't negative");
        }
        values[i] = json_number_value(value);
    }
    *ret = values;
    return 0;
}

static int parse_time(const json_t *json, const char *key, struct arena *arena,
                      struct verdict_time *ret, struct err *err)
{
    const json_t *object = json_object_get(json, key);
    struct jpath here = { NULL, key, 0 };
    struct verdict_time time = { 0 };
    if (!object) {
        return 0;
    }
    if (!json_is_object(object)) {
        return jread_fail(&here, err, "expected an object, got %s", jread_kind(object));
    }
    int64_t n = 0, dropped = 0;
    int r = jread_int(object, "n", true, 1, SAMPLES_MAX, &here, &n, err);
    if (r == 0) {
        r = jread_int(object, "dropped", false, 0, SAMPLES_MAX, &here, &dropped, err);
    }
    if (r == 0) {
        r = jread_real(object, "median_us", true, 0, DBL_MAX, &here, &time.median_us, err);
    }
    if (r == 0) {
        r = jread_real(object, "lo_us", false, 0, DBL_MAX, &here, &time.lo_us, err);
    }
    if (r == 0) {
        r = jread_real(object, "hi_us", false, 0, DBL_MAX, &here, &time.hi_us, err);
    }
    time.n = (size_t)n;
    time.dropped = (size_t)dropped;
    size_t all = time.n + time.dropped;
    if (r == 0) {
        r = parse_list(object, "samples_us", &here, arena, all, &time.samples_us, err);
    }
    if (r == 0) {
        r = parse_list(object, "clocks_mhz", &here, arena, all, &time.clocks_mhz, err);
    }
    if (r == 0) {
        *ret = time;
    }
    return r;
}

static int take_member(const json_t *json, const struct member *member, struct arena *arena,
                       struct verdict *verdict, struct err *err)
{
    void *at = (char *)verdict + member->offset;
    const char *text = "";
    int64_t number = 0;
    int r = 0;
    switch (member->kind) {
    case MEMBER_TEXT:
        r = jread_string(json, member->key, false, NULL, &text, err);
        *(const char **)at = arena_strdup(arena, text);
        break;
    case MEMBER_REAL:
        r = jread_real(json, member->key, false, -DBL_MAX, DBL_MAX, NULL, at, err);
        break;
    case MEMBER_INT:
        r = jread_int(json, member->key, false, INT_MIN, INT_MAX, NULL, &number, err);
        *(int *)at = (int)number;
        break;
    case MEMBER_BOOL:
        r = jread_bool(json, member->key, false, NULL, at, err);
        break;
    }
    return r;
}

static int parse_names(const json_t *json, struct verdict *verdict, struct err *err)
{
    const char *status = NULL, *bottleneck = "none";
    int r = jread_string(json, "status", true, NULL, &status, err);
    if (r == 0 && !verdict_status_parse(status, &verdict->status)) {
        r = jread_fail(&(struct jpath) { NULL, "status", 0 }, err, "unknown status \"%.64s\"",
                       status);
    }
    if (r == 0) {
        r = jread_string(json, "bottleneck", false, NULL, &bottleneck, err);
    }
    if (r == 0 && !bottleneck_parse(bottleneck, &verdict->bottleneck)) {
        r = jread_fail(&(struct jpath) { NULL, "bottleneck", 0 }, err,
                       "unknown bottleneck \"%.64s\"", bottleneck);
    }
    return r;
}

int verdict_parse(const json_t *json, struct arena *arena, struct verdict *ret, struct err *err)
{
    struct verdict verdict = { 0 };
    if (!json_is_object(json)) {
        return jread_fail(NULL, err, "expected an object, got %s", jread_kind(json));
    }
    int r = parse_names(json, &verdict, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(members); i++) {
        r = take_member(json, &members[i], arena, &verdict, err);
    }
    const json_t *sanitizer = json_object_get(json, "sanitizer");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sanitizer_members); i++) {
        r = take_member(sanitizer, &sanitizer_members[i], arena, &verdict, err);
    }
    if (r == 0) {
        r = parse_time(json, "time", arena, &verdict.time, err);
    }
    if (r == 0) {
        r = parse_time(json, "baseline", arena, &verdict.baseline, err);
    }
    if (r == 0) {
        counters_parse(json_object_get(json, "counters"), &verdict.counters);
        *ret = verdict;
    }
    return r;
}

static double copy_real(double value)
{
    return isnan(value) ? 0 : bounded(value);
}

static const double *copy_list(const double *values, size_t n, struct arena *arena)
{
    if (!values) {
        return NULL;
    }
    double *copy = arena_alloc(arena, n, sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        copy[i] = isfinite(values[i]) ? values[i] : 0;
    }
    return copy;
}

static struct verdict_time copy_time(const struct verdict_time *time, struct arena *arena)
{
    if (time->n == 0) {
        return (struct verdict_time) { 0 };
    }
    struct verdict_time copy = *time;
    copy.median_us = copy_real(time->median_us);
    copy.lo_us = copy_real(time->lo_us);
    copy.hi_us = copy_real(time->hi_us);
    copy.samples_us = copy_list(time->samples_us, time->n + time->dropped, arena);
    copy.clocks_mhz = copy_list(time->clocks_mhz, time->n + time->dropped, arena);
    return copy;
}

static void copy_member(const struct verdict *from, const struct member *member,
                        struct arena *arena, struct verdict *to)
{
    const void *at = (const char *)from + member->offset;
    if (member->kind == MEMBER_REAL) {
        *(double *)((char *)to + member->offset) = copy_real(*(const double *)at);
    } else if (member->kind == MEMBER_TEXT) {
        const char *text = *(const char *const *)at;
        json_t *clean = json_text(text ? text : "", text ? strlen(text) : 0);
        *(const char **)((char *)to + member->offset)
            = arena_strdup(arena, json_string_value(clean));
        json_decref(clean);
    }
}

void verdict_copy(const struct verdict *verdict, struct arena *arena, struct verdict *ret)
{
    struct verdict copy = *verdict;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        copy_member(verdict, &members[i], arena, &copy);
    }
    for (size_t i = 0; i < ARRAY_LEN(sanitizer_members); i++) {
        copy_member(verdict, &sanitizer_members[i], arena, &copy);
    }
    copy.time = copy_time(&verdict->time, arena);
    copy.baseline = copy_time(&verdict->baseline, arena);
    *ret = copy;
}
