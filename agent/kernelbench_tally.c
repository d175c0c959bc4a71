/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_tally.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool judged(const struct result *of, enum rule rule)
{
    size_t i;
    json_t *one;
    bool any = json_array_size(of->candidates) == 0; /* asked for, and nothing came: failed by every rule */
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        any = any || result_judged(one, rule);
    }
    return any;
}

/* What the rule is headed by: every problem counts against it. Others may have been measured on a sample. */
static const char *const own_baseline[] = { "eager", "eager", "eager_tf32" };

/* A failure that PyTorch wasn't timed on at all: whatever was measured of others, it failed. */
static bool failed_untimed(const struct result *of, enum rule rule)
{
    return result_best(of, rule) == SIZE_MAX && !result_timed(of);
}

bool tally_counts(const struct result *of, const struct tally_group *g)
{
    if (g->baseline && !str_eq(g->baseline, own_baseline[g->rule]) && !of->modelled
        && result_baseline_us(of, g->rule, g->baseline) <= 0 && !failed_untimed(of, g->rule)) {
        return false;
    }
    return of->attempted && !of->degenerate && (!g->level || of->level == g->level)
        && (!g->family || str_eq(of->family, g->family)) && judged(of, g->rule);
}

double tally_speedup(const struct result *of, enum rule rule, const char *baseline)
{
    size_t best = result_best(of, rule);
    double us = best == SIZE_MAX ? 0 : result_us(json_array_get(of->candidates, best), rule);
    double base = baseline && !of->modelled ? result_baseline_us(of, rule, baseline) : 0;
    return us > 0 && base > 0 ? base / us : 0;
}

static struct score_item item_of(const struct result *of, const struct tally_group *g)
{
    size_t best = result_best(of, g->rule), i;
    json_t *one;
    const json_t *verdict = json_object_get(json_array_get(of->candidates, best), "verdict");
    struct score_item item = { .correct = best != SIZE_MAX, .speedup = tally_speedup(of, g->rule, g->baseline),
                               .sol = result_number(verdict, "sol") };
    json_array_foreach((json_t *)(uintptr_t)of->candidates, i, one)
    {
        item.candidates += result_judged(one, g->rule);
        item.right += result_correct(one, g->rule);
    }
    item.candidates = MAX(item.candidates, (size_t)1);
    return item;
}

void tally_score(const struct results *r, const struct tally_group *g, struct score *ret)
{
    struct score_item *items = xcalloc(r->n + 1, sizeof(*items));
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (tally_counts(&r->at[i], g)) {
            items[n++] = item_of(&r->at[i], g);
        }
    }
    score_of(items, n, g->seed, ret);
    free(items);
}

void tally_cost(const struct results *r, const struct tally_group *g, struct tally_cost *ret)
{
    struct tally_cost c = { 0 };
    for (size_t i = 0; i < r->n; i++) {
        const json_t *cost = json_object_get(r->at[i].doc, "cost");
        if (g && !tally_counts(&r->at[i], g)) {
            continue;
        }
        c.n += json_is_object(cost);
        c.usd += result_number(cost, "usd");
        c.tokens += result_number(cost, "tokens");
        c.gpu_s += result_number(cost, "gpu_s");
        c.wall_s += result_number(cost, "wall_s");
    }
    *ret = c;
}

size_t tally_errors(const struct results *r)
{
    size_t n = 0, k;
    json_t *one;
    for (size_t i = 0; i < r->n; i++) {
        json_array_foreach((json_t *)(uintptr_t)r->at[i].candidates, k, one)
        {
            bool failed = json_object_get(one, "error");
            for (int rule = RULE_KB; rule < RULE_COUNT; rule++) {
                const json_t *by = json_object_get(one, rule_name((enum rule)rule));
                const char *status = json_string_value(json_object_get(by, "status"));
                failed = failed || (status && str_eq(status, "error"));
            }
            n += failed;
        }
    }
    return n;
}

char *tally_status(const struct result *of, enum rule rule)
{
    size_t best = result_best(of, rule), n = json_array_size(of->candidates);
    const json_t *one = json_array_get(of->candidates, best == SIZE_MAX ? 0 : best);
    const json_t *by = json_object_get(one, rule == RULE_STRICT ? "verdict" : rule_name(rule));
    const char *status = json_string_value(json_object_get(by, "status"));
    const char *detail = json_string_value(json_object_get(by, "detail"));
    const char *error = json_string_value(json_object_get(one, "error"));
    if (best != SIZE_MAX) {
        return xstrdup(status);
    }
    if (n == 0) {
        const char *ended = json_string_value(json_object_get(of->doc, "ended"));
        return of->reason ? xstrdup(of->reason) : xprintf("no candidate%s%.160s", ended ? ": " : "", ended ? ended : "");
    }
    const char *why = error ? error : detail ? detail : "";
    return xprintf("%s: %.*s", status ? status : "error", (int)MIN(strcspn(why, "\n"), (size_t)160), why);
}

size_t tally_families(const struct results *r, const char *ret[RESULTS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        size_t at = 0;
        while (at < n && strcmp(ret[at], r->at[i].family) < 0) {
            at++;
        }
        if (at < n && str_eq(ret[at], r->at[i].family)) {
            continue;
        }
        memmove(&ret[at + 1], &ret[at], (n - at) * sizeof(*ret));
        ret[at] = r->at[i].family;
        n++;
    }
    return n;
}

bool tally_known(const struct results *r, enum rule rule, const char *baseline)
{
    for (size_t i = 0; i < r->n && r->rules[rule]; i++) {
        if (!r->at[i].modelled && result_baseline_us(&r->at[i], rule, baseline) > 0) {
            return true;
        }
    }
    return false;
}

bool tally_shown(const struct results *r, enum rule rule, const char *baseline)
{
    bool other = str_prefix(baseline, "eager") && !str_eq(baseline, own_baseline[rule]);
    return tally_known(r, rule, baseline)
        && (rule == RULE_STRICT || !other || !tally_known(r, rule, own_baseline[rule]));
}

enum rule tally_rule(const struct results *r)
{
    int rule = RULE_STRICT;
    while (rule + 1 < RULE_COUNT && !r->rules[rule]) {
        rule++;
    }
    return r->rules[rule] ? (enum rule)rule : RULE_STRICT;
}

const char *tally_baseline(const struct results *r, enum rule rule)
{
    if (tally_known(r, rule, own_baseline[rule])) {
        return own_baseline[rule];
    }
    for (size_t i = 0; i < r->n_baselines; i++) {
        if (tally_known(r, rule, r->baselines[i])) {
            return r->baselines[i];
        }
    }
    return NULL;
}

/* ---- for programs */

static json_t *span_json(struct span span)
{
    return json_pack("[f,f]", span.lo, span.hi);
}

static json_t *cost_json(const struct tally_cost *cost)
{
    return json_pack("{s:I,s:f,s:f,s:f,s:f}", "problems", (json_int_t)cost->n, "usd", cost->usd, "tokens", cost->tokens,
                     "gpu_s", cost->gpu_s, "wall_s", cost->wall_s);
}

static json_t *score_json(const struct score *s, bool timed)
{
    json_t *fast = json_object(), *spans = json_object(), *pass = json_object();
    char name[24];
    for (size_t p = 0; p < (timed ? SCORE_POINTS : 1); p++) {
        snprintf(name, sizeof(name), "%g", score_points[p]);
        json_object_set_new(fast, name, json_real(s->fast[p]));
        json_object_set_new(spans, name, span_json(s->fast_span[p]));
    }
    for (size_t k = 0; k < SCORE_K_MAX; k++) {
        if (s->pass_n[k]) {
            snprintf(name, sizeof(name), "%zu", score_ks[k]);
            json_object_set_new(pass, name, json_pack("{s:f,s:I}", "mean", s->pass[k], "problems",
                                                      (json_int_t)s->pass_n[k]));
        }
    }
    json_t *json = json_pack("{s:I,s:I,s:f,s:o,s:o,s:o}", "problems", (json_int_t)s->n, "correct",
                             (json_int_t)s->correct, "pass_at_1", s->pass[0], "fast_p", fast, "fast_p_95", spans,
                             "pass_at", pass);
    if (s->sol_n) {
        json_object_update_new(json, json_pack("{s:f,s:I}", "sol", s->sol, "sol_problems", (json_int_t)s->sol_n));
    }
    if (timed) {
        json_object_update_new(json, json_pack("{s:I,s:f,s:o,s:f,s:o,s:f}", "timed", (json_int_t)s->timed,
                                               "geomean_correct", s->geomean, "geomean_correct_95",
                                               span_json(s->geomean_span), "geomean_all", s->geomean_all,
                                               "geomean_all_95", span_json(s->geomean_all_span),
                                               "geomean_failures_as_0", s->geomean_zero));
    }
    return json;
}

/* A group's score, with what it cost. */
static json_t *group_json(const struct results *r, const struct tally_group *g, const struct score *s)
{
    struct tally_cost cost;
    json_t *json = score_json(s, g->baseline != NULL);
    tally_cost(r, g, &cost);
    if (cost.n) {
        json_object_set_new(json, "cost", cost_json(&cost));
    }
    return json;
}

static json_t *against_json(const struct results *r, enum rule rule, const char *baseline, uint64_t seed)
{
    struct tally_group g = { .rule = rule, .baseline = baseline, .seed = seed };
    struct score s;
    json_t *levels = json_object(), *groups = json_object();
    const char *families[RESULTS_MAX];
    size_t n = tally_families(r, families);
    tally_score(r, &g, &s);
    json_t *json = json_pack("{s:o,s:o,s:o}", "all", group_json(r, &g, &s), "levels", levels, "families", groups);
    for (g.level = 1; g.level <= 4; g.level++) {
        char name[24];
        snprintf(name, sizeof(name), "%d", g.level);
        tally_score(r, &g, &s);
        if (s.n) {
            json_object_set_new(levels, name, group_json(r, &g, &s));
        }
    }
    g.level = 0;
    for (size_t i = 0; i < n; i++) {
        g.family = families[i];
        tally_score(r, &g, &s);
        if (s.n) {
            json_object_set_new(groups, families[i], group_json(r, &g, &s));
        }
    }
    return json;
}

static json_t *rule_json(const struct results *r, enum rule rule, uint64_t seed)
{
    json_t *against = json_object();
    for (size_t i = 0; i < r->n_baselines; i++) {
        if (tally_known(r, rule, r->baselines[i])) {
            json_object_set_new(against, r->baselines[i], against_json(r, rule, r->baselines[i], seed));
        }
    }
    return json_pack("{s:o,s:o}", "correctness", against_json(r, rule, NULL, seed), "against", against);
}

/* Problems left out of every score, with why. */
static json_t *left_out(const struct results *r, bool degenerate)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i];
        const char *why = degenerate ? of->degenerate : of->degenerate ? NULL : of->reason;
        if (why) {
            json_array_append_new(list, json_pack("{s:i,s:i,s:s,s:s}", "level", of->level, "id", of->id, "name",
                                                  of->name, "why", why));
        }
    }
    return list;
}

json_t *tally_json(const struct results *r, uint64_t seed)
{
    json_t *rules = json_object(), *degenerate = left_out(r, true), *unfit = left_out(r, false);
    struct tally_cost cost;
    size_t without = 0;
    for (size_t i = 0; i < r->n; i++) {
        without += !r->at[i].attempted && !r->at[i].reason && !r->at[i].degenerate;
    }
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (r->rules[rule]) {
            json_object_set_new(rules, rule_name((enum rule)rule), rule_json(r, (enum rule)rule, seed));
        }
    }
    tally_cost(r, NULL, &cost);
    json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:b}", "device", r->device, "torch", r->torch, "problems",
                             (json_int_t)r->n, "without", (json_int_t)without, "unsupported",
                             (json_int_t)json_array_size(unfit), "degenerate",
                             (json_int_t)json_array_size(degenerate), "modelled", r->modelled);
    json_object_set_new(json, "errors", json_integer((json_int_t)tally_errors(r)));
    json_object_set_new(json, "mixed", json_boolean(r->mixed));
    json_object_set_new(json, "check_of_other_files", json_integer((json_int_t)r->stale));
    json_object_set_new(json, "degenerate_problems", degenerate);
    json_object_set_new(json, "unfit_problems", unfit);
    json_object_set_new(json, "rules", rules);
    json_object_update_new(json, rule_json(r, tally_rule(r), seed));
    if (cost.n) {
        json_object_set_new(json, "cost", cost_json(&cost));
    }
    return json;
}
