#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * JSON text of jansson's values, compact. Two things are other than in jansson's own printing, which
 * took two fifths of a campaign's time: cycles aren't looked for (nothing here makes any), and a real
 * number takes as few digits as read back as the same number, if 15 will do: 0.1, not
 * 0.10000000000000001.
 *
 * In strings, bytes that aren't UTF-8 become "?". A number that isn't finite can't be written.
 *
 * What is only ever sent or kept needs no tree: a jwriter puts text behind text, and places commas.
 */
#include <jansson.h>
#include <stdint.h>
#include "base/buf.h"

/* Appends; a full buffer shows in out->failed. */
void json_write(const json_t *value, bool sorted, struct buf *out);

/* Members in the order they came, and sorted by their bytes (what ids are made of). The caller frees. */
char *json_compact(const json_t *value);
char *json_canonical(const json_t *value);

/* A finite number as JSON, always with a point or an exponent. */
enum { JSON_REAL_MAX = 32 };
size_t json_real_text(double value, char ret[JSON_REAL_MAX]);

struct jwriter {
    struct buf *out; /* borrowed */
    bool more;       /* something stands before the next piece, on its level */
};

/* `key` NULL: an element of an array, or the root. Brackets: '{' '[' and '}' ']'. */
void jwrite_open(struct jwriter *w, const char *key, char bracket);
void jwrite_close(struct jwriter *w, char bracket);
void jwrite_string(struct jwriter *w, const char *key, const char *value);
void jwrite_int(struct jwriter *w, const char *key, int64_t value);
void jwrite_real(struct jwriter *w, const char *key, double value);
void jwrite_bool(struct jwriter *w, const char *key, bool value);
void jwrite_null(struct jwriter *w, const char *key);
void jwrite_tree(struct jwriter *w, const char *key, const json_t *value);
/* Text that is JSON already. */
void jwrite_json(struct jwriter *w, const char *key, const char *text);
