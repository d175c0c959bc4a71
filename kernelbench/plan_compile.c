/* SPDX-License-Identifier: MIT */
#include "kernelbench/plan_parts.h"
#include "base/util.h"

#include <string.h>

/* Options with a value end in "=". One dash or two: NVRTC takes both for most. */
static const struct {
    const char *name;
    enum { VALUE_NONE, VALUE_BOOL, VALUE_REGISTERS } value;
} allowed[] = {
    { "use_fast_math", VALUE_NONE },
    { "fmad=", VALUE_BOOL },
    { "ftz=", VALUE_BOOL },
    { "prec-div=", VALUE_BOOL },
    { "prec-sqrt=", VALUE_BOOL },
    { "maxrregcount=", VALUE_REGISTERS },
    { "extra-device-vectorization", VALUE_NONE },
    { "restrict", VALUE_NONE },
    { "lineinfo", VALUE_NONE },
    { "generate-line-info", VALUE_NONE },
    { "default-device", VALUE_NONE },
    { "device-as-default-execution-space", VALUE_NONE },
};

static bool value_ok(int kind, const char *value)
{
    int64_t n;
    switch (kind) {
    case VALUE_BOOL: return str_eq(value, "true") || str_eq(value, "false");
    case VALUE_REGISTERS: return str_to_i64(value, &n) && n >= 16 && n <= 255;
    default: return *value == '\0';
    }
}

/* The index of the option in the list, or -1. */
static int find(const char *option)
{
    const char *name = option + (str_prefix(option, "--") ? 2 : 1);
    for (size_t i = 0; i < ARRAY_LEN(allowed) && option[0] == '-'; i++) {
        size_t len = strlen(allowed[i].name);
        if (str_prefix(name, allowed[i].name) && value_ok(allowed[i].value, name + len)) {
            return (int)i;
        }
    }
    return -1;
}

int plan_compile(const json_t *doc, const struct jpath *at, struct arena *arena, struct plan *plan,
                 struct err *err)
{
    const json_t *list = NULL;
    int r = jread_array(doc, "compile", false, PLAN_COMPILE_MAX, at, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    struct jpath here = { at, "compile", 0 };
    bool seen[ARRAY_LEN(allowed)] = { false };
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct jpath element = { &here, NULL, i };
        const json_t *value = json_array_get(list, i);
        if (!json_is_string(value)) {
            return jread_fail(&element, err, "expected a string, got %s", jread_kind(value));
        }
        const char *option = json_string_value(value);
        int index = find(option);
        if (index < 0) {
            return jread_fail(&element, err,
                              "\"%.64s\" is not an allowed option; allowed are --use_fast_math, "
                              "--fmad=, --ftz=, --prec-div=, --prec-sqrt= (each true or false), "
                              "--maxrregcount=16..255, --extra-device-vectorization, --restrict, "
                              "-lineinfo, -default-device", option);
        }
        if (seen[index]) {
            return jread_fail(&element, err, "\"%s\" is given twice", option);
        }
        seen[index] = true;
        plan->compile[i] = arena_strdup(arena, option);
    }
    plan->n_compile = json_array_size(list);
    return 0;
}
