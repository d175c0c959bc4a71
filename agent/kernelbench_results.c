/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_results.h"
#include "base/jread.h"
#include "base/util.h"
#include "kernelbench/problem.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *rule_name(enum rule rule)
{
    static const char *const names[] = { "strict", "kb", "verified" };
    return names[rule];
}

/* The object that the rule left in a candidate; strict's is its verdict. */
static const json_t *judged_by(const json_t *candidate, enum rule rule)
{
    return json_object_get(candidate, rule == RULE_STRICT ? "verdict" : rule_name(rule));
}

double result_number(const json_t *json, const char *key)
{
    double value = json_number_value(json_object_get(json, key));
    return value > 1e-9 && value < 1e15 ? value : 0;
}

bool result_judged(const json_t *candidate, enum rule rule)
{
    /* A candidate that couldn't even be read has an error and nothing else: under every rule a failure. What a
     * protocol leaves out isn't judged by it. */
    const json_t *by = judged_by(candidate, rule);
    return by ? !json_is_true(json_object_get(by, "left_out")) : json_object_get(candidate, "error") != NULL;
}

bool result_correct(const json_t *candidate, enum rule rule)
{
    const char *status = json_string_value(json_object_get(judged_by(candidate, rule), "status"));
    return status && str_eq(status, rule == RULE_STRICT ? "accepted" : "correct");
}

double result_us(const json_t *candidate, enum rule rule)
{
    const json_t *by = judged_by(candidate, rule);
    return rule == RULE_STRICT ? result_number(json_object_get(by, "time"), "median_us")
                               : result_number(by, "mean_us");
}

size_t result_best(const struct result *result, enum rule rule)
{
    size_t best = SIZE_MAX, i;
    double best_us = 0;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)result->candidates, i, one)
    {
        double us = result_us(one, rule);
        if (result_correct(one, rule) && (best == SIZE_MAX || (us > 0 && (best_us == 0 || us < best_us)))) {
            best = i;
            best_us = us;
        }
    }
    return best;
}

size_t result_winner(const struct result *of)
{
    size_t best = SIZE_MAX;
    for (int rule = 0; rule < RULE_COUNT && best == SIZE_MAX; rule++) {
        best = result_best(of, (enum rule)rule);
    }
    return best;
}

/* The time that a rule's own runs of this baseline took; 0: it has none. */
static double own_baseline_us(const struct result *of, enum rule rule, const char *baseline)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        const json_t *by = rule == RULE_STRICT ? NULL : judged_by(one, rule);
        const char *name = json_string_value(json_object_get(by, "baseline"));
        double us = result_number(by, "baseline_mean_us");
        if (name && us > 0 && str_eq(name, baseline)) {
            return us;
        }
    }
    return 0;
}

double result_baseline_us(const struct result *of, enum rule rule, const char *baseline)
{
    double us = own_baseline_us(of, rule, baseline);
    if (us <= 0) {
        us = result_number(json_object_get(json_object_get(of->doc, "baselines"), baseline), "median_us");
    }
    for (int other = 0; us <= 0 && other < RULE_COUNT; other++) {
        us = own_baseline_us(of, (enum rule)other, baseline);
    }
    return us;
}

bool result_timed(const struct result *of)
{
    size_t i;
    json_t *one, *times;
    const char *name;
    bool any = false;
    json_object_foreach(json_object_get(of->doc, "baselines"), name, times)
    {
        (void)name;
        any = any || result_number(times, "median_us") > 0;
    }
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        for (int rule = 0; rule < RULE_COUNT; rule++) {
            any = any || result_number(judged_by(one, (enum rule)rule), "baseline_mean_us") > 0;
        }
    }
    return any;
}

/* Names are words: they stand in tables and pictures as they are. */
static void learn_baseline(struct results *r, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len) {
        return;
    }
    for (size_t i = 0; i < r->n_baselines; i++) {
        if (str_eq(r->baselines[i], name)) {
            return;
        }
    }
    if (r->n_baselines < RESULTS_BASELINES_MAX) {
        r->baselines[r->n_baselines++] = name;
    }
}

static void learn_candidates(struct results *r, struct result *of)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        const char *degenerate = json_string_value(json_object_get(json_object_get(one, "verdict"), "degenerate"));
        of->degenerate = degenerate && *degenerate ? degenerate : of->degenerate;
        for (int rule = 0; rule < RULE_COUNT; rule++) {
            const json_t *by = judged_by(one, (enum rule)rule);
            const char *baseline = json_string_value(json_object_get(by, "baseline"));
            r->rules[rule] = r->rules[rule] || by;
            if (rule != RULE_STRICT && baseline && result_number(by, "baseline_mean_us") > 0) {
                learn_baseline(r, baseline);
            }
        }
    }
}

static void learn(struct results *r, struct result *of)
{
    const char *name;
    json_t *times;
    const char *unsupported = json_string_value(json_object_get(of->doc, "unsupported"));
    const char *error = json_string_value(json_object_get(of->doc, "error"));
    bool none = json_array_size(of->candidates) == 0;
    bool open = json_object_get(of->doc, "without") || json_object_get(of->doc, "waiting");
    /* A campaign that ended before it had a candidate was asked, and failed: nothing is wrong with the problem. */
    bool asked = none && !open && json_object_get(of->doc, "campaign") && (!error || json_object_get(of->doc, "ended"));
    of->reason = unsupported ? unsupported : asked ? NULL : error;
    of->attempted = !of->reason && (!none || asked);
    of->modelled = json_is_true(json_object_get(of->doc, "modelled"));
    r->modelled = r->modelled || of->modelled;
    json_object_foreach(json_object_get(of->doc, "baselines"), name, times)
    {
        if (result_number(times, "median_us") > 0) {
            learn_baseline(r, name);
        }
    }
    learn_candidates(r, of);
}

static int add(struct results *r, json_t *doc, struct err *err)
{
    int64_t level = 0, id = 0, format;
    const char *family = NULL, *name = NULL;
    const json_t *candidates = NULL;
    if (r->n == RESULTS_MAX) {
        return err_set(err, ERR_TOOBIG, "there are more than %d results", RESULTS_MAX);
    }
    int code = jread_int(doc, "format", true, 1, 1, NULL, &format, err);
    json_array_append(r->documents, doc);
    code = code < 0 ? code : jread_int(doc, "level", true, 1, PROBLEM_LEVELS, NULL, &level, err);
    code = code < 0 ? code : jread_int(doc, "id", true, 0, 1000000, NULL, &id, err);
    code = code < 0 ? code : jread_string(doc, "name", true, NULL, &name, err);
    code = code < 0 ? code : jread_string(doc, "family", true, NULL, &family, err);
    code = code < 0 ? code : jread_array(doc, "candidates", false, SIZE_MAX, NULL, &candidates, err);
    if (code == 0) {
        r->at[r->n++] = (struct result) { .level = (int)level, .id = (int)id, .name = name, .family = family,
                                          .doc = doc, .candidates = candidates };
    }
    return code;
}

int result_load(const char *path, json_t **ret, struct err *err)
{
    return jread_file_most(path, RESULT_BYTES_MAX, ret, err);
}

static int read_one(struct results *r, const char *path, struct err *err)
{
    json_t *doc = NULL;
    int code = result_load(path, &doc, err);
    if (code == 0) {
        code = add(r, doc, err);
        json_decref(doc);
        if (code < 0) {
            err_wrap(err, "%s", path);
        }
    }
    return code;
}

/* Documents of FOLDER that a run or a check left, each given to `read`. */
static int read_folder(struct results *r, const char *folder,
                       int (*read)(struct results *, const char *, struct err *), struct err *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int code = 0;
    if (!dir) {
        return err_set(err, ERR_NOTFOUND, "%s: %s; expected is the folder that a %s wrote", folder, strerror(errno),
                       read == read_one ? "run" : "check");
    }
    while (code == 0 && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && str_eq(dot, ".json") && str_prefix(entry->d_name, "level")) {
            auto_free char *path = xprintf("%s/%s", folder, entry->d_name);
            code = read(r, path, err);
        }
    }
    closedir(dir);
    return code;
}

/* One finding of a check: it names what it found of a problem that the run has. */
static int read_finding(struct results *r, const char *path, struct err *err)
{
    json_t *doc = NULL;
    int code = jread_file(path, &doc, err);
    if (code < 0) {
        return code;
    }
    json_array_append_new(r->documents, doc);
    const char *finding = json_string_value(json_object_get(doc, "finding"));
    const char *why = json_string_value(json_object_get(doc, "why"));
    const json_t *hash = json_object_get(json_object_get(doc, "of"), "hash");
    for (size_t i = 0; finding && i < r->n; i++) {
        struct result *of = &r->at[i];
        if (of->level != json_integer_value(json_object_get(doc, "level"))
            || of->id != json_integer_value(json_object_get(doc, "id"))) {
            continue;
        }
        if (hash && !json_equal(hash, json_object_get(of->doc, "hash"))) {
            r->stale++;
        } else if (str_eq(finding, "degenerate")) {
            of->degenerate = why && *why ? why : "a trivial candidate passes";
        } else if ((str_eq(finding, "unfit") || str_eq(finding, "unsupported")) && !of->reason) {
            of->reason = why && *why ? why : finding;
            of->attempted = false;
        }
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct result *x = a, *y = b;
    return x->level != y->level ? x->level - y->level : x->id - y->id;
}

static int finish(struct results *r, struct err *err)
{
    static const char *const same[] = { "device", "torch", "gate" };
    qsort(r->at, r->n, sizeof(*r->at), by_number);
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i], *before = i ? of - 1 : NULL;
        if (before && before->level == of->level && before->id == of->id) {
            return err_set(err, ERR_INVALID, "level %d problem %d is there twice, as %.80s and %.80s", of->level, of->id,
                           before->name, of->name);
        }
        learn(r, &r->at[i]);
        for (size_t k = 0; before && k < ARRAY_LEN(same); k++) {
            const json_t *mine = json_object_get(of->doc, same[k]), *first = json_object_get(r->at[0].doc, same[k]);
            r->mixed = r->mixed || (mine && first && !json_equal(mine, first));
        }
    }
    const char *device = r->n ? json_string_value(json_object_get(r->at[0].doc, "device")) : NULL;
    const char *torch = r->n ? json_string_value(json_object_get(r->at[0].doc, "torch")) : NULL;
    r->device = device ? device : "";
    r->torch = torch ? torch : "";
    return 0;
}

int results_of(const json_t *documents, struct results **ret, struct err *err)
{
    struct results *r = xcalloc(1, sizeof(*r));
    size_t i;
    json_t *doc;
    int code = 0;
    r->documents = json_array();
    json_array_foreach((json_t *)(uintptr_t)documents, i, doc)
    {
        code = code < 0 ? code : add(r, doc, err);
    }
    code = code < 0 ? code : finish(r, err);
    if (code < 0) {
        results_free(r);
        return code;
    }
    *ret = r;
    return 0;
}

int results_read(const char *out, const char *check, struct results **ret, struct err *err)
{
    struct results *r = xcalloc(1, sizeof(*r));
    auto_free char *folder = xprintf("%s/results", out);
    r->documents = json_array();
    int code = read_folder(r, folder, read_one, err);
    code = code < 0 ? code : finish(r, err);
    if (code == 0 && check) {
        auto_free char *inner = xprintf("%s/check", check);
        code = read_folder(r, inner, read_finding, err);
    }
    if (code < 0) {
        results_free(r);
        return code;
    }
    *ret = r;
    return 0;
}

void results_free(struct results *results)
{
    if (results) {
        json_decref(results->documents);
        free(results);
    }
}
