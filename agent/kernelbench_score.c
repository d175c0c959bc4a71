/* SPDX-License-Identifier: MIT */
/* kernelbench score: what the results of a run come to, by level and family, against each baseline. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/score.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_MAX = 1024, BASELINES_MAX = 8 };

/* One problem's results, and what tells groups apart. */
struct outcome {
    int level;
    const char *family;
    const json_t *baselines;
    bool degenerate, modelled;
    size_t n, correct;   /* candidates */
    double median_us;    /* of the fastest correct one; 0: none */
    const char *reason;  /* that the problem can't be judged, or its being degenerate */
};

struct results {
    json_t *documents; /* keeps what the outcomes point at */
    size_t n;
    struct outcome at[RESULTS_MAX];
    size_t n_baselines;
    const char *baselines[BASELINES_MAX];
};

static void read_candidates(const json_t *list, struct outcome *ret)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const json_t *verdict = json_object_get(one, "verdict");
        const char *status = json_string_value(json_object_get(verdict, "status"));
        const char *degenerate = json_string_value(json_object_get(verdict, "degenerate"));
        double us = json_number_value(json_object_get(json_object_get(verdict, "time"), "median_us"));
        ret->n++;
        if (degenerate && *degenerate) {
            ret->degenerate = true;
            ret->reason = degenerate;
        }
        if (status && str_eq(status, "accepted")) {
            ret->correct++;
            ret->median_us = us > 0 && (ret->median_us == 0 || us < ret->median_us) ? us : ret->median_us;
        }
    }
}

static void learn_baselines(struct results *r, const json_t *baselines)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)baselines, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < r->n_baselines; i++) {
            known = known || str_eq(r->baselines[i], name);
        }
        if (!known && r->n_baselines < BASELINES_MAX) {
            r->baselines[r->n_baselines++] = name;
        }
    }
}

static int read_one(struct results *r, const char *path, struct err *err)
{
    json_t *doc = NULL;
    int64_t level = 0, format;
    const char *family = NULL;
    int code = jread_file(path, &doc, err);
    if (code < 0) {
        return code;
    }
    json_array_append_new(r->documents, doc);
    code = jread_int(doc, "format", true, 1, 1, NULL, &format, err);
    code = code < 0 ? code : jread_int(doc, "level", true, 1, PROBLEM_LEVELS, NULL, &level, err);
    code = code < 0 ? code : jread_string(doc, "family", true, NULL, &family, err);
    if (code < 0) {
        err_wrap(err, "%s", path);
        return code;
    }
    struct outcome *o = &r->at[r->n++];
    *o = (struct outcome) { .level = (int)level, .family = family,
                            .baselines = json_object_get(doc, "baselines"),
                            .modelled = json_is_true(json_object_get(doc, "modelled")) };
    const char *unsupported = json_string_value(json_object_get(doc, "unsupported"));
    o->reason = unsupported ? unsupported : json_string_value(json_object_get(doc, "error"));
    read_candidates(json_object_get(doc, "candidates"), o);
    learn_baselines(r, o->baselines);
    return 0;
}

static int read_all(const char *out, struct results *r, struct err *err)
{
    auto_free char *folder = xprintf("%s/results", out);
    DIR *dir = opendir(folder);
    if (!dir) {
        return err_set(err, ERR_NOTFOUND, "%s: %s; --out is the folder that a run wrote", folder,
                       strerror(errno));
    }
    int code = 0;
    struct dirent *entry;
    r->documents = json_array();
    while (code == 0 && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && str_eq(dot, ".json") && str_prefix(entry->d_name, "level") && r->n < RESULTS_MAX) {
            auto_free char *path = xprintf("%s/%s", folder, entry->d_name);
            code = read_one(r, path, err);
        }
    }
    closedir(dir);
    return code;
}

static double baseline_us(const struct outcome *o, const char *baseline)
{
    const json_t *one = baseline ? json_object_get(o->baselines, baseline) : NULL;
    return json_number_value(json_object_get(one, "median_us"));
}

/* Those of a level (0: any) and family (NULL: any) that were attempted and aren't degenerate. */
static void score_group(const struct results *r, int level, const char *family, const char *baseline,
                        struct score *ret)
{
    struct score_item *items = xcalloc(r->n + 1, sizeof(*items));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct outcome *o = &r->at[i];
        if (o->n == 0 || o->degenerate || (level && o->level != level)
            || (family && !str_eq(o->family, family))) {
            continue;
        }
        double base = o->modelled ? 0 : baseline_us(o, baseline);
        items[n++] = (struct score_item) {
            .correct = o->correct > 0,
            .speedup = o->median_us > 0 && base > 0 ? base / o->median_us : 0,
            .pass = (double)o->correct / (double)o->n,
        };
    }
    score_of(items, n, ret);
    free(items);
}

static json_t *score_json(const struct score *s, bool timed)
{
    json_t *json = json_pack("{s:I,s:I,s:f}", "problems", (json_int_t)s->n, "correct",
                             (json_int_t)s->correct, "pass_at_1", s->pass);
    json_t *fast = json_object();
    for (size_t p = 0; p < (timed ? SCORE_POINTS : 1); p++) {
        char name[16];
        snprintf(name, sizeof(name), "%g", score_points[p]);
        json_object_set_new(fast, name, json_real(s->fast[p]));
    }
    json_object_set_new(json, "fast_p", fast);
    if (timed) {
        json_object_update_new(json, json_pack("{s:I,s:f,s:f}", "timed", (json_int_t)s->timed,
                                               "geomean_correct", s->geomean, "geomean_all",
                                               s->geomean_all));
    }
    return json;
}

static void print_row(const char *name, const struct score *s, bool timed)
{
    printf("%-18s %4zu %8zu", name, s->n, s->correct);
    for (size_t p = 0; timed && p < SCORE_POINTS; p++) {
        printf(" %7.3f", s->fast[p]);
    }
    if (timed) {
        printf(" %8.3f %8.3f", s->geomean, s->geomean_all);
    }
    printf("\n");
}

static void print_head(const char *baseline, bool timed)
{
    printf("%s%s\n%-18s %4s %8s", timed ? "against PyTorch " : "correctness alone: no baseline was measured",
           timed ? baseline : "", "", "n", "correct");
    for (size_t p = 0; timed && p < SCORE_POINTS; p++) {
        printf("  fast_%-3g", score_points[p]);
    }
    printf("%s\n", timed ? "  geomean   of all" : "");
}

/* Names of the families there, sorted. */
static size_t families_of(const struct results *r, const char *ret[RESULTS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        size_t k = 0;
        while (k < n && !str_eq(ret[k], r->at[i].family)) {
            k++;
        }
        if (k == n) {
            ret[n++] = r->at[i].family;
        }
    }
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i; k > 0 && strcmp(ret[k - 1], ret[k]) > 0; k--) {
            const char *swap = ret[k];
            ret[k] = ret[k - 1];
            ret[k - 1] = swap;
        }
    }
    return n;
}

/* Everything against one baseline (NULL: correctness alone). */
static json_t *score_against(const struct results *r, const char *baseline, bool print)
{
    struct score s;
    bool timed = baseline != NULL;
    json_t *levels = json_object(), *groups = json_object();
    if (print) {
        print_head(baseline, timed);
    }
    for (int level = 1; level < PROBLEM_LEVELS; level++) {
        char name[16];
        snprintf(name, sizeof(name), "level %d", level);
        score_group(r, level, NULL, baseline, &s);
        if (s.n && print) {
            print_row(name, &s, timed);
        }
        if (s.n) {
            json_object_set_new(levels, name + 6, score_json(&s, timed));
        }
    }
    const char *families[RESULTS_MAX];
    size_t n = families_of(r, families);
    for (size_t i = 0; i < n; i++) {
        score_group(r, 0, families[i], baseline, &s);
        if (s.n && print) {
            print_row(families[i], &s, timed);
        }
        if (s.n) {
            json_object_set_new(groups, families[i], score_json(&s, timed));
        }
    }
    score_group(r, 0, NULL, baseline, &s);
    if (print) {
        print_row("all", &s, timed);
        printf("\n");
    }
    return json_pack("{s:o,s:o,s:o}", "all", score_json(&s, timed), "levels", levels, "families", groups);
}

static int tell(const struct results *r, const struct options *o, struct err *err)
{
    bool print = !(o->json && str_eq(o->json, "-"));
    size_t degenerate = 0, unsupported = 0, without = 0;
    bool modelled = false;
    json_t *against = json_object();
    for (size_t i = 0; i < r->n; i++) {
        degenerate += r->at[i].degenerate;
        unsupported += !r->at[i].degenerate && r->at[i].reason;
        without += r->at[i].n == 0 && !r->at[i].reason;
        modelled = modelled || r->at[i].modelled;
    }
    for (size_t i = 0; i < r->n_baselines; i++) {
        json_object_set_new(against, r->baselines[i], score_against(r, r->baselines[i], print));
    }
    json_t *plain = score_against(r, NULL, print && r->n_baselines == 0);
    if (print) {
        printf("%zu problems: %zu without a candidate, %zu that can't be judged, %zu degenerate (left out)%s\n",
               r->n, without, unsupported, degenerate,
               modelled ? "; times are modelled, so no speedup over PyTorch is given" : "");
    }
    json_t *all = json_pack("{s:I,s:I,s:I,s:I,s:b,s:o,s:o}", "problems", (json_int_t)r->n, "without",
                            (json_int_t)without, "unsupported", (json_int_t)unsupported, "degenerate",
                            (json_int_t)degenerate, "modelled", modelled, "correctness", plain, "against",
                            against);
    if (o->json) {
        return output_json(o->json, all, err);
    }
    json_decref(all);
    return 0;
}

int kernelbench_score(const struct options *o)
{
    struct err err = { 0 };
    struct results *results = xcalloc(1, sizeof(*results));
    int r = o->out ? read_all(o->out, results, &err)
                   : err_set(&err, ERR_INVALID, "--out DIR is missing: the folder that a run wrote");
    r = r < 0 ? r : tell(results, o, &err);
    json_decref(results->documents);
    free(results);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
