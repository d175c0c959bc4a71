#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * What the readers of recorded files share: entries are gathered one by one, then turned into a
 * space. `recorded_*` of recorded_parts.h is private to recorded*.c.
 */
#include <jansson.h>
#include "agent/tune/recorded.h"
#include "base/jread.h"

/* A parameter's values by first appearance. */
struct recorded_column {
    const char *name;
    const json_t *domain; /* the list that values must come from; NULL: any */
    json_t *seen;         /* key of a value -> its number */
    size_t n, room, n_words, n_bools;
    size_t n_numeric; /* of the words: those that are numbers in quotes, as some write them */
    double *numbers;
    const char **texts;
};

struct recorded_reading {
    struct arena *arena; /* of the result */
    size_t n_columns;
    struct recorded_column columns[TUNE_PARAMS_MAX];
    size_t n, room;
    uint16_t *ranks; /* n rows of n_columns, by first appearance */
    double *times;
    enum recorded_status *status;
    uint32_t *first;
    size_t n_single, room_single;
    double *single;
    const char *kernel, *device; /* in the arena; NULL: not said */
};

/* ERR_INVALID: a name of no use. */
int recorded_add_column(struct recorded_reading *reading, const char *name, const json_t *domain,
                        const struct jpath *at, struct err *err);
/*
 * One config: `values` holds a member for each column, others are not looked at. `time` is NAN and
 * `single` NULL unless it is correct.
 */
int recorded_add(struct recorded_reading *reading, const json_t *values, const struct jpath *at,
                 enum recorded_status status, double time, const json_t *single,
                 const struct jpath *at_single, struct err *err);
/* A time: a number over zero, below 1e30. */
int recorded_time(const json_t *value, const struct jpath *at, double *ret, struct err *err);
/* A text of at most RECORDED_NAME_MAX bytes, or NULL if it isn't one. */
const char *recorded_text(const json_t *value);

int recorded_read_cache(const json_t *doc, struct recorded_reading *reading, struct err *err);
int recorded_read_t4(const json_t *doc, struct recorded_reading *reading, struct err *err);
