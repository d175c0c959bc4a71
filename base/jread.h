#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON documents that people and models write, so that every error says where:
 * `launches[0].grid[1]: expected an integer or an expression, got true`. Duplicate keys are
 * rejected by the parser, unknown keys with the nearest known one named.
 *
 * A `struct jpath` lives on the stack of the function that descends; strings belong to the json_t.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/jwrite.h" /* whoever reads documents writes them too */

enum { JREAD_TEXT_MAX = 4 << 20 };

struct jpath {
    const struct jpath *up; /* NULL at the root */
    const char *key;        /* NULL: an array element */
    size_t index;
};

/* Parses a whole text; the error has line and column. The caller owns *ret (json_decref). */
int jread_parse(const char *text, size_t len, json_t **ret, struct err *err);
/* The same from a file; the error starts with the path of the file. */
int jread_file(const char *path, json_t **ret, struct err *err);
/* The same with a limit of its own, in bytes; jread_file's is JREAD_TEXT_MAX. */
int jread_file_most(const char *path, size_t most, json_t **ret, struct err *err);

/* "launches[0].grid[1]"; "" for the root. Cut where it is longer than `size`. */
void jread_path(const struct jpath *at, char *ret, size_t size);

/* Sets "a.b[2]: text" and returns ERR_INVALID. */
int jread_fail(const struct jpath *at, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fails unless `value` is an object with no key outside `known`. */
int jread_object(const json_t *value, const struct jpath *at, const char *const *known, size_t n,
                 struct err *err);

/* "a string", "true", "an array": for messages. */
const char *jread_kind(const json_t *value);

/*
 * Members of an object. If the key is absent: `required` fails, otherwise *ret is left untouched.
 * Numbers are range-checked by the caller's lo and hi.
 */
int jread_string(const json_t *object, const char *key, bool required, const struct jpath *at,
                 const char **ret, struct err *err);
int jread_int(const json_t *object, const char *key, bool required, int64_t lo, int64_t hi,
              const struct jpath *at, int64_t *ret, struct err *err);
int jread_real(const json_t *object, const char *key, bool required, double lo, double hi,
               const struct jpath *at, double *ret, struct err *err);
int jread_bool(const json_t *object, const char *key, bool required, const struct jpath *at,
               bool *ret, struct err *err);
/* An array of at most `most` elements; absent and not required leaves *ret untouched. */
int jread_array(const json_t *object, const char *key, bool required, size_t most,
                const struct jpath *at, const json_t **ret, struct err *err);

/* A string of bytes from outside (a log, say): what isn't UTF-8 becomes "?". Never NULL. */
json_t *json_text(const char *bytes, size_t len);

/* For people: indented by two, but whatever fits in a line of 96 stands in one. The caller frees. */
char *json_pretty(const json_t *value);
