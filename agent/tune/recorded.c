/* SPDX-License-Identifier: MIT */
#include "agent/tune/recorded_parts.h"
#include "base/file.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 4096 /* that are looked at for being numbers in quotes */ };

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

/* Numbers, booleans, or words that all are different numbers. */
static bool is_numeric(const struct recorded_column *column)
{
    if (column->n_words == 0) {
        return column->n_bools == 0 || column->n_bools == column->n;
    }
    bool numeric = column->n_words == column->n && column->n_numeric == column->n;
    for (size_t i = 1; numeric && i < MIN(column->n, (size_t)WORDS_MAX); i++) {
        for (size_t k = 0; k < i; k++) {
            numeric = numeric && column->numbers[i] != column->numbers[k];
        }
    }
    return numeric && column->n <= WORDS_MAX;
}

/* Numbers ascending; ret_rank[number by appearance] is the rank. */
static void settle_column(struct arena *arena, const struct recorded_column *column,
                          struct tune_param *param, uint16_t *ret_rank)
{
    auto_free uint16_t *order = xcalloc(column->n, sizeof(*order));
    bool numbers = is_numeric(column);
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

static int read_text(const char *text, size_t len, struct recorded_reading *reading, struct err *err)
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
    json_decref(doc); /* names and values were copied */
    return r;
}

/* What was read becomes a space, unless reading failed with `r`. */
static int finish(struct recorded_reading *reading, int r, struct recorded **ret, struct err *err)
{
    r = r < 0 ? r : settle(reading, ret, err);
    for (size_t i = 0; i < reading->n_columns; i++) {
        json_decref(reading->columns[i].seen);
        free(reading->columns[i].numbers);
        free(reading->columns[i].texts);
    }
    free(reading->ranks);
    free(reading->times);
    free(reading->status);
    free(reading->first);
    free(reading->single);
    if (r < 0) {
        arena_free(reading->arena);
    }
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
    return finish(&reading, read_text(text, n, &reading, err), ret, err);
}

int recorded_build(const struct recorded_sample *samples, size_t n, struct recorded **ret,
                   struct err *err)
{
    struct recorded_reading reading = { .arena = arena_new() };
    const char *name;
    json_t *value;
    int r = 0;
    json_object_foreach((json_t *)(uintptr_t)(n > 0 ? samples[0].config : NULL), name, value)
    {
        r = r < 0 ? r : recorded_add_column(&reading, name, NULL, NULL, err);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct jpath here = { NULL, NULL, i };
        double time = samples[i].status == RECORDED_CORRECT ? samples[i].time : NAN;
        r = recorded_add(&reading, samples[i].config, &here, samples[i].status, time, NULL, NULL, err);
    }
    return finish(&reading, r, ret, err);
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
