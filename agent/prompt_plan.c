/* SPDX-License-Identifier: MIT */
/* Plans as a model sees them: the same keys at the same places in every question. */
#include "agent/prompt_parts.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* The order of the contract's own example, at every depth; what isn't listed follows by name. */
static const char *const order[] = {
    "format", "if", "name", "kernel", "memset", "value", "dtype", "shape", "params", "space",
    "constraints", "when", "defines", "scratch", "graph", "prepare", "launches", "compile",
    "grid", "block", "cluster", "shared", "cooperative", "programmatic", "args",
};

static size_t rank(const char *key)
{
    size_t i = 0;
    while (i < ARRAY_LEN(order) && !str_eq(order[i], key)) {
        i++;
    }
    return i;
}

static int by_rank(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t i = rank(x), k = rank(y);
    return i != k ? (i < k ? -1 : 1) : strcmp(x, y);
}

/* A plan's depth was bounded when it was read. */
static json_t *ordered(const json_t *json)
{
    if (json_is_array(json)) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(json); i++) {
            json_array_append_new(list, ordered(json_array_get(json, i)));
        }
        return list;
    }
    size_t n = json_object_size(json), i = 0;
    if (n == 0) {
        return json_deep_copy(json);
    }
    const char **keys = xcalloc(n, sizeof(*keys)), *key;
    json_t *value, *object = json_object();
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        keys[i++] = key;
    }
    qsort(keys, n, sizeof(*keys), by_rank);
    for (i = 0; i < n; i++) {
        json_object_set_new(object, keys[i], ordered(json_object_get(json, keys[i])));
    }
    free(keys);
    return object;
}

char *prompt_plan(const struct plan *plan, struct arena *arena)
{
    json_t *copy = ordered(plan->json);
    json_object_del(copy, "tags");
    auto_free char *text = json_pretty(copy);
    char *kept = prompt_clean(arena, text, strlen(text));
    json_decref(copy);
    return kept;
}

char *prompt_values(const struct plan *plan, struct arena *arena)
{
    auto_buf struct buf out;
    buf_init(&out, 64 << 10);
    for (size_t i = 0; i < plan->n_params; i++) {
        const struct param *p = &plan->params[i];
        if (p->range) {
            buf_printf(&out, "%s%s=%lld", out.len ? " " : "", p->name, (long long)p->value);
        }
    }
    return arena_strndup(arena, out.len ? out.at : "", out.len);
}
