#pragma once
/* SPDX-License-Identifier: MIT */
/*
 * Templates of prompts: text with {{name}} for a value and {{?name}} ... {{/name}} for a part that
 * is there only if the value is. A mark that stands alone on its line takes the line with it.
 * Values are put in as they are, and never read as a template themselves.
 *
 * A name that the template uses and nobody gave, a value that it doesn't use, and a part that isn't
 * closed are errors: a misspelt name never becomes a hole in a prompt.
 */
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"

struct template_value {
    const char *name, *text; /* text NULL: absent; may only stand inside {{?name}} */
};

/* `file` is for errors: "contract.md, line 7: nothing is called \"devise\"". */
int template_render(const char *file, const char *text, const struct template_value *values,
                    size_t n, struct buf *out, struct err *err);

enum { TEMPLATE_VALUES_MAX = 32 };
