/* SPDX-License-Identifier: MIT */
/* An expression of any bytes: no crash, and the same answer with and without an error's text. */
#include "base/expr.h"
#include "base/util.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct symbol values[] = { { "rows", 4096 }, { "cols", INT64_MAX }, { "z", 0 },
                                            { "neg", INT64_MIN } };
    const struct symbols symbols = { values, ARRAY_LEN(values), NULL };
    auto_arena struct arena *arena = arena_new();
    char *text = arena_strndup(arena, (const char *)data, size);
    struct expr *expr = NULL, *again = NULL;
    struct err err = { 0 };
    int r = expr_parse(arena, text, &expr, &err);
    require(expr_parse(arena, text, &again, NULL) == r);
    require((r == 0) == (expr != NULL) && (r < 0) == (err.text[0] != '\0'));
    if (r < 0) {
        return 0;
    }
    int64_t a = 1, b = 1;
    int known = expr_check(expr, &symbols, NULL);
    r = expr_eval(expr, &symbols, &a, &err);
    require(expr_eval(again, &symbols, &b, NULL) == r && a == b);
    require(known == 0 || r < 0 || strpbrk(text, "|&")); /* only these leave a side out */
    return 0;
}
