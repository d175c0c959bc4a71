/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_upstream.h"
#include "base/file.h"
#include "base/jread.h"
#include "base/util.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What PyTorch's times are called in upstream's results/timing. */
static const struct {
    const char *baseline, *file;
} files[] = {
    { "eager", "baseline_time_torch" },
    { "eager_tf32", "baseline_time_torch_tf32" }, /* ours: upstream has no name for it */
    { "compile", "baseline_time_torch_compile_inductor_default" },
    { "max_autotune", "baseline_time_torch_compile_inductor_max-autotune" },
};

char *upstream_folder(const struct results *results, const char *out, const char *to, int level)
{
    auto_free char *copy = xstrdup(out);
    size_t n = strlen(copy);
    while (n > 1 && copy[n - 1] == '/') {
        copy[--n] = '\0';
    }
    const char *last = strrchr(copy, '/'), *name = last && last[1] ? last + 1 : copy;
    bool several = false;
    for (size_t i = 0; i < results->n; i++) {
        several = several || results->at[i].level != results->at[0].level;
    }
    return several ? xprintf("%s/runs/%s_level%d", to, name, level) : xprintf("%s/runs/%s", to, name);
}

/* {mean, std, min, max, num_trials, hardware, device} of microseconds; what isn't known is left out. */
static json_t *stats_json(double mean, double std, double least, double most, json_int_t n, const char *hardware)
{
    json_t *json = json_pack("{s:f,s:s,s:s}", "mean", mean / 1e3, "hardware", hardware, "device", "cuda:0");
    if (n > 0) {
        json_object_set_new(json, "num_trials", json_integer(n));
    }
    if (most > 0) {
        json_object_update_new(json, json_pack("{s:f,s:f,s:f}", "std", std / 1e3, "min", least / 1e3, "max",
                                               most / 1e3));
    }
    return json;
}

/* Upstream has a mean: of the strict verdict's samples, where it has them. */
static json_t *strict_stats(const json_t *time, const char *hardware)
{
    double sum = 0, squares = 0, least = INFINITY, most = 0;
    size_t n = 0, i;
    json_t *sample;
    json_array_foreach(json_object_get(time, "samples_us"), i, sample)
    {
        double us = json_number_value(sample);
        if (us > 0 && us < 1e15) { /* as result_number has it */
            n++;
            sum += us;
            squares += us * us;
            least = fmin(least, us);
            most = fmax(most, us);
        }
    }
    if (n == 0) {
        return stats_json(result_number(time, "median_us"), 0, 0, 0, 0, hardware);
    }
    double mean = sum / (double)n;
    return stats_json(mean, sqrt(fmax(0, squares / (double)n - mean * mean)), least, most, (json_int_t)n, hardware);
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

static bool compiled(const char *status)
{
    return *status && !str_eq(status, "compile_error") && !str_eq(status, "plan_error") && !str_eq(status, "error")
        && !str_eq(status, "unsupported");
}

/* One sample as eval_from_generations.py writes it. */
static json_t *sample_json(const struct result *of, const json_t *one, size_t sample, const char *hardware)
{
    const json_t *kb = json_object_get(one, "kb"), *verdict = json_object_get(one, "verdict");
    kb = str_eq(text_of(kb, "status"), "error") && verdict ? NULL : kb; /* the machine failed, not the candidate */
    enum rule rule = kb ? RULE_KB : RULE_STRICT;
    const json_t *by = kb ? kb : verdict;
    bool correct = result_correct(one, rule);
    const char *status = text_of(by, "status"), *detail = text_of(by, "detail");
    const char *error = text_of(one, "error");
    json_t *about = json_pack("{s:s,s:s,s:s}", "hardware", hardware, "device", "cuda:0", "judged_by",
                              kb ? "Warpsmith, KernelBench's own rules" : "Warpsmith, strict rules");
    if (*text_of(kb, "trials")) {
        auto_free char *trials = xprintf("(%s)", text_of(kb, "trials"));
        json_object_set_new(about, "correctness_trials", json_string(trials));
    }
    if (!correct) {
        const char *key = !compiled(status) ? "compilation_error" : str_eq(status, "incorrect") ? "correctness_issue"
                                                                                               : "runtime_error";
        const char *why = *error ? error : *detail ? detail : status;
        json_object_set_new(about, key, json_text(why, strlen(why)));
    }
    if (json_is_true(json_object_get(kb, "excessive_speedup"))) {
        json_object_set_new(about, "excessive_speedup", json_true());
    }
    json_t *stats = json_object();
    if (correct && !of->modelled && result_us(one, rule) > 0) {
        json_decref(stats);
        stats = kb ? stats_json(result_number(kb, "mean_us"), result_number(kb, "std_us"), result_number(kb, "min_us"),
                                result_number(kb, "max_us"), (json_int_t)result_number(kb, "n"), hardware)
                   : strict_stats(json_object_get(verdict, "time"), hardware);
    }
    json_t *mean = json_object_get(stats, "mean");
    return json_pack("{s:I,s:b,s:b,s:o,s:f,s:o}", "sample_id", (json_int_t)sample, "compiled",
                     correct || compiled(status), "correctness", correct, "metadata", about, "runtime",
                     mean ? json_number_value(mean) : -1.0, "runtime_stats", stats);
}

static int write_json(const char *path, json_t *json, struct err *err)
{
    auto_free char *text = json_dumps(json, JSON_INDENT(4) | JSON_REAL_PRECISION(9));
    json_decref(json);
    require(text != NULL);
    return file_write(path, text, strlen(text), err);
}

static json_t *samples_json(const struct result *of, bool all, const char *hardware)
{
    size_t best = result_winner(of), i;
    json_t *one, *samples = json_array();
    best = best == SIZE_MAX ? 0 : best;
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        if (all || i == best) {
            json_array_append_new(samples, sample_json(of, one, all ? i : 0, hardware));
        }
    }
    return samples;
}

static int write_level(const struct results *r, const char *out, const char *to, int level, bool every,
                       struct err *err)
{
    json_t *all = json_object();
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i];
        char id[24];
        snprintf(id, sizeof(id), "%d", of->id);
        if (of->level == level && json_array_size(of->candidates)) {
            json_object_set_new(all, id, samples_json(of, every, r->device));
        }
    }
    if (json_object_size(all) == 0) {
        json_decref(all);
        return 0;
    }
    auto_free char *folder = upstream_folder(r, out, to, level);
    auto_free char *path = xprintf("%s/eval_results.json", folder);
    int code = folder_make(folder, err);
    if (code < 0) {
        json_decref(all);
        return code;
    }
    return write_json(path, all, err);
}

int upstream_results(const struct results *results, const char *out, const char *to, bool all, struct err *err)
{
    int r = 0;
    for (int level = 1; r == 0 && level <= 4; level++) {
        r = write_level(results, out, to, level, all, err);
    }
    return r;
}

/* KernelBench's own way of timing where a kb run measured it, else the run's median. */
static json_t *baseline_json(const struct result *of, const char *baseline, const char *hardware)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        const json_t *kb = json_object_get(one, "kb");
        if (str_eq(text_of(kb, "baseline"), baseline) && result_number(kb, "baseline_mean_us") > 0) {
            return stats_json(result_number(kb, "baseline_mean_us"), result_number(kb, "baseline_std_us"),
                              result_number(kb, "baseline_min_us"), result_number(kb, "baseline_max_us"),
                              (json_int_t)result_number(kb, "baseline_n"), hardware);
        }
    }
    const json_t *times = json_object_get(json_object_get(of->doc, "baselines"), baseline);
    bool has_mean = result_number(times, "mean_us") > 0;
    if (result_number(times, "median_us") <= 0) {
        return NULL;
    }
    json_t *json = stats_json(result_number(times, has_mean ? "mean_us" : "median_us"), result_number(times, "std_us"),
                              result_number(times, "min_us"), result_number(times, "max_us"),
                              (json_int_t)result_number(times, "n"), hardware);
    auto_free char *note = xprintf("%s%s", has_mean ? "" : "mean is a median here; ",
                                   str_eq(baseline, "eager") ? "TF32 is off for convolutions, too, unlike PyTorch's default"
                                                             : "TF32 is on");
    json_object_set_new(json, "note", json_string(note));
    return json;
}

static int write_baseline(const struct results *r, const char *folder, size_t which, struct err *err)
{
    json_t *levels = json_pack("{s:{},s:{},s:{}}", "level1", "level2", "level3");
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i];
        json_t *times = of->modelled ? NULL : baseline_json(of, files[which].baseline, r->device);
        if (times) {
            auto_free char *level = xprintf("level%d", of->level);
            auto_free char *file = xprintf("%s.py", of->name);
            n += json_object_set_new(json_object_get(levels, level), file, times) == 0;
        }
    }
    if (n == 0) {
        json_decref(levels);
        return 0;
    }
    auto_free char *path = xprintf("%s/%s.json", folder, files[which].file);
    int code = folder_make(folder, err);
    if (code < 0) {
        json_decref(levels);
        return code;
    }
    return write_json(path, levels, err);
}

int upstream_baselines(const struct results *results, const char *to, struct err *err)
{
    auto_free char *folder = xprintf("%s/results/timing/%s", to, *results->device ? results->device : "unknown");
    int r = 0;
    for (char *at = folder + strlen(to) + strlen("/results/timing/"); *at; at++) {
        *at = isalnum((unsigned char)*at) || *at == '-' || *at == '.' ? *at : '_';
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
        r = write_baseline(results, folder, i, err);
    }
    return r;
}
