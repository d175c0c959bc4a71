/* SPDX-License-Identifier: MIT */
#include "agent/tune_prompt_parts.h"
#include "agent/prompt_parts.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_SHOWN = 4, VALUES_SHOWN = 8, LINE_MAX_BYTES = 64 << 10, WHY_MAX = 200 };

static int by_time(const void *a, const void *b)
{
    const struct tuner_sample *x = *(const struct tuner_sample *const *)a;
    const struct tuner_sample *y = *(const struct tuner_sample *const *)b;
    if (x->time != y->time) {
        return x->time < y->time ? -1 : 1;
    }
    return (x > y) - (x < y); /* samples stand in one list: the earlier one first */
}

struct tune_history *tune_history_new(const struct tune_prompt_input *in, struct arena *arena)
{
    struct tune_history *h = arena_alloc(arena, 1, sizeof(*h));
    size_t size = sizeof(*h->ran);
    *h = (struct tune_history) { .input = in, .arena = arena, .base = tune_prompt_base(in),
                                 .ran = arena_alloc(arena, in->n_samples + 1, size),
                                 .failed = arena_alloc(arena, in->n_samples + 1, size) };
    for (size_t i = 0; i < in->n_samples; i++) {
        const struct tuner_sample *s = &in->samples[i], *last = &in->samples[in->n_samples - 1 - i];
        if (s->time > 0) {
            h->ran[h->n_ran++] = s;
        }
        if (isnan(last->time)) {
            h->failed[h->n_failed++] = last;
        }
    }
    h->n_told = h->n_ran + h->n_failed;
    qsort(h->ran, h->n_ran, size, by_time);
    return h;
}

static const char *settled(const struct tune_history *h, const struct buf *out)
{
    return arena_strndup(h->arena, out->len ? out->at : "", out->len);
}

const char *tune_history_summary(const struct tune_history *h)
{
    const struct tune_prompt_input *in = h->input;
    auto_buf struct buf out;
    buf_init(&out, LINE_MAX_BYTES);
    buf_printf(&out, "%zu configs ran, %zu failed", h->n_ran, h->n_failed);
    if (in->n_samples > h->n_told) {
        buf_printf(&out, ", %zu are on their way", in->n_samples - h->n_told);
    }
    if (in->space->n_allowed > 0) {
        buf_printf(&out, " (%.2g %% of the space)",
                   100 * (double)in->n_samples / in->space->n_allowed);
    }
    if (h->n_ran) {
        double best = h->ran[0]->time;
        buf_printf(&out, ". The best takes %.4g %s", best, in->unit);
        if (h->n_ran > 1) {
            buf_printf(&out, ", the second %.1f %% more, the median %.2fx",
                       100 * (h->ran[1]->time / best - 1), h->ran[h->n_ran / 2]->time / best);
        }
    }
    buf_puts(&out, ".");
    return settled(h, &out);
}

/* "BLOCK=512 VEC=4": what differs from the base, or all of it without one. */
static void add_difference(const struct tune_history *h, const uint16_t *config, struct buf *out)
{
    const struct tune_space *space = h->input->space;
    size_t n = 0;
    for (size_t i = 0; i < space->n; i++) {
        if (!h->base || h->base[i] != config[i]) {
            const struct tune_param *p = &space->params[i];
            buf_printf(out, "%s%s=%s", n++ ? " " : "", prompt_line(h->arena, p->name, 80),
                       prompt_line(h->arena, p->texts[config[i]], 80));
        }
    }
    buf_puts(out, n ? "" : "(the base config itself)");
}

const char *tune_history_table(const struct tune_history *h)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < h->n_ran && i < TUNE_PROMPT_SHOWN; i++) {
        buf_printf(&out, "%-9.4g ", h->ran[i]->time);
        add_difference(h, h->ran[i]->config, &out);
        buf_puts(&out, "\n");
    }
    if (h->n_ran > TUNE_PROMPT_SHOWN) {
        const struct tuner_sample *last = h->ran[h->n_ran - 1];
        buf_printf(&out, "and the slowest:\n%-9.4g ", last->time);
        add_difference(h, last->config, &out);
        buf_puts(&out, "\n");
    }
    return settled(h, &out);
}

const char *tune_history_anchors(const struct tune_history *h)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < h->n_ran && i < 2; i++) {
        tune_prompt_config(h->input->space, h->ran[i]->config, &out);
        buf_puts(&out, "\n");
    }
    return settled(h, &out);
}

struct value_count {
    uint16_t rank;
    size_t n;
};

static int by_count(const void *a, const void *b)
{
    const struct value_count *x = a, *y = b;
    if (x->n != y->n) {
        return x->n < y->n ? 1 : -1;
    }
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* The values of tunable i in samples [from, to), most often first; `ret` is zeroed, with room for all. */
static size_t count_values(const struct tuner_sample *const *samples, size_t from, size_t to,
                           size_t i, struct value_count *ret)
{
    size_t n = 0;
    for (size_t k = from; k < to; k++) {
        size_t at = 0;
        while (at < n && ret[at].rank != samples[k]->config[i]) {
            at++;
        }
        n += at == n;
        ret[at].rank = samples[k]->config[i];
        ret[at].n++;
    }
    qsort(ret, n, sizeof(*ret), by_count);
    return n;
}

static void add_counts(const struct tune_history *h, size_t i, size_t from, size_t to,
                        struct buf *out)
{
    struct value_count *counts = xcalloc(to - from + 1, sizeof(*counts));
    size_t n = count_values(h->ran, from, to, i, counts);
    for (size_t k = 0; k < n && k < VALUES_SHOWN; k++) {
        const struct tune_param *p = &h->input->space->params[i];
        buf_printf(out, "%s%s: %zu", k ? ", " : "", prompt_line(h->arena, p->texts[counts[k].rank], 80),
                   counts[k].n);
    }
    buf_puts(out, n > VALUES_SHOWN ? ", ..." : "");
    free(counts);
}

const char *tune_history_patterns(const struct tune_history *h)
{
    const struct tune_space *space = h->input->space;
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    for (size_t i = 0; i < space->n; i++) {
        buf_printf(&out, "%s  %s", prompt_line(h->arena, space->params[i].name, 80), "fastest ");
        add_counts(h, i, 0, TUNE_PROMPT_TOP, &out);
        buf_puts(&out, "; rest ");
        add_counts(h, i, TUNE_PROMPT_TOP, h->n_ran, &out);
        buf_puts(&out, "\n");
    }
    return settled(h, &out);
}

/* Values that failed more often than they ran, in at least two configs. */
static void add_suspects(const struct tune_history *h, struct buf *out)
{
    const struct tune_space *space = h->input->space;
    for (size_t i = 0; i < space->n; i++) {
        const struct tune_param *p = &space->params[i];
        size_t *bad = xcalloc(2 * (size_t)p->n, sizeof(*bad)), *good = bad + p->n;
        for (size_t k = 0; k < h->n_failed; k++) {
            bad[h->failed[k]->config[i]]++;
        }
        for (size_t k = 0; k < h->n_ran; k++) {
            good[h->ran[k]->config[i]]++;
        }
        for (uint32_t v = 0; v < p->n; v++) {
            if (bad[v] > 1 && bad[v] > good[v]) {
                buf_printf(out, "%s=%s: %zu of %zu failed\n", prompt_line(h->arena, p->name, 80),
                           prompt_line(h->arena, p->texts[v], 80), bad[v], bad[v] + good[v]);
            }
        }
        free(bad);
    }
}

const char *tune_history_failures(const struct tune_history *h)
{
    auto_buf struct buf out;
    buf_init(&out, PROMPT_TEXT_MAX);
    buf_printf(&out, "%zu of %zu failed, the last of them:\n", h->n_failed, h->n_told);
    for (size_t i = 0; i < h->n_failed && i < FAILURES_SHOWN; i++) {
        const struct tune_prompt_input *in = h->input;
        const char *why = in->why ? in->why(in->why_ud, h->failed[i]->config) : "";
        add_difference(h, h->failed[i]->config, &out);
        buf_printf(&out, "%s%s\n", *why ? "  # " : "", prompt_line(h->arena, why, WHY_MAX));
    }
    add_suspects(h, &out);
    return settled(h, &out);
}
