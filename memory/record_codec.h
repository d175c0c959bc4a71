#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Structs to JSON objects and back by one table of fields, so that the two directions can't drift
 * apart. Empty strings, zeros and false aren't written; reading starts from them. Text that isn't
 * UTF-8 (a compiler's log may hold anything) is written with U+FFFD for each bad byte.
 */
#include <jansson.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "memory/store.h"

enum { RECORD_FORMAT = 1 };

enum field_kind { FIELD_KIND_TEXT, FIELD_KIND_INT, FIELD_KIND_REAL, FIELD_KIND_BOOL };

struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
    bool required; /* a text that may not be "" */
};

#define FIELD(type, member, kind, required)                                                        \
    {                                                                                              \
#member, FIELD_KIND_##kind, offsetof(struct type, member), required                        \
    }

/* A new reference with "format" and the fields; ERR_INVALID: a required text is missing, a number
 * isn't finite. */
int record_encode(const struct field *fields, size_t n, const void *record, json_t **ret,
                  struct err *err);

/* Parses a document of the store, and checks format and keys: those of the fields and of `more`. */
int record_open(const char *text, size_t len, const struct field *fields, size_t n,
                const char *const *more, size_t n_more, json_t **ret, struct err *err);
int record_decode(const json_t *json, const struct field *fields, size_t n, struct arena *arena,
                  void *ret, struct err *err);

/* A JSON string of any bytes. */
json_t *record_text(const char *s);
