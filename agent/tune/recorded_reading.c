/* SPDX-License-Identifier: MIT */
/* Gathering configs and their times, whatever they were written in. */
#include "agent/tune/recorded_parts.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double time_most = 1e30;

const char *recorded_text(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) <= RECORDED_NAME_MAX
                   && strlen(json_string_value(value)) == json_string_length(value)
               ? json_string_value(value)
               : NULL;
}

int recorded_time(const json_t *value, const struct jpath *at, double *ret, struct err *err)
{
    if (!json_is_number(value)) {
        return jread_fail(at, err, "expected a time, got %s", jread_kind(value));
    }
    double time = json_number_value(value);
    if (!(time > 0 && time < time_most)) {
        return jread_fail(at, err, "%g is not a time", time);
    }
    *ret = time;
    return 0;
}

int recorded_add_column(struct recorded_reading *reading, const char *name, const json_t *domain,
                        const struct jpath *at, struct err *err)
{
    if (reading->n_columns == TUNE_PARAMS_MAX) {
        return jread_fail(at, err, "more than %d parameters", TUNE_PARAMS_MAX);
    }
    size_t len = strlen(name);
    if (len == 0 || len > RECORDED_NAME_MAX) {
        return jread_fail(at, err, "a parameter's name has 1 to %d bytes", RECORDED_NAME_MAX);
    }
    for (size_t i = 0; i < reading->n_columns; i++) {
        if (str_eq(reading->columns[i].name, name)) {
            return jread_fail(at, err, "the parameter \"%s\" stands there twice", name);
        }
    }
    reading->columns[reading->n_columns++] = (struct recorded_column) {
        .name = arena_strdup(reading->arena, name), .domain = domain, .seen = json_object(),
    };
    return 0;
}

/* Equal numbers have equal keys, however they were written. NULL: not a value. */
static char *key_of(const json_t *value)
{
    const char *text = recorded_text(value);
    return json_is_number(value)    ? xprintf("%.17g", json_number_value(value))
           : json_is_boolean(value) ? xstrdup(json_is_true(value) ? "true" : "false")
           : text                   ? xprintf("\"%s", text)
                                    : NULL;
}

static bool in_domain(const json_t *domain, const char *key)
{
    for (size_t i = 0; i < json_array_size(domain); i++) {
        auto_free char *known = key_of(json_array_get(domain, i));
        if (known && str_eq(known, key)) {
            return true;
        }
    }
    return domain == NULL;
}

/* How JSON writes it; a word without its quotes. */
static char *text_of(struct arena *arena, const json_t *value)
{
    char real[JSON_REAL_MAX];
    switch (json_typeof(value)) {
    case JSON_INTEGER: return arena_printf(arena, "%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        json_real_text(json_real_value(value), real);
        return arena_strdup(arena, real);
    case JSON_STRING: return arena_strdup(arena, json_string_value(value));
    default: return arena_strdup(arena, json_is_true(value) ? "true" : "false");
    }
}

/* The number of a value in its column, by first appearance. */
static int intern(struct recorded_reading *reading, struct recorded_column *column,
                  const json_t *value, const struct jpath *at, uint16_t *ret, struct err *err)
{
    auto_free char *key = key_of(value);
    if (!key) {
        return jread_fail(at, err, "expected a number, true, false or a word of %d bytes at most, "
                                   "got %s", RECORDED_NAME_MAX, jread_kind(value));
    }
    const json_t *known = json_object_get(column->seen, key);
    if (known) {
        *ret = (uint16_t)json_integer_value(known);
        return 0;
    }
    if (!in_domain(column->domain, key)) {
        return jread_fail(at, err, "%s is not among tune_params.%s", key + (*key == '"'),
                          column->name);
    }
    if (column->n == TUNE_VALUES_MAX) {
        return jread_fail(at, err, "more than %d values of \"%s\"", TUNE_VALUES_MAX, column->name);
    }
    if (column->n == column->room) {
        column->room = MAX(2 * column->room, (size_t)16);
        column->numbers = xrealloc(column->numbers, column->room, sizeof(*column->numbers));
        column->texts = xrealloc(column->texts, column->room, sizeof(*column->texts));
    }
    double *number = &column->numbers[column->n];
    *number = json_is_number(value) ? json_number_value(value) : json_is_true(value);
    column->n_numeric += json_is_string(value) && str_to_f64(json_string_value(value), number);
    column->texts[column->n] = text_of(reading->arena, value);
    column->n_words += json_is_string(value);
    column->n_bools += json_is_boolean(value);
    json_object_set_new(column->seen, key, json_integer((json_int_t)column->n));
    *ret = (uint16_t)column->n++;
    return 0;
}

static int add_single(struct recorded_reading *reading, const json_t *single,
                      const struct jpath *at, struct err *err)
{
    size_t n = json_array_size(single);
    if (n > RECORDED_TIMES_MAX) {
        return jread_fail(at, err, "%zu timings, %d at most", n, RECORDED_TIMES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        struct jpath here = { at, NULL, i };
        if (reading->n_single == reading->room_single) {
            reading->room_single = MAX(2 * reading->room_single, (size_t)4096);
            reading->single = xrealloc(reading->single, reading->room_single,
                                       sizeof(*reading->single));
        }
        int r = recorded_time(json_array_get(single, i), &here,
                              &reading->single[reading->n_single], err);
        if (r < 0) {
            return r;
        }
        reading->n_single++;
    }
    return 0;
}

static void grow(struct recorded_reading *reading)
{
    if (reading->n == reading->room) {
        size_t room = reading->room = MAX(2 * reading->room, (size_t)1024);
        reading->ranks = xrealloc(reading->ranks, room * MAX(reading->n_columns, (size_t)1),
                                  sizeof(*reading->ranks));
        reading->times = xrealloc(reading->times, room, sizeof(*reading->times));
        reading->status = xrealloc(reading->status, room, sizeof(*reading->status));
        reading->first = xrealloc(reading->first, room + 1, sizeof(*reading->first));
        reading->first[0] = 0;
    }
}

int recorded_add(struct recorded_reading *reading, const json_t *values, const struct jpath *at,
                 enum recorded_status status, double time, const json_t *single,
                 const struct jpath *at_single, struct err *err)
{
    if (reading->n == TUNE_LIST_MAX) {
        return err_set(err, ERR_TOOBIG, "more than %d configs", TUNE_LIST_MAX);
    }
    grow(reading);
    uint16_t *row = reading->ranks + reading->n * reading->n_columns;
    for (size_t i = 0; i < reading->n_columns; i++) {
        struct recorded_column *column = &reading->columns[i];
        const json_t *value = json_object_get(values, column->name);
        struct jpath here = { at, column->name, 0 };
        if (!value) {
            return jread_fail(at, err, "the parameter \"%s\" is missing", column->name);
        }
        int r = intern(reading, column, value, &here, &row[i], err);
        if (r < 0) {
            return r;
        }
    }
    int r = add_single(reading, single, at_single, err);
    reading->times[reading->n] = time;
    reading->status[reading->n++] = status;
    reading->first[reading->n] = (uint32_t)reading->n_single;
    return r;
}
