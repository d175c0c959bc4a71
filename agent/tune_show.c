/* SPDX-License-Identifier: MIT */
#include "agent/tune_show.h"
#include "agent/tune/recorded.h"
#include "agent/tune_page.h"
#include "base/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SHOWN = 10 };

double tune_show_busy(const struct tuning_result *r)
{
    return r->wall_s > 0 ? MIN(r->device_s / r->wall_s, 1) : 0;
}

static int by_time(const void *a, const void *b)
{
    const struct tuning_sample *x = *(const struct tuning_sample *const *)a;
    const struct tuning_sample *y = *(const struct tuning_sample *const *)b;
    return (x->time_us > y->time_us) - (x->time_us < y->time_us);
}

static bool ran(const struct tuning_sample *s)
{
    return str_eq(s->status, "accepted") && s->time_us > 0;
}

/* {"BLOCK":256,"VEC":4} as BLOCK=256 VEC=4. */
static void print_config(FILE *out, const char *config)
{
    json_t *json = json_loads(config, 0, NULL), *value;
    const char *name;
    json_object_foreach(json, name, value) {
        fprintf(out, " %s=%lld", name, (long long)json_integer_value(value));
    }
    json_decref(json);
}

static void print_ranking(FILE *out, const struct tuning_result *r)
{
    const struct tuning_sample **all = xcalloc(r->n + 1, sizeof(const struct tuning_sample *));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (ran(&r->samples[i]) && (int64_t)i != r->best_sample) {
            all[n++] = &r->samples[i];
        }
    }
    qsort(all, n, sizeof(const struct tuning_sample *), by_time);
    const struct tuning_sample *best = r->best_sample >= 0 ? &r->samples[r->best_sample] : NULL;
    for (size_t i = 0; best && i <= MIN(n, (size_t)SHOWN - 1); i++) {
        const struct tuning_sample *s = i == 0 ? best : all[i - 1];
        fprintf(out, "%10.4g us  %5.3fx %s", s->time_us, s->time_us / best->time_us,
                s == best ? "*best*" : "      ");
        print_config(out, s->config);
        fprintf(out, "%s\n", s->known ? "  (known)" : "");
    }
    free(all);
}

static void print_finals(FILE *out, const struct tuning_result *r)
{
    for (size_t i = 0; i < r->n_finals; i++) {
        const struct tuning_final *f = &r->finals[i];
        fprintf(out, "%s%s%s", i == 0 ? "finalists in pairs with the best until then: " : ", ",
                f->relation, "");
        if (f->speedup > 0) {
            fprintf(out, " %.3fx", f->speedup);
        }
    }
    fputs(r->n_finals ? "\n" : "", out);
}

/* "12 incorrect, 3 timeout", with one example of what went wrong. */
static void print_failures(FILE *out, const struct tuning_result *r)
{
    static const char *const names[] = {
#define X(name, text) text,
        VERDICT_STATUS_LIST(X)
#undef X
    };
    size_t count[ARRAY_LEN(names)] = { 0 };
    const struct tuning_sample *example[ARRAY_LEN(names)] = { NULL };
    for (size_t i = 0; i < r->n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            if (str_eq(r->samples[i].status, names[k])) {
                count[k]++;
                example[k] = example[k] ? example[k] : &r->samples[i];
            }
        }
    }
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        if (count[k] == 0 || k == VERDICT_STATUS_ACCEPTED) {
            continue;
        }
        fprintf(out, "%zu %s", count[k],
                k == VERDICT_STATUS_SLOW ? "cut short, far slower than the best" : names[k]);
        if (k != VERDICT_STATUS_SLOW) {
            fputs(", such as", out);
            print_config(out, example[k]->config);
            fprintf(out, ": %.*s", (int)strcspn(example[k]->detail, "\n"), example[k]->detail);
        }
        fputc('\n', out);
    }
}

void tune_show(FILE *out, const struct tune_about *about, const struct tuning_result *r)
{
    size_t known = 0;
    for (size_t i = 0; i < r->n; i++) {
        known += r->samples[i].known;
    }
    fprintf(out, "%s %s on %s: %zu configs of %s%.6g by %s%s\n", about->task->name,
            about->candidate->name, about->device->name, r->n,
            r->space && r->space->count == TUNE_COUNT_ESTIMATE ? "about " : "",
            r->space ? r->space->n_allowed : 0, r->algorithm,
            about->device->modelled ? " (times are modelled, not measured)" : "");
    print_ranking(out, r);
    print_failures(out, r);
    print_finals(out, r);
    if (known) {
        fprintf(out, "%zu were known from earlier tunings\n", known);
    }
    if (r->earlier) {
        fprintf(out, "%zu earlier tuning%s of the family said what to try first\n", r->earlier,
                r->earlier == 1 ? "" : "s");
    }
    if (r->confirmed || r->retimed) {
        fprintf(out, "%zu jumps judged again, %zu near the best timed again beside it\n", r->confirmed,
                r->retimed);
    }
    if (*r->note) {
        fprintf(out, "note: %s\n", r->note);
    }
    if (r->best_sample < 0) {
        fputs("no config passed\n", out);
    }
    fprintf(out, "%.1f s, the device busy with timing and checks %.0f %% of them; %.1f s compiling, in "
            "parallel\n", r->wall_s, 100 * tune_show_busy(r), r->compile_s);
}

static json_t *sample_json(const struct tuning_sample *s)
{
    json_t *json = json_pack("{s:s, s:b}", "status", s->status, "known", s->known);
    json_object_set_new(json, "config", json_loads(s->config, 0, NULL));
    if (s->time_us > 0) {
        json_object_set_new(json, "us", json_real(s->time_us));
    }
    if (*s->detail) {
        json_object_set_new(json, "detail", json_string(s->detail));
    }
    return json;
}

json_t *tune_show_json(const struct tune_about *about, const struct tuning_result *r)
{
    json_t *samples = json_array(), *curve = json_array(), *finals = json_array();
    double best = (double)INFINITY;
    for (size_t i = 0; i < r->n; i++) {
        const struct tuning_sample *s = &r->samples[i];
        best = ran(s) && s->time_us < best ? s->time_us : best;
        json_array_append_new(curve, isfinite(best) ? json_real(best) : json_null());
        json_array_append_new(samples, sample_json(s));
    }
    for (size_t i = 0; i < r->n_finals; i++) {
        const struct tuning_final *f = &r->finals[i];
        json_t *one = sample_json(&r->samples[f->sample]);
        json_object_set_new(one, "speedup", json_real(f->speedup));
        json_object_set_new(one, "relation", json_string(f->relation));
        json_array_append_new(finals, one);
    }
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:b, s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:s, s:o, s:o, s:[o]}", "task",
        about->task->name, "candidate", about->candidate->name, "device", about->device->name,
        "modelled", about->device->modelled, "algorithm", r->algorithm, "evals", (json_int_t)r->n,
        "seed", (json_int_t)about->seed, "wall_s", r->wall_s, "device_s", r->device_s,
        "device_busy", tune_show_busy(r), "compile_s", r->compile_s, "note", r->note, "samples",
        samples, "finals", finals, "curves", curve);
    json_object_set_new(json, "best", r->best_sample < 0 ? json_null()
                                                         : sample_json(&r->samples[r->best_sample]));
    return json;
}

int tune_show_page(const struct tune_about *about, const struct tuning_result *r, const char *folder,
                   struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    uint16_t *configs = arena_alloc(arena, r->n * r->space->n + 1, sizeof(*configs));
    double *us = arena_alloc(arena, r->n + 1, sizeof(*us));
    size_t failed = 0;
    for (size_t i = 0; i < r->n; i++) {
        memcpy(configs + i * r->space->n, r->samples[i].ranks, r->space->n * sizeof(*configs));
        us[i] = r->samples[i].time_us;
        failed += !(us[i] > 0);
    }
    const struct tune_page_fact facts[] = {
        { "algorithm", r->algorithm },
        { "configs", arena_printf(arena, "%zu of %.6g, %zu failed", r->n, r->space->n_allowed, failed) },
        { "time", arena_printf(arena, "%.1f s, the device busy with timing and checks %.0f %% of them",
                               r->wall_s, 100 * tune_show_busy(r)) },
        { "best", r->best_sample < 0 ? "none" : r->samples[r->best_sample].config },
        { "driver", about->device->ceilings.driver },
    };
    const struct tune_page page = {
        .title = arena_printf(arena, "%s: %s", about->task->name, about->candidate->name),
        .device = about->device->name, .note = r->note, .modelled = about->device->modelled,
        .facts = facts, .n_facts = ARRAY_LEN(facts),
        .shown = { .space = r->space, .configs = configs, .us = us, .n = r->n },
    };
    auto_free char *path = xprintf("%s/report.html", folder);
    return tune_page_write(path, &page, err);
}

static enum recorded_status t4_status(const char *status)
{
    return str_eq(status, "accepted") || str_eq(status, "slow")     ? RECORDED_CORRECT
        : str_eq(status, "timeout")                                 ? RECORDED_TIMEOUT
        : str_eq(status, "incorrect") || str_eq(status, "suspect")  ? RECORDED_CORRECTNESS
        : str_eq(status, "launch_error") || str_eq(status, "crash") ? RECORDED_RUNTIME
                                                                    : RECORDED_COMPILE;
}

int tune_show_t4(const struct tune_about *about, const struct tuning_result *r, const char *path,
                 struct err *err)
{
    auto_arena struct arena *arena = arena_new();
    struct recorded_entry *entries = arena_alloc(arena, r->n + 1, sizeof(*entries));
    for (size_t i = 0; i < r->n; i++) {
        const struct tuning_sample *s = &r->samples[i];
        double *single = arena_alloc(arena, s->n_times + 1, sizeof(*single));
        size_t n = 0;
        for (size_t k = 0; k < s->n_times; k++) {
            single[n] = s->times_us[k] / 1e3;
            n += s->times_us[k] > 0;
        }
        entries[i] = (struct recorded_entry) { .config = s->ranks, .status = t4_status(s->status),
                                               .time_ms = s->time_us / 1e3, .n_single = n,
                                               .single_ms = single,
                                               .compile_ms = s->compile_s * 1e3 };
    }
    char date[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&now, &tm));
    const struct recorded_about meta = { .kernel = about->candidate->name, .task = about->task->name,
                                         .shape = about->task->shapes[0].name,
                                         .device = about->device->name,
                                         .driver = about->device->ceilings.driver, .date = date };
    return recorded_write_t4(path, r->space, &meta, entries, r->n, err);
}
