/* SPDX-License-Identifier: MIT */
#include "agent/kernelbench_against.h"
#include "agent/kernelbench_tally.h"
#include "base/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double least = 1.01; /* a smaller difference is none, as in a verdict */

static const struct result *find(const struct results *r, const struct result *like)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->at[i].level == like->level && r->at[i].id == like->id) {
            return &r->at[i];
        }
    }
    return NULL;
}

static bool same_file(const struct result *a, const struct result *b)
{
    const char *x = json_string_value(json_object_get(a->doc, "hash"));
    const char *y = json_string_value(json_object_get(b->doc, "hash"));
    return x && y && str_eq(x, y);
}

/* The interval of a candidate's time: the verdict's, or two standard errors about a mean; 0, 0: none. */
static struct span time_span(const json_t *one, enum rule rule)
{
    if (rule == RULE_STRICT) {
        const json_t *time = json_object_get(json_object_get(one, "verdict"), "time");
        return (struct span) { result_number(time, "lo_us"),
                               result_number(time, "hi_us") };
    }
    const json_t *by = json_object_get(one, rule_name(rule));
    double n = result_number(by, "n"), us = result_us(one, rule);
    double half = n > 1 ? 1.96 * result_number(by, "std_us") / sqrt(n) : 0;
    return half > 0 && us > half ? (struct span) { us - half, us + half } : (struct span) { 0, 0 };
}

static void compare_times(struct against *a, struct against_pair *p, const json_t *mine, const json_t *other)
{
    struct span x = time_span(mine, a->rule), y = time_span(other, a->rule);
    p->mine_us = result_us(mine, a->rule);
    p->other_us = result_us(other, a->rule);
    if (p->mine_us <= 0 || p->other_us <= 0) {
        return;
    }
    p->ratio = p->other_us / p->mine_us;
    if (x.lo > 0 && y.lo > 0) {
        p->span = (struct span) { y.lo / x.hi, y.hi / x.lo };
        p->differs = p->span.lo > least || p->span.hi < 1 / least;
    }
    a->faster += p->ratio > least;
    a->slower += p->ratio < 1 / least;
    a->same += p->ratio <= least && p->ratio >= 1 / least;
    a->surely_faster += p->differs && p->ratio > 1;
    a->surely_slower += p->differs && p->ratio < 1;
    a->timed[a->n_timed++] = *p;
}

static void compare(struct against *a, const struct result *mine, const struct result *other)
{
    struct against_pair p = { .mine = mine, .other = other };
    size_t i = result_best(mine, a->rule), k = result_best(other, a->rule);
    a->paired++;
    if (i != SIZE_MAX && k != SIZE_MAX) {
        compare_times(a, &p, json_array_get(mine->candidates, i), json_array_get(other->candidates, k));
    } else if (i != SIZE_MAX) {
        a->gained[a->n_gained++] = p;
    } else if (k != SIZE_MAX) {
        a->lost[a->n_lost++] = p;
    }
}

static int by_difference(const void *x, const void *y)
{
    double a = fabs(log(((const struct against_pair *)x)->ratio));
    double b = fabs(log(((const struct against_pair *)y)->ratio));
    return (a < b) - (a > b);
}

enum rule against_rule(const struct results *mine, const struct results *other)
{
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (mine->rules[rule] && other->rules[rule]) {
            return (enum rule)rule;
        }
    }
    return tally_rule(mine);
}

struct against *against_make(const struct results *mine, const char *mine_name, const struct results *other,
                             const char *other_name, enum rule rule, uint64_t seed)
{
    struct against *a = xcalloc(1, sizeof(*a));
    *a = (struct against) { .rule = rule, .mine_name = mine_name, .other_name = other_name,
                            .other_device = !str_eq(mine->device, other->device),
                            .modelled = mine->modelled || other->modelled };
    const struct tally_group judged = { .rule = rule };
    for (size_t i = 0; i < mine->n; i++) {
        const struct result *of = &mine->at[i], *there = find(other, of);
        if (!there) {
            a->only_mine++;
        } else if (!same_file(of, there)) {
            a->changed_file++;
        } else if (tally_counts(of, &judged) && tally_counts(there, &judged)) {
            compare(a, of, there);
        }
    }
    for (size_t i = 0; i < other->n; i++) {
        a->only_other += !find(mine, &other->at[i]);
    }
    double *logs = xcalloc(a->n_timed + 1, sizeof(*logs)), sum = 0;
    for (size_t i = 0; i < a->n_timed; i++) {
        logs[i] = log(a->timed[i].ratio);
        sum += logs[i];
    }
    a->ratio = a->n_timed ? exp(sum / (double)a->n_timed) : 0;
    a->span = score_bootstrap(logs, a->n_timed, seed);
    a->sign_p = score_sign_test(a->faster, a->slower);
    free(logs);
    qsort(a->timed, a->n_timed, sizeof(*a->timed), by_difference);
    return a;
}

char *against_says(const struct against *a)
{
    if (a->n_timed < 2) {
        return xprintf("no difference shown: %zu problem%s correct and timed in both", a->n_timed,
                       a->n_timed == 1 ? " is" : "s are");
    }
    bool shown = (a->span.lo > 1 && a->ratio > least) || (a->span.hi < 1 && a->ratio < 1 / least);
    auto_free char *figures = xprintf("%s%.3fx, 95 %% interval %.3f to %.3f over %zu problems; faster on %zu, slower on "
                                      "%zu, within 1 %% on %zu; sign test p = %.2g", a->modelled ? "by modelled times " : "", a->ratio,
                                      a->span.lo, a->span.hi,
                                      a->n_timed, a->faster, a->slower, a->same, a->sign_p);
    return shown ? xprintf("%s is %s than %s: %s", a->mine_name, a->ratio > 1 ? "faster" : "slower", a->other_name,
                           figures)
                 : xprintf("no difference shown in speed: %s", figures);
}

static void print_changes(const char *what, const struct against_pair *pairs, size_t n)
{
    if (n) {
        printf("%s:", what);
        for (size_t i = 0; i < n; i++) {
            printf(" %d/%d", pairs[i].mine->level, pairs[i].mine->id);
        }
        printf("\n");
    }
}

void against_print(const struct against *a)
{
    auto_free char *says = against_says(a);
    printf("\nagainst %s, by the %s rules, %zu problems in both%s\n%s\n", a->other_name, rule_name(a->rule), a->paired,
           a->other_device ? "; ON ANOTHER DEVICE" : "", says);
    if (a->changed_file + a->only_mine + a->only_other) {
        printf("not compared: %zu with another file, %zu here alone, %zu there alone\n", a->changed_file, a->only_mine,
               a->only_other);
    }
    print_changes("correct here, not there", a->gained, a->n_gained);
    print_changes("correct there, not here", a->lost, a->n_lost);
    for (size_t i = 0; i < a->n_timed && i < AGAINST_SHOWN && fabs(log(a->timed[i].ratio)) > log(least); i++) {
        const struct against_pair *p = &a->timed[i];
        printf("%s  %d/%-3d %-36.36s %10.4g us here %10.4g us there  %.3fx", i ? "" : "largest differences\n",
               p->mine->level, p->mine->id, p->mine->name, p->mine_us, p->other_us, p->ratio);
        if (p->span.lo > 0) {
            printf(" (%.3f to %.3f)%s", p->span.lo, p->span.hi, p->differs ? "" : " not sure");
        }
        printf("\n");
    }
}

static json_t *pair_json(const struct against_pair *p)
{
    json_t *json = json_pack("{s:i,s:i,s:s}", "level", p->mine->level, "id", p->mine->id, "name", p->mine->name);
    if (p->ratio > 0) {
        json_object_update_new(json, json_pack("{s:f,s:f,s:f}", "us", p->mine_us, "other_us", p->other_us, "ratio",
                                               p->ratio));
    }
    if (p->span.lo > 0) {
        json_object_update_new(json, json_pack("{s:[f,f],s:b}", "ratio_95", p->span.lo, p->span.hi, "differs",
                                               p->differs));
    }
    return json;
}

static json_t *pairs_json(const struct against_pair *pairs, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, pair_json(&pairs[i]));
    }
    return list;
}

json_t *against_json(const struct against *a)
{
    auto_free char *says = against_says(a);
    json_t *json = json_pack("{s:s,s:s,s:s,s:b,s:b,s:I,s:I,s:I,s:I}", "other", a->other_name, "rule", rule_name(a->rule),
                             "says", says, "other_device", a->other_device, "modelled", a->modelled, "paired",
                             (json_int_t)a->paired, "changed_file", (json_int_t)a->changed_file, "only_here", (json_int_t)a->only_mine,
                             "only_there", (json_int_t)a->only_other);
    json_object_update_new(json, json_pack("{s:f,s:[f,f],s:f,s:I,s:I,s:I,s:I,s:I}", "ratio", a->ratio, "ratio_95",
                                           a->span.lo, a->span.hi, "sign_test_p", a->sign_p, "faster",
                                           (json_int_t)a->faster, "slower", (json_int_t)a->slower, "same",
                                           (json_int_t)a->same, "surely_faster", (json_int_t)a->surely_faster,
                                           "surely_slower", (json_int_t)a->surely_slower));
    json_object_set_new(json, "timed", pairs_json(a->timed, a->n_timed));
    json_object_set_new(json, "correct_here_alone", pairs_json(a->gained, a->n_gained));
    json_object_set_new(json, "correct_there_alone", pairs_json(a->lost, a->n_lost));
    return json;
}
