/* SPDX-License-Identifier: MIT */
/* What the tuner found of an attempt, in a line: a few of its samples say what a space is worth. */
#include "agent/campaign_internal.h"
#include "base/buf.h"
#include "base/jread.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

enum { TUNED_SHOWN = 3, TUNED_VALUES_MAX = 8, TUNED_WORDS_MAX = 64 << 10 };

struct tuned {
    const char *config;
    double us;
};

static int by_time(const void *a, const void *b)
{
    const struct tuned *x = a, *y = b;
    return x->us != y->us ? (x->us < y->us ? -1 : 1) : strcmp(x->config, y->config);
}

/* {"BLOCK":256,"VEC":4} is "BLOCK=256 VEC=4". */
static void add_config(struct buf *out, const struct tuned *t)
{
    json_t *json = json_loads(t->config, 0, NULL), *value;
    const char *name;
    json_object_foreach(json, name, value)
    {
        buf_printf(out, "%s=%lld ", name, (long long)json_integer_value(value));
    }
    buf_printf(out, "%.4g us", t->us);
    json_decref(json);
}

/* "; VEC=1 80.2, VEC=4 67.1": the fastest with each value of one tunable, the fastest value first. */
static void add_values(struct buf *out, const char *name, const struct tuned *ran, size_t n)
{
    int64_t shown[TUNED_VALUES_MAX];
    size_t n_shown = 0;
    auto_buf struct buf line;
    buf_init(&line, TUNED_WORDS_MAX);
    for (size_t i = 0; i < n && n_shown < TUNED_VALUES_MAX; i++) { /* fastest first */
        json_t *json = json_loads(ran[i].config, 0, NULL);
        const json_t *of = json_object_get(json, name);
        int64_t value = json_is_true(of) ? 1 : json_integer_value(of);
        bool known = false;
        for (size_t k = 0; k < n_shown; k++) {
            known = known || shown[k] == value;
        }
        if (!known) {
            shown[n_shown++] = value;
            buf_printf(&line, "%s%s=%lld %.4g", n_shown > 1 ? ", " : "; ", name, (long long)value,
                       ran[i].us);
        }
        json_decref(json);
    }
    if (n_shown > 1) {
        buf_puts(out, line.at);
    }
}

const char *run_tuning_words(const json_t *tuning, bool modelled, struct arena *arena)
{
    const json_t *samples = json_object_get(tuning, "samples");
    size_t total = json_array_size(samples), n = 0;
    if (total == 0) {
        return NULL;
    }
    struct tuned *ran = xcalloc(total, sizeof(*ran));
    for (size_t i = 0; i < total; i++) {
        const json_t *one = json_array_get(samples, i);
        const char *config = json_string_value(json_object_get(one, "config"));
        double us = json_number_value(json_object_get(one, "us"));
        if (config && us > 0) {
            ran[n++] = (struct tuned) { config, us };
        }
    }
    qsort(ran, n, sizeof(*ran), by_time);
    auto_buf struct buf out;
    buf_init(&out, TUNED_WORDS_MAX);
    buf_printf(&out, "tuner: %zu combinations of its space %s, %zu failed", total,
               modelled ? "modelled" : "timed, quickly", total - n);
    for (size_t i = 0; i < n && i < TUNED_SHOWN; i++) {
        buf_puts(&out, i ? ", " : "; fastest ");
        add_config(&out, &ran[i]);
    }
    if (n > TUNED_SHOWN) {
        buf_puts(&out, "; slowest ");
        add_config(&out, &ran[n - 1]);
        buf_puts(&out, "; the fastest with each value");
        json_t *json = json_loads(ran[0].config, 0, NULL), *value;
        const char *name;
        json_object_foreach(json, name, value) {
            add_values(&out, name, ran, n);
        }
        json_decref(json);
    }
    free(ran);
    return arena_strdup(arena, out.at);
}
