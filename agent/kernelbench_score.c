/* SPDX-License-Identifier: MIT */
/* kernelbench score: what the results of a run come to, by rule, baseline, level and family. */
#include "agent/command.h"
#include "agent/kernelbench.h"
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_page.h"
#include "agent/kernelbench_tally.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_head(const char *what, bool timed)
{
    printf("%-26s %4s %8s", what, "n", "correct");
    for (size_t p = 1; timed && p < SCORE_POINTS; p++) {
        printf(" fast_%-3g", score_points[p]);
    }
    printf("%s\n", timed ? "  geomean (95 %)          of all (95 %)           as 0" : "");
}

static void print_geomean(double mean, struct span span)
{
    if (span.lo > 0) {
        auto_free char *text = xprintf("%.3f (%.3f..%.3f)", mean, span.lo, span.hi);
        printf("  %-22s", text);
    } else if (mean > 0) {
        printf("  %-22.3f", mean);
    } else {
        printf("  %-22s", "-");
    }
}

static void print_row(const char *name, const struct score *s, bool timed)
{
    printf("%-26.26s %4zu %8zu", name, s->n, s->correct);
    for (size_t p = 1; timed && p < SCORE_POINTS; p++) {
        printf(" %8.3f", s->fast[p]);
    }
    if (timed) {
        print_geomean(s->geomean, s->geomean_span);
        print_geomean(s->geomean_all, s->geomean_all_span);
        printf(s->timed || !s->correct ? "  %.3f" : "  -", s->geomean_zero);
        if (s->correct > s->timed) {
            printf("  (%zu correct without a time)", s->correct - s->timed);
        }
    }
    printf("\n");
}

static bool print_group(const struct results *r, const struct tally_group *g, const char *name)
{
    struct score s;
    tally_score(r, g, &s);
    if (s.n) {
        print_row(name, &s, g->baseline);
    }
    return s.n > 0;
}

/* Levels, then families where they aren't all of one. */
static void print_groups(const struct results *r, enum rule rule, const char *baseline, uint64_t seed)
{
    struct tally_group g = { .rule = rule, .baseline = baseline, .seed = seed };
    const char *families[RESULTS_MAX];
    size_t n = tally_families(r, families);
    auto_free char *head = xprintf("%s%s%s", rule_name(rule), baseline ? " / " : ": correctness", baseline ? baseline : "");
    printf("\n");
    print_head(head, baseline);
    for (g.level = 1; g.level <= 4; g.level++) {
        char name[24];
        snprintf(name, sizeof(name), "level %d", g.level);
        print_group(r, &g, name);
    }
    g.level = 0;
    for (size_t i = 0; i < n; i++) {
        g.family = families[i];
        print_group(r, &g, families[i]);
    }
}

/* A row for each rule and baseline over all problems. */
static void print_summary(const struct results *r, bool full, uint64_t seed)
{
    bool timed = r->n_baselines > 0 && !r->modelled;
    print_head(timed ? "rule / PyTorch's baseline" : "rule: correctness alone", timed);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct tally_group g = { .rule = (enum rule)rule, .seed = seed };
        bool any = false;
        for (size_t i = 0; i < r->n_baselines; i++) {
            g.baseline = r->baselines[i];
            if (full ? tally_known(r, g.rule, g.baseline) : tally_shown(r, g.rule, g.baseline)) {
                auto_free char *name = xprintf("%s / %s", rule_name(g.rule), g.baseline);
                any = print_group(r, &g, name) || any;
            }
        }
        g.baseline = NULL;
        if (!any && r->rules[rule]) {
            print_group(r, &g, rule_name(g.rule));
        }
    }
    if (timed) {
        printf("geomean is of the correct ones; of all: who fails counts as 1x; as 0: as 0. Intervals: bootstrap over problems\n");
    }
}

static bool of_campaign(const struct results *r)
{
    bool any = false;
    for (size_t i = 0; i < r->n; i++) {
        any = any || json_object_get(r->at[i].doc, "campaign");
    }
    return any;
}

static void print_more(const struct results *r, uint64_t seed)
{
    struct tally_cost cost;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        struct tally_group g = { .rule = (enum rule)rule, .seed = seed };
        struct score s;
        tally_score(r, &g, &s);
        bool several = false;
        for (size_t k = 1; k < SCORE_K_MAX; k++) {
            several = several || s.pass_n[k];
        }
        for (size_t k = 0; several && r->rules[rule] && k < SCORE_K_MAX && s.pass_n[k]; k++) {
            printf("%s%s pass@%zu %.3f (%zu problems)%s", k ? "," : "\n", k ? "" : rule_name(g.rule), score_ks[k],
                   s.pass[k], s.pass_n[k], k + 1 == SCORE_K_MAX || !s.pass_n[k + 1] ? "\n" : "");
        }
        if (several && r->rules[rule] && of_campaign(r)) {
            printf("a campaign's attempts build on each other: theirs are no independent draws\n");
        }
        if (rule == RULE_STRICT && s.sol_n) {
            printf("\nshare of the speed of light%s: %.3f, mean over %zu correct ones\n", r->modelled ? " (modelled)" : "",
                   s.sol, s.sol_n);
        }
    }
    tally_cost(r, NULL, &cost);
    if (cost.n) {
        printf("\ncost: %.4f USD, %.0f tokens, %.1f s of the device (PyTorch's own times and other rules than strict not "
               "counted), on %zu problems\n", cost.usd, cost.tokens, cost.gpu_s, cost.n);
    }
}

static void print_left_out(const struct results *r)
{
    size_t degenerate = 0, unfit = 0, without = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i];
        degenerate += of->degenerate != NULL;
        unfit += !of->degenerate && of->reason;
        without += !of->degenerate && !of->reason && !of->attempted;
    }
    printf("\n%zu problems: %zu without a candidate, %zu that can't be judged, %zu degenerate (left out)%s\n", r->n,
           without, unfit, degenerate,
           r->modelled ? "; times are modelled, so no speedup over PyTorch is given" : "");
    if (tally_errors(r)) {
        printf("%zu candidates ended in an error, not a verdict, and count as failures\n", tally_errors(r));
    }
    if (r->mixed) {
        printf("not all of them were judged on the same device, by the same PyTorch and the same gate: run them again\n");
    }
    if (r->stale) {
        printf("--check: %zu findings are of another version of the problem's file and weren't used\n", r->stale);
    }
    for (size_t i = 0; i < r->n; i++) {
        const struct result *of = &r->at[i];
        if (of->degenerate || of->reason) {
            const char *why = of->degenerate ? of->degenerate : of->reason;
            printf("  %d/%-3d %-36.36s %s%.*s\n", of->level, of->id, of->name,
                   of->degenerate ? "degenerate, would pass: " : "", (int)MIN(strcspn(why, "\n"), (size_t)110), why);
        }
    }
}

static void print_all(const struct results *r, const struct options *o, const struct against *against)
{
    uint64_t seed = (uint64_t)o->seed;
    print_summary(r, o->full, seed);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        bool head = (enum rule)rule == tally_rule(r);
        const char *first = tally_baseline(r, (enum rule)rule);
        for (size_t i = 0; r->rules[rule] && (o->full || head) && i < r->n_baselines; i++) {
            bool known = tally_known(r, (enum rule)rule, r->baselines[i]);
            if (known && (o->full || (first && str_eq(first, r->baselines[i])))) {
                print_groups(r, (enum rule)rule, r->baselines[i], seed);
            }
        }
        if (head && !first) {
            print_groups(r, (enum rule)rule, NULL, seed);
        }
    }
    print_more(r, seed);
    print_left_out(r);
    if (against) {
        against_print(against);
    }
}

static int tell(const struct results *r, const struct options *o, const struct against *against, struct err *err)
{
    int code = 0;
    if (!(o->json && str_eq(o->json, "-"))) {
        print_all(r, o, against);
    }
    if (o->html) {
        struct kernelbench_page page = { .results = r, .name = o->out, .against = against,
                                         .seed = (uint64_t)o->seed };
        code = kernelbench_page_write(o->html, &page, err);
    }
    if (code == 0 && o->json) {
        json_t *json = tally_json(r, (uint64_t)o->seed);
        if (against) {
            json_object_set_new(json, "compared", against_json(against));
        }
        code = output_json(o->json, json, err);
    }
    return code;
}

int kernelbench_score(const struct options *o)
{
    struct err err = { 0 };
    struct results *mine = NULL, *other = NULL;
    struct against *against = NULL;
    int r = o->out ? results_read(o->out, o->check, &mine, &err)
                   : err_set(&err, ERR_INVALID, "--out DIR is missing: the folder that a run wrote");
    if (r == 0 && o->against) {
        r = results_read(o->against, o->check, &other, &err);
        if (r == 0) {
            against = against_make(mine, o->out, other, o->against, against_rule(mine, other), (uint64_t)o->seed);
        }
    }
    r = r < 0 ? r : tell(mine, o, against, &err);
    free(against);
    results_free(mine);
    results_free(other);
    return r < 0 ? options_fail(&err) : EXIT_DONE;
}
