/* SPDX-License-Identifier: MIT */
#include "agent/report_tuning.h"
#include "agent/plot.h"
#include "agent/tune/recorded.h"
#include "agent/tune_picture.h"
#include "base/jread.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Each config once, where it was tried first and with its last time. */
static size_t collect(const json_t *samples, struct recorded_sample *ret)
{
    json_t *seen = json_object();
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *one = json_array_get(samples, i), *at;
        const char *text = text_of(one, "config");
        double us = json_number_value(json_object_get(one, "us"));
        json_t *config = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(config)) {
            json_decref(config);
            continue;
        }
        at = json_object_get(seen, text);
        size_t row = at ? (size_t)json_integer_value(at) : n;
        if (at) {
            json_decref(config);
        } else {
            json_object_set_new(seen, text, json_integer((json_int_t)n));
            ret[n++].config = config;
        }
        ret[row].status = us > 0 ? RECORDED_CORRECT : RECORDED_RUNTIME;
        ret[row].time = us > 0 ? us : (double)NAN;
    }
    json_decref(seen);
    return n;
}

/* Where no space can be made of them: what they say, in lines. */
static void as_text(struct buf *out, const json_t *samples)
{
    buf_puts(out, "<pre>");
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *one = json_array_get(samples, i);
        double us = json_number_value(json_object_get(one, "us"));
        html_text(out, text_of(one, "config"));
        buf_puts(out, " ");
        html_text(out, text_of(one, "status"));
        if (us > 0) {
            buf_printf(out, " %.4g µs", us);
        }
        buf_puts(out, "\n");
    }
    buf_puts(out, "</pre>");
}

void report_tuning(struct buf *out, const json_t *tuning, const char *title, bool modelled)
{
    const json_t *samples = json_object_get(tuning, "samples");
    size_t total = json_array_size(samples);
    if (total == 0) {
        return;
    }
    struct recorded_sample *list = xcalloc(total, sizeof(*list));
    struct recorded *recorded = NULL;
    size_t n = collect(samples, list);
    buf_puts(out, "<details><summary>");
    html_text(out, title);
    buf_printf(out, ": %zu configs", total);
    if (*text_of(tuning, "algorithm")) {
        buf_puts(out, " by ");
        html_text(out, text_of(tuning, "algorithm"));
    }
    buf_puts(out, "</summary>");
    if (*text_of(tuning, "note")) {
        buf_puts(out, "<p>");
        html_text(out, text_of(tuning, "note"));
        buf_puts(out, "</p>");
    }
    if (n && recorded_build(list, n, &recorded, NULL) == 0) {
        struct tune_picture picture = { .space = recorded->space, .us = recorded->times, .n = n,
                                        .configs = recorded->space->listed };
        tune_picture_figures(out, &picture, modelled);
    } else {
        as_text(out, samples);
    }
    buf_puts(out, "</details>");
    recorded_free(recorded);
    for (size_t i = 0; i < n; i++) {
        json_decref((json_t *)(uintptr_t)list[i].config);
    }
    free(list);
}
