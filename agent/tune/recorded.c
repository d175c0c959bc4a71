/* SPDX-License-Identifier: MIT */
#include "agent/tune/recorded_parts.h"
#include "base/file.h"
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
    column->numbers[column->n] = json_is_number(value) ? json_number_value(value)
                                                       : json_is_true(value);
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

static bool all_powers(const struct recorded_column *column)
{
    for (size_t i = 0; i < column->n; i++) {
        int exponent;
        if (column->numbers[i] < 1 || frexp(column->numbers[i], &exponent) != 0.5) {
            return false;
        }
    }
    return true;
}

static int by_number(const void *a, const void *b, void *ud)
{
    const double *numbers = ud;
    double x = numbers[*(const uint16_t *)a], y = numbers[*(const uint16_t *)b];
    return (x > y) - (x < y);
}

/* Numbers ascending; ret_rank[number by appearance] is the rank. */
static void settle_column(struct arena *arena, const struct recorded_column *column,
                          struct tune_param *param, uint16_t *ret_rank)
{
    auto_free uint16_t *order = xcalloc(column->n, sizeof(*order));
    bool numbers = column->n_words == 0 && (column->n_bools == 0 || column->n_bools == column->n);
    for (size_t i = 0; i < column->n; i++) {
        order[i] = (uint16_t)i;
    }
    if (numbers) {
        qsort_r(order, column->n, sizeof(*order), by_number, column->numbers);
    }
    double *values = numbers ? arena_alloc(arena, column->n, sizeof(*values)) : NULL;
    const char **texts = arena_alloc(arena, column->n, sizeof(*texts));
    for (size_t i = 0; i < column->n; i++) {
        texts[i] = column->texts[order[i]];
        ret_rank[order[i]] = (uint16_t)i;
        if (numbers) {
            values[i] = column->numbers[order[i]];
        }
    }
    bool two = numbers && column->n == 2 && values[0] == 0 && values[1] == 1;
    *param = (struct tune_param) {
        .name = column->name, .n = (uint32_t)column->n, .values = values, .texts = texts,
        .kind = two ? TUNE_BOOL : !numbers ? TUNE_CHOICE : all_powers(column) ? TUNE_POW2 : TUNE_NUMBER,
    };
}

/* Parameters and configs, hashed: a recorded space is its list. */
static void set_id(struct tune_space *space)
{
    auto_free struct id_part *parts = xcalloc(space->n * 2 + 1, sizeof(*parts));
    auto_free char **lists = xcalloc(space->n + 1, sizeof(*lists));
    for (size_t i = 0; i < space->n; i++) {
        struct buf text;
        buf_init(&text, SIZE_MAX);
        for (uint32_t k = 0; k < space->params[i].n; k++) {
            buf_printf(&text, "%s\n", space->params[i].texts[k]);
        }
        parts[2 * i] = (struct id_part) { space->params[i].name, strlen(space->params[i].name) };
        parts[2 * i + 1] = (struct id_part) { text.at, text.len };
        lists[i] = buf_take(&text);
    }
    parts[2 * space->n] = (struct id_part) { space->listed,
                                             space->n_listed * space->n * sizeof(*space->listed) };
    id_of_parts(parts, 2 * space->n + 1, &space->id);
    for (size_t i = 0; i < space->n; i++) {
        free(lists[i]);
    }
}

static int settle_space(const struct recorded_reading *reading, struct tune_space **ret,
                        struct err *err)
{
    struct arena *arena = reading->arena;
    struct tune_space *space = arena_alloc(arena, 1, sizeof(*space));
    uint16_t *maps[TUNE_PARAMS_MAX] = { 0 };
    size_t columns[TUNE_PARAMS_MAX];
    space->arena = arena;
    space->params = arena_alloc(arena, TUNE_PARAMS_MAX, sizeof(*space->params));
    for (size_t i = 0; i < reading->n_columns; i++) {
        if (reading->columns[i].n > 1) {
            maps[space->n] = arena_alloc(arena, reading->columns[i].n, sizeof(**maps));
            columns[space->n] = i;
            settle_column(arena, &reading->columns[i], &space->params[space->n], maps[space->n]);
            space->n++;
        }
    }
    space->listed = arena_alloc(arena, reading->n * MAX(space->n, (size_t)1), sizeof(uint16_t));
    space->n_listed = reading->n;
    for (size_t row = 0; row < reading->n; row++) {
        for (size_t i = 0; i < space->n; i++) {
            uint16_t number = reading->ranks[row * reading->n_columns + columns[i]];
            space->listed[row * space->n + i] = maps[i][number];
        }
    }
    int r = tune_space_seal(space, err);
    if (r == 0) {
        set_id(space);
        *ret = space;
    }
    return r;
}

static void *keep(struct arena *arena, const void *at, size_t n, size_t size)
{
    void *copy = arena_alloc(arena, MAX(n, (size_t)1), size);
    if (n > 0) {
        memcpy(copy, at, n * size);
    }
    return copy;
}

static int settle(const struct recorded_reading *reading, struct recorded **ret, struct err *err)
{
    struct arena *arena = reading->arena;
    if (reading->n == 0) {
        return err_set(err, ERR_NOTFOUND, "holds no config");
    }
    struct recorded *recorded = arena_alloc(arena, 1, sizeof(*recorded));
    int r = settle_space(reading, &recorded->space, err);
    if (r < 0) {
        return r;
    }
    recorded->kernel = arena_strdup(arena, reading->kernel ? reading->kernel : "");
    recorded->device = arena_strdup(arena, reading->device ? reading->device : "");
    recorded->times = keep(arena, reading->times, reading->n, sizeof(*reading->times));
    recorded->status = keep(arena, reading->status, reading->n, sizeof(*reading->status));
    recorded->first = keep(arena, reading->first, reading->n + 1, sizeof(*reading->first));
    recorded->single = keep(arena, reading->single, reading->n_single, sizeof(*reading->single));
    recorded->optimum = INFINITY;
    for (size_t row = 0; row < reading->n; row++) {
        recorded->n_failed += isnan(reading->times[row]);
        if (reading->times[row] < recorded->optimum) {
            recorded->optimum = reading->times[row];
            recorded->best = row;
        }
    }
    if (recorded->n_failed == reading->n) {
        return err_set(err, ERR_NOTFOUND, "none of its %zu configs ran", reading->n);
    }
    *ret = recorded;
    return 0;
}

/* Bounds what the parser will allocate. */
static int check_size(const char *text, size_t len, struct err *err)
{
    size_t commas = 0;
    for (size_t i = 0; i < len; i++) {
        commas += text[i] == ',';
    }
    return commas <= RECORDED_VALUES_MAX
               ? 0
               : err_set(err, ERR_TOOBIG, "more than %d values", RECORDED_VALUES_MAX);
}

static int read_text(const char *text, size_t len, struct recorded_reading *reading,
                     struct recorded **ret, struct err *err)
{
    json_t *doc = NULL;
    int r = check_size(text, len, err);
    r = r < 0 ? r : jread_parse(text, len, &doc, err);
    if (r < 0) {
        return r;
    }
    if (json_object_get(doc, "cache")) {
        r = recorded_read_cache(doc, reading, err);
    } else if (json_object_get(doc, "results")) {
        r = recorded_read_t4(doc, reading, err);
    } else {
        r = err_set(err, ERR_INVALID, "neither \"cache\" (Kernel Tuner) nor \"results\" (T4) is in it");
    }
    r = r < 0 ? r : settle(reading, ret, err);
    json_decref(doc);
    return r;
}

int recorded_parse(const char *bytes, size_t len, struct recorded **ret, struct err *err)
{
    if (len > RECORDED_FILE_MAX) {
        return err_set(err, ERR_TOOBIG, "more than %d MiB", RECORDED_FILE_MAX >> 20);
    }
    auto_free char *text = NULL;
    size_t n;
    int r = recorded_inflate(bytes, len, &text, &n, err);
    if (r < 0) {
        return r;
    }
    struct recorded_reading reading = { .arena = arena_new() };
    r = read_text(text, n, &reading, ret, err);
    for (size_t i = 0; i < reading.n_columns; i++) {
        json_decref(reading.columns[i].seen);
        free(reading.columns[i].numbers);
        free(reading.columns[i].texts);
    }
    free(reading.ranks);
    free(reading.times);
    free(reading.status);
    free(reading.first);
    free(reading.single);
    if (r < 0) {
        arena_free(reading.arena);
    }
    return r;
}

int recorded_read(const char *path, struct recorded **ret, struct err *err)
{
    auto_free char *bytes = NULL;
    size_t len;
    int r = file_read(path, RECORDED_FILE_MAX, &bytes, &len, err);
    if (r < 0) {
        return r;
    }
    r = recorded_parse(bytes, len, ret, err);
    if (r < 0) {
        err_wrap(err, "%s", path);
    }
    return r;
}

void recorded_free(struct recorded *recorded)
{
    if (recorded) {
        tune_space_free(recorded->space);
    }
}

double recorded_noisy(const struct recorded *recorded, size_t row, struct rng *rng)
{
    size_t from = recorded->first[row], n = recorded->first[row + 1] - from;
    if (isnan(recorded->times[row]) || n == 0) {
        return recorded->times[row];
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += recorded->single[from + i];
    }
    return recorded->times[row] * recorded->single[from + rng_below(rng, n)] * (double)n / sum;
}
