/* SPDX-License-Identifier: MIT */
#include "agent/report_task.h"
#include "agent/diff.h"
#include "agent/report_tuning.h"
#include "base/jread.h"
#include "base/util.h"
#include "graph/choice.h"
#include "kernelbench/verdict.h"
#include "memory/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One attempt with all that the section shows of it. */
struct row {
    struct attempt_record record;
    bool judged; /* else there was nothing to judge, and no verdict */
    struct verdict verdict;
    const json_t *extra;
    struct choice *choice; /* NULL: the start, or it wasn't kept */
    const char *title;
};

struct section {
    struct store *store;
    struct arena *arena;
    struct buf *out;
    struct row *rows;
    size_t n;
    const struct row *start, *best;
    bool modelled; /* times come from a model: said wherever one stands */
};

static void fmt_time(double us, char *ret, size_t size)
{
    if (us >= 1000) {
        snprintf(ret, size, "%.4g ms", us / 1000);
    } else {
        snprintf(ret, size, "%.4g µs", us);
    }
}

static bool accepted(const struct row *row)
{
    return row->judged && row->verdict.status == VERDICT_STATUS_ACCEPTED;
}

/* What became of it: the verdict, or why there is none ("bad_reply"). */
static const char *status_text(const struct row *row)
{
    return row->judged ? verdict_status_name(row->verdict.status) : row->record.status;
}

static int load_verdict(struct section *s, struct row *row, struct err *err)
{
    row->judged = *row->record.verdict != '\0';
    if (!row->judged) {
        return 0;
    }
    const void *at;
    size_t len;
    int r = store_get(s->store, STORE_DB_VERDICTS, row->record.verdict, s->arena, &at, &len, err);
    if (r < 0) {
        return r == ERR_NOTFOUND ? err_set(err, r, "verdict %s is missing", row->record.verdict) : r;
    }
    json_t *json = NULL;
    r = jread_parse(at, len, &json, err);
    r = r < 0 ? r : verdict_parse(json, s->arena, &row->verdict, err);
    json_decref(json);
    return r < 0 ? err_wrap(err, "verdict %s", row->record.verdict) : 0;
}

/* A choice that can't be read only loses its explanation. */
static void load_choice(struct section *s, struct row *row)
{
    const void *at;
    size_t len;
    char *key = record_attempt_key(s->arena, row->record.campaign, row->record.task,
                                   row->record.seq);
    if (store_get(s->store, STORE_DB_CHOICES, key, s->arena, &at, &len, NULL) < 0) {
        return;
    }
    json_t *json = NULL;
    if (jread_parse(at, len, &json, NULL) == 0) {
        const json_t *choice = json_object_get(json, "choice");
        if (choice && choice_parse(choice, s->arena, &row->choice, NULL) < 0) {
            row->choice = NULL;
        }
        json_decref(json);
    }
}

static int load_rows(struct section *s, const char *campaign, const char *task, struct err *err)
{
    struct attempt_record *records;
    int r = record_list_attempts(s->store, campaign, task, s->arena, &records, &s->n, err);
    s->rows = r < 0 ? NULL : arena_alloc(s->arena, s->n + 1, sizeof(*s->rows));
    for (size_t i = 0; r == 0 && i < s->n; i++) {
        struct row *row = &s->rows[i];
        row->record = records[i];
        r = load_verdict(s, row, err);
        if (r < 0) {
            return err_wrap(err, "campaign %s: task %s: attempt %zu", campaign, task, i);
        }
        load_choice(s, row);
        s->modelled = s->modelled || row->record.modelled || row->verdict.modelled;
        json_t *extra = json_loads(records[i].extra, 0, NULL);
        row->extra = extra; /* freed with the section */
        const char *title = json_string_value(json_object_get(extra, "title"));
        row->title = title ? title : "";
        if (accepted(row) && (!s->best || row->verdict.time.median_us < s->best->verdict.time.median_us)) {
            s->best = row;
        }
    }
    s->start = s->n ? &s->rows[0] : NULL;
    return r;
}

static double row_us(const struct row *row)
{
    return accepted(row) && row->verdict.time.median_us > 0 ? row->verdict.time.median_us : (double)NAN;
}

static void tile(struct buf *out, const char *value, const char *what)
{
    buf_puts(out, "<div class=tile><b>");
    html_text(out, value);
    buf_puts(out, "</b><span>");
    html_text(out, what);
    buf_puts(out, "</span></div>");
}

static void tiles(struct section *s)
{
    char text[64];
    const struct verdict *v = &s->best->verdict;
    buf_puts(s->out, "<div class=tiles>");
    fmt_time(v->time.median_us, text, sizeof(text));
    tile(s->out, text, v->modelled ? "best, modelled time" : "best, median time");
    if (s->best == s->start) {
        tile(s->out, "1x", "the start is the best");
    } else if (v->speedup > 0) {
        snprintf(text, sizeof(text), "%.2fx", v->speedup);
        tile(s->out, text, "speedup over the baseline");
    }
    if (v->sol > 0) {
        snprintf(text, sizeof(text), "%.0f %%", 100 * v->sol);
        tile(s->out, text, arena_printf(s->arena, "of the speed of light (%s)", v->sol_bound));
    }
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        n += accepted(&s->rows[i]);
    }
    snprintf(text, sizeof(text), "%zu of %zu", n, s->n);
    tile(s->out, text, "attempts accepted");
    buf_puts(s->out, "</div>");
}

static void pictures(struct section *s)
{
    struct plot_point *points = arena_alloc(s->arena, s->n + 1, sizeof(*points));
    for (size_t i = 0; i < s->n; i++) {
        const struct row *row = &s->rows[i];
        char time[32];
        double us = row_us(row);
        fmt_time(row->verdict.time.median_us, time, sizeof(time));
        points[i] = (struct plot_point) {
            .us = us,
            .lane = row->record.direction,
            .control = row->record.control,
            .label = arena_printf(s->arena, "%zu: %s (%s) %s", i, row->title,
                                  row->record.strategy,
                                  us > 0 ? time : status_text(row)),
        };
    }
    buf_puts(s->out, "<h3>Speed</h3><figure>");
    plot_curve(s->out, points, s->n, row_us(s->start) > 0 ? row_us(s->start) : 0);
    buf_printf(s->out, "<figcaption>%s time of every attempt (left), speedup over the start (right). "
                       "The line is the best so far, crosses were rejected.</figcaption></figure>",
               s->modelled ? "Modelled" : "Measured");
    buf_puts(s->out, "<h3>Walk through the graph</h3><figure>");
    plot_walk(s->out, points, s->n);
    buf_puts(s->out, "<figcaption>The direction of every step, in order. Hollow dots are control steps "
                     "that ignored the memory.</figcaption></figure>");
}

static void attempts_table(struct section *s)
{
    buf_puts(s->out, "<h3>Attempts</h3><div class=scroll><table><tr><th>#<th>direction<th>strategy"
                     "<th>what<th class=n>time<th class=n>speedup<th class=n>SOL<th>verdict</tr>");
    for (size_t i = 0; i < s->n; i++) {
        const struct row *row = &s->rows[i];
        const struct verdict *v = &row->verdict;
        char time[32] = "";
        if (row_us(row) > 0) {
            fmt_time(v->time.median_us, time, sizeof(time));
        }
        buf_printf(s->out, "<tr%s><td>%zu<td>", row == s->best ? " class=win" : "", i);
        html_text(s->out, *row->record.direction ? row->record.direction : "start");
        buf_puts(s->out, "<td>");
        html_text(s->out, row->record.strategy);
        buf_puts(s->out, "<td>");
        html_text(s->out, row->title);
        json_int_t repairs = json_integer_value(json_object_get(row->extra, "repairs"));
        if (repairs) {
            buf_printf(s->out, " (mended %lld x)", (long long)repairs);
        }
        buf_printf(s->out, "<td class=n>%s<td class=n>", time);
        if (v->speedup > 0) {
            buf_printf(s->out, "%.2fx", v->speedup);
        }
        buf_puts(s->out, "<td class=n>");
        if (v->sol > 0) {
            buf_printf(s->out, "%.0f %%", 100 * v->sol);
        }
        buf_puts(s->out, "<td>");
        html_text(s->out, status_text(row));
        if (row->judged && v->status != VERDICT_STATUS_ACCEPTED) {
            buf_puts(s->out, "<details><summary>why</summary><pre>");
            html_text(s->out, v->detail);
            buf_puts(s->out, "</pre></details>");
        }
        const char *why = json_string_value(json_object_get(row->extra, "why"));
        if (!row->judged && why) {
            buf_puts(s->out, "<details><summary>why</summary><pre>");
            html_text(s->out, why);
            buf_puts(s->out, "</pre></details>");
        }
        buf_puts(s->out, "</tr>");
    }
    buf_puts(s->out, "</table></div>");
}

static void choices(struct section *s)
{
    buf_puts(s->out, "<details><summary>Why these directions</summary>");
    for (size_t i = 0; i < s->n; i++) {
        const struct choice *c = s->rows[i].choice;
        if (!c) {
            continue;
        }
        buf_printf(s->out, "<h3>Step %zu%s</h3><div class=scroll><table><tr><th>direction"
                           "<th class=n>after the walk<th class=n>by itself<th class=n>doubt"
                           "<th class=n>penalties<th class=n>score<th class=n>drawn with</tr>",
                   i, c->control ? " (control: memory ignored)" : "");
        for (size_t d = 0; d < c->n_directions; d++) {
            const struct choice_direction *x = &c->directions[d];
            if (!x->allowed) {
                continue;
            }
            buf_printf(s->out, "<tr%s><td>", d == c->picked ? " class=win" : "");
            html_text(s->out, x->id);
            buf_printf(s->out, "<td class=n>%.3f<td class=n>%.3f<td class=n>%.3f<td class=n>%.3f"
                               "<td class=n>%.3f<td class=n>%.0f %%</tr>",
                       x->transition, x->unary, x->explore,
                       -(x->failed + x->stale + x->exhausted + x->unfit), x->score,
                       100 * x->probability);
        }
        buf_puts(s->out, "</table></div>");
    }
    buf_puts(s->out, "</details>");
}

static void tuning(struct section *s)
{
    buf_puts(s->out, "<h3>Tuning</h3>");
    for (size_t i = 0; i < s->n; i++) {
        const struct row *row = &s->rows[i];
        report_tuning(s->out, json_object_get(row->extra, "tuning"), row->title, s->modelled);
    }
}

static int get_source(struct section *s, const struct row *row, struct candidate_record *ret,
                      struct err *err)
{
    int r = record_get_candidate(s->store, row->record.candidate, s->arena, ret, err);
    return r < 0 ? err_wrap(err, "campaign %s: task %s: attempt %lld", row->record.campaign,
                            row->record.task, (long long)row->record.seq)
                 : 0;
}

static int sources(struct section *s, struct err *err)
{
    struct candidate_record before, after;
    int r = get_source(s, s->start, &before, err);
    r = r < 0 ? r : get_source(s, s->best, &after, err);
    if (r < 0) {
        return r;
    }
    struct diff_line *lines;
    size_t n = diff_lines(before.source, after.source, s->arena, &lines);
    buf_puts(s->out, "<h3>Start and best</h3><pre class=diff>");
    for (size_t i = 0; i < n; i++) {
        const char *class = lines[i].kind == DIFF_ADD ? "a" : lines[i].kind == DIFF_REMOVE ? "d" : "k";
        buf_printf(s->out, "<span class=%s>%c ", class, (char)lines[i].kind);
        html_text(s->out, arena_strndup(s->arena, lines[i].text, lines[i].len));
        buf_puts(s->out, "</span>");
    }
    buf_puts(s->out, "</pre><details><summary>Plan of the best</summary><pre>");
    json_t *plan = json_loads(after.plan, 0, NULL);
    char *text = json_dumps(plan, JSON_INDENT(2) | JSON_SORT_KEYS);
    html_text(s->out, text ? text : after.plan);
    free(text);
    json_decref(plan);
    buf_puts(s->out, "</pre></details>");
    return 0;
}

static void fact(struct buf *out, const char *what, const char *text)
{
    if (text && *text) {
        buf_puts(out, "<tr><td class=soft>");
        html_text(out, what);
        buf_puts(out, "<td>");
        html_text(out, text);
        buf_puts(out, "</tr>");
    }
}

static void fact_if(struct buf *out, const char *name, const char *value)
{
    if (value && *value) {
        fact(out, name, value);
    }
}

static void proof(struct section *s)
{
    const struct verdict *v = &s->best->verdict;
    struct arena *a = s->arena;
    buf_puts(s->out, "<h3>Proof</h3><table>");
    fact(s->out, "verdict", arena_printf(a, "%s, gate version %d", verdict_status_name(v->status),
                                         v->gate_version));
    fact(s->out, "time", arena_printf(a, "median %.4g µs, 95 %% interval %.4g to %.4g µs, %zu samples%s",
                                      v->time.median_us, v->time.lo_us, v->time.hi_us, v->time.n,
                                      v->modelled ? ", modelled by the simulator, not measured" : ""));
    if (v->speedup > 0) {
        fact(s->out, "speedup", arena_printf(a, "%.3fx (%.3f to %.3f): %s", v->speedup,
                                             v->speedup_lo, v->speedup_hi, v->relation));
    }
    fact(s->out, "largest error", arena_printf(a, "%.3g", v->max_error));
    if (v->precision_limit > 0) {
        fact(s->out, "precision", arena_printf(a, "RMS error %.2g of the outputs' spread, %.2g allowed",
                                               v->precision_error, v->precision_limit));
    }
    fact_if(s->out, "degenerate task: would pass, too", v->degenerate);
    fact_if(s->out, "remarks", v->remarks);
    fact_if(s->out, "clocks held back by", v->throttle);
    fact_if(s->out, "shared", v->shared ? "another process was on the GPU while this was timed" : "");
    if (v->sanitizer.tool && *v->sanitizer.tool) {
        fact(s->out, "sanitizer", arena_printf(a, "%s: %lld findings", v->sanitizer.tool,
                                               (long long)v->sanitizer.errors));
    }
    fact(s->out, "resources", arena_printf(a, "%d registers, %d bytes spilled, occupancy %.0f %%",
                                           v->registers, v->spill_bytes, 100 * v->occupancy));
    fact(s->out, "bottleneck", bottleneck_name(v->bottleneck));
    fact(s->out, "device", v->device);
    fact(s->out, "architecture", v->arch);
    fact(s->out, "driver", v->driver);
    fact(s->out, "compiler", v->compiler);
    fact(s->out, "task", v->task);
    fact(s->out, "candidate", v->candidate);
    buf_puts(s->out, "</table>");
}

int report_task(struct store *store, const char *campaign, const char *task, struct buf *out,
                struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct section s = { .store = store, .arena = arena, .out = out };
    int r = load_rows(&s, campaign, task, err);
    if (r == 0 && s.n) {
        buf_puts(out, "<h2>");
        html_text(out, task);
        buf_puts(out, "</h2>");
        if (s.modelled) {
            buf_puts(out, "<p><span class=modelled>modelled</span> All times here come from the "
                          "simulator's model of the device. Nothing was measured.</p>");
        }
        if (s.best) {
            tiles(&s);
        } else {
            buf_puts(out, "<p>No attempt was accepted.</p>");
        }
        pictures(&s);
        attempts_table(&s);
        choices(&s);
        tuning(&s);
        r = s.best ? sources(&s, err) : 0;
        if (r == 0 && s.best) {
            proof(&s);
        }
    }
    for (size_t i = 0; s.rows && i < s.n; i++) {
        json_decref((json_t *)(uintptr_t)s.rows[i].extra);
    }
    return r;
}
