#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Data-driven cases: every file tests/cases/KIND/NAME.json but base.json is one. A case holds
 * "merge", a JSON merge patch (RFC 7386) on base.json, or "text", a whole document; and "error",
 * the exact error that it must give. Without "error" it must pass. Whatever else it holds
 * ("source", say) is for the test.
 */
#include <jansson.h>
#include "base/err.h"

/* What a test does with one document: 0 or a negative error. */
typedef int cases_run(const json_t *the_case, const char *text, size_t len, struct err *err);

/*
 * Runs all cases of a kind, each a second time without a `struct err`. Fails the running cmocka
 * test if any goes wrong, after all have run; returns how many there were.
 */
size_t cases_all(const char *kind, cases_run *run);

/* The text of tests/cases/KIND/base.json; the caller frees it. */
char *cases_base(const char *kind);

/* Applies a JSON merge patch. */
void cases_merge(json_t *to, const json_t *patch);
