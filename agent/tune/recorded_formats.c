/* SPDX-License-Identifier: MIT */
/*
 * The two formats. Documents of others have members that mean nothing here; those are passed over,
 * what is used is checked.
 */
#include "agent/tune/recorded_parts.h"
#include "base/util.h"

#include <math.h>
#include <string.h>

static const char *const status_names[] = {
    [RECORDED_CORRECT] = "correct",         [RECORDED_COMPILE] = "compile",
    [RECORDED_RUNTIME] = "runtime",         [RECORDED_CORRECTNESS] = "correctness",
    [RECORDED_TIMEOUT] = "timeout",
};

const char *recorded_status_name(enum recorded_status status)
{
    return status_names[status];
}

static const char *kept_text(const struct recorded_reading *reading, const json_t *value)
{
    const char *text = recorded_text(value);
    return text ? arena_strdup(reading->arena, text) : NULL;
}

/* --- Kernel Tuner's cache --- */

/* 1: a config; 0: one that its constraints forbid. */
static int cache_status(const json_t *entry, const struct jpath *at, enum recorded_status *ret,
                        struct err *err)
{
    static const char *const failures[] = { "CompilationFailedConfig", "RuntimeFailedConfig",
                                            "InvalidConfig" };
    const json_t *said = json_object_get(entry, "__error__");
    const char *key = said ? "__error__" : "time";
    const json_t *value = said ? said : json_object_get(entry, "time");
    struct jpath here = { at, key, 0 };
    if (!json_is_string(value)) {
        *ret = RECORDED_CORRECT;
        return said ? jread_fail(&here, err, "expected a string, got %s", jread_kind(said)) : 1;
    }
    const char *text = json_string_value(value);
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        if (str_eq(text, failures[i])) {
            *ret = i == 0 ? RECORDED_COMPILE : RECORDED_RUNTIME;
            return i < 2;
        }
    }
    return jread_fail(&here, err, "expected a time, %s, %s or %s", failures[0], failures[1],
                      failures[2]);
}

static int cache_entry(struct recorded_reading *reading, const json_t *entry,
                       const struct jpath *at, struct err *err)
{
    enum recorded_status status = RECORDED_CORRECT;
    double time = NAN;
    const json_t *single = NULL;
    if (!json_is_object(entry)) {
        return jread_fail(at, err, "expected an object, got %s", jread_kind(entry));
    }
    int r = cache_status(entry, at, &status, err);
    if (r <= 0) {
        return r;
    }
    r = 0;
    struct jpath at_time = { at, "time", 0 }, at_times = { at, "times", 0 };
    if (status == RECORDED_CORRECT) {
        const json_t *value = json_object_get(entry, "time");
        r = value ? recorded_time(value, &at_time, &time, err)
                  : jread_fail(at, err, "the key \"time\" is missing");
        if (r == 0) {
            r = jread_array(entry, "times", false, RECORDED_TIMES_MAX, at, &single, err);
        }
    }
    return r < 0 ? r : recorded_add(reading, entry, at, status, time, single, &at_times, err);
}

static int cache_columns(const json_t *doc, struct recorded_reading *reading, struct err *err)
{
    const json_t *keys = NULL, *params = json_object_get(doc, "tune_params");
    struct jpath at_keys = { NULL, "tune_params_keys", 0 }, at_params = { NULL, "tune_params", 0 };
    int r = jread_array(doc, "tune_params_keys", true, TUNE_PARAMS_MAX, NULL, &keys, err);
    if (r == 0 && !json_is_object(params)) {
        r = jread_fail(&at_params, err, "expected an object, got %s", jread_kind(params));
    }
    for (size_t i = 0; r == 0 && i < json_array_size(keys); i++) {
        struct jpath here = { &at_keys, NULL, i };
        const char *name = recorded_text(json_array_get(keys, i));
        const json_t *domain = name ? json_object_get(params, name) : NULL;
        if (!name) {
            r = jread_fail(&here, err, "expected a name of %d bytes at most", RECORDED_NAME_MAX);
        } else if (!json_is_array(domain)) {
            r = jread_fail(&here, err, "tune_params has no list \"%s\"", name);
        } else if (json_array_size(domain) > TUNE_VALUES_MAX) {
            r = jread_fail(&here, err, "more than %d values", TUNE_VALUES_MAX);
        } else {
            r = recorded_add_column(reading, name, domain, &here, err);
        }
    }
    return r;
}

int recorded_read_cache(const json_t *doc, struct recorded_reading *reading, struct err *err)
{
    json_t *cache = json_object_get(doc, "cache");
    struct jpath at = { NULL, "cache", 0 };
    int r = cache_columns(doc, reading, err);
    if (r == 0 && !json_is_object(cache)) {
        r = jread_fail(&at, err, "expected an object, got %s", jread_kind(cache));
    }
    reading->kernel = kept_text(reading, json_object_get(doc, "kernel_name"));
    reading->device = kept_text(reading, json_object_get(doc, "device_name"));
    const char *key;
    json_t *entry;
    json_object_foreach(cache, key, entry)
    {
        struct jpath here = { &at, key, 0 };
        r = r < 0 ? r : cache_entry(reading, entry, &here, err);
        if (r < 0) {
            break;
        }
    }
    return r;
}

/* --- T4 --- */

/* 1: a config; 0: one that its constraints forbid. */
static int t4_status(const json_t *result, const struct jpath *at, enum recorded_status *ret,
                     struct err *err)
{
    const char *text = NULL;
    int r = jread_string(result, "invalidity", true, at, &text, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(status_names); i++) {
        if (str_eq(text, status_names[i])) {
            *ret = (enum recorded_status)i;
            return 1;
        }
    }
    struct jpath here = { at, "invalidity", 0 };
    return str_eq(text, "constraints")
               ? 0
               : jread_fail(&here, err, "expected correct, compile, runtime, correctness, timeout or "
                                        "constraints");
}

static int mean_of(const json_t *single, const struct jpath *at, double *ret, struct err *err)
{
    double sum = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        struct jpath here = { at, NULL, i };
        double time;
        int r = recorded_time(json_array_get(single, i), &here, &time, err);
        if (r < 0) {
            return r;
        }
        sum += time;
    }
    *ret = sum / (double)json_array_size(single);
    return 0;
}

/* The measurement called "time"; without one, the mean of the runtimes. */
static int t4_time(const json_t *result, const json_t *single, const struct jpath *at,
                   const struct jpath *at_single, double *ret, struct err *err)
{
    const json_t *measurements = json_object_get(result, "measurements");
    struct jpath list = { at, "measurements", 0 };
    for (size_t i = 0; i < json_array_size(measurements); i++) {
        const json_t *one = json_array_get(measurements, i);
        const char *name = recorded_text(json_object_get(one, "name"));
        if (name && str_eq(name, "time")) {
            struct jpath element = { &list, NULL, i }, here = { &element, "value", 0 };
            return recorded_time(json_object_get(one, "value"), &here, ret, err);
        }
    }
    return json_array_size(single) > 0
               ? mean_of(single, at_single, ret, err)
               : jread_fail(at, err, "correct, but neither a measurement \"time\" nor runtimes are there");
}

static int t4_columns(struct recorded_reading *reading, const json_t *configuration,
                      const struct jpath *at, struct err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)configuration, name, value)
    {
        int r = recorded_add_column(reading, name, NULL, at, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int t4_result(struct recorded_reading *reading, const json_t *result, const struct jpath *at,
                     struct err *err)
{
    enum recorded_status status = RECORDED_CORRECT;
    double time = NAN;
    const json_t *configuration = json_object_get(result, "configuration");
    const json_t *times = json_object_get(result, "times"), *single = NULL;
    struct jpath at_config = { at, "configuration", 0 }, at_times = { at, "times", 0 };
    struct jpath at_single = { &at_times, "runtimes", 0 };
    if (!json_is_object(configuration)) {
        return jread_fail(&at_config, err, "expected an object, got %s", jread_kind(configuration));
    }
    int r = t4_status(result, at, &status, err);
    if (r <= 0) {
        return r;
    }
    if (reading->n == 0 && reading->n_columns == 0) {
        r = t4_columns(reading, configuration, &at_config, err);
    }
    if (r >= 0 && json_object_size(configuration) != reading->n_columns) {
        r = jread_fail(&at_config, err, "%zu parameters, %zu in those before",
                       json_object_size(configuration), reading->n_columns);
    }
    if (r >= 0 && status == RECORDED_CORRECT) {
        r = jread_array(times, "runtimes", false, RECORDED_TIMES_MAX, &at_times, &single, err);
        r = r < 0 ? r : t4_time(result, single, at, &at_single, &time, err);
    }
    return r < 0 ? r : recorded_add(reading, configuration, &at_config, status, time, single,
                                    &at_single, err);
}

int recorded_read_t4(const json_t *doc, struct recorded_reading *reading, struct err *err)
{
    const json_t *results = NULL, *metadata = json_object_get(doc, "metadata");
    struct jpath at = { NULL, "results", 0 };
    int r = jread_array(doc, "results", true, RECORDED_VALUES_MAX, NULL, &results, err);
    reading->kernel = kept_text(reading, json_object_get(metadata, "kernel"));
    reading->device = kept_text(reading, json_object_get(metadata, "device"));
    for (size_t i = 0; r == 0 && i < json_array_size(results); i++) {
        struct jpath here = { &at, NULL, i };
        r = t4_result(reading, json_array_get(results, i), &here, err);
    }
    return r;
}
