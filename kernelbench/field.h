#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Fields that tasks and plans share: names, numbers, expressions, element types. Each reader checks
 * one field, and its error starts with the path inside the document (base/jread.h). Internal to
 * this folder. What they return is copied into the arena.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/expr.h"
#include "base/jread.h"
#include "kernelbench/dtype.h"

enum { FIELD_NAME_MAX = 64 };

/* [A-Za-z_][A-Za-z0-9_]*, as far as the text goes. */
bool field_is_identifier(const char *text);

/*
 * Fails unless `name` can name a parameter, a define, a symbol or a buffer: a C identifier that the
 * compiler and the expressions don't use already. `what` says what it would name ("a parameter").
 */
int field_name(const char *name, const char *what, const struct jpath *at, struct err *err);

/* A string member that is such a name. */
int field_named(const json_t *object, const char *key, const char *what, const struct jpath *at,
                struct arena *arena, const char **ret, struct err *err);

/* A slug for people and folders: [A-Za-z0-9][A-Za-z0-9_.-]*, at most FIELD_NAME_MAX characters. */
int field_slug(const json_t *object, const char *key, const struct jpath *at, struct arena *arena,
               const char **ret, struct err *err);

/* An object member with at most `most` members; absent and not required leaves *ret untouched. */
int field_object(const json_t *object, const char *key, bool required, size_t most,
                 const struct jpath *at, json_t **ret, struct err *err);

/* An integer, or true and false for 1 and 0. */
int field_value(const json_t *value, const struct jpath *at, int64_t *ret, struct err *err);

/* An integer or the text of an expression. */
int field_expr(const json_t *value, const struct jpath *at, struct arena *arena, struct expr **ret,
               struct err *err);

/* A member that is a list of `least` to `most` of them; absent is fine if `least` is 0. */
int field_exprs(const json_t *object, const char *key, size_t least, size_t most,
                const struct jpath *at, struct arena *arena, struct expr **ret, size_t *ret_n,
                struct err *err);

int field_dtype(const json_t *object, const char *key, const struct jpath *at, enum dtype *ret,
                struct err *err);
